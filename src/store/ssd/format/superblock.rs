//! The superblock: what a store is, in two copies of one file.

use std::fmt;

use super::{Fields, VERSION};
use crate::device::checksum;

/// Bytes of one copy.
const COPY: usize = 4096;
const MAGIC: u64 = u64::from_le_bytes(*b"VrgStore");
/// Bytes that are used of a copy.
const USED: usize = 96;

/// What a store is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Store {
    /// No two stores share one.
    pub id: u128,
    /// The secret of the hashes that records are named by.
    pub secret: [u8; 16],
    /// The seed of its checksums. It is secret too, so that nothing that is stored can look like a record.
    pub seed: u64,
    /// Bytes that its files may have together.
    pub size: u64,
    /// Epochs up to and including this one may have been given out.
    pub epochs_reserved: u64,
    /// How often it was opened.
    pub starts: u64,
    /// It was so late at least, in milliseconds since 1970.
    pub latest: u64,
}

/// Secrets are not shown.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("id", &self.id)
            .field("size", &self.size)
            .field("epochs_reserved", &self.epochs_reserved)
            .finish_non_exhaustive()
    }
}

/// Why a superblock cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It is of another version of the format.
    Version(u32),
    /// Neither copy is right.
    Damaged,
}

impl Store {
    /// The file's content.
    pub fn write(&self) -> Vec<u8> {
        let mut copy = vec![0; COPY];
        copy[8..16].copy_from_slice(&MAGIC.to_le_bytes());
        copy[16..20].copy_from_slice(&VERSION.to_le_bytes());
        copy[24..40].copy_from_slice(&self.id.to_le_bytes());
        copy[40..56].copy_from_slice(&self.secret);
        let numbers = [self.seed, self.size, self.epochs_reserved, self.starts, self.latest];
        for (at, number) in (56..).step_by(8).zip(numbers) {
            copy[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        let sum = checksum(0, &copy[8..]);
        copy[..8].copy_from_slice(&sum.to_le_bytes());
        copy.repeat(2)
    }

    /// What the file says.
    pub fn read(content: &[u8]) -> Result<Store, Unreadable> {
        let copies = || content.chunks(COPY).take(2);
        if let Some(store) = copies().find_map(Store::read_copy) {
            return Ok(store);
        }
        let version = copies().find_map(version_of).filter(|version| *version != VERSION);
        Err(version.map_or(Unreadable::Damaged, Unreadable::Version))
    }

    /// Whether each copy of a file is right.
    pub fn copies_are_right(content: &[u8]) -> [bool; 2] {
        [0, COPY].map(|at| {
            let copy = content.get(at..at + COPY);
            copy.is_some_and(|copy| Store::read_copy(copy).is_some())
        })
    }

    fn read_copy(copy: &[u8]) -> Option<Store> {
        if copy.len() != COPY || version_of(copy)? != VERSION {
            return None;
        }
        let mut fields = Fields(&copy[24..USED]);
        let store = Store {
            id: fields.u128()?,
            secret: fields.take()?,
            seed: fields.u64()?,
            size: fields.u64()?,
            epochs_reserved: fields.u64()?,
            starts: fields.u64()?,
            latest: fields.u64()?,
        };
        let sum = u64::from_le_bytes(*copy.first_chunk()?);
        (sum == checksum(0, &copy[8..])).then_some(store)
    }
}

fn version_of(copy: &[u8]) -> Option<u32> {
    let mut fields = Fields(copy.get(8..20)?);
    (fields.u64()? == MAGIC).then(|| fields.u32()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: Store = Store {
        id: 1,
        secret: [2; 16],
        seed: 3,
        size: 4,
        epochs_reserved: 5,
        starts: 6,
        latest: 7,
    };

    #[test]
    fn one_copy_is_enough() {
        let content = STORE.write();
        assert_eq!(Store::read(&content), Ok(STORE));
        for at in [0, 9, 16, 30, 45, 60, 70, 75, 4000] {
            let mut flipped = content.clone();
            flipped[at] ^= 1;
            assert_eq!(Store::read(&flipped), Ok(STORE), "byte {at}");
            flipped[COPY + at] ^= 1;
            assert!(Store::read(&flipped).is_err(), "byte {at} of both");
        }
    }

    #[test]
    fn other_versions_are_known_as_such() {
        let mut content = STORE.write();
        for copy in content.chunks_mut(COPY) {
            copy[16] = 9;
        }
        assert_eq!(Store::read(&content), Err(Unreadable::Version(9)));
        for content in [&b""[..], b"anything", &[0; 3 * COPY]] {
            assert_eq!(Store::read(content), Err(Unreadable::Damaged));
        }
        assert!(!format!("{STORE:?}").contains("seed"));
    }
}
