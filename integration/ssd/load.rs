//! What is stored and asked for: sizes, names, and a Zipf distribution, all from numbers.

use bytes::Bytes;
use verge::store::ssd::{Kind, Part, Record, Wanted};

pub const MIB: u64 = 1024 * 1024;

/// Spreads the bits of a number (splitmix64).
pub fn mix(value: u64) -> u64 {
    verge::device::mix(value)
}

/// A number from 0 to 1, which follows from `value`.
fn unit(value: u64) -> f64 {
    (mix(value) >> 11) as f64 / (1u64 << 53) as f64
}

/// The size of an object: log-normal, 36 KiB in the mean, at most 256 KiB.
pub fn size_of(object: u64) -> usize {
    let normal = (0..12).map(|draw| unit(object * 16 + draw)).sum::<f64>() - 6.0;
    let size = (16.0 * 1024.0) * (1.3 * normal).exp();
    (size as usize).clamp(200, 256 * 1024)
}

/// Objects by how often they are asked for.
pub struct Zipf {
    upto: Vec<f64>,
    random: u64,
}

impl Zipf {
    pub fn new(objects: u64, exponent: f64) -> Zipf {
        let mut sum = 0.0;
        let upto = (1..=objects).map(|rank| {
            sum += (rank as f64).powf(-exponent);
            sum
        });
        Zipf {
            upto: upto.collect(),
            random: 1,
        }
    }

    /// The next object that is asked for.
    pub fn next(&mut self) -> u64 {
        self.random += 1;
        let at = unit(self.random) * self.upto.last().copied().unwrap_or(0.0);
        self.upto.partition_point(|upto| *upto < at) as u64
    }
}

pub fn name(object: u64) -> u128 {
    u128::from(mix(object)) << 64 | u128::from(mix(!object))
}

fn key(object: u64) -> Bytes {
    Bytes::from(format!("cdn.example.com/assets/{object:012}.bin"))
}

/// The record of an object whose body is of so many bytes.
pub fn record(object: u64, body: Bytes, meta: usize) -> Record {
    Record {
        kind: Kind::Head,
        name: name(object),
        part: 0,
        key: key(object),
        meta: Bytes::from(vec![b'm'; meta]),
        body,
        epoch: 1,
        generation: object,
        began: 0,
        expires: u64::MAX,
    }
}

pub fn wanted(object: u64) -> Wanted {
    Wanted {
        name: name(object),
        part: 0,
        key: key(object),
        body: Part::Whole,
    }
}
