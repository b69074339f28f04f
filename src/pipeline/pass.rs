//! Pass: the request goes to the origin as it is and the response to the client as it comes; nothing is stored.

use std::sync::Arc;

use http::Method;

use super::answer::{Answer, AnswerHead, BodyLength, has_no_body};
use super::body::AnswerBody;
use super::edge::Edge;
use super::forward;
use super::request::OwnedRequest;
use crate::cache::KeyParts;
use crate::origin::{Fetched, RequestBody};
use crate::policy::cache_status::{CacheStatus, Fwd};
use crate::policy::hop;
use crate::policy::invalidate::{Target, also_invalidated, invalidates};
use crate::telemetry::{AskedOrigin, Record};

/// Passes a request, with its body if it has one.
pub(super) async fn pass<'a>(
    edge: &'a Arc<Edge>,
    request: &OwnedRequest,
    fwd: Fwd,
    body: Option<&'a mut (dyn RequestBody + 'a)>,
) -> Answer<'a> {
    let origin = Arc::clone(&edge.origins[request.route.origin].fetch);
    let forwarded = forward::as_it_is(request);
    let method = forwarded.method.clone();
    let status = CacheStatus {
        fwd: Some(fwd),
        ..CacheStatus::default()
    };
    let began = edge.clock.monotonic();
    let fetched = origin.fetch(forwarded, body).await;
    let record = Record {
        origin: Some(AskedOrigin {
            place: request.route.origin,
            took: fetched.is_ok().then(|| edge.clock.monotonic().saturating_sub(began)),
        }),
        ..Record::default()
    };
    match fetched {
        Ok(mut fetched) => {
            invalidate(edge, request, &method, &fetched);
            let cache_status = CacheStatus {
                fwd_status: Some(fetched.status.as_u16()),
                ..status
            };
            request.route.targets.consume(&mut fetched.fields);
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
fn invalidate(edge: &Edge, request: &OwnedRequest, method: &Method, fetched: &Fetched<'_>) {
    if !invalidates(method, fetched.status) {
        return;
    }
    let parts = request.key_parts();
    edge.cache.invalidate(&parts);
    let target = Target {
        scheme: request.scheme.name(),
        authority: parts.host,
        path: parts.path,
    };
    for also in also_invalidated(&fetched.fields, &target) {
        let path = crate::target::normalise_path(&also.path).unwrap_or(std::borrow::Cow::Borrowed("/"));
        edge.cache.invalidate(&KeyParts {
            path: &path,
            query: also.query.as_deref(),
            ..parts
        });
    }
}
