//! What is here, or on the SSD tier, of a stretch of a body.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use smallvec::SmallVec;

use super::super::Cache;
use super::super::object::{Body, Entry, Head, Version};
use crate::policy::range::ByteRange;
use crate::store::ssd::{CheckedRecord, Found, Part, Wanted};
use crate::store::tiered::Tier;
use crate::store::{CHUNK, Ram};

/// The chunks that a stretch of a body touches, as far as they are here. Holding them pins them.
pub struct Held {
    /// The hash that names the body.
    pub name: u128,
    /// Bytes of the body in all.
    pub length: u64,
    /// Index of the first chunk.
    first: u32,
    chunks: SmallVec<[Chunk; 1]>,
    below: Option<Source>,
    /// A chunk that is being read from a device, by its place in `chunks`.
    reading: Option<(usize, Reading)>,
}

/// Where a chunk is.
#[derive(Debug)]
enum Chunk {
    Here(Bytes),
    /// On the SSD tier, as far as its index knows.
    Below,
    Missing,
}

type Reading = Pin<Box<dyn Future<Output = Option<CheckedRecord>> + Send>>;

/// Where chunks are read from that are not in RAM.
struct Source {
    tier: Arc<Tier>,
    ram: Arc<Ram<Entry>>,
    key: Bytes,
}

impl Cache {
    /// What there is of the chunks that `wanted`, which is within the body, touches; `None` if the body has no chunks.
    pub fn held(&self, version: &Version, wanted: ByteRange) -> Option<Held> {
        let Body::Chunked { name, length } = version.body else {
            return None;
        };
        let first = (wanted.start / CHUNK as u64) as u32;
        let behind = wanted.end.div_ceil(CHUNK as u64) as u32;
        let below = self.below.as_ref().filter(|_| version.is_below());
        let chunk = |index| match self.ram.chunk(name, index) {
            Some(bytes) => Chunk::Here(bytes),
            None if below.is_some_and(|below| below.tier.has(name, index)) => Chunk::Below,
            None => Chunk::Missing,
        };
        let chunks: SmallVec<[Chunk; 1]> = (first..behind).map(chunk).collect();
        let reads_below = chunks.iter().any(|chunk| matches!(chunk, Chunk::Below));
        Some(Held {
            name,
            length,
            first,
            chunks,
            below: below.filter(|_| reads_below).map(|below| Source {
                tier: Arc::clone(&below.tier),
                ram: Arc::clone(&self.ram),
                key: version.head.key.parts().to_bytes(),
            }),
            reading: None,
        })
    }
}

impl Cache {
    /// The chunk that `offset` is in of a body on its way, if it has gone to the SSD tier.
    pub fn held_behind(&self, head: &Head, offset: u64) -> Option<Held> {
        let tier = &self.below.as_ref()?.tier;
        let first = u32::try_from(offset / CHUNK as u64).ok()?;
        tier.has(head.body, first).then(|| Held {
            name: head.body,
            length: head.content_length.unwrap_or(u64::MAX),
            first,
            chunks: SmallVec::from_buf([Chunk::Below]),
            below: Some(Source {
                tier: Arc::clone(tier),
                ram: Arc::clone(&self.ram),
                key: head.key.parts().to_bytes(),
            }),
            reading: None,
        })
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("name", &self.name)
            .field("first", &self.first)
            .finish_non_exhaustive()
    }
}

impl Held {
    /// Where the first chunk begins.
    pub fn start(&self) -> u64 {
        u64::from(self.first) * CHUNK as u64
    }

    /// From the first byte that is missing to the last, in whole chunks; `None` if none is missing.
    pub fn missing(&self) -> Option<ByteRange> {
        let is_missing = |chunk: &Chunk| matches!(chunk, Chunk::Missing);
        let first = self.chunks.iter().position(is_missing)?;
        let last = self.chunks.iter().rposition(is_missing)?;
        let place = |chunk: usize| self.start() + chunk as u64 * CHUNK as u64;
        Some(ByteRange {
            start: place(first),
            end: place(last + 1).min(self.length),
        })
    }

    /// Whether some of it is read from the SSD tier.
    pub fn reads_below(&self) -> bool {
        self.below.is_some()
    }

    /// Whether all of it is in RAM.
    pub fn is_here(&self) -> bool {
        self.chunks.iter().all(|chunk| matches!(chunk, Chunk::Here(_)))
    }

    /// All of it, if it is in RAM.
    pub fn whole(self) -> Option<SmallVec<[Bytes; 1]>> {
        let here = |chunk| match chunk {
            Chunk::Here(bytes) => Some(bytes),
            Chunk::Below | Chunk::Missing => None,
        };
        self.chunks.into_iter().map(here).collect()
    }

    /// What there is from `offset` to the end of its chunk; `None` if that is missing, or turned out to be.
    pub fn poll_at(&mut self, offset: u64, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let start = self.start();
        let place = offset.checked_sub(start).map(|within| within / CHUNK as u64);
        let Some(place) = place.and_then(|place| usize::try_from(place).ok()) else {
            return Poll::Ready(None);
        };
        if matches!(self.chunks.get(place), Some(Chunk::Below)) {
            std::task::ready!(self.poll_read(place, cx));
            self.let_go_before(place);
            // The next is read while this one is sent.
            if matches!(self.chunks.get(place + 1), Some(Chunk::Below)) {
                let _ = self.poll_read(place + 1, cx);
            }
        }
        let Some(Chunk::Here(bytes)) = self.chunks.get(place) else {
            return Poll::Ready(None);
        };
        let within = (offset % CHUNK as u64) as usize;
        Poll::Ready((within < bytes.len()).then(|| bytes.slice(within..)))
    }

    /// Reads the chunk at `place` from the SSD tier.
    fn poll_read(&mut self, place: usize, cx: &mut Context<'_>) -> Poll<()> {
        let Some(below) = &self.below else {
            return Poll::Ready(());
        };
        let reading = match self.reading.take() {
            Some((of, reading)) if of == place => reading,
            _ => match below.look_up(self.name, self.first + place as u32) {
                Ok(record) => {
                    self.has_come(place, record);
                    return Poll::Ready(());
                }
                Err(reading) => reading,
            },
        };
        let (_, reading) = self.reading.insert((place, reading));
        let record = std::task::ready!(reading.as_mut().poll(cx));
        self.reading = None;
        self.has_come(place, record);
        Poll::Ready(())
    }

    /// Takes in what was read of the chunk at `place`.
    fn has_come(&mut self, place: usize, record: Option<CheckedRecord>) {
        let index = self.first + place as u32;
        let right_length = (self.length - u64::from(index) * CHUNK as u64).min(CHUNK as u64);
        let right = record.filter(|record| record.body.len() as u64 == right_length);
        self.chunks[place] = match (right, &self.below) {
            (Some(record), Some(below)) => Chunk::Here(below.promoted(self.name, index, self.length, record.body)),
            _ => Chunk::Missing,
        };
    }

    /// What was read from the SSD tier and has been sent need not be held.
    fn let_go_before(&mut self, place: usize) {
        if let (Some(_), Some(before)) = (&self.below, place.checked_sub(1)) {
            self.chunks[before] = Chunk::Below;
        }
    }
}

impl Source {
    /// What the tier has of a chunk, if it can say without waiting; else what is to be waited for.
    fn look_up(&self, name: u128, index: u32) -> Result<Option<CheckedRecord>, Reading> {
        let wanted = Wanted {
            name,
            part: index,
            key: self.key.clone(),
            body: Part::Whole,
        };
        match self.tier.try_read(&wanted) {
            Found::Record(record) => Ok(Some(record)),
            Found::Absent => Ok(None),
            Found::OnDevice | Found::NotYet => Err(Box::pin(Arc::clone(&self.tier).read(wanted))),
        }
    }

    /// A chunk that has been read. RAM keeps it if the body is not so large that it would drive out all others.
    fn promoted(&self, name: u128, index: u32, length: u64, chunk: Bytes) -> Bytes {
        let chunk = self.ram.gauge().hold(chunk);
        if self.ram.can_hold(length) && self.ram.keeps_brought_chunk(name, index, chunk.len() as u64) {
            self.ram.insert_chunk(name, index, chunk.clone());
        }
        chunk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing() {
        let chunk = |length| Chunk::Here(Bytes::from(vec![7; length]));
        let none = || Chunk::Missing;
        let held = |chunks: Vec<Chunk>| Held {
            name: 0,
            length: 3 * CHUNK as u64 + 10,
            first: 1,
            chunks: chunks.into(),
            below: None,
            reading: None,
        };
        let c = CHUNK as u64;
        let missing = |chunks| held(chunks).missing().map(|range| (range.start, range.end));
        assert_eq!(missing(vec![chunk(CHUNK), chunk(CHUNK), chunk(10)]), None);
        assert_eq!(missing(vec![none(), chunk(CHUNK), none()]), Some((c, 3 * c + 10)));
        assert_eq!(missing(vec![chunk(CHUNK), none(), chunk(10)]), Some((2 * c, 3 * c)));
        assert_eq!(missing(vec![Chunk::Below, none(), Chunk::Below]), Some((2 * c, 3 * c)));
        let mut some = held(vec![none(), chunk(CHUNK), chunk(10)]);
        let mut at = |offset| match some.poll_at(offset, &mut Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(bytes) => bytes.map(|bytes| bytes.len()),
            Poll::Pending => panic!("nothing is read"),
        };
        assert_eq!(at(c), None);
        assert_eq!(at(2 * c + 5), Some(CHUNK - 5));
        assert_eq!(at(3 * c + 9), Some(1));
        assert_eq!(at(3 * c + 10), None);
        assert!(!some.is_here() && some.whole().is_none());
    }
}
