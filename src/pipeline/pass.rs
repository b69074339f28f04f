//! Pass: the request goes to the origin as it is and the response to the client as it comes; nothing is stored.

use std::borrow::Cow;
use std::sync::Arc;

use http::Method;

use super::answer::{Answer, AnswerHead, BodyLength, has_no_body};
use super::body::AnswerBody;
use super::edge::Edge;
use super::forward;
use super::posted;
use super::request::OwnedRequest;
use crate::cache::KeyParts;
use crate::origin::{Fetched, RequestBody};
use crate::policy::cache_status::{CacheStatus, Fwd};
use crate::policy::hop;
use crate::policy::invalidate::{Target, also_invalidated, invalidates};
use crate::target::normalise_path;
use crate::telemetry::{AskedOrigin, Record};

/// Passes a request, with its body if it has one.
pub(super) async fn pass<'a>(
    edge: &'a Arc<Edge>,
    request: &OwnedRequest,
    fwd: Fwd,
    body: Option<&'a mut (dyn RequestBody + 'a)>,
) -> Answer<'a> {
    let origin = Arc::clone(&edge.origins[request.route.origin].fetch);
    let forwarded = forward::as_it_is(edge, request);
    let method = forwarded.method.clone();
    let status = CacheStatus {
        fwd: Some(fwd),
        ..CacheStatus::default()
    };
    let posted = posted::begin(edge, request, &method);
    let requested = edge.clock.now();
    let fetched = origin.fetch(forwarded, body).await;
    let received = edge.clock.now();
    let took = received.monotonic.saturating_sub(requested.monotonic);
    let record = Record {
        origin: Some(AskedOrigin {
            place: request.route.origin,
            took: fetched.is_ok().then_some(took),
        }),
        ..Record::default()
    };
    match fetched {
        Ok(mut fetched) => {
            let invalidations = invalidate(edge, request, &method, &fetched);
            if let Some(posted) = posted {
                fetched = posted::keep(edge, request, posted, invalidations, fetched, (requested, received));
            }
            request.route.targets.consume(&mut fetched.fields);
            let cache_status = CacheStatus {
                fwd_status: Some(fetched.status.as_u16()),
                ..status
            };
            Answer {
                record,
                ..passed(edge, &method, fetched, cache_status)
            }
        }
        Err(error) => Answer {
            cache_status: status,
            record,
            ..Answer::failed(error)
        },
    }
}

fn passed<'a>(edge: &Edge, method: &Method, fetched: Fetched<'a>, cache_status: CacheStatus) -> Answer<'a> {
    let Fetched {
        status,
        mut fields,
        content_length,
        body,
        upgraded,
    } = fetched;
    hop::complete(&mut fields, edge.clock.now().wall);
    let (length, body) = match *method == Method::HEAD || has_no_body(status) {
        true => (BodyLength::NoBody, AnswerBody::Empty),
        false => (
            content_length.map_or(BodyLength::Unknown, BodyLength::Known),
            AnswerBody::Stream(body),
        ),
    };
    Answer {
        status,
        head: AnswerHead::Passed(Box::new(fields)),
        cache_status,
        age: None,
        length,
        body,
        hsts: None,
        record: Record::default(),
        upgraded,
    }
}

/// RFC 9111 4.4: what an unsafe method changed, and what its answer points to on the same origin, is not served again.
/// Returns how many purges that took.
fn invalidate(edge: &Edge, request: &OwnedRequest, method: &Method, fetched: &Fetched<'_>) -> u64 {
    if !invalidates(method, fetched.status) {
        return 0;
    }
    let parts = request.key_parts();
    let mut purges = u64::from(edge.cache.invalidate(&parts));
    for also in also_invalidated(&fetched.fields, &target(&parts)) {
        let path = normalise_path(&also.path).unwrap_or(Cow::Borrowed("/"));
        let also = KeyParts {
            path: &path,
            query: also.query.as_deref(),
            ..parts
        };
        purges += u64::from(edge.cache.invalidate(&also));
    }
    purges
}

/// What a request with this key is for.
pub(super) fn target<'a>(parts: &KeyParts<'a>) -> Target<'a> {
    Target {
        scheme: parts.scheme.name(),
        authority: parts.host,
        path: parts.path,
    }
}
