//! Looking into the folder of a store: what is in it, whether it is right, and where something is.
//!
//! Nothing is changed, and a process may use the store meanwhile: what goes, or grows, while it is looked at is no damage.

mod overview;
mod verify;

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

pub use overview::{Hint, Overview, Seen, Tally};
pub use verify::{Damage, Verified};

use super::format::{FOOTER, Head, Kind, MAX_RECORD, SEGMENT_HEADER, SUMMARY_ENTRY, Store, Summarised, body_is_right};
use super::open::{MOST, OpenError, SUPERBLOCK, read_superblock};
use super::reclaim::read_summary;
use super::scan::{Scanned, Source, scan};
use super::segments::{file_name, segment_of};
use crate::device::{Device, File, Listed, read_fully, read_whole};
use crate::purge::Replay;

/// How often a journal is read that seems to be damaged: it may have been written just then.
const TRIES: usize = 3;

/// The folder of a store that is looked into.
pub struct Inspector {
    device: Arc<dyn Device>,
    store: Store,
    /// Whether each copy of the superblock is right.
    copies: [bool; 2],
    listed: Vec<Listed>,
    /// The segments' numbers, from the oldest to the newest.
    segments: Vec<u64>,
}

/// Where a record stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The number of its segment.
    pub segment: u64,
    /// What it is.
    pub kind: Kind,
    /// Where it begins in the segment, in bytes.
    pub at: u64,
    /// Bytes in all, up to the next record.
    pub length: u64,
}

impl Located {
    /// The name of its segment's file.
    pub fn file(&self) -> String {
        file_name(self.segment)
    }
}

/// A record that was read, and whose head, key and description are right.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Its head.
    pub head: Head,
    /// The full key.
    pub key: Bytes,
    /// The description.
    pub meta: Bytes,
    /// Whether its body is right, too.
    pub body_is_right: bool,
}

/// A segment that was looked at.
struct Look {
    number: u64,
    file: Arc<dyn File>,
    size: u64,
    sealed: bool,
    records: Vec<Summarised>,
    oldest_epoch: u64,
    /// What is no record.
    passed_over: Vec<Range<u64>>,
}

impl Inspector {
    /// Looks at the folder of a store.
    ///
    /// # Errors
    /// There is no store in it, it is of another version, or cannot be read.
    pub fn open(device: Arc<dyn Device>) -> Result<Inspector, OpenError> {
        let listed = device.list().map_err(failed("listing its files"))?;
        if !listed.iter().any(|file| file.name == SUPERBLOCK) {
            return Err(OpenError::NoStore);
        }
        let store = read_superblock(&*device)?;
        let content = read_whole(&*device, SUPERBLOCK, MOST).map_err(failed("reading the superblock"))?;
        let mut segments: Vec<u64> = listed.iter().filter_map(|file| segment_of(&file.name)).collect();
        segments.sort_unstable();
        Ok(Inspector {
            device,
            store,
            copies: Store::copies_are_right(&content),
            listed,
            segments,
        })
    }

    /// The secret of the hashes that records are named by. Not to be shown.
    pub fn secret(&self) -> [u8; 16] {
        self.store.secret
    }

    /// The latest time that was noted, in milliseconds since 1970.
    pub fn latest(&self) -> u64 {
        self.store.latest
    }

    /// The journal of purges, if there is one. It is in the first of the folders that a process uses together.
    pub fn purges(&self) -> Option<Replay> {
        let is_here = self.has(crate::purge::JOURNAL_FILE);
        let read = || Replay::of(&*self.device, self.store.epochs_reserved);
        let right = |replay: &Replay| replay.damaged.is_none();
        is_here.then(|| (1..TRIES).map(|_| read()).find(right).unwrap_or_else(read))
    }

    /// Where the records are whose names are `wanted`, by name and part: of several the last in the log, which counts, be it
    /// a tombstone.
    ///
    /// # Errors
    /// A segment cannot be read.
    pub fn locate(&self, wanted: &dyn Fn(u128) -> bool) -> Result<HashMap<(u128, u32), Located>, OpenError> {
        let mut found = HashMap::new();
        for number in &self.segments {
            let Some(look) = self.look(*number)? else { continue };
            for record in look.records.iter().filter(|record| wanted(record.name)) {
                let located = Located {
                    segment: *number,
                    kind: record.kind,
                    at: record.at,
                    length: record.length,
                };
                found.insert((record.name, record.part), located);
            }
        }
        Ok(found)
    }

    /// Reads a record. `None`: it is damaged, or has gone.
    pub fn read(&self, located: &Located) -> Option<Opened> {
        let file = self.device.open(&located.file()).ok()?;
        let (head, bytes) = self.record(&*file, located.segment, located.at, located.length)?;
        let before = head.before_body();
        let body = bytes.get(before..before + head.body)?;
        let body_is_right = body_is_right(&head, &bytes, self.store.seed, 0, body);
        let bytes = Bytes::from(bytes);
        Some(Opened {
            key: bytes.slice(head.key_at()..head.meta_at()),
            meta: bytes.slice(head.meta_at()..before),
            head,
            body_is_right,
        })
    }

    /// A record whose head is right, and all its bytes.
    fn record(&self, file: &dyn File, segment: u64, at: u64, length: u64) -> Option<(Head, Vec<u8>)> {
        let length = usize::try_from(length).ok().filter(|length| *length <= MAX_RECORD)?;
        let mut bytes = vec![0; length];
        let come = read_fully(file, at, &mut bytes).ok()?;
        bytes.truncate(come);
        let head = Head::read(&bytes)?;
        let right = head.length() == length as u64 && head.is_right(&bytes, self.store.seed, segment, at);
        (right && come == length).then_some((head, bytes))
    }

    fn has(&self, name: &str) -> bool {
        self.listed.iter().any(|file| file.name == name)
    }

    /// A segment's records. `None`: it has gone meanwhile.
    fn look(&self, number: u64) -> Result<Option<Look>, OpenError> {
        let file = match self.device.open(&file_name(number)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed("reading a segment"))?,
        };
        let seed = self.store.seed;
        let size_of = || file.size().map_err(failed("reading a segment"));
        // Before it is looked whether it is sealed: it may be sealed just then.
        let unsealed = size_of()?;
        let summary = read_summary(&*file, number, seed);
        let sealed = summary.is_some();
        let size = if sealed { size_of()? } else { unsealed };
        let Scanned {
            records,
            oldest_epoch,
            passed_over,
        } = match summary {
            Some((records, oldest_epoch)) => Scanned {
                passed_over: gaps(&records, size),
                records,
                oldest_epoch,
            },
            None => scan(Source {
                file: &*file,
                seed,
                segment: number,
                size,
            }),
        };
        Ok(Some(Look {
            number,
            file,
            size,
            sealed,
            records,
            oldest_epoch,
            passed_over,
        }))
    }
}

/// What stands between the records of a sealed segment.
fn gaps(records: &[Summarised], size: u64) -> Vec<Range<u64>> {
    let summary = size.saturating_sub(FOOTER + records.len() as u64 * SUMMARY_ENTRY);
    let ends = records.iter().map(|record| record.at + record.length);
    let begins = records.iter().map(|record| record.at).chain([summary]);
    let between = [SEGMENT_HEADER].into_iter().chain(ends).zip(begins);
    between
        .map(|(end, begin)| end..begin)
        .filter(|gap| !gap.is_empty())
        .collect()
}

fn failed(what: &'static str) -> impl Fn(io::Error) -> OpenError {
    move |error| OpenError::Device { what, error }
}
