//! What the edge would do with a request, and why: the decision itself, and what it was made from.

use std::sync::atomic::Ordering;
use std::time::Duration;

use http::StatusCode;

use super::admit::{Admitted, Judge, admit};
use super::decide::{Decision, Fetch, Own, Refused, decide_on, find};
use super::details::meaning;
use super::edge::Edge;
use super::purge_method;
use super::request::RequestView;
use crate::access::{Told, Trace};
use crate::cache::object::Version;
use crate::cache::{Brought, Looked, Remembered};
use crate::config::{Found, Route, Site};
use crate::policy::cache_status::{self, CacheStatus, Fwd};

/// What the edge would do with a request.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// What was looked at, in the order of the decision: a word, and what is to be said of it.
    pub steps: Vec<(&'static str, String)>,
    /// What it comes to, in a sentence.
    pub verdict: String,
    /// The status, where the edge would answer by itself.
    pub status: Option<StatusCode>,
    /// What `Cache-Status` would say, as far as that is known before an origin is asked.
    pub cache_status: String,
    /// Its `detail`.
    pub detail: Option<&'static str>,
    /// What that means.
    pub means: Option<&'static str>,
}

/// Decides on a request that nobody has made; `bring` gives what it would find below RAM.
pub fn explain(edge: &Edge, request: &RequestView<'_>, bring: impl Fn(&RequestView<'_>) -> Brought) -> Explanation {
    let found = find(edge, request);
    let policy = found.as_ref().and_then(|found| found.route.signed.as_deref());
    let mut steps = vec![("request", asked(request, found.map(|found| found.site)))];
    if let Some(found) = &found {
        steps.extend(routed(edge, found));
    }
    if let Some(judged) = purge_method::judge(found, request) {
        return explanation(steps, answered_by_edge(&Own::Refuse(judged)));
    }
    let mut trace = Trace::default();
    let mut explained = admit(
        edge,
        found,
        request,
        Judge::Operator(&mut trace),
        |admitted| match admitted {
            Ok(admitted) => explain_on(edge, &admitted, &bring(admitted.request())),
            Err(own) => explanation(Vec::new(), answered_by_edge(&own)),
        },
    );
    if let Some(policy) = policy {
        steps.push(("token", format!("asked for; dialect {}", policy.name.word())));
        let looked_at = trace.steps().iter().map(|step| (step.what, step.says.clone()));
        steps.extend(looked_at);
    }
    steps.append(&mut explained.steps);
    Explanation { steps, ..explained }
}

/// Decides on a request that is admitted.
fn explain_on(edge: &Edge, admitted: &Admitted<'_>, brought: &Brought) -> Explanation {
    let now = edge.clock.monotonic();
    let (request, found) = (admitted.request(), admitted.found());
    let mut steps = Vec::new();
    if found.route.signed.is_some() {
        let left = asked(request, Some(found.site));
        steps.push(("admitted", format!("{left}, on route {}", found.route.path.as_str())));
    }
    let decision = decide_on(edge, admitted, brought, now);
    if let Decision::Serve(_) | Decision::Fetch(..) = decision {
        steps.extend(stored(edge, request, found.site, brought, now));
    }
    let mut judged = judged(&decision);
    if let Decision::Fetch(..) = decision
        && let Some(Remembered::Failed(_)) = remembered(edge, request, now)
    {
        judged.verdict = "the last fetch has just failed; answered with that, or with something stale".to_owned();
        judged.cache_status.detail = Some("recent-failure");
    }
    if let Decision::Fetch(route, fetch) = &decision
        && is_full(edge, route, fetch, request)
    {
        judged.verdict =
            "as many fetches as there may be are under way; answered with that, or with something stale".to_owned();
        judged.cache_status = CacheStatus {
            detail: Some("too-many-fetches"),
            ..CacheStatus::default()
        };
    }
    explanation(steps, judged)
}

fn explanation(steps: Vec<(&'static str, String)>, judged: Judgement) -> Explanation {
    Explanation {
        steps,
        verdict: judged.verdict,
        status: judged.status,
        cache_status: written(&judged.cache_status),
        detail: judged.cache_status.detail,
        means: judged.cache_status.detail.and_then(meaning),
    }
}

/// Whether another fetch would be one too many, and none is under way that this request could share.
fn is_full(edge: &Edge, route: &Route, fetch: &Fetch, request: &RequestView<'_>) -> bool {
    let slot = edge.origins.get(route.origin);
    let of_origin = slot.is_some_and(|slot| slot.under_way.load(Ordering::Relaxed) >= slot.max_fetches);
    let in_all = edge.cache.fills_under_way() >= edge.cache.settings().max_fills;
    let looked = edge.cache.lookup(fetch.hash, &request.key_parts(), &request.fields);
    (of_origin || in_all) && !edge.cache.is_under_way(fetch.hash, looked.id)
}

/// Method and URL, without a token: what is explained is shown around.
fn asked(request: &RequestView<'_>, site: Option<&Site>) -> String {
    let as_it_is = || Told::new(&request.path, request.query);
    let told = site.map_or_else(as_it_is, |site| site.told(&request.path, request.query));
    let query = told.query.map_or(String::new(), |query| format!("?{query}"));
    let (scheme, host) = (request.scheme.name(), &request.host);
    format!("{} {scheme}://{host}{}{query}", request.method, told.path)
}

fn routed(edge: &Edge, found: &Found<'_>) -> Vec<(&'static str, String)> {
    let route: &Route = found.route;
    let origin = edge.config.origins.get(route.origin);
    let origin = origin.map_or("", |origin| origin.reach.name.as_str());
    let kept = if route.cache {
        "may be stored"
    } else {
        "is never stored (cache = false)"
    };
    vec![
        ("site", found.site.name.to_string()),
        (
            "route",
            format!("{}, origin {origin}; what it answers {kept}", route.path.as_str()),
        ),
    ]
}

/// Key, what is stored under it, and the arithmetic of its freshness.
fn stored(
    edge: &Edge,
    request: &RequestView<'_>,
    site: &Site,
    brought: &Brought,
    now: Duration,
) -> Vec<(&'static str, String)> {
    let parts = request.key_parts();
    let hash = edge.cache.secret().key(&parts);
    let told = site.told(parts.path, parts.query);
    let kept = told != Told::new(parts.path, parts.query);
    let token = if kept {
        ", and the token, which the route keeps"
    } else {
        ""
    };
    let query = told.query.map_or("none".to_owned(), |query| format!("`{query}`"));
    let (scheme, host, path) = (parts.scheme.name(), parts.host, told.path);
    let mut steps = vec![(
        "key",
        format!("{hash:032x} of {scheme}, {host}, {path}, query {query}{token}"),
    )];
    let looked = edge.cache.lookup_with(hash, &parts, &request.fields, brought);
    match &looked.version {
        None => steps.push(("stored", format!("nothing that may be used ({})", looked.miss.token()))),
        Some(version) => steps.extend(version_steps(version, &looked, now)),
    }
    if let Some(remembered) = edge.cache.remembered(looked.id, now) {
        steps.push(("remembered", what_is_remembered(remembered)));
    }
    steps
}

fn remembered(edge: &Edge, request: &RequestView<'_>, now: Duration) -> Option<Remembered> {
    let parts = request.key_parts();
    let looked = edge
        .cache
        .lookup(edge.cache.secret().key(&parts), &parts, &request.fields);
    edge.cache.remembered(looked.id, now)
}

fn version_steps(version: &Version, looked: &Looked, now: Duration) -> Vec<(&'static str, String)> {
    let head = &version.head;
    let mut steps = Vec::new();
    if let Some(selected) = &head.vary {
        let names: Vec<&str> = selected.spec.names().iter().map(|name| name.as_str()).collect();
        steps.push(("variant", format!("selected by {}", names.join(", "))));
    }
    let purged = if looked.soft_purged { ", purged softly" } else { "" };
    let length = head
        .content_length
        .map_or(String::new(), |length| format!(", {length} bytes"));
    let below = if version.is_below() {
        ", on the SSD tier too"
    } else {
        ""
    };
    steps.push(("stored", format!("{}{length}{purged}{below}", head.status)));
    let freshness = &head.freshness;
    let (initial, resident) = (freshness.initial_age, now.saturating_sub(freshness.response_time));
    steps.push((
        "age",
        format!(
            "{} s: {} s when it came, {} s since (RFC 9111 4.2.3)",
            freshness.age(now).as_secs(),
            initial.as_secs(),
            resident.as_secs()
        ),
    ));
    let guessed = if freshness.heuristic {
        ", guessed (RFC 9111 4.2.2)"
    } else {
        " (RFC 9111 4.2.1)"
    };
    let left = freshness.ttl(now);
    let state = if left > 0 { "fresh for" } else { "stale for" };
    steps.push((
        "lifetime",
        format!("{} s{guessed}; {state} {} s", freshness.lifetime.as_secs(), left.abs()),
    ));
    steps
}

fn what_is_remembered(remembered: Remembered) -> String {
    match remembered {
        Remembered::Uncacheable => {
            "the last response said that it may not be stored; clients do not wait for one another"
        }
        Remembered::Failed(_) => "the last fetch brought no response",
        Remembered::ServerError(_) => "the last fetch brought a 5xx",
    }
    .to_owned()
}

struct Judgement {
    verdict: String,
    status: Option<StatusCode>,
    cache_status: CacheStatus,
}

fn judged(decision: &Decision) -> Judgement {
    let forwarded = |fwd: Fwd, detail, verdict: &str| Judgement {
        verdict: verdict.to_owned(),
        status: None,
        cache_status: CacheStatus {
            fwd: Some(fwd),
            detail,
            ..CacheStatus::default()
        },
    };
    match decision {
        Decision::Serve(serve) => Judgement {
            verdict: match serve.refresh {
                Some(_) => "answered from the cache, and refreshed behind that",
                None => "answered from the cache",
            }
            .to_owned(),
            status: None,
            cache_status: serve.status,
        },
        Decision::Fetch(_, fetch) if fetch.seen.is_some() => forwarded(
            fetch.fwd,
            fetch.detail,
            "the origin is asked whether what is stored still holds",
        ),
        Decision::Fetch(_, fetch) => {
            forwarded(fetch.fwd, fetch.detail, "fetched from the origin, once for all who ask")
        }
        Decision::Pass(_, fwd) => {
            let verdict = match fwd {
                Fwd::Method => "passed to the origin: only GET and HEAD are for the cache",
                Fwd::Request => "passed to the origin: a GET with a body is not for the cache (RFC 9110 9.3.1)",
                _ => "passed to the origin: the route says so (cache = false, or an upgrade)",
            };
            forwarded(*fwd, None, verdict)
        }
        Decision::Own(own) => answered_by_edge(own),
    }
}

fn answered_by_edge(answer: &Own) -> Judgement {
    match answer {
        Own::Refuse(Refused { status, detail }) => Judgement {
            verdict: format!("answered by the edge itself: {status}"),
            status: Some(*status),
            cache_status: own(detail),
        },
        Own::Redirect(port) => Judgement {
            verdict: format!("redirected to https, port {port}"),
            status: None,
            cache_status: own("redirect-to-https"),
        },
        Own::Deny(denied) => Judgement {
            verdict: match &denied.answer.location {
                Some(location) => format!("denied, and sent to {location}"),
                None => format!("denied: {}", denied.answer.status),
            },
            status: Some(denied.answer.status),
            cache_status: own(denied.reason.code()),
        },
    }
}

fn own(detail: &'static str) -> CacheStatus {
    CacheStatus {
        detail: Some(detail),
        ..CacheStatus::default()
    }
}

fn written(status: &CacheStatus) -> String {
    let mut out = Vec::new();
    cache_status::write(&mut out, status);
    String::from_utf8_lossy(&out).into_owned()
}
