//! The only place that reads time. Everything else is given a [`Now`].

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

/// One moment, on both clocks.
///
/// Ages and deadlines are differences of `monotonic`; `wall` is only for dates that came from, or go to, somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time since the process began.
    pub monotonic: Duration,
    /// The calendar's time.
    pub wall: SystemTime,
}

/// A source of [`Now`].
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Now;

    /// The present moment on the monotonic clock alone, which a hit needs and which costs half as much.
    fn monotonic(&self) -> Duration {
        self.now().monotonic
    }
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[allow(clippy::disallowed_methods)]
impl Clock for SystemClock {
    fn now(&self) -> Now {
        Now {
            monotonic: self.monotonic(),
            wall: SystemTime::now(),
        }
    }

    fn monotonic(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }
}

/// A clock that moves only when told to; clones share it. For tests, the simulator and the demo.
#[derive(Clone, Debug)]
pub struct ManualClock {
    elapsed: Arc<parking_lot::Mutex<Duration>>,
    start: SystemTime,
}

impl ManualClock {
    /// A clock that stands at `start`.
    pub fn new(start: SystemTime) -> Self {
        ManualClock {
            elapsed: Arc::default(),
            start,
        }
    }

    /// Moves time forward by `by`.
    pub fn advance(&self, by: Duration) {
        *self.elapsed.lock() += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Now {
        let elapsed = *self.elapsed.lock();
        Now {
            monotonic: elapsed,
            wall: self.start + elapsed,
        }
    }
}
