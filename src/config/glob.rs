//! Path patterns.

/// A pattern in which `*` stands for any text, the empty one and `/` included; everything else stands for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    pattern: Box<str>,
}

impl Glob {
    /// The pattern of this text.
    pub fn new(pattern: &str) -> Self {
        Glob {
            pattern: pattern.into(),
        }
    }

    /// The pattern's text.
    pub fn as_str(&self) -> &str {
        &self.pattern
    }

    /// Whether it matches all that the pattern `other` does.
    pub fn covers(&self, other: &str) -> bool {
        // A star of the other is matched by a star alone, as any text is.
        self.matches(other)
    }

    /// Whether all of `text` matches. Takes at most the product of the two lengths.
    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (self.pattern.as_bytes(), text.as_bytes());
        let (mut p, mut t) = (0, 0);
        let mut star = None;
        while t < text.len() {
            if pattern.get(p) == Some(&b'*') {
                star = Some((p, t));
                p += 1;
            } else if pattern.get(p) == Some(&text[t]) {
                p += 1;
                t += 1;
            } else if let Some((star_p, star_t)) = star {
                // Let the last star take one byte more.
                star = Some((star_p, star_t + 1));
                p = star_p + 1;
                t = star_t + 1;
            } else {
                return false;
            }
        }
        pattern[p..].iter().all(|byte| *byte == b'*')
    }
}

#[cfg(test)]
mod tests {
    use super::Glob;

    #[test]
    fn covers() {
        for (wide, narrow, expected) in [
            ("*", "/a*b", true),
            ("/a/*", "/a/b/*", true),
            ("/a/*", "/a/*", true),
            ("/a/*", "/a/x", true),
            ("*/x", "/a/*/x", true),
            ("/a/b", "/a/*", false),
            ("/*/x", "/a*", false),
            ("*a", "a*", false),
        ] {
            assert_eq!(Glob::new(wide).covers(narrow), expected, "{wide} {narrow}");
        }
    }

    #[test]
    fn matches() {
        for (pattern, text, expected) in [
            ("*", "/", true),
            ("/*", "/", true),
            ("/a", "/a", true),
            ("/a", "/ab", false),
            ("/a/*", "/a", false),
            ("/a/*", "/a/b/c", true),
            ("*.jpg", "/x/y.jpg", true),
            ("*.jpg", "/x/y.jpg.txt", false),
            ("/a*b*c", "/a-b-b-c", true),
            ("/a*b*c", "/a-c-b", false),
            ("", "/", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), expected, "{pattern} {text}");
        }
    }
}
