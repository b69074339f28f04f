//! The journal: purges that outlive the process.
//!
//! A purge enters the table, is written here and synced, and is then acknowledged; purges that are written at the same
//! time share a sync. After a restart the journal is replayed before anything that was stored earlier is looked at. What
//! stands in it:
//!
//! ```text
//! header | purge | purge | … | end        each begins at a multiple of 512 bytes, and with its checksum
//! ```
//!
//! The end is written with every purge and gives way to the next, so that a journal that was cut off is known as such.
//! One that is damaged in any way, or missing, means that everything older is purged. Epochs are reserved in blocks
//! before they are written, elsewhere, so that not even then an epoch is given out twice.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::{Epoch, Mode, Purges, Selector};
use crate::device::{Device, File, checksum, read_whole, replace};
use crate::planted::{self, Bug};

/// Its file.
pub const FILE: &str = "purges";
/// Bytes that it may have; a larger one is taken for damaged.
const MOST: u64 = 1 << 30;
/// Entries begin at multiples of this, in bytes: what a disk writes whole or not at all.
const SECTOR: usize = 512;
/// Epochs that are reserved at a time.
const BLOCK: Epoch = 4096;
/// A journal is not compacted before it has so many bytes.
const COMPACTED_FROM: u64 = 1024 * 1024;

const VERSION: u32 = 1;
const MAGIC: u32 = u32::from_le_bytes(*b"VrgP");
/// Bytes of an entry before its text or hash.
const FIXED: usize = 40;

/// Where epochs are reserved: the superblocks of all folders whose records carry them.
pub trait Reserve: Send + Sync {
    /// Epochs up to and including this one may have been given out.
    fn reserved(&self) -> Epoch;

    /// Reserves the epochs up to and including `through`; on the device when this returns.
    fn reserve(&self, through: Epoch) -> io::Result<()>;
}

/// What a journal says at the start.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// The purges, in the order in which they were written.
    pub purges: Vec<(Epoch, Selector, Mode)>,
    /// No epoch up to and including this one is given out again.
    pub latest: Epoch,
    /// What began before this epoch, and has not been checked since, counts as purged.
    pub forgotten: Epoch,
    /// Why everything older is purged, if it is.
    pub damaged: Option<&'static str>,
}

impl Replay {
    /// What the journal of a folder says, where the epochs up to `reserved` may have been given out. Changes nothing.
    pub fn of(device: &dyn Device, reserved: Epoch) -> Replay {
        replay(device, reserved)
    }
}

/// The journal of purges.
pub struct Journal {
    device: Arc<dyn Device>,
    reserve: Arc<dyn Reserve>,
    reserved: AtomicU64,
    /// How many entries are on the device. Taken before `written`.
    synced: Mutex<u64>,
    written: Mutex<Written>,
}

struct Written {
    /// Nothing if the file could not be made; that is tried again.
    file: Option<Arc<dyn File>>,
    /// Where the end stands.
    at: u64,
    /// Entries since the start, those of files before it included.
    count: u64,
    /// Where the end stood when the file was made.
    compacted: u64,
}

impl Journal {
    /// Opens the journal of a folder, and says what is in it.
    pub fn open(device: Arc<dyn Device>, reserve: Arc<dyn Reserve>) -> (Journal, Replay) {
        let reserved = reserve.reserved();
        let replay = replay(&*device, reserved);
        let journal = Journal {
            device,
            reserved: AtomicU64::new(reserved),
            reserve,
            synced: Mutex::new(0),
            written: Mutex::new(Written {
                file: None,
                at: 0,
                count: 0,
                compacted: 0,
            }),
        };
        let purges = replay
            .purges
            .iter()
            .map(|(epoch, selector, mode)| (*epoch, selector, *mode));
        let _ = journal.rewrite(&mut journal.written.lock(), replay.forgotten, purges);
        // Ahead of the first purge, because what is fetched after it carries its number, maybe before that is written. If
        // it fails, so does the first purge.
        let _ = journal.reserve_for(replay.latest);
        (journal, replay)
    }

    /// Writes a purge; on the device when this returns. Fails if it is not, and it must not be acknowledged.
    pub fn record(&self, epoch: Epoch, selector: &Selector, mode: Mode) -> io::Result<()> {
        let mine = self.append(epoch, selector, mode)?;
        self.sync_through(mine)
    }

    /// Writes a purge that nobody waits for. [`Journal::sync`] puts it on the device.
    pub fn note(&self, epoch: Epoch, selector: &Selector, mode: Mode) -> io::Result<()> {
        self.append(epoch, selector, mode).map(|_| ())
    }

    /// Puts what was noted on the device.
    pub fn sync(&self) -> io::Result<()> {
        let count = self.written.lock().count;
        self.sync_through(count)
    }

    fn append(&self, epoch: Epoch, selector: &Selector, mode: Mode) -> io::Result<u64> {
        self.reserve_for(epoch)?;
        let mut written = self.written.lock();
        let file = written
            .file
            .clone()
            .ok_or_else(|| io::Error::other("there is no journal"))?;
        let mut bytes = Vec::with_capacity(2 * SECTOR);
        write_purge(&mut bytes, written.at, epoch, selector, mode);
        let length = bytes.len() as u64;
        write_entry(&mut bytes, written.at, Kind::End, 0, 0, &[]);
        file.write_at(written.at, &bytes)?;
        written.at += length;
        written.count += 1;
        Ok(written.count)
    }

    /// Before an epoch is written, or given out soon: no later start will give it out again.
    fn reserve_for(&self, epoch: Epoch) -> io::Result<()> {
        if epoch.saturating_add(BLOCK / 2) > self.reserved.load(Ordering::Acquire) {
            let through = epoch.saturating_add(BLOCK);
            self.reserve.reserve(through)?;
            self.reserved.fetch_max(through, Ordering::AcqRel);
        }
        Ok(())
    }

    fn sync_through(&self, mine: u64) -> io::Result<()> {
        let mut synced = self.synced.lock();
        if *synced >= mine {
            return Ok(());
        }
        let (file, count) = {
            let written = self.written.lock();
            (written.file.clone(), written.count)
        };
        file.ok_or_else(|| io::Error::other("there is no journal"))?.sync()?;
        *synced = count;
        Ok(())
    }

    /// Whether much of it says nothing any more, or it could not be written so far.
    pub fn is_to_be_compacted(&self) -> bool {
        let written = self.written.lock();
        written.file.is_none() || written.at > COMPACTED_FROM.max(2 * written.compacted)
    }

    /// Writes a new one with what `purges` remembers, in place of the old one.
    pub fn compact(&self, purges: &Purges) -> io::Result<()> {
        let mut synced = self.synced.lock();
        let mut written = self.written.lock();
        // All that was written is in the table, for it entered that before.
        let (forgotten, remembered) = purges.remember();
        let remembered = remembered
            .iter()
            .map(|(epoch, selector, mode)| (*epoch, selector, *mode));
        self.rewrite(&mut written, forgotten, remembered)?;
        *synced = written.count;
        Ok(())
    }

    fn rewrite<'a>(
        &self,
        written: &mut Written,
        forgotten: Epoch,
        purges: impl Iterator<Item = (Epoch, &'a Selector, Mode)>,
    ) -> io::Result<()> {
        let mut bytes = Vec::new();
        write_entry(&mut bytes, 0, Kind::Header, forgotten, 0, &VERSION.to_le_bytes());
        for (epoch, selector, mode) in purges {
            write_purge(&mut bytes, 0, epoch, selector, mode);
        }
        let at = bytes.len() as u64;
        write_entry(&mut bytes, 0, Kind::End, 0, 0, &[]);
        let file = replace(&*self.device, FILE, &bytes)?;
        *written = Written {
            file: Some(file),
            at,
            count: written.count,
            compacted: at,
        };
        Ok(())
    }
}

impl Purges {
    /// The purges that a journal remembers.
    pub fn restored(replay: &Replay) -> Purges {
        let purges = Purges::default();
        if !planted::is(Bug::ForgottenPurges) {
            let mut table = purges.table.write();
            for (epoch, selector, mode) in &replay.purges {
                table.enter(selector, *mode, *epoch);
            }
            table.forget_through(replay.forgotten);
        }
        purges.latest.store(replay.latest, Ordering::SeqCst);
        purges
    }

    /// What it has forgotten, and what it remembers, for the journal.
    fn remember(&self) -> (Epoch, Vec<(Epoch, Selector, Mode)>) {
        let table = self.table.read();
        let mut remembered = Vec::with_capacity(table.len());
        table.each(|epoch, selector, mode| remembered.push((epoch, selector, mode)));
        (table.forgotten(), remembered)
    }
}

// The bytes.

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Header,
    End,
    Url,
    Tag,
    Prefix,
    Site,
    All,
}

const KINDS: [Kind; 7] = [
    Kind::Header,
    Kind::End,
    Kind::Url,
    Kind::Tag,
    Kind::Prefix,
    Kind::Site,
    Kind::All,
];

impl Kind {
    fn number(self) -> u8 {
        KINDS.iter().position(|kind| *kind == self).unwrap_or_default() as u8
    }
}

fn write_purge(out: &mut Vec<u8>, base: u64, epoch: Epoch, selector: &Selector, mode: Mode) {
    let mode = match mode {
        Mode::Hard => 0,
        Mode::Soft => 1,
    };
    match selector {
        Selector::Url(url) => write_entry(out, base, Kind::Url, epoch, mode, &url.to_le_bytes()),
        Selector::Tag(tag) => write_entry(out, base, Kind::Tag, epoch, mode, &tag.to_le_bytes()),
        Selector::Prefix(prefix) => write_entry(out, base, Kind::Prefix, epoch, mode, prefix.as_bytes()),
        Selector::Site(site) => write_entry(out, base, Kind::Site, epoch, mode, site.as_bytes()),
        Selector::All => write_entry(out, base, Kind::All, epoch, mode, &[]),
    }
}

/// Appends an entry to `out`, which begins at `base` in the file. Its checksum is of its place, too.
fn write_entry(out: &mut Vec<u8>, base: u64, kind: Kind, epoch: Epoch, mode: u8, what: &[u8]) {
    let from = out.len();
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&MAGIC.to_le_bytes());
    out.extend_from_slice(&[kind.number(), mode, 0, 0]);
    out.extend_from_slice(&epoch.to_le_bytes());
    out.extend_from_slice(&(what.len() as u64).to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(what);
    let sum = checksum(base + from as u64, &out[from + 8..]);
    out[from..from + 8].copy_from_slice(&sum.to_le_bytes());
    out.resize(out.len().next_multiple_of(SECTOR), 0);
}

struct Entry<'a> {
    kind: Kind,
    epoch: Epoch,
    mode: Mode,
    what: &'a [u8],
    /// Bytes up to the next one.
    length: usize,
}

/// The entry at `at` of the file, if it is right.
fn read_entry(file: &[u8], at: usize) -> Option<Entry<'_>> {
    let fixed = file.get(at..)?.first_chunk::<FIXED>()?;
    let number = |from: usize| fixed[from..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    let length = usize::try_from(number(24)?).ok()?;
    let end = at.checked_add(FIXED)?.checked_add(length)?;
    let right = fixed[8..12] == MAGIC.to_le_bytes() && number(0)? == checksum(at as u64, file.get(at + 8..end)?);
    let mode = match fixed[13] {
        0 => Mode::Hard,
        _ => Mode::Soft,
    };
    right.then_some(Entry {
        kind: *KINDS.get(usize::from(fixed[12]))?,
        epoch: number(16)?,
        mode,
        what: &file[at + FIXED..end],
        length: (FIXED + length).next_multiple_of(SECTOR),
    })
}

impl Entry<'_> {
    /// The purge that it is.
    fn purge(&self) -> Option<(Epoch, Selector, Mode)> {
        let hash = || self.what.try_into().ok().map(u128::from_le_bytes);
        let text = || std::str::from_utf8(self.what).ok().map(Box::from);
        let selector = match self.kind {
            Kind::Url => Selector::Url(hash()?),
            Kind::Tag => Selector::Tag(hash()?),
            Kind::Prefix => Selector::Prefix(text()?),
            Kind::Site => Selector::Site(text()?),
            Kind::All => Selector::All,
            Kind::Header | Kind::End => return None,
        };
        Some((self.epoch, selector, self.mode))
    }
}

/// What the journal of a folder says, where the epochs up to `reserved` may have been given out.
fn replay(device: &dyn Device, reserved: Epoch) -> Replay {
    let read = match read_whole(device, FILE, MOST) {
        Ok(content) => parse(&content).ok_or("the journal of purges is damaged"),
        Err(error) if error.kind() == io::ErrorKind::NotFound && reserved == 0 => Ok(Replay::default()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err("the journal of purges is missing"),
        Err(_) => Err("the journal of purges cannot be read"),
    };
    match read {
        Ok(mut replay) => {
            let newest = replay.purges.iter().map(|(epoch, ..)| *epoch).max();
            replay.latest = reserved.max(replay.forgotten).max(newest.unwrap_or(0));
            replay
        }
        Err(why) => Replay {
            purges: vec![(reserved + 1, Selector::All, Mode::Hard)],
            latest: reserved + 1,
            forgotten: 0,
            damaged: Some(why),
        },
    }
}

fn parse(content: &[u8]) -> Option<Replay> {
    let header =
        read_entry(content, 0).filter(|header| header.kind == Kind::Header && header.what == VERSION.to_le_bytes())?;
    let mut replay = Replay {
        forgotten: header.epoch,
        ..Replay::default()
    };
    let mut at = header.length;
    loop {
        let entry = read_entry(content, at)?;
        if entry.kind == Kind::End {
            return Some(replay);
        }
        replay.purges.push(entry.purge()?);
        at += entry.length;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Names, Verdict};
    use super::*;
    use crate::device::{Faults, Faulty};

    #[derive(Default)]
    struct Reserved(AtomicU64);

    impl Reserve for Reserved {
        fn reserved(&self) -> Epoch {
            self.0.load(Ordering::SeqCst)
        }

        fn reserve(&self, through: Epoch) -> io::Result<()> {
            self.0.fetch_max(through, Ordering::SeqCst);
            Ok(())
        }
    }

    fn selectors() -> Vec<Selector> {
        vec![
            Selector::Url(1),
            Selector::Tag(u128::MAX),
            Selector::Prefix("a.example/ä".into()),
            Selector::Prefix("x".repeat(3000).into()),
            Selector::Site("shop".into()),
            Selector::All,
        ]
    }

    fn open(device: &Faulty, reserved: &Arc<Reserved>) -> (Journal, Replay) {
        Journal::open(Arc::new(device.clone()), Arc::clone(reserved) as Arc<dyn Reserve>)
    }

    /// A journal of each selector, hard and soft, and the purges that it has.
    fn written(device: &Faulty, reserved: &Arc<Reserved>) -> (Journal, Purges) {
        let (journal, replay) = open(device, reserved);
        let purges = Purges::restored(&replay);
        for mode in [Mode::Hard, Mode::Soft] {
            for selector in selectors() {
                let epoch = purges.purge(&selector, mode);
                journal.record(epoch, &selector, mode).unwrap();
            }
        }
        (journal, purges)
    }

    #[test]
    fn what_was_acknowledged_is_replayed_whenever_the_power_fails() {
        for after in 0..60 {
            let (device, reserved) = (Faulty::new(after), Arc::default());
            let (journal, purges) = written(&device, &reserved);
            device.set(Faults {
                power_fails_after: Some(after % 20),
                ..Faults::default()
            });
            let more = (0..20).map_while(|url| {
                let selector = Selector::Url(1000 + url);
                let epoch = purges.purge(&selector, Mode::Hard);
                journal.record(epoch, &selector, Mode::Hard).ok().map(|()| url)
            });
            let acknowledged = more.count();
            let (_, replay) = open(&device.power_cut(), &reserved);
            let restored = Purges::restored(&replay);
            for url in 0..acknowledged as u128 {
                let names = Names {
                    url: 1000 + url,
                    text: "b",
                    site: "b",
                    tags: Some(&[]),
                };
                assert_eq!(
                    restored.verdict(&names, 12),
                    Verdict::Hard,
                    "after {after}, {url} of {acknowledged}"
                );
            }
            assert!(restored.latest() >= purges.latest());
        }
    }

    #[test]
    fn every_selector_is_read_as_it_was_written() {
        let (device, reserved) = (Faulty::new(1), Arc::default());
        let (journal, purges) = written(&device, &reserved);
        let expected: Vec<_> = [Mode::Hard, Mode::Soft]
            .into_iter()
            .flat_map(|mode| selectors().into_iter().map(move |selector| (selector, mode)))
            .zip(1..)
            .map(|((selector, mode), epoch)| (epoch, selector, mode))
            .collect();
        let before = reserved.reserved();
        let (_, replay) = open(&device.kill(), &reserved);
        assert_eq!((&replay.purges, replay.damaged), (&expected, None));
        assert_eq!(replay.latest, before);
        assert!(
            reserved.reserved() > before,
            "what is given out next is reserved before"
        );

        let beyond = 10 * BLOCK;
        journal.record(beyond, &Selector::Url(3), Mode::Hard).unwrap();
        assert!(reserved.reserved() >= beyond);

        purges.forget_through(8);
        journal.compact(&purges).unwrap();
        journal
            .record(
                purges.purge(&Selector::Url(2), Mode::Hard),
                &Selector::Url(2),
                Mode::Hard,
            )
            .unwrap();
        let (_, replay) = open(&device.kill(), &reserved);
        assert_eq!((replay.forgotten, replay.damaged), (8, None));
        let mut left: Vec<_> = replay
            .purges
            .iter()
            .map(|(epoch, ..)| *epoch)
            .filter(|epoch| *epoch > 8)
            .collect();
        left.sort_unstable();
        assert_eq!(left, [9, 10, 11, 12, 13]);
    }

    #[test]
    fn damage_means_that_everything_older_is_purged() {
        let (device, reserved) = (Faulty::new(1), Arc::default());
        let (journal, _) = written(&device, &reserved);
        let size = journal.written.lock().at as usize + FIXED;
        for at in (0..size).step_by(7).chain([size - 1]) {
            let flipped = device.kill();
            let mut was_zero = false;
            flipped.rot(FILE, |bytes| {
                was_zero = bytes[at] == 0 && at % SECTOR >= FIXED;
                bytes[at] ^= 0x20;
            });
            let (_, replay) = open(&flipped, &reserved);
            assert!(replay.damaged.is_some() || was_zero, "byte {at}");
        }
        for length in (0..size).step_by(100) {
            let cut = device.kill();
            cut.rot(FILE, |bytes| bytes.truncate(length));
            let all = (reserved.reserved() + 1, Selector::All, Mode::Hard);
            let (journal, replay) = open(&cut, &reserved);
            assert_eq!(replay.purges, [all], "cut to {length}");
            drop(journal);
            let (_, again) = open(&cut.kill(), &reserved);
            assert_eq!((again.purges.len(), again.damaged), (1, None), "it is remembered");
        }
        let missing = device.kill();
        missing.remove(FILE).unwrap();
        assert!(open(&missing, &reserved).1.damaged.is_some());
    }

    #[test]
    fn what_is_not_on_the_device_is_not_acknowledged() {
        let (device, reserved) = (Faulty::new(1), Arc::default());
        let (journal, purges) = written(&device, &reserved);
        device.set(Faults {
            read_only: true,
            ..Faults::default()
        });
        assert!(journal.record(99, &Selector::All, Mode::Hard).is_err());
        assert!(journal.compact(&purges).is_err());
        device.set(Faults::default());
        journal.record(99, &Selector::All, Mode::Hard).unwrap();
        assert_eq!(open(&device.kill(), &reserved).1.damaged, None);
    }

    #[test]
    fn a_journal_is_compacted_when_much_of_it_is_old() {
        let (device, reserved) = (Faulty::new(1), Arc::default());
        let (journal, purges) = written(&device, &reserved);
        let mut records = 0;
        while !journal.is_to_be_compacted() {
            let epoch = purges.purge(&Selector::Url(1), Mode::Hard);
            journal.note(epoch, &Selector::Url(1), Mode::Hard).unwrap();
            records += 1;
        }
        journal.sync().unwrap();
        assert!(records > 1000);
        journal.compact(&purges).unwrap();
        assert!(!journal.is_to_be_compacted());
        let (_, replay) = open(&device.power_cut(), &reserved);
        assert!(replay.purges.len() <= 12 && replay.latest >= purges.latest());
    }
}
