//! Numbers that look random and can be had again.

/// Xorshift: the same numbers for the same seed.
pub struct Random(u64);

impl Random {
    /// From `VERGE_SEED`, or always the same.
    pub fn new() -> Self {
        let seed = std::env::var("VERGE_SEED").ok().and_then(|seed| seed.parse().ok());
        Random(seed.unwrap_or(0x9e37_79b9_7f4a_7c15).max(1))
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }

    /// Any byte, more often one that means something to a parser.
    pub fn byte(&mut self) -> u8 {
        const LIKELY: &[u8] = b"\r\n\r\n \t:;,/%.0159afAF\0\x7f\xc3#?@[]";
        if self.below(2) == 0 {
            *self.pick(LIKELY)
        } else {
            self.below(256) as u8
        }
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// Changes, inserts, deletes or repeats a few bytes.
    pub fn damage(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..1 + self.below(3) {
            let at = self.below(bytes.len() + 1);
            match self.below(4) {
                0 if at < bytes.len() => bytes[at] = self.byte(),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                2 => {
                    let end = (at + self.below(20)).min(bytes.len());
                    let part = bytes[at..end].to_vec();
                    bytes.splice(at..at, part).for_each(drop);
                }
                _ => bytes.insert(at, self.byte()),
            }
        }
    }
}
