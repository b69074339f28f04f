//! What the cache does with the two tiers, request by request: `cache/below` and `pipeline`, but for HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use verge::clock::Now;
use verge::device::mix;
use verge::store::ssd::{ByHand, Found, Kind, Part, Record, Refused, Settings, Ssd, Stats, Wanted};
use verge::store::tiered::{Admission, Rule};
use verge::store::{CHUNK, Ram, Weigh};

use super::sparse::Sparse;

/// Bodies up to so many bytes stand in the record of their head.
const INSIDE: u64 = 32 * 1024;
/// Bytes of a head in RAM, and of its description in a record.
const HEAD: u64 = 600;
/// The SSD tier is told of uses so often, in seconds, and of the chunks of bodies that have no more than so many.
const TOLD_EVERY: u64 = 64;
const CHUNKS_TOLD: u64 = 64;
/// The writer takes its turn after so many requests: 50 ms at 1,000 a second.
const TURN: u64 = 50;

static ZEROS: [u8; CHUNK] = [0; CHUNK];

fn zeros(length: u64) -> Bytes {
    Bytes::from_static(&ZEROS[..length as usize])
}

/// A version in RAM, with its body if that is at most one chunk.
#[derive(Clone)]
struct Version(Arc<Inner>);

struct Inner {
    weight: u64,
    used: AtomicU64,
    below: AtomicBool,
}

impl Weigh for Version {
    fn weight(&self) -> u64 {
        self.0.weight
    }
}

/// Objects and bytes.
#[derive(Default)]
pub struct Counts {
    pub requests: u64,
    pub bytes: u64,
    /// Answered by RAM alone.
    pub ram: [u64; 2],
    /// Answered by either tier.
    pub both: [u64; 2],
}

pub struct Tiers {
    ram: Ram<Version>,
    /// `None`: RAM alone.
    ssd: Option<(Ssd, ByHand)>,
    admission: Admission,
    now: Now,
    pub counts: Counts,
}

/// What of an object each tier has.
struct Share {
    /// Bytes that RAM answers, and that either tier does.
    ram: u64,
    both: u64,
}

fn id(object: u64) -> u128 {
    u128::from(mix(object)) << 64 | u128::from(mix(!object))
}

fn body_of(object: u64) -> u128 {
    !id(object)
}

fn key(object: u64) -> Bytes {
    Bytes::from(format!("cdn.example.com/assets/{object:020}.bin"))
}

impl Tiers {
    /// Of `ram` bytes, of which `chunk_share` is for chunks, and `ssd` bytes, or none; `kept` is the share of a segment that what
    /// was hit may take up.
    pub fn new((ram, chunk_share): (u64, f64), (ssd, kept): (u64, f64), rule: Rule) -> Tiers {
        let wall = SystemTime::UNIX_EPOCH;
        let open = || {
            let settings = Settings {
                reinserted: kept,
                ..Settings::new(ssd)
            };
            let (ssd, mut by_hand) = Ssd::open_by_hand(Arc::<Sparse>::default(), settings, wall, [7; 40]).unwrap();
            while by_hand.recover() {}
            (ssd, by_hand)
        };
        Tiers {
            ram: Ram::new(ram, chunk_share),
            ssd: (ssd > 0).then(open),
            admission: Admission::new(rule, None).sized(ssd),
            now: Now {
                monotonic: Duration::ZERO,
                wall,
            },
            counts: Counts::default(),
        }
    }

    pub fn stats(&self) -> Option<Stats> {
        self.ssd.as_ref().map(|(ssd, _)| ssd.stats())
    }

    fn has(&self, name: u128, part: u32) -> bool {
        self.ssd.as_ref().is_some_and(|(ssd, _)| ssd.has(name, part))
    }

    fn hit(&self, name: u128, part: u32) {
        if let Some((ssd, _)) = &self.ssd {
            ssd.hit(name, part);
        }
    }

    fn write(&mut self) {
        if let Some((_, by_hand)) = &mut self.ssd {
            by_hand.write(self.now, false);
        }
    }

    pub fn ask(&mut self, object: u64, size: u64, second: u64) {
        self.now.monotonic = Duration::from_secs(second);
        let share = match size <= CHUNK as u64 {
            true => self.ask_small(object, size),
            false => self.ask_large(object, size),
        };
        let counts = &mut self.counts;
        counts.requests += 1;
        counts.bytes += size;
        for (hits, bytes) in [(&mut counts.ram, share.ram), (&mut counts.both, share.both)] {
            hits[0] += u64::from(bytes == size);
            hits[1] += bytes;
        }
        if counts.requests.is_multiple_of(TURN) {
            self.write();
        }
    }

    fn admits(&self, object: u64) -> bool {
        let has_room = self.ssd.as_ref().is_some_and(|(ssd, _)| ssd.has_room());
        self.admission.admits(id(object), has_room, self.now.monotonic)
    }

    fn ask_small(&mut self, object: u64, size: u64) -> Share {
        if let Some(version) = self.ram.get(id(object)) {
            self.note_use(&version, object, size);
            return Share { ram: size, both: size };
        }
        let here = self.read(object, id(object), 0) && (size <= INSIDE || self.read(object, body_of(object), 0));
        let version = self.version(HEAD + size);
        if here {
            self.brought(object, &version);
        } else {
            if self.admits(object) {
                version.0.below.store(true, Ordering::Relaxed);
                self.put_small(object, size);
            }
            self.ram.insert(id(object), version);
        }
        Share {
            ram: 0,
            both: if here { size } else { 0 },
        }
    }

    /// A version that was brought up.
    fn brought(&self, object: u64, version: &Version) {
        version.0.below.store(true, Ordering::Relaxed);
        version.0.used.store(self.now.monotonic.as_secs(), Ordering::Relaxed);
        if self.ram.keeps_brought(id(object), version.weight()) {
            self.ram.insert(id(object), version.clone());
        }
    }

    fn ask_large(&mut self, object: u64, size: u64) -> Share {
        let chunks = size.div_ceil(CHUNK as u64) as u32;
        let (version, head_in_ram) = match self.ram.get(id(object)) {
            Some(version) => (version, true),
            None => {
                let known = self.read(object, id(object), 0);
                let version = self.version(HEAD);
                if known {
                    self.brought(object, &version);
                    (version, false)
                } else {
                    let below = self.admits(object);
                    version.0.below.store(below, Ordering::Relaxed);
                    self.ram.insert(id(object), version);
                    if below {
                        self.put(object, Kind::Head, id(object), 0, HEAD, 0);
                    }
                    self.fetch(object, size, 0..chunks, below);
                    return Share { ram: 0, both: 0 };
                }
            }
        };
        let share = self.chunks(object, size, head_in_ram, version.0.below.load(Ordering::Relaxed));
        self.note_use(&version, object, size);
        share
    }

    /// The chunks of a body whose head is known. What is missing is fetched as one stretch.
    fn chunks(&mut self, object: u64, size: u64, head_in_ram: bool, below: bool) -> Share {
        let chunks = size.div_ceil(CHUNK as u64) as u32;
        let (mut ram, mut missing) = (0, None);
        for index in 0..chunks {
            if self.ram.chunk(body_of(object), index).is_some() {
                ram += length_of(size, index);
            } else if self.has(body_of(object), index) && self.read(object, body_of(object), index) {
                if self
                    .ram
                    .keeps_brought_chunk(body_of(object), index, length_of(size, index))
                {
                    self.insert_chunk(object, size, index);
                }
            } else {
                let (first, _) = missing.unwrap_or((index, index));
                missing = Some((first, index));
            }
        }
        let fetched = missing.map_or(0..0, |(first, last)| first..last + 1);
        let bytes: u64 = fetched.clone().map(|index| length_of(size, index)).sum();
        self.fetch(object, size, fetched, below);
        Share {
            ram: if head_in_ram { ram.min(size - bytes) } else { 0 },
            both: size - bytes,
        }
    }

    fn fetch(&mut self, object: u64, size: u64, chunks: std::ops::Range<u32>, below: bool) {
        for index in chunks {
            self.insert_chunk(object, size, index);
            if below {
                self.put(object, Kind::Chunk, body_of(object), index, 0, length_of(size, index));
            }
        }
    }

    fn insert_chunk(&self, object: u64, size: u64, index: u32) {
        if self.ram.can_hold(size) {
            self.ram
                .insert_chunk(body_of(object), index, zeros(length_of(size, index)));
        }
    }

    fn version(&self, weight: u64) -> Version {
        Version(Arc::new(Inner {
            weight,
            used: AtomicU64::new(0),
            below: AtomicBool::new(false),
        }))
    }

    fn note_use(&mut self, version: &Version, object: u64, size: u64) {
        let second = self.now.monotonic.as_secs();
        let used = version.0.used.swap(second, Ordering::Relaxed);
        if used / TOLD_EVERY == second / TOLD_EVERY {
            return;
        }
        if version.0.below.load(Ordering::Relaxed) {
            self.hit(id(object), 0);
            let chunks = size.div_ceil(CHUNK as u64);
            if size > INSIDE && chunks <= CHUNKS_TOLD {
                (0..chunks as u32).for_each(|index| self.hit(body_of(object), index));
            }
        } else if self.admission.admits_on_a_hit(self.now.monotonic) {
            self.sink(version, object, size);
        }
    }

    /// Gives to the SSD tier what RAM has of a version.
    fn sink(&mut self, version: &Version, object: u64, size: u64) {
        version.0.below.store(true, Ordering::Relaxed);
        if size <= CHUNK as u64 {
            return self.put_small(object, size);
        }
        for index in 0..size.div_ceil(CHUNK as u64) as u32 {
            if self.ram.chunk(body_of(object), index).is_some() {
                self.put(object, Kind::Chunk, body_of(object), index, 0, length_of(size, index));
            }
        }
        self.put(object, Kind::Head, id(object), 0, HEAD, 0);
    }

    fn put_small(&mut self, object: u64, size: u64) {
        if size > INSIDE {
            self.put(object, Kind::Chunk, body_of(object), 0, 0, size);
            self.put(object, Kind::Head, id(object), 0, HEAD, 0);
        } else {
            self.put(object, Kind::Head, id(object), 0, HEAD, size);
        }
    }

    fn put(&mut self, object: u64, kind: Kind, name: u128, part: u32, meta: u64, body: u64) {
        let record = Record {
            kind,
            name,
            part,
            key: key(object),
            meta: zeros(meta),
            body: zeros(body),
            epoch: 1,
            generation: object,
            began: 0,
            expires: u64::MAX,
        };
        let Some((ssd, by_hand)) = &mut self.ssd else { return };
        if let Err(Refused::Busy) = ssd.put(record.clone()) {
            by_hand.write(self.now, false);
            ssd.put(record).unwrap();
        }
    }

    fn read(&self, object: u64, name: u128, part: u32) -> bool {
        let wanted = Wanted {
            name,
            part,
            key: key(object),
            body: Part::Nothing,
        };
        let read = |(ssd, _): &(Ssd, ByHand)| matches!(ssd.try_read(&wanted), Found::Record(_));
        self.ssd.as_ref().is_some_and(read)
    }
}

fn length_of(size: u64, index: u32) -> u64 {
    (size - u64::from(index) * CHUNK as u64).min(CHUNK as u64)
}
