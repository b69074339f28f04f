//! What was seen not long ago, in a few bytes.

use std::sync::atomic::{AtomicU32, Ordering};

/// Remembers ids, each under a place that follows from it until another that has the same place is seen.
#[derive(Debug)]
pub struct Seen {
    /// A piece of the id that was seen last.
    places: Box<[AtomicU32]>,
}

impl Seen {
    /// Room for so many ids, four bytes each.
    pub fn new(places: u64) -> Seen {
        Seen {
            places: (0..places).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    /// Whether `id`, which is evenly spread, was seen not long ago; from now on it has been.
    pub fn again(&self, id: u128) -> bool {
        let piece = (id >> 32) as u32 | 1;
        let place = self.places.get((id % self.places.len().max(1) as u128) as usize);
        place.is_some_and(|place| place.swap(piece, Ordering::Relaxed) == piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_there_are_places() {
        let ids: Vec<u128> = (1..1000u128).map(|id| id << 64 | id << 32 | id).collect();
        for (places, remembered) in [(1000, ids.len()), (100, 0), (0, 0)] {
            let seen = Seen::new(places);
            assert!(!ids.iter().any(|id| seen.again(*id)));
            assert_eq!(ids.iter().filter(|id| seen.again(**id)).count(), remembered);
        }
    }
}
