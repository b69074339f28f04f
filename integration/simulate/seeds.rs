//! Random runs: fixed seeds, fresh seeds, and the replay of one.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;

use crate::draw;
use crate::ledger::Violation;
use crate::plan::Plan;
use crate::shrink::{judge, shrink};

/// A value from the environment.
fn from_environment<T: FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

/// Shrinks a failing plan and writes all that is known of it.
pub fn report(seed: Option<u64>, plan: Plan, violation: &Violation) -> String {
    let small = shrink(plan, violation.rule);
    let (ledger, found) = judge(&small, true);
    let found = found.unwrap_or_else(|| violation.clone());
    let mut text = format!("\n{}: {}\n", found.rule, found.what);
    if let Some(seed) = seed {
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "seed {seed}; replay with VERGE_SIM_SEED={seed}. The shortest history found:"
        );
    }
    let _ = writeln!(
        text,
        "{:?}\n{:#?}",
        small.knobs,
        small
            .resources
            .iter()
            .map(|r| (r.text(), &r.versions, &r.policies))
            .collect::<Vec<_>>()
    );
    for line in ledger.history.unwrap_or_default() {
        let _ = writeln!(text, "{line}");
    }
    text
}

/// Runs seeds; gives the first that breaks a rule, and how often each kind of thing happened.
pub fn search(
    seeds: impl IntoIterator<Item = u64>,
    tally: &mut BTreeMap<&'static str, u64>,
) -> Option<(u64, Violation)> {
    seeds.into_iter().find_map(|seed| {
        let (ledger, violation) = judge(&draw::plan(seed), false);
        for (what, times) in ledger.tally {
            *tally.entry(what).or_default() += times;
        }
        violation.map(|violation| (seed, violation))
    })
}

fn must_hold(seeds: impl IntoIterator<Item = u64>) {
    let mut tally = BTreeMap::new();
    if let Some((seed, violation)) = search(seeds, &mut tally) {
        panic!("{}", report(Some(seed), draw::plan(seed), &violation));
    }
    for (what, times) in tally {
        println!("{times:>9} {what}");
    }
}

#[test]
fn fixed_seeds_keep_the_rules() {
    if let Some(seed) = from_environment("VERGE_SIM_SEED") {
        return replay(seed);
    }
    must_hold(0..from_environment("VERGE_SIM_SEEDS").unwrap_or(300));
}

#[test]
fn fresh_seeds_keep_the_rules() {
    let start = RandomState::new().hash_one(0) >> 16;
    if from_environment::<u64>("VERGE_SIM_SEED").is_none() {
        must_hold(start..start + from_environment("VERGE_SIM_FRESH").unwrap_or(50));
    }
}

fn replay(seed: u64) {
    let plan = draw::plan(seed);
    let (ledger, violation) = judge(&plan, true);
    println!("{plan:#?}");
    for line in ledger.history.unwrap_or_default() {
        println!("{line}");
    }
    if let Some(violation) = violation {
        panic!("{}", report(Some(seed), plan, &violation));
    }
}

#[test]
fn the_same_seed_gives_the_same_history() {
    for seed in 0..30 {
        let history = || judge(&draw::plan(seed), true).0.history.unwrap_or_default();
        let (first, second) = (history(), history());
        let differs = first.iter().zip(&second).find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(first.len(), second.len(), "seed {seed}");
    }
}

/// For work on the simulator: which rules the seeds break, how often, and by which seeds. Run with `--ignored`.
#[test]
#[ignore = "a tool, not a test"]
fn survey() {
    let mut rules: BTreeMap<&'static str, Vec<(u64, String)>> = BTreeMap::new();
    for seed in 0..from_environment("VERGE_SIM_SEEDS").unwrap_or(300) {
        if let Some(violation) = judge(&draw::plan(seed), false).1 {
            rules.entry(violation.rule).or_default().push((seed, violation.what));
        }
    }
    for (rule, seeds) in rules {
        println!("{rule}: {} seeds, such as", seeds.len());
        seeds
            .iter()
            .take(4)
            .for_each(|(seed, what)| println!("    {seed}: {what}"));
    }
}
