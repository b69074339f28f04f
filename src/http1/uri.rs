//! The parts of a URI that a head is judged by: which form a target has, and what is a host (RFC 9110 7.2, RFC 3986 3.2.2).

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::net::Ipv6Addr;

/// The longest host that is taken, port included: the bound on a DNS name (RFC 1035 2.3.4).
pub const MAX_HOST: usize = 255;

/// Why a target is refused; always the client's fault and worth a `400`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetFault {
    /// Not one of the forms of RFC 9112 3.2 that name a resource.
    Form,
    /// A `%` without two hexadecimal digits.
    Percent,
    /// `%00`, which ends a string for some readers and not for others.
    Nul,
    /// A byte that no spelling of a path or query may hold.
    Byte,
    /// The host is not a name, an IPv4 address or a bracketed IPv6 address.
    Host,
    /// The port is not a number from 1 to 65535.
    Port,
}

impl TargetFault {
    /// A short token for logs and `Proxy-Status`.
    pub fn detail(self) -> &'static str {
        match self {
            TargetFault::Form => "target-form",
            TargetFault::Percent => "target-percent",
            TargetFault::Nul => "target-nul",
            TargetFault::Byte => "target-byte",
            TargetFault::Host => "host",
            TargetFault::Port => "port",
        }
    }

    /// One sentence for people.
    pub fn reason(self) -> &'static str {
        match self {
            TargetFault::Form => "The request target is not a path or an http URL.",
            TargetFault::Percent => "The path holds a % that is not followed by two hexadecimal digits.",
            TargetFault::Nul => "The path holds an encoded NUL.",
            TargetFault::Byte => "The path or query holds a byte that must be percent-encoded.",
            TargetFault::Host => "The host is not a valid name or address.",
            TargetFault::Port => "The port is not a number from 1 to 65535.",
        }
    }
}

impl fmt::Display for TargetFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for TargetFault {}

/// The scheme that an absolute-form target names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

/// Splits an absolute-form target (RFC 9112 3.2.2) into scheme, authority and what follows; `None` if it is in another form.
pub fn split_absolute(target: &str) -> Option<(Scheme, &str, &str)> {
    if target.starts_with('/') {
        return None;
    }
    let (scheme, rest) = target.split_once("://")?;
    let scheme = match scheme {
        s if s.eq_ignore_ascii_case("http") => Scheme::Http,
        s if s.eq_ignore_ascii_case("https") => Scheme::Https,
        _ => return None,
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    Some((scheme, &rest[..end], &rest[end..]))
}

/// A host and port taken apart.
struct Authority<'a> {
    name: Name<'a>,
    /// What follows the colon: digits, possibly none.
    port: Option<&'a str>,
}

enum Name<'a> {
    /// Without the one trailing dot that is allowed.
    Registered(&'a str),
    V6(Ipv6Addr),
}

/// Whether this is `uri-host [ ":" port ]` as [`normalise_host`] takes it.
pub fn is_host(host: &str) -> bool {
    is_plain(host) || read_authority(host).is_ok()
}

/// Whether this is a name, with a port or without, that is valid and already normal, as nearly all are. In one pass.
fn is_plain(host: &str) -> bool {
    let bytes = host.as_bytes();
    let (mut last, mut proper, mut name) = (DOT, true, bytes.len());
    for (at, byte) in bytes.iter().enumerate() {
        let this = PLAIN[*byte as usize];
        if this == 0 {
            name = at;
            break;
        }
        proper &= (this | last) != DOT;
        last = this;
    }
    let port = &bytes[name..];
    proper
        && last == LABEL
        && bytes.len() <= MAX_HOST
        && (port.is_empty() || matches!(port, [b':', b'1'..=b'9', ..]) && is_port_from(host, name))
}

/// Whether all that follows the colon at `at` is a port: `x:80:81` has another colon in it.
fn is_port_from(host: &str, at: usize) -> bool {
    matches!(split_port(host), (name, Some(_)) if name.len() == at)
}

/// Normalises `host[:port]`: lower case, no trailing dot, no empty port or leading zeros in one, IPv6 in its RFC 5952 spelling. Userinfo,
/// percent-encoding, empty labels, zones and anything else that is no name and no address are faults. Idempotent; borrows what is normal.
pub fn normalise_host(host: &str) -> Result<Cow<'_, str>, TargetFault> {
    if is_plain(host) {
        return Ok(Cow::Borrowed(host));
    }
    let authority = read_authority(host)?;
    let mut same = Same(host);
    if authority.write(&mut same).is_ok() && same.0.is_empty() {
        return Ok(Cow::Borrowed(host));
    }
    let mut out = String::with_capacity(host.len() + 8);
    // Writing to a String does not fail.
    authority.write(&mut out).map_err(|_| TargetFault::Host)?;
    Ok(Cow::Owned(out))
}

/// Splits a normalised host into name (an IPv6 address keeps its brackets) and port.
pub fn split_port(host: &str) -> (&str, Option<u16>) {
    let bytes = host.as_bytes();
    // A port has at most five digits; in an address within brackets a `]` follows the last colon.
    let within = bytes.len().saturating_sub(6);
    let Some(colon) = bytes[within..].iter().rposition(|byte| *byte == b':') else {
        return (host, None);
    };
    let (name, port) = (&host[..within + colon], &host[within + colon + 1..]);
    match port.bytes().all(|byte| byte.is_ascii_digit()) {
        true => (name, port.parse().ok()),
        false => (host, None),
    }
}

fn read_authority(host: &str) -> Result<Authority<'_>, TargetFault> {
    if host.len() > MAX_HOST {
        return Err(TargetFault::Host);
    }
    let (name, rest) = match host.strip_prefix('[') {
        // RFC 3986 3.2.2: of IP-literals only IPv6 without zone; IPvFuture is nobody's yet.
        Some(literal) => {
            let (address, rest) = literal.split_once(']').ok_or(TargetFault::Host)?;
            (Name::V6(address.parse().map_err(|_| TargetFault::Host)?), rest)
        }
        None => {
            let (name, rest) = host.split_at(memchr::memchr(b':', host.as_bytes()).unwrap_or(host.len()));
            (Name::Registered(registered_name(name)?), rest)
        }
    };
    let port = match rest.strip_prefix(':') {
        Some(digits) => Some(valid_port(digits)?),
        None if rest.is_empty() => None,
        None => return Err(TargetFault::Host),
    };
    Ok(Authority { name, port })
}

/// What a byte is in a registered name: nothing, part of a label, or a dot.
const LABEL: u8 = 1;
const DOT: u8 = 2;
const IN_NAME: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => LABEL,
            b'.' => DOT,
            _ => 0,
        };
        byte += 1;
    }
    table
};

/// The same without capitals.
const PLAIN: [u8; 256] = {
    let mut table = IN_NAME;
    let mut byte = b'A';
    while byte <= b'Z' {
        table[byte as usize] = 0;
        byte += 1;
    }
    table
};

/// Narrower than RFC 3986's reg-name, which allows sub-delims and escapes that resolvers and origins read in different ways.
fn registered_name(name: &str) -> Result<&str, TargetFault> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut last = DOT;
    let mut valid = true;
    for byte in name.bytes() {
        let this = IN_NAME[byte as usize];
        valid &= this != 0 && (this | last) != DOT;
        last = this;
    }
    if valid && last == LABEL {
        Ok(name)
    } else {
        Err(TargetFault::Host)
    }
}

/// RFC 3986 3.2.3 allows any digits, also none; a number is only a port if something can listen there.
fn valid_port(digits: &str) -> Result<&str, TargetFault> {
    let is_port = digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok_and(|port| port > 0);
    if is_port || digits.is_empty() {
        Ok(digits)
    } else {
        Err(TargetFault::Port)
    }
}

impl Authority<'_> {
    /// Writes the normal spelling.
    fn write(&self, out: &mut impl Write) -> fmt::Result {
        match self.name {
            Name::Registered(name) => {
                let mut rest = name;
                while let Some(at) = rest.bytes().position(|byte| byte.is_ascii_uppercase()) {
                    out.write_str(&rest[..at])?;
                    out.write_char(rest.as_bytes()[at].to_ascii_lowercase() as char)?;
                    rest = &rest[at + 1..];
                }
                out.write_str(rest)?;
            }
            Name::V6(address) => write!(out, "[{address}]")?,
        }
        // RFC 3986 6.2.3: an empty port is as good as none.
        match self.port.map(|digits| digits.trim_start_matches('0')) {
            None | Some("") => Ok(()),
            Some(digits) => {
                out.write_char(':')?;
                out.write_str(digits)
            }
        }
    }
}

/// What remains of a text that is being written a second time; fails where the two differ.
struct Same<'a>(&'a str);

impl Write for Same<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(text).ok_or(fmt::Error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let cases = [
            ("example.com", "example.com", None),
            ("EXAMPLE.Com.", "example.com", None),
            ("example.com.:00443", "example.com:443", Some(443)),
            ("example.com:", "example.com", None),
            ("a_b-c.d", "a_b-c.d", None),
            ("127.0.0.1:8080", "127.0.0.1:8080", Some(8080)),
            ("[::1]", "[::1]", None),
            ("[::1]:80", "[::1]:80", Some(80)),
            ("[2001:DB8:0:0::1]:08", "[2001:db8::1]:8", Some(8)),
        ];
        for (host, normal, port) in cases {
            let got = normalise_host(host).unwrap();
            assert_eq!(got, normal, "{host}");
            assert_eq!(
                matches!(got, Cow::Borrowed(_)),
                host == normal,
                "{host}: borrowed only if normal"
            );
            assert_eq!(split_port(normal).1, port, "{host}");
            assert!(
                matches!(normalise_host(normal).unwrap(), Cow::Borrowed(_)),
                "{normal} is not normal"
            );
        }
        assert_eq!(split_port("[::1]:80"), ("[::1]", Some(80)));
        assert_eq!(split_port("[::1]"), ("[::1]", None));
    }

    #[test]
    fn hosts_refused() {
        let cases = "|.|..|a..b|.a|a..|:80|a:b|a:0|a:65536|a:+1|a:1:2|u@a|a%41|a b|a,b|a/b|a\\b|é|[|[]|[::1|[::1]x|[fe80::1%25eth0]|[1.2.3.4]|[v1.a]|::1|a\0";
        for host in cases.split('|') {
            assert!(!is_host(host), "{host:?}");
            assert!(normalise_host(host).is_err(), "{host:?}");
        }
        assert!(is_host(&"a".repeat(255)));
        assert!(!is_host(&"a".repeat(256)));
    }

    #[test]
    fn absolute_form() {
        assert_eq!(split_absolute("HTTP://a:1/b?c"), Some((Scheme::Http, "a:1", "/b?c")));
        assert_eq!(split_absolute("https://a?c"), Some((Scheme::Https, "a", "?c")));
        assert_eq!(split_absolute("ftp://a/"), None);
        assert_eq!(split_absolute("/http://a/"), None);
    }
}
