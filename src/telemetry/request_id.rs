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
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = [0; 32];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(self.0.to_be_bytes()) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        hex
    }
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
        let id = RequestId(0x0123_4567_89ab_cdef << 64 | 0xfe);
        assert_eq!(&id.hex(), b"0123456789abcdef00000000000000fe");
    }
}
