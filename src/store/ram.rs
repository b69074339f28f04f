//! The RAM tier: two moka caches, one of entries and one of the chunks of large bodies.
//!
//! Entries are admitted by frequency (TinyLFU), which wins on object hits. Chunks have a share of their own, because
//! TinyLFU weighs a candidate against the sum of its victims' frequencies and chunks would starve beside small
//! entries; and they are kept by recency, because a body of which some chunks were refused admission is useless.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::Gauge;
use super::seen::Seen;
use crate::telemetry::Count;

/// Bytes in a chunk, and the largest body that is kept with its head.
pub const CHUNK: usize = 256 * 1024;

/// What moka and the allocator add to an entry, in bytes (measured: 200 to 300).
const ENTRY_OVERHEAD: u64 = 300;

/// moka applies insertions in batches; this many bytes may wait before it is told to apply them.
const MAX_UNAPPLIED: u64 = 4 * 1024 * 1024;

/// What is brought up from below is remembered for so many bytes of RAM: longer than it would stay here.
const BYTES_A_PLACE: u64 = 4096;

/// Odd, and with all its bits mixed: what is added to the hash of a body for each of its chunks.
const CHUNK_STEP: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

/// Something that can be kept in RAM.
pub trait Weigh: Clone + Send + Sync + 'static {
    /// Bytes it occupies, itself and what it owns.
    fn weight(&self) -> u64;
}

/// The RAM tier, for entries of one type.
pub struct Ram<E> {
    entries: Cache<u128, E, KeyIsHash>,
    chunks: Cache<(u128, u32), Bytes, KeyIsHash>,
    gauge: Gauge,
    chunk_capacity: u64,
    capacity: u64,
    unapplied: AtomicU64,
    reserved: Arc<AtomicU64>,
    /// Entries and chunks that had to make room.
    evicted: [Arc<Count>; 2],
    /// What was brought up from below.
    brought: Seen,
}

/// Figures of one of the two pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// `entries` or `chunks`.
    pub name: &'static str,
    /// Bytes that it holds.
    pub bytes: u64,
    /// Bytes that it may hold.
    pub capacity: u64,
    /// How many things it holds.
    pub entries: u64,
    /// How many had to make room.
    pub evicted: u64,
}

/// Bytes set aside for a body on its way, until it is dropped.
#[derive(Debug)]
pub struct Reservation {
    reserved: Arc<AtomicU64>,
    bytes: u64,
}

impl Reservation {
    /// Bytes set aside.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.reserved.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl<E: Weigh> Ram<E> {
    /// A tier of `capacity` bytes, of which `chunk_share` (0 to 1) is for the chunks of bodies larger than [`CHUNK`].
    pub fn new(capacity: u64, chunk_share: f64) -> Self {
        let chunk_capacity = (capacity as f64 * chunk_share) as u64;
        let evicted: [Arc<Count>; 2] = Default::default();
        let [of_entries, of_chunks] = evicted.clone();
        let entries = Cache::builder()
            .eviction_listener(move |_, _, cause| {
                if cause.was_evicted() {
                    of_entries.up();
                }
            })
            .max_capacity(capacity - chunk_capacity)
            .weigher(|_: &u128, entry: &E| clamp(entry.weight() + ENTRY_OVERHEAD))
            .build_with_hasher(KeyIsHash);
        let chunks = Cache::builder()
            .eviction_listener(move |_, _, cause| {
                if cause.was_evicted() {
                    of_chunks.up();
                }
            })
            .max_capacity(chunk_capacity)
            .eviction_policy(EvictionPolicy::lru())
            .weigher(|_: &(u128, u32), chunk: &Bytes| clamp(chunk.len() as u64 + ENTRY_OVERHEAD))
            .build_with_hasher(KeyIsHash);
        Ram {
            entries,
            chunks,
            gauge: Gauge::default(),
            chunk_capacity,
            capacity,
            unapplied: AtomicU64::new(0),
            reserved: Arc::default(),
            evicted,
            brought: Seen::new(capacity.div_ceil(BYTES_A_PLACE)),
        }
    }

    /// The entry under `id`.
    pub fn get(&self, id: u128) -> Option<E> {
        self.entries.get(&id)
    }

    /// The entry under `id`, where [`Ram::get`] has been asked for the same client: that counts as one use.
    pub fn get_again(&self, id: u128) -> Option<E> {
        match self.entries.contains_key(&id) {
            true => self.entries.get(&id),
            false => None,
        }
    }

    /// Stores `entry` in place of what was under `id`.
    pub fn insert(&self, id: u128, entry: E) {
        let weight = entry.weight();
        self.entries.insert(id, entry);
        self.applied_soon(weight);
    }

    /// Whether an entry of this weight that was brought up from below is to be kept here: while nothing has to go for it, and
    /// when it is brought up again. What is asked for so seldom that it is forgotten in between would be gone from here as
    /// well, and putting it here costs as much as reading it.
    pub fn keeps_brought(&self, id: u128, weight: u64) -> bool {
        let capacity = self.capacity - self.chunk_capacity;
        self.brought.again(id) || self.entries.weighted_size() + weight + ENTRY_OVERHEAD <= capacity
    }

    /// The same of a chunk.
    pub fn keeps_brought_chunk(&self, body: u128, index: u32, length: u64) -> bool {
        let id = body.wrapping_add(u128::from(index).wrapping_mul(CHUNK_STEP));
        self.brought.again(id) || self.chunks.weighted_size() + length + ENTRY_OVERHEAD <= self.chunk_capacity
    }

    /// Removes what is under `id`.
    pub fn remove(&self, id: u128) {
        self.entries.invalidate(&id);
    }

    /// Every entry, in no order. Entries that come or go meanwhile may or may not be seen.
    pub fn each(&self, mut visit: impl FnMut(u128, E)) {
        for (id, entry) in self.entries.iter() {
            visit(*id, entry);
        }
    }

    /// Stores the chunk of index `index` of a body.
    pub fn insert_chunk(&self, body: u128, index: u32, chunk: Bytes) {
        let weight = chunk.len() as u64;
        self.chunks.insert((body, index), chunk);
        self.applied_soon(weight);
    }

    /// The chunk of index `index` of a body. Holding it pins it.
    pub fn chunk(&self, body: u128, index: u32) -> Option<Bytes> {
        self.chunks.get(&(body, index))
    }

    /// The count of live body bytes.
    pub fn gauge(&self) -> &Gauge {
        &self.gauge
    }

    /// Whether a body of this length can be stored at all; of unknown length, whether what has come so far can.
    pub fn can_hold(&self, length: u64) -> bool {
        length <= CHUNK as u64 || length <= self.chunk_capacity / 2
    }

    /// Sets `length` bytes aside for a body on its way, unless that, or what readers pin outside the pools, would leave
    /// memory unbounded: at most half the capacity is on its way at a time, and at most a quarter is pinned beyond it.
    pub fn reserve(&self, length: u64) -> Option<Reservation> {
        let mut reservation = Reservation {
            reserved: Arc::clone(&self.reserved),
            bytes: 0,
        };
        self.grow(&mut reservation, length).then_some(reservation)
    }

    /// Sets `more` bytes aside in addition.
    pub fn grow(&self, reservation: &mut Reservation, more: u64) -> bool {
        let pinned_bound = self.capacity + self.capacity / 4 + MAX_UNAPPLIED;
        if !self.can_hold(reservation.bytes + more) || self.gauge.live() > pinned_bound {
            return false;
        }
        let before = self.reserved.fetch_add(more, Ordering::Relaxed);
        reservation.bytes += more;
        let within = before + more <= self.capacity / 2;
        if !within {
            reservation.bytes -= more;
            self.reserved.fetch_sub(more, Ordering::Relaxed);
        }
        within
    }

    /// Bytes that the two pools hold, as moka counts them.
    pub fn weight(&self) -> u64 {
        self.entries.run_pending_tasks();
        self.chunks.run_pending_tasks();
        self.entries.weighted_size() + self.chunks.weighted_size()
    }

    /// The figures of both pools.
    pub fn pools(&self) -> [Pool; 2] {
        self.entries.run_pending_tasks();
        self.chunks.run_pending_tasks();
        let [of_entries, of_chunks] = &self.evicted;
        [
            Pool {
                name: "entries",
                bytes: self.entries.weighted_size(),
                capacity: self.capacity - self.chunk_capacity,
                entries: self.entries.entry_count(),
                evicted: of_entries.get(),
            },
            Pool {
                name: "chunks",
                bytes: self.chunks.weighted_size(),
                capacity: self.chunk_capacity,
                entries: self.chunks.entry_count(),
                evicted: of_chunks.get(),
            },
        ]
    }

    /// How many entries there are.
    pub fn len(&self) -> u64 {
        self.entries.run_pending_tasks();
        self.entries.entry_count()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn applied_soon(&self, weight: u64) {
        let waiting = self.unapplied.fetch_add(weight + ENTRY_OVERHEAD, Ordering::Relaxed);
        if waiting + weight > MAX_UNAPPLIED.min(self.capacity / 16) {
            self.unapplied.store(0, Ordering::Relaxed);
            self.entries.run_pending_tasks();
            self.chunks.run_pending_tasks();
        }
    }
}

fn clamp(weight: u64) -> u32 {
    u32::try_from(weight).unwrap_or(u32::MAX)
}

/// Keys are hashes already (keyed, so nobody outside can choose them); hashing them again would only cost time.
#[derive(Clone, Copy, Debug, Default)]
struct KeyIsHash;

#[derive(Default)]
struct Folded(u64);

impl BuildHasher for KeyIsHash {
    type Hasher = Folded;

    fn build_hasher(&self) -> Folded {
        Folded::default()
    }
}

impl Hasher for Folded {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, hash: u128) {
        self.0 ^= hash as u64;
    }

    fn write_u32(&mut self, index: u32) {
        self.0 = self
            .0
            .wrapping_add(u64::from(index).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone)]
    struct Sized(u64);

    impl Weigh for Sized {
        fn weight(&self) -> u64 {
            self.0
        }
    }

    #[test]
    fn weight_stays_under_capacity() {
        let ram = Ram::new(1024 * 1024, 0.5);
        for id in 0..10_000u128 {
            ram.insert(id << 64 | id, Sized(1000));
            ram.insert_chunk(id << 64 | id, 0, Bytes::from(vec![0; 1000]));
        }
        assert!(ram.weight() <= 1024 * 1024);
        assert!(!ram.is_empty());
    }

    #[test]
    fn what_is_brought_up_is_kept_while_there_is_room_and_then_the_second_time() {
        let ram = Ram::new(1024 * 1024, 0.5);
        let spread = |id: u128| id << 64 | id << 32 | id;
        assert!(ram.keeps_brought(spread(1), 1000) && ram.keeps_brought_chunk(spread(1), 0, 1000));
        for id in 1000..2000 {
            ram.insert(spread(id), Sized(1000));
            ram.insert_chunk(spread(id), 0, Bytes::from(vec![0; 1000]));
        }
        ram.weight();
        for again in [false, true] {
            assert_eq!(ram.keeps_brought(spread(2), 1000), again);
            assert_eq!(ram.keeps_brought_chunk(spread(3), 4, 1000), again);
        }
        assert!(!ram.keeps_brought_chunk(spread(3), 5, 1000));
        assert_eq!(ram.get_again(spread(1)).map(|sized: Sized| sized.0), None);
    }

    #[test]
    fn what_is_on_its_way_or_pinned_is_bounded() {
        const MIB: u64 = 1024 * 1024;
        let ram = Ram::<Sized>::new(8 * MIB, 0.5);
        assert!(ram.can_hold(2 * MIB) && !ram.can_hold(2 * MIB + 1));
        let mut first = ram.reserve(2 * MIB).expect("the store is empty");
        let second = ram.reserve(2 * MIB).expect("half the capacity may be on its way");
        assert!(ram.reserve(1).is_none() && !ram.grow(&mut first, 1));
        drop((first, second));
        let pinned = ram.gauge().hold(Bytes::from(vec![0; 15 * MIB as usize]));
        assert!(ram.reserve(1).is_none(), "readers pin too much");
        drop(pinned);
        assert!(ram.reserve(MIB).is_some());
    }
}
