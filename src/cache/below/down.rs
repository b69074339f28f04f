//! What goes down: versions as they are stored, and their chunks as they come.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::super::Cache;
use super::super::object::{Body, Entry, Head, VaryIndex, Version};
use super::super::record::{self, Place};
use crate::store::CHUNK;
use crate::store::ssd::{Kind, Record, milliseconds};
use crate::store::tiered::Tier;

/// Bodies up to so many bytes stand in the record of their head, and are written again with it.
const INSIDE: usize = 32 * 1024;

/// What cannot be validated is of no use so long after it has become stale, whatever a site allows.
const USE_OF_STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// Of how many chunks uses are told at a time.
const CHUNKS_TOLD: u64 = 64;

/// Gives the chunks of one body to the SSD tier as they come.
pub struct Keeper {
    tier: Arc<Tier>,
    key: Bytes,
    site: Arc<str>,
    body: u128,
    generation: u64,
}

impl Keeper {
    fn new(tier: &Arc<Tier>, head: &Head) -> Keeper {
        Keeper {
            tier: Arc::clone(tier),
            key: head.key.parts().to_bytes(),
            site: Arc::clone(&head.site),
            body: head.body,
            generation: head.generation,
        }
    }

    /// Gives it the chunk of index `index`.
    pub(in super::super) fn keep(&self, index: u32, chunk: Bytes) {
        let record = Record {
            kind: Kind::Chunk,
            name: self.body,
            part: index,
            key: self.key.clone(),
            meta: Bytes::new(),
            body: chunk,
            // Purges name heads.
            epoch: u64::MAX,
            generation: self.generation,
            began: 0,
            expires: u64::MAX,
        };
        self.tier.put(record, &self.site);
    }
}

impl Cache {
    /// If what is fetched for `id` is to be kept on the SSD tier as well: what keeps its chunks there.
    pub(in super::super) fn keeper(&self, head: &Head, id: u128, now: Duration) -> Option<Keeper> {
        let below = self.below.as_ref()?;
        let bytes = head.content_length.unwrap_or(0);
        let admitted = below.tier.admits(id, &head.site, bytes, now);
        admitted.then(|| Keeper::new(&below.tier, head))
    }

    /// Whether a body of so many bytes, for which RAM has no room, can go to the SSD tier.
    pub(in super::super) fn can_spill(&self, length: u64) -> bool {
        let below = self.below.as_ref();
        below.is_some_and(|below| length <= below.tier.largest_body())
    }

    /// The keeper of what is stored already, if it is on the SSD tier.
    pub(in super::super) fn keeper_of(&self, version: &Version) -> Option<Keeper> {
        let below = self.below.as_ref().filter(|_| version.is_below())?;
        Some(Keeper::new(&below.tier, &version.head))
    }

    /// Stores a chunk of the body called `name`.
    pub(in super::super) fn store_chunk(&self, keeper: Option<&Keeper>, name: u128, index: u32, chunk: Bytes) {
        if let Some(keeper) = keeper {
            keeper.keep(index, chunk.clone());
        }
        self.ram.insert_chunk(name, index, chunk);
    }

    /// Gives the version that is stored under `id` to the SSD tier, but for its chunks, if it is one that goes there.
    pub(in super::super) fn put_version(&self, version: &Version, id: u128) {
        let Some(below) = self.below.as_ref() else { return };
        let tier = &below.tier;
        if !version.is_below() {
            // What is there is older.
            if tier.may_have(id) {
                tier.remove(id, 0);
            }
            return;
        }
        let head = &version.head;
        let (place, body) = match &version.body {
            Body::Whole(bytes) if bytes.len() <= INSIDE => (Place::Inside, bytes.clone()),
            Body::Whole(bytes) => {
                if !tier.has(head.body, 0) {
                    Keeper::new(tier, head).keep(0, bytes.clone());
                }
                (Place::Chunks(bytes.len() as u64), Bytes::new())
            }
            Body::Chunked { length, .. } => (Place::Chunks(*length), Bytes::new()),
            Body::Filling(_) => return,
        };
        let record = Record {
            kind: Kind::Head,
            name: id,
            part: 0,
            key: head.key.parts().to_bytes(),
            meta: record::write_head(head, place),
            body,
            epoch: head.epoch,
            generation: head.generation,
            began: milliseconds(head.freshness.response_date),
            expires: milliseconds(of_use_until(head)),
        };
        tier.put(record, &head.site);
        if head.vary.is_some()
            && let Some(Entry::Index(index)) = self.ram.get(head.key.hash)
        {
            put_index(tier, head, &index);
        }
    }

    /// Notes that a version was used, for all who choose what goes.
    pub fn note_use(&self, version: &Version, id: u128, now: Duration) {
        let first_for_a_while = version.touch(now.as_secs());
        if let Some(below) = self.below.as_ref().filter(|_| first_for_a_while) {
            match version.is_below() {
                true => tell_use(&below.tier, version, id),
                false if admits_now(&below.tier, version, now) => self.sink(&below.tier, version, id),
                false => {}
            }
        }
    }

    /// Gives to the SSD tier what RAM has of a version.
    fn sink(&self, tier: &Arc<Tier>, version: &Version, id: u128) {
        if version.goes_below() {
            return;
        }
        if let Body::Chunked { name, length } = version.body {
            let keeper = Keeper::new(tier, &version.head);
            for index in 0..length.div_ceil(CHUNK as u64) as u32 {
                if let Some(chunk) = self.ram.chunk(name, index) {
                    keeper.keep(index, chunk);
                }
            }
        }
        let _change = self.index_change.lock();
        let still = matches!(self.ram.get(id), Some(Entry::Version(stored)) if std::ptr::eq(&*stored, version));
        if still {
            self.put_version(version, id);
        }
    }
}

fn admits_now(tier: &Tier, version: &Version, now: Duration) -> bool {
    let head = &version.head;
    tier.admits_on_a_hit(&head.site, head.content_length.unwrap_or(0), now)
}

fn tell_use(tier: &Tier, version: &Version, id: u128) {
    tier.hit(id, 0);
    let length = version.head.content_length.unwrap_or(0);
    let chunks = length.div_ceil(CHUNK as u64);
    if length > INSIDE as u64 && chunks <= CHUNKS_TOLD {
        (0..chunks as u32).for_each(|index| tier.hit(version.head.body, index));
    }
}

/// Gives the variants of a key to the SSD tier, unless it has them.
fn put_index(tier: &Tier, head: &Head, index: &VaryIndex) {
    if index.below.swap(true, Ordering::Relaxed) {
        return;
    }
    let record = Record {
        kind: Kind::Index,
        name: head.key.hash,
        part: 0,
        key: head.key.parts().to_bytes(),
        meta: record::write_index(index),
        body: Bytes::new(),
        epoch: u64::MAX,
        generation: 0,
        began: 0,
        expires: u64::MAX,
    };
    tier.put(record, &head.site);
}

/// Until when it may answer, or be asked about.
fn of_use_until(head: &Head) -> SystemTime {
    const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    let freshness = &head.freshness;
    let fresh = freshness.lifetime.saturating_sub(freshness.initial_age);
    let stale = [freshness.stale_while_revalidate, freshness.stale_if_error];
    let stale = stale.into_iter().flatten().max().unwrap_or_default();
    let use_of = match head.validators.is_empty() {
        true => fresh.saturating_add(stale.max(USE_OF_STALE)).min(FOREVER),
        false => FOREVER,
    };
    freshness.response_date + use_of
}
