//! What the lines of a request head mean together, and which meanings are refused.

use super::head::{self, Coding, Version};
use super::refusal::Refusal;
use super::request::{Framing, RequestHead};
use super::uri;
use crate::policy::fields::{Known, RequestFields};

/// Makes a head of its parsed lines, if they can be understood in one way only.
pub(super) fn judge<'a>(
    method: &'a str,
    target: &'a str,
    version: Version,
    fields: RequestFields<'a>,
) -> Result<RequestHead<'a>, Refusal> {
    let authority = authority_of(method, target)?;
    let host_value = host(version, authority, &fields)?;
    let framing = framing(version, &fields)?;
    let keep_alive = connection(version, &fields)?;
    let expected = expectation(&fields)?;
    // RFC 9110 10.1.1: not in HTTP/1.0, and there is nothing to wait for without a body.
    let expects_continue = expected && version == Version::Http11 && framing != Framing::None;
    Ok(RequestHead {
        method,
        target,
        version,
        fields,
        framing,
        keep_alive,
        expects_continue,
        host_value,
    })
}

/// Checks that the target is in a form that the method may have (RFC 9112 3.2); gives the authority if it holds one.
fn authority_of<'a>(method: &str, target: &'a str) -> Result<Option<&'a str>, Refusal> {
    // A fragment is never sent (RFC 9112 3.2.1); some would cut it off, others not.
    if memchr::memchr(b'#', target.as_bytes()).is_some() {
        return Err(Refusal::Target);
    }
    let authority = match target {
        // RFC 9112 3.2.3: CONNECT has a host and a port and nothing else.
        _ if method == "CONNECT" => Some(target).filter(|target| uri::split_port(target).1.is_some()),
        _ if target.starts_with('/') => return Ok(None),
        "*" if method == "OPTIONS" => return Ok(None),
        _ => uri::split_absolute(target).map(|(_, authority, _)| authority),
    };
    authority
        .filter(|authority| uri::is_host(authority))
        .map(Some)
        .ok_or(Refusal::Target)
}

/// RFC 9112 3.2: one valid `Host` in HTTP/1.1, at most one in HTTP/1.0, and no other than the target's.
fn host<'a>(
    version: Version,
    authority: Option<&'a str>,
    fields: &RequestFields<'a>,
) -> Result<Option<&'a str>, Refusal> {
    if !fields.has(Known::Host) {
        return if version == Version::Http11 {
            Err(Refusal::NoHost)
        } else {
            Ok(authority)
        };
    }
    let value = fields.only(Known::Host).ok_or(Refusal::SeveralHosts)?;
    let host = std::str::from_utf8(value)
        .ok()
        .filter(|host| uri::is_host(host))
        .ok_or(Refusal::BadHost)?;
    match authority {
        // RFC 9112 3.2.2 would have Host ignored. Those that do not ignore it see another site.
        Some(authority) if !authority.eq_ignore_ascii_case(host) => Err(Refusal::HostMismatch),
        Some(authority) => Ok(Some(authority)),
        None => Ok(Some(host)),
    }
}

/// RFC 9112 6.3, with every case that is left to the recipient's judgement refused.
fn framing(version: Version, fields: &RequestFields<'_>) -> Result<Framing, Refusal> {
    let has_length = fields.has(Known::ContentLength);
    if fields.has(Known::TransferEncoding) {
        // RFC 9112 6.1: a sign of smuggling, both.
        if has_length {
            return Err(Refusal::LengthAndCoding);
        }
        if version == Version::Http10 {
            return Err(Refusal::CodingInHttp10);
        }
        return match head::coding(fields.only(Known::TransferEncoding)) {
            Coding::Chunked => Ok(Framing::Chunked),
            Coding::Unsupported => Err(Refusal::UnsupportedCoding),
            Coding::Unknown | Coding::Ambiguous => Err(Refusal::TransferCoding),
        };
    }
    if !has_length {
        return Ok(Framing::None);
    }
    let length = fields.only(Known::ContentLength).and_then(head::decimal);
    length.map(Framing::Length).ok_or(Refusal::ContentLength)
}

/// Whether the connection is kept. RFC 9110 7.6.1: an option names a field for the next hop only, so one that names a field by which this
/// edge decides would make the origin answer another request than the one decided on.
fn connection(version: Version, fields: &RequestFields<'_>) -> Result<bool, Refusal> {
    if !fields.has(Known::Connection) {
        return Ok(version == Version::Http11);
    }
    let hop_by_hop = |option| match Known::of(option) {
        None => true,
        Some(known) => matches!(known, Known::Connection | Known::KeepAlive | Known::Te | Known::Upgrade),
    };
    let mut proper = true;
    let options = fields.all(Known::Connection).flat_map(head::list);
    let checked = options.inspect(|option| proper &= head::is_token(option) && hop_by_hop(option));
    let keep_alive = head::keeps_alive(version, checked);
    if proper {
        Ok(keep_alive)
    } else {
        Err(Refusal::Connection)
    }
}

/// Whether `100-continue` is expected; any other expectation cannot be met (RFC 9110 10.1.1).
pub fn expectation(fields: &RequestFields<'_>) -> Result<bool, Refusal> {
    let met = fields
        .all(Known::Expect)
        .all(|value| value.eq_ignore_ascii_case(b"100-continue"));
    if met {
        Ok(fields.has(Known::Expect))
    } else {
        Err(Refusal::Expectation)
    }
}
