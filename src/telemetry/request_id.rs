//! What a request is called here and at the origin.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

/// What a request is called: unlike all others with overwhelming probability, and no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId(u128);

/// Where a thread's names come from.
#[derive(Clone, Copy)]
struct Source {
    base: [u64; 2],
    count: u64,
}

thread_local! {
    static SOURCE: Cell<Option<Source>> = const { Cell::new(None) };
}

impl RequestId {
    /// A new one. Asks the system for random bytes once a thread.
    pub fn new() -> Self {
        let mut source = SOURCE.get().unwrap_or_else(Source::random);
        source.count = source.count.wrapping_add(1);
        SOURCE.set(Some(source));
        // No two of a thread are alike, because both steps can be undone; those of two threads begin with different bases.
        let low = mix(source.base[0].wrapping_add(source.count.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let high = mix(source.base[1].wrapping_add(low));
        RequestId(u128::from(high) << 64 | u128::from(low))
    }

    /// A number from 0 to below 1, as good as random.
    pub fn share(self) -> f64 {
        (self.0 as u64 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// 32 hexadecimal digits.
    pub fn hex(self) -> [u8; 32] {
        let mut hex = [0; 32];
        for (part, digits) in hex.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            *digits = eight_digits((self.0 >> (96 - 32 * part)) as u32);
        }
        hex
    }
}

/// The hexadecimal digits of a number, all at once in one register.
fn eight_digits(number: u32) -> [u8; 8] {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // A byte a digit.
    let digits = u64::from(number);
    let digits = (digits | digits << 16) & 0x0000_ffff_0000_ffff;
    let digits = (digits | digits << 8) & 0x00ff_00ff_00ff_00ff;
    let digits = (digits | digits << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    let are_letters = ((digits + 6 * ONES) >> 4) & ONES;
    (digits + ONES * u64::from(b'0') + are_letters * u64::from(b'a' - b'0' - 10)).to_be_bytes()
}

impl Default for RequestId {
    fn default() -> Self {
        RequestId::new()
    }
}

impl Source {
    fn random() -> Source {
        // Its keys are the system's random bytes.
        let random = || RandomState::new().hash_one(0);
        Source {
            base: [random(), random()],
            count: 0,
        }
    }
}

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014): what SplitMix64 ends with.
fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_unlike_and_evenly_spread() {
        let many = 10_000;
        let of_a_thread = move || (0..many).map(|_| RequestId::new()).collect::<Vec<_>>();
        let mut ids = of_a_thread();
        ids.extend(std::thread::spawn(of_a_thread).join().unwrap());
        let below = ids.iter().filter(|id| id.share() < 0.1).count();
        assert!((1_500..2_500).contains(&below), "{below}");
        ids.sort_unstable_by_key(|id| id.0);
        ids.dedup();
        assert_eq!(ids.len(), 2 * many);
    }

    #[test]
    fn digits() {
        for number in [0, 1, 0x9a, 0xdead_beef, u32::MAX, 0x0f1e_2d3c] {
            assert_eq!(eight_digits(number), *format!("{number:08x}").as_bytes());
        }
        let id = RequestId(0x0123_4567_89ab_cdef << 64 | 0xfe);
        assert_eq!(&id.hex(), b"0123456789abcdef00000000000000fe");
    }
}
