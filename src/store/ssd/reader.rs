//! Reading: nothing leaves before it was checked.
//!
//! The index says where a record may be and how long it is at most. Its head, with key and description, and the blocks
//! of 64 KiB that the wanted range touches are read and checked; the key is compared in full. A record that is not
//! right is counted, taken out of the index, and is a miss.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::engine::Engine;
use super::format::{BLOCK, Head, Kind, body_is_right};
use super::index::{Entry, Place};
use super::segments::Segment;
use crate::device::{File, read_fully};
use crate::planted::{self, Bug};

/// Records that are at most this long are read at once, with whatever of them is wanted, in bytes.
const AT_ONCE: u64 = 640 * 1024;
/// What is read first of a longer one, or of one whose body is not wanted, in bytes.
const FIRST: u64 = 4096;

/// What of a body is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Nothing: the head alone.
    Nothing,
    /// All of it.
    Whole,
    /// These bytes, as far as it has them.
    Range(Range<usize>),
}

impl Part {
    /// The bytes of a body of this length.
    fn of(&self, length: usize) -> Range<usize> {
        match self {
            Part::Nothing => 0..0,
            Part::Whole => 0..length,
            Part::Range(range) => range.start.min(length)..range.end.min(length).max(range.start.min(length)),
        }
    }
}

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The keyed hash that it is found by.
    pub name: u128,
    /// Which chunk of the body; 0 for what is no chunk.
    pub part: u32,
    /// The full key.
    pub key: Bytes,
    /// What of its body is wanted.
    pub body: Part,
}

/// A record that was found, and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedRecord {
    /// What it is.
    pub kind: Kind,
    /// The epoch that it is to be held against the purges with.
    pub epoch: u64,
    /// No two fetched responses share one.
    pub generation: u64,
    /// When its fetch began, in milliseconds since 1970.
    pub began: u64,
    /// From when it is of no use, in milliseconds since 1970.
    pub expires: u64,
    /// What is known of it.
    pub meta: Bytes,
    /// Bytes of its body in all.
    pub length: usize,
    /// Where in the body `body` begins.
    pub from: usize,
    /// What was wanted of the body.
    pub body: Bytes,
}

/// What a look-up gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The record.
    Record(CheckedRecord),
    /// There is none.
    Absent,
    /// There is none yet, and recovery goes on: there may be one in a moment.
    NotYet,
    /// Its pages are not in memory; it has to be read by another thread.
    OnDevice,
}

/// Why a record could not be had.
enum Trouble {
    NotInMemory,
    /// Another name or key, whose tag is the same.
    Another,
    Damaged,
    Device(io::Error),
}

/// The wanted part of a body.
enum Body {
    /// Where it is in what the head was read from.
    Within(Range<usize>),
    /// Read for itself.
    Apart(Bytes),
}

/// Where bytes come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// Memory, or not at all.
    Memory,
    /// The device, however long it takes.
    Device,
}

impl Engine {
    /// Looks a record up.
    pub fn look_up(&self, wanted: &Wanted, via: Via) -> Found {
        let place = self.index.place(wanted.name, wanted.part);
        let found = self.at_place(place, wanted, via);
        match found {
            Found::Record(_) => {
                self.counts.hits.up();
                self.index.hit(place);
            }
            Found::Absent | Found::NotYet => self.counts.misses.up(),
            Found::OnDevice => {}
        }
        found
    }

    fn at_place(&self, place: Place, wanted: &Wanted, via: Via) -> Found {
        let entry = self.index.find(place).filter(|_| self.health.can_read());
        let Some(entry) = entry else {
            return self.absent();
        };
        let segment = self.segment(entry);
        // Looked at again once the segment is held: what is there now is what the entry says.
        let still = self.index.find(place).is_some_and(|now| now.same(entry));
        let Some(segment) = segment.filter(|_| still) else {
            return self.absent();
        };
        match self.read(&segment, entry, wanted, via) {
            Ok(record) => Found::Record(record),
            Err(Trouble::NotInMemory) => Found::OnDevice,
            Err(Trouble::Another) => self.absent(),
            Err(Trouble::Damaged) => {
                if self.index.remove_entry(place, entry) {
                    self.counts.damaged.up();
                }
                Found::Absent
            }
            Err(Trouble::Device(error)) => {
                self.counts.device_errors.up();
                self.health.read_failed(&error);
                self.absent()
            }
        }
    }

    fn absent(&self) -> Found {
        match self.is_worth_waiting() {
            true => Found::NotYet,
            false => Found::Absent,
        }
    }

    fn read(&self, segment: &Arc<Segment>, entry: Entry, wanted: &Wanted, via: Via) -> Result<CheckedRecord, Trouble> {
        let source = Source {
            engine: self,
            file: &*segment.file,
            end: segment.size(),
            via,
        };
        let (head, bytes) = self.head(&source, segment.id, entry, wanted)?;
        let body = self.body(&source, &head, &bytes, entry, &wanted.body)?;
        self.health.read();
        if via == Via::Memory {
            self.counts.inline.up();
        }
        let record = Bytes::from(bytes);
        Ok(CheckedRecord {
            kind: head.kind,
            epoch: head.epoch,
            generation: head.generation,
            began: head.began,
            expires: head.expires,
            meta: record.slice(head.meta_at()..head.before_body()),
            length: head.body,
            from: wanted.body.of(head.body).start,
            body: match body {
                Body::Apart(bytes) => bytes,
                Body::Within(range) => record.slice(range),
            },
        })
    }

    /// The head of a record, checked, and the bytes that it was read from: all before the body, and maybe more.
    fn head(
        &self,
        source: &Source<'_>,
        segment: u64,
        entry: Entry,
        wanted: &Wanted,
    ) -> Result<(Head, Vec<u8>), Trouble> {
        let first = match (entry.most(), &wanted.body) {
            (most, Part::Whole) if most <= AT_ONCE => most,
            (most, _) => most.min(FIRST),
        };
        let mut bytes = source.read(entry.at(), Head::LEAST, first as usize)?;
        let head = Head::read(&bytes).ok_or(Trouble::Damaged)?;
        if bytes.len() < head.before_body() {
            bytes = source.read(entry.at(), head.before_body(), head.before_body())?;
        }
        if !head.is_right(&bytes, self.seed, segment, entry.at()) {
            return Err(Trouble::Damaged);
        }
        let key = &bytes[head.key_at()..][..head.key];
        match (head.name, head.part) == (wanted.name, wanted.part) && key == &wanted.key[..] {
            true => Ok((head, bytes)),
            false => Err(Trouble::Another),
        }
    }

    /// The wanted part of a body, checked.
    fn body(
        &self,
        source: &Source<'_>,
        head: &Head,
        record: &[u8],
        entry: Entry,
        part: &Part,
    ) -> Result<Body, Trouble> {
        let wanted = part.of(head.body);
        if wanted.is_empty() {
            return Ok(Body::Within(0..0));
        }
        let block = wanted.start / BLOCK;
        let touched = block * BLOCK..wanted.end.next_multiple_of(BLOCK).min(head.body);
        let before = head.before_body();
        let is_right =
            |bytes: &[u8]| planted::is(Bug::UncheckedBody) || body_is_right(head, record, self.seed, block, bytes);
        let right = |bytes: &[u8]| match is_right(bytes) {
            true => Ok(()),
            false => Err(Trouble::Damaged),
        };
        if let Some(here) = record.get(before + touched.start..before + touched.end) {
            right(here)?;
            return Ok(Body::Within(before + wanted.start..before + wanted.end));
        }
        let at = entry.at() + (before + touched.start) as u64;
        let bytes = source.read(at, touched.len(), touched.len())?;
        right(&bytes)?;
        let within = wanted.start - touched.start..wanted.end - touched.start;
        Ok(Body::Apart(Bytes::from(bytes).slice(within)))
    }
}

/// A file, and how it is read.
struct Source<'a> {
    engine: &'a Engine,
    file: &'a dyn File,
    /// Bytes in it.
    end: u64,
    via: Via,
}

impl Source<'_> {
    /// Up to `most` bytes, but at least `least`.
    fn read(&self, at: u64, least: usize, most: usize) -> Result<Vec<u8>, Trouble> {
        let most = most.min(self.end.saturating_sub(at) as usize);
        let mut bytes = vec![0; most];
        let come = match self.via {
            Via::Device => read_fully(self.file, at, &mut bytes).map_err(Trouble::Device)?,
            Via::Memory => match self.file.read_now(at, &mut bytes).map_err(Trouble::Device)? {
                Some(come) if come >= least.min(most) => come,
                _ => return Err(Trouble::NotInMemory),
            },
        };
        let [reads, read] = &self.engine.counts.reads;
        reads.up();
        read.add(come as u64);
        bytes.truncate(come);
        match come < least {
            true => Err(Trouble::Damaged),
            false => Ok(bytes),
        }
    }
}
