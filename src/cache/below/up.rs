//! What comes up: what a look-up lacks in RAM, and the SSD tier has.

use std::sync::Arc;

use smallvec::SmallVec;

use super::super::object::{Body, Entry, Head, Version};
use super::super::record::{self, Place, Stamp};
use super::super::{Cache, KeyParts};
use super::Below;
use crate::clock::Now;
use crate::policy::fields::RequestFields;
use crate::purge::Verdict;
use crate::store::ssd::{CheckedRecord, Found, Kind, Part, Wanted};
use crate::store::{CHUNK, Weigh};

/// What was brought up for one request. RAM may keep it or not; the request has it.
#[derive(Default)]
pub struct Brought {
    entries: SmallVec<[(u128, Entry); 2]>,
    absent: SmallVec<[u128; 2]>,
    /// A head whose body is a chunk by itself, what it is stored under, and how long the chunk is.
    half: Option<(u128, Arc<Head>, u64)>,
    /// How often anything was stored when this began to be looked for.
    stores: u64,
}

impl Brought {
    /// Nothing.
    pub const fn nothing() -> Brought {
        Brought {
            entries: SmallVec::new_const(),
            absent: SmallVec::new_const(),
            half: None,
            stores: 0,
        }
    }

    /// Whether nothing was brought.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What was brought under `id`.
    pub(in super::super) fn get(&self, id: u128) -> Option<Entry> {
        let entry = self.entries.iter().find(|(known, _)| *known == id);
        entry.map(|(_, entry)| entry.clone())
    }

    fn is_settled(&self, id: u128) -> bool {
        self.absent.contains(&id) || self.entries.iter().any(|(known, _)| *known == id)
    }
}

impl Cache {
    /// Whether there is a tier below RAM.
    pub fn has_below(&self) -> bool {
        self.below.is_some()
    }

    /// The tier below RAM, for its figures.
    pub fn below(&self) -> Option<&Below> {
        self.below.as_ref()
    }

    /// Brings up what a look-up lacks, as far as it needs no device. Gives what has to be read from one, for
    /// [`Cache::bring_all`].
    pub fn bring_up(
        &self,
        hash: u128,
        parts: &KeyParts<'_>,
        fields: &RequestFields<'_>,
        brought: &mut Brought,
        now: &dyn Fn() -> Now,
    ) -> Option<Wanted> {
        let below = self.below.as_ref()?;
        while let Some(wanted) = self.wanted_from_below(hash, parts, fields, brought) {
            match below.tier.try_read(&wanted) {
                Found::Record(record) => self.take_up(&wanted, Some(record), parts, brought, now),
                Found::Absent => self.take_up(&wanted, None, parts, brought, now),
                Found::OnDevice | Found::NotYet => return Some(wanted),
            }
        }
        None
    }

    /// Brings up `wanted` and then what `next` gives, which asks [`Cache::bring_up`], however long that takes.
    pub async fn bring_all(
        &self,
        mut wanted: Option<Wanted>,
        mut brought: Brought,
        parts: &KeyParts<'_>,
        now: &(dyn Fn() -> Now + Sync),
        mut next: impl FnMut(&mut Brought) -> Option<Wanted>,
    ) -> Brought {
        let Some(below) = &self.below else { return brought };
        while let Some(one) = wanted {
            let record = Arc::clone(&below.tier).read(one.clone()).await;
            self.take_up(&one, record, parts, &mut brought, now);
            wanted = next(&mut brought);
        }
        brought
    }

    /// The next thing that is neither in RAM nor brought nor known to be absent.
    fn wanted_from_below(
        &self,
        hash: u128,
        parts: &KeyParts<'_>,
        fields: &RequestFields<'_>,
        brought: &mut Brought,
    ) -> Option<Wanted> {
        let wanted = |name| Wanted {
            name,
            part: 0,
            key: parts.to_bytes(),
            body: Part::Whole,
        };
        if let Some((_, head, _)) = &brought.half {
            return Some(wanted(head.body));
        }
        let lacks = |id: u128| !brought.is_settled(id) && self.ram.get_again(id).is_none();
        let id = match self.entry_again(hash, brought) {
            None => Some(hash).filter(|id| !brought.is_settled(*id)),
            Some(Entry::Version(_)) => None,
            Some(Entry::Index(index)) => {
                let mut ids = index.specs.iter().map(|spec| self.secret.variant(hash, spec, fields));
                ids.find(|id| lacks(*id))
            }
        }?;
        brought.stores = self.stores_of(id);
        Some(wanted(id))
    }

    /// Takes in what was read, or that there is nothing.
    fn take_up(
        &self,
        wanted: &Wanted,
        record: Option<CheckedRecord>,
        parts: &KeyParts<'_>,
        brought: &mut Brought,
        now: &dyn Fn() -> Now,
    ) {
        let Some(below) = self.below.as_ref() else { return };
        let id = brought.half.as_ref().map_or(wanted.name, |(id, ..)| *id);
        let taken = match (brought.half.take(), record) {
            (Some((_, head, length)), Some(record)) => whole(self, head, length, &record, now()),
            (None, Some(record)) => match self.read_entry(below, record, parts, now()) {
                Some(Read::Entry(entry)) => Some(entry),
                Some(Read::Half(head, length)) => {
                    brought.half = Some((id, head, length));
                    return;
                }
                None => None,
            },
            (_, None) => {
                below.tier.misses.up();
                return brought.absent.push(id);
            }
        };
        let hard =
            |entry: &Entry| matches!(entry, Entry::Version(version) if version.verdict(&self.purges) == Verdict::Hard);
        match taken.filter(|entry| !hard(entry)) {
            Some(entry) => {
                if let Entry::Version(_) = entry {
                    below.tier.hits.up();
                }
                self.promote(id, &entry, brought.stores);
                brought.entries.push((id, entry));
            }
            None => {
                below.tier.misses.up();
                below.tier.remove(id, 0);
                brought.absent.push(id);
            }
        }
    }

    /// Has RAM keep what was brought if that is worth it, unless anything was stored meanwhile that may be newer.
    fn promote(&self, id: u128, entry: &Entry, stores: u64) {
        let is_worth_it = match entry {
            // Without it no variant can be chosen.
            Entry::Index(_) => true,
            Entry::Version(_) => self.ram.keeps_brought(id, entry.weight()),
        };
        if !is_worth_it {
            return;
        }
        let _change = self.index_change.lock();
        if self.stores_of(id) == stores && self.ram.get_again(id).is_none() {
            self.ram.insert(id, entry.clone());
        }
    }

    fn read_entry(&self, below: &Below, record: CheckedRecord, parts: &KeyParts<'_>, now: Now) -> Option<Read> {
        match record.kind {
            Kind::Index => {
                let index = record::read_index(&record.meta)?;
                Some(Read::Entry(Entry::Index(Arc::new(index))))
            }
            Kind::Head => {
                let stamp = Stamp {
                    epoch: record.epoch,
                    generation: record.generation,
                    now,
                    not_before: below.not_before(),
                };
                let key = Arc::new(self.secret.stored_key(parts));
                let (head, place) = record::read_head(key, &record.meta, &stamp)?;
                let name = head.body;
                let body = match place {
                    Place::Inside => Body::Whole(self.ram.gauge().hold(record.body)),
                    Place::Chunks(length) if length <= CHUNK as u64 => return Some(Read::Half(Arc::new(head), length)),
                    Place::Chunks(length) => Body::Chunked { name, length },
                };
                Some(Read::Entry(version(Arc::new(head), body, now)))
            }
            Kind::Chunk | Kind::Tombstone => None,
        }
    }

    /// What RAM has under `id`, or was brought.
    pub(in super::super) fn entry(&self, id: u128, brought: &Brought) -> Option<Entry> {
        match brought.is_settled(id) {
            true => self.entry_again(id, brought),
            false => self.ram.get(id),
        }
    }

    /// The same, where RAM has been looked into for this request.
    fn entry_again(&self, id: u128, brought: &Brought) -> Option<Entry> {
        self.ram.get_again(id).or_else(|| brought.get(id))
    }
}

/// What a record was.
enum Read {
    Entry(Entry),
    /// A head, whose body is one chunk of so many bytes.
    Half(Arc<Head>, u64),
}

fn whole(cache: &Cache, head: Arc<Head>, length: u64, record: &CheckedRecord, now: Now) -> Option<Entry> {
    let right = record.kind == Kind::Chunk && record.body.len() as u64 == length;
    let body = || Body::Whole(cache.ram.gauge().hold(record.body.clone()));
    right.then(|| version(head, body(), now))
}

fn version(head: Arc<Head>, body: Body, now: Now) -> Entry {
    let version = Version::new(head, body);
    version.goes_below();
    // The tier knows of this use: it was asked for it.
    version.touch(now.monotonic.as_secs());
    Entry::Version(Arc::new(version))
}
