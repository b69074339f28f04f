//! What becomes of a request at once: an answer, or work that needs the origin.

use std::sync::Arc;

use super::answer::Answer;
use super::decide::{Decision, decide, hsts, route};
use super::edge::Edge;
use super::execute::{execute, refresh};
use super::request::{OwnedRequest, RequestView};
use crate::config::Route;
use crate::origin::{Interims, RequestBody};

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
}

/// Decides on a request, whatever transport it came by, and answers it if nothing has to be brought first.
pub fn begin(edge: &Arc<Edge>, request: &RequestView<'_>) -> Begun {
    let now = edge.clock.monotonic();
    let own = |answer: Answer<'static>| Begun::Answer(answer.answering(request.method));
    match decide(edge, request, now) {
        Decision::Serve(mut serve) => {
            if let Some(route) = serve.refresh.take() {
                refresh(edge, OwnedRequest::new(request, route), serve.version.head.key.hash);
            }
            Begun::Answer(Answer::stored(serve, now))
        }
        Decision::Refuse(refused) => own(Answer {
            hsts: route(edge, request).and_then(|route| hsts(route, request.scheme)),
            ..Answer::refused(refused)
        }),
        Decision::Redirect(port) => own(Answer::redirected(request, port)),
        Decision::Fetch(route, fetch) => Work::begun(request, Arc::clone(&route), Decision::Fetch(route, fetch)),
        Decision::Pass(route, fwd) => Work::begun(request, Arc::clone(&route), Decision::Pass(route, fwd)),
    }
}

impl Work {
    fn begun(request: &RequestView<'_>, route: Arc<Route>, decision: Decision) -> Begun {
        let request = OwnedRequest::new(request, route);
        Begun::Work(Box::new(Work { request, decision }))
    }

    /// Where the interim responses will be that come before the answer; to be looked at after each poll of
    /// [`Work::execute`].
    pub fn interims(&mut self) -> Arc<Interims> {
        Arc::clone(self.request.interims.get_or_insert_default())
    }

    /// Does it. `body` is the request's, for a pass.
    pub async fn execute<'a>(self, edge: &'a Arc<Edge>, body: Option<&'a mut (dyn RequestBody + 'a)>) -> Answer<'a> {
        let is_head = &*self.request.method == "HEAD";
        let answer = execute(edge, self.request, self.decision, body).await;
        answer.answering(if is_head { "HEAD" } else { "GET" })
    }
}
