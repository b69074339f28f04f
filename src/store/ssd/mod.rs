//! The SSD tier: a log of write-once segments, and an index in memory that says where each record is.
//!
//! ```text
//! put ──▶ queue ──▶ writer ──▶ segment ──▶ index ◀── recovery ◀── checkpoint, summaries
//!                     ▲                      │
//!                     └── reclaim ◀──────────┤
//! try_read, read ◀── reader (checks) ◀───────┘
//! ```
//!
//! It knows records by a hash and a full key, and nothing of HTTP. FORMAT.md describes the bytes. What always holds:
//!
//! 1. **No byte leaves that was not checked**, and none under a key that is not its own (`reader`).
//! 2. **Nothing is overwritten.** A segment only grows until it is sealed, and goes as a whole; readers keep their file.
//! 3. **The log's order is the order of things.** What is later wins, and the oldest goes first, so nothing that was
//!    replaced or removed is found again (`writer`, `reclaim`, `recover`).
//! 4. **Nobody who serves waits**: not for the device, nor for room in the queue (`queue`, `pool`).
//! 5. **Every error of the device leaves what still works** (`health`).

mod checkpoint;
mod engine;
mod format;
mod health;
mod index;
pub mod inspect;
mod open;
mod pool;
mod queue;
mod reader;
mod reclaim;
mod recover;
mod scan;
mod segments;
mod settings;
mod stats;
#[cfg(test)]
mod tests;
mod writer;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

pub use engine::Recovered;
pub use format::{Head, Kind, MAX_BODY, MAX_KEY, MAX_META};
pub use health::State;
pub use open::OpenError;
pub use queue::{Record, Refused};
pub use reader::{CheckedRecord, Found, Part, Wanted};
pub use settings::{Happening, Judge, Settings, Tell};
pub use stats::Stats;

pub(crate) use open::milliseconds;

use engine::Engine;
use open::Opened;
use pool::Pool;
use reader::Via;
use recover::Recovery;
use writer::Writer;

use crate::clock::{Clock, Now};
use crate::device::Device;
use crate::purge::Reserve;

/// The writer waits so long for more when little waits for it.
const LINGER: Duration = Duration::from_millis(50);
/// The time is noted in the superblock so often.
const TIME_NOTED: Duration = Duration::from_secs(60);

/// The SSD tier over one folder. Dropping it writes what waits, and a checkpoint.
pub struct Ssd {
    engine: Arc<Engine>,
    pool: Pool,
    threads: Vec<JoinHandle<()>>,
}

impl Ssd {
    /// Opens the store in a folder, or makes one. It can be used at once; what is stored is found again meanwhile.
    pub fn open(folder: Arc<dyn Device>, settings: Settings, clock: Arc<dyn Clock>) -> Result<Ssd, OpenError> {
        let random = |bytes: &mut [u8; 40]| getrandom::fill(bytes).map_err(|error| io::Error::other(error.to_string()));
        let Opened {
            engine,
            segments,
            checkpoint,
        } = open::open(folder, settings, clock.now().wall, random)?;
        let failed = |error| OpenError::Device {
            what: "starting a thread",
            error,
        };
        let pool = Pool::start(&engine).map_err(failed)?;
        let mut ssd = Ssd {
            engine: Arc::clone(&engine),
            pool,
            threads: Vec::new(),
        };
        let recovering = Arc::clone(&engine);
        let recovery = move || Recovery::new(&recovering, segments, checkpoint).run();
        ssd.threads.push(start("verge-ssd-recover", recovery).map_err(failed)?);
        let writing = Writing::new(&engine, clock);
        ssd.threads
            .push(start("verge-ssd-write", move || writing.run()).map_err(failed)?);
        Ok(ssd)
    }

    /// Opens a store that has no threads: all that they would do is done by [`ByHand`], when it is told to. For the
    /// simulator; `random` are the bytes that a store is made from.
    pub fn open_by_hand(
        folder: Arc<dyn Device>,
        settings: Settings,
        now: SystemTime,
        random: [u8; 40],
    ) -> Result<(Ssd, ByHand), OpenError> {
        let fill = |bytes: &mut [u8; 40]| {
            *bytes = random;
            Ok(())
        };
        let Opened {
            engine,
            segments,
            checkpoint,
        } = open::open(folder, settings, now, fill)?;
        let by_hand = ByHand {
            writer: Writer::new(&engine),
            recovery: Some(Recovery::new(&engine, segments, checkpoint)),
        };
        let ssd = Ssd {
            pool: Pool::new(&engine),
            engine,
            threads: Vec::new(),
        };
        Ok((ssd, by_hand))
    }

    /// The secret of the hashes that records are named by; as long as the store lives it is the same.
    pub fn secret(&self) -> [u8; 16] {
        self.engine.store.lock().secret
    }

    /// Takes a record to be stored, in place of what has its name and part; that is removed even if the record is refused,
    /// unless it is a chunk, which has only ever one content. Never waits. What it gives says later whether the record
    /// is on the device.
    pub fn put(&self, record: Record) -> Result<u64, Refused> {
        self.engine.put(record)
    }

    /// Takes out what is stored under a name. `false`: it is gone now, but a crash may bring it back.
    pub fn remove(&self, name: u128, part: u32) -> bool {
        self.engine.remove(name, part)
    }

    /// Looks a record up in memory alone: in the index, and in those pages of its segment that are in memory.
    pub fn try_read(&self, wanted: &Wanted) -> Found {
        self.engine.look_up(wanted, Via::Memory)
    }

    /// Looks a record up on the device; `told` is told from another thread. `false`: too many wait, and it will not be.
    pub fn read(&self, wanted: Wanted, told: impl FnOnce(Found) + Send + 'static) -> bool {
        self.pool.read(wanted, Box::new(told))
    }

    /// Whether something is probably stored under a name: of those that are not, one in 25,000 seems to be.
    pub fn has(&self, name: u128, part: u32) -> bool {
        self.engine.index.find(self.engine.index.place(name, part)).is_some()
    }

    /// Notes that what is stored under a name was hit, here or in RAM: it is kept for longer.
    pub fn hit(&self, name: u128, part: u32) {
        self.engine.index.hit(self.engine.index.place(name, part));
    }

    /// Whether what [`Ssd::put`] gave this number for is on the device. After the device has failed this is said only of
    /// what came later.
    pub fn is_on_device(&self, ticket: u64) -> bool {
        self.engine.queue.is_on_device(ticket)
    }

    /// Waits until all that was taken so far is on the device, but no longer than `longest`; says whether it is.
    pub fn flush(&self, longest: Duration) -> bool {
        self.engine.queue.flush(longest)
    }

    /// How far recovery has come.
    pub fn recovered(&self) -> Recovered {
        self.engine.recovered()
    }

    /// Has `told` called when recovery is over, or has taken longer than [`Settings::recovery_wait`]; at once if it is so.
    pub fn when_recovered(&self, told: impl FnOnce() + Send + 'static) {
        self.engine.when_recovered(Box::new(told));
    }

    /// Waits until recovery is over, but no longer than `longest`; says whether it is. Not for threads that serve.
    pub fn wait_until_recovered(&self, longest: Duration) -> bool {
        self.engine.wait_until_recovered(longest)
    }

    /// Bytes that its files may have together.
    pub fn capacity(&self) -> u64 {
        self.engine.settings.size
    }

    /// Whether nothing has to go for what is stored next.
    pub fn has_room(&self) -> bool {
        self.engine.room() >= 2 * self.engine.settings.segment()
    }

    /// A number that no other store has.
    pub fn id(&self) -> u128 {
        self.engine.id
    }

    /// How often the store was opened, this time included.
    pub fn starts(&self) -> u64 {
        self.engine.store.lock().starts
    }

    /// The latest time that was noted before the store was opened, or at that moment, in milliseconds since 1970. A clock that
    /// says less has been set back.
    pub fn latest(&self) -> u64 {
        self.engine.store.lock().latest
    }

    /// Whether all there is is in the index, so that what [`Ssd::has`] does not know is not there, nor will be after a crash.
    pub fn knows_all(&self) -> bool {
        let engine = &self.engine;
        let lost = engine.index.displaced.get() + engine.counts.removals_lost.get();
        engine.is_recovered() && lost == 0
    }

    /// The oldest epoch of any record: purges up to it need not be remembered for this store. While recovery goes on, 0.
    pub fn oldest_epoch(&self) -> u64 {
        match self.engine.is_recovered() {
            true => self.engine.segments.oldest_epoch(),
            false => 0,
        }
    }

    /// Epochs up to and including this one may have been given out before.
    pub fn epochs_reserved(&self) -> u64 {
        self.engine.store.lock().epochs_reserved
    }

    /// Reserves the epochs up to and including `through`; on the device when this returns.
    pub fn reserve_epochs(&self, through: u64) -> io::Result<()> {
        self.engine.reserve_epochs(through)
    }

    /// What still works.
    pub fn state(&self) -> State {
        self.engine.health.state()
    }

    /// Its figures.
    pub fn stats(&self) -> Stats {
        Stats::of(&self.engine, self.pool.waiting())
    }
}

impl Reserve for Ssd {
    fn reserved(&self) -> u64 {
        self.epochs_reserved()
    }

    fn reserve(&self, through: u64) -> io::Result<()> {
        self.reserve_epochs(through)
    }
}

impl Drop for Ssd {
    fn drop(&mut self) {
        self.engine.ending.store(true, Ordering::SeqCst);
        self.engine.queue.end();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Engine {
    fn put(&self, record: Record) -> Result<u64, Refused> {
        let (name, part, bytes) = (record.name, record.part, record.bytes() as u64);
        let replaces = record.kind != Kind::Chunk;
        if replaces {
            // What it replaces is not found any more, even before it is written.
            self.index.remove(self.index.place(name, part));
        }
        let taken = match self.health.can_write() {
            _ if !Writer::takes(&record.head(), &self.settings) => Err(Refused::TooLarge),
            true => self.queue.put(record),
            false => Err(Refused::ReadOnly),
        };
        match taken {
            Ok(_) => {
                self.counts.puts.up();
                self.counts.put_bytes.add(bytes);
            }
            Err(_) => {
                self.counts.refused.up();
                if replaces {
                    self.remove(name, part);
                }
            }
        }
        taken
    }

    fn remove(&self, name: u128, part: u32) -> bool {
        let kept = self.queue.remove(name, part);
        self.index.remove(self.index.place(name, part));
        if !kept {
            self.counts.removals_lost.up();
        }
        kept
    }
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run)
}

/// What the threads of a store would do, a step at a time.
pub struct ByHand {
    writer: Writer,
    recovery: Option<Recovery>,
}

impl ByHand {
    /// Goes on with recovery. `false`: it is over.
    pub fn recover(&mut self) -> bool {
        if self.recovery.as_mut().is_some_and(|recovery| !recovery.step()) {
            self.recovery = None;
        }
        self.recovery.is_some()
    }

    /// Writes what waits, and has the device keep it if it is time to, or if `sync`.
    pub fn write(&mut self, now: Now, sync: bool) {
        self.writer.turn(now);
        self.writer.sync_if_due(now, sync);
    }

    /// Does the read of `ssd` that has waited longest. `false`: none waits.
    pub fn read(&mut self, ssd: &Ssd) -> bool {
        ssd.pool.read_one(&ssd.engine)
    }
}

/// What the writer's thread works on.
struct Writing {
    writer: Writer,
    clock: Arc<dyn Clock>,
    checkpoint: Option<JoinHandle<()>>,
    checkpointing: Arc<AtomicBool>,
    began: Duration,
    /// When the time was last noted.
    noted: Duration,
    /// What was last told.
    state: State,
    recovered: bool,
}

impl Writing {
    fn new(engine: &Arc<Engine>, clock: Arc<dyn Clock>) -> Writing {
        let began = clock.monotonic();
        Writing {
            writer: Writer::new(engine),
            clock,
            checkpoint: None,
            checkpointing: Arc::default(),
            began,
            noted: began,
            state: State::Healthy,
            recovered: false,
        }
    }

    fn run(mut self) {
        let engine = Arc::clone(self.writer.engine());
        loop {
            let work = engine.queue.wait(engine.settings.sync_after / 2, LINGER);
            let now = self.clock.now();
            self.writer.turn(now);
            self.writer.sync_if_due(self.clock.now(), work.sync);
            if work.end {
                return self.close();
            }
            self.checkpoint_if_due();
            self.keep_time(now);
            self.tell(now);
            engine.try_reading();
        }
    }

    fn tell(&mut self, now: Now) {
        let engine = Arc::clone(self.writer.engine());
        let tell = &engine.settings.tell;
        if !self.recovered && engine.is_recovered() {
            self.recovered = true;
            let took = now.monotonic.saturating_sub(self.began);
            tell(&Happening::Recovered(engine.recovered().records, took));
        }
        let state = engine.health.state();
        if self.state != state {
            tell(&Happening::State(state.clone()));
            self.state = state;
        }
    }

    fn keep_time(&mut self, now: Now) {
        let engine = self.writer.engine();
        if engine.is_worth_waiting() && now.monotonic >= self.began + engine.settings.recovery_wait {
            engine.stop_waiting();
        }
        if now.monotonic >= self.noted + TIME_NOTED && engine.health.can_write() {
            self.noted = now.monotonic;
            if engine.note_time(now.wall).is_err() {
                engine.counts.device_errors.up();
            }
        }
    }

    /// Seals what is open, so that the next start has a summary, and a checkpoint.
    fn close(mut self) {
        let engine = Arc::clone(self.writer.engine());
        let now = self.clock.now();
        let sealed = engine.health.can_write() && self.writer.seal(now).is_ok() && engine.note_time(now.wall).is_ok();
        if let Some(thread) = self.checkpoint.take() {
            let _ = thread.join();
        }
        if sealed && engine.is_recovered() && checkpoint::write(&engine).is_err() {
            engine.counts.device_errors.up();
        }
    }

    fn checkpoint_if_due(&mut self) {
        let engine = Arc::clone(self.writer.engine());
        let since = self.writer.since_checkpoint();
        let due = *since as f64 * engine.settings.checkpoint_share >= engine.index.bytes() as f64;
        if !due || !engine.is_recovered() || self.checkpointing.swap(true, Ordering::SeqCst) {
            return;
        }
        *since = 0;
        let checkpointing = Arc::clone(&self.checkpointing);
        let write = move || {
            if checkpoint::write(&engine).is_err() {
                engine.counts.device_errors.up();
            }
            checkpointing.store(false, Ordering::SeqCst);
        };
        match start("verge-ssd-checkpoint", write) {
            Ok(thread) => self.checkpoint = Some(thread),
            Err(_) => self.checkpointing.store(false, Ordering::SeqCst),
        }
    }
}

impl Engine {
    /// If reads have failed: whether they do so still.
    fn try_reading(&self) {
        if self.health.can_read() {
            return;
        }
        let mut header = [0; format::SEGMENT_HEADER as usize];
        let oldest = self.segments.oldest(None);
        if oldest.is_none_or(|segment| segment.file.read_at(0, &mut header).is_ok()) {
            self.health.read();
        }
    }
}
