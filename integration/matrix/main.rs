//! The matrix: thousands of combinations of request and response, each asked of an origin itself and through an edge, cold and
//! warm, over each protocol. Status, body and end-to-end fields must be the same, but for what a cache must or may change.
//!
//! `cargo run --example matrix` starts an origin and an edge in one process, prints the count and the differences, and ends
//! with a status other than zero if there are any.

#![allow(clippy::unwrap_used)]

mod allowed;
mod cases;
mod client;
mod compare;
mod conditions;
mod edge;
mod multipart;
mod origin;
mod ranges;
mod resource;
mod run;
mod self_check;

use std::process::ExitCode;

use clap::Parser;
use verge::clock::{Clock, SystemClock};

use crate::resource::Dates;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Asks an origin and an edge the same in thousands of ways, and compares.
#[derive(Parser)]
struct Args {
    /// Combinations that are drawn, beside all pairs.
    #[arg(long, default_value_t = 2_000)]
    drawn: usize,
    /// What they are drawn with.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Differences that are shown in full.
    #[arg(long, default_value_t = 20)]
    show: usize,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let dates = Dates::at(SystemClock.now().wall);
    let wrong = self_check::wrong(&dates);
    if !wrong.is_empty() {
        wrong.iter().for_each(|line| println!("the origin is wrong: {line}"));
        return ExitCode::FAILURE;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let cases = cases::generate(args.drawn, args.seed);
    let tally = runtime.block_on(run::all(cases, dates));
    tally.print(args.show);
    match tally.differences.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
