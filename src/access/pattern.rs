//! Patterns of tokens: `*` for any text, and `?` for one character.

/// Whether all of `text` matches. Takes at most the product of the two lengths.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((star_p, star_t)) = star else { return false };
                // Let the last star take one byte more.
                star = Some((star_p, star_t + 1));
                p = star_p + 1;
                t = star_t + 1;
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// Whether it stands for more than itself.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matches() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("/a/*", "/a/b/c", true),
            ("/a/*", "/a", false),
            ("/a/?.jpg", "/a/b.jpg", true),
            ("/a/?.jpg", "/a/.jpg", false),
            ("http*://h/a*b?", "https://h/a/b/bc", true),
            ("/a", "/A", false),
            ("?", "", false),
            ("**?", "x", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
