//! Sizes and limits of a store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::format::{ALIGN, Head, MAX_RECORD};
use super::health::State;
use super::index::MAX_SEGMENT;

/// The smallest segment that any record fits in, in bytes.
const LEAST_SEGMENT: u64 = 4 * 1024 * 1024;
/// A store has at least so many segments.
pub const LEAST_SEGMENTS: u64 = 4;

/// Says of something that is about to be kept for longer, from its head, full key and description, at which epoch it is
/// known not to be purged; `None` if it is of no use any more. Called by the writer's thread.
pub type Judge = Arc<dyn Fn(&Head, &[u8], &[u8]) -> Option<u64> + Send + Sync>;

/// What happens to a store that its operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// Recovery is over; so many records were found, and it took so long.
    Recovered(u64, Duration),
    /// More works than before, or less.
    State(State),
}

/// Is told what happens, on the writer's thread.
pub type Tell = Arc<dyn Fn(&Happening) + Send + Sync>;

/// Sizes and limits of a store.
#[derive(Clone)]
pub struct Settings {
    /// Bytes that its files may have together.
    pub size: u64,
    /// Bytes of a segment; `None`: a thousandth of the size, between 4 and 256 MiB.
    pub segment: Option<u64>,
    /// Entries that the index has room for; `None`: one for every 16 KiB of the size.
    pub entries: Option<u64>,
    /// Bytes that may wait to be written; what comes then is refused.
    pub queue: usize,
    /// Share of a segment (0 to 1) that may be taken up by what is kept of one that is given up.
    pub reinserted: f64,
    /// What was written is on the device after this time at the latest, and however long one sync takes.
    pub sync_after: Duration,
    /// Bytes written to checkpoints for a byte of records, at most.
    pub checkpoint_share: f64,
    /// Threads that read what is not in memory.
    pub threads: usize,
    /// Reads that may wait for them; what comes then is refused.
    pub waiting_reads: usize,
    /// After this time from the start nobody waits any more for what recovery may still find.
    pub recovery_wait: Duration,
    /// The secret of a store that is made; `None`: one that nobody knows.
    pub secret: Option<[u8; 16]>,
    /// What is worth keeping.
    pub judge: Judge,
    /// Told of what happens.
    pub tell: Tell,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("size", &self.size)
            .field("segment", &self.segment())
            .field("entries", &self.entries())
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// A store of so many bytes, with what is usual.
    pub fn new(size: u64) -> Settings {
        Settings {
            size,
            segment: None,
            entries: None,
            queue: 64 * 1024 * 1024,
            reinserted: 0.1,
            sync_after: Duration::from_millis(500),
            checkpoint_share: 0.02,
            threads: 8,
            waiting_reads: 4096,
            recovery_wait: Duration::from_secs(5),
            secret: None,
            judge: Arc::new(|head, _, _| Some(head.epoch)),
            tell: Arc::new(|_| {}),
        }
    }

    /// Bytes of a segment.
    pub fn segment(&self) -> u64 {
        let asked = self.segment.unwrap_or(self.size / 1024);
        let least = match self.segment {
            // Tests have small ones, in which not every record fits.
            Some(_) => 16 * 1024,
            None => LEAST_SEGMENT.max(MAX_RECORD as u64 + 64 * 1024),
        };
        (asked / ALIGN * ALIGN).clamp(least, MAX_SEGMENT)
    }

    /// Entries of the index.
    pub fn entries(&self) -> u64 {
        self.entries.unwrap_or(self.size / (16 * 1024)).max(1024)
    }

    /// The smallest store there can be, in bytes.
    pub fn least_size(&self) -> u64 {
        LEAST_SEGMENTS * self.segment()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_neither_tiny_nor_huge() {
        const GIB: u64 = 1024 * 1024 * 1024;
        for (size, segment) in [(1, 4), (50 * GIB, 50), (100_000 * GIB, 256)] {
            let mib = Settings::new(size).segment() / 1024 / 1024;
            assert_eq!(mib, segment, "{size}");
        }
        assert_eq!(Settings::new(16 * GIB).entries(), 1024 * 1024);
    }
}
