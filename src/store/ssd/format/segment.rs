//! What is around the records of a segment: its header and, once it is sealed, its summary and footer.

use super::record::Kind;
use super::{ALIGN, Fields, VERSION, place_seed};
use crate::device::checksum;

/// Bytes of a segment's header, after which its records begin.
pub const SEGMENT_HEADER: u64 = 64;
/// Bytes of the footer, which ends a sealed segment.
pub const FOOTER: u64 = 64;
/// Bytes of a record's entry in the summary.
pub const SUMMARY_ENTRY: u64 = 32;

const HEADER_MAGIC: u64 = u64::from_le_bytes(*b"VrgSegmt");
const FOOTER_MAGIC: u64 = u64::from_le_bytes(*b"VrgSeal.");

/// The header of a segment.
pub fn write_segment_header(seed: u64, store: u128, segment: u64, created: u64) -> [u8; SEGMENT_HEADER as usize] {
    let mut header = [0; SEGMENT_HEADER as usize];
    header[8..16].copy_from_slice(&HEADER_MAGIC.to_le_bytes());
    header[16..20].copy_from_slice(&VERSION.to_le_bytes());
    header[24..40].copy_from_slice(&store.to_le_bytes());
    header[40..48].copy_from_slice(&segment.to_le_bytes());
    header[48..56].copy_from_slice(&created.to_le_bytes());
    let sum = checksum(place_seed(seed, segment, 0), &header[8..]);
    header[..8].copy_from_slice(&sum.to_le_bytes());
    header
}

/// A record as its segment's summary tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summarised {
    /// The keyed hash that it is found by.
    pub name: u128,
    /// Which chunk of the body it is.
    pub part: u32,
    /// What it is.
    pub kind: Kind,
    /// Where it begins in the segment.
    pub at: u64,
    /// Bytes in all, up to the next record.
    pub length: u64,
}

impl Summarised {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.name.to_le_bytes());
        out.extend_from_slice(&((self.at / ALIGN) as u32).to_le_bytes());
        out.extend_from_slice(&((self.length / ALIGN) as u32).to_le_bytes());
        out.extend_from_slice(&self.part.to_le_bytes());
        out.extend_from_slice(&[self.kind.number(), 0, 0, 0]);
    }

    fn read(bytes: &[u8]) -> Option<Summarised> {
        let mut fields = Fields(bytes);
        let name = fields.u128()?;
        let (at, length) = (u64::from(fields.u32()?) * ALIGN, u64::from(fields.u32()?) * ALIGN);
        Some(Summarised {
            name,
            at,
            length,
            part: fields.u32()?,
            kind: Kind::of(fields.u8()?)?,
        })
    }
}

/// The end of a sealed segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footer {
    /// Where the summary begins.
    pub summary_at: u64,
    /// How many records it tells.
    pub records: u64,
    /// The oldest epoch of any record; all ones if there is none.
    pub oldest_epoch: u64,
    summary_sum: u64,
}

impl Footer {
    /// The footer that `bytes`, the last of a segment of `size` bytes, are.
    pub fn read(bytes: &[u8], seed: u64, segment: u64, size: u64) -> Option<Footer> {
        let at = size.checked_sub(FOOTER)?;
        let bytes = bytes.first_chunk::<{ FOOTER as usize }>()?;
        let mut fields = Fields(bytes);
        if fields.u64()? != checksum(place_seed(seed, segment, at), &bytes[8..]) || fields.u64()? != FOOTER_MAGIC {
            return None;
        }
        let footer = Footer {
            summary_at: fields.u64()?,
            records: fields.u64()?,
            oldest_epoch: fields.u64()?,
            summary_sum: fields.u64()?,
        };
        let length = footer.records.checked_mul(SUMMARY_ENTRY)?;
        (footer.summary_at.checked_add(length)? == at).then_some(footer)
    }

    /// Whether a footer stands in `bytes`, right or damaged.
    pub fn stands_in(bytes: &[u8]) -> bool {
        bytes.get(8..16) == Some(&FOOTER_MAGIC.to_le_bytes()[..])
    }
}

/// Summary and footer of a segment, to be written at `at`.
pub fn write_summary(records: &[Summarised], oldest_epoch: u64, seed: u64, segment: u64, at: u64) -> Vec<u8> {
    let length = records.len() as u64 * SUMMARY_ENTRY;
    let mut out = Vec::with_capacity((length + FOOTER) as usize);
    records.iter().for_each(|record| record.write(&mut out));
    let summary_sum = checksum(place_seed(seed, segment, at), &out);
    let mut footer = Vec::with_capacity(FOOTER as usize);
    for number in [FOOTER_MAGIC, at, records.len() as u64, oldest_epoch, summary_sum, 0, 0] {
        footer.extend_from_slice(&number.to_le_bytes());
    }
    let sum = checksum(place_seed(seed, segment, at + length), &footer);
    out.extend_from_slice(&sum.to_le_bytes());
    out.extend_from_slice(&footer);
    out
}

/// The records that a summary tells, in the order in which they were written, if it is right.
pub fn summary(bytes: &[u8], footer: &Footer, seed: u64, segment: u64) -> Option<Vec<Summarised>> {
    let right = bytes.len() as u64 == footer.records * SUMMARY_ENTRY
        && checksum(place_seed(seed, segment, footer.summary_at), bytes) == footer.summary_sum;
    let entries = bytes.chunks_exact(SUMMARY_ENTRY as usize).map(Summarised::read);
    right.then(|| entries.collect()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_read_where_it_was_written_and_nowhere_else() {
        let records: Vec<_> = (0..5)
            .map(|number| Summarised {
                name: 1 << number,
                part: number,
                kind: Kind::Head,
                at: 64 + u64::from(number) * 640,
                length: 640,
            })
            .collect();
        let bytes = write_summary(&records, 9, 42, 7, 6400);
        let size = 6400 + bytes.len() as u64;
        let (entries, end) = bytes.split_at(5 * SUMMARY_ENTRY as usize);
        let footer = Footer::read(end, 42, 7, size).unwrap();
        assert_eq!((footer.records, footer.oldest_epoch), (5, 9));
        assert_eq!(summary(entries, &footer, 42, 7), Some(records));
        assert_eq!(summary(entries, &footer, 42, 8), None);
        assert_eq!(Footer::read(end, 42, 8, size), None);
        assert_eq!(Footer::read(end, 42, 7, size + 64), None);
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            let (entries, end) = flipped.split_at(5 * SUMMARY_ENTRY as usize);
            let read = Footer::read(end, 42, 7, size).and_then(|footer| summary(entries, &footer, 42, 7));
            assert_eq!(read, None, "byte {at}");
        }
    }
}
