//! The figures of a store.

use super::engine::{Engine, Recovered};
use super::health::State;

/// The figures of a store, since its start where they are counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    /// What still works.
    pub state: State,
    /// How far recovery has come.
    pub recovered: Recovered,
    /// Bytes in all segments.
    pub bytes: u64,
    /// Bytes that all files may have.
    pub capacity: u64,
    /// Segments.
    pub segments: u64,
    /// Entries of the index.
    pub entries: u64,
    /// Bytes of the index.
    pub index_bytes: u64,
    /// Entries that had to make room because the index was full.
    pub displaced: u64,
    /// Look-ups that gave a record.
    pub hits: u64,
    /// Of them, those that found it in memory.
    pub inline: u64,
    /// Look-ups that gave none.
    pub misses: u64,
    /// Reads.
    pub reads: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Records taken.
    pub puts: u64,
    /// Bytes of keys, descriptions and bodies in them.
    pub put_bytes: u64,
    /// Records refused or given up.
    pub refused: u64,
    /// Bytes written, whatever for.
    pub written_bytes: u64,
    /// Bytes of them for checkpoints.
    pub checkpoint_bytes: u64,
    /// Segments given up.
    pub reclaimed: u64,
    /// Records kept when their segment was given up.
    pub reinserted: u64,
    /// Their bytes.
    pub reinserted_bytes: u64,
    /// Records, summaries and checkpoints that were not what had been written.
    pub damaged: u64,
    /// Operations that the device failed.
    pub device_errors: u64,
    /// Removals that a crash may undo.
    pub removals_lost: u64,
    /// Bytes that wait to be written.
    pub queued_bytes: u64,
    /// Reads that wait.
    pub queued_reads: u64,
}

impl Stats {
    pub(super) fn of(engine: &Engine, queued_reads: usize) -> Stats {
        let counts = &engine.counts;
        Stats {
            state: engine.health.state(),
            recovered: engine.recovered(),
            bytes: engine.segments.bytes(),
            capacity: engine.capacity.load(std::sync::atomic::Ordering::Relaxed),
            segments: engine.segments.len() as u64,
            entries: engine.index.len(),
            index_bytes: engine.index.bytes(),
            displaced: engine.index.displaced.get(),
            hits: counts.hits.get(),
            inline: counts.inline.get(),
            misses: counts.misses.get(),
            reads: counts.reads[0].get(),
            read_bytes: counts.reads[1].get(),
            puts: counts.puts.get(),
            put_bytes: counts.put_bytes.get(),
            refused: counts.refused.get(),
            written_bytes: counts.written.get(),
            checkpoint_bytes: counts.checkpoint_bytes.get(),
            reclaimed: counts.reclaimed.get(),
            reinserted: counts.reinserted[0].get(),
            reinserted_bytes: counts.reinserted[1].get(),
            damaged: counts.damaged.get(),
            device_errors: counts.device_errors.get(),
            removals_lost: counts.removals_lost.get(),
            queued_bytes: engine.queue.bytes() as u64,
            queued_reads: queued_reads as u64,
        }
    }
}
