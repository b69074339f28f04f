//! What an operator says about an origin.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::time::Duration;

/// One origin (a named pool of servers) and how to speak to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginConfig {
    /// The pool's name.
    pub name: String,
    /// Its servers, at least one; they take turns.
    pub servers: Vec<ServerUrl>,
    /// What is spoken to them.
    pub protocol: Protocol,
    /// The `Host` to send instead of the request's.
    pub host: Option<String>,
    /// The name to ask for, and to check the certificate against, in TLS. Default: `host`, else the request's host; without a port.
    pub sni: Option<String>,
    /// A PEM bundle of the certificate authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether the server's certificate is checked.
    pub verify: bool,
    /// The longest wait for each of: the name, the TCP connection, the TLS handshake, the server's HTTP/2 SETTINGS.
    pub connect_timeout: Duration,
    /// The longest wait from the last byte of the request to the end of the response's head.
    pub first_byte_timeout: Duration,
    /// The longest silence within a response's body.
    pub between_bytes_timeout: Duration,
    /// The longest time for which the origin takes none of the request.
    pub write_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// How many unused connections are kept, in all. Over HTTP/2 it is seen to when another one is opened.
    pub max_idle: usize,
}

impl Default for OriginConfig {
    fn default() -> Self {
        OriginConfig {
            name: String::new(),
            servers: Vec::new(),
            protocol: Protocol::Http1,
            host: None,
            sni: None,
            ca_file: None,
            verify: true,
            connect_timeout: Duration::from_secs(5),
            first_byte_timeout: Duration::from_secs(30),
            between_bytes_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(55),
            max_idle: 128,
        }
    }
}

/// What is spoken to an origin's servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, agreed on by ALPN where the server speaks TLS, else without asking (RFC 9113 3.3).
    Http2,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl {
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Its name in lower case or its address, an IPv6 address without brackets.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
}

impl ServerUrl {
    /// Reads `http://host[:port]` or `https://host[:port]`; the error says what is wrong and what to write instead.
    pub fn parse(url: &str) -> Result<ServerUrl, String> {
        // Said before anything else, because nothing may print what stands before the `@`.
        if let Some(at) = url.rfind('@') {
            let mend = &url[at + 1..];
            return Err(format!(
                "`...@{mend}`: a server has no user name or password; leave them out and send credentials in a field"
            ));
        }
        let (tls, rest) = scheme(url)?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if let Some(at) = authority.find(['/', '?', '#']) {
            let mend = &url[..url.len() - rest.len() + at];
            return Err(format!("`{url}`: a server has no path or query; write `{mend}`"));
        }
        let (host, port) = host_and_port(authority).map_err(|why| format!("`{url}`: {why}"))?;
        let port = port.unwrap_or(if tls { 443 } else { 80 });
        Ok(ServerUrl { tls, host, port })
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = scheme_name(self.tls);
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

fn scheme_name(tls: bool) -> &'static str {
    if tls { "https" } else { "http" }
}

fn scheme(url: &str) -> Result<(bool, &str), String> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(format!(
            "`{url}` has no scheme; write `https://{url}` or `http://{url}`"
        ));
    };
    // RFC 3986 section 3.1: schemes are case-insensitive.
    match scheme.to_ascii_lowercase().as_str() {
        "http" => Ok((false, rest)),
        "https" => Ok((true, rest)),
        _ => Err(format!("`{url}`: the scheme is `http` or `https`, not `{scheme}`")),
    }
}

fn host_and_port(authority: &str) -> Result<(String, Option<u16>), String> {
    let (host, port) = split_port(authority);
    let host = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(v6) if v6.parse::<Ipv6Addr>().is_ok() => v6.to_ascii_lowercase(),
        Some(v6) => return Err(format!("`{v6}` is not an IPv6 address")),
        None if host.parse::<Ipv6Addr>().is_ok() => {
            return Err(format!("an IPv6 address stands in brackets; write `[{host}]`"));
        }
        None if is_name(host) => host.to_ascii_lowercase(),
        None if host.is_empty() => return Err("the host is missing".to_owned()),
        None => return Err(format!("`{host}` is not a host name")),
    };
    match port.map(str::parse::<u16>) {
        None => Ok((host, None)),
        Some(Ok(port)) if port > 0 => Ok((host, Some(port))),
        Some(_) => Err("the port is a number from 1 to 65535".to_owned()),
    }
}

/// Splits `host[:port]`, where an IPv6 address may stand in brackets (or bare, without a port).
pub(super) fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if host.ends_with(']') || !host.contains(':') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn is_name(host: &str) -> bool {
    // RFC 1035 section 2.3.4 bounds a name at 255 octets; underscores occur in private zones.
    !host.is_empty()
        && host.len() <= 255
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (url, shown) in [
            ("https://App.example.com", "https://app.example.com:443"),
            ("http://10.0.0.1:8080", "http://10.0.0.1:8080"),
            ("HTTP://[::1]:81/", "http://[::1]:81"),
            ("https://[2001:db8::1]", "https://[2001:db8::1]:443"),
        ] {
            assert_eq!(ServerUrl::parse(url).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn errors_name_the_mend() {
        for (url, part) in [
            ("app.example.com", "write `https://app.example.com`"),
            ("ftp://a", "`http` or `https`"),
            ("https://a/path", "write `https://a`"),
            ("https://a:8443?q", "write `https://a:8443`"),
            ("https://me:pw@a", "`...@a`: a server has no user name"),
            ("https://me:p@w@a/b", "`...@a/b`: a server has no user name"),
            ("https://a:0", "1 to 65535"),
            ("https://a:99999", "1 to 65535"),
            ("https://a:", "1 to 65535"),
            ("https://::1", "write `[::1]`"),
            ("https://[a]", "not an IPv6"),
            ("https://", "host is missing"),
            ("https://a b", "not a host name"),
        ] {
            let error = ServerUrl::parse(url).unwrap_err();
            assert!(error.contains(part), "{url}: {error}");
        }
    }
}
