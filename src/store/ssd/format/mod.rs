//! The bytes on the device. FORMAT.md describes them; this is where they are read and written.
//!
//! Numbers are little-endian. Every structure begins with its checksum, so that nothing is believed before it was looked at.

mod record;
mod segment;
mod superblock;

pub use record::{BLOCK, Head, Kind, MAX_BODY, MAX_KEY, MAX_META, MAX_RECORD, body_is_right, write_record};
pub use segment::{
    FOOTER, Footer, SEGMENT_HEADER, SUMMARY_ENTRY, Summarised, summary, write_segment_header, write_summary,
};
pub use superblock::{Store, Unreadable};

use crate::device::mix;

/// The version of the format that is read and written here.
pub const VERSION: u32 = 1;

/// Records begin at multiples of this, in bytes.
pub const ALIGN: u64 = 64;

/// `length` with what follows it up to the next multiple of [`ALIGN`].
pub fn aligned(length: u64) -> u64 {
    length.next_multiple_of(ALIGN)
}

/// The seed of what stands at `at` in the segment `segment`: what is right elsewhere is wrong here.
fn place_seed(seed: u64, segment: u64, at: u64) -> u64 {
    mix(mix(seed ^ segment) ^ at)
}

/// Reads numbers off the front of a slice whose length was checked before.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn u128(&mut self) -> Option<u128> {
        self.take().map(u128::from_le_bytes)
    }
}
