//! What a device's errors make of the store: it goes on with what still works, and says why.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// Reads that may fail one after the other before the device counts as failed.
const MOST_FAILED_READS: u32 = 8;
/// For how long nothing is tried after a first failure.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// For how long nothing is tried after many.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What still works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Everything.
    Healthy,
    /// What is stored is served; nothing is added.
    ReadOnly {
        /// What failed.
        why: String,
    },
    /// Nothing.
    Failed {
        /// What failed.
        why: String,
    },
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Healthy => f.write_str("healthy"),
            State::ReadOnly { why } => write!(f, "read-only: {why}"),
            State::Failed { why } => write!(f, "failed: {why}"),
        }
    }
}

const WRITES_FAIL: u8 = 1;
const READS_FAIL: u8 = 2;

/// The state, and when what failed is tried again.
#[derive(Default)]
pub struct Health {
    /// What fails; looked at before each operation.
    failing: AtomicU8,
    failed_reads: AtomicU32,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    write: String,
    read: String,
    pause: Duration,
    not_before: Duration,
}

impl Health {
    /// What still works.
    pub fn state(&self) -> State {
        let told = self.told.lock();
        match self.failing.load(Ordering::Relaxed) {
            failing if failing & READS_FAIL != 0 => State::Failed { why: told.read.clone() },
            failing if failing & WRITES_FAIL != 0 => State::ReadOnly {
                why: told.write.clone(),
            },
            _ => State::Healthy,
        }
    }

    /// Whether something can be added.
    pub fn can_write(&self) -> bool {
        self.failing.load(Ordering::Relaxed) == 0
    }

    /// Whether what is stored can be read.
    pub fn can_read(&self) -> bool {
        self.failing.load(Ordering::Relaxed) & READS_FAIL == 0
    }

    /// A write failed; nothing is written for a while.
    pub fn write_failed(&self, what: &str, error: &io::Error, now: Duration) {
        let mut told = self.told.lock();
        told.write = format!("{what}: {error}");
        told.pause = (told.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        told.not_before = now + told.pause;
        self.failing.fetch_or(WRITES_FAIL, Ordering::Relaxed);
    }

    /// A write succeeded.
    pub fn written(&self) {
        if self.failing.load(Ordering::Relaxed) & WRITES_FAIL != 0 {
            self.failing.fetch_and(!WRITES_FAIL, Ordering::Relaxed);
            self.told.lock().pause = Duration::ZERO;
        }
    }

    /// Whether it is time to try what failed.
    pub fn may_try(&self, now: Duration) -> bool {
        self.can_write() || now >= self.told.lock().not_before
    }

    /// A read failed.
    pub fn read_failed(&self, error: &io::Error) {
        if self.failed_reads.fetch_add(1, Ordering::Relaxed) + 1 >= MOST_FAILED_READS {
            self.told.lock().read = format!("reading: {error}");
            self.failing.fetch_or(READS_FAIL, Ordering::Relaxed);
        }
    }

    /// A read succeeded.
    pub fn read(&self) {
        if self.failed_reads.load(Ordering::Relaxed) != 0 {
            self.failed_reads.store(0, Ordering::Relaxed);
            self.failing.fetch_and(!READS_FAIL, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_reads_and_is_tried_again_later() {
        let health = Health::default();
        let error = io::Error::from(io::ErrorKind::StorageFull);
        let second = Duration::from_secs(1);
        health.write_failed("a segment", &error, second);
        assert!(!health.can_write() && health.can_read());
        assert!(health.state().to_string().starts_with("read-only: a segment: "));
        assert!(!health.may_try(2 * second) && health.may_try(3 * second));
        health.write_failed("a segment", &error, 3 * second);
        assert!(!health.may_try(6 * second), "the pauses grow");
        health.written();
        assert_eq!(health.state(), State::Healthy);
    }

    #[test]
    fn one_failed_read_is_no_failed_device() {
        let health = Health::default();
        let error = io::Error::other("it is broken");
        (1..MOST_FAILED_READS).for_each(|_| health.read_failed(&error));
        assert!(health.can_read());
        health.read();
        (0..MOST_FAILED_READS).for_each(|_| health.read_failed(&error));
        assert!(!health.can_read() && !health.can_write());
        assert_eq!(health.state().to_string(), "failed: reading: it is broken");
        health.read();
        assert_eq!(health.state(), State::Healthy);
    }
}
