//! Opening a folder: taking it, reading what it is, and finding its segments. Little enough that serving can begin.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use super::checkpoint::{self, Checkpoint};
use super::engine::{Engine, Position};
use super::format::{SEGMENT_HEADER, Store, Unreadable, VERSION};
use super::segments::{Segment, file_name, segment_of};
use super::settings::Settings;
use crate::device::{Device, Listed, read_whole, replace};

/// Its file.
pub(super) const SUPERBLOCK: &str = "superblock";
/// Bytes that a superblock has at most.
pub(super) const MOST: u64 = 64 * 1024;

/// Why a folder cannot be used. Each says what would help.
#[derive(Debug)]
pub enum OpenError {
    /// Another process has it.
    Locked,
    /// There is no store in it.
    NoStore,
    /// It was written in another version of the format.
    Version {
        /// That version.
        found: u32,
    },
    /// What it is cannot be read any more.
    Damaged,
    /// It is to be smaller than a store can be.
    TooSmall {
        /// Bytes that it has to have.
        least: u64,
    },
    /// The device does not do what is asked of it.
    Device {
        /// What was asked.
        what: &'static str,
        /// What it said.
        error: io::Error,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Locked => {
                f.write_str("another process uses this folder: end it, or give this one another folder")
            }
            OpenError::NoStore => {
                f.write_str("no cache is in this folder: name the one that [cache] ssd or --ssd names")
            }
            OpenError::Version { found } => write!(
                f,
                "the folder is of version {found} of the format, and this program knows {VERSION}: use the program that \
                 wrote it, or empty the folder"
            ),
            OpenError::Damaged => f.write_str("the superblock is damaged in both its copies: empty the folder"),
            OpenError::TooSmall { least } => write!(f, "the size is too small: at least {least} bytes"),
            OpenError::Device { what, error } => write!(f, "{what}: {error}: look at the disk and the folder's owner"),
        }
    }
}

impl std::error::Error for OpenError {}

fn device(what: &'static str) -> impl Fn(io::Error) -> OpenError {
    move |error| OpenError::Device { what, error }
}

/// A store that can be used, and what recovery has to go through.
pub struct Opened {
    /// The store.
    pub engine: Arc<Engine>,
    /// The segments that were found, from the oldest to the newest.
    pub segments: Vec<Arc<Segment>>,
    /// The checkpoint that was found.
    pub checkpoint: Option<Checkpoint>,
}

/// Opens the folder `folder`, or makes a store of it if it is none yet. `random` fills a slice with what nobody knows.
pub fn open(
    folder: Arc<dyn Device>,
    settings: Settings,
    now: SystemTime,
    random: impl FnOnce(&mut [u8; 40]) -> io::Result<()>,
) -> Result<Opened, OpenError> {
    if settings.size < settings.least_size() {
        return Err(OpenError::TooSmall {
            least: settings.least_size(),
        });
    }
    if !folder.lock().map_err(device("taking the folder"))? {
        return Err(OpenError::Locked);
    }
    let listed = folder.list().map_err(device("listing the folder"))?;
    let store = match listed.iter().any(|file| file.name == SUPERBLOCK) {
        true => read_superblock(&*folder)?,
        false => make(&*folder, &listed, &settings, random).map_err(device("making a store"))?,
    };
    let store = Store {
        size: settings.size,
        starts: store.starts + 1,
        latest: store.latest.max(milliseconds(now)),
        ..store
    };
    // A read-only medium can still be served from.
    let _ = replace(&*folder, SUPERBLOCK, &store.write());
    let checkpoint = Checkpoint::open(&*folder, store.id, store.seed);
    let segments = open_segments(&*folder, &settings);
    let last = segments.last().map_or(0, |segment| segment.id);
    let noted = checkpoint.as_ref().map_or(0, |checkpoint| {
        let known = checkpoint.segments.iter().map(|known| known.id);
        known.max().unwrap_or(0).max(checkpoint.position.segment)
    });
    let engine = Engine::new(folder, store, settings, last.max(noted) + 1);
    let segments = engine.segments.add(segments);
    if let Some(newest) = segments.last() {
        *engine.position.lock() = Position {
            segment: newest.id,
            at: newest.size(),
        };
    }
    engine.index.recovery_begins();
    Ok(Opened {
        engine: Arc::new(engine),
        segments,
        checkpoint,
    })
}

/// What the superblock of a folder says.
pub(super) fn read_superblock(folder: &dyn Device) -> Result<Store, OpenError> {
    let content = read_whole(folder, SUPERBLOCK, MOST).map_err(device("reading the superblock"))?;
    Store::read(&content).map_err(|why| match why {
        Unreadable::Version(found) => OpenError::Version { found },
        Unreadable::Damaged => OpenError::Damaged,
    })
}

/// Makes a store. What lies there of an older one cannot be read without its superblock.
fn make(
    folder: &dyn Device,
    listed: &[Listed],
    settings: &Settings,
    random: impl FnOnce(&mut [u8; 40]) -> io::Result<()>,
) -> io::Result<Store> {
    let mut bytes = [0; 40];
    random(&mut bytes)?;
    let (id, rest) = bytes.split_at(16);
    let (secret, seed) = rest.split_at(16);
    let store = Store {
        id: id.try_into().map_or(0, u128::from_le_bytes),
        secret: settings.secret.unwrap_or(secret.try_into().unwrap_or_default()),
        seed: seed.try_into().map_or(0, u64::from_le_bytes),
        size: settings.size,
        epochs_reserved: 0,
        starts: 0,
        latest: 0,
    };
    for file in listed {
        if file.name == checkpoint::FILE || segment_of(&file.name).is_some() {
            folder.remove(&file.name)?;
        }
    }
    replace(folder, SUPERBLOCK, &store.write())?;
    Ok(store)
}

/// The segments of a folder, from the oldest to the newest; as many of the newest as there is room for.
fn open_segments(folder: &dyn Device, settings: &Settings) -> Vec<Arc<Segment>> {
    let mut found: Vec<(u64, u64)> = match folder.list() {
        Ok(listed) => listed
            .iter()
            .filter_map(|file| Some((segment_of(&file.name)?, file.size)))
            .collect(),
        Err(_) => Vec::new(),
    };
    found.sort_unstable();
    let mut room = settings.size - settings.segment();
    let mut segments = Vec::new();
    for (id, size) in found.into_iter().rev() {
        let fits = size <= room && size > SEGMENT_HEADER && size <= super::index::MAX_SEGMENT;
        // One that does not fit ends it: nothing older may stay, or what was replaced could be found again.
        room = room.saturating_sub(size);
        match folder.open(&file_name(id)).ok().filter(|_| fits) {
            Some(file) => segments.push(Arc::new(Segment::new(id, file, size, 0))),
            None => _ = folder.remove(&file_name(id)),
        }
    }
    segments.reverse();
    segments
}

impl Engine {
    /// Writes the superblock with more epochs reserved.
    pub fn reserve_epochs(&self, through: u64) -> io::Result<()> {
        self.rewrite_superblock(|store| store.epochs_reserved = store.epochs_reserved.max(through))
    }

    /// Writes the superblock with the time in it, so that a clock that is set back before the next start is known for one.
    pub fn note_time(&self, now: SystemTime) -> io::Result<()> {
        self.rewrite_superblock(|store| store.latest = store.latest.max(milliseconds(now)))
    }

    fn rewrite_superblock(&self, change: impl FnOnce(&mut Store)) -> io::Result<()> {
        let mut store = self.store.lock();
        let mut changed = *store;
        change(&mut changed);
        replace(&*self.device, SUPERBLOCK, &changed.write())?;
        *store = changed;
        Ok(())
    }
}

/// Milliseconds since 1970.
pub fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
