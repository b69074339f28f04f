//! Paths that two servers could read as two different ones.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

use super::{Reason, Request};

/// RFC 3986 3.3: what a path holds as it is. A `%` stays one: of an escape, or of what is left of one.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b'=')
    .remove(b':')
    .remove(b'@')
    .remove(b'/')
    .remove(b'%');

/// How often a server decodes a path at most.
const DECODED: usize = 3;

/// What is odd about a path; found in one pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oddities {
    /// As it came it holds a dot segment, in clear or encoded, or one with a parameter (`/..;x/`) that some servers take for one.
    pub dots: bool,
    /// It holds an empty segment, `//`, which some servers drop.
    pub empty: bool,
    /// It holds an encoded slash, backslash, dot, semicolon or percent sign of an escape (`%2F`, `%5C`, `%252e`), which some
    /// servers decode before they split, or a backslash.
    pub encoded: bool,
}

impl Oddities {
    /// Those of a request's path, in both spellings.
    pub fn of(request: &Request<'_>) -> Self {
        let raw = Self::in_path(request.raw_path);
        if request.raw_path == request.path {
            return raw;
        }
        let normal = Self::in_path(request.path);
        Oddities {
            dots: raw.dots || normal.dots,
            empty: raw.empty || normal.empty,
            encoded: raw.encoded || normal.encoded,
        }
    }

    fn in_path(path: &str) -> Self {
        let mut found = Oddities::default();
        let bytes = path.as_bytes();
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                b'/' => {
                    let rest = &bytes[at + 1..];
                    found.empty |= rest.first() == Some(&b'/');
                    found.dots |= is_dot_segment(rest);
                }
                b'%' => found.encoded |= is_odd_escape(&bytes[at + 1..]),
                b'\\' => found.encoded = true,
                _ => {}
            }
        }
        found
    }

    /// For a signature over the whole path: what is signed to the letter was meant, but for dot segments, which are
    /// removed from what is routed.
    pub fn exact(self) -> Result<(), Reason> {
        if self.dots { Err(Reason::Ambiguous) } else { Ok(()) }
    }

    /// For a token that grants what lies below a prefix, or matches a pattern: a stranger chooses the rest.
    pub fn below(self) -> Result<(), Reason> {
        match self.dots || self.empty || self.encoded {
            true => Err(Reason::Ambiguous),
            false => Ok(()),
        }
    }
}

/// Whether what follows a slash is a segment of one or two dots, encoded or not, alone or before a `;`.
fn is_dot_segment(rest: &[u8]) -> bool {
    let mut rest = rest;
    let mut dots = 0;
    while let Some(after) = after_dot(rest) {
        dots += 1;
        rest = after;
    }
    let ends = matches!(rest.first(), None | Some(b'/' | b';' | b'\\'));
    let ends_encoded = rest.len() >= 3 && rest[0] == b'%' && is_odd_escape(&rest[1..]);
    (1..=2).contains(&dots) && (ends || ends_encoded)
}

fn after_dot(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [b'.', after @ ..] | [b'%', b'2', b'e' | b'E', after @ ..] => Some(after),
        _ => None,
    }
}

/// Whether the two digits behind a `%` are those of a separator, or of a `%` that begins an escape again.
fn is_odd_escape(digits: &[u8]) -> bool {
    match digits {
        [b'2', b'f' | b'F', ..] | [b'5', b'c' | b'C', ..] | [b'3', b'b' | b'B', ..] => true,
        [b'2', b'5', high, low, ..] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
        _ => false,
    }
}

/// What else a server could take a normalised path for: one that decodes what it should leave, and then merges slashes, takes
/// backslashes for them, drops parameters (`;x`) or goes up. None where every server reads the same.
pub fn other_readings(path: &str) -> Vec<String> {
    let mut readings = Vec::new();
    if Oddities::in_path(path) == Oddities::default() && !path.contains(';') {
        return readings;
    }
    let mut decoded = path.as_bytes().to_vec();
    for _ in 0..=DECODED {
        readings.push(plain(&decoded));
        let further: Vec<u8> = percent_decode(&decoded).collect();
        if further == decoded {
            break;
        }
        decoded = further;
    }
    readings
}

/// The path that is left once nothing odd is.
fn plain(path: &[u8]) -> String {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut is_folder = false;
    for segment in path.split(|byte| matches!(byte, b'/' | b'\\')) {
        let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
        is_folder = matches!(name, b"" | b"." | b"..");
        match name {
            b".." => drop(kept.pop()),
            _ if is_folder => {}
            _ => kept.push(name),
        }
    }
    let mut plain = kept.iter().fold(String::new(), |path, name| {
        let name = percent_encode(name, PATH);
        format!("{path}/{name}")
    });
    if is_folder || plain.is_empty() {
        plain.push('/');
    }
    plain
}

/// Whether `path` lies below `prefix`: the prefix ends at a segment's end, so that `/a` is no way into `/ab`.
pub fn lies_below(path: &str, prefix: &str) -> bool {
    match path.strip_prefix(prefix) {
        Some(rest) => prefix.ends_with('/') || rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_odd() {
        let plain = Oddities::default();
        let dots = Oddities { dots: true, ..plain };
        let empty = Oddities { empty: true, ..plain };
        let encoded = Oddities { encoded: true, ..plain };
        for (path, odd) in [
            ("/", plain),
            ("/a/b.c/...", plain),
            ("/a/..b/.c;v=1/é%20%3F", plain),
            ("/a/./b", dots),
            ("/a/..", dots),
            ("/%2e%2E/a", dots),
            ("/.%2e", dots),
            ("/a/..;/b", dots),
            ("/a/.;x=1", dots),
            ("/a//b", empty),
            ("//", empty),
            ("/a%2fb", encoded),
            ("/a%5Cb", encoded),
            ("/a\\b", encoded),
            ("/a%252fb", encoded),
            ("/a%25zz", plain),
            ("/a/..%2fb", Oddities { encoded: true, ..dots }),
            ("/a/..%3b/b", Oddities { encoded: true, ..dots }),
        ] {
            assert_eq!(Oddities::in_path(path), odd, "{path}");
        }
    }

    #[test]
    fn readings_of_a_path() {
        for (path, reading) in [
            ("//p/a", "/p/a"),
            ("/x/..;/p/a", "/p/a"),
            ("/p;v=1/a", "/p/a"),
            ("/p%2Fa", "/p/a"),
            ("/x%5C..%5Cp/a", "/p/a"),
            ("/x/%252e%252e/p/a", "/p/a"),
            ("/x%25252F..%25252Fp/a", "/p/a"),
            ("/%2570/a", "/p/a"),
            ("/x/..%2F..%2F..%2Fp//", "/p/"),
            ("/x/..%3B/p/a%20b", "/p/a%20b"),
            ("/%2F", "/"),
        ] {
            let readings = other_readings(path);
            assert!(readings.iter().any(|known| known == reading), "{path}: {readings:?}");
        }
        for path in ["/", "/p/a", "/p/a%20b/...", "/a%3Fb%25"] {
            assert!(other_readings(path).is_empty(), "{path}");
        }
    }

    #[test]
    fn below_a_prefix() {
        for (path, prefix, expected) in [
            ("/a/b", "/a/", true),
            ("/a/b", "/a", true),
            ("/a", "/a", true),
            ("/ab", "/a", false),
            ("/A/b", "/a/", false),
            ("/a", "/a/", false),
        ] {
            assert_eq!(lies_below(path, prefix), expected, "{path} {prefix}");
        }
    }
}
