//! Every transport gives the same answer to the same request, and asks the origin the same.
//!
//! Each has an edge and an origin of its own, so that each begins with a cold cache. A case is asked twice: cold, then warm.

mod ask;
mod cases;
mod content;

use std::fmt::Write;

use self::ask::{Asker, Got, Http1, Http2};
use self::cases::{Case, Compared};
use self::content::Views;
use crate::edge::Rig;
use crate::multiplexed::wait;

/// Cases are added, never lost.
const AT_LEAST: usize = 1361;

const TRANSPORTS: [(&str, Open); 4] = [
    ("HTTP/1.1", |rig| Box::new(Http1::clear(rig))),
    ("HTTP/2", |rig| Box::new(Http2::clear(rig))),
    ("HTTP/1.1 over TLS", |rig| Box::new(Http1::secure(rig))),
    ("HTTP/2 over TLS", |rig| Box::new(Http2::secure(rig))),
];

/// The first of those over TLS.
const SECURE: usize = 2;

type Open = fn(&Rig) -> Box<dyn Asker>;

/// What one transport made of a case.
#[derive(Debug, PartialEq)]
struct Outcome {
    cold: Got,
    warm: Got,
    /// The origin's requests.
    seen: Vec<String>,
}

impl Outcome {
    fn statuses(&self) -> [u16; 2] {
        [self.cold.status, self.warm.status]
    }
}

/// What one transport makes of all cases.
fn run(open: Open, cases: &[Case]) -> Vec<Outcome> {
    let rig = Rig::with(cases::CONFIGURATION, cases::SITES);
    let views = Views::default();
    content::serve(&rig.world.origin, views.clone());
    let mut asker = open(&rig);
    let outcome = |case: &Case| {
        let named = Named(case);
        let mut ask = || {
            let got = asker.ask(named.0);
            until_settled(&rig);
            got
        };
        let outcome = Outcome {
            cold: ask(),
            warm: ask(),
            seen: views.take(),
        };
        std::mem::forget(named);
        outcome
    };
    cases.iter().map(outcome).collect()
}

/// Returns once no fetch goes on behind an answer that did not need all of it.
fn until_settled(rig: &Rig) {
    let cache = &rig.world.server.edge().cache;
    if cache.fills_under_way() > 0 {
        wait(async {
            while cache.fills_under_way() > 0 {
                tokio::task::yield_now().await;
            }
        });
    }
}

/// Says which case it was that ended the test.
struct Named<'a>(&'a Case);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        eprintln!("within {}", self.0.name);
    }
}

#[test]
fn all_transports_answer_alike() {
    let cases = cases::all();
    let all: Vec<Vec<Outcome>> = std::thread::scope(|scope| {
        let cases = &cases;
        let running = TRANSPORTS.map(|(_, open)| scope.spawn(move || run(open, cases)));
        running.map(|thread| thread.join().unwrap()).into()
    });
    let (mut differences, mut different, mut excepted) = (String::new(), 0, 0);
    for (place, case) in cases.iter().enumerate() {
        let outcomes = [0, 1, 2, 3].map(|transport| &all[transport][place]);
        excepted += usize::from(case.compared != Compared::All);
        for (transport, told) in differing(case, outcomes) {
            different += 1;
            writeln!(differences, "{} over {}: {told}", case.name, TRANSPORTS[transport].0).unwrap();
        }
    }
    let count = cases.len();
    println!(
        "{count} cases over {} transports, {excepted} of them excepted, {different} differences",
        TRANSPORTS.len()
    );
    assert!(different == 0, "{different} differences from HTTP/1.1:\n{differences}");
    assert!(count >= AT_LEAST, "{count} cases");
    expect_variety(&all[0]);
}

/// The transports that do not do as they have to, and how.
fn differing(case: &Case, outcomes: [&Outcome; 4]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (transport, outcome) in outcomes.into_iter().enumerate() {
        let reference = match case.compared {
            Compared::WithinScheme(_) if transport >= SECURE => outcomes[SECURE],
            _ => outcomes[0],
        };
        let alike = match case.compared {
            Compared::Status(_) => outcome.statuses() == reference.statuses(),
            _ => outcome == reference,
        };
        if !alike {
            found.push((transport, difference(reference, outcome)));
        }
    }
    found
}

/// Cases that all came to the same would prove nothing.
fn expect_variety(outcomes: &[Outcome]) {
    let mut statuses: Vec<u16> = outcomes.iter().map(|outcome| outcome.warm.status).collect();
    statuses.sort_unstable();
    statuses.dedup();
    println!("statuses: {statuses:?}");
    for status in [
        200, 204, 206, 301, 304, 400, 404, 405, 412, 413, 416, 417, 431, 500, 502, 504,
    ] {
        assert!(statuses.contains(&status), "no {status}");
    }
    let hits = outcomes
        .iter()
        .filter(|outcome| outcome.warm.says("cache-status", "hit"));
    assert!(hits.count() > outcomes.len() / 4);
}

/// What differs, and no more.
fn difference(one: &Outcome, other: &Outcome) -> String {
    let mut told = String::new();
    for (when, one, other) in [("cold", &one.cold, &other.cold), ("warm", &one.warm, &other.warm)] {
        if one != other {
            write!(told, "{when}: {}", one.difference(other)).unwrap();
        }
    }
    if one.seen != other.seen {
        write!(told, "the origin saw {:#?}, not {:#?}", other.seen, one.seen).unwrap();
    }
    told
}
