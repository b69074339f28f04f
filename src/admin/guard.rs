//! Who may call what.
//!
//! Without a token the API is for this machine alone, and for programs on it: a page in a browser here can send requests
//! too, but neither under a name that it was not loaded from, nor with a field of its own making.

use std::net::{IpAddr, SocketAddr};

use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HOST, HeaderMap};

use crate::config::SecretText;
use crate::pipeline::bearer;

/// The field that writing calls need where no token is asked for.
pub const WRITING: &str = "verge-admin";

/// What a call may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// For everybody who can connect.
    Open,
    /// Tells what not everybody may know.
    Read,
    /// Changes something.
    Write,
}

/// Who may call what on one listener.
pub struct Guard {
    loopback: bool,
    token: Option<SecretText>,
}

/// Why a call is refused.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// What to do about it.
    pub why: &'static str,
}

impl Guard {
    /// For a listener on `address`; `token` is asked for if there is one.
    pub fn new(address: SocketAddr, token: Option<SecretText>) -> Self {
        Guard {
            loopback: address.ip().to_canonical().is_loopback(),
            token,
        }
    }

    /// Whether a request with these fields may do what needs `access`.
    pub fn allows(&self, access: Access, fields: &HeaderMap) -> Result<(), Refusal> {
        let refuse = |status, why| Err(Refusal { status, why });
        match (&self.token, access) {
            (_, Access::Open) => Ok(()),
            (Some(token), _) => match fields.get(AUTHORIZATION).is_some_and(|given| is(token, given)) {
                true => Ok(()),
                false => refuse(
                    StatusCode::UNAUTHORIZED,
                    "send Authorization: Bearer and the admin_token",
                ),
            },
            (None, _) if !self.loopback => refuse(
                StatusCode::FORBIDDEN,
                "not on loopback: set [server] admin_token to allow this from elsewhere",
            ),
            (None, _) if !is_this_machine(fields) => refuse(
                StatusCode::MISDIRECTED_REQUEST,
                "call this machine by its address, or localhost",
            ),
            (None, Access::Write) if !fields.contains_key(WRITING) => refuse(
                StatusCode::FORBIDDEN,
                "send the field Verge-Admin: 1 with calls that change something",
            ),
            (None, _) => Ok(()),
        }
    }
}

/// RFC 6750 2.1
fn is(token: &SecretText, given: &hyper::header::HeaderValue) -> bool {
    bearer(given.as_bytes()).is_some_and(|given| token.matches(given))
}

/// Whether the request is for this machine by its address or as `localhost`: a name in somebody's DNS may lead here too.
fn is_this_machine(fields: &HeaderMap) -> bool {
    let Some(host) = fields.get(HOST) else { return true };
    let Ok(host) = host.to_str() else { return false };
    let (name, _) = crate::target::split_port(host);
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(listener: &str, token: Option<&str>, access: Access, fields: &[(&'static str, &str)]) -> u16 {
        let guard = Guard::new(listener.parse().unwrap(), token.map(SecretText::new));
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(*name, value.parse().unwrap());
        }
        guard
            .allows(access, &map)
            .map_or_else(|refusal| refusal.status.as_u16(), |()| 200)
    }

    #[test]
    fn who_may_call_what() {
        use Access::*;
        let (here, there) = ("127.0.0.1:9180", "192.0.2.1:9180");
        let writing = ("verge-admin", "1");
        let good = ("authorization", "Bearer sesame");
        for (listener, token, access, fields, status) in [
            (here, None, Open, &[][..], 200),
            (there, None, Open, &[], 200),
            (there, Some("sesame"), Open, &[("host", "evil.example")], 200),
            (here, None, Read, &[], 200),
            (here, None, Read, &[("host", "localhost:9180")], 200),
            (here, None, Read, &[("host", "127.0.0.1:9180")], 200),
            (here, None, Read, &[("host", "[::1]:9180")], 200),
            (here, None, Read, &[("host", "rebound.example")], 421),
            (here, None, Write, &[], 403),
            (here, None, Write, &[writing], 200),
            (here, None, Write, &[writing, ("host", "rebound.example")], 421),
            (there, None, Read, &[], 403),
            (there, None, Write, &[writing], 403),
            (there, Some("sesame"), Read, &[], 401),
            (there, Some("sesame"), Read, &[good], 200),
            (there, Some("sesame"), Write, &[good], 200),
            (here, Some("sesame"), Write, &[writing], 401),
            (there, Some("sesame"), Write, &[("authorization", "bearer sesame")], 200),
            (there, Some("sesame"), Write, &[("authorization", "Bearer sesamE")], 401),
            (there, Some("sesame"), Write, &[("authorization", "Basic sesame")], 401),
            ("[::ffff:127.0.0.1]:1", None, Read, &[], 200),
        ] {
            assert_eq!(
                asked(listener, token, access, fields),
                status,
                "{listener} {token:?} {access:?} {fields:?}"
            );
        }
    }
}
