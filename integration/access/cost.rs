//! What a token costs: every vector that is granted, verified again and again, as time a request and requests a second on one
//! core. `cargo run --release --example access_cost [WORD]`, a word of those that are wanted. Each is timed twice: verified anew,
//! and remembered.

#![allow(dead_code, clippy::unwrap_used)]

mod vectors;

use std::hint::black_box;
use std::time::{Duration, Instant};

use verge::access::{Memory, Policy, Request, Verdict};

/// How long each is measured.
const LASTS: Duration = Duration::from_millis(300);

fn main() {
    println!(
        "{:<12} {:<58} {:>9} {:>11} {:>11}",
        "dialect", "vector", "ns", "a second", "remembered"
    );
    let wanted = std::env::args().nth(1).unwrap_or_default();
    for file in vectors::FILES {
        let read = vectors::read(file);
        let granted = read.vectors.iter().filter(|vector| vector.expected.is_ok());
        for vector in granted.filter(|vector| format!("{file} {}", vector.name).contains(&wanted)) {
            let policy = vectors::policy(&read.keys, &vector.asked.signed);
            let (anew, remembered) = vector
                .asked
                .with(|request| (cost(&policy, request, true), cost(&policy, request, false)))
                .unwrap();
            let name: String = vector.name.chars().take(56).collect();
            println!(
                "{file:<12} {name:<58} {anew:>9.0} {:>11.0} {remembered:>8.0} ns",
                1e9 / anew
            );
        }
    }
}

/// Nanoseconds a decision, the least of many batches: what else the machine does counts little. `anew`: nothing is
/// remembered for as long as until the next.
fn cost(policy: &Policy, request: &Request<'_>, anew: bool) -> f64 {
    const BATCH: u32 = 32;
    let memory = Memory::new([7; 16]);
    let mut monotonic = Duration::from_secs(1);
    let mut least = Duration::MAX;
    let start = now();
    while now() - start < LASTS {
        let begin = now();
        for _ in 0..BATCH {
            if anew {
                monotonic += Duration::from_secs(2 * 3600);
            }
            let verdict = policy.decide(black_box(request), &memory, monotonic);
            assert!(matches!(black_box(verdict), Verdict::Granted(_)));
        }
        least = least.min(now() - begin);
    }
    least.as_nanos() as f64 / f64::from(BATCH)
}

#[allow(clippy::disallowed_methods)]
fn now() -> Instant {
    Instant::now()
}
