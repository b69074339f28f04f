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
use crate::telemetry::{MethodClass, Record};

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
    let record = Record {
        site: found.map(|found| found.place),
        method: MethodClass::of(request.method),
        began: now,
    };
    let answered = |answer: Answer<'static>| Begun::Answer(Answer { record, ..answer });
    let own = |answer: Answer<'static>| answered(answer.answering(request.method));
    let work = |route: &Arc<Route>, decision| {
        let request = OwnedRequest::new(request, Arc::clone(route));
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
            if let Some(route) = serve.refresh.take() {
                refresh(edge, OwnedRequest::new(request, route), serve.version.head.key.hash);
            }
            answered(Answer::stored(serve, now))
        }
        Decision::Refuse(refused) => own(Answer {
            hsts: found.and_then(|found| hsts(found.route, request.scheme)),
            ..Answer::refused(refused)
        }),
        Decision::Redirect(port) => own(Answer::redirected(request, port)),
        Decision::Fetch(ref route, _) | Decision::Pass(ref route, _) => work(&Arc::clone(route), decision),
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
        let record = self.record;
        let answer = execute(edge, self.request, self.decision, body).await;
        let answer = Answer { record, ..answer };
        answer.answering(if is_head { "HEAD" } else { "GET" })
    }
}
