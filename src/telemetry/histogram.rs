//! How long things took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of the buckets, in seconds.
pub const BOUNDS: [f64; 17] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0,
];

/// The same in nanoseconds.
const NANOS: [u64; 17] = {
    let mut nanos = [0; 17];
    let mut at = 0;
    while at < nanos.len() {
        nanos[at] = (BOUNDS[at] * 1e9) as u64;
        at += 1;
    }
    nanos
};

/// Counts of durations, by how long they were.
#[derive(Debug, Default)]
pub struct Histogram {
    /// Those within each bound but not within the one before, and those beyond the last.
    counts: [AtomicU64; 18],
    nanos: AtomicU64,
}

/// What a histogram, or several together, have counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Observed {
    /// As in [`Histogram`].
    pub counts: [u64; 18],
    /// The sum, in seconds.
    pub seconds: f64,
}

impl Histogram {
    /// One more, that took so long.
    pub fn observe(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let at = NANOS.iter().position(|bound| nanos <= *bound).unwrap_or(NANOS.len());
        self.counts[at].fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Adds what it has counted to `all`.
    pub fn add_to(&self, all: &mut Observed) {
        for (all, count) in all.counts.iter_mut().zip(&self.counts) {
            *all += count.load(Ordering::Relaxed);
        }
        all.seconds += self.nanos.load(Ordering::Relaxed) as f64 / 1e9;
    }
}

impl Observed {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_goes_into_the_smallest_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for micros in [0, 100, 101, 60_000_000, 60_000_001] {
            histogram.observe(Duration::from_micros(micros));
        }
        let mut observed = Observed::default();
        histogram.add_to(&mut observed);
        assert_eq!(observed.counts[0], 2);
        assert_eq!(observed.counts[1], 1);
        assert_eq!(observed.counts[16], 1);
        assert_eq!(observed.counts[17], 1);
        assert_eq!(observed.count(), 5);
        assert!((observed.seconds - 120.000_202).abs() < 1e-6);
    }
}
