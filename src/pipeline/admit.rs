//! Admit: whether those who ask have the token that their route wants; and the request as it goes on, without it.
//!
//! Nothing reaches the cache or an origin but what is [`Admitted`], which is made here alone.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use smallvec::SmallVec;

use super::decide::{Own, find, turned_away};
use super::edge::Edge;
use super::request::RequestView;
use crate::access::path::other_readings;
use crate::access::{self, Policy, Reason, Strip, Trace, Verdict};
use crate::config::Found;
use crate::planted::{self, Bug};
use crate::policy::fields::{Field, RequestFields};

/// Who has no token that is good, and what is said to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// Why.
    pub reason: Reason,
    /// The status, and where to go instead.
    pub answer: access::Answer,
}

/// A request that may have what it is for, and its site and route: without its token, unless the route keeps it.
#[derive(Clone, Copy)]
pub(super) struct Admitted<'v> {
    request: &'v RequestView<'v>,
    found: Found<'v>,
}

impl<'v> Admitted<'v> {
    /// One that was admitted when it came, and has waited since: nobody else's is an [`OwnedRequest`](super::request::OwnedRequest)
    /// that looks for anything.
    pub(super) fn before(request: &'v RequestView<'v>, found: Found<'v>) -> Admitted<'v> {
        Admitted { request, found }
    }

    pub(super) fn request(&self) -> &'v RequestView<'v> {
        self.request
    }

    pub(super) fn found(&self) -> Found<'v> {
        self.found
    }
}

/// Who judges.
pub(super) enum Judge<'t> {
    /// The edge, of a client: wrong tokens count against it, and are counted.
    Edge(Duration),
    /// An operator, who wants to know what was looked at.
    Operator(&'t mut Trace),
}

/// Goes on with `then`: with the request as it is admitted, or with what its client gets instead.
pub(super) fn admit<R>(
    edge: &Edge,
    found: Option<Found<'_>>,
    request: &RequestView<'_>,
    judge: Judge<'_>,
    then: impl FnOnce(Result<Admitted<'_>, Own>) -> R,
) -> R {
    let found = match turned_away(found, request) {
        Ok(found) => found,
        Err(own) => return then(Err(own)),
    };
    let Some(policy) = &found.route.signed else {
        return then(match guarded_elsewhere(edge, &found, request) {
            None => Ok(Admitted { request, found }),
            Some(policy) => Err(denied(policy, Reason::Ambiguous, &asked(edge, request))),
        });
    };
    let asked = asked(edge, request);
    let verdict = match judge {
        Judge::Edge(now) => policy.decide(&asked, edge.tokens(), now),
        Judge::Operator(trace) => {
            let (verdict, looked_at) = policy.explain(&asked);
            *trace = looked_at;
            verdict
        }
    };
    match verdict {
        Verdict::Denied(reason) => then(Err(denied(policy, reason, &asked))),
        Verdict::Granted(_) if policy.keep || planted::is(Bug::KeptToken) => then(Ok(Admitted { request, found })),
        Verdict::Granted(grant) => without_token(request, &grant.strip, |stripped| {
            let admitted = |found| Admitted {
                request: stripped,
                found,
            };
            then(match grant.strip.changes_path() {
                false => Ok(admitted(found)),
                true => match find_anew(edge, stripped, policy) {
                    None => Err(denied(policy, Reason::Path, &asked)),
                    anew => turned_away(anew, stripped).map(admitted),
                },
            })
        }),
    }
}

fn denied(policy: &Policy, reason: Reason, asked: &access::Request<'_>) -> Own {
    Own::Deny(Denied {
        reason,
        answer: policy.answer(reason, asked),
    })
}

/// What is asked of those who come where the origin could think that the path leads, though no token is asked for where it
/// leads here: `//private/a` is `/private/a` to many.
fn guarded_elsewhere<'e>(edge: &'e Edge, found: &Found<'e>, request: &RequestView<'_>) -> Option<&'e Policy> {
    if !edge.config.sites.asks_for_tokens() {
        return None;
    }
    let taken = |path: &str| found.site.routes.iter().find(|route| route.path.matches(path));
    let readings = other_readings(&request.path);
    let mut routes = readings.iter().filter_map(|reading| taken(reading));
    routes.find_map(|route| route.signed.as_deref())
}

/// The request as a policy sees it.
fn asked<'v>(edge: &Edge, request: &'v RequestView<'_>) -> access::Request<'v> {
    access::Request {
        method: request.method,
        scheme: request.scheme,
        host: request.key_host(),
        path: &request.path,
        raw_path: request.raw_path,
        query: request.query,
        fields: &request.fields,
        client: request.client,
        now: edge
            .clock
            .now()
            .wall
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs()),
    }
}

/// Lends the request without what carried its token. Does not allocate where that stood at one end of the query.
fn without_token<R>(request: &RequestView<'_>, strip: &Strip<'_>, lend: impl FnOnce(&RequestView<'_>) -> R) -> R {
    let path = strip.path(&request.path);
    let query = strip.query(request.query);
    let lines = strip.lines(&request.fields);
    let lines: Option<SmallVec<[Field<'_>; 32]>> = lines.as_ref().map(|lines| {
        let fields = lines.iter().map(|(name, value)| Field { name, value });
        fields.collect()
    });
    lend(&RequestView {
        method: request.method,
        scheme: request.scheme,
        host: Cow::Borrowed(&request.host),
        path: Cow::Borrowed(&path),
        raw_path: &path,
        query: query.as_deref(),
        fields: lines.as_deref().map_or(request.fields, RequestFields::new),
        client: request.client,
        version: request.version,
        body: request.body,
    })
}

/// What is said of the path that is left of one with a token in it, if the same is asked there: whoever moves a token about
/// in a path gets nowhere else.
fn find_anew<'e>(edge: &'e Edge, request: &RequestView<'_>, policy: &Arc<Policy>) -> Option<Found<'e>> {
    let found = find(edge, request)?;
    let same = found.route.signed.as_ref();
    same.is_some_and(|same| Arc::ptr_eq(same, policy)).then_some(found)
}
