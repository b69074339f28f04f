//! Checkpoints: the index as it stood, so that a start need not read every summary.
//!
//! A checkpoint is only a hint. It says up to which position of the log it is complete; recovery enters what came later
//! first, and then of the checkpoint what nothing later touches. What an entry leads to is checked when it is read, as
//! always. One that is damaged, or of an index of another size, is left aside, and the summaries are read.

use std::io;

use super::engine::{Engine, Position};
use super::format::VERSION;
use super::index::{BUCKET_SLOTS, Entry};
use crate::device::{Device, File, checksum, mix, read_fully};

/// Its file.
pub const FILE: &str = "checkpoint";
const MAGIC: u64 = u64::from_le_bytes(*b"VrgChkpt");
/// Bytes before the table of segments.
const HEADER: usize = 96;
/// Bytes of a segment in the table.
const SEGMENT: usize = 24;
/// Buckets of a block.
const BLOCK_BUCKETS: u64 = 16 * 1024;
const BUCKET: usize = BUCKET_SLOTS * 8;
/// Segments that a table can have.
const MOST_SEGMENTS: u64 = super::index::SEGMENT_SLOTS as u64;

/// A segment, as a checkpoint knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its number.
    pub id: u64,
    /// The slot that entries know it by.
    pub slot: u16,
    /// The oldest epoch of any record in it.
    pub oldest_epoch: u64,
}

/// A checkpoint whose header and table are right.
pub struct Checkpoint {
    file: std::sync::Arc<dyn File>,
    /// Up to where it knows the log.
    pub position: Position,
    /// The segments that there were.
    pub segments: Vec<Known>,
    buckets: u64,
    blocks_at: u64,
    seed: u64,
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.chunks_exact(8).map(|chunk| {
        let number = chunk.first_chunk().copied().unwrap_or_default();
        u64::from_le_bytes(number)
    })
}

fn block_seed(seed: u64, position: Position, block: u64) -> u64 {
    mix(mix(seed ^ position.segment) ^ mix(position.at) ^ block)
}

/// Writes a checkpoint of the index as it is now. Gives how many bytes it has.
pub fn write(engine: &Engine) -> io::Result<u64> {
    // Taken before anything is copied: what is entered later is found in the log behind it.
    let position = *engine.position.lock();
    let temporary = format!("{FILE}.new");
    let _ = engine.device.remove(&temporary);
    let file = engine.device.create(&temporary)?;
    let header = header(engine, position);
    file.write_at(0, &header)?;
    let mut at = header.len() as u64;
    let mut words = vec![0; BLOCK_BUCKETS as usize * BUCKET_SLOTS];
    let mut bytes = Vec::with_capacity(words.len() * 8 + 8);
    for (block, from) in (0..engine.index.buckets()).step_by(BLOCK_BUCKETS as usize).enumerate() {
        let buckets = BLOCK_BUCKETS.min(engine.index.buckets() - from) as usize;
        words.truncate(buckets * BUCKET_SLOTS);
        engine.index.copy(from, &mut words);
        bytes.clear();
        words
            .iter()
            .for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
        let sum = checksum(block_seed(engine.seed, position, block as u64), &bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        file.write_at(at, &bytes)?;
        at += bytes.len() as u64;
    }
    file.sync()?;
    engine.device.rename(&temporary, FILE)?;
    engine.device.sync_names()?;
    engine.counts.written.add(at);
    engine.counts.checkpoint_bytes.add(at);
    Ok(at)
}

fn header(engine: &Engine, position: Position) -> Vec<u8> {
    let segments = engine.segments.all();
    let mut bytes = vec![0; HEADER];
    bytes[8..16].copy_from_slice(&MAGIC.to_le_bytes());
    bytes[16..20].copy_from_slice(&VERSION.to_le_bytes());
    bytes[24..40].copy_from_slice(&engine.id.to_le_bytes());
    let numbers = [
        position.segment,
        position.at,
        engine.index.buckets(),
        segments.len() as u64,
    ];
    for (number, field) in numbers.iter().zip(bytes[40..72].chunks_exact_mut(8)) {
        field.copy_from_slice(&number.to_le_bytes());
    }
    for segment in segments {
        for number in [segment.id, u64::from(segment.slot()), segment.oldest_epoch()] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }
    let table = checksum(engine.seed, &bytes[HEADER..]);
    bytes[72..80].copy_from_slice(&table.to_le_bytes());
    let sum = checksum(engine.seed, &bytes[8..HEADER]);
    bytes[..8].copy_from_slice(&sum.to_le_bytes());
    bytes
}

impl Checkpoint {
    /// The checkpoint of the store `id`, if there is one and its header is right.
    pub fn open(device: &dyn Device, id: u128, seed: u64) -> Option<Checkpoint> {
        let file = device.open(FILE).ok()?;
        let mut header = [0; HEADER];
        if read_fully(&*file, 0, &mut header).ok()? != HEADER {
            return None;
        }
        let right = numbers(&header).next()? == checksum(seed, &header[8..])
            && header[8..16] == MAGIC.to_le_bytes()
            && header[16..20] == VERSION.to_le_bytes()
            && header[24..40] == id.to_le_bytes();
        let mut fields = numbers(&header[40..80]);
        let position = Position {
            segment: fields.next()?,
            at: fields.next()?,
        };
        let (buckets, count, sum) = (fields.next()?, fields.next()?, fields.next()?);
        if !right || count > MOST_SEGMENTS {
            return None;
        }
        let mut table = vec![0; count as usize * SEGMENT];
        let come = read_fully(&*file, HEADER as u64, &mut table).ok()?;
        if come != table.len() || checksum(seed, &table) != sum {
            return None;
        }
        let known = table.chunks_exact(SEGMENT).filter_map(|bytes| {
            let mut fields = numbers(bytes);
            Some(Known {
                id: fields.next()?,
                slot: fields.next()? as u16,
                oldest_epoch: fields.next()?,
            })
        });
        Some(Checkpoint {
            segments: known.collect(),
            file,
            position,
            buckets,
            blocks_at: (HEADER + table.len()) as u64,
            seed,
        })
    }

    /// Whether it is of an index of so many buckets.
    pub fn is_of(&self, buckets: u64) -> bool {
        self.buckets == buckets
    }

    /// Gives every entry with the bucket that it stood in. `false`: a block is damaged, and it is over.
    pub fn each(&self, mut entry: impl FnMut(u64, Entry)) -> bool {
        let mut at = self.blocks_at;
        let mut bytes = Vec::new();
        for (block, from) in (0..self.buckets).step_by(BLOCK_BUCKETS as usize).enumerate() {
            let buckets = BLOCK_BUCKETS.min(self.buckets - from) as usize;
            bytes.resize(buckets * BUCKET + 8, 0);
            let come = read_fully(&*self.file, at, &mut bytes).unwrap_or(0);
            at += bytes.len() as u64;
            let (words, sum) = bytes.split_at(buckets * BUCKET);
            let right =
                numbers(sum).next() == Some(checksum(block_seed(self.seed, self.position, block as u64), words));
            if !right || come != bytes.len() {
                return false;
            }
            for (bucket, slots) in words.chunks_exact(BUCKET).enumerate() {
                let entries = numbers(slots).filter_map(Entry::from_bits);
                entries.for_each(|it| entry(from + bucket as u64, it));
            }
        }
        true
    }
}
