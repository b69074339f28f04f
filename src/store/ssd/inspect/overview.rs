//! What is in a folder, without a look at any body.

use super::super::checkpoint::{self, Checkpoint};
use super::super::format::{Kind, SEGMENT_HEADER, VERSION, write_segment_header};
use super::super::open::OpenError;
use super::super::segments::file_name;
use super::{Inspector, Look};
use crate::device::read_fully;
use crate::purge::Replay;

/// What is in a folder.
#[derive(Debug)]
pub struct Overview {
    /// The version of the format.
    pub version: u32,
    /// No two stores share one.
    pub id: u128,
    /// Bytes that its files may have together.
    pub size: u64,
    /// How often it was opened.
    pub starts: u64,
    /// The latest time that was noted, in milliseconds since 1970.
    pub latest: u64,
    /// Purges up to and including this one may have been given out.
    pub epochs_reserved: u64,
    /// From the oldest to the newest.
    pub segments: Vec<Seen>,
    /// The checkpoint.
    pub checkpoint: Hint,
    /// The journal of purges, if it is in this folder.
    pub purges: Option<Replay>,
}

/// A file that may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// There is none.
    Missing,
    /// All of it is right.
    Right,
    /// It is not what was written.
    Damaged,
}

/// A segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The name of its file.
    pub file: String,
    /// Bytes in it.
    pub bytes: u64,
    /// Whether it ends with a summary. One that does not is being written, or was when the process ended.
    pub sealed: bool,
    /// When it was begun, in milliseconds since 1970; `None` if its header is damaged.
    pub begun: Option<u64>,
    /// Heads, indexes, chunks and tombstones.
    pub records: [Tally; 4],
    /// The oldest epoch of any record; `None` if none has one.
    pub oldest_epoch: Option<u64>,
    /// Bytes that are no record: damaged, or not finished.
    pub passed_over: u64,
}

/// Some records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Overview {
    /// The kinds of records in the order of [`Seen::records`].
    pub const KINDS: [Kind; 4] = [Kind::Head, Kind::Index, Kind::Chunk, Kind::Tombstone];

    /// Heads, indexes, chunks and tombstones of all segments.
    pub fn records(&self) -> [Tally; 4] {
        let mut all = [Tally::default(); 4];
        for (sum, tally) in self.segments.iter().flat_map(|seen| all_with(&seen.records)) {
            all[sum].count += tally.count;
            all[sum].bytes += tally.bytes;
        }
        all
    }

    /// The oldest epoch of any record.
    pub fn oldest_epoch(&self) -> Option<u64> {
        self.segments.iter().filter_map(|seen| seen.oldest_epoch).min()
    }
}

fn all_with(tallies: &[Tally; 4]) -> impl Iterator<Item = (usize, Tally)> {
    tallies.iter().copied().enumerate()
}

impl Inspector {
    /// What is in the folder.
    ///
    /// # Errors
    /// A segment cannot be read.
    pub fn overview(&self) -> Result<Overview, OpenError> {
        let mut segments = Vec::new();
        for number in &self.segments {
            segments.extend(self.look(*number)?.map(|look| self.seen(&look)));
        }
        Ok(Overview {
            version: VERSION,
            id: self.store.id,
            size: self.store.size,
            starts: self.store.starts,
            latest: self.store.latest,
            epochs_reserved: self.store.epochs_reserved,
            segments,
            checkpoint: self.checkpoint(),
            purges: self.purges(),
        })
    }

    fn seen(&self, look: &Look) -> Seen {
        let mut records = [Tally::default(); 4];
        for record in &look.records {
            let place = Overview::KINDS.iter().position(|kind| *kind == record.kind);
            let tally = &mut records[place.unwrap_or_default()];
            tally.count += 1;
            tally.bytes += record.length;
        }
        Seen {
            file: file_name(look.number),
            bytes: look.size,
            sealed: look.sealed,
            begun: self.begun(look),
            records,
            oldest_epoch: Some(look.oldest_epoch).filter(|epoch| *epoch != u64::MAX),
            passed_over: look.passed_over.iter().map(|range| range.end - range.start).sum(),
        }
    }

    /// When a segment was begun, if its header is right.
    pub(super) fn begun(&self, look: &Look) -> Option<u64> {
        let mut header = [0; SEGMENT_HEADER as usize];
        read_fully(&*look.file, 0, &mut header).ok()?;
        let begun = header[48..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes))?;
        let right = write_segment_header(self.store.seed, self.store.id, look.number, begun);
        (header == right).then_some(begun)
    }

    pub(super) fn checkpoint(&self) -> Hint {
        if !self.has(checkpoint::FILE) {
            return Hint::Missing;
        }
        let read = Checkpoint::open(&*self.device, self.store.id, self.store.seed);
        match read.is_some_and(|checkpoint| checkpoint.each(|_, _| ())) {
            true => Hint::Right,
            false => Hint::Damaged,
        }
    }
}
