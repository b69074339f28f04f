//! The tier below RAM: what of the cache goes down to it, and what comes up again.
//!
//! A version is a record of its head, with the body inside if that is small, else with its chunks as records beside it. An
//! index of variants is a record under its key's hash. RAM is asked first; what is in RAM is never older than what is here.

mod down;
mod held;
mod up;

use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use super::key::{Key, KeyParts, Secret};
use super::record;
use crate::clock::Clock;
use crate::device::Device;
use crate::purge::{Epoch, Journal, Purges, Recorder, Replay, Reserve, Verdict};
use crate::store::ssd::{self, Happening, Head as RecordHead, Judge, Kind, OpenError, Ssd, Tell};
use crate::store::tiered::{Admission, DiskStore, Tier};
use crate::telemetry::events::{self, Event};

pub use down::Keeper;
pub use held::Held;
pub use up::Brought;

/// A folder for the tier.
pub struct Folder {
    /// What the operator calls it.
    pub path: String,
    /// Where its files are.
    pub device: Arc<dyn Device>,
    /// Sizes and limits.
    pub settings: ssd::Settings,
}

/// Why a folder cannot be used.
#[derive(Debug)]
pub struct Unusable {
    /// The folder.
    pub path: String,
    /// Why.
    pub why: String,
}

impl std::fmt::Display for Unusable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cache folder {}: {}", self.path, self.why)
    }
}

/// The tier below RAM, and the purges that outlive the process.
pub struct Below {
    /// The disks.
    pub tier: Arc<Tier>,
    /// The journal of purges.
    pub recorder: Arc<Recorder>,
    /// The purges.
    pub purges: Arc<Purges>,
    /// The secret of the hashes that records are named by.
    pub secret: Secret,
    /// Why what was stored before counts as purged, if it does.
    pub damaged: Option<&'static str>,
    writing: Option<JoinHandle<()>>,
}

impl Below {
    /// Opens the folders, the first of which has the journal of purges. Little enough that serving can begin.
    pub fn open(folders: Vec<Folder>, admission: Admission, clock: &Arc<dyn Clock>) -> Result<Below, Unusable> {
        let journal = folders.first().map(|folder| Arc::clone(&folder.device));
        let first = folders.first().map_or_else(String::new, |folder| folder.path.clone());
        let unusable = |why: String| Unusable {
            path: first.clone(),
            why,
        };
        let journal = journal.ok_or_else(|| unusable("there is none".to_owned()))?;
        let known = Known::default();
        let mut disks: Vec<DiskStore> = Vec::new();
        for folder in folders {
            let secret = disks.first().map(|disk| disk.ssd.secret());
            disks.push(open(folder, secret, &known, clock)?);
        }
        let tier = Arc::new(Tier::new(disks, admission));
        let mut below = Below::new(tier, journal, &known);
        below.writing = Some(below.recorder.start().map_err(|error| unusable(error.to_string()))?);
        Ok(below)
    }

    /// The tier with the purges that the folder `journal` has; `known` is what the stores' judges were made with. Nothing
    /// writes the journal but who calls [`Recorder::write`].
    pub fn new(tier: Arc<Tier>, journal: Arc<dyn Device>, known: &Known) -> Below {
        let reserve: Arc<dyn Reserve> = Arc::clone(&tier) as Arc<dyn Reserve>;
        let (journal, replay) = Journal::open(journal, reserve);
        let Replay { damaged, .. } = replay;
        let purges = Arc::new(Purges::restored(&replay));
        let secret = Secret::new(tier.disks()[0].ssd.secret());
        let _ = known.0.set((Arc::clone(&purges), secret));
        Below {
            recorder: Arc::new(Recorder::new(journal, Arc::clone(&purges))),
            tier,
            purges,
            secret,
            damaged,
            writing: None,
        }
    }

    /// The time is not earlier than this, whatever the calendar says.
    fn not_before(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.tier.latest())
    }
}

impl Drop for Below {
    fn drop(&mut self) {
        self.recorder.end();
        if let Some(thread) = self.writing.take() {
            let _ = thread.join();
        }
    }
}

fn open(
    folder: Folder,
    secret: Option<[u8; 16]>,
    known: &Known,
    clock: &Arc<dyn Clock>,
) -> Result<DiskStore, Unusable> {
    let Folder { path, device, settings } = folder;
    let settings = ssd::Settings {
        secret,
        judge: known.judge(Arc::clone(clock)),
        tell: tell_of(&path),
        ..settings
    };
    let opened = Ssd::open(device, settings, Arc::clone(clock)).map_err(|error: OpenError| error.to_string());
    let ssd = match opened {
        Ok(ssd) if secret.is_some_and(|secret| secret != ssd.secret()) => {
            Err("it belongs to another set of folders: empty it".to_owned())
        }
        opened => opened,
    };
    match ssd {
        Ok(ssd) => Ok(DiskStore { path, ssd }),
        Err(why) => Err(Unusable { path, why }),
    }
}

fn tell_of(path: &str) -> Tell {
    let folder = path.to_owned();
    Arc::new(move |happening| {
        let folder = folder.clone();
        events::tell(&match happening {
            Happening::Recovered(records, took) => Event::StoreRecovered {
                folder,
                records: *records,
                milliseconds: took.as_millis(),
            },
            Happening::State(state) => Event::StoreState {
                folder,
                state: state.to_string(),
            },
        });
    })
}

/// What the judges of the stores need to know, which is there only once the stores are.
#[derive(Clone, Default)]
pub struct Known(Arc<OnceLock<(Arc<Purges>, Secret)>>);

impl Known {
    /// Says of a record that would be kept for longer whether it is of use still.
    pub fn judge(&self, clock: Arc<dyn Clock>) -> Judge {
        let known = self.clone();
        Arc::new(move |head, key, meta| {
            let now = crate::store::ssd::milliseconds(clock.now().wall);
            if head.expires < now {
                return None;
            }
            match head.kind {
                Kind::Head => known.epoch_of(head, key, meta),
                // Purges name versions; what belongs to none is not found.
                _ => Some(head.epoch),
            }
        })
    }

    /// The epoch at which a version is known not to be purged; `None` if it is.
    fn epoch_of(&self, head: &RecordHead, key: &[u8], meta: &[u8]) -> Option<Epoch> {
        let Some((purges, secret)) = self.0.get() else {
            return Some(head.epoch);
        };
        let key: Key = secret.stored_key(&KeyParts::from_bytes(key)?);
        let latest = purges.latest();
        let meta = bytes::Bytes::copy_from_slice(meta);
        match record::with_names(&key, &meta, |names| purges.verdict(names, head.epoch))? {
            Verdict::Hard => None,
            Verdict::Soft => Some(head.epoch),
            Verdict::Untouched => Some(latest),
        }
    }
}
