//! Runs the tables of `integration/policy/` against `verge::policy`. `policy/table.rs` says how a table is read.

#![allow(clippy::unwrap_used, reason = "a broken table is to fail loudly")]

#[path = "policy/hostile.rs"]
mod hostile;
#[path = "policy/table.rs"]
mod table;

use std::fmt::Write;
use std::time::Duration;

use http::{HeaderName, StatusCode};
use table::{Case, flag, run, seconds, shown, words};
use verge::clock::Now;
use verge::policy::cache_control::{MaxStale, RequestDirectives, ResponseDirectives};
use verge::policy::freshness::Freshness;
use verge::policy::range::{Ranges, select};
use verge::policy::reuse::{Reuse, Terms};
use verge::policy::storable::Asked;
use verge::policy::validator::{Precondition, merge_not_modified, selects, validators};
use verge::policy::vary::Vary;
use verge::policy::{self, date};

/// The date that responses arrive at in the tables.
const RECEIVED: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";
/// When that is on the monotonic clock.
const RECEIVED_MONOTONIC: Duration = Duration::from_secs(1000);

#[test]
fn cache_control() {
    run("cache_control", &[], |case| match case.request.is_empty() {
        true => response_said(&policy::response_directives(&case.response)),
        false => request_said(&case.with_request(policy::request_directives)),
    });
}

fn request_said(said: &RequestDirectives) -> String {
    let stale = said.max_stale.map(|stale| match stale {
        MaxStale::Any => "max-stale".to_owned(),
        MaxStale::Seconds(seconds) => format!("max-stale={seconds}"),
    });
    words([
        seconds("max-age", said.max_age),
        stale,
        seconds("min-fresh", said.min_fresh),
        seconds("stale-if-error", said.stale_if_error),
        flag("no-cache", said.no_cache),
        flag("no-store", said.no_store),
        flag("only-if-cached", said.only_if_cached),
    ])
}

fn response_said(said: &ResponseDirectives) -> String {
    words([
        seconds("max-age", said.max_age),
        seconds("s-maxage", said.s_maxage),
        seconds("stale-while-revalidate", said.stale_while_revalidate),
        seconds("stale-if-error", said.stale_if_error),
        flag("no-cache", said.no_cache),
        flag("no-store", said.no_store),
        flag("private", said.private),
        flag("public", said.public),
        flag("must-revalidate", said.must_revalidate),
        flag("proxy-revalidate", said.proxy_revalidate),
        flag("must-understand", said.must_understand),
        flag("no-transform", said.no_transform),
        flag("immutable", said.immutable),
        names("no-cache", &said.no_cache_fields),
        names("private", &said.private_fields),
    ])
}

fn names(name: &str, fields: &[HeaderName]) -> Option<String> {
    let list: Vec<&str> = fields.iter().map(HeaderName::as_str).collect();
    (!list.is_empty()).then(|| format!("{name}[{}]", list.join(",")))
}

#[test]
fn storable() {
    let known = ["status", "head", "authorization", "cookie", "no-store", "range"];
    run("storable", &known, |case| {
        let asked = Asked {
            head_only: case.has("head"),
            authorization: case.has("authorization"),
            cookie: case.has("cookie"),
            no_store: case.has("no-store"),
            range: case.has("range"),
        };
        match policy::storable(
            &asked,
            status(case),
            &case.response,
            policy::response_directives(&case.response),
        ) {
            Ok(response) if response.heuristic_allowed() => "store".to_owned(),
            Ok(_) => "store, no guess".to_owned(),
            Err(why) if why.says_response() => format!("{}, always", why.detail()),
            Err(why) => format!("{}, this time", why.detail()),
        }
    });
}

fn status(case: &Case) -> StatusCode {
    let code = case.number("status").map_or(200, |code| code as u16);
    StatusCode::from_u16(code).unwrap()
}

#[test]
fn freshness() {
    run("freshness", &["status", "delay", "now", "guess"], |case| {
        let wall = date::parse(RECEIVED).unwrap();
        let delay = case.time("delay").unwrap_or_default();
        let monotonic = RECEIVED_MONOTONIC;
        let requested = Now {
            monotonic: monotonic - delay,
            wall: wall - delay,
        };
        let directives = policy::response_directives(&case.response);
        let known = policy::freshness(
            status(case),
            &case.response,
            &directives,
            requested,
            Now { monotonic, wall },
            case.has("guess"),
        );
        let now = monotonic + case.time("now").unwrap_or_default();
        let fresh = known.is_fresh(now);
        let ttl = format!("ttl={}", known.ttl(now));
        words([
            seconds("lifetime", Some(known.lifetime.as_secs())).filter(|_| case.expects("lifetime")),
            seconds("age", Some(known.age(now).as_secs())).filter(|_| case.expects("age")),
            Some(ttl).filter(|_| case.expects("ttl")),
            flag("fresh", fresh),
            flag("stale", !fresh),
            flag("guessed", known.heuristic),
            flag("never-stale", known.never_stale),
            flag("validate", known.revalidate_always),
            seconds("swr", known.stale_while_revalidate.map(|time| time.as_secs())),
            seconds("sie", known.stale_if_error.map(|time| time.as_secs())),
        ])
    });
}

#[test]
fn reuse() {
    let known = [
        "lifetime",
        "age",
        "swr",
        "sie",
        "site-swr",
        "site-sie",
        "validate",
        "never-stale",
        "soft",
        "allow",
    ];
    run("reuse", &known, |case| {
        let freshness = Freshness {
            response_time: RECEIVED_MONOTONIC,
            initial_age: Duration::ZERO,
            lifetime: case.time("lifetime").unwrap_or_default(),
            stale_while_revalidate: case.time("swr"),
            stale_if_error: case.time("sie"),
            revalidate_always: case.has("validate"),
            never_stale: case.has("never-stale") || case.has("validate"),
            heuristic: false,
        };
        let terms = Terms {
            stale_while_revalidate: case.time("site-swr").unwrap_or_default(),
            stale_if_error: case.time("site-sie").unwrap_or_default(),
            client_may_revalidate: case.has("allow"),
        };
        let now = RECEIVED_MONOTONIC + case.time("age").unwrap_or_default();
        let request = case.with_request(policy::request_directives);
        let soft = case.has("soft");
        let how = token(policy::reuse(&request, &freshness, soft, &terms, now));
        match policy::usable_on_error(&freshness, soft, &terms, now) {
            true => format!("{how}, stands in"),
            false => format!("{how}, error"),
        }
    });
}

fn token(how: Reuse) -> &'static str {
    match how {
        Reuse::Fresh => "fresh",
        Reuse::StaleWhileRevalidate => "refresh-behind",
        Reuse::Revalidate(why) => why.detail(),
        Reuse::OnlyIfCached => "504",
    }
}

#[test]
fn precondition() {
    run("precondition", &["unsafe"], |case| {
        let stored = validators(&case.response);
        let outcome = case.with_request(|fields| policy::precondition(fields, !case.has("unsafe"), &stored));
        match outcome {
            Precondition::Proceed => "proceed".to_owned(),
            Precondition::NotModified => "304".to_owned(),
            Precondition::Failed => "412".to_owned(),
        }
    });
}

#[test]
fn range() {
    run("range", &["length"], |case| {
        let stored = validators(&case.response);
        let length = case.number("length").unwrap_or(1000);
        match case.with_request(|fields| select(fields, &stored, length)) {
            Ranges::Whole => "whole".to_owned(),
            Ranges::Unsatisfiable => "416".to_owned(),
            Ranges::Parts(parts) => {
                let parts = parts.iter().map(|part| format!("{}-{}", part.start, part.end - 1));
                parts.collect::<Vec<_>>().join(" ")
            }
        }
    });
}

#[test]
fn vary() {
    run("vary", &[], |case| match policy::vary(&case.response) {
        Vary::None => "none".to_owned(),
        Vary::Star => "star".to_owned(),
        Vary::Fields(spec) => {
            let mut stream = Vec::new();
            case.with_request(|fields| spec.each_value(fields, &mut |bytes| stream.extend_from_slice(bytes)));
            selected(spec.names(), &stream)
        }
    });
}

/// Reads the stream of `VarySpec::each_value` back: `name<value>`, or `name-` where it is absent.
fn selected(names: &[HeaderName], mut stream: &[u8]) -> String {
    let mut out = Vec::new();
    for name in names {
        let (tag, rest) = stream.split_first().unwrap();
        stream = rest;
        if *tag == 0 {
            out.push(format!("{name}-"));
            continue;
        }
        let (length, rest) = stream.split_first_chunk().unwrap();
        let (value, rest) = rest.split_at(u64::from_le_bytes(*length) as usize);
        stream = rest;
        out.push(format!("{name}<{}>", shown(value)));
    }
    assert_eq!(stream, b"", "bytes left over");
    out.join(" ")
}

#[test]
fn merge() {
    run("merge", &[], |case| {
        if !selects(&validators(&case.response), &case.update) {
            return "refused".to_owned();
        }
        let merged = merge_not_modified(&case.response, &case.update);
        let mut lines: Vec<String> = Vec::new();
        for name in merged.keys() {
            let mut line = name.to_string();
            for value in merged.get_all(name) {
                let _ = write!(line, " [{}]", shown(value.as_bytes()));
            }
            lines.push(line);
        }
        lines.sort_unstable();
        lines.join(", ")
    });
}
