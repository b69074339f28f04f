//! The cache: keys, versions, look-up, and fills that many clients share. ARCHITECTURE.md lists its invariants.
//!
//! Nothing here knows a socket or reads a clock: fills are plain futures and time is passed in, so that the simulator
//! runs this very code.

pub mod below;
pub mod fill;
mod intake;
mod key;
mod lookup;
mod memory;
pub mod object;
mod posted;
pub(crate) mod record;
mod table;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

pub use below::{Below, Brought, Held};
pub use intake::{Arrived, Request};
pub use key::{Key, KeyParts, SchemeClass, Secret};
pub use lookup::Looked;
pub use memory::Remembered;
pub use posted::{Keeping, Posted};
pub use table::{Join, Permit, Wanted};

use fill::Fill;
use memory::Memory;
use object::{Entry, Head, VaryIndex, Version};
use table::{FillTable, KeysUnderWay};

use crate::origin::FetchError;
use crate::policy::fields::OwnedFields;
use crate::policy::vary::VarySpec;
use crate::purge::{Epoch, Mode, Purges, Selector, Verdict};
use crate::store::Ram;
use crate::telemetry::Count;

/// Purges that the table may remember before those that matter no more are swept out.
const MAX_REMEMBERED_PURGES: usize = 100_000;

/// Purges that it may remember for the sake of what the tier below RAM has. With more, what is there from before counts as purged.
const MOST_REMEMBERED_FOR_BELOW: usize = 200_000;

/// Sizes and limits of the cache.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Bytes of the RAM tier.
    pub ram: u64,
    /// Share of it (0 to 1) for bodies larger than a chunk.
    pub chunk_share: f64,
    /// How fills treat their readers.
    pub terms: fill::Terms,
    /// Fills under way in all.
    pub max_fills: usize,
    /// Readers of one fill.
    pub max_readers: usize,
    /// How long a response that said so keeps its key from being collapsed.
    pub uncacheable_ttl: Duration,
    /// How long a failed fetch is remembered.
    pub failure_ttl: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            ram: 512 * 1024 * 1024,
            chunk_share: 0.25,
            terms: fill::Terms {
                window: 1024 * 1024,
                pass_window: 128 * 1024,
                finish_bytes: 1024 * 1024,
                finish_share: 0.5,
                detached: false,
            },
            max_fills: 10_000,
            max_readers: 100_000,
            uncacheable_ttl: Duration::from_secs(120),
            failure_ttl: Duration::from_secs(1),
        }
    }
}

/// What came of the fills that have ended.
#[derive(Debug, Default)]
pub struct FillCounts {
    /// The response was stored.
    pub stored: Count,
    /// It could not be kept: it may not be stored, or there was no room.
    pub unstored: Count,
    /// It was a part that was missing of what is stored.
    pub completed: Count,
    /// The origin confirmed what is stored.
    pub revalidated: Count,
    /// There was no response, or not all of it.
    pub failed: Count,
    /// Nobody wanted it any more.
    pub abandoned: Count,
}

impl FillCounts {
    fn failed(&self, error: FetchError) {
        match error {
            FetchError::Abandoned => self.abandoned.up(),
            _ => self.failed.up(),
        }
    }
}

/// All that is stored and all that is on its way.
pub struct Cache {
    settings: Settings,
    secret: Secret,
    ram: Arc<Ram<Entry>>,
    below: Option<Below>,
    fills: FillTable,
    purges: Arc<Purges>,
    memory: Memory,
    /// The order of all requests and fetches.
    sequence: AtomicU64,
    generations: AtomicU64,
    under_way: Arc<AtomicUsize>,
    keys_under_way: Arc<KeysUnderWay>,
    /// What came of fills.
    pub ended: FillCounts,
    /// Held while an index is read and replaced, so that no variant is lost, and while anything stored is.
    index_change: Mutex<()>,
    /// With more purges than this it is looked which can be forgotten.
    sweep_beyond: AtomicUsize,
    /// How often anything was stored, by a part of what it is stored under.
    stores: Box<[AtomicU64]>,
}

const STORES: usize = 1024;

/// The numbers of one process begin so far above those of the one before.
const NUMBERS_OF_A_PROCESS: u64 = 1 << 40;

impl Cache {
    /// An empty cache without a tier below RAM.
    pub fn new(settings: Settings, secret: Secret) -> Self {
        Cache::over(settings, secret, None)
    }

    /// A cache with what is in the tier below RAM.
    pub fn with_below(settings: Settings, below: Below) -> Self {
        Cache::over(settings, below.secret, Some(below))
    }

    fn over(settings: Settings, secret: Secret, below: Option<Below>) -> Self {
        let starts = below.as_ref().map_or(0, |below| below.tier.starts());
        let first = starts * NUMBERS_OF_A_PROCESS;
        Cache {
            ram: Arc::new(Ram::new(settings.ram, settings.chunk_share)),
            purges: below
                .as_ref()
                .map_or_else(Arc::default, |below| Arc::clone(&below.purges)),
            below,
            settings,
            secret,
            fills: FillTable::default(),
            memory: Memory::new(),
            sequence: AtomicU64::new(first),
            generations: AtomicU64::new(first),
            under_way: Arc::default(),
            keys_under_way: Arc::default(),
            ended: FillCounts::default(),
            index_change: Mutex::new(()),
            sweep_beyond: AtomicUsize::new(MAX_REMEMBERED_PURGES),
            stores: (0..STORES).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// The hashes' secret.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The sizes and limits.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The next number in the order of all requests and fetches.
    pub fn next_in_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::SeqCst)
    }

    fn next_generation(&self) -> u64 {
        self.generations.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// How many fills are under way.
    pub fn fills_under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Clients that wait for fetches for the cache, or read them.
    pub fn readers(&self) -> usize {
        self.fills.readers()
    }

    /// What is remembered of what would be stored under `id`, at the monotonic time `now`.
    pub fn remembered(&self, id: u128, now: Duration) -> Option<Remembered> {
        self.memory.of(id, now)
    }

    /// Keys that are remembered for what their last response or failure was.
    pub fn keys_remembered(&self) -> u64 {
        self.memory.len()
    }

    /// The RAM tier, for its figures.
    pub fn ram(&self) -> &Ram<Entry> {
        &self.ram
    }

    /// The purges, for their figures.
    pub fn purges(&self) -> &Purges {
        &self.purges
    }

    // Purging.

    /// Purges one URL, all its variants, over clear text and TLS.
    pub fn purge_url(&self, parts: &KeyParts<'_>, mode: Mode) -> Epoch {
        self.purge(&Selector::Url(self.secret.url(parts)), mode)
    }

    /// Purges every version that carries the tag.
    pub fn purge_tag(&self, tag: &str, mode: Mode) -> Epoch {
        self.purge(&Selector::Tag(self.secret.tag(tag.as_bytes())), mode)
    }

    /// Purges every URL whose normalised `host/path?query` begins with `prefix`.
    pub fn purge_prefix(&self, prefix: &str, mode: Mode) -> Epoch {
        self.purge(&Selector::Prefix(prefix.into()), mode)
    }

    /// Purges a site, by its name.
    pub fn purge_site(&self, site: &str, mode: Mode) -> Epoch {
        self.purge(&Selector::Site(site.into()), mode)
    }

    /// Purges everything.
    pub fn purge_all(&self, mode: Mode) -> Epoch {
        self.purge(&Selector::All, mode)
    }

    /// Purges what `selector` names. When this returns, no request that arrives later is answered with it.
    pub fn purge(&self, selector: &Selector, mode: Mode) -> Epoch {
        let epoch = self.enter(selector, mode);
        if let Some(below) = &self.below {
            below.recorder.note(epoch, selector, mode);
        }
        epoch
    }

    /// The same; gives word when it is on the device, so that no crash brings back what it names. Before that it must not be
    /// acknowledged.
    pub fn purge_for_good(&self, selector: &Selector, mode: Mode) -> Purged {
        let epoch = self.enter(selector, mode);
        Purged {
            epoch,
            recorded: self
                .below
                .as_ref()
                .map(|below| below.recorder.record(epoch, selector, mode)),
        }
    }

    fn enter(&self, selector: &Selector, mode: Mode) -> Epoch {
        let epoch = self.purges.purge(selector, mode);
        if self.purges.remembered() > self.sweep_beyond.load(Ordering::Relaxed) {
            self.sweep();
            // What the tier below RAM has from before keeps some from being forgotten.
            let beyond = MAX_REMEMBERED_PURGES.max(self.purges.remembered() + MAX_REMEMBERED_PURGES / 2);
            self.sweep_beyond.store(beyond, Ordering::Relaxed);
        }
        epoch
    }

    /// RFC 9111 4.4: what an unsafe method changed is not served again. Costs nothing if nothing of it is known; returns
    /// whether it is, and so was purged.
    pub fn invalidate(&self, parts: &KeyParts<'_>) -> bool {
        let known = [SchemeClass::Clear, SchemeClass::Secure].into_iter().any(|scheme| {
            let hash = self.secret.key(&KeyParts { scheme, ..*parts });
            // In this order: what is on its way is stored before it is no longer on its way.
            let below = || self.below.as_ref().is_some_and(|below| below.tier.may_have(hash));
            self.keys_under_way.has(hash) || self.ram.get(hash).is_some() || below()
        });
        if known {
            self.purge_url(parts, Mode::Hard);
        }
        known
    }

    /// Checks every stored version, so that the purges so far can be forgotten. What is on its way meanwhile is not kept.
    fn sweep(&self) {
        let oldest_below = self
            .below
            .as_ref()
            .map_or(Epoch::MAX, |below| below.tier.oldest_epoch());
        let mut checked_through = self.purges.latest();
        if self.purges.remembered() <= MOST_REMEMBERED_FOR_BELOW {
            checked_through = checked_through.min(oldest_below);
        }
        self.ram.each(|id, entry| {
            if let Entry::Version(version) = entry
                && version.verdict(&self.purges) == Verdict::Hard
            {
                self.ram.remove(id);
            }
        });
        self.purges.forget_through(checked_through);
    }

    // Storing.

    /// Makes the variant that `head` belongs to findable, before anyone who waits for the head is told.
    fn announce(&self, fill: &Arc<Fill>, head: &Head, request: &OwnedFields) {
        let Some(selected) = &head.vary else { return };
        let id = request.with(|fields| head.id(&self.secret, fields));
        // Who wants the whole does not read behind a part.
        if fill.part.is_none() {
            self.fills.add_variant(fill, id);
        }
        let leaving = self.enter_variant(head, &selected.spec, id);
        leaving.into_iter().for_each(|id| self.remove(id));
        self.fills.remove_id(fill, head.key.hash);
    }

    /// Has the index of the key's variants know this one. Gives the one that has to make room.
    fn enter_variant(&self, head: &Head, spec: &VarySpec, id: u128) -> Option<u128> {
        let _change = self.index_change.lock();
        let (index, leaving) = match self.ram.get(head.key.hash) {
            Some(Entry::Index(index)) if index.has(spec, id, head.began) => return None,
            Some(Entry::Index(index)) => self.make_room(index.with(spec.clone(), id, head.began), id),
            _ => (VaryIndex::default().with(spec.clone(), id, head.began), None),
        };
        self.ram.insert(head.key.hash, Entry::Index(Arc::new(index)));
        self.note_store(head.key.hash);
        leaving
    }

    fn remove(&self, id: u128) {
        self.ram.remove(id);
        if let Some(below) = &self.below {
            below.tier.remove(id, 0);
        }
    }

    /// At most [`object::MAX_VARIANTS`] a key: takes out what is no longer stored or, if nothing is, the least used but `newest`.
    fn make_room(&self, mut index: VaryIndex, newest: u128) -> (VaryIndex, Option<u128>) {
        if index.variants.len() <= object::MAX_VARIANTS {
            return (index, None);
        }
        let last_used = |id: &u128| match self.ram.get(*id) {
            Some(Entry::Version(version)) => version.last_used() + 1,
            _ => 0,
        };
        let least = index
            .variants
            .iter()
            .copied()
            .filter(|id| *id != newest)
            .min_by_key(last_used);
        index.variants.retain(|id| Some(*id) != least);
        (index, least)
    }

    /// Stores a whole version, unless a purge came while it was fetched, or what began to be fetched later is there already.
    fn store(&self, version: &Arc<Version>, id: u128) {
        if version.verdict(&self.purges) == Verdict::Hard {
            return;
        }
        let _change = self.index_change.lock();
        if let Some(Entry::Version(stored)) = self.ram.get(id)
            && stored.head.began > version.head.began
            && stored.verdict(&self.purges) != Verdict::Hard
        {
            return;
        }
        self.ram.insert(id, Entry::Version(Arc::clone(version)));
        self.note_store(id);
        self.put_version(version, id);
    }

    fn note_store(&self, id: u128) {
        self.stores[id as usize % STORES].fetch_add(1, Ordering::SeqCst);
    }

    /// Changes when anything is stored under `id`.
    fn stores_of(&self, id: u128) -> u64 {
        self.stores[id as usize % STORES].load(Ordering::SeqCst)
    }

    /// Takes a version out, if it is still the one stored.
    pub fn forget(&self, version: &Version, id: u128) {
        if let Some(Entry::Version(stored)) = self.ram.get(id)
            && stored.head.generation == version.head.generation
        {
            self.ram.remove(id);
        }
        if version.is_below()
            && let Some(below) = &self.below
        {
            below.tier.remove(id, 0);
        }
    }
}

/// A purge that is in force, and maybe not on the device yet.
#[must_use = "it is to be acknowledged only when it is on the device"]
pub struct Purged {
    epoch: Epoch,
    recorded: Option<oneshot::Receiver<io::Result<()>>>,
}

impl Purged {
    /// Its number, once it is on the device. An error says that it is in force, and that a crash may undo it.
    pub async fn acknowledged(self) -> io::Result<Epoch> {
        match self.recorded {
            None => Ok(self.epoch),
            Some(recorded) => recorded.await.unwrap_or_else(ended).map(|()| self.epoch),
        }
    }

    /// The same, for threads that may wait.
    pub fn wait(self) -> io::Result<Epoch> {
        match self.recorded {
            None => Ok(self.epoch),
            Some(recorded) => recorded.blocking_recv().unwrap_or_else(ended).map(|()| self.epoch),
        }
    }
}

fn ended(_: oneshot::error::RecvError) -> io::Result<()> {
    Err(io::Error::other("the journal of purges has ended"))
}
