use bytes::Bytes;
use http::HeaderMap;

use super::head;

/// The most fields in a trailer section.
const MAX_TRAILER_FIELDS: usize = 64;

/// Reads a trailer section, its empty line included (RFC 9112 7.1.2): the fields that may be used, or none. The outer `None`: it is malformed.
pub(super) fn read_trailers(section: &Bytes) -> Option<Option<HeaderMap>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_TRAILER_FIELDS];
    let fields = match httparse::parse_headers(section, &mut headers) {
        Ok(httparse::Status::Complete((len, fields))) if len == section.len() => fields,
        _ => return None,
    };
    Some(usable_trailers(head::field_map(section, fields.iter())?))
}

/// The trailer fields that may be used, if there are any, whichever version of HTTP they came in.
pub fn usable_trailers(mut fields: HeaderMap) -> Option<HeaderMap> {
    for name in FORBIDDEN_TRAILERS {
        fields.remove(*name);
    }
    (!fields.is_empty()).then_some(fields)
}

/// RFC 9110 6.5.1: fields for framing, routing, request modification, authentication, control of the response or the form of its content
/// come too late to be heeded and are dropped.
#[rustfmt::skip]
const FORBIDDEN_TRAILERS: &[&str] = &[
    "age", "authorization", "cache-control", "connection", "content-encoding", "content-length", "content-range", "content-type", "cookie",
    "date", "expect", "expires", "host", "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "keep-alive",
    "location", "max-forwards", "pragma", "proxy-authenticate", "proxy-authentication-info", "proxy-authorization", "proxy-connection", "range", "retry-after",
    "set-cookie", "te", "trailer", "transfer-encoding", "upgrade", "vary", "via", "warning", "www-authenticate",
];
