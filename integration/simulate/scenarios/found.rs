//! The essence of what random seeds have found.

use verge::store::CHUNK;

use super::{asks, keeps_the_rules, of, plain};
use crate::plan::{Ask, Behaviour, Method, Op, Plan, Policy, Tag, Target, VaryBy, Version, What};

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

#[test]
fn who_joins_a_lone_slow_reader_is_not_held_up_by_it() {
    let mut resource = plain(300_000);
    resource.behaviours[0].pause = 1;
    let stalled = Ask {
        stall: Some((0, 60_000)),
        ..Ask::default()
    };
    // The origin has been stopped for the first one alone when the second comes.
    let mut plan = of(resource, asks([(0, stalled), (2000, Ask::default())]));
    plan.knobs.ram = 256 << 10;
    let ledger = keeps_the_rules(&plan);
    assert_eq!(ledger.tally.get("bodies that broke off"), None);
}
