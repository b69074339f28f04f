//! The writer: gathers what is to be stored, writes it in large pieces, and then enters it in the index.
//!
//! ```text
//! (none) ──begin──▶ Open ──append──▶ Open ──seal──▶ (none)
//!                     └──────── an error ──────────▶ (none), and nothing is written for a while
//! ```
//!
//! It is the only one who adds to the log, so the log's order is the order in which things happened. A segment that an
//! error ended is left as it is: what was written of it is found, and recovery reads it without a summary.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::engine::{Engine, Position};
use super::format::{
    FOOTER, Head, Kind, SEGMENT_HEADER, SUMMARY_ENTRY, Summarised, write_record, write_segment_header, write_summary,
};
use super::index::{Entry, Place};
use super::open::milliseconds;
use super::queue::{Asked, Record};
use super::segments::{Segment, file_name};
use super::settings::Settings;
use crate::clock::Now;

/// Bytes that are written at a time.
const PIECE: usize = 1024 * 1024;
/// Records that are entered in the index without letting go of the queue.
const ENTERED_AT_ONCE: usize = 32;

/// What is known of a record that is about to be written.
struct Pending {
    place: Place,
    entry: Entry,
    name: u128,
    part: u32,
    ticket: u64,
    what: What,
}

enum What {
    Stored,
    Removed,
    /// It is the copy of what this entry says.
    Moved(Entry),
}

impl Pending {
    fn named(&self) -> (u128, u32, u64) {
        (self.name, self.part, self.ticket)
    }
}

/// The segment that is written.
struct Open {
    segment: Arc<Segment>,
    /// What has been gathered, and where it goes.
    buffer: Vec<u8>,
    at: u64,
    pending: Vec<Pending>,
    summary: Vec<Summarised>,
}

impl Open {
    /// Where the next record goes.
    fn end(&self) -> u64 {
        self.at + self.buffer.len() as u64
    }

    /// Whether a record of this length fits, with its entry in the summary.
    fn fits(&self, length: u64, segment: u64) -> bool {
        let summary = (self.summary.len() as u64 + 1) * SUMMARY_ENTRY + FOOTER;
        self.end() + length + summary <= segment
    }
}

/// The writer. A thread runs it; a test takes its turns itself.
pub struct Writer {
    engine: Arc<Engine>,
    open: Option<Open>,
    /// When the oldest of what is not yet on the device was written.
    unsynced: Option<Duration>,
    /// Whether the name of the open segment is on the device.
    named: bool,
    /// The last ticket that has been dealt with.
    ticket: u64,
    /// Removals that the device failed to take.
    owed: VecDeque<Asked>,
    /// Bytes written since the last checkpoint.
    since_checkpoint: u64,
}

impl Writer {
    /// A writer that has written nothing.
    pub fn new(engine: &Arc<Engine>) -> Writer {
        Writer {
            engine: Arc::clone(engine),
            open: None,
            unsynced: None,
            named: false,
            ticket: 0,
            owed: VecDeque::new(),
            since_checkpoint: 0,
        }
    }

    /// Whether a record fits in a segment at all.
    pub fn takes(head: &Head, settings: &Settings) -> bool {
        SEGMENT_HEADER + head.length() + SUMMARY_ENTRY + FOOTER <= settings.segment()
    }

    /// Writes all that waits, and enters it in the index.
    pub fn turn(&mut self, now: Now) {
        if !self.engine.health.may_try(now.monotonic) {
            return self.give_up_waiting();
        }
        if let Err(error) = self.write_all(now) {
            self.failed("writing", &error, now);
        }
    }

    fn write_all(&mut self, now: Now) -> io::Result<()> {
        if !self.engine.health.can_write() {
            // Something to be tried, even if nothing waits.
            self.begin_if_needed(SEGMENT_HEADER, now)?;
        }
        while let Some(asked) = self.owed.pop_front() {
            self.append(asked, now)?;
        }
        while let Some(asked) = self.engine.queue.pop() {
            self.append(asked, now)?;
        }
        self.flush(now)
    }

    /// With a device that takes nothing, what waits is given up, but for removals.
    fn give_up_waiting(&mut self) {
        while let Some(asked) = self.engine.queue.pop() {
            self.give_up(asked);
        }
        self.engine.queue.synced(0, true);
    }

    fn give_up(&mut self, asked: Asked) {
        const MOST_OWED: usize = 1_000_000;
        match asked.record.kind {
            Kind::Tombstone if self.owed.len() < MOST_OWED => self.owed.push_back(asked),
            Kind::Tombstone => {
                let Record { name, part, .. } = asked.record;
                self.engine.queue.removal_written(name, part, asked.ticket);
                self.engine.counts.removals_lost.up();
            }
            _ => self.lost(asked.ticket, asked.record.name, asked.record.part),
        }
    }

    /// Something was not stored; nor is what it was to replace to be found, should that have been written just before.
    fn lost(&self, ticket: u64, name: u128, part: u32) {
        let Engine {
            counts, queue, index, ..
        } = &*self.engine;
        counts.refused.up();
        queue.lost(ticket);
        index.remove(index.place(name, part));
    }

    fn append(&mut self, asked: Asked, now: Now) -> io::Result<()> {
        let Asked { ticket, record } = asked;
        let head = record.head();
        if let Err(error) = self.begin_if_needed(head.length(), now) {
            self.give_up(Asked { ticket, record });
            return Err(error);
        }
        let what = match record.kind {
            Kind::Tombstone => What::Removed,
            _ => What::Stored,
        };
        let Some(open) = &mut self.open else { return Ok(()) };
        let (segment, at) = (open.segment.id, open.end());
        let parts = (&record.key[..], &record.meta[..], &record.body[..]);
        write_record(&mut open.buffer, &head, parts, self.engine.seed, (segment, at));
        self.gathered(&head, at, what, ticket, now)
    }

    /// Notes what has just been gathered for the place `at`.
    fn gathered(&mut self, head: &Head, at: u64, what: What, ticket: u64, now: Now) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        open.segment.has_epoch(head.epoch);
        open.pending.push(Pending {
            place: self.engine.index.place(head.name, head.part),
            entry: Entry::new(open.segment.slot(), at, head.length()),
            name: head.name,
            part: head.part,
            ticket,
            what,
        });
        open.summary.push(Summarised {
            name: head.name,
            part: head.part,
            kind: head.kind,
            at,
            length: head.length(),
        });
        self.ticket = self.ticket.max(ticket);
        match open.buffer.len() >= PIECE {
            true => self.flush(now),
            false => Ok(()),
        }
    }

    /// Writes what has been gathered, and enters it in the index.
    fn flush(&mut self, now: Now) -> io::Result<()> {
        let Some(open) = self.open.as_mut().filter(|open| !open.buffer.is_empty()) else {
            return Ok(());
        };
        let length = open.buffer.len() as u64;
        open.segment.file.write_at(open.at, &open.buffer)?;
        self.engine.segments.grow(&open.segment, length);
        self.engine.counts.written.add(length);
        self.engine.health.written();
        self.since_checkpoint += length;
        self.unsynced.get_or_insert(now.monotonic);
        open.at += length;
        open.buffer.clear();
        let position = Position {
            segment: open.segment.id,
            at: open.at,
        };
        let pending = std::mem::take(&mut open.pending);
        self.enter(pending);
        *self.engine.position.lock() = position;
        Ok(())
    }

    fn enter(&self, pending: Vec<Pending>) {
        let Engine { index, queue, .. } = &*self.engine;
        // A few at a time, because nobody can put anything meanwhile.
        for some in pending.chunks(ENTERED_AT_ONCE) {
            queue.entering(some, Pending::named, |pending| match pending.what {
                What::Stored => index.insert(pending.place, pending.entry),
                What::Moved(from) => _ = index.relocate(pending.place, from, pending.entry),
                What::Removed => {}
            });
        }
        for pending in pending.iter().filter(|pending| matches!(pending.what, What::Removed)) {
            queue.removal_written(pending.name, pending.part, pending.ticket);
        }
    }

    // Segments.

    /// Sees to it that a record of this length can be appended.
    fn begin_if_needed(&mut self, length: u64, now: Now) -> io::Result<()> {
        let size = self.engine.settings.segment();
        if self.open.as_ref().is_some_and(|open| !open.fits(length, size)) {
            self.seal(now)?;
        }
        match self.open {
            Some(_) => Ok(()),
            None => self.begin(now),
        }
    }

    fn begin(&mut self, now: Now) -> io::Result<()> {
        let engine = Arc::clone(&self.engine);
        let id = engine.segments.next_id();
        let file = engine.device.create(&file_name(id))?;
        let header = write_segment_header(engine.seed, engine.id, id, milliseconds(now.wall));
        if let Err(error) = file.write_at(0, &header) {
            let _ = engine.device.remove(&file_name(id));
            return Err(error);
        }
        engine.counts.written.add(SEGMENT_HEADER);
        engine.health.written();
        let segment = Arc::new(Segment::new(id, file, SEGMENT_HEADER, u64::MAX));
        segment.entered.store(true, Ordering::SeqCst);
        engine.segments.add(vec![Arc::clone(&segment)]);
        self.named = false;
        self.open = Some(Open {
            segment,
            buffer: Vec::with_capacity(PIECE + PIECE / 2),
            at: SEGMENT_HEADER,
            pending: Vec::new(),
            summary: Vec::new(),
        });
        self.make_room(now)
    }

    /// Ends the open segment with its summary.
    pub fn seal(&mut self, now: Now) -> io::Result<()> {
        self.flush(now)?;
        self.sync()?;
        let Some(open) = self.open.take() else { return Ok(()) };
        let Open {
            segment, summary, at, ..
        } = open;
        let bytes = write_summary(&summary, segment.oldest_epoch(), self.engine.seed, segment.id, at);
        segment.file.write_at(at, &bytes)?;
        self.engine.segments.grow(&segment, bytes.len() as u64);
        self.engine.counts.written.add(bytes.len() as u64);
        segment.file.sync()?;
        self.grow_back();
        Ok(())
    }

    /// Room that the file system did not have may be there again: a little more is tried with each segment.
    fn grow_back(&self) {
        let Engine { capacity, settings, .. } = &*self.engine;
        if capacity.load(Ordering::Relaxed) < settings.size {
            let more = capacity.load(Ordering::Relaxed) + settings.segment() / 8;
            capacity.store(more.min(settings.size), Ordering::Relaxed);
        }
    }

    /// The number of the open segment.
    pub(super) fn open_id(&self) -> Option<u64> {
        self.open.as_ref().map(|open| open.segment.id)
    }

    /// Appends a record of another segment as it is, but for its epoch. `false`: there is no room for it.
    pub(super) fn keep(
        &mut self,
        head: &Head,
        mut record: Vec<u8>,
        from: Entry,
        epoch: u64,
        now: Now,
    ) -> io::Result<bool> {
        let size = self.engine.settings.segment();
        let Some(open) = self.open.as_mut().filter(|open| open.fits(head.length(), size)) else {
            return Ok(false);
        };
        let at = open.end();
        head.transplant(&mut record, epoch, self.engine.seed, open.segment.id, at);
        open.buffer.extend_from_slice(&record);
        let head = Head { epoch, ..*head };
        self.gathered(&head, at, What::Moved(from), self.ticket, now)?;
        Ok(true)
    }

    // Putting it on the device.

    /// Puts what was written on the device, if it has waited long enough.
    pub fn sync_if_due(&mut self, now: Now, sync_now: bool) {
        let after = self.engine.settings.sync_after;
        let due = self
            .unsynced
            .is_some_and(|since| sync_now || now.monotonic.saturating_sub(since) >= after);
        let result = match due {
            true => self.sync(),
            false => Ok(()),
        };
        match result {
            Ok(()) if self.unsynced.is_none() && self.owed.is_empty() => self.engine.queue.synced(self.ticket, false),
            Ok(()) => {}
            Err(error) => self.failed("syncing", &error, now),
        }
    }

    /// Puts what was written on the device.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if let (Some(open), Some(_)) = (&self.open, self.unsynced) {
            open.segment.file.sync()?;
            if !self.named {
                self.engine.device.sync_names()?;
                self.named = true;
            }
        }
        self.unsynced = None;
        Ok(())
    }

    /// Writes the pending pieces; for reclaim, before a segment goes.
    pub(super) fn flush_and_sync(&mut self, now: Now) -> io::Result<()> {
        self.flush(now)?;
        self.sync()
    }

    /// After an error: what is not written is given up, and so is the open segment; for a while nothing is tried.
    fn failed(&mut self, what: &str, error: &io::Error, now: Now) {
        self.engine.counts.device_errors.up();
        self.engine.health.write_failed(what, error, now.monotonic);
        if self.unsynced.take().is_some() {
            // It is written, and may be on the device or not.
            self.engine.queue.lost(self.ticket);
        }
        if let Some(open) = self.open.take() {
            for pending in open.pending {
                match pending.what {
                    What::Removed => self.give_up(Asked {
                        ticket: pending.ticket,
                        record: Record::tombstone(pending.name, pending.part),
                    }),
                    What::Stored => self.lost(pending.ticket, pending.name, pending.part),
                    What::Moved(_) => {}
                }
            }
        }
        if error.kind() == io::ErrorKind::StorageFull {
            self.shrink();
        }
        self.give_up_waiting();
    }

    /// The file system has less room than was set: what there is now is all there will be, and the oldest of it goes.
    fn shrink(&mut self) {
        let Engine {
            segments,
            capacity,
            settings,
            ..
        } = &*self.engine;
        let bytes = segments.bytes().max(settings.least_size());
        capacity.fetch_min(bytes, Ordering::Relaxed);
        if let Some(oldest) = segments.oldest(None) {
            self.drop_segment(&oldest);
        }
    }

    /// Bytes written since the last checkpoint; `0` begins anew.
    pub fn since_checkpoint(&mut self) -> &mut u64 {
        &mut self.since_checkpoint
    }

    /// What all threads share.
    pub(super) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }
}
