//! What a request is for: host, path and query, in the one spelling that routing, cache keys and origins see.

use std::borrow::Cow;

pub use crate::http1::uri::{MAX_HOST, Scheme, TargetFault, is_host, normalise_host, split_absolute, split_port};

/// What a request is for, normalised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// The scheme, if the client spelled one out; a transport refuses one that is not its own (RFC 9110 7.4).
    pub scheme: Option<Scheme>,
    /// The host in lower case, with its port if one was given; empty if an HTTP/1.0 request named none.
    pub host: Cow<'a, str>,
    /// The normalised path, or `*`.
    pub path: Cow<'a, str>,
    /// What follows the first `?`, as received: visible ASCII without `#`.
    pub query: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Reads a target in origin-, absolute- or asterisk-form (RFC 9112 3.2) with the host that the head names; an absolute-form's own
    /// authority goes before it. Authority-form names no resource and is refused. Allocates only for what is not yet normal.
    pub fn new(method: &str, target: &'a str, host: Option<&'a str>) -> Result<Self, TargetFault> {
        let (scheme, host, rest) = match split_absolute(target) {
            Some((scheme, authority, rest)) => (Some(scheme), Some(authority), rest),
            None => (None, host, target),
        };
        let host = host.map_or(Ok(Cow::Borrowed("")), normalise_host)?;
        let (path, query) = match memchr::memchr(b'?', rest.as_bytes()) {
            Some(at) => (&rest[..at], Some(valid_query(&rest[at + 1..])?)),
            None => (rest, None),
        };
        let path = match path {
            // RFC 9112 3.2.4: asterisk-form, and what an absolute-form without path and query means to OPTIONS.
            "*" if scheme.is_none() && query.is_none() && method == "OPTIONS" => Cow::Borrowed("*"),
            "" if scheme.is_some() && query.is_none() && method == "OPTIONS" => Cow::Borrowed("*"),
            // RFC 3986 6.2.3: an empty path of an http URL is `/`.
            "" if scheme.is_some() => Cow::Borrowed("/"),
            path => normalise_path(path)?,
        };
        Ok(Target {
            scheme,
            host,
            path,
            query,
        })
    }
}

/// RFC 3986 3.4, taken loosely: any visible ASCII, since queries with raw `|` or `[` are common, but never what ends a line, a word or a query.
fn valid_query(query: &str) -> Result<&str, TargetFault> {
    // All are looked at, several at a time: most queries are valid.
    let valid = query
        .bytes()
        .fold(true, |valid, byte| valid & byte.is_ascii_graphic() & (byte != b'#'));
    if valid { Ok(query) } else { Err(TargetFault::Byte) }
}

/// What a byte is in a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Plain,
    Dot,
    Slash,
    Percent,
    /// Must be percent-encoded.
    Encode,
    /// Ends a path, a word or a line for somebody.
    Refuse,
}

const CLASS: [Class; 256] = {
    let mut table = [Class::Encode; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            0..=b' ' | b'#' | b'?' | 0x7f => Class::Refuse,
            b'.' => Class::Dot,
            b'/' => Class::Slash,
            b'%' => Class::Percent,
            // RFC 3986 3.3, pchar: unreserved, sub-delims, `:`, `@`.
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => Class::Plain,
            b'!' | b'$' | b'&'..=b',' | b';' | b'=' | b':' | b'@' => Class::Plain,
            _ => Class::Encode,
        };
        byte += 1;
    }
    table
};

/// Normalises a path by RFC 3986 6.2.2: unreserved characters decoded, other escapes in upper case, dot segments removed (encoded ones too),
/// what may not stand in a path encoded. `//`, `%2F` and `%5C` mean something to origins and stay. Idempotent; borrows what is normal.
pub fn normalise_path(path: &str) -> Result<Cow<'_, str>, TargetFault> {
    let bytes = path.as_bytes();
    if bytes.first() != Some(&b'/') {
        return Err(TargetFault::Form);
    }
    let mut at = 1;
    while at < bytes.len() {
        let normal = match CLASS[bytes[at] as usize] {
            Class::Plain | Class::Slash => true,
            Class::Dot => bytes[at - 1] != b'/' || !starts_with_dot_segment(&bytes[at..]),
            Class::Percent => {
                let decoded = decode(&bytes[at..])?;
                !is_unreserved(decoded) && !bytes[at + 1..at + 3].iter().any(u8::is_ascii_lowercase)
            }
            Class::Encode => false,
            Class::Refuse => return Err(TargetFault::Byte),
        };
        if !normal {
            return rebuild_path(path).map(Cow::Owned);
        }
        at += 1;
    }
    Ok(Cow::Borrowed(path))
}

fn starts_with_dot_segment(rest: &[u8]) -> bool {
    let segment = memchr::memchr(b'/', rest).map_or(rest, |end| &rest[..end]);
    // An encoded second dot is found out at its `%`.
    segment == b"." || segment == b".."
}

/// The byte behind the escape at the start of `rest`.
fn decode(rest: &[u8]) -> Result<u8, TargetFault> {
    let digit = |at: usize| rest.get(at).and_then(|byte| (*byte as char).to_digit(16));
    match (digit(1), digit(2)) {
        (Some(0), Some(0)) => Err(TargetFault::Nul),
        (Some(high), Some(low)) => Ok((high << 4 | low) as u8),
        _ => Err(TargetFault::Percent),
    }
}

/// RFC 3986 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn rebuild_path(path: &str) -> Result<String, TargetFault> {
    let mut out = String::with_capacity(path.len() + 16);
    let mut open = false;
    for segment in path[1..].split('/') {
        let start = out.len();
        out.push('/');
        push_segment(segment.as_bytes(), &mut out)?;
        // RFC 3986 5.2.4, with an empty segment counted as a segment; above the root is the root.
        let up = &out[start + 1..] == "..";
        open = up || &out[start + 1..] == ".";
        if open {
            out.truncate(start);
        }
        if up {
            out.truncate(out.rfind('/').unwrap_or(0));
        }
    }
    if open {
        out.push('/');
    }
    Ok(out)
}

fn push_segment(segment: &[u8], out: &mut String) -> Result<(), TargetFault> {
    let mut at = 0;
    while at < segment.len() {
        match CLASS[segment[at] as usize] {
            Class::Refuse => return Err(TargetFault::Byte),
            Class::Encode => push_encoded(segment[at], out),
            Class::Plain | Class::Dot | Class::Slash => out.push(segment[at] as char),
            Class::Percent => {
                let byte = decode(&segment[at..])?;
                if is_unreserved(byte) {
                    out.push(byte as char)
                } else {
                    push_encoded(byte, out)
                }
                at += 2;
            }
        }
        at += 1;
    }
    Ok(())
}

fn push_encoded(byte: u8, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.extend([
        '%',
        HEX[usize::from(byte >> 4)] as char,
        HEX[usize::from(byte & 15)] as char,
    ]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let cases = [
            ("/", "/"),
            ("/a/b.c/~x_-", "/a/b.c/~x_-"),
            ("//a///b", "//a///b"),
            ("/a;v=1/b,c@d:e!$&'()*+=", "/a;v=1/b,c@d:e!$&'()*+="),
            ("/%7euser/%41%2d%5f", "/~user/A-_"),
            ("/%c3%a9", "/%C3%A9"),
            ("/é", "/%C3%A9"),
            ("/a%2fb%5c", "/a%2Fb%5C"),
            ("/\"<>\\^`{|}[]", "/%22%3C%3E%5C%5E%60%7B%7C%7D%5B%5D"),
            ("/./a/./b/.", "/a/b/"),
            ("/a/b/../c", "/a/c"),
            ("/a/b/..", "/a/"),
            ("/..", "/"),
            ("/../../a", "/a"),
            ("/%2e%2E/a/%2e/b/.%2e/c", "/a/c"),
            ("/a//../b", "/a/b"),
            ("//..", "/"),
            ("/a/...", "/a/..."),
            ("/a/..b/.c", "/a/..b/.c"),
            ("/%252e%252e/", "/%252e%252e/"),
            ("/..%2fa", "/..%2Fa"),
            ("/%0a", "/%0A"),
        ];
        for (path, normal) in cases {
            let got = normalise_path(path).unwrap();
            assert_eq!(got, normal, "{path}");
            assert_eq!(
                matches!(got, Cow::Borrowed(_)),
                path == normal,
                "{path}: borrowed only if normal"
            );
            assert!(
                matches!(normalise_path(normal).unwrap(), Cow::Borrowed(_)),
                "{normal} is not normal"
            );
        }
    }

    #[test]
    fn paths_refused() {
        let faults = [
            ("", TargetFault::Form),
            ("a", TargetFault::Form),
            ("*", TargetFault::Form),
            ("/%", TargetFault::Percent),
            ("/%4", TargetFault::Percent),
            ("/%4/", TargetFault::Percent),
            ("/%zz", TargetFault::Percent),
            ("/%+1", TargetFault::Percent),
            ("/é/%é", TargetFault::Percent),
            ("/a%00b", TargetFault::Nul),
            ("/é/%00", TargetFault::Nul),
            ("/a b", TargetFault::Byte),
            ("/a#b", TargetFault::Byte),
            ("/a?b", TargetFault::Byte),
            ("/é\r\n", TargetFault::Byte),
            ("/\x7f", TargetFault::Byte),
        ];
        for (path, fault) in faults {
            assert_eq!(normalise_path(path), Err(fault), "{path:?}");
        }
    }

    #[test]
    fn targets() {
        let cases: [(&str, &str, &str, &str, Option<&str>); 9] = [
            ("GET", "/a?b?c", "h", "/a", Some("b?c")),
            ("GET", "/?", "h", "/", Some("")),
            ("GET", "/a?x=|[é", "", "", None),
            ("GET", "/?x=|[", "h", "/", Some("x=|[")),
            ("GET", "hTTp://X.example:080/%61/..?q", "x.example:80", "/", Some("q")),
            ("GET", "https://x.example", "x.example", "/", None),
            ("GET", "http://x.example?q", "x.example", "/", Some("q")),
            ("OPTIONS", "http://x.example", "x.example", "*", None),
            ("OPTIONS", "*", "h", "*", None),
        ];
        for (method, target, host, path, query) in cases {
            match Target::new(method, target, Some("h")) {
                Ok(got) => assert_eq!((&*got.host, &*got.path, got.query), (host, path, query), "{target}"),
                Err(fault) => assert_eq!((fault, path), (TargetFault::Byte, ""), "{target}"),
            }
        }
        let refused = [
            "*",
            "",
            "x.example:443",
            "ftp://x/",
            "http://",
            "http:///a",
            "http://u@x/",
            "http://x/#f",
            "http://x#f",
            "/?a b",
        ];
        for target in refused {
            assert!(Target::new("GET", target, Some("h")).is_err(), "{target}");
        }
        assert!(Target::new("OPTIONS", "*?a", Some("h")).is_err());
        assert_eq!(Target::new("GET", "/", None).unwrap().host, "");
    }
}
