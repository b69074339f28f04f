//! What our member of Cache-Status says (RFC 9211).

/// Why a request was forwarded (RFC 9211 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fwd {
    /// The site is configured not to handle it.
    Bypass,
    /// The method has to be forwarded.
    Method,
    /// Nothing is stored for the URI.
    UriMiss,
    /// Something is stored for the URI, but no variant of it fits.
    VaryMiss,
    /// Nothing that is stored fits, and it is not told apart why.
    Miss,
    /// What is stored fits, but the request demands more.
    Request,
    /// What is stored fits, but is stale.
    Stale,
    /// What is stored fits, but is only a part.
    Partial,
}

impl Fwd {
    /// The value of `fwd`.
    pub fn token(self) -> &'static str {
        match self {
            Fwd::Bypass => "bypass",
            Fwd::Method => "method",
            Fwd::UriMiss => "uri-miss",
            Fwd::VaryMiss => "vary-miss",
            Fwd::Miss => "miss",
            Fwd::Request => "request",
            Fwd::Stale => "stale",
            Fwd::Partial => "partial",
        }
    }
}

/// What is said of one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStatus {
    /// It came from the cache without the request being forwarded (2.1). Excludes `fwd`, which is then left out.
    pub hit: bool,
    /// Why the request was forwarded (2.2).
    pub fwd: Option<Fwd>,
    /// The status with which the next server answered (2.3).
    pub fwd_status: Option<u16>,
    /// It was stored (2.5).
    pub stored: bool,
    /// The request shared another one's fetch (2.6).
    pub collapsed: bool,
    /// Freshness lifetime left, in seconds (2.4).
    pub ttl: Option<i64>,
    /// What more there is to say, a short code (2.8).
    pub detail: Option<&'static str>,
}

/// Appends `status` to `out` as a list member, such as `verge; hit; ttl=57`. Allocates nothing beyond `out`.
pub fn write(out: &mut Vec<u8>, status: &CacheStatus) {
    out.extend_from_slice(b"verge");
    match status.fwd {
        _ if status.hit => out.extend_from_slice(b"; hit"),
        Some(fwd) => {
            out.extend_from_slice(b"; fwd=");
            out.extend_from_slice(fwd.token().as_bytes());
        }
        None => {}
    }
    let mut digits = itoa::Buffer::new();
    if let Some(code) = status.fwd_status {
        out.extend_from_slice(b"; fwd-status=");
        out.extend_from_slice(digits.format(code).as_bytes());
    }
    if status.stored {
        out.extend_from_slice(b"; stored");
    }
    if let Some(ttl) = status.ttl {
        out.extend_from_slice(b"; ttl=");
        out.extend_from_slice(digits.format(ttl).as_bytes());
    }
    if status.collapsed {
        out.extend_from_slice(b"; collapsed");
    }
    if let Some(detail) = status.detail {
        out.extend_from_slice(b"; detail=");
        write_token_or_string(out, detail.as_bytes());
    }
}

/// RFC 8941 3.3.3, 3.3.4: as a token if it is one, else as a string, without what neither can hold.
fn write_token_or_string(out: &mut Vec<u8>, text: &[u8]) {
    let starts = text
        .first()
        .is_some_and(|first| first.is_ascii_alphabetic() || *first == b'*');
    let continues = |byte: &u8| super::list::is_token_byte(*byte) || matches!(byte, b':' | b'/');
    if starts && text.iter().all(continues) {
        return out.extend_from_slice(text);
    }
    out.push(b'"');
    for byte in text.iter().filter(|byte| matches!(byte, 0x20..=0x7e)) {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(status: CacheStatus) -> String {
        let mut out = Vec::new();
        write(&mut out, &status);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_what_is_said() {
        let hit = CacheStatus {
            hit: true,
            ttl: Some(57),
            ..CacheStatus::default()
        };
        assert_eq!(written(hit), "verge; hit; ttl=57");
        let miss = CacheStatus {
            fwd: Some(Fwd::UriMiss),
            fwd_status: Some(200),
            stored: true,
            collapsed: true,
            ttl: Some(-60),
            detail: Some("expired"),
            ..CacheStatus::default()
        };
        assert_eq!(
            written(miss),
            "verge; fwd=uri-miss; fwd-status=200; stored; ttl=-60; collapsed; detail=expired"
        );
        let odd = CacheStatus {
            detail: Some("a \"b\"\u{e9}"),
            ..CacheStatus::default()
        };
        assert_eq!(written(odd), r#"verge; detail="a \"b\"""#);
    }
}
