//! Decide: from a request and what RAM knows, what to do. Synchronous; no I/O, no clock; a hit allocates nothing.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use smallvec::SmallVec;

use super::admit::{Admitted, Denied, Judge, admit};
use super::edge::Edge;
use super::forward::max_forwards;
use super::request::{RequestLength, RequestView};
use super::shape::{Shape, shape};
use crate::cache::object::{Body, Head, Version};
use crate::cache::{Brought, Held, Looked, SchemeClass};
use crate::config::{Found, Route};
use crate::policy::cache_control::RequestDirectives;
use crate::policy::cache_status::{CacheStatus, Fwd};
use crate::policy::cdn_loop;
use crate::policy::fields::Known;
use crate::policy::range::ByteRange;
use crate::policy::reuse::{Reuse, reuse, usable_on_error};

/// What to do with a request.
pub enum Decision {
    /// Answer with a stored version.
    Serve(Serve),
    /// Bring a response from the origin, to be stored if it may be.
    Fetch(Arc<Route>, Fetch),
    /// Hand the request to the origin and its answer to the client, storing nothing.
    Pass(Arc<Route>, Fwd),
    /// Answer without either.
    Own(Own),
}

/// What the edge answers by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Own {
    /// An error, or word that something was done.
    Refuse(Refused),
    /// Go to this port of `https`.
    Redirect(u16),
    /// There is no good token.
    Deny(Denied),
}

/// A stored version that answers.
#[derive(Debug)]
pub struct Serve {
    /// The version.
    pub version: Arc<Version>,
    /// What the shape needs of its body, pinned.
    pub body: SmallVec<[Bytes; 1]>,
    /// Where in the body that begins.
    pub from: u64,
    /// What of it is sent.
    pub shape: Shape,
    /// The body, where not all of it is in RAM.
    pub held: Option<Box<Held>>,
    /// What is said of it.
    pub status: CacheStatus,
    /// If it is to be refreshed behind the answer: the route.
    pub refresh: Option<Arc<Route>>,
    /// What `Strict-Transport-Security` says.
    pub hsts: Option<HeaderValue>,
}

/// Why a response has to be brought.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// The hash of the key.
    pub hash: u128,
    /// What is stored and does not do.
    pub seen: Option<Looked>,
    /// Why.
    pub fwd: Fwd,
    /// Why in more detail.
    pub detail: Option<&'static str>,
    /// What is stored would do, but some of its body is missing, and only that is fetched.
    pub missing: bool,
}

/// An answer that is ours alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The status.
    pub status: StatusCode,
    /// A short code, for `Proxy-Status` and `Cache-Status`.
    pub detail: &'static str,
}

impl Refused {
    /// An answer of this status for this reason.
    pub const fn new(status: StatusCode, detail: &'static str) -> Self {
        Refused { status, detail }
    }
}

/// No site has the host.
pub(super) const UNKNOWN_HOST: Refused = Refused::new(StatusCode::MISDIRECTED_REQUEST, "unknown-host");

/// RFC 8586: the origin is an edge that sends it here again.
const LOOP: Refused = Refused::new(StatusCode::BAD_GATEWAY, LOOP_DETECTED);

/// Its code.
pub(super) const LOOP_DETECTED: &str = "loop-detected";

/// Decides what to do with a request on what RAM knows; `now` is monotonic.
pub fn decide(edge: &Edge, request: &RequestView<'_>, now: Duration) -> Decision {
    let found = find(edge, request);
    admit(edge, found, request, Judge::Edge(now), |admitted| match admitted {
        Ok(admitted) => decide_on(edge, &admitted, &Brought::nothing(), now),
        Err(own) => Decision::Own(own),
    })
}

/// The hash of a request's key, if what the tier below RAM has could change this decision.
pub(super) fn asks_below(edge: &Edge, request: &RequestView<'_>, decision: &Decision) -> Option<u128> {
    match decision {
        _ if !edge.cache.has_below() => None,
        Decision::Fetch(_, fetch) => fetch.seen.is_none().then_some(fetch.hash),
        Decision::Own(Own::Refuse(refused)) if *refused == LOOP || *refused == ONLY_IF_CACHED => {
            Some(edge.cache.secret().key(&request.key_parts()))
        }
        _ => None,
    }
}

/// What those get who need not even be asked for a token.
pub(super) fn turned_away<'e>(found: Option<Found<'e>>, request: &RequestView<'_>) -> Result<Found<'e>, Own> {
    let refused = |status, detail| Err(Own::Refuse(Refused::new(status, detail)));
    let Some(found) = found else {
        return Err(Own::Refuse(UNKNOWN_HOST));
    };
    let route = found.route;
    if let Some(refused) = guard(route, request) {
        return Err(Own::Refuse(refused));
    }
    match request.scheme {
        SchemeClass::Secure => Ok(found),
        SchemeClass::Clear => match route.redirect_to_https {
            Some(port) => Err(Own::Redirect(port)),
            None if route.secure_only => refused(StatusCode::FORBIDDEN, "client-certificate-required"),
            None => Ok(found),
        },
    }
}

/// Decides on a request that is admitted, where something was brought up from below RAM.
pub(super) fn decide_on(edge: &Edge, admitted: &Admitted<'_>, brought: &Brought, now: Duration) -> Decision {
    let (request, route) = (admitted.request(), admitted.found().route);
    let goes_round = || cdn_loop::has_passed(&request.fields, &edge.cdn_id);
    if let Some(fwd) = must_pass(route, request) {
        if goes_round() {
            return Decision::Own(Own::Refuse(LOOP));
        }
        return Decision::Pass(Arc::clone(route), fwd);
    }
    let parts = request.key_parts();
    let hash = edge.cache.secret().key(&parts);
    let looked = edge.cache.lookup_with(hash, &parts, &request.fields, brought);
    let directives = request.directives();
    if let Some(serve) = negotiated(edge, request, route, &directives, &looked, hash, now) {
        return Decision::Serve(serve);
    }
    match judge(edge, request, route, &directives, &looked, now) {
        Judged::Serve(serve) => Decision::Serve(said_where(serve, brought)),
        // It would wait for the very fetch that it is.
        Judged::Fetch(..) | Judged::Missing if goes_round() => Decision::Own(Own::Refuse(LOOP)),
        Judged::Fetch(fwd, detail) => Decision::Fetch(
            Arc::clone(route),
            Fetch {
                hash,
                seen: looked.version.is_some().then_some(looked),
                fwd,
                detail,
                missing: false,
            },
        ),
        Judged::Missing => Decision::Fetch(
            Arc::clone(route),
            Fetch {
                hash,
                seen: Some(looked),
                fwd: Fwd::Partial,
                detail: None,
                missing: true,
            },
        ),
        Judged::Refuse(refused) => Decision::Own(Own::Refuse(refused)),
    }
}

/// Says of what is not all from RAM that it is not.
fn said_where(mut serve: Serve, brought: &Brought) -> Serve {
    let from_below = serve.held.is_some() || !brought.is_empty();
    serve.status.detail = serve.status.detail.or(from_below.then_some("ssd"));
    serve
}

/// RFC 9111 4.1: where the request's own variant is not stored, a fresh one of which no better can be had by its preferences.
fn negotiated(
    edge: &Edge,
    request: &RequestView<'_>,
    route: &Arc<Route>,
    directives: &RequestDirectives,
    looked: &Looked,
    hash: u128,
    now: Duration,
) -> Option<Serve> {
    if looked.version.is_some() || looked.miss != Fwd::VaryMiss {
        return None;
    }
    let best = edge.cache.negotiated(hash, &request.key_parts(), &request.fields)?;
    match judge(edge, request, route, directives, &best, now) {
        Judged::Serve(serve) if serve.refresh.is_none() => Some(Serve {
            status: CacheStatus {
                detail: Some("negotiated"),
                ..serve.status
            },
            ..serve
        }),
        _ => None,
    }
}

/// What is said of a request's host and path; none: nothing is known of its host.
pub(super) fn find<'e>(edge: &'e Edge, request: &RequestView<'_>) -> Option<Found<'e>> {
    let (name, _) = crate::target::split_port(&request.host);
    edge.config.sites.find(name, &request.path)
}

/// What no origin is asked.
fn guard(route: &Route, request: &RequestView<'_>) -> Option<Refused> {
    match request.method {
        // RFC 9110 9.3.6, 9.3.8: an edge is no tunnel, and what TRACE would show are other hops' fields.
        "CONNECT" | "TRACE" => Some(Refused::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed")),
        "OPTIONS" if request.path == "*" || max_forwards(request.method, &request.fields) == Some(0) => {
            Some(Refused::new(StatusCode::NO_CONTENT, "options-of-the-edge"))
        }
        _ => match request.body {
            RequestLength::Known(length) if length > route.max_body => {
                Some(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large"))
            }
            _ => None,
        },
    }
}

/// Why a request is not for the cache, if it is not.
fn must_pass(route: &Route, request: &RequestView<'_>) -> Option<Fwd> {
    let upgrades = route.upgrade && request.fields.has(Known::Upgrade);
    if !request.is_get_or_head() {
        Some(Fwd::Method)
    } else if !route.cache || upgrades {
        Some(Fwd::Bypass)
    } else {
        // RFC 9110 9.3.1: content in a GET has no meaning that a cache could know.
        (request.body != RequestLength::None).then_some(Fwd::Request)
    }
}

/// What judging a stored version comes to.
pub(super) enum Judged {
    Serve(Serve),
    Fetch(Fwd, Option<&'static str>),
    /// It would do, if all of its body were here that is wanted.
    Missing,
    Refuse(Refused),
}

/// Whether what was looked up may answer. The one place that says so, before a fetch and after it.
pub(super) fn judge(
    edge: &Edge,
    request: &RequestView<'_>,
    route: &Arc<Route>,
    directives: &RequestDirectives,
    looked: &Looked,
    now: Duration,
) -> Judged {
    let Some(version) = &looked.version else {
        return match directives.only_if_cached {
            true => Judged::Refuse(ONLY_IF_CACHED),
            false => Judged::Fetch(looked.miss, None),
        };
    };
    let freshness = &version.head.freshness;
    let (status, refresh) = match reuse(directives, freshness, looked.soft_purged, &route.terms, now) {
        Reuse::Fresh => (None, None),
        Reuse::StaleWhileRevalidate => (Some("stale-while-revalidate"), Some(Arc::clone(route))),
        Reuse::Revalidate(why) => return Judged::Fetch(Fwd::Stale, Some(why.detail())),
        Reuse::OnlyIfCached => return Judged::Refuse(ONLY_IF_CACHED),
    };
    let hit = CacheStatus {
        hit: true,
        ttl: Some(freshness.ttl(now)),
        detail: status,
        ..CacheStatus::default()
    };
    match serve(edge, request, version, hit) {
        Some(serve) => {
            edge.cache.note_use(version, looked.id, now);
            Judged::Serve(Serve {
                refresh,
                hsts: hsts(route, request.scheme),
                ..serve
            })
        }
        // RFC 9111 5.2.1.7
        None if directives.only_if_cached => Judged::Refuse(ONLY_IF_CACHED),
        None if can_be_completed(request, version) => Judged::Missing,
        None => {
            edge.cache.forget(version, looked.id);
            Judged::Fetch(Fwd::Miss, Some("body-evicted"))
        }
    }
}

/// Whether what was looked up may stand in for an error of the origin.
pub(super) fn judge_on_error(
    edge: &Edge,
    request: &RequestView<'_>,
    route: &Route,
    looked: &Looked,
    status: CacheStatus,
    now: Duration,
) -> Option<Serve> {
    let version = looked.version.as_ref()?;
    let freshness = &version.head.freshness;
    // A purge may have come since it was looked up.
    let purged = version.verdict(edge.cache.purges()) == crate::purge::Verdict::Hard;
    if purged || !usable_on_error(freshness, looked.soft_purged, &route.terms, now) {
        return None;
    }
    let status = CacheStatus {
        ttl: Some(freshness.ttl(now)),
        detail: Some("stale-if-error"),
        ..status
    };
    serve(edge, request, version, status)
}

/// A stored version made into an answer; `None` if a part of its body is gone.
pub(super) fn serve(
    edge: &Edge,
    request: &RequestView<'_>,
    version: &Arc<Version>,
    status: CacheStatus,
) -> Option<Serve> {
    let shape = shape(request, &version.head, true);
    let stretch = match &shape {
        Shape::Whole => Some(ByteRange {
            start: 0,
            end: u64::MAX,
        }),
        Shape::Parts(parts) => Some(span(parts)),
        _ => None,
    };
    let mut serve = Serve {
        version: Arc::clone(version),
        body: SmallVec::new(),
        from: 0,
        held: None,
        shape,
        status,
        refresh: None,
        hsts: None,
    };
    match (&version.body, stretch) {
        (_, None) => {}
        (Body::Filling(_), _) => return None,
        (Body::Whole(bytes), _) => serve.body.push(bytes.clone()),
        (Body::Chunked { length, .. }, Some(stretch)) => {
            let end = stretch.end.min(*length);
            let held = edge.cache.held(version, ByteRange { end, ..stretch })?;
            match held.missing() {
                Some(_) => return None,
                None if held.is_here() => (serve.from, serve.body) = (held.start(), held.whole()?),
                None => serve.held = Some(Box::new(held)),
            }
        }
    }
    Some(serve)
}

/// From the first byte of all parts to the last.
pub(super) fn span(parts: &[ByteRange]) -> ByteRange {
    ByteRange {
        start: parts.iter().map(|part| part.start).min().unwrap_or(0),
        end: parts.iter().map(|part| part.end).max().unwrap_or(0),
    }
}

/// Whether what is missing of its body can be fetched by itself: RFC 9111 3.4 asks for a strong validator, and several parts
/// would be as many fetches.
pub(super) fn can_be_completed(request: &RequestView<'_>, version: &Version) -> bool {
    version.head.validators.strong_etag().is_some()
        && matches!(version.body, Body::Chunked { .. })
        && wanted(&shape(request, &version.head, true), &version.head).is_some()
}

/// The stretch of the body that an answer of this shape needs, if it is one.
pub(super) fn wanted(shape: &Shape, head: &Head) -> Option<ByteRange> {
    match shape {
        Shape::Whole => Some(ByteRange {
            start: 0,
            end: head.content_length?,
        }),
        Shape::Parts(parts) if parts.len() == 1 => parts.first().copied(),
        _ => None,
    }
}

/// RFC 6797 7.2: said over TLS alone.
pub(super) fn hsts(route: &Route, scheme: SchemeClass) -> Option<HeaderValue> {
    match scheme {
        SchemeClass::Clear => None,
        SchemeClass::Secure => route.hsts.clone(),
    }
}

/// RFC 9111 5.2.1.7
const ONLY_IF_CACHED: Refused = Refused::new(StatusCode::GATEWAY_TIMEOUT, "only-if-cached");
