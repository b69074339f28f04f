//! The fills under way, by what they fetch, and the joining of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use smallvec::SmallVec;

use super::fill::{Begun, Fill, Follower, NoJoin};
use super::object::{MAX_VARIANTS, Version};
use super::{Cache, KeyParts, Looked, Remembered};
use crate::planted::{self, Bug};
use crate::policy::fields::RequestFields;
use crate::policy::range::ByteRange;
use crate::purge::Verdict;

const SHARDS: usize = 64;

/// Parts of a key's bodies that may be under way at a time.
const MAX_PARTS: usize = 256;

/// The fills of one key: each with what its variant is, or may turn out to be, stored under.
type OfKey = SmallVec<[(u128, Arc<Fill>); 1]>;

pub(super) struct FillTable {
    shards: [Mutex<HashMap<u128, OfKey>>; SHARDS],
}

impl Default for FillTable {
    fn default() -> Self {
        FillTable {
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }
}

impl FillTable {
    fn shard(&self, key: u128) -> &Mutex<HashMap<u128, OfKey>> {
        &self.shards[(key >> 64) as usize % SHARDS]
    }

    /// Readers of all fills.
    pub(super) fn readers(&self) -> usize {
        let of_key = |of_key: &OfKey| {
            let firsts = of_key.iter().enumerate().filter(|(at, (_, fill))| {
                let earlier = of_key[..*at].iter();
                !earlier.clone().any(|(_, known)| Arc::ptr_eq(known, fill))
            });
            firsts.map(|(_, (_, fill))| fill.readers()).sum::<usize>()
        };
        let shards = self
            .shards
            .iter()
            .map(|shard| shard.lock().values().map(of_key).sum::<usize>());
        shards.sum()
    }

    /// Makes a fill, whose variant has become known, findable under `id` as well.
    pub(super) fn add_variant(&self, fill: &Arc<Fill>, id: u128) {
        if fill.id.is_none() {
            return;
        }
        let mut shard = self.shard(fill.key.hash).lock();
        let of_key = shard.entry(fill.key.hash).or_default();
        if !of_key.iter().any(|(known, _)| *known == id) {
            of_key.push((id, Arc::clone(fill)));
        }
    }

    /// Makes a fill no longer findable under `id`.
    pub(super) fn remove_id(&self, fill: &Arc<Fill>, id: u128) {
        self.retain(fill, |known, of| known != id || !Arc::ptr_eq(of, fill));
    }

    /// Takes a fill out.
    pub(super) fn remove(&self, fill: &Arc<Fill>) {
        if fill.id.is_some() {
            self.retain(fill, |_, of| !Arc::ptr_eq(of, fill));
        }
    }

    fn retain(&self, fill: &Arc<Fill>, keep: impl Fn(u128, &Arc<Fill>) -> bool) {
        let mut shard = self.shard(fill.key.hash).lock();
        if let Some(of_key) = shard.get_mut(&fill.key.hash) {
            of_key.retain(|(id, of)| keep(*id, of));
            if of_key.is_empty() {
                shard.remove(&fill.key.hash);
            }
        }
    }
}

/// How many fills of each key are under way, those that nobody can join any more, or ever could, included: each may still
/// store something.
pub(super) struct KeysUnderWay {
    shards: [Mutex<HashMap<u128, usize>>; SHARDS],
}

impl Default for KeysUnderWay {
    fn default() -> Self {
        KeysUnderWay {
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }
}

impl KeysUnderWay {
    fn shard(&self, key: u128) -> &Mutex<HashMap<u128, usize>> {
        &self.shards[(key >> 64) as usize % SHARDS]
    }

    /// Whether anything of the key is on its way.
    pub(super) fn has(&self, key: u128) -> bool {
        self.shard(key).lock().contains_key(&key)
    }

    fn add(&self, key: u128) {
        *self.shard(key).lock().entry(key).or_default() += 1;
    }

    fn remove(&self, key: u128) {
        let mut shard = self.shard(key).lock();
        if let Some(count) = shard.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                shard.remove(&key);
            }
        }
    }
}

/// A place among the fills that may be under way; dropping it frees the place.
pub struct Permit {
    counts: SmallVec<[Arc<AtomicUsize>; 2]>,
    keys: Arc<KeysUnderWay>,
    key: u128,
}

impl Permit {
    /// For something of `key` that is no fetch.
    pub(super) fn of_key(keys: &Arc<KeysUnderWay>, key: u128) -> Permit {
        keys.add(key);
        Permit {
            counts: SmallVec::new(),
            keys: Arc::clone(keys),
            key,
        }
    }

    /// One more of each count, unless one would pass its bound, and of `key`.
    fn take(counts: [(&Arc<AtomicUsize>, usize); 2], keys: &Arc<KeysUnderWay>, key: u128) -> Option<Permit> {
        let mut permit = Permit::of_key(keys, key);
        for (count, bound) in counts {
            let before = count.fetch_add(1, Ordering::Relaxed);
            permit.counts.push(Arc::clone(count));
            if before >= bound {
                return None;
            }
        }
        Some(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        for count in &self.counts {
            count.fetch_sub(1, Ordering::Relaxed);
        }
        self.keys.remove(self.key);
    }
}

/// A request that needs a response from the origin.
pub struct Wanted<'a> {
    /// Its key, and the key's hash.
    pub parts: KeyParts<'a>,
    /// The hash of `parts`.
    pub hash: u128,
    /// Its fields.
    pub fields: &'a RequestFields<'a>,
    /// The site that it is for.
    pub site: &'a Arc<str>,
    /// Whether it may share another client's fetch.
    pub may_join: bool,
    /// What it found stored, which did not do.
    pub seen: Option<&'a Arc<Version>>,
    /// Whether what it found may be served if the origin fails.
    pub stale_will_do: bool,
    /// If only a fetch will do that began after this moment in the order of all requests and fetches.
    pub begun_after: Option<u64>,
    /// Fetches under way to the origin, and how many there may be.
    pub origin: (&'a Arc<AtomicUsize>, usize),
    /// Monotonic time.
    pub now: Duration,
    /// A refresh in the background, which nobody reads.
    pub background: bool,
}

/// How a request gets its response.
pub enum Join {
    /// It has been stored meanwhile.
    Found(Looked),
    /// Another client's fetch brings it.
    Follow(Follower),
    /// This request begins the fetch: the caller runs it. In the background nobody follows.
    Lead(Arc<Fill>, Option<Follower>, Permit),
    /// A fetch failed a moment ago.
    Remembered(Remembered),
    /// In the background: somebody fetches it already.
    UnderWay,
    /// There are as many fetches, or readers of this one, as there may be.
    Full,
}

impl Cache {
    /// Joins the fill of what is wanted, or begins one.
    pub fn join(&self, wanted: &Wanted<'_>) -> Join {
        let looked = self.lookup(wanted.hash, &wanted.parts, wanted.fields);
        match self.memory.of(looked.id, wanted.now) {
            Some(Remembered::Uncacheable) => return self.lead(wanted, None, None),
            Some(Remembered::Failed(error)) => return Join::Remembered(Remembered::Failed(error)),
            Some(error) if wanted.stale_will_do => return Join::Remembered(error),
            _ => {}
        }
        if !wanted.may_join {
            return self.lead(wanted, None, None);
        }
        let mut shard = self.fills.shard(wanted.hash).lock();
        // Looked up again under the lock: a fill that has ended since was stored before it left the table.
        let looked = self.lookup(wanted.hash, &wanted.parts, wanted.fields);
        if let Some(version) = &looked.version
            && !wanted.seen.is_some_and(|seen| Arc::ptr_eq(seen, version))
            && wanted.begun_after.is_none_or(|moment| version.head.began > moment)
        {
            return Join::Found(looked);
        }
        let of_key = shard.entry(wanted.hash).or_default();
        if let Some((_, fill)) = of_key.iter().find(|(id, _)| *id == looked.id)
            && wanted.begun_after.is_none_or(|moment| fill.began > moment)
            && self.fresh_enough(fill)
        {
            if wanted.background {
                return Join::UnderWay;
            }
            match fill.join(false, self.settings.max_readers) {
                Ok(follower) => return Join::Follow(follower),
                Err(NoJoin::Full) => return Join::Full,
                Err(NoJoin::Over) => {}
            }
        }
        of_key.retain(|(id, _)| *id != looked.id);
        if of_key.iter().filter(|(_, fill)| fill.part.is_none()).count() >= MAX_VARIANTS {
            return Join::Full;
        }
        let led = self.lead(wanted, Some(looked.id), None);
        if let Join::Lead(fill, ..) = &led {
            of_key.push((looked.id, Arc::clone(fill)));
        } else if of_key.is_empty() {
            shard.remove(&wanted.hash);
        }
        led
    }

    /// Joins the fill of this part of a body that nothing is known of, or begins one; `None` if the whole is on its way, or
    /// the origin is known not to give parts.
    pub fn join_sought(&self, wanted: &Wanted<'_>, part: ByteRange) -> Option<Join> {
        if self.memory.of(self.secret.parts_of(wanted.hash), wanted.now).is_some() {
            return None;
        }
        let looked = self.lookup(wanted.hash, &wanted.parts, wanted.fields);
        if looked.version.is_some() {
            return Some(Join::Found(looked));
        }
        let whole = self.is_under_way(wanted.hash, looked.id);
        (!whole).then(|| self.join_part(wanted, looked.id, part))
    }

    /// Whether the whole of what would be stored under `id` for the key `hash` is on its way.
    pub fn is_under_way(&self, hash: u128, id: u128) -> bool {
        let shard = self.fills.shard(hash).lock();
        shard
            .get(&hash)
            .is_some_and(|of_key| of_key.iter().any(|(known, _)| *known == id))
    }

    /// Joins the fill of what is missing of the body called `name`, or begins one.
    pub fn join_part(&self, wanted: &Wanted<'_>, name: u128, part: ByteRange) -> Join {
        let id = self.secret.part(name, part);
        let mut shard = self.fills.shard(wanted.hash).lock();
        let of_key = shard.entry(wanted.hash).or_default();
        if let Some((_, fill)) = of_key.iter().find(|(known, _)| *known == id) {
            match fill.join(false, self.settings.max_readers) {
                Ok(follower) if self.fresh_enough(fill) => return Join::Follow(follower),
                Err(NoJoin::Full) => return Join::Full,
                Ok(_) | Err(NoJoin::Over) => {}
            }
        }
        of_key.retain(|(known, _)| *known != id);
        if of_key.iter().filter(|(_, fill)| fill.part.is_some()).count() >= MAX_PARTS {
            return Join::Full;
        }
        let led = self.lead(wanted, Some(id), Some(part));
        if let Join::Lead(fill, ..) = &led {
            of_key.push((id, Arc::clone(fill)));
        } else if of_key.is_empty() {
            shard.remove(&wanted.hash);
        }
        led
    }

    /// Requests that came after a purge do not join what began before it, if the purge could name it.
    fn fresh_enough(&self, fill: &Fill) -> bool {
        planted::is(Bug::IgnoredPurge)
            || fill.with_names(|names| self.purges.verdict(names, fill.epoch)) == Verdict::Untouched
    }

    fn lead(&self, wanted: &Wanted<'_>, id: Option<u128>, part: Option<ByteRange>) -> Join {
        let counts = [(&self.under_way, self.settings.max_fills), wanted.origin];
        // Before the epoch is taken: an invalidation either finds this fill under way or came before its epoch.
        let Some(permit) = Permit::take(counts, &self.keys_under_way, wanted.hash) else {
            return Join::Full;
        };
        let mut terms = self.settings.terms;
        terms.detached = wanted.background;
        let begun = Begun {
            id,
            key: Arc::new(self.secret.stored_key(&wanted.parts)),
            site: Arc::clone(wanted.site),
            epoch: self.purges.latest(),
            began: self.next_in_sequence(),
            part,
            terms,
        };
        let fill = Arc::new(Fill::new(begun, self.ram.gauge().clone()));
        if wanted.background {
            return Join::Lead(fill, None, permit);
        }
        match fill.join(true, usize::MAX) {
            Ok(follower) => Join::Lead(fill, Some(follower), permit),
            Err(_) => Join::Full,
        }
    }
}
