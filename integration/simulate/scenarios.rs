//! Scenarios written by hand: one for each invariant, and the essence of what random seeds have found.

use verge::store::CHUNK;

use crate::executor::Ms;
use crate::ledger::Ledger;
use crate::plan::{
    Ask, Behaviour, Knobs, Method, Op, Outcome, Plan, Policy, Resource, Tag, Target, VaryBy, Version, What,
};
use crate::seeds::report;
use crate::shrink::judge;

/// A resource of one content that lives ten minutes.
pub fn plain(size: usize) -> Resource {
    Resource {
        host: "a.example",
        path: "/r",
        query: None,
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

// What random seeds have found.

#[test]
fn a_refresh_too_large_to_keep_is_given_up() {
    let mut resource = plain(2 * CHUNK);
    resource.versions.push(Version {
        size: 4 * CHUNK,
        ..resource.versions[0]
    });
    resource.changes = vec![2000];
    resource.policies[0] = Policy {
        max_age: Some(1),
        swr: Some(60),
        ..Policy::default()
    };
    resource.behaviours.push(Behaviour {
        chunked: true,
        ..Behaviour::default()
    });
    let mut plan = of(resource, asks([0, 3000].map(|at| (at, Ask::default()))));
    plan.knobs.ram = 2 << 20;
    let ledger = keeps_the_rules(&plan);
    assert!(ledger.contacts[1].dropped.is_some());
}

#[test]
fn a_304_that_brings_another_vary_confirms_nothing() {
    let mut resource = plain(1000);
    resource.versions[0].etag = Tag::OfAllVariants;
    resource.policies = [VaryBy::Nothing, VaryBy::Lang]
        .map(|vary| Policy {
            max_age: Some(2),
            vary,
            ..Policy::default()
        })
        .into();
    resource.policy_changes = vec![1000];
    let other = Ask {
        lang: Some(2),
        ..Ask::default()
    };
    let asked = [(0, Ask::default()), (3000, Ask::default()), (3500, other)];
    let ledger = keeps_the_rules(&of(resource, asks(asked)));
    assert_eq!(ledger.contacts.len(), 4);
}

#[test]
fn a_304_that_becomes_private_is_for_its_client_alone() {
    let mut resource = plain(1000);
    resource.policies[0].max_age = Some(1);
    resource.policies.push(Policy {
        max_age: Some(600),
        private: true,
        ..Policy::default()
    });
    resource.policy_changes = vec![1000];
    resource.behaviours[0].delay = 100;
    keeps_the_rules(&of(
        resource,
        asks([0, 3000, 3010, 3050, 4000].map(|at| (at, Ask::default()))),
    ));
}

#[test]
fn a_304_without_date_is_as_young_as_the_confirmation() {
    let mut resource = plain(1000);
    resource.policies[0].max_age = Some(10);
    resource.behaviours.push(Behaviour {
        date: false,
        age: Some(3),
        ..Behaviour::default()
    });
    let ledger = keeps_the_rules(&of(
        resource,
        asks([0, 20_000, 22_000, 25_000].map(|at| (at, Ask::default()))),
    ));
    assert_eq!(ledger.contacts.len(), 2);
}

#[test]
fn what_nobody_can_join_is_invalidated_too() {
    let mut resource = plain(1000);
    resource.policies[0].public = true;
    resource.behaviours[0] = Behaviour {
        delay: 500,
        ..Behaviour::default()
    };
    resource.behaviours.push(Behaviour::default());
    let alone = Ask {
        authorization: true,
        ..Ask::default()
    };
    let post = Ask {
        method: Method::Post,
        ..Ask::default()
    };
    let asked = [(0, alone), (100, post), (2000, Ask::default())];
    let ledger = keeps_the_rules(&of(resource, asks(asked)));
    assert_eq!(ledger.contacts.len(), 3);
}

/// A reader that falls behind a body that is not kept, and a fast one that makes it fall behind.
fn falling_behind(range: Option<&str>, behaviour: Behaviour) -> Plan {
    let mut resource = plain(300_000);
    resource.behaviours = vec![
        Behaviour {
            pause: 10,
            ..Behaviour::default()
        },
        behaviour,
    ];
    let slow = Ask {
        range: range.map(str::to_owned),
        stall: Some((3000, 60_000)),
        ..Ask::default()
    };
    let mut plan = of(resource, asks([(0, slow), (5, Ask::default())]));
    plan.knobs.ram = 256 << 10;
    plan
}

#[test]
fn the_rest_of_several_ranges_is_read_at_their_offsets() {
    let plan = falling_behind(Some("bytes=1000-9999,20000-29999,200000-250000"), Behaviour::default());
    let ledger = keeps_the_rules(&plan);
    assert!(
        ledger.contacts.iter().any(|contact| contact.range),
        "the slow reader asks for the rest"
    );
}

#[test]
fn a_shorter_rest_than_was_asked_for_is_no_end() {
    let short = Behaviour {
        short_range: Some(5000),
        ..Behaviour::default()
    };
    let ledger = keeps_the_rules(&falling_behind(None, short));
    assert!(
        ledger.contacts.iter().any(|contact| contact.range),
        "the slow reader asks for the rest"
    );
    assert_eq!(ledger.tally.get("bodies that broke off"), Some(&1));
}

#[test]
fn a_purge_parts_what_came_before_from_what_comes_after() {
    for target in [
        Target::Url(0),
        Target::Tag(1),
        Target::Prefix("a.ex".into()),
        Target::Site("a.example"),
        Target::All,
    ] {
        let mut resource = plain(50_000);
        resource.policies[0].tags = vec![1];
        resource.behaviours[0].delay = 100;
        resource.behaviours[0].pause = 20;
        let mut ops = asks([0, 50, 110, 160, 5000].map(|at| (at, Ask::default())));
        ops.push(Op {
            at: 105,
            what: What::Purge(target, true),
        });
        let ledger = keeps_the_rules(&of(resource, ops));
        assert_eq!(ledger.contacts.len(), 2);
    }
}

#[test]
fn the_rest_of_another_version_is_not_taken() {
    let deaf = Behaviour {
        no_if_range: true,
        ..Behaviour::default()
    };
    let mut plan = falling_behind(None, deaf);
    plan.resources[0].changes = vec![30_000];
    let ledger = keeps_the_rules(&plan);
    assert!(
        ledger.contacts.iter().any(|contact| contact.range),
        "the slow reader asks for the rest"
    );
    assert_eq!(ledger.tally.get("bodies that broke off"), Some(&1));
}
