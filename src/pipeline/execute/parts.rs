//! Bringing a part of a body: one that is missing of what is stored, or one of a body of which nothing is known.

use std::sync::Arc;

use http::StatusCode;

use super::{Round, Step, too_many_fetches};
use crate::cache::fill::{self, Fill, Follower, Outcome, PartOrder};
use crate::cache::object::Version;
use crate::cache::{Held, Join, Looked, Permit};
use crate::pipeline::answer::Answer;
use crate::pipeline::body::Following;
use crate::pipeline::decide::wanted;
use crate::pipeline::forward;
use crate::pipeline::shape::shape;
use crate::policy::cache_status::CacheStatus;
use crate::policy::range::{ByteRange, sought};

impl Round<'_> {
    /// Where nothing is stored: a part that begins behind the first chunk is fetched by itself, in whole chunks, since all
    /// before it may be long.
    pub(super) fn seek(&mut self) {
        if self.seen.is_some() || self.alone || &*self.request.method != "GET" {
            return;
        }
        const CHUNK: u64 = crate::store::CHUNK as u64;
        self.sought = match self.request.fields.with(sought) {
            Some((start, end)) if start >= CHUNK => Some(ByteRange {
                start: start - start % CHUNK,
                end: end.map_or(u64::MAX, |end| end.div_ceil(CHUNK).saturating_mul(CHUNK)),
            }),
            _ => None,
        };
    }

    /// Brings a part of a body of which nothing is known. Where the origin does not give it so that it can be kept, all is
    /// fetched.
    pub(super) async fn fetch_sought(&mut self, part: ByteRange) -> Step {
        let follower = match self.with_wanted(false, |wanted| {
            self.edge.cache.join_sought(wanted, part).unwrap_or(Join::UnderWay)
        }) {
            Join::Lead(fill, Some(follower), permit) => {
                self.run(fill, permit);
                follower
            }
            Join::Follow(follower) => {
                self.status.collapsed = true;
                follower
            }
            Join::Found(looked) => return self.found(looked),
            Join::Full => return Step::Done(too_many_fetches()),
            _ => return Step::Again,
        };
        let head = self.await_head(&follower).await;
        match head {
            Outcome::Released(_) => {
                self.status.collapsed = false;
                Step::Again
            }
            head => self.read(head, follower),
        }
    }

    /// Fetches what is missing of the version that was found, and answers with that and with what is here. Where the origin
    /// has another version by now, or none, all is fetched anew.
    pub(super) async fn complete(&mut self) -> Step {
        let Some((looked, version, held)) = self.take_held() else {
            return Step::Again;
        };
        let Some(part) = held.missing() else {
            // Somebody else has fetched it meanwhile.
            self.seen = Some(looked);
            return self.validated(version);
        };
        let follower = match self.with_wanted(false, |wanted| self.edge.cache.join_part(wanted, held.name, part)) {
            Join::Lead(fill, Some(follower), permit) => {
                self.run_part(fill, permit, &version, part);
                follower
            }
            Join::Follow(follower) => {
                self.status.collapsed = true;
                follower
            }
            _ => return Step::Done(too_many_fetches()),
        };
        match self.await_head(&follower).await {
            Outcome::Filling(_) => Step::Done(self.patched(version, held, follower)),
            Outcome::Failed(error) => Step::Done(self.failed(error, "")),
            _ => {
                self.edge.cache.forget(&version, looked.id);
                self.status.collapsed = false;
                Step::Again
            }
        }
    }

    /// The version that was found, and what is here of the stretch of its body that is wanted.
    fn take_held(&mut self) -> Option<(Looked, Arc<Version>, Held)> {
        let looked = self.seen.take()?;
        let version = Arc::clone(looked.version.as_ref()?);
        let shape = self.request.with_view(|view| shape(view, &version.head, true));
        let held = self.edge.cache.held(&version, wanted(&shape, &version.head)?)?;
        Some((looked, version, held))
    }

    fn run_part(&self, fill: Arc<Fill>, permit: Permit, version: &Arc<Version>, part: ByteRange) {
        let order = PartOrder {
            fill,
            permit,
            fetch: Arc::clone(&self.edge.origins[self.request.route.origin].fetch),
            request: forward::part_of(forward::for_all(self.edge, &self.request), &version.head, part),
            version: Arc::clone(version),
        };
        self.edge
            .spawn
            .spawn(Box::pin(fill::run_part(Arc::clone(&self.edge.cache), order)));
    }

    /// What is here of a version, and what comes.
    fn patched(&self, version: Arc<Version>, held: Held, follower: Follower) -> Answer<'static> {
        let now = self.edge.clock.monotonic();
        let head = Arc::clone(&version.head);
        let any_order = follower.reads_in_any_order();
        let status = CacheStatus {
            fwd_status: Some(StatusCode::PARTIAL_CONTENT.as_u16()),
            stored: any_order,
            ttl: Some(head.freshness.ttl(now)),
            ..self.status
        };
        let shape = self.request.with_view(|view| shape(view, &head, true));
        let rest = (!any_order).then(|| self.rest(&head)).flatten();
        let age = Some(head.freshness.age(now).as_secs());
        Answer::following(head, &shape, status, age, |segments| {
            Following::patched(held, follower, segments, rest)
        })
    }
}
