//! A record: one stored head, chunk or index of variants, or the word that something is no longer stored.

use super::{ALIGN, Fields, aligned, place_seed};
use crate::device::{checksum, mix};

/// Bytes of a body that one checksum is for.
pub const BLOCK: usize = 64 * 1024;

/// The longest body of a record, in bytes.
pub const MAX_BODY: usize = 2 * 1024 * 1024;
/// The longest full key, in bytes.
pub const MAX_KEY: usize = 128 * 1024;
/// The longest description, in bytes.
pub const MAX_META: usize = 1024 * 1024;
/// The longest record, in bytes.
pub const MAX_RECORD: usize = FIXED + MAX_BODY / BLOCK * 8 + MAX_KEY + MAX_META + MAX_BODY + ALIGN as usize;

/// Bytes before the table of checksums.
const FIXED: usize = 80;
const MAGIC: u32 = u32::from_le_bytes(*b"VRec");

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A version's head, with its body if that is small.
    Head,
    /// The variants of a key.
    Index,
    /// A piece of a larger body.
    Chunk,
    /// What was stored under the name is no longer.
    Tombstone,
}

impl Kind {
    pub(super) fn number(self) -> u8 {
        match self {
            Kind::Head => 1,
            Kind::Index => 2,
            Kind::Chunk => 3,
            Kind::Tombstone => 4,
        }
    }

    pub(super) fn of(number: u8) -> Option<Kind> {
        match number {
            1 => Some(Kind::Head),
            2 => Some(Kind::Index),
            3 => Some(Kind::Chunk),
            4 => Some(Kind::Tombstone),
            _ => None,
        }
    }
}

/// A record without its key, description and body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// What it is.
    pub kind: Kind,
    /// The keyed hash that it is found by.
    pub name: u128,
    /// Which chunk of the body it is.
    pub part: u32,
    /// Bytes of the full key.
    pub key: usize,
    /// Bytes of the description.
    pub meta: usize,
    /// Bytes of the body.
    pub body: usize,
    /// The newest purge when its fetch began, or when it was last held against the purges.
    pub epoch: u64,
    /// No two fetched responses share one.
    pub generation: u64,
    /// When its fetch began, in milliseconds since 1970.
    pub began: u64,
    /// From when it is of no use, in milliseconds since 1970.
    pub expires: u64,
}

impl Head {
    /// Bytes that no record has less of before its body.
    pub const LEAST: usize = FIXED;

    /// Bytes before the body.
    pub fn before_body(&self) -> usize {
        FIXED + self.body.div_ceil(BLOCK) * 8 + self.key + self.meta
    }

    /// Bytes in all, up to the next record.
    pub fn length(&self) -> u64 {
        aligned((self.before_body() + self.body) as u64)
    }

    /// Where the full key is in the record.
    pub fn key_at(&self) -> usize {
        FIXED + self.body.div_ceil(BLOCK) * 8
    }

    /// Where the description is in the record.
    pub fn meta_at(&self) -> usize {
        self.key_at() + self.key
    }

    /// The head at the front of `bytes`. It is not to be believed before [`Head::is_right`].
    pub fn read(bytes: &[u8]) -> Option<Head> {
        let mut fields = Fields(bytes.get(8..FIXED)?);
        if fields.u32()? != MAGIC {
            return None;
        }
        let kind = Kind::of(fields.u8()?)?;
        fields.take::<3>()?;
        let head = Head {
            kind,
            name: fields.u128()?,
            part: fields.u32()?,
            key: fields.u32()? as usize,
            meta: fields.u32()? as usize,
            body: fields.u32()? as usize,
            epoch: fields.u64()?,
            generation: fields.u64()?,
            began: fields.u64()?,
            expires: fields.u64()?,
        };
        let within = head.key <= MAX_KEY && head.meta <= MAX_META && head.body <= MAX_BODY;
        within.then_some(head)
    }

    /// Whether `record`, which has at least all that comes before the body, is right and belongs at `at` of the segment.
    pub fn is_right(&self, record: &[u8], seed: u64, segment: u64, at: u64) -> bool {
        match (record.first_chunk::<8>(), record.get(8..self.before_body())) {
            (Some(sum), Some(rest)) => u64::from_le_bytes(*sum) == checksum(place_seed(seed, segment, at), rest),
            _ => false,
        }
    }

    /// Makes `record`, which was right elsewhere, belong at `at` of the segment, with another epoch.
    pub fn transplant(&self, record: &mut [u8], epoch: u64, seed: u64, segment: u64, at: u64) {
        record[48..56].copy_from_slice(&epoch.to_le_bytes());
        let sum = checksum(place_seed(seed, segment, at), &record[8..self.before_body()]);
        record[..8].copy_from_slice(&sum.to_le_bytes());
    }

    fn fixed(&self) -> [u8; FIXED] {
        let mut fixed = [0; FIXED];
        fixed[8..12].copy_from_slice(&MAGIC.to_le_bytes());
        fixed[12] = self.kind.number();
        fixed[16..32].copy_from_slice(&self.name.to_le_bytes());
        for (at, number) in [
            (32, self.part),
            (36, self.key as u32),
            (40, self.meta as u32),
            (44, self.body as u32),
        ] {
            fixed[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
        for (at, number) in [
            (48, self.epoch),
            (56, self.generation),
            (64, self.began),
            (72, self.expires),
        ] {
            fixed[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        fixed
    }
}

/// The seed of a block's checksum: of what record, and which of its blocks.
fn block_seed(seed: u64, head: &Head, block: usize) -> u64 {
    let name = mix(seed ^ head.name as u64) ^ (head.name >> 64) as u64;
    mix(mix(name ^ head.generation) ^ (u64::from(head.part) << 32 | block as u64))
}

/// Whether the blocks of a body are right. `bytes` begins with block `first` and ends with a block's end or the body's;
/// `record` has all that comes before the body.
pub fn body_is_right(head: &Head, record: &[u8], seed: u64, first: usize, bytes: &[u8]) -> bool {
    bytes.chunks(BLOCK).zip(first..).all(|(block, number)| {
        let sum = record.get(FIXED + number * 8..).and_then(<[u8]>::first_chunk::<8>);
        sum.is_some_and(|sum| u64::from_le_bytes(*sum) == checksum(block_seed(seed, head, number), block))
    })
}

/// Appends a record to `out`, for the place `at` of the segment.
///
/// The lengths in `head` are those of `key`, `meta` and `body`, and within their bounds.
pub fn write_record(
    out: &mut Vec<u8>,
    head: &Head,
    (key, meta, body): (&[u8], &[u8], &[u8]),
    seed: u64,
    (segment, at): (u64, u64),
) {
    let from = out.len();
    let length = head.length() as usize;
    out.reserve(length);
    out.extend_from_slice(&head.fixed());
    for (number, block) in body.chunks(BLOCK).enumerate() {
        out.extend_from_slice(&checksum(block_seed(seed, head, number), block).to_le_bytes());
    }
    out.extend_from_slice(key);
    out.extend_from_slice(meta);
    let sum = checksum(place_seed(seed, segment, at), &out[from + 8..]);
    out[from..from + 8].copy_from_slice(&sum.to_le_bytes());
    out.extend_from_slice(body);
    out.resize(from + length, 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(body: usize) -> (Head, Vec<u8>, Vec<u8>) {
        let body: Vec<u8> = (0..body).map(|at| (at * 7 % 251) as u8).collect();
        let head = Head {
            kind: Kind::Chunk,
            name: 0x1234_5678_9abc_def0_1122_3344_5566_7788,
            part: 3,
            key: 5,
            meta: 7,
            body: body.len(),
            epoch: 11,
            generation: 13,
            began: 17,
            expires: 19,
        };
        let mut out = vec![9; 10];
        write_record(&mut out, &head, (b"a key", b"its met", &body), 42, (7, 640));
        assert_eq!(out.len() as u64, 10 + head.length());
        (head, out.split_off(10), body)
    }

    #[test]
    fn what_was_written_is_read() {
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 77] {
            let (head, record, body) = sample(length);
            assert_eq!(Head::read(&record), Some(head));
            assert!(head.is_right(&record, 42, 7, 640));
            assert_eq!(&record[head.key_at()..][..5], b"a key");
            assert_eq!(&record[head.meta_at()..][..7], b"its met");
            assert_eq!(&record[head.before_body()..][..length], body);
            assert!(body_is_right(&head, &record, 42, 0, &body));
            assert_eq!(record.len() as u64 % ALIGN, 0);
        }
    }

    #[test]
    fn what_is_right_elsewhere_is_wrong_here() {
        let (head, mut record, body) = sample(3 * BLOCK);
        for (seed, segment, at) in [(43, 7, 640), (42, 8, 640), (42, 7, 704)] {
            assert!(!head.is_right(&record, seed, segment, at));
        }
        assert!(body_is_right(&head, &record, 42, 1, &body[BLOCK..]));
        assert!(!body_is_right(&head, &record, 42, 1, &body), "another block");
        let other = Head { part: 4, ..head };
        assert!(!body_is_right(&other, &record, 42, 0, &body), "another chunk");
        head.transplant(&mut record, 12, 42, 8, 128);
        let moved = Head::read(&record).unwrap();
        assert_eq!(moved, Head { epoch: 12, ..head });
        assert!(moved.is_right(&record, 42, 8, 128) && body_is_right(&moved, &record, 42, 0, &body));
    }

    #[test]
    fn no_flipped_bit_goes_unnoticed() {
        let (head, record, body) = sample(100);
        let end = head.before_body() + body.len();
        for bit in 0..end * 8 {
            let mut flipped = record.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let right = Head::read(&flipped).is_some_and(|head| {
                let body = flipped.get(head.before_body()..head.before_body() + head.body);
                head.is_right(&flipped, 42, 7, 640)
                    && body.is_some_and(|body| body_is_right(&head, &flipped, 42, 0, body))
            });
            assert!(!right, "bit {bit}");
        }
        for length in 0..end {
            assert!(Head::read(&record[..length]).is_none_or(|head| {
                !head.is_right(&record[..length], 42, 7, 640) || length < head.before_body() + head.body
            }));
        }
    }
}
