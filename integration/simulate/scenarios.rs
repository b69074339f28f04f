//! Scenarios written by hand: one for each invariant, and the essence of what random seeds have found.

use verge::store::CHUNK;

use crate::executor::Ms;
use crate::ledger::Ledger;
use crate::plan::{Ask, Behaviour, Knobs, Op, Plan, Policy, Resource, Tag, Version, What};
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
