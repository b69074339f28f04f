//! The request that goes to the origin, written anew from what was understood of the client's.

use std::fmt::Write;
use std::net::IpAddr;

use http::header::{
    ACCEPT_RANGES, AUTHORIZATION, CONTENT_LENGTH, COOKIE, ETAG, EXPECT, FORWARDED, HOST, IF_MATCH, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, MAX_FORWARDS, RANGE, UPGRADE, VIA,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::edge::Edge;
use super::request::OwnedRequest;
use crate::cache::object::Head;
use crate::origin::FetchRequest;
use crate::policy::fields::{Known, RequestFields};
use crate::policy::hop::{is_hop_by_hop, is_removable};
use crate::policy::range::ByteRange;
use crate::policy::targeted::SURROGATE_CONTROL;
use crate::policy::{list, trace};

/// Conditions and ranges: the client's own affair, answered from what is fetched for all.
const OF_ONE_CLIENT: [HeaderName; 6] = [
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_RANGE,
    IF_UNMODIFIED_SINCE,
    RANGE,
];

/// RFC 8586 2
const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// Edge Architecture 1.0, 2.2: that `Surrogate-Control` is read here.
const SURROGATE_CAPABILITY: HeaderName = HeaderName::from_static("surrogate-capability");
const CAPABILITY: &str = "verge=\"Surrogate/1.0\"";

/// What the request is called, here and there. A client's own says nothing to those who look for ours.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The request whose answer serves everyone: a `GET` of the whole representation.
pub(super) fn for_all(edge: &Edge, request: &OwnedRequest) -> FetchRequest {
    let mut forwarded = as_it_is(edge, request);
    forwarded.method = Method::GET;
    for name in OF_ONE_CLIENT {
        forwarded.fields.remove(name);
    }
    // None is stored.
    forwarded.trailers = false;
    forwarded
}

/// The same, with a question: has the stored version changed (RFC 9111 4.3.1)?
pub(super) fn validating(edge: &Edge, request: &OwnedRequest, head: &Head) -> FetchRequest {
    let mut forwarded = for_all(edge, request);
    let stored = |name: &HeaderName| {
        head.fields
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.clone())
    };
    if let Some(etag) = stored(&ETAG) {
        forwarded.fields.insert(IF_NONE_MATCH, etag);
    }
    if let Some(modified) = stored(&http::header::LAST_MODIFIED) {
        forwarded.fields.insert(IF_MODIFIED_SINCE, modified);
    }
    forwarded
}

/// A part of a body; one without an end is the rest.
pub(super) fn part(mut forwarded: FetchRequest, part: ByteRange) -> FetchRequest {
    let range = match part.end {
        u64::MAX => format!("bytes={}-", part.start),
        end => format!("bytes={}-{}", part.start, end.saturating_sub(1)),
    };
    if let Ok(range) = HeaderValue::from_str(&range) {
        forwarded.fields.insert(RANGE, range);
    }
    forwarded
}

/// A part of a stored body, if it is still the one with this strong ETag (RFC 9110 13.1.5).
pub(super) fn part_of(forwarded: FetchRequest, head: &Head, part: ByteRange) -> FetchRequest {
    let mut forwarded = self::part(forwarded, part);
    if let Some((_, etag)) = head.fields.iter().find(|(name, _)| *name == ETAG) {
        forwarded.fields.insert(IF_RANGE, etag.clone());
    }
    forwarded
}

/// The rest of a body from `from` on, if it is still the one with this strong ETag (RFC 9110 13.1.5).
pub(super) fn rest_of(mut forwarded: FetchRequest, etag: HeaderValue, from: u64) -> FetchRequest {
    if let Ok(range) = HeaderValue::from_str(&format!("bytes={from}-")) {
        forwarded.fields.insert(RANGE, range);
    }
    forwarded.fields.insert(IF_RANGE, etag);
    // The answer is well under way.
    forwarded.interims = None;
    forwarded
}

/// The request as the client made it, but for what concerns the connection alone and what strangers may not claim.
pub(super) fn as_it_is(edge: &Edge, request: &OwnedRequest) -> FetchRequest {
    let mut fields = request.fields.with(|fields| end_to_end(fields, request.version));
    tell_who_asks(&mut fields, request);
    count_hops(&mut fields, request, &edge.cdn_id);
    if let Ok(id) = HeaderValue::from_bytes(&request.id.hex()) {
        fields.insert(REQUEST_ID, id);
    }
    let mut target = String::with_capacity(request.path.len() + request.query.as_ref().map_or(0, |q| q.len() + 1));
    target.push_str(&request.path);
    if let Some(query) = &request.query {
        target.push('?');
        target.push_str(query);
    }
    if request.route.targets.names.contains(&SURROGATE_CONTROL) {
        fields.append(SURROGATE_CAPABILITY, HeaderValue::from_static(CAPABILITY));
    }
    FetchRequest {
        // The method was taken in as a token, which is what a method is.
        method: Method::from_bytes(request.method.as_bytes()).unwrap_or(Method::GET),
        target,
        host: request.host.to_string(),
        fields,
        upgrade: upgrade(request),
        interims: request.interims.clone(),
        trailers: request.takes_trailers(),
    }
}

/// RFC 8586 2: who has forwarded it. RFC 9110 7.6.2: how often it may still be forwarded, where that counts.
fn count_hops(fields: &mut HeaderMap, request: &OwnedRequest, cdn_id: &str) {
    if let Ok(id) = HeaderValue::from_str(cdn_id) {
        fields.append(CDN_LOOP, id);
    }
    let left = request.fields.with(|fields| max_forwards(&request.method, fields));
    if let Some(left) = left {
        fields.insert(MAX_FORWARDS, HeaderValue::from(left.saturating_sub(1)));
    }
}

/// RFC 9110 7.6.2: how often an `OPTIONS` may still be forwarded; `TRACE` never is.
pub(super) fn max_forwards(method: &str, fields: &RequestFields<'_>) -> Option<u64> {
    let given = fields.only(Known::MaxForwards).filter(|_| method == "OPTIONS")?;
    list::decimal(given)
}

/// RFC 9110 7.6.1: connection fields stay on their connection. Safe by default: names with underscores, which some servers
/// read as hyphens, and claims about who asks are dropped.
fn end_to_end(fields: &RequestFields<'_>, version: &str) -> HeaderMap {
    let mut kept: HeaderMap = HeaderMap::with_capacity(fields.lines().len() + 6);
    for line in fields.lines() {
        let Ok(name) = HeaderName::from_bytes(line.name) else {
            continue;
        };
        let dropped = is_hop_by_hop(name.as_str())
            || [HOST, CONTENT_LENGTH, EXPECT, FORWARDED, UPGRADE].contains(&name)
            || name.as_str().contains('_')
            || name.as_str().starts_with("x-forwarded-")
            || breaks_a_trace(fields, &name)
            || named_by_connection(fields, &name);
        if dropped {
            continue;
        }
        match (name == COOKIE).then(|| kept.get(COOKIE)).flatten() {
            // RFC 9113 8.2.3: HTTP/2 may split the one line that origins look for.
            Some(crumbs) => {
                let whole = [crumbs.as_bytes(), line.value].join(b"; ".as_slice());
                if let Ok(value) = HeaderValue::from_bytes(&whole) {
                    kept.insert(name, value);
                }
            }
            None => {
                if let Ok(value) = HeaderValue::from_bytes(line.value) {
                    kept.append(name, value);
                }
            }
        }
    }
    if let Ok(via) = HeaderValue::from_str(&format!("{version} verge")) {
        kept.append(VIA, via);
    }
    kept
}

fn named_by_connection(fields: &RequestFields<'_>, name: &HeaderName) -> bool {
    fields.has(Known::Connection)
        && is_removable(name.as_str())
        && *name != AUTHORIZATION
        && *name != ACCEPT_RANGES
        && fields
            .all(Known::Connection)
            .flat_map(list::members)
            .any(|member| member.eq_ignore_ascii_case(name.as_str().as_bytes()))
}

/// W3C Trace Context 3.2.3, 3.3.1: what is not valid is not passed on, nor is a state without a parent.
fn breaks_a_trace(fields: &RequestFields<'_>, name: &HeaderName) -> bool {
    match name.as_str() {
        trace::TRACEPARENT => trace::trace_id(fields).is_none(),
        trace::TRACESTATE => trace::trace_id(fields).is_none() || !trace::state_is_valid(fields),
        _ => false,
    }
}

/// `X-Forwarded-*`, and `Forwarded` (RFC 7239 4 to 6).
fn tell_who_asks(fields: &mut HeaderMap, request: &OwnedRequest) {
    let client = match request.client {
        IpAddr::V6(v6) => v6.to_canonical(),
        v4 => v4,
    };
    let mut forwarded = String::with_capacity(64);
    let written = match client {
        IpAddr::V4(v4) => write!(forwarded, "for={v4}"),
        IpAddr::V6(v6) => write!(forwarded, "for=\"[{v6}]\""),
    };
    let scheme = request.scheme.name();
    let written = written.and_then(|()| write!(forwarded, ";host=\"{}\";proto={scheme}", request.host));
    let of_us = [
        (HeaderName::from_static("x-forwarded-for"), client.to_string()),
        (HeaderName::from_static("x-forwarded-host"), request.host.to_string()),
        (HeaderName::from_static("x-forwarded-proto"), scheme.to_owned()),
        (FORWARDED, forwarded),
    ];
    debug_assert!(written.is_ok());
    for (name, value) in of_us {
        if let Ok(value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(value)) {
            fields.insert(name, value);
        }
    }
}

fn upgrade(request: &OwnedRequest) -> Option<String> {
    if !request.route.upgrade {
        return None;
    }
    let protocol = request
        .fields
        .with(|fields| fields.only(Known::Upgrade).map(<[u8]>::to_vec))?;
    String::from_utf8(protocol).ok()
}
