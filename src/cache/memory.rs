//! What is remembered of keys without a stored version: that they are not cacheable, or that their fetch just failed.

use std::time::Duration;

use moka::sync::Cache;

use crate::origin::FetchError;

/// How many are remembered; the least useful go.
const CAPACITY: u64 = 100_000;

/// Something remembered of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remembered {
    /// A response said that it may not be stored (hit-for-miss): do not wait for another client's.
    Uncacheable,
    /// The last fetch brought no response.
    Failed(FetchError),
    /// The last fetch brought a `5xx`.
    ServerError(u16),
}

/// Bounded, and each entry has its time.
pub(super) struct Memory {
    entries: Cache<u128, (Remembered, Duration)>,
}

impl Memory {
    pub(super) fn new() -> Self {
        Memory {
            entries: Cache::new(CAPACITY),
        }
    }

    /// What is remembered of `id` at the monotonic time `now`.
    pub(super) fn of(&self, id: u128, now: Duration) -> Option<Remembered> {
        let (remembered, until) = self.entries.get(&id)?;
        (now < until).then_some(remembered)
    }

    pub(super) fn remember(&self, id: u128, what: Remembered, until: Duration) {
        self.entries.insert(id, (what, until));
    }

    pub(super) fn len(&self) -> u64 {
        self.entries.entry_count()
    }

    pub(super) fn forget(&self, id: u128) {
        if self.entries.contains_key(&id) {
            self.entries.invalidate(&id);
        }
    }
}
