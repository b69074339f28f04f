//! Recovery: what was stored is found again, newest first, while the store is used already.
//!
//! ```text
//! newest segment ──▶ … ──▶ the checkpoint's position ──▶ the checkpoint ─┐
//!        └──────▶ without a checkpoint: every older segment ──▶──────────┴──▶ over
//! ```
//!
//! Something is entered only if nothing newer took its place: neither what is stored meanwhile, nor what was entered
//! before, nor a removal. A sealed segment is read by its summary; one that is not, or whose summary is damaged, record by
//! record, and then gets a summary. Summaries are read ahead by a thread of their own: without a checkpoint they are
//! hundreds of megabytes, and entering them takes as long as reading them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use super::checkpoint::Checkpoint;
use super::engine::{Engine, Position};
use super::format::{Kind, Summarised, aligned, write_summary};
use super::index::Entry;
use super::reclaim::read_summary;
use super::scan::{Scanned, Source, scan};
use super::segments::Segment;

/// Records that are entered together.
const AT_A_TIME: usize = 32;
/// Summaries that may wait to be entered.
const AHEAD: usize = 4;

/// What is in a segment, and the oldest epoch in it; nothing if it has no summary, or a damaged one.
type Summary = Option<(Vec<Summarised>, u64)>;

/// What recovery still has to go through. Each step does one segment, or the checkpoint.
pub struct Recovery {
    engine: Arc<Engine>,
    /// Those that the checkpoint does not know all of, the newest last.
    newer: Vec<Arc<Segment>>,
    position: Position,
    checkpoint: Option<Checkpoint>,
    /// Those that it knows all of, the newest last.
    older: Vec<Arc<Segment>>,
    ahead: Option<Ahead>,
}

/// A thread that reads summaries in the order in which they are entered.
struct Ahead {
    summaries: Option<Receiver<(u64, Summary)>>,
    thread: Option<JoinHandle<()>>,
}

impl Ahead {
    /// Begins with the first of `segments`. Nothing if there can be no thread: then nobody reads ahead.
    fn start(segments: Vec<Arc<Segment>>, seed: u64) -> Option<Ahead> {
        let (give, summaries) = sync_channel(AHEAD);
        let read = move || {
            for segment in segments {
                let summary = read_summary(&*segment.file, segment.id, seed);
                if give.send((segment.id, summary)).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("verge-ssd-ahead".to_owned());
        Some(Ahead {
            summaries: Some(summaries),
            thread: Some(thread.spawn(read).ok()?),
        })
    }

    /// What was read of the segment that is next; nothing if that is another one.
    fn next(&self, segment: u64) -> Option<Summary> {
        let (of, summary) = self.summaries.as_ref()?.recv().ok()?;
        (of == segment).then_some(summary)
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.summaries = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Recovery {
    /// Finds again what was stored in `segments`, from the oldest to the newest; `checkpoint` is the one that was found.
    pub fn new(engine: &Arc<Engine>, segments: Vec<Arc<Segment>>, checkpoint: Option<Checkpoint>) -> Recovery {
        engine.recovering(|recovered| recovered.segments = segments.len() as u64);
        let checkpoint = checkpoint.filter(|checkpoint| checkpoint.is_of(engine.index.buckets()));
        let position = checkpoint
            .as_ref()
            .map(|checkpoint| checkpoint.position)
            .unwrap_or_default();
        let (older, newer) = segments.into_iter().partition(|segment| segment.id < position.segment);
        Recovery {
            engine: Arc::clone(engine),
            newer,
            position,
            checkpoint,
            older,
            ahead: None,
        }
    }

    /// Goes through all of it, unless the store is closed meanwhile.
    pub fn run(mut self) {
        let older: &[_] = if self.checkpoint.is_some() { &[] } else { &self.older };
        let in_order = self.newer.iter().rev().chain(older.iter().rev());
        self.ahead = Ahead::start(in_order.cloned().collect(), self.engine.seed);
        let mut goes_on = true;
        while goes_on {
            goes_on = !self.engine.ending.load(Ordering::SeqCst) && self.step();
        }
    }

    /// Goes on. `false`: it is over.
    pub fn step(&mut self) -> bool {
        if let Some(segment) = self.newer.pop() {
            let from = if segment.id == self.position.segment {
                self.position.at
            } else {
                0
            };
            self.enter(&segment, from);
        } else if let Some(checkpoint) = self.checkpoint.take() {
            self.restore(&checkpoint);
        } else if let Some(segment) = self.older.pop() {
            self.enter(&segment, 0);
        } else {
            self.end();
            return false;
        }
        true
    }

    fn enter(&self, segment: &Arc<Segment>, from: u64) {
        let ahead = self.ahead.as_ref().and_then(|ahead| ahead.next(segment.id));
        let read = || read_summary(&*segment.file, segment.id, self.engine.seed);
        enter_segment(&self.engine, segment, ahead.unwrap_or_else(read), from);
    }

    fn restore(&mut self, checkpoint: &Checkpoint) {
        if !restore(&self.engine, checkpoint, &self.engine.segments.all()) {
            return self.engine.counts.damaged.up();
        }
        self.engine.recovering(|recovered| recovered.by_checkpoint = true);
        // One that the checkpoint does not know is left out: what it knows could have replaced or removed what is in there.
        for segment in self.older.drain(..) {
            entered(&self.engine, &segment, 0);
        }
    }

    fn end(&self) {
        let Engine { index, segments, .. } = &*self.engine;
        // Segments may have been given up after entries that lead to them were looked at.
        let taken = segments.taken();
        index.sweep(|entry| !taken[usize::from(entry.slot())] && segments.get(entry.slot()).is_none());
        index.recovery_ends();
        self.engine.recovery_is_over();
    }
}

fn entered(engine: &Engine, segment: &Segment, records: u64) {
    segment.entered.store(true, Ordering::SeqCst);
    engine.recovering(|recovered| {
        recovered.entered += 1;
        recovered.records += records;
    });
}

/// Enters what a checkpoint knows of segments that are still there. `false`: it is damaged.
fn restore(engine: &Engine, checkpoint: &Checkpoint, segments: &[Arc<Segment>]) -> bool {
    let there: HashMap<u64, &Arc<Segment>> = segments.iter().map(|segment| (segment.id, segment)).collect();
    let mut by_slot: Vec<Option<&Arc<Segment>>> = vec![None; usize::from(u16::MAX) + 1];
    for known in &checkpoint.segments {
        let segment = there
            .get(&known.id)
            .copied()
            .filter(|_| known.id <= checkpoint.position.segment);
        if let Some(segment) = segment {
            segment.has_epoch(known.oldest_epoch);
            by_slot[usize::from(known.slot)] = Some(segment);
        }
    }
    let Position { segment: last, at: end } = checkpoint.position;
    let mut records = 0;
    let whole = checkpoint.each(|bucket, entry| {
        let Some(segment) = by_slot[usize::from(entry.slot())] else {
            return;
        };
        // What lies behind the position has been entered already.
        let within = entry.at() < segment.size() && (segment.id < last || entry.at() < end);
        if within && !segment.is_gone() && engine.index.restore(bucket, entry.in_slot(segment.slot())) {
            records += 1;
        }
    });
    engine.recovering(|recovered| recovered.records += records);
    if whole {
        for known in &checkpoint.segments {
            let segment = there.get(&known.id).filter(|_| known.id < last);
            segment
                .into_iter()
                .for_each(|segment| segment.set_oldest_epoch(known.oldest_epoch));
        }
    }
    whole
}

/// Enters the records of a segment from the offset `from` on, the last first.
fn enter_segment(engine: &Engine, segment: &Arc<Segment>, summary: Summary, from: u64) {
    let (records, oldest_epoch) = summary.unwrap_or_else(|| scan_and_seal(engine, segment));
    segment.set_oldest_epoch(oldest_epoch);
    let _entering = segment.entering.lock();
    if segment.is_gone() {
        return;
    }
    let later: Vec<&Summarised> = records
        .iter()
        .rev()
        .filter(|record| record.at >= from && record.at < segment.size())
        .collect();
    let index = &engine.index;
    let (mut count, mut places) = (0, Vec::with_capacity(AT_A_TIME));
    for some in later.chunks(AT_A_TIME) {
        places.clear();
        places.extend(some.iter().map(|record| index.place(record.name, record.part)));
        index.fetch(&places);
        for (record, place) in some.iter().zip(&places) {
            let entry = Entry::new(segment.slot(), record.at, record.length);
            match record.kind {
                // What was stored later has been entered already, and stays.
                Kind::Tombstone => index.must_not_come_back(*place),
                _ => count += u64::from(index.insert_if_absent(*place, entry)),
            }
        }
    }
    entered(engine, segment, count);
}

/// The records of a segment without a summary, which gets one.
fn scan_and_seal(engine: &Engine, segment: &Segment) -> (Vec<Summarised>, u64) {
    let Scanned {
        records,
        oldest_epoch,
        passed_over,
    } = scan(Source {
        file: &*segment.file,
        seed: engine.seed,
        segment: segment.id,
        size: segment.size(),
    });
    if !passed_over.is_empty() {
        engine.counts.damaged.up();
    }
    let at = aligned(segment.size());
    let bytes = write_summary(&records, oldest_epoch, engine.seed, segment.id, at);
    let fits = at + bytes.len() as u64 <= super::index::MAX_SEGMENT;
    if fits
        && segment
            .file
            .write_at(at, &bytes)
            .and_then(|()| segment.file.sync())
            .is_ok()
    {
        engine.segments.grow(segment, at + bytes.len() as u64 - segment.size());
        engine.counts.written.add(bytes.len() as u64);
    }
    (records, oldest_epoch)
}
