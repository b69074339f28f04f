//! Each bug that is planted in the code on purpose is found.

use std::collections::BTreeMap;

use verge::planted::{Bug, plant};

use crate::seeds::search;

/// Seeds within which every planted bug must be found.
const ENOUGH: u64 = 2000;

fn is_found(bug: Bug) {
    plant(Some(bug));
    let found = search(0..ENOUGH, &mut BTreeMap::new());
    plant(None);
    match found {
        Some((seed, violation)) => println!("{bug:?}: found by seed {seed} ({}: {})", violation.rule, violation.what),
        None => panic!("{bug:?} was not found by {ENOUGH} seeds"),
    }
}

#[test]
fn another_versions_chunk() {
    is_found(Bug::AnotherVersionsChunk);
}

#[test]
fn ignored_purge() {
    is_found(Bug::IgnoredPurge);
}

#[test]
fn short_as_whole() {
    is_found(Bug::ShortAsWhole);
}

#[test]
fn slow_reader_holds_fill() {
    is_found(Bug::SlowReaderHoldsFill);
}

#[test]
fn lost_wake_up() {
    is_found(Bug::LostWakeUp);
}

#[test]
fn forgotten_purges() {
    is_found(Bug::ForgottenPurges);
}

#[test]
fn younger_after_restart() {
    is_found(Bug::YoungerAfterRestart);
}

#[test]
fn unchecked_body() {
    is_found(Bug::UncheckedBody);
}

#[test]
fn any_signature() {
    is_found(Bug::AnySignature);
}

#[test]
fn kept_token() {
    is_found(Bug::KeptToken);
}

#[test]
fn another_versions_chunk_by_hand() {
    plant(Some(Bug::AnotherVersionsChunk));
    let (_, violation) = crate::shrink::judge(&crate::scenarios::refreshed_slowly(), true);
    plant(None);
    assert_eq!(violation.map(|violation| violation.rule), Some("wrong bytes"));
}
