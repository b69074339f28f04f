//! Scenarios written by hand: one for each invariant, and the essence of what random seeds have found.

mod found;

use verge::store::CHUNK;

use crate::executor::Ms;
use crate::ledger::Ledger;
use crate::plan::{Ask, Behaviour, Knobs, Method, Op, Outcome, Plan, Policy, Resource, Tag, VaryBy, Version, What};
use crate::seeds::report;
use crate::shrink::judge;

/// A resource of one content that lives ten minutes.
pub fn plain(size: usize) -> Resource {
    Resource {
        host: "a.example",
        path: "/r",
        query: None,
        guarded: false,
        versions: vec![Version {
            size,
            etag: Tag::Strong,
            last_modified: false,
            status: 200,
        }],
        changes: Vec::new(),
        policies: vec![Policy {
            max_age: Some(600),
            ..Policy::default()
        }],
        policy_changes: Vec::new(),
        behaviours: vec![Behaviour::default()],
    }
}

/// Clients that ask at these times.
pub fn asks(at: impl IntoIterator<Item = (Ms, Ask)>) -> Vec<Op> {
    at.into_iter()
        .map(|(at, ask)| Op {
            at,
            what: What::Ask(ask),
        })
        .collect()
}

/// A plan with one resource.
pub fn of(resource: Resource, ops: Vec<Op>) -> Plan {
    Plan {
        schedule: 0,
        knobs: Knobs::default(),
        resources: vec![resource],
        ops,
    }
}

/// Runs a plan under several schedules; no rule may be broken. Gives the last ledger.
pub fn keeps_the_rules(plan: &Plan) -> Ledger {
    let mut last = Ledger::new(plan, false);
    for schedule in 0..20 {
        let plan = Plan {
            schedule,
            ..plan.clone()
        };
        let (ledger, violation) = judge(&plan, false);
        if let Some(violation) = violation {
            panic!("{}", report(None, plan, &violation));
        }
        last = ledger;
    }
    last
}

/// Two chunks that are refreshed slowly behind stale answers, with nothing but the generation to tell their bodies apart.
pub fn refreshed_slowly() -> Plan {
    let mut resource = plain(2 * CHUNK);
    resource.versions[0].etag = Tag::None;
    resource.changes = vec![2000];
    resource.policies[0] = Policy {
        max_age: Some(1),
        swr: Some(60),
        ..Policy::default()
    };
    resource.behaviours[0].pause = 50;
    of(resource, asks([0, 8000, 11_500, 12_500].map(|at| (at, Ask::default()))))
}

#[test]
fn a_stale_version_stays_whole_while_it_is_refreshed() {
    let ledger = keeps_the_rules(&refreshed_slowly());
    assert_eq!(ledger.contacts.len(), 2);
}

// Invariant 4.

#[test]
fn many_readers_and_one_version_are_one_fetch() {
    let mut resource = plain(100_000);
    resource.behaviours[0] = Behaviour {
        delay: 50,
        pause: 7,
        ..Behaviour::default()
    };
    let readers = (0..60u64).map(|n| {
        let ask = Ask {
            range: (n % 7 == 3).then(|| format!("bytes={}-{}", n * 100, n * 1000)),
            method: if n % 11 == 5 { Method::Head } else { Method::Get },
            pace: if n % 5 == 1 { 40 } else { 0 },
            leaves_at: (n % 9 == 4).then_some(n),
            ..Ask::default()
        };
        (n * 5, ask)
    });
    let ledger = keeps_the_rules(&of(resource, asks(readers)));
    assert_eq!(ledger.contacts.len(), 1);
}

#[test]
fn variants_are_fetched_at_once_and_each_once() {
    let mut resource = plain(1000);
    resource.policies[0].vary = VaryBy::Lang;
    resource.behaviours[0].delay = 1000;
    let readers = (0..30u8).map(|n| {
        let ask = Ask {
            lang: Some(n % 3),
            ..Ask::default()
        };
        (u64::from(n), ask)
    });
    let ledger = keeps_the_rules(&of(resource, asks(readers)));
    // The first request's answer shows that there are variants; the other two are then fetched side by side.
    assert_eq!(ledger.contacts.len(), 3);
    assert_eq!(ledger.contacts[1].begun.at, ledger.contacts[2].begun.at);
}

#[test]
fn a_failed_fetch_is_shared_and_then_tried_once_more() {
    let mut resource = plain(1000);
    resource.behaviours = vec![
        Behaviour {
            delay: 100,
            outcome: Outcome::NoHead,
            ..Behaviour::default()
        },
        Behaviour::default(),
    ];
    let waiting = (0..20u64).map(|n| (n * 10, Ask::default()));
    let later = (0..20u64).map(|n| (2000 + n, Ask::default()));
    let ledger = keeps_the_rules(&of(resource, asks(waiting.chain(later))));
    assert_eq!(ledger.contacts.len(), 2);
}

// Invariant 5.

#[test]
fn a_stalled_reader_holds_nobody_up_and_nothing_in_memory() {
    let mut resource = plain(8 * CHUNK);
    resource.behaviours[0].pause = 10;
    resource.policies[0].private = true;
    let stalled = Ask {
        stall: Some((1000, 600_000)),
        ..Ask::default()
    };
    let readers = (0..10u64).map(|n| (n * 100, if n % 2 == 0 { stalled.clone() } else { Ask::default() }));
    // The model judges windows, memory, and when the fast ones are done.
    keeps_the_rules(&of(resource, asks(readers)));
}

#[test]
fn readers_that_pin_large_bodies_do_not_unbind_memory() {
    let mut resource = plain(2 * CHUNK);
    resource.policies[0].max_age = Some(1);
    resource.versions[0].etag = Tag::None;
    let mut plan = of(resource, Vec::new());
    plan.knobs.ram = 4 << 20;
    plan.ops = asks((0..60u64).map(|n| {
        let pinning = Ask {
            stall: Some((1, 1_000_000)),
            ..Ask::default()
        };
        (n * 2000, pinning)
    }));
    keeps_the_rules(&plan);
}
