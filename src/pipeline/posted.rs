//! RFC 9110 9.3.3: an answer to `POST` that says it is what a `GET` would get is kept for those who ask.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

use super::edge::Edge;
use super::pass::target;
use super::request::OwnedRequest;
use crate::cache::{Arrived, Keeping, Posted, Request};
use crate::clock::Now;
use crate::origin::{FetchError, Fetched, ReadBody};
use crate::policy::fields::{Known, OwnedFields};
use crate::policy::invalidate::content_location;
use crate::policy::storable::Asked;
use crate::target::normalise_path;

/// Before it is forwarded: what has to be known of a `POST` whose answer may be kept.
pub(super) fn begin(edge: &Edge, request: &OwnedRequest, method: &Method) -> Option<Posted> {
    (*method == Method::POST && request.route.cache).then(|| edge.cache.post(&request.key_parts()))
}

/// The answer, which is kept as it passes if it may be. `invalidations` is how many purges the request caused.
pub(super) fn keep<'a>(
    edge: &Edge,
    request: &OwnedRequest,
    posted: Posted,
    invalidations: u64,
    fetched: Fetched<'a>,
    (requested, received): (Now, Now),
) -> Fetched<'a> {
    if fetched.status != StatusCode::OK || !is_of_target(request, &fetched.fields) {
        return fetched;
    }
    let asked = Asked {
        authorization: request.authorization,
        cookie: request.fields.with(|fields| fields.has(Known::Cookie)),
        no_store: request.directives.no_store,
        ..Asked::default()
    };
    let arrived = Arrived {
        status: fetched.status,
        fields: fetched.fields.clone(),
        content_length: fetched.content_length,
        requested,
        received,
    };
    let of = Request {
        asked,
        fields: &request.fields,
        targets: &request.route.targets,
    };
    let (parts, site) = (request.key_parts(), &request.route.site);
    match edge
        .cache
        .keep_answer(posted, invalidations, &parts, site, &of, arrived)
    {
        None => fetched,
        Some(keeping) => Fetched {
            body: Box::new(Kept {
                body: fetched.body,
                keeping: Some(keeping),
                fields: Arc::clone(&request.fields),
            }),
            ..fetched
        },
    }
}

/// Whether the answer says that it is what a `GET` of the same URL would get.
fn is_of_target(request: &OwnedRequest, fields: &HeaderMap) -> bool {
    let parts = request.key_parts();
    content_location(fields, &target(&parts)).is_some_and(|location| {
        let path = normalise_path(&location.path);
        path.is_ok_and(|path| path == parts.path) && location.query.as_deref() == parts.query
    })
}

/// A body that is kept as it is read.
struct Kept<'a> {
    body: Box<dyn ReadBody + 'a>,
    keeping: Option<Keeping>,
    /// The request's, from which `Vary` selects.
    fields: Arc<OwnedFields>,
}

impl ReadBody for Kept<'_> {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, FetchError>>> {
        let piece = std::task::ready!(self.body.poll_piece(cx));
        match (&piece, self.keeping.take()) {
            (Some(Ok(piece)), Some(mut keeping)) => {
                let fits = keeping.push(piece);
                match keeping.is_whole() {
                    true => keeping.store(&self.fields),
                    false => self.keeping = fits.then_some(keeping),
                }
            }
            (None, Some(keeping)) => keeping.store(&self.fields),
            _ => {}
        }
        Poll::Ready(piece)
    }

    fn take_trailers(&mut self) -> Option<HeaderMap> {
        self.body.take_trailers()
    }
}
