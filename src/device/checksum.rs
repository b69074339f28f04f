//! The checksum of all that is kept: XXH3, 64 bits.
//!
//! Measured on blocks of 16 and 64 KiB it is as fast as CRC32C with its instructions (10 to 13 GB/s), has twice the
//! bits, and takes a seed, so that what is right in itself but in the wrong place is found too.

use twox_hash::XxHash3_64;

/// The checksum of `bytes` under `seed`.
pub fn checksum(seed: u64, bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(seed, bytes)
}

/// Spreads the bits of `value` over all of the result (the finaliser of splitmix64).
pub fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
