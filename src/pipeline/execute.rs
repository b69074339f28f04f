//! Execute: bring what a decision needs, and decide again with it.

mod below;
mod parts;

pub use below::Waiting;

use std::sync::Arc;

use http::StatusCode;
use http::header::ETAG;

use super::answer::Answer;
use super::body::{Following, Rest, Spilt};
use super::decide::{Decision, Fetch, Judged, Refused, Serve, can_be_completed, hsts, judge, judge_on_error, serve};
use super::edge::Edge;
use super::forward;
use super::pass::pass;
use super::request::OwnedRequest;
use super::shape::{Shape, shape};
use crate::cache::fill::{self, Fill, Follower, Order, Outcome};
use crate::cache::object::{Head, Version};
use crate::cache::{Join, Looked, Permit, Remembered, Wanted};
use crate::origin::{FetchError, FetchRequest, RequestBody};
use crate::policy::cache_status::CacheStatus;
use crate::policy::fields::Known;
use crate::policy::range::ByteRange;
use crate::policy::reuse::is_error_for_stale;
use crate::policy::storable::{Asked, Unstorable};
use crate::telemetry::AskedOrigin;

/// How often a request may find that what it waited for is not for it. Each round is for a reason of its own (another
/// variant, a version stale on arrival, another client's response); the last it goes alone, whatever the others do.
const MAX_ROUNDS: usize = 5;

/// Does what `decision` needs for `request` and makes the answer. `body` is the request's, for a pass.
pub async fn execute<'a>(
    edge: &'a Arc<Edge>,
    request: OwnedRequest,
    decision: Decision,
    body: Option<&'a mut (dyn RequestBody + 'a)>,
) -> Answer<'a> {
    let hsts = hsts(&request.route, request.scheme);
    let answer = match decision {
        Decision::Serve(serve) => serve_and_refresh(edge, request, serve),
        Decision::Own(own) => request.with_view(|view| Answer::own(own, view)),
        Decision::Pass(_, fwd) => pass(edge, &request, fwd, body).await,
        Decision::Fetch(_, fetch) => Round::new(edge, request, fetch).answer().await,
    };
    Answer { hsts, ..answer }
}

/// Answers with a stored version, and has it refreshed behind that if it is to be.
fn serve_and_refresh(edge: &Arc<Edge>, request: OwnedRequest, mut serve: Serve) -> Answer<'static> {
    let refreshes = serve.refresh.take().is_some();
    let hash = serve.version.head.key.hash;
    let answer = stored(edge, &request, serve);
    if refreshes {
        refresh(edge, request, hash);
    }
    answer
}

/// Answers with a stored version, from wherever its body is.
fn stored(edge: &Edge, request: &OwnedRequest, mut serve: Serve) -> Answer<'static> {
    let now = edge.clock.monotonic();
    match serve.held.take() {
        None => Answer::stored(serve, now),
        Some(held) => {
            let rest = rest(edge, request, &serve.version.head);
            Answer::stored_below(serve, *held, rest, now)
        }
    }
}

/// How the rest of a body could be had again.
fn rest(edge: &Edge, request: &OwnedRequest, head: &Head) -> Option<Rest> {
    head.validators.strong_etag()?;
    let etag = head.fields.iter().find(|(name, _)| *name == ETAG)?.1.clone();
    Some(Rest {
        fetch: Arc::clone(&edge.origins[request.route.origin].fetch),
        request: forward::for_all(edge, request),
        etag,
        length: head.content_length,
    })
}

/// Brings a stale version up to date behind an answer that was made from it.
pub fn refresh(edge: &Arc<Edge>, request: OwnedRequest, hash: u128) {
    let seen = request.with_view(|view| edge.cache.lookup(hash, &view.key_parts(), &view.fields));
    let fetch = Fetch {
        hash,
        seen: seen.version.is_some().then_some(seen),
        fwd: crate::policy::cache_status::Fwd::Stale,
        detail: None,
        missing: false,
    };
    let round = Round::new(edge, request, fetch);
    if let Join::Lead(fill, _, permit) = round.join(true) {
        round.run(fill, permit);
    }
}

/// A request that needs a response from the origin, and what it has learnt so far.
struct Round<'e> {
    edge: &'e Arc<Edge>,
    request: OwnedRequest,
    hash: u128,
    seen: Option<Looked>,
    status: CacheStatus,
    /// It has been told that the response is not for sharing.
    alone: bool,
    /// When it came, in the order of all requests and fetches.
    arrival: u64,
    /// It wants a part of a body of which nothing is known.
    sought: Option<ByteRange>,
    /// What it found would do, if all of the body were here that it wants.
    missing: bool,
    /// Only a fetch that began after it came will do.
    only_newer: bool,
    /// The origin, if a fetch was begun for this request, and how long its head took.
    asked: Option<AskedOrigin>,
}

/// What a round comes to.
enum Step {
    Done(Answer<'static>),
    Again,
}

fn too_many_fetches() -> Answer<'static> {
    Answer::refused(Refused::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-fetches"))
}

impl<'e> Round<'e> {
    fn new(edge: &'e Arc<Edge>, request: OwnedRequest, fetch: Fetch) -> Self {
        Round {
            arrival: edge.cache.next_in_sequence(),
            alone: !request.may_join(),
            edge,
            request,
            hash: fetch.hash,
            seen: fetch.seen,
            status: CacheStatus {
                fwd: Some(fetch.fwd),
                detail: fetch.detail,
                ..CacheStatus::default()
            },
            sought: None,
            missing: fetch.missing,
            only_newer: false,
            asked: None,
        }
    }

    async fn answer(mut self) -> Answer<'static> {
        self.seek();
        let mut answer = self.answer_of_rounds().await;
        answer.record.origin = self.asked;
        answer
    }

    async fn answer_of_rounds(&mut self) -> Answer<'static> {
        for round in 1..=MAX_ROUNDS {
            let last = round == MAX_ROUNDS;
            self.alone |= last;
            let step = match (std::mem::take(&mut self.missing), self.sought.take()) {
                (true, _) if !last => self.complete().await,
                (false, Some(part)) if !last => self.fetch_sought(part).await,
                _ => self.fetch_whole().await,
            };
            if let Step::Done(answer) = step {
                return answer;
            }
        }
        self.stale_or(|| Answer::refused(Refused::new(StatusCode::BAD_GATEWAY, "origin-keeps-changing")))
    }

    async fn fetch_whole(&mut self) -> Step {
        match self.join(false) {
            Join::Found(looked) => self.found(looked),
            Join::Lead(fill, Some(follower), permit) => {
                self.status.collapsed = false;
                self.run(fill, permit);
                self.follow(follower).await
            }
            Join::Follow(follower) => {
                self.status.collapsed = true;
                self.follow(follower).await
            }
            Join::Remembered(Remembered::Failed(error)) => Step::Done(self.failed(error, "recent-failure")),
            Join::Remembered(Remembered::ServerError(status)) => self.server_error(status),
            Join::Full | Join::UnderWay | Join::Lead(..) | Join::Remembered(Remembered::Uncacheable) => {
                Step::Done(self.stale_or(too_many_fetches))
            }
        }
    }

    fn join(&self, background: bool) -> Join {
        self.with_wanted(background, |wanted| self.edge.cache.join(wanted))
    }

    fn with_wanted(&self, background: bool, join: impl FnOnce(&Wanted<'_>) -> Join) -> Join {
        let slot = &self.edge.origins[self.request.route.origin];
        self.request.fields.with(|fields| {
            join(&Wanted {
                parts: self.request.key_parts(),
                hash: self.hash,
                fields,
                site: &self.request.route.site,
                may_join: !self.alone,
                seen: self.seen.as_ref().and_then(|looked| looked.version.as_ref()),
                stale_will_do: background || self.stale().is_some(),
                begun_after: self.only_newer.then_some(self.arrival),
                origin: (&slot.under_way, slot.max_fetches),
                now: self.edge.clock.monotonic(),
                background,
            })
        })
    }

    /// Starts the fetch that `fill` stands for.
    fn run(&self, fill: Arc<Fill>, permit: Permit) {
        let edge = self.edge;
        // Nobody joins a fill without a place in the table, so the request may go as the client made it.
        let for_all = fill.id.is_some();
        let validating = self.seen.as_ref().filter(|_| for_all).and_then(|looked| {
            let version = looked.version.as_ref()?;
            (!version.head.validators.is_empty()).then(|| (Arc::clone(version), looked.id))
        });
        let order = Order {
            fetch: Arc::clone(&edge.origins[self.request.route.origin].fetch),
            request: match &validating {
                Some((version, _)) => forward::validating(edge, &self.request, &version.head),
                None => match fill.part {
                    Some(part) => forward::part(self.forwarded(for_all), part),
                    None => self.forwarded(for_all),
                },
            },
            asked: self.asked(for_all),
            fields: Arc::clone(&self.request.fields),
            targets: Arc::clone(&self.request.route.targets),
            validating,
            fill,
            permit,
        };
        edge.spawn.spawn(Box::pin(fill::run(
            Arc::clone(&edge.cache),
            Arc::clone(&edge.clock),
            order,
        )));
    }

    fn forwarded(&self, for_all: bool) -> FetchRequest {
        match for_all {
            true => forward::for_all(self.edge, &self.request),
            false => forward::as_it_is(self.edge, &self.request),
        }
    }

    fn asked(&self, for_all: bool) -> Asked {
        let request = &self.request;
        request.fields.with(|fields| Asked {
            head_only: !for_all && &*request.method == "HEAD",
            authorization: request.authorization,
            cookie: fields.has(Known::Cookie),
            no_store: request.directives.no_store,
            range: !for_all && fields.has(Known::Range),
        })
    }

    /// Something was stored while this request was on its way to ask for it.
    fn found(&mut self, looked: Looked) -> Step {
        let (edge, route) = (self.edge, &self.request.route);
        let now = edge.clock.monotonic();
        let judged = self
            .request
            .with_view(|view| judge(edge, view, route, &self.request.directives, &looked, now));
        match judged {
            Judged::Serve(mut serve) => {
                // It did not wait for anybody's fetch, but was forwarded on what it knew when it came.
                serve.status = CacheStatus {
                    collapsed: true,
                    ttl: serve.status.ttl,
                    ..self.status
                };
                Step::Done(stored(self.edge, &self.request, serve))
            }
            Judged::Refuse(refused) => Step::Done(Answer::refused(refused)),
            Judged::Fetch(..) => {
                self.seen = Some(looked);
                Step::Again
            }
            Judged::Missing => {
                self.seen = Some(looked);
                self.missing = true;
                Step::Again
            }
        }
    }

    /// Follows a fill.
    async fn follow(&mut self, follower: Follower) -> Step {
        let head = self.await_head(&follower).await;
        self.read(head, follower)
    }

    /// Waits for the head; if the fill was begun for this request, notes how long that took.
    async fn await_head(&mut self, follower: &Follower) -> Outcome {
        if !follower.leads() {
            return follower.head().await;
        }
        let (began, place) = (self.edge.clock.monotonic(), self.request.route.origin);
        self.asked = Some(AskedOrigin { place, took: None });
        let head = follower.head().await;
        if !matches!(head, Outcome::Failed(_)) {
            let took = self.edge.clock.monotonic().saturating_sub(began);
            self.asked = Some(AskedOrigin {
                place,
                took: Some(took),
            });
        }
        head
    }

    fn read(&mut self, head: Outcome, follower: Follower) -> Step {
        match head {
            Outcome::Filling(head) => self.filling(head, follower),
            Outcome::Passing(head, reason) => self.passing(head, reason, follower),
            Outcome::Validated(version) => self.validated(version),
            Outcome::Failed(error) => Step::Done(self.failed(error, "")),
            Outcome::Released(status) if is_error_for_stale(status) => self.server_error(status.as_u16()),
            Outcome::Released(_) => {
                self.alone = true;
                Step::Again
            }
        }
    }

    /// A response that may be stored is on its way: is it for this request?
    fn filling(&mut self, head: Arc<Head>, follower: Follower) -> Step {
        // An error too that others were told of a while ago is for nobody who comes now.
        if !self.will_do(&head, follower.leads()) {
            self.only_newer = true;
            return Step::Again;
        }
        if let Some(answer) = self.stale_for(head.status) {
            return Step::Done(answer);
        }
        let selected = |head: &Head| {
            head.vary
                .as_ref()
                .is_none_or(|vary| self.request.fields.with(|fields| vary.is(fields)))
        };
        if !selected(&head) {
            return Step::Again;
        }
        let any_order = follower.reads_in_any_order();
        let now = self.edge.clock.monotonic();
        let status = CacheStatus {
            fwd_status: Some(head.status.as_u16()),
            stored: any_order,
            ttl: Some(head.freshness.ttl(now)),
            ..self.status
        };
        let age = Some(head.freshness.age(now).as_secs());
        Step::Done(self.read_behind(head, follower, any_order, status, age))
    }

    /// What was fetched after the request came answers it whatever its age; what others began to fetch before must be fresh.
    fn will_do(&self, head: &Head, leads: bool) -> bool {
        leads || head.began > self.arrival || {
            let now = self.edge.clock.monotonic();
            head.freshness.is_fresh(now) && !head.freshness.revalidate_always
        }
    }

    /// A response that is this client's own.
    fn passing(&mut self, head: Arc<Head>, reason: Unstorable, follower: Follower) -> Step {
        if let Some(answer) = self.stale_for(head.status) {
            return Step::Done(answer);
        }
        let status = CacheStatus {
            fwd_status: Some(head.status.as_u16()),
            detail: Some(reason.detail()),
            ..self.status
        };
        Step::Done(self.read_behind(head, follower, false, status, None))
    }

    fn read_behind(
        &self,
        head: Arc<Head>,
        follower: Follower,
        any_order: bool,
        status: CacheStatus,
        age: Option<u64>,
    ) -> Answer<'static> {
        // A request that went out as the client made it has its conditions and ranges answered already.
        let answered = follower.fill().id.is_none() && head.status != StatusCode::OK;
        let shape = match answered {
            true if &*self.request.method == "HEAD" => Shape::HeadOnly,
            true => Shape::Whole,
            false => self.request.with_view(|view| shape(view, &head, any_order)),
        };
        let rest = (!any_order).then(|| self.rest(&head)).flatten();
        let spilt = follower.fill().spills().then(|| Spilt {
            cache: Arc::clone(&self.edge.cache),
            head: Arc::clone(&head),
        });
        Answer::following(head, &shape, status, age, |segments| {
            Following::new(follower, segments, rest).or_spilt(spilt)
        })
    }

    fn rest(&self, head: &Head) -> Option<Rest> {
        rest(self.edge, &self.request, head)
    }

    /// The origin confirmed a stored version.
    fn validated(&mut self, version: Arc<Version>) -> Step {
        if !self.will_do(&version.head, false) {
            self.only_newer = true;
            return Step::Again;
        }
        let now = self.edge.clock.monotonic();
        let status = CacheStatus {
            fwd_status: Some(304),
            stored: true,
            ttl: Some(version.head.freshness.ttl(now)),
            ..self.status
        };
        match self.request.with_view(|view| serve(self.edge, view, &version, status)) {
            Some(serve) => Step::Done(stored(self.edge, &self.request, serve)),
            None => {
                // Chunks were evicted since. They are fetched, or if that cannot be, all is.
                let lacks_some = self.request.with_view(|view| can_be_completed(view, &version));
                if !lacks_some {
                    let id = self.seen.as_ref().map_or(self.hash, |looked| looked.id);
                    self.edge.cache.forget(&version, id);
                    self.seen = None;
                }
                Step::Again
            }
        }
    }

    /// What was found stored, if it may stand in for a response of this status.
    fn stale_for(&mut self, status: StatusCode) -> Option<Answer<'static>> {
        self.status.fwd_status = Some(status.as_u16());
        is_error_for_stale(status).then(|| self.stale()).flatten()
    }

    fn server_error(&mut self, status: u16) -> Step {
        self.status.fwd_status = Some(status);
        match self.stale() {
            Some(answer) => Step::Done(answer),
            None => {
                self.alone = true;
                Step::Again
            }
        }
    }

    fn failed(&mut self, error: FetchError, detail: &'static str) -> Answer<'static> {
        if !detail.is_empty() {
            self.status.detail = Some(detail);
        }
        let status = self.status;
        self.stale_or(|| Answer {
            cache_status: status,
            ..Answer::failed(error)
        })
    }

    fn stale_or(&self, otherwise: impl FnOnce() -> Answer<'static>) -> Answer<'static> {
        self.stale().unwrap_or_else(otherwise)
    }

    /// What was found stored, if it may stand in for an error.
    fn stale(&self) -> Option<Answer<'static>> {
        let looked = self.seen.as_ref()?;
        let now = self.edge.clock.monotonic();
        let serve = self
            .request
            .with_view(|view| judge_on_error(self.edge, view, &self.request.route, looked, self.status, now))?;
        Some(stored(self.edge, &self.request, serve))
    }
}
