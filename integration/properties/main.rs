//! What must hold of the parsers of `verge::policy` and `verge::target`, whatever they are given.
//!
//! `laws` hold of any input; here they are tried on random field values, and on what fuzzing has kept
//! (`integration/fuzz/corpus`). The files beside them write something down in one of the many ways that mean the same, and
//! look whether it is read back. Each run tries the same; `PROPTEST_RNG_SEED` tries others, `PROPTEST_CASES` more.

#![allow(clippy::unwrap_used)]

mod any;
mod cache_control;
mod date;
mod fields;
mod freshness;
mod hops;
mod input;
mod invalidate;
mod kept;
mod laws;
mod list;
mod range;
mod spelling;
mod target;
mod targeted;
mod trace;
mod validator;
mod vary;

use proptest::test_runner::{Config, RngSeed};

/// The same cases each time, unless others are asked for.
fn config() -> Config {
    let default = Config::default();
    Config {
        rng_seed: match default.rng_seed {
            RngSeed::Random => RngSeed::Fixed(9110),
            asked_for => asked_for,
        },
        failure_persistence: None,
        ..default
    }
}
