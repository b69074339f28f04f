//! From those who store to the thread that writes.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use super::format::{Head, Kind, MAX_BODY, MAX_KEY, MAX_META};

/// The writer is woken at once for so many bytes; for fewer it waits a moment for more.
const ENOUGH: usize = 256 * 1024;
/// Removals that may wait for the writer.
const MOST_REMOVALS: usize = 1_000_000;
/// What an operation takes in the queue beside its bytes.
const OVERHEAD: usize = 200;

/// Something to be stored.
#[derive(Clone, Debug)]
pub struct Record {
    /// What it is.
    pub kind: Kind,
    /// The keyed hash that it is found by: of a key, a variant or a body.
    pub name: u128,
    /// Which chunk of the body it is; 0 for what is no chunk.
    pub part: u32,
    /// The full key, compared byte by byte by who looks it up.
    pub key: Bytes,
    /// What is known of it; not looked at here.
    pub meta: Bytes,
    /// The body or a chunk of it.
    pub body: Bytes,
    /// The newest purge when its fetch began.
    pub epoch: u64,
    /// No two fetched responses share one.
    pub generation: u64,
    /// When its fetch began, in milliseconds since 1970.
    pub began: u64,
    /// From when it is of no use, in milliseconds since 1970.
    pub expires: u64,
}

impl Record {
    /// Its head as it is written.
    pub fn head(&self) -> Head {
        Head {
            kind: self.kind,
            name: self.name,
            part: self.part,
            key: self.key.len(),
            meta: self.meta.len(),
            body: self.body.len(),
            epoch: self.epoch,
            generation: self.generation,
            began: self.began,
            expires: self.expires,
        }
    }

    /// Bytes of what it has to keep.
    pub fn bytes(&self) -> usize {
        self.key.len() + self.meta.len() + self.body.len()
    }

    fn fits(&self) -> bool {
        self.key.len() <= MAX_KEY && self.meta.len() <= MAX_META && self.body.len() <= MAX_BODY
    }

    pub(super) fn tombstone(name: u128, part: u32) -> Record {
        Record {
            kind: Kind::Tombstone,
            name,
            part,
            key: Bytes::new(),
            meta: Bytes::new(),
            body: Bytes::new(),
            epoch: u64::MAX,
            generation: 0,
            began: 0,
            expires: 0,
        }
    }
}

/// Why something is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Too much waits for the device already.
    Busy,
    /// It is larger than a record can be.
    TooLarge,
    /// The device takes nothing; see [`super::Ssd::state`].
    ReadOnly,
}

/// What was asked for, in the order in which it was. Its ticket says which of two came first.
#[derive(Debug)]
pub struct Asked {
    /// Grows.
    pub ticket: u64,
    /// What to write; a tombstone to remove something.
    pub record: Record,
}

/// What waits for the writer.
pub struct Queue {
    waiting: Mutex<Waiting>,
    work: Condvar,
    done: Condvar,
    capacity: usize,
}

#[derive(Default)]
struct Waiting {
    asked: VecDeque<Asked>,
    bytes: usize,
    removals: usize,
    ticket: u64,
    /// What was removed and whose removal is not written yet, by the ticket of that.
    removed: HashMap<(u128, u32), u64>,
    /// The last ticket of which all before are on the device, and the last that somebody waits for.
    synced: u64,
    awaited: u64,
    /// The last ticket of something that was given up because the device failed.
    lost: u64,
    /// The writer cannot put anything on the device for now.
    stuck: bool,
    end: bool,
}

/// What the writer is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Put all on the device, however little it is.
    pub sync: bool,
    /// Nothing will come any more.
    pub end: bool,
}

impl Queue {
    /// An empty queue that takes so many bytes.
    pub fn new(capacity: usize) -> Queue {
        Queue {
            waiting: Mutex::default(),
            work: Condvar::new(),
            done: Condvar::new(),
            capacity,
        }
    }

    /// Takes a record. Never waits.
    pub fn put(&self, record: Record) -> Result<u64, Refused> {
        if !record.fits() {
            return Err(Refused::TooLarge);
        }
        let mut waiting = self.waiting.lock();
        let bytes = record.bytes() + OVERHEAD;
        if waiting.bytes + bytes > self.capacity || waiting.end {
            return Err(Refused::Busy);
        }
        Ok(self.push(&mut waiting, record, bytes))
    }

    /// Takes the word that something is no longer stored. `false`: too many wait, and after a crash it may come back.
    pub fn remove(&self, name: u128, part: u32) -> bool {
        let mut waiting = self.waiting.lock();
        let ticket = waiting.ticket + 1;
        waiting.removed.insert((name, part), ticket);
        if waiting.removals >= MOST_REMOVALS {
            waiting.removed.remove(&(name, part));
            return false;
        }
        waiting.removals += 1;
        self.push(&mut waiting, Record::tombstone(name, part), 0);
        true
    }

    fn push(&self, waiting: &mut Waiting, record: Record, bytes: usize) -> u64 {
        let before = waiting.bytes;
        waiting.ticket += 1;
        waiting.bytes += bytes;
        let ticket = waiting.ticket;
        waiting.asked.push_back(Asked { ticket, record });
        if waiting.asked.len() == 1 || (before < ENOUGH && waiting.bytes >= ENOUGH) {
            self.work.notify_one();
        }
        ticket
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.waiting.lock().bytes
    }

    // The writer's side.

    /// What comes next.
    pub fn pop(&self) -> Option<Asked> {
        let mut waiting = self.waiting.lock();
        let asked = waiting.asked.pop_front()?;
        match asked.record.kind {
            Kind::Tombstone => waiting.removals -= 1,
            _ => waiting.bytes -= asked.record.bytes() + OVERHEAD,
        }
        Some(asked)
    }

    /// Lets `enter` enter what was written into the index, each unless it was removed meanwhile. A removal that comes
    /// during this finds it entered.
    pub fn entering<T>(&self, written: &[T], name: impl Fn(&T) -> (u128, u32, u64), mut enter: impl FnMut(&T)) {
        let waiting = self.waiting.lock();
        for one in written {
            let (name, part, ticket) = name(one);
            if waiting
                .removed
                .get(&(name, part))
                .is_none_or(|removed| *removed < ticket)
            {
                enter(one);
            }
        }
    }

    /// The removal of this ticket has been written, or given up.
    pub fn removal_written(&self, name: u128, part: u32, ticket: u64) {
        let mut waiting = self.waiting.lock();
        if waiting.removed.get(&(name, part)) == Some(&ticket) {
            waiting.removed.remove(&(name, part));
        }
    }

    /// Waits for something to do, but no longer than `longest`; once there is, waits `linger` for more.
    pub fn wait(&self, longest: Duration, linger: Duration) -> Work {
        let mut waiting = self.waiting.lock();
        let urgent = |waiting: &Waiting| waiting.end || waiting.awaited > waiting.synced;
        if waiting.asked.is_empty() && !urgent(&waiting) {
            self.work.wait_for(&mut waiting, longest);
        }
        if !waiting.asked.is_empty() && waiting.bytes < ENOUGH && !urgent(&waiting) {
            self.work.wait_for(&mut waiting, linger);
        }
        Work {
            sync: urgent(&waiting),
            end: waiting.end,
        }
    }

    /// All up to `ticket` is on the device, or was given up if the writer is stuck.
    pub fn synced(&self, ticket: u64, stuck: bool) {
        let mut waiting = self.waiting.lock();
        waiting.synced = waiting.synced.max(ticket);
        waiting.stuck = stuck;
        if stuck {
            waiting.awaited = waiting.synced;
        }
        self.done.notify_all();
    }

    /// The last ticket that was given.
    #[cfg(test)]
    pub fn last_ticket(&self) -> u64 {
        self.waiting.lock().ticket
    }

    /// What this ticket was for was given up.
    pub fn lost(&self, ticket: u64) {
        let mut waiting = self.waiting.lock();
        waiting.lost = waiting.lost.max(ticket);
    }

    /// Whether what this ticket was given for is on the device. After the device has failed this is said only of what
    /// came later.
    pub fn is_on_device(&self, ticket: u64) -> bool {
        let waiting = self.waiting.lock();
        ticket <= waiting.synced && ticket > waiting.lost
    }

    /// Waits until all that was asked for so far is on the device, but no longer than `longest`; says whether it is.
    pub fn flush(&self, longest: Duration) -> bool {
        let mut waiting = self.waiting.lock();
        let (mine, lost) = (waiting.ticket, waiting.lost);
        waiting.awaited = mine;
        self.work.notify_one();
        let waits = |waiting: &mut Waiting| waiting.synced < mine && !waiting.stuck;
        self.done.wait_while_for(&mut waiting, waits, longest);
        waiting.synced >= mine && waiting.lost == lost
    }

    /// Nothing is taken any more; the writer ends when it has written what there is.
    pub fn end(&self) {
        self.waiting.lock().end = true;
        self.work.notify_all();
    }
}
