//! A store whose threads are the test's own, over a folder in memory.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::super::checkpoint;
use super::super::engine::Engine;
use super::super::open::{OpenError, Opened, open};
use super::super::reader::Via;
use super::super::recover::Recovery;
use super::super::writer::Writer;
use super::super::{CheckedRecord, Found, Kind, Part, Record, Settings, Wanted};
use crate::clock::Now;
use crate::device::{Faulty, mix};

pub const KIB: u64 = 1024;

/// A store of so many KiB in segments of so many.
pub fn settings(size: u64, segment: u64) -> Settings {
    Settings {
        segment: Some(segment * KIB),
        entries: Some(4096),
        checkpoint_share: 1.0,
        ..Settings::new(size * KIB)
    }
}

pub fn name(key: u64) -> u128 {
    u128::from(mix(key)) << 64 | u128::from(mix(!key))
}

/// The content of a version of a key: every byte follows from key, version and offset.
pub fn content(key: u64, version: u64, length: usize) -> Bytes {
    let seed = mix(key << 32 ^ version);
    let mut bytes = vec![0; length];
    for (number, word) in bytes.chunks_mut(8).enumerate() {
        let spread = mix(seed ^ number as u64).to_le_bytes();
        word.copy_from_slice(&spread[..word.len()]);
    }
    bytes.into()
}

/// A version of a key.
pub fn record(key: u64, version: u64, length: usize) -> Record {
    Record {
        // A chunk has only ever one content.
        kind: match (version, key % 3) {
            (1, _) => Kind::Chunk,
            (_, 0) => Kind::Index,
            _ => Kind::Head,
        },
        name: name(key),
        part: (key % 5) as u32,
        key: key_text(key),
        meta: Bytes::from(format!("{version} {length}")),
        body: content(key, version, length),
        epoch: version + 100,
        generation: version,
        began: version * 2,
        expires: u64::MAX,
    }
}

fn key_text(key: u64) -> Bytes {
    Bytes::from(format!("host.example/path/{key}"))
}

pub fn wanted(key: u64, body: Part) -> Wanted {
    Wanted {
        name: name(key),
        part: (key % 5) as u32,
        key: key_text(key),
        body,
    }
}

/// The version that a record says it is, if what it has is that version's, byte by byte.
pub fn version_of(key: u64, record: &CheckedRecord) -> Option<u64> {
    let text = std::str::from_utf8(&record.meta).ok()?;
    let (version, length) = text.split_once(' ')?;
    let (version, length) = (version.parse().ok()?, length.parse().ok()?);
    let whole = content(key, version, length);
    let right = record.length == length
        && record.generation == version
        && record.began == version * 2
        && whole.get(record.from..record.from + record.body.len()) == Some(&record.body[..]);
    right.then_some(version)
}

pub struct Rig {
    pub device: Faulty,
    pub engine: Arc<Engine>,
    pub writer: Writer,
    pub recovery: Option<Recovery>,
    settings: Settings,
    elapsed: Duration,
}

impl Rig {
    pub fn open(device: &Faulty, settings: &Settings) -> Result<Rig, OpenError> {
        let random = |bytes: &mut [u8; 40]| {
            bytes.fill(7);
            Ok(())
        };
        let Opened {
            engine,
            segments,
            checkpoint,
        } = open(
            Arc::new(device.clone()),
            settings.clone(),
            SystemTime::UNIX_EPOCH,
            random,
        )?;
        Ok(Rig {
            device: device.clone(),
            writer: Writer::new(&engine),
            recovery: Some(Recovery::new(&engine, segments, checkpoint)),
            engine,
            settings: settings.clone(),
            elapsed: Duration::ZERO,
        })
    }

    pub fn new(seed: u64, settings: &Settings) -> Rig {
        let mut rig = Rig::open(&Faulty::new(seed), settings).unwrap();
        rig.recover();
        rig
    }

    /// The same folder after a restart, recovered.
    pub fn restart(&self, device: &Faulty) -> Rig {
        let mut rig = Rig::open(device, &self.settings).unwrap();
        rig.recover();
        rig
    }

    pub fn recover(&mut self) {
        if let Some(recovery) = self.recovery.take() {
            recovery.run();
        }
    }

    /// One step of recovery.
    pub fn recover_a_little(&mut self) {
        if self.recovery.as_mut().is_some_and(|recovery| !recovery.step()) {
            self.recovery = None;
        }
    }

    pub fn now(&self) -> Now {
        Now {
            monotonic: self.elapsed,
            wall: SystemTime::UNIX_EPOCH + self.elapsed,
        }
    }

    pub fn pass(&mut self, time: Duration) {
        self.elapsed += time;
    }

    pub fn turn(&mut self) {
        let now = self.now();
        self.writer.turn(now);
    }

    /// Writes all that waits and puts it on the device.
    pub fn sync(&mut self) {
        self.turn();
        let now = self.now();
        self.writer.sync_if_due(now, true);
    }

    pub fn seal(&mut self) {
        let now = self.now();
        let _ = self.writer.seal(now);
    }

    pub fn checkpoint(&mut self) -> bool {
        self.engine.is_recovered() && checkpoint::write(&self.engine).is_ok()
    }

    /// The record of a key.
    pub fn read(&self, key: u64, part: Part) -> Option<CheckedRecord> {
        match self.engine.look_up(&wanted(key, part), Via::Device) {
            Found::Record(record) => Some(record),
            _ => None,
        }
    }

    /// The version of a key that is found. Fails if it is none that ever was.
    pub fn version(&self, key: u64) -> Option<u64> {
        let record = self.read(key, Part::Whole)?;
        Some(version_of(key, &record).expect("every byte is right"))
    }
}
