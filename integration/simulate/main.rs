//! The simulator: the real pipeline, cache and fills over virtual time, with a scripted origin, clients of
//! every kind, purges, and a model that says which answers are allowed.
//!
//! `VERGE_SIM_SEEDS=n` runs the seeds 0 to n (default 300), `VERGE_SIM_FRESH=n` so many that were never run before
//! (default 50), `VERGE_SIM_SEED=s` replays one with its whole history. A failure prints the seed and the shortest
//! history found.

mod client;
mod draw;
mod executor;
mod ledger;
mod life;
mod model;
mod origin;
mod plan;
#[cfg(feature = "planted-bugs")]
mod planted;
mod prng;
mod scenarios;
mod seeds;
mod shrink;
mod tokens;
mod world;
