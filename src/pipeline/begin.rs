//! What becomes of a request at once: an answer, or work that needs the origin.

use std::sync::Arc;
use std::time::Duration;

use super::allowance::Allowance;
use super::answer::Answer;
use super::decide::{Decision, Fetch, UNKNOWN_HOST, asks_below, decide_in, find, hsts};
use super::edge::Edge;
use super::execute::{FromBelow, execute, refresh};
use super::purge_method;
use super::request::{OwnedRequest, RequestView};
use crate::config::{Found, Route};
use crate::origin::{Interims, RequestBody};
use crate::policy::cache_status::Fwd;
use crate::telemetry::access::Seen;
use crate::telemetry::{MethodClass, Record, RequestId};

/// What becomes of a request at once.
pub enum Begun {
    /// It is answered.
    Answer(Answer<'static>),
    /// It has to wait for something.
    Work(Box<Work>),
}

/// A request that has to wait for something: the origin as a rule.
pub struct Work {
    /// The request.
    pub request: OwnedRequest,
    task: Task,
    record: Record,
}

#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are of the one kind, and Work is boxed"
)]
enum Task {
    Decided(Decision, FromBelow),
    Purge(purge_method::Asked),
}

/// Decides on a request, whatever transport it came by, and answers it if nothing has to be brought first.
pub fn begin(edge: &Arc<Edge>, request: &RequestView<'_>) -> Begun {
    let now = edge.clock.monotonic();
    let found = find(edge, request);
    let record = |id, status| Record {
        site: found.map(|found| found.place),
        method: MethodClass::of(request.method),
        began: now,
        origin: None,
        line: edge.access.as_ref().and_then(|access| {
            let site = found.map(|found| &*found.route.site);
            access.begin(&seen(request, site, id), now, status)
        }),
    };
    let answered = |answer: Answer<'static>, id| {
        let record = record(id, Some(answer.status));
        Begun::Answer(Answer { record, ..answer })
    };
    let own = |answer: Answer<'static>| answered(answer.answering(request.method), None);
    let work = |route: &Arc<Route>, task| {
        let request = OwnedRequest::new(request, Arc::clone(route));
        let record = record(Some(request.id), None);
        Begun::Work(Box::new(Work { request, task, record }))
    };
    if let (Some(asked), Some(found)) = (purge_method::purge(edge, found, request), found) {
        return work(found.route, Task::Purge(asked));
    }
    let (decision, below) = with_below(edge, found, request, now);
    match decision {
        // What has to be read from a device takes a while.
        Decision::Serve(ref serve) if serve.held.is_some() => match found {
            Some(found) => work(found.route, Task::Decided(decision, below)),
            None => own(Answer::refused(UNKNOWN_HOST)),
        },
        Decision::Serve(mut serve) => {
            let refreshing = serve.refresh.take().map(|route| OwnedRequest::new(request, route));
            let id = refreshing.as_ref().map(|request| request.id);
            if let Some(request) = refreshing {
                refresh(edge, request, serve.version.head.key.hash);
            }
            answered(Answer::stored(serve, now), id)
        }
        Decision::Refuse(refused) => own(Answer {
            hsts: found.and_then(|found| hsts(found.route, request.scheme)),
            ..Answer::refused(refused)
        }),
        Decision::Redirect(port) => own(Answer::redirected(request, port)),
        Decision::Fetch(ref route, _) | Decision::Pass(ref route, _) => {
            work(&Arc::clone(route), Task::Decided(decision, below))
        }
    }
}

/// Decides on what RAM knows and, if that is not enough, on what can be brought up from below without waiting. Gives what was
/// brought, and what would have to be waited for.
fn with_below(
    edge: &Edge,
    found: Option<Found<'_>>,
    request: &RequestView<'_>,
    now: Duration,
) -> (Decision, FromBelow) {
    let mut below = FromBelow::default();
    let decision = decide_in(edge, found, request, &below.brought, now);
    let Some(hash) = asks_below(edge, request, &decision) else {
        return (decision, below);
    };
    let parts = request.key_parts();
    let clock = || edge.clock.now();
    below.wanted = edge
        .cache
        .bring_up(hash, &parts, &request.fields, &mut below.brought, &clock);
    match (&below.wanted, found) {
        (Some(_), Some(found)) => (fetch_unless_found(found.route, hash), below),
        _ if below.brought.is_empty() => (decision, below),
        _ => (decide_in(edge, found, request, &below.brought, now), below),
    }
}

/// What a request comes to that waits for what is below RAM: what it finds there decides.
fn fetch_unless_found(route: &Arc<Route>, hash: u128) -> Decision {
    Decision::Fetch(
        Arc::clone(route),
        Fetch {
            hash,
            seen: None,
            fwd: Fwd::UriMiss,
            detail: None,
            missing: false,
        },
    )
}

/// What of a request is logged.
fn seen<'a>(request: &'a RequestView<'a>, site: Option<&'a str>, id: Option<RequestId>) -> Seen<'a> {
    Seen {
        client: request.client,
        scheme: request.scheme.name(),
        method: Some(request.method),
        host: Some(&request.host),
        path: Some(&request.path),
        query: request.query,
        version: Some(request.version),
        fields: Some(&request.fields),
        site,
        id,
    }
}

impl Work {
    /// Where the interim responses will be that come before the answer; to be looked at after each poll of
    /// [`Work::execute`].
    pub fn interims(&mut self) -> Arc<Interims> {
        Arc::clone(self.request.interims.get_or_insert_default())
    }

    /// How much of its body may come.
    pub fn allowance(&self, edge: &Edge) -> Allowance {
        let counts = self.record.site.and_then(|place| edge.sites.get(place));
        Allowance::new(self.request.route.max_body, counts.cloned())
    }

    /// Does it. `body` is the request's, for a pass.
    pub async fn execute<'a>(self, edge: &'a Arc<Edge>, body: Option<&'a mut (dyn RequestBody + 'a)>) -> Answer<'a> {
        let is_head = &*self.request.method == "HEAD";
        let mut record = self.record;
        let answer = match self.task {
            Task::Decided(decision, below) => execute(edge, self.request, decision, below, body).await,
            Task::Purge(asked) => asked.answer().await,
        };
        record.origin = answer.record.origin;
        if let (Some(line), Some(asked)) = (&mut record.line, record.origin) {
            line.asked(&edge.config.origins[asked.place].reach.name, asked.took);
        }
        let answer = Answer { record, ..answer };
        answer.answering(if is_head { "HEAD" } else { "GET" })
    }
}
