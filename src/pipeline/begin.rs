//! What becomes of a request at once: an answer, or work that needs the origin.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use super::admit::{Admitted, Judge, admit};
use super::allowance::Allowance;
use super::answer::Answer;
use super::decide::{Decision, Own, asks_below, decide_on, find, hsts};
use super::edge::Edge;
use super::execute::{Waiting, execute, refresh};
use super::purge_method;
use super::request::{OwnedRequest, RequestView};
use crate::cache::Brought;
use crate::config::{Found, Route};
use crate::origin::{Interims, RequestBody};
use crate::telemetry::access::{AccessLog, Line, Seen};
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

enum Task {
    Decided(Decision),
    /// What is on a device decides.
    Waits(Box<Waiting>),
    Purge(purge_method::Asked),
}

/// Decides on a request, whatever transport it came by, and answers it if nothing has to be brought first.
pub fn begin(edge: &Arc<Edge>, request: &RequestView<'_>) -> Begun {
    let now = edge.clock.monotonic();
    let found = find(edge, request);
    let case = Case {
        edge,
        found,
        request,
        now,
    };
    if let (Some(asked), Some(found)) = (purge_method::purge(edge, found, request), found) {
        return case.work(found.route, Task::Purge(asked));
    }
    admit(edge, found, request, Judge::Edge(now), |admitted| match admitted {
        Ok(admitted) => begin_on(edge, &admitted, now),
        Err(own) => case.own(own),
    })
}

/// Begins on a request that is admitted.
fn begin_on(edge: &Arc<Edge>, admitted: &Admitted<'_>, now: Duration) -> Begun {
    let request = admitted.request();
    let case = Case {
        edge,
        found: Some(admitted.found()),
        request,
        now,
    };
    let route = admitted.found().route;
    let decision = match with_below(edge, admitted, now) {
        Ok(decision) => decision,
        Err(waiting) => return case.work(route, Task::Waits(waiting)),
    };
    match decision {
        // What has to be read from a device takes a while.
        Decision::Serve(ref serve) if serve.held.is_some() => case.work(route, Task::Decided(decision)),
        Decision::Serve(mut serve) => {
            let refreshing = serve.refresh.take().map(|route| OwnedRequest::new(request, route));
            let id = refreshing.as_ref().map(|request| request.id);
            if let Some(request) = refreshing {
                refresh(edge, request, serve.version.head.key.hash);
            }
            case.answered(Answer::stored(serve, now), id)
        }
        Decision::Fetch(..) | Decision::Pass(..) => case.work(route, Task::Decided(decision)),
        Decision::Own(own) => case.own(own),
    }
}

/// Decides on what RAM knows and, if that is not enough, on what can be brought up from below without waiting; gives what has to
/// be waited for, if something has.
fn with_below(edge: &Edge, admitted: &Admitted<'_>, now: Duration) -> Result<Decision, Box<Waiting>> {
    let request = admitted.request();
    let mut brought = Brought::default();
    let decision = decide_on(edge, admitted, &brought, now);
    let Some(hash) = asks_below(edge, request, &decision) else {
        return Ok(decision);
    };
    let parts = request.key_parts();
    let clock = || edge.clock.now();
    match edge.cache.bring_up(hash, &parts, &request.fields, &mut brought, &clock) {
        Some(wanted) => Err(Box::new(Waiting { hash, brought, wanted })),
        None if brought.is_empty() => Ok(decision),
        None => Ok(decide_on(edge, admitted, &brought, now)),
    }
}

/// A request that is being decided on.
struct Case<'c> {
    edge: &'c Edge,
    found: Option<Found<'c>>,
    request: &'c RequestView<'c>,
    now: Duration,
}

impl Case<'_> {
    /// The answer to one that goes no further.
    fn own(&self, own: Own) -> Begun {
        let place = self.found.map(|found| found.place);
        if let (Own::Deny(denied), Some(place)) = (&own, place) {
            self.edge.sites[place].denied(denied.reason);
        }
        self.answered_by_edge(Answer::own(own, self.request))
    }

    /// The work that a request makes.
    fn work(&self, route: &Arc<Route>, task: Task) -> Begun {
        let request = OwnedRequest::new(self.request, Arc::clone(route));
        let record = self.record(Some(request.id), None);
        Begun::Work(Box::new(Work { request, task, record }))
    }

    fn answered_by_edge(&self, answer: Answer<'static>) -> Begun {
        let answer = Answer {
            hsts: self.found.and_then(|found| hsts(found.route, self.request.scheme)),
            ..answer
        };
        self.answered(answer.answering(self.request.method), None)
    }

    fn answered(&self, answer: Answer<'static>, id: Option<RequestId>) -> Begun {
        let record = self.record(id, Some(answer.status));
        Begun::Answer(Answer { record, ..answer })
    }

    fn record(&self, id: Option<RequestId>, status: Option<StatusCode>) -> Record {
        Record {
            site: self.found.map(|found| found.place),
            method: MethodClass::of(self.request.method),
            began: self.now,
            origin: None,
            line: self
                .edge
                .access
                .as_ref()
                .and_then(|access| self.line(access, id, status)),
        }
    }

    /// The request's line in the access log. No token gets there, good or not.
    fn line(&self, access: &AccessLog, id: Option<RequestId>, status: Option<StatusCode>) -> Option<Line> {
        let request = self.request;
        let seen = Seen {
            client: request.client,
            scheme: request.scheme.name(),
            method: Some(request.method),
            host: Some(&request.host),
            path: Some(&request.path),
            query: request.query,
            version: Some(request.version),
            fields: Some(&request.fields),
            site: self.found.map(|found| &*found.route.site),
            id,
        };
        let told = self.found.map(|found| found.site.told(&request.path, request.query));
        let seen = told.as_ref().map_or(seen, |told| Seen {
            path: Some(&told.path),
            query: told.query.as_deref(),
            ..seen
        });
        access.begin(&seen, self.now, status)
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
            Task::Decided(decision) => execute(edge, self.request, decision, body).await,
            Task::Waits(waiting) => {
                let decision = waiting.decide(edge, &self.request).await;
                execute(edge, self.request, decision, body).await
            }
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
