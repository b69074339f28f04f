//! What becomes of a request at once: an answer, or work that needs the origin.

use std::sync::Arc;

use super::allowance::Allowance;
use super::answer::Answer;
use super::decide::{Decision, decide_in, find, hsts};
use super::edge::Edge;
use super::execute::{execute, refresh};
use super::purge_method;
use super::request::{OwnedRequest, RequestView};
use crate::config::Route;
use crate::origin::{Interims, RequestBody};
use crate::telemetry::access::Seen;
use crate::telemetry::{MethodClass, Record, RequestId};

/// What becomes of a request at once.
pub enum Begun {
    /// It is answered.
    Answer(Answer<'static>),
    /// It needs the origin.
    Work(Box<Work>),
}

/// A request that needs the origin.
pub struct Work {
    /// The request.
    pub request: OwnedRequest,
    decision: Decision,
    record: Record,
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
    let work = |route: &Arc<Route>, decision| {
        let request = OwnedRequest::new(request, Arc::clone(route));
        let record = record(Some(request.id), None);
        Begun::Work(Box::new(Work {
            request,
            decision,
            record,
        }))
    };
    if let Some(answer) = purge_method::answer(edge, found, request) {
        return own(answer);
    }
    let decision = decide_in(edge, found, request, now);
    match decision {
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
        Decision::Fetch(ref route, _) | Decision::Pass(ref route, _) => work(&Arc::clone(route), decision),
    }
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
        let answer = execute(edge, self.request, self.decision, body).await;
        record.origin = answer.record.origin;
        if let (Some(line), Some(asked)) = (&mut record.line, record.origin) {
            line.asked(&edge.config.origins[asked.place].reach.name, asked.took);
        }
        let answer = Answer { record, ..answer };
        answer.answering(if is_head { "HEAD" } else { "GET" })
    }
}
