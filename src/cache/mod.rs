//! The cache: keys, versions, look-up, and fills that many clients share. ARCHITECTURE.md lists its invariants.
//!
//! Nothing here knows a socket or reads a clock: fills are plain futures and time is passed in, so that the simulator
//! runs this very code.

pub mod fill;
mod held;
mod intake;
mod key;
mod lookup;
mod memory;
pub mod object;
mod posted;
mod table;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use smallvec::SmallVec;

pub use held::Held;
pub use intake::{Arrived, Request};
pub use key::{Key, KeyParts, SchemeClass, Secret};
pub use lookup::Looked;
pub use memory::Remembered;
pub use posted::{Keeping, Posted};
pub use table::{Join, Permit, Wanted};

use fill::Fill;
use memory::Memory;
use object::{Body, Entry, Head, VaryIndex, Version};
use table::{FillTable, KeysUnderWay};

use crate::origin::FetchError;
use crate::policy::fields::OwnedFields;
use crate::policy::range::ByteRange;
use crate::purge::{Epoch, Mode, Purges, Selector, Verdict};
use crate::store::{CHUNK, Ram};
use crate::telemetry::Count;

/// Purges that the table may remember before those that matter no more are swept out.
const MAX_REMEMBERED_PURGES: usize = 100_000;

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
            chunk_share: 0.5,
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
    ram: Ram<Entry>,
    fills: FillTable,
    purges: Purges,
    memory: Memory,
    /// The order of all requests and fetches.
    sequence: AtomicU64,
    generations: AtomicU64,
    under_way: Arc<AtomicUsize>,
    keys_under_way: Arc<KeysUnderWay>,
    /// What came of fills.
    pub ended: FillCounts,
    /// Held while an index is read and replaced, so that no variant is lost.
    index_change: Mutex<()>,
}

impl Cache {
    /// An empty cache.
    pub fn new(settings: Settings, secret: Secret) -> Self {
        Cache {
            ram: Ram::new(settings.ram, settings.chunk_share),
            settings,
            secret,
            fills: FillTable::default(),
            purges: Purges::default(),
            memory: Memory::new(),
            sequence: AtomicU64::new(0),
            generations: AtomicU64::new(0),
            under_way: Arc::default(),
            keys_under_way: Arc::default(),
            ended: FillCounts::default(),
            index_change: Mutex::new(()),
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
        let epoch = self.purges.purge(selector, mode);
        if self.purges.remembered() > MAX_REMEMBERED_PURGES {
            self.sweep();
        }
        epoch
    }

    /// RFC 9111 4.4: what an unsafe method changed is not served again. Costs nothing if nothing of it is known; returns
    /// whether it is, and so was purged.
    pub fn invalidate(&self, parts: &KeyParts<'_>) -> bool {
        let known = [SchemeClass::Clear, SchemeClass::Secure].into_iter().any(|scheme| {
            let hash = self.secret.key(&KeyParts { scheme, ..*parts });
            // In this order: what is on its way is stored before it is no longer on its way.
            self.keys_under_way.has(hash) || self.ram.get(hash).is_some()
        });
        if known {
            self.purge_url(parts, Mode::Hard);
        }
        known
    }

    /// Checks every stored version, so that the purges so far can be forgotten. What is on its way meanwhile is not kept.
    fn sweep(&self) {
        let checked_through = self.purges.latest();
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
        let leaving = {
            let _change = self.index_change.lock();
            let (index, leaving) = match self.ram.get(head.key.hash) {
                Some(Entry::Index(index)) => self.make_room(index.with(selected.spec.clone(), id, head.began), id),
                _ => (VaryIndex::default().with(selected.spec.clone(), id, head.began), None),
            };
            self.ram.insert(head.key.hash, Entry::Index(Arc::new(index)));
            leaving
        };
        leaving.into_iter().for_each(|id| self.ram.remove(id));
        self.fills.remove_id(fill, head.key.hash);
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
    }

    /// Takes a version out, if it is still the one stored.
    pub fn forget(&self, version: &Version, id: u128) {
        if let Some(Entry::Version(stored)) = self.ram.get(id)
            && stored.head.generation == version.head.generation
        {
            self.ram.remove(id);
        }
    }

    /// All chunks of a large body, or `None` if one is gone. Holding them pins them.
    pub fn pin(&self, name: u128, length: u64) -> Option<SmallVec<[Bytes; 1]>> {
        let chunks = length.div_ceil(CHUNK as u64) as u32;
        (0..chunks).map(|index| self.ram.chunk(name, index)).collect()
    }

    /// What is here of the chunks that `wanted`, which is within the body, touches; `None` if the body has no chunks.
    pub fn held(&self, version: &Version, wanted: ByteRange) -> Option<Held> {
        let Body::Chunked { name, length } = version.body else {
            return None;
        };
        let first = (wanted.start / CHUNK as u64) as u32;
        let behind = wanted.end.div_ceil(CHUNK as u64) as u32;
        Some(Held {
            name,
            length,
            first,
            chunks: (first..behind).map(|index| self.ram.chunk(name, index)).collect(),
        })
    }

    /// The body of a version, if all of it is here: one piece, or all chunks.
    pub fn whole_body(&self, version: &Version) -> Option<SmallVec<[Bytes; 1]>> {
        match &version.body {
            Body::Whole(bytes) => Some(SmallVec::from_buf([bytes.clone()])),
            Body::Chunked { name, length } => self.pin(*name, *length),
            Body::Filling(_) => None,
        }
    }
}
