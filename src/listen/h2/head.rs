//! Heads: a request as HTTP/2 brings it, and an answer as HTTP/2 sends it.

use http::header::CACHE_STATUS;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, request};
use smallvec::SmallVec;

use crate::http1::{MAX_FIELDS, Refusal, expectation};
use crate::listen::ask::Asked;
use crate::pipeline::{Answer, FieldValue, Refused, RequestLength};
use crate::policy::fields::{Field, Known, RequestFields};
use crate::target::is_host;

/// Room for a request's field lines.
pub type Lines<'a> = SmallVec<[Field<'a>; 32]>;

/// A request's head. `ended` says that no body follows.
///
/// The h2 crate has refused most of what RFC 9113 8.2 and 8.3 call malformed: pseudo-fields out of place, names in upper
/// case, fields of the connection.
pub fn asked<'s, 'h: 's>(
    head: &'h request::Parts,
    ended: bool,
    lines: &'s mut Lines<'h>,
) -> Result<Asked<'s>, Refused> {
    if head.headers.len() > MAX_FIELDS {
        return Err(refused(Refusal::TooManyFields));
    }
    // RFC 9113 8.2.1
    if head.headers.values().any(|value| is_padded(value.as_bytes())) {
        return Err(refused(Refusal::FieldLine));
    }
    // RFC 9113 8.3.1: the crate takes an empty one for none, and drops it where there is no authority.
    if head.uri.scheme().is_none() && head.uri.authority().is_some() && head.method != Method::CONNECT {
        return Err(refused(Refusal::Target));
    }
    lines.extend(head.headers.iter().map(|(name, value)| Field {
        name: name.as_str().as_bytes(),
        value: value.as_bytes(),
    }));
    let fields = RequestFields::new(lines);
    Ok(Asked {
        method: head.method.as_str(),
        target: head.uri.path_and_query().map_or("", |target| target.as_str()),
        scheme: head.uri.scheme_str(),
        host: Some(host(head, &fields)?),
        version: "2.0",
        body: length(ended, &fields)?,
        fields,
    })
}

/// What is known of a request that [`asked`] refuses.
pub fn so_far(head: &request::Parts) -> Asked<'_> {
    Asked {
        method: head.method.as_str(),
        target: head.uri.path_and_query().map_or("", |target| target.as_str()),
        scheme: head.uri.scheme_str(),
        host: head.uri.authority().map(|authority| authority.as_str()),
        fields: RequestFields::new(&[]),
        version: "2.0",
        body: RequestLength::None,
    }
}

fn is_padded(value: &[u8]) -> bool {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    is_blank(value.first()) || is_blank(value.last())
}

/// RFC 9113 8.3.1: `:authority` is what `Host` is in HTTP/1.1; a request may have either, or both if they are the same.
fn host<'a>(head: &'a request::Parts, fields: &RequestFields<'a>) -> Result<&'a str, Refused> {
    let authority = head.uri.authority().map(|authority| authority.as_str());
    let field = match fields.has(Known::Host) {
        false => None,
        true => {
            let value = fields.only(Known::Host).ok_or(refused(Refusal::SeveralHosts))?;
            Some(std::str::from_utf8(value).map_err(|_| refused(Refusal::BadHost))?)
        }
    };
    let host = match (authority, field) {
        (None, None) => return Err(refused(Refusal::NoHost)),
        (Some(authority), Some(field)) if !authority.eq_ignore_ascii_case(field) => {
            return Err(refused(Refusal::HostMismatch));
        }
        (Some(host), _) | (None, Some(host)) => host,
    };
    if is_host(host) {
        Ok(host)
    } else {
        Err(refused(Refusal::BadHost))
    }
}

fn length(ended: bool, fields: &RequestFields<'_>) -> Result<RequestLength, Refused> {
    if ended {
        return Ok(RequestLength::None);
    }
    let Some(value) = fields.all(Known::ContentLength).next() else {
        return Ok(RequestLength::Unknown);
    };
    // The crate holds the data against it (RFC 9113 8.1.1).
    let digits = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    digits.map(RequestLength::Known).ok_or(refused(Refusal::ContentLength))
}

/// Whether the client waits for `100 Continue`; an error is an expectation that cannot be met.
pub fn waits(fields: &RequestFields<'_>) -> Result<bool, Refused> {
    expectation(fields).map_err(refused)
}

fn refused(refusal: Refusal) -> Refused {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
    Refused::new(status, refusal.detail())
}

/// An answer's head.
pub fn response(answer: &Answer<'_>) -> Response<()> {
    let mut fields = HeaderMap::with_capacity(answer.fields_at_most());
    answer.each_field(|name, value| {
        let value = match value {
            FieldValue::Kept(value) => Some(value.clone()),
            FieldValue::Made(bytes) => HeaderValue::from_bytes(bytes).ok(),
        };
        if let Some(value) = value {
            fields.append(name, value);
        }
    });
    let mut status = Vec::with_capacity(64);
    answer.write_cache_status(&mut status);
    if let Ok(value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(status)) {
        fields.append(CACHE_STATUS, value);
    }
    let mut response = Response::new(());
    *response.status_mut() = answer.status;
    *response.headers_mut() = fields;
    response
}
