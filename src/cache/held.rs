//! What RAM holds of a stretch of a body.

use bytes::Bytes;
use smallvec::SmallVec;

use crate::policy::range::ByteRange;
use crate::store::CHUNK;

/// The chunks that a stretch of a body touches, as far as they are here. Holding them pins them.
#[derive(Debug)]
pub struct Held {
    /// The hash that names the body.
    pub name: u128,
    /// Bytes of the body in all.
    pub length: u64,
    /// Index of the first chunk.
    pub(super) first: u32,
    pub(super) chunks: SmallVec<[Option<Bytes>; 1]>,
}

impl Held {
    /// Where the first chunk begins.
    pub fn start(&self) -> u64 {
        u64::from(self.first) * CHUNK as u64
    }

    /// From the first byte that is missing to the last, in whole chunks; `None` if none is missing.
    pub fn missing(&self) -> Option<ByteRange> {
        let first = self.chunks.iter().position(Option::is_none)?;
        let last = self.chunks.iter().rposition(Option::is_none)?;
        let place = |chunk: usize| self.start() + chunk as u64 * CHUNK as u64;
        Some(ByteRange {
            start: place(first),
            end: place(last + 1).min(self.length),
        })
    }

    /// All of it, if nothing is missing.
    pub fn whole(self) -> Option<SmallVec<[Bytes; 1]>> {
        self.chunks.into_iter().collect()
    }

    /// What is here from `offset` to the end of its chunk.
    pub fn at(&self, offset: u64) -> Option<Bytes> {
        let chunk = usize::try_from(offset.checked_sub(self.start())? / CHUNK as u64).ok()?;
        let bytes = self.chunks.get(chunk)?.as_ref()?;
        let within = (offset % CHUNK as u64) as usize;
        (within < bytes.len()).then(|| bytes.slice(within..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing() {
        let chunk = |length| Some(Bytes::from(vec![7; length]));
        let held = |chunks: Vec<Option<Bytes>>| Held {
            name: 0,
            length: 3 * CHUNK as u64 + 10,
            first: 1,
            chunks: chunks.into(),
        };
        let c = CHUNK as u64;
        let missing = |chunks| held(chunks).missing().map(|range| (range.start, range.end));
        assert_eq!(missing(vec![chunk(CHUNK), chunk(CHUNK), chunk(10)]), None);
        assert_eq!(missing(vec![None, chunk(CHUNK), None]), Some((c, 3 * c + 10)));
        assert_eq!(missing(vec![chunk(CHUNK), None, chunk(10)]), Some((2 * c, 3 * c)));
        let some = held(vec![None, chunk(CHUNK), chunk(10)]);
        assert_eq!(some.at(c), None);
        assert_eq!(some.at(2 * c + 5).unwrap().len(), CHUNK - 5);
        assert_eq!(some.at(3 * c + 9).unwrap().len(), 1);
        assert_eq!(some.at(3 * c + 10), None);
        assert!(some.whole().is_none());
    }
}
