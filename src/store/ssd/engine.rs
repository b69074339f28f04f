//! What all threads of a store share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::format::Store;
use super::health::Health;
use super::index::{Entry, Index};
use super::queue::Queue;
use super::segments::{Segment, Segments};
use super::settings::Settings;
use crate::device::Device;
use crate::telemetry::Count;

/// What has been counted since the start.
#[derive(Debug, Default)]
pub struct Counts {
    /// Look-ups that gave a record.
    pub hits: Count,
    /// Look-ups that gave none.
    pub misses: Count,
    /// Reads of the device or its pages in memory, and bytes read.
    pub reads: [Count; 2],
    /// Reads that found what they wanted in memory.
    pub inline: Count,
    /// Records that were taken to be stored.
    pub puts: Count,
    /// Bytes of keys, descriptions and bodies in them.
    pub put_bytes: Count,
    /// Records that were refused, or given up because the device failed.
    pub refused: Count,
    /// Bytes written to the device, whatever for.
    pub written: Count,
    /// Bytes of them for checkpoints.
    pub checkpoint_bytes: Count,
    /// Segments that were given up.
    pub reclaimed: Count,
    /// Records that were kept when their segment was given up, and their bytes.
    pub reinserted: [Count; 2],
    /// Records, summaries and checkpoints that were not what had been written.
    pub damaged: Count,
    /// Operations that the device failed.
    pub device_errors: Count,
    /// Removals that may be undone by a crash, because too many waited or the device failed.
    pub removals_lost: Count,
}

/// How far recovery has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Segments that were found at the start.
    pub segments: u64,
    /// How many of them have been entered.
    pub entered: u64,
    /// Records that were entered.
    pub records: u64,
    /// Whether a checkpoint was of use.
    pub by_checkpoint: bool,
    /// Whether it is over.
    pub done: bool,
}

impl Recovered {
    /// How far it has come, from 0 to 1.
    pub fn share(&self) -> f64 {
        match (self.done, self.segments) {
            (true, _) => 1.0,
            (false, 0) => 0.0,
            (false, segments) => (self.entered as f64 / segments as f64).min(1.0),
        }
    }
}

/// A point of the log: a segment, and an offset in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The segment's number.
    pub segment: u64,
    /// All before this offset, in bytes, has been entered in the index.
    pub at: u64,
}

/// What is called when recovery is over.
type Waiter = Box<dyn FnOnce() + Send>;

/// What all threads of a store share.
pub struct Engine {
    /// Where the files are.
    pub device: Arc<dyn Device>,
    /// What the superblock says. Held while it is written.
    pub store: Mutex<Store>,
    /// The seed of its checksums.
    pub seed: u64,
    /// No two stores share one.
    pub id: u128,
    /// Sizes and limits.
    pub settings: Settings,
    /// Where each record is.
    pub index: Index,
    /// The files of records.
    pub segments: Segments,
    /// What waits to be written.
    pub queue: Queue,
    /// What has been counted.
    pub counts: Counts,
    /// What still works.
    pub health: Health,
    /// Bytes that files may have together; less than was set if the file system has no more room.
    pub capacity: AtomicU64,
    /// How far the log is in the index.
    pub position: Mutex<Position>,
    recovery: Mutex<(Recovered, Vec<Waiter>)>,
    recovery_over: Condvar,
    is_recovered: AtomicBool,
    /// Nobody waits any more for what recovery may still find.
    waited_enough: AtomicBool,
    /// The store is about to be closed; recovery need not go on.
    pub ending: AtomicBool,
}

impl Engine {
    /// A store over `device`, whose segments are still to be added.
    pub fn new(device: Arc<dyn Device>, store: Store, settings: Settings, next_segment: u64) -> Engine {
        Engine {
            device,
            seed: store.seed,
            id: store.id,
            store: Mutex::new(store),
            index: Index::new(settings.entries()),
            segments: Segments::new(next_segment),
            queue: Queue::new(settings.queue),
            counts: Counts::default(),
            health: Health::default(),
            capacity: AtomicU64::new(settings.size),
            position: Mutex::default(),
            recovery: Mutex::default(),
            recovery_over: Condvar::new(),
            is_recovered: AtomicBool::new(false),
            waited_enough: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            settings,
        }
    }

    /// The segment of an entry; nothing if it was given up meanwhile.
    pub fn segment(&self, entry: Entry) -> Option<Arc<Segment>> {
        self.segments.get(entry.slot())
    }

    /// Bytes that may be written before something has to go.
    pub fn room(&self) -> u64 {
        self.capacity
            .load(Ordering::Relaxed)
            .saturating_sub(self.segments.bytes())
    }

    // Recovery.

    /// How far recovery has come.
    pub fn recovered(&self) -> Recovered {
        self.recovery.lock().0
    }

    /// Whether recovery is over.
    pub fn is_recovered(&self) -> bool {
        self.is_recovered.load(Ordering::SeqCst)
    }

    /// Notes how far recovery has come.
    pub fn recovering(&self, note: impl FnOnce(&mut Recovered)) {
        note(&mut self.recovery.lock().0);
    }

    /// Recovery is over; who waits is told.
    pub fn recovery_is_over(&self) {
        self.recovery.lock().0.done = true;
        self.is_recovered.store(true, Ordering::SeqCst);
        self.recovery_over.notify_all();
        self.stop_waiting();
    }

    /// What recovery has not found yet counts as not there from now on; who waits is told.
    pub fn stop_waiting(&self) {
        let waiters = {
            let mut recovery = self.recovery.lock();
            self.waited_enough.store(true, Ordering::SeqCst);
            std::mem::take(&mut recovery.1)
        };
        waiters.into_iter().for_each(|waiter| waiter());
    }

    /// Whether what is not found may be found in a moment.
    pub fn is_worth_waiting(&self) -> bool {
        !self.waited_enough.load(Ordering::SeqCst)
    }

    /// Has `waiter` called when recovery is over, or has taken too long to be waited for; at once if it is so.
    pub fn when_recovered(&self, waiter: Waiter) {
        let mut recovery = self.recovery.lock();
        match self.is_worth_waiting() {
            true => recovery.1.push(waiter),
            false => {
                drop(recovery);
                waiter();
            }
        }
    }

    /// Waits until recovery is over, but no longer than `longest`; says whether it is.
    pub fn wait_until_recovered(&self, longest: Duration) -> bool {
        let mut recovery = self.recovery.lock();
        self.recovery_over
            .wait_while_for(&mut recovery, |recovery| !recovery.0.done, longest);
        recovery.0.done
    }
}
