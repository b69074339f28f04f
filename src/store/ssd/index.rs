//! Where each record is: eight bytes an entry, in buckets of eight.
//!
//! An entry says little of what it is of, a tag of 18 bits; the record itself has the whole name and key, and is compared.
//! A name may be in either of two buckets, each of which is known from the other and the tag, so that entries can be
//! moved from a checkpoint without their names. No two entries of a pair of buckets have the same tag: what is stored
//! anew takes the place of all that it could be confused with, and so of what it replaces. Two names that are confused
//! (one in 25,000) take turns; that costs a miss and never an answer.
//!
//! Readers wait for nobody. Changes to entries of one tag take turns; places in a bucket are taken by comparing and
//! exchanging.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};

use crate::device::mix;
use crate::telemetry::Count;

/// Entries of a bucket: one line of the processor's cache.
const SLOTS: usize = 8;
/// Locks that changes take turns under.
const LOCKS: usize = 256;
/// Share of the places that is counted on, in percent. With two buckets to choose from, hardly any entry finds both
/// full.
const LOAD: u64 = 75;

const TAG_BITS: u32 = 18;
const SEGMENT_BITS: u32 = 16;
const AT_BITS: u32 = 22;
const SIZE_BITS: u32 = 6;
const HIT_BITS: u32 = 2;

const SIZE_SHIFT: u32 = HIT_BITS;
const AT_SHIFT: u32 = SIZE_SHIFT + SIZE_BITS;
const SEGMENT_SHIFT: u32 = AT_SHIFT + AT_BITS;
const TAG_SHIFT: u32 = SEGMENT_SHIFT + SEGMENT_BITS;
const HITS: u64 = (1 << HIT_BITS) - 1;

/// Segments that can be told apart.
pub const SEGMENT_SLOTS: usize = 1 << SEGMENT_BITS;
/// The largest segment, in bytes.
pub const MAX_SEGMENT: u64 = super::format::ALIGN << AT_BITS;

/// What an entry says: where a record is, about how long it is, and how often it was hit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry(u64);

impl Entry {
    /// The entry of a record of `length` bytes at `at` in the segment of this slot. Without a tag yet.
    pub fn new(slot: u16, at: u64, length: u64) -> Entry {
        let units = at / super::format::ALIGN;
        Entry(u64::from(slot) << SEGMENT_SHIFT | units << AT_SHIFT | size_class(length) << SIZE_SHIFT)
    }

    /// The slot of the segment.
    pub fn slot(self) -> u16 {
        (self.0 >> SEGMENT_SHIFT) as u16
    }

    /// Where in the segment, in bytes.
    pub fn at(self) -> u64 {
        (self.0 >> AT_SHIFT & ((1 << AT_BITS) - 1)) * super::format::ALIGN
    }

    /// Bytes that the record has at most.
    pub fn most(self) -> u64 {
        class_size(self.0 >> SIZE_SHIFT & ((1 << SIZE_BITS) - 1))
    }

    /// How often it was hit, up to three.
    pub fn hits(self) -> u8 {
        (self.0 & HITS) as u8
    }

    /// Whether both are of the same record, however often it was hit.
    pub fn same(self, other: Entry) -> bool {
        (self.0 ^ other.0) & !HITS == 0
    }

    fn tag(self) -> u64 {
        self.0 >> TAG_SHIFT
    }

    fn tagged(self, tag: u64) -> Entry {
        Entry(self.0 & ((1 << TAG_SHIFT) - 1) | tag << TAG_SHIFT)
    }

    /// From a checkpoint; `None` for a free place.
    pub fn from_bits(bits: u64) -> Option<Entry> {
        (bits != 0).then_some(Entry(bits))
    }

    /// The same record after its segment got another slot.
    pub fn in_slot(self, slot: u16) -> Entry {
        Entry(self.0 & !(((1 << SEGMENT_BITS) - 1) << SEGMENT_SHIFT) | u64::from(slot) << SEGMENT_SHIFT)
    }
}

/// The smallest class that holds `length` bytes: each is a quarter of a doubling larger than the one before.
fn size_class(length: u64) -> u64 {
    let last = (1 << SIZE_BITS) - 1;
    let doublings = u64::from(length.div_ceil(super::format::ALIGN).max(1).ilog2());
    (4 * doublings..last)
        .find(|class| class_size(*class) >= length)
        .unwrap_or(last)
}

fn class_size(class: u64) -> u64 {
    const UNIT: u64 = super::format::ALIGN;
    // 64 times the quarter powers of two, rounded up to whole units.
    let quarter = [1024, 1218, 1449, 1723][(class % 4) as usize];
    ((UNIT << (class / 4)) * quarter / 1024).next_multiple_of(UNIT)
}

/// Where the entry of a name may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    bucket: usize,
    other: usize,
    tag: u64,
}

#[repr(align(64))]
#[derive(Default)]
struct Bucket([AtomicU64; SLOTS]);

/// Where each record is.
pub struct Index {
    buckets: Box<[Bucket]>,
    locks: Box<[Mutex<()>]>,
    entries: AtomicU64,
    /// While recovery goes on: what must not come back, by pair of buckets and tag.
    gone: Mutex<HashSet<u64>>,
    any_gone: AtomicBool,
    /// While recovery goes on: a bit for whatever was entered or removed, several sharing one.
    touched: Box<[AtomicU64]>,
    recovering: AtomicBool,
    /// Entries that had to make room for others because both buckets were full.
    pub displaced: Count,
}

impl Index {
    /// An index for `entries` entries.
    pub fn new(entries: u64) -> Index {
        let buckets = (entries * 100 / LOAD).div_ceil(SLOTS as u64).max(2);
        Index {
            buckets: (0..buckets).map(|_| Bucket::default()).collect(),
            locks: (0..LOCKS).map(|_| Mutex::new(())).collect(),
            entries: AtomicU64::new(0),
            gone: Mutex::default(),
            any_gone: AtomicBool::new(false),
            touched: (0..buckets.div_ceil(8)).map(|_| AtomicU64::new(0)).collect(),
            recovering: AtomicBool::new(false),
            displaced: Count::default(),
        }
    }

    /// Bytes that it occupies.
    pub fn bytes(&self) -> u64 {
        (self.buckets.len() * size_of::<Bucket>() + self.touched.len() * 8) as u64
    }

    /// How many buckets there are.
    pub fn buckets(&self) -> u64 {
        self.buckets.len() as u64
    }

    /// How many entries there are.
    pub fn len(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }

    /// Where the entry of a name may be.
    pub fn place(&self, name: u128, part: u32) -> Place {
        let spread = mix((name >> 64) as u64 ^ mix(name as u64 ^ u64::from(part) << 32));
        self.pair(self.share(spread), spread & ((1 << TAG_BITS) - 1))
    }

    /// The bucket that is as far into all of them as `spread` is into its range.
    fn share(&self, spread: u64) -> usize {
        ((u128::from(spread) * self.buckets.len() as u128) >> 64) as usize
    }

    /// The place of an entry of this tag in this bucket: the other bucket mirrors the first about a point that the tag names.
    fn pair(&self, bucket: usize, tag: u64) -> Place {
        let point = self.share(mix(tag));
        let other = match point >= bucket {
            true => point - bucket,
            false => point + self.buckets.len() - bucket,
        };
        Place { bucket, other, tag }
    }

    fn slots(&self, place: Place) -> impl Iterator<Item = &AtomicU64> {
        let other = match place.other == place.bucket {
            true => &[][..],
            false => &self.buckets[place.other].0[..],
        };
        self.buckets[place.bucket].0.iter().chain(other)
    }

    /// Has the processor fetch the buckets of many places at once, rather than one after the other when each is needed.
    pub fn fetch(&self, places: &[Place]) {
        let words = places.iter().map(|place| {
            let [first, other] = [place.bucket, place.other].map(|it| self.buckets[it].0[0].load(Ordering::Relaxed));
            first ^ other ^ self.touched[self.touched_bit(*place).0].load(Ordering::Relaxed)
        });
        std::hint::black_box(words.fold(0, |all, word| all ^ word));
    }

    fn matching(&self, place: Place) -> impl Iterator<Item = (&AtomicU64, Entry)> {
        self.slots(place).filter_map(move |slot| {
            let entry = Entry::from_bits(slot.load(Ordering::Acquire))?;
            (entry.tag() == place.tag).then_some((slot, entry))
        })
    }

    fn turn(&self, place: Place) -> MutexGuard<'_, ()> {
        self.locks[place.tag as usize % LOCKS].lock()
    }

    /// The entry at a place.
    pub fn find(&self, place: Place) -> Option<Entry> {
        self.matching(place).next().map(|(_, entry)| entry)
    }

    /// Notes a hit of the entry at a place.
    pub fn hit(&self, place: Place) {
        if let Some((slot, entry)) = self.matching(place).next()
            && entry.0 & HITS < HITS
        {
            // If it has just changed, so be it.
            let _ = slot.compare_exchange(entry.0, entry.0 + 1, Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// Takes `slot`, which holds `old`, for nothing. Hits may be noted meanwhile.
    fn clear(&self, slot: &AtomicU64, old: Entry) -> bool {
        let cleared = slot.fetch_update(Ordering::AcqRel, Ordering::Acquire, |bits| {
            Entry(bits).same(old).then_some(0)
        });
        if cleared.is_ok() {
            self.entries.fetch_sub(1, Ordering::Relaxed);
        }
        cleared.is_ok()
    }

    /// Puts `entry` at a place, instead of what was there.
    pub fn insert(&self, place: Place, entry: Entry) {
        let _turn = self.turn(place);
        self.touch(place);
        let entry = entry.tagged(place.tag);
        let mut placed = false;
        for (slot, old) in self.matching(place) {
            match placed {
                true => _ = self.clear(slot, old),
                false => placed = Index::exchange(slot, old, entry),
            }
        }
        if !placed && !self.claim(place, entry) {
            self.displace(place, entry);
        }
    }

    /// Puts `new` into `slot`, which holds `old`. Hits may be noted meanwhile.
    fn exchange(slot: &AtomicU64, old: Entry, new: Entry) -> bool {
        let exchanged = slot.fetch_update(Ordering::AcqRel, Ordering::Acquire, |bits| {
            Entry(bits).same(old).then_some(new.0)
        });
        exchanged.is_ok()
    }

    /// Puts `entry` at a place if nothing is there, and nothing was that must not come back. For recovery.
    pub fn insert_if_absent(&self, place: Place, entry: Entry) -> bool {
        let _turn = self.turn(place);
        self.touch(place);
        self.may_come_back(place) && self.claim(place, entry.tagged(place.tag))
    }

    /// The same for an entry of a checkpoint, which stood in this bucket and had room there.
    pub fn restore(&self, bucket: u64, entry: Entry) -> bool {
        let bucket = bucket as usize;
        if bucket >= self.buckets.len() {
            return false;
        }
        let place = self.pair(bucket, entry.tag());
        let _turn = self.turn(place);
        // What nobody has touched is in neither bucket, and the other one need not be looked at.
        let free = !self.was_touched(place) || self.may_come_back(place);
        free && (self.claim_in(bucket, entry) || self.claim(place, entry))
    }

    fn may_come_back(&self, place: Place) -> bool {
        self.find(place).is_none() && !self.is_gone(place)
    }

    /// Takes a free place, in the emptier bucket.
    fn claim(&self, place: Place, entry: Entry) -> bool {
        let free = |bucket: usize| {
            let slots = self.buckets[bucket].0.iter();
            slots.filter(|slot| slot.load(Ordering::Relaxed) == 0).count()
        };
        let (first, second) = match free(place.bucket) >= free(place.other) {
            true => (place.bucket, place.other),
            false => (place.other, place.bucket),
        };
        self.claim_in(first, entry) || self.claim_in(second, entry)
    }

    fn claim_in(&self, bucket: usize, entry: Entry) -> bool {
        let mut slots = self.buckets[bucket].0.iter();
        let claimed = slots.any(|slot| {
            slot.load(Ordering::Relaxed) == 0
                && slot
                    .compare_exchange(0, entry.0, Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
        });
        if claimed {
            self.entries.fetch_add(1, Ordering::Relaxed);
        }
        claimed
    }

    /// Takes the place of the entry that was hit least.
    fn displace(&self, place: Place, entry: Entry) {
        while let Some((bucket, slot, bits)) = self.least_hit(place) {
            let victim = Entry::from_bits(bits);
            if let Some(victim) = victim {
                // Before it goes: recovery must not find the place free and fill it with something older.
                self.must_not_come_back(self.pair(bucket, victim.tag()));
            }
            if slot
                .compare_exchange(bits, entry.0, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
            {
                match victim {
                    Some(_) => self.displaced.up(),
                    None => _ = self.entries.fetch_add(1, Ordering::Relaxed),
                }
                return;
            }
        }
    }

    fn least_hit(&self, place: Place) -> Option<(usize, &AtomicU64, u64)> {
        let slots = [place.bucket, place.other].into_iter().flat_map(|bucket| {
            let slots = self.buckets[bucket].0.iter();
            slots.map(move |slot| (bucket, slot, slot.load(Ordering::Acquire)))
        });
        slots.min_by_key(|(_, _, bits)| bits & HITS)
    }

    /// Takes out what is at a place; says whether there was anything.
    pub fn remove(&self, place: Place) -> bool {
        let _turn = self.turn(place);
        self.must_not_come_back(place);
        let removed = self.matching(place).filter(|(slot, old)| self.clear(slot, *old));
        removed.count() > 0
    }

    /// Takes out this very entry, which [`Index::find`] gave.
    pub fn remove_entry(&self, place: Place, entry: Entry) -> bool {
        let _turn = self.turn(place);
        let mut matching = self.matching(place).filter(|(_, found)| found.same(entry));
        let removed = matching.next().is_some_and(|(slot, old)| self.clear(slot, old));
        if removed {
            self.must_not_come_back(place);
        }
        removed
    }

    /// Lets the entry at a place say that its record has moved, if it still says `from`.
    pub fn relocate(&self, place: Place, from: Entry, to: Entry) -> bool {
        let _turn = self.turn(place);
        let to = to.tagged(place.tag);
        let mut matching = self.matching(place).filter(|(_, found)| found.same(from));
        matching.next().is_some_and(|(slot, _)| Index::exchange(slot, from, to))
    }

    // Recovery.

    /// From now on what is removed is remembered.
    pub fn recovery_begins(&self) {
        self.recovering.store(true, Ordering::SeqCst);
    }

    /// What was removed need not be remembered any more.
    pub fn recovery_ends(&self) {
        self.recovering.store(false, Ordering::SeqCst);
        *self.gone.lock() = HashSet::new();
        self.any_gone.store(false, Ordering::SeqCst);
    }

    /// What is at this place, and is not known yet, is not to be recovered.
    pub fn must_not_come_back(&self, place: Place) {
        self.touch(place);
        if self.recovering.load(Ordering::SeqCst) {
            self.gone.lock().insert(Index::gone_key(place));
            self.any_gone.store(true, Ordering::SeqCst);
        }
    }

    fn touch(&self, place: Place) {
        if self.recovering.load(Ordering::SeqCst) {
            let (word, bit) = self.touched_bit(place);
            self.touched[word].fetch_or(bit, Ordering::SeqCst);
        }
    }

    fn was_touched(&self, place: Place) -> bool {
        let (word, bit) = self.touched_bit(place);
        self.touched[word].load(Ordering::SeqCst) & bit != 0
    }

    /// Eight bits for a bucket, which a pair of buckets and the tag choose from.
    fn touched_bit(&self, place: Place) -> (usize, u64) {
        let first = place.bucket.min(place.other);
        (first / 8, 1 << (first % 8 * 8 + place.tag as usize % 8))
    }

    fn is_gone(&self, place: Place) -> bool {
        self.any_gone.load(Ordering::SeqCst) && self.gone.lock().contains(&Index::gone_key(place))
    }

    fn gone_key(place: Place) -> u64 {
        (place.bucket.min(place.other) as u64) << TAG_BITS | place.tag
    }

    /// Takes out all entries for which `is_to_go` says so.
    pub fn sweep(&self, is_to_go: impl Fn(Entry) -> bool) {
        for slot in self.buckets.iter().flat_map(|bucket| &bucket.0) {
            if let Some(entry) = Entry::from_bits(slot.load(Ordering::Acquire))
                && is_to_go(entry)
            {
                self.clear(slot, entry);
            }
        }
    }

    /// What stands in the buckets from `from` on, as many as `words` holds.
    pub fn copy(&self, from: u64, words: &mut [u64]) {
        let slots = self.buckets[from as usize..].iter().flat_map(|bucket| &bucket.0);
        for (word, slot) in words.iter_mut().zip(slots) {
            *word = slot.load(Ordering::Acquire);
        }
    }
}

/// Entries of a bucket, for checkpoints.
pub const BUCKET_SLOTS: usize = SLOTS;

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: u64) -> u128 {
        u128::from(mix(number)) << 64 | u128::from(mix(!number))
    }

    #[test]
    fn an_entry_says_what_it_was_told() {
        for (slot, at, length) in [
            (0, 64, 64),
            (1, 128, 65),
            (65_535, MAX_SEGMENT - 64, 3_000_000),
            (7, 6400, 16_600),
        ] {
            let entry = Entry::new(slot, at, length).tagged((1 << TAG_BITS) - 1);
            assert_eq!((entry.slot(), entry.at(), entry.hits()), (slot, at, 0));
            assert!(
                entry.most() >= length && entry.most() <= (length * 5 / 4).max(length + 128),
                "{length}"
            );
            assert_eq!((entry.in_slot(3).slot(), entry.in_slot(3).at()), (3, at));
        }
        for length in 1..100_000 {
            let class = size_class(length);
            let smaller = (0..class).map(class_size).filter(|size| *size >= length).min();
            assert!(class_size(class) >= length && smaller.is_none_or(|size| size == class_size(class)));
        }
        assert!(class_size((1 << SIZE_BITS) - 1) >= super::super::format::MAX_RECORD as u64);
    }

    #[test]
    fn the_other_bucket_of_the_other_is_the_first() {
        for buckets in [1, 10, 999, 4096] {
            let index = Index::new(buckets * 6);
            for number in 0..500 {
                let place = index.place(name(number), 0);
                let mirrored = index.pair(place.other, place.tag);
                assert_eq!((mirrored.bucket, mirrored.other), (place.other, place.bucket));
            }
        }
    }

    #[test]
    fn what_is_inserted_is_found_until_it_is_removed() {
        let index = Index::new(10_000);
        let entry = |number| Entry::new((number % 60_000) as u16, 64 + number * 64, 1000 + number);
        for number in 0..10_000 {
            index.insert(index.place(name(number), 1), entry(number));
        }
        let found = |number| index.find(index.place(name(number), 1));
        let right = (0..10_000).filter(|number| found(*number).is_some_and(|it| it.at() == 64 + number * 64));
        let right = right.count() as u64;
        assert!(right >= 9_990, "{right}, displaced {}", index.displaced.get());
        assert!(index.len() >= right);
        let other = (0..10_000).filter(|number| index.find(index.place(name(*number), 2)).is_some());
        assert!(other.count() < 10, "other names are not found");
        for number in 0..10_000 {
            index.remove(index.place(name(number), 1));
        }
        assert_eq!(index.len(), 0);
    }

    #[test]
    fn an_entry_moves_only_from_where_it_was() {
        let index = Index::new(100);
        let place = index.place(name(1), 0);
        let [first, second, third] = [1, 2, 3].map(|slot| Entry::new(slot, 640, 100));
        index.insert(place, first);
        index.hit(place);
        let found = index.find(place).unwrap();
        assert_eq!((found.slot(), found.hits()), (1, 1));
        assert!(index.relocate(place, found, second));
        assert!(!index.relocate(place, found, third));
        assert!(!index.remove_entry(place, found));
        let moved = index.find(place).unwrap();
        assert_eq!((moved.slot(), moved.hits()), (2, 0));
        for _ in 0..9 {
            index.hit(place);
        }
        assert_eq!(index.find(place).unwrap().hits(), 3);
        assert!(index.remove_entry(place, moved) && index.len() == 0);
    }

    #[test]
    fn what_was_removed_while_recovering_does_not_come_back() {
        let index = Index::new(100);
        let places = [1, 2, 3].map(|number| index.place(name(number), 0));
        let entry = Entry::new(1, 640, 100);
        index.recovery_begins();
        index.insert(places[0], entry);
        index.remove(places[1]);
        assert!(
            !index.insert_if_absent(places[0], Entry::new(9, 64, 64)),
            "a live write wins"
        );
        assert!(!index.insert_if_absent(places[1], entry), "what was removed");
        assert!(index.insert_if_absent(places[2], entry));
        index.recovery_ends();
        assert!(index.insert_if_absent(places[1], entry));
    }

    #[test]
    fn what_a_checkpoint_had_is_restored_where_it_was() {
        let count = 50_000;
        let (index, restored) = (Index::new(count), Index::new(count));
        for number in 0..count {
            index.insert(index.place(name(number), 0), Entry::new(1, 64 + number * 64, 100));
        }
        restored.recovery_begins();
        let later = restored.place(name(7), 0);
        restored.insert(later, Entry::new(2, 64, 100));
        restored.remove(restored.place(name(8), 0));
        let mut words = vec![0; index.buckets() as usize * SLOTS];
        index.copy(0, &mut words);
        for (at, bits) in words.into_iter().enumerate() {
            if let Some(entry) = Entry::from_bits(bits) {
                restored.restore((at / SLOTS) as u64, entry);
            }
        }
        assert_eq!(restored.len(), index.len() - 1);
        assert_eq!(restored.find(later).map(Entry::slot), Some(2));
        assert_eq!(restored.find(restored.place(name(8), 0)), None);
        let same = (9..count).filter(|number| {
            let place = index.place(name(*number), 0);
            index.find(place) == restored.find(place)
        });
        assert!(same.count() as u64 >= count - 20);
    }

    #[test]
    fn a_full_index_gives_up_what_was_not_hit() {
        let index = Index::new(1000);
        for number in 0..1000 {
            let place = index.place(name(number), 0);
            index.insert(place, Entry::new(1, 640, 100));
            index.hit(place);
        }
        for number in 1000..20_000 {
            index.insert(index.place(name(number), 0), Entry::new(2, 640, 100));
        }
        assert!(index.displaced.get() > 10_000 && index.len() <= index.buckets() * SLOTS as u64);
        let kept = (0..1000).filter(|number| {
            let entry = index.find(index.place(name(*number), 0));
            entry.is_some_and(|entry| entry.slot() == 1)
        });
        assert!(kept.count() > 900);
    }

    #[test]
    fn ten_million_would_take_less_than_eleven_bytes_each() {
        let index = Index::new(100_000);
        assert!(index.bytes() * 10 <= 100_000 * 110, "{}", index.bytes());
    }

    #[test]
    fn threads_do_not_lose_entries() {
        let index = Index::new(40_000);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let index = &index;
                scope.spawn(move || {
                    for number in thread * 10_000..(thread + 1) * 10_000 {
                        let place = index.place(name(number), 0);
                        index.insert(place, Entry::new(1, 640, 100));
                        index.hit(place);
                        if number % 2 == 0 {
                            index.remove(place);
                        }
                    }
                });
            }
        });
        let there = (0..40_000).filter(|number| index.find(index.place(name(*number), 0)).is_some());
        let there = there.count() as u64;
        assert!(
            (19_900..20_100).contains(&there) && index.len() <= there,
            "{there} {}",
            index.len()
        );
    }
}
