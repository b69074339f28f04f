//! Versions and indexes of variants as records of the SSD tier describe them. `store/ssd/FORMAT.md` has the bytes.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderName, HeaderValue, StatusCode};
use smallvec::SmallVec;

use super::key::Key;
use super::object::{Head, MAX_VARIANTS, Selected, VaryIndex};
use crate::clock::Now;
use crate::planted::{self, Bug};
use crate::policy::freshness::Freshness;
use crate::policy::validator::validators_of;
use crate::policy::vary::VarySpec;
use crate::purge::{Epoch, Names};

/// The version of what a record describes.
const VERSION: u8 = 1;
/// Stands for a number that is not known.
const NONE: u64 = u64::MAX;

const REVALIDATE_ALWAYS: u8 = 1;
const NEVER_STALE: u8 = 2;
const HEURISTIC: u8 = 4;

/// Where a version's body is, as its record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the record.
    Inside,
    /// In chunks under [`Head::body`], of so many bytes together.
    Chunks(u64),
}

/// What a record says of a version, without the body.
pub fn write_head(head: &Head, place: Place) -> Bytes {
    let mut out = BytesMut::with_capacity(256 + head.wire.len());
    out.put_u8(VERSION);
    put_short(&mut out, head.site.as_bytes());
    out.put_u32_le(head.tags.len() as u32);
    head.tags.iter().for_each(|tag| out.put_u128_le(*tag));
    out.put_u128_le(head.body);
    out.put_u64_le(match place {
        Place::Inside => NONE,
        Place::Chunks(length) => length,
    });
    out.put_u16_le(head.status.as_u16());
    out.put_u64_le(head.began);
    out.put_u64_le(head.content_length.unwrap_or(NONE));
    write_freshness(&mut out, &head.freshness);
    match &head.vary {
        None => out.put_u16_le(0),
        Some(selected) => {
            write_spec(&mut out, &selected.spec);
            put_long(&mut out, &selected.values);
        }
    }
    out.put_u32_le(head.consumed.len() as u32);
    for (name, value) in &head.consumed {
        put_short(&mut out, name.as_str().as_bytes());
        put_long(&mut out, value.as_bytes());
    }
    put_long(&mut out, &head.wire);
    out.freeze()
}

fn write_freshness(out: &mut BytesMut, freshness: &Freshness) {
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(NONE - 1);
    let date = freshness.response_date.duration_since(SystemTime::UNIX_EPOCH);
    out.put_u64_le(nanoseconds(date.unwrap_or_default()));
    out.put_u64_le(nanoseconds(freshness.initial_age));
    out.put_u64_le(nanoseconds(freshness.lifetime));
    out.put_u64_le(freshness.stale_while_revalidate.map_or(NONE, nanoseconds));
    out.put_u64_le(freshness.stale_if_error.map_or(NONE, nanoseconds));
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    out.put_u8(
        flag(freshness.revalidate_always, REVALIDATE_ALWAYS)
            | flag(freshness.never_stale, NEVER_STALE)
            | flag(freshness.heuristic, HEURISTIC),
    );
}

/// What a record says of the variants of a key.
pub fn write_index(index: &VaryIndex) -> Bytes {
    let mut out = BytesMut::with_capacity(64 + index.variants.len() * 16);
    out.put_u8(VERSION);
    out.put_u64_le(index.since);
    out.put_u16_le(index.specs.len() as u16);
    index.specs.iter().for_each(|spec| write_spec(&mut out, spec));
    out.put_u16_le(index.variants.len() as u16);
    index.variants.iter().for_each(|id| out.put_u128_le(*id));
    out.freeze()
}

fn write_spec(out: &mut BytesMut, spec: &VarySpec) {
    out.put_u16_le(spec.names().len() as u16);
    for name in spec.names() {
        put_short(out, name.as_str().as_bytes());
    }
}

fn put_short(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u16_le(bytes.len() as u16);
    out.put_slice(bytes);
}

fn put_long(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u32_le(bytes.len() as u32);
    out.put_slice(bytes);
}

/// What of a record is no description of a version, but stands in its own fields.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// The epoch that it is to be held against the purges with.
    pub epoch: Epoch,
    /// No two fetched versions share one.
    pub generation: u64,
    /// The present moment.
    pub now: Now,
    /// It is not earlier than this, whatever the calendar says.
    pub not_before: SystemTime,
}

/// The version that [`write_head`] described; its fields are slices of `meta`.
pub fn read_head(key: Arc<Key>, meta: &Bytes, stamp: &Stamp) -> Option<(Head, Place)> {
    let mut reader = Reader::new(meta)?;
    let site: Arc<str> = str::from_utf8(reader.short()?).ok()?.into();
    let count = reader.u32()?;
    let tags = reader.hashes(count as usize)?;
    let body = reader.u128()?;
    let place = match reader.u64()? {
        NONE => Place::Inside,
        length => Place::Chunks(length),
    };
    let status = StatusCode::from_u16(reader.u16()?).ok()?;
    let began = reader.u64()?;
    let content_length = reader.maybe()?;
    let freshness = read_freshness(&mut reader, stamp)?;
    let vary = match reader.spec()? {
        None => None,
        Some(spec) => Some(Selected {
            spec,
            values: reader.long()?.into(),
        }),
    };
    let consumed = (0..reader.u32()?).map(|_| {
        let name = HeaderName::from_bytes(reader.short()?).ok()?;
        Some((name, HeaderValue::from_bytes(reader.long()?).ok()?))
    });
    let consumed = consumed.collect::<Option<_>>()?;
    let wire = reader.rest_long()?;
    let fields = fields_of(&wire)?;
    let head = Head {
        key,
        vary,
        status,
        wire,
        validators: validators_of(&fields),
        fields,
        freshness,
        consumed,
        tags,
        site,
        epoch: stamp.epoch,
        began,
        generation: stamp.generation,
        content_length,
        body,
    };
    Some((head, place))
}

/// The times as they are on this process's clock. What came before the process began is as old as the calendar says, but no
/// younger than it was.
fn read_freshness(reader: &mut Reader<'_>, stamp: &Stamp) -> Option<Freshness> {
    let response_date = SystemTime::UNIX_EPOCH + Duration::from_nanos(reader.u64()?);
    let initial_age = Duration::from_nanos(reader.u64()?);
    let elapsed = stamp.now.wall.max(stamp.not_before).duration_since(response_date);
    let elapsed = match planted::is(Bug::YoungerAfterRestart) {
        true => stamp.now.monotonic,
        false => elapsed.unwrap_or_default(),
    };
    let response_time = stamp.now.monotonic.saturating_sub(elapsed);
    let before_it = elapsed - (stamp.now.monotonic - response_time);
    let lifetime = Duration::from_nanos(reader.u64()?);
    let stale_while_revalidate = reader.maybe()?.map(Duration::from_nanos);
    let stale_if_error = reader.maybe()?.map(Duration::from_nanos);
    let flags = reader.u8()?;
    Some(Freshness {
        response_time,
        response_date,
        initial_age: initial_age.saturating_add(before_it),
        lifetime,
        stale_while_revalidate,
        stale_if_error,
        revalidate_always: flags & REVALIDATE_ALWAYS != 0,
        never_stale: flags & NEVER_STALE != 0,
        heuristic: flags & HEURISTIC != 0,
    })
}

/// The fields of a head in [`Head::wire`]'s form, as slices of it.
fn fields_of(wire: &Bytes) -> Option<Box<[(HeaderName, HeaderValue)]>> {
    let mut at = memchr::memmem::find(wire, b"\r\n")? + 2;
    let mut fields = Vec::new();
    while at < wire.len() {
        let line = at + memchr::memmem::find(&wire[at..], b"\r\n")?;
        let colon = at + memchr::memmem::find(&wire[at..line], b": ")?;
        let name = HeaderName::from_bytes(&wire[at..colon]).ok()?;
        fields.push((name, HeaderValue::from_maybe_shared(wire.slice(colon + 2..line)).ok()?));
        at = line + 2;
    }
    Some(fields.into())
}

/// The variants that [`write_index`] described.
pub fn read_index(meta: &Bytes) -> Option<VaryIndex> {
    let mut reader = Reader::new(meta)?;
    let since = reader.u64()?;
    let specs = (0..reader.u16()?).map(|_| reader.spec()?);
    let specs = specs.collect::<Option<SmallVec<_>>>()?;
    let count = usize::from(reader.u16()?);
    let variants = reader.hashes(count).filter(|_| count <= MAX_VARIANTS)?.into_vec();
    Some(VaryIndex {
        specs,
        variants,
        since,
        below: AtomicBool::new(true),
    })
}

/// The names by which purges know the version of key `key` that [`write_head`] described, for `with`.
pub fn with_names<R>(key: &Key, meta: &Bytes, with: impl FnOnce(&Names<'_>) -> R) -> Option<R> {
    let mut reader = Reader::new(meta)?;
    let site = str::from_utf8(reader.short()?).ok()?;
    let count = reader.u32()?;
    let tags = reader.hashes(count as usize)?;
    Some(with(&Names {
        url: key.url,
        text: key.text(),
        site,
        tags: Some(&tags),
    }))
}

/// Reads off the front of a description; `None` where it ends too early.
struct Reader<'a> {
    all: &'a Bytes,
    at: usize,
}

impl<'a> Reader<'a> {
    /// Of a description of the version that is known here.
    fn new(all: &'a Bytes) -> Option<Reader<'a>> {
        let mut reader = Reader { all, at: 0 };
        (reader.u8()? == VERSION).then_some(reader)
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let bytes = self.all.get(self.at..end)?;
        self.at = end;
        Some(bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn u128(&mut self) -> Option<u128> {
        self.array().map(u128::from_le_bytes)
    }

    fn maybe(&mut self) -> Option<Option<u64>> {
        self.u64().map(|number| (number != NONE).then_some(number))
    }

    fn short(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.bytes(usize::from(length))
    }

    fn long(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()?;
        self.bytes(length as usize)
    }

    /// The same, if nothing follows; shares the memory.
    fn rest_long(&mut self) -> Option<Bytes> {
        let length = self.u32()? as usize;
        (self.all.len() - self.at == length).then(|| self.all.slice(self.at..))
    }

    fn hashes(&mut self, count: usize) -> Option<Box<[u128]>> {
        let bytes = self.bytes(count.checked_mul(16)?)?;
        let (hashes, _) = bytes.as_chunks::<16>();
        Some(hashes.iter().map(|hash| u128::from_le_bytes(*hash)).collect())
    }

    /// A set of names; nothing where there are none.
    fn spec(&mut self) -> Option<Option<VarySpec>> {
        let names = (0..self.u16()?).map(|_| HeaderName::from_bytes(self.short()?).ok());
        let names: Vec<HeaderName> = names.collect::<Option<_>>()?;
        match names.is_empty() {
            true => Some(None),
            false => VarySpec::of_names(names).map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::object::wire_head;
    use crate::cache::{KeyParts, SchemeClass, Secret};
    use crate::policy::fields::{Field, RequestFields};
    use crate::policy::vary::{Vary, vary};

    const SECOND: Duration = Duration::from_secs(1);

    fn key() -> Arc<Key> {
        let parts = KeyParts {
            scheme: SchemeClass::Secure,
            host: "a.example",
            path: "/b",
            query: Some("c"),
        };
        Arc::new(Secret::new([1; 16]).stored_key(&parts))
    }

    fn now(monotonic: u64, wall: u64) -> Now {
        Now {
            monotonic: SECOND * monotonic as u32,
            wall: SystemTime::UNIX_EPOCH + SECOND * wall as u32,
        }
    }

    fn head() -> Head {
        let map = [
            (http::header::ETAG, HeaderValue::from_static("\"e: tag\"")),
            (http::header::VARY, HeaderValue::from_static("accept-encoding, x-a")),
            (
                HeaderName::from_static("x-own"),
                HeaderValue::from_bytes(b"\xc3\xa4\t: ").unwrap(),
            ),
            (HeaderName::from_static("x-empty"), HeaderValue::from_static("")),
        ]
        .into_iter()
        .collect();
        let Vary::Fields(spec) = vary(&map) else {
            panic!("it varies");
        };
        let (wire, fields) = wire_head(StatusCode::NOT_FOUND, &map, Some(7));
        let lines = [("x-a", "b"), ("accept-encoding", "gzip, br;q=0.5")].map(|(name, value)| Field {
            name: name.as_bytes(),
            value: value.as_bytes(),
        });
        Head {
            key: key(),
            vary: Some(Selected::new(spec, &RequestFields::new(&lines))),
            status: StatusCode::NOT_FOUND,
            wire,
            validators: validators_of(&fields),
            fields,
            freshness: Freshness {
                response_time: SECOND * 50,
                response_date: SystemTime::UNIX_EPOCH + SECOND * 1000,
                initial_age: SECOND * 3,
                lifetime: SECOND * 600,
                stale_while_revalidate: Some(SECOND),
                stale_if_error: None,
                revalidate_always: false,
                never_stale: true,
                heuristic: false,
            },
            consumed: [(
                HeaderName::from_static("surrogate-control"),
                HeaderValue::from_static("max-age=600"),
            )]
            .into(),
            tags: [3, 9].into(),
            site: "shop".into(),
            epoch: 5,
            began: 17,
            generation: 4,
            content_length: Some(7),
            body: 99,
        }
    }

    fn stamp(now: Now, not_before: u64) -> Stamp {
        Stamp {
            epoch: 5,
            generation: 4,
            now,
            not_before: SystemTime::UNIX_EPOCH + SECOND * not_before as u32,
        }
    }

    #[test]
    fn a_head_comes_back_as_it_was() {
        let head = head();
        for place in [Place::Inside, Place::Chunks(7)] {
            let bytes = write_head(&head, place);
            // The same process, a minute later.
            let (back, at) = read_head(key(), &bytes, &stamp(now(110, 1060), 0)).unwrap();
            assert_eq!(at, place);
            assert_eq!(format!("{back:?}"), format!("{head:?}"));
            let names = with_names(&head.key, &bytes, |names| format!("{names:?}"));
            assert_eq!(names, Some(format!("{:?}", head.names())));
        }
    }

    #[test]
    fn nothing_gets_younger_in_another_process() {
        let bytes = write_head(&head(), Place::Inside);
        for (when, not_before, age) in [
            (now(1, 1100), 0, 103),
            (now(1000, 1100), 0, 103),
            // The calendar was set back; it is known to have been later.
            (now(1, 900), 1100, 103),
            // Nothing is known of how far it was set back.
            (now(1, 900), 0, 3),
        ] {
            let (back, _) = read_head(key(), &bytes, &stamp(when, not_before)).unwrap();
            assert_eq!(back.freshness.age(when.monotonic), SECOND * age, "{when:?}");
            assert_eq!(back.freshness.age(when.monotonic + SECOND), SECOND * (age + 1));
        }
    }

    #[test]
    fn an_index_comes_back_as_it_was() {
        let spec = head().vary.unwrap().spec;
        let index = VaryIndex::default().with(spec, 7, 40);
        let bytes = write_index(&index);
        let back = read_index(&bytes).unwrap();
        assert_eq!(
            (back.since, &back.specs, &back.variants),
            (40, &index.specs, &index.variants)
        );
        assert!((0..bytes.len()).all(|length| read_index(&bytes.slice(..length)).is_none()));
    }

    #[test]
    fn what_is_cut_or_changed_is_refused_or_read_but_never_a_panic() {
        let bytes = write_head(&head(), Place::Inside);
        let stamp = stamp(now(1, 1), 0);
        assert!((0..bytes.len()).all(|length| read_head(key(), &bytes.slice(..length), &stamp).is_none()));
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.to_vec();
                changed[at] ^= 1 << bit;
                let changed = Bytes::from(changed);
                let _ = (read_head(key(), &changed, &stamp), read_index(&changed));
                let _ = with_names(&head().key, &changed, |_| ());
            }
        }
    }
}
