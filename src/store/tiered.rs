//! The tier below RAM as the cache sees it: one disk or several, what is admitted to them, and reads that hold nobody up.

mod admission;
mod quota;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::ssd::{CheckedRecord, Found, Record, Ssd, State, Wanted};
use crate::device::mix;
use crate::purge::{Epoch, Reserve};
use crate::telemetry::Count;

pub use admission::{Admission, Rule};

use quota::Quotas;

/// A disk, and what the operator calls it.
pub struct DiskStore {
    /// Its folder.
    pub path: String,
    /// What is on it.
    pub ssd: Ssd,
}

/// The disks below RAM.
pub struct Tier {
    disks: Vec<DiskStore>,
    admission: Admission,
    quotas: Quotas,
    /// Look-ups that RAM could not answer and this tier did.
    pub hits: Count,
    /// Look-ups that neither could.
    pub misses: Count,
    /// Responses that were not admitted.
    pub not_admitted: Count,
}

impl Tier {
    /// A tier of these disks, of which there is at least one, and which share a secret.
    pub fn new(disks: Vec<DiskStore>, admission: Admission) -> Tier {
        let capacity = disks.iter().map(|disk| disk.ssd.capacity()).sum();
        Tier {
            quotas: Quotas::new(capacity),
            admission: admission.sized(capacity),
            disks,
            hits: Count::default(),
            misses: Count::default(),
            not_admitted: Count::default(),
        }
    }

    /// The disks.
    pub fn disks(&self) -> &[DiskStore] {
        &self.disks
    }

    /// The disk of a name: the one on which its own number is highest, so that a disk more or less moves only its share.
    fn disk(&self, name: u128) -> &Ssd {
        let number = |disk: &&DiskStore| mix(name as u64 ^ disk.ssd.id() as u64);
        let of = match self.disks.as_slice() {
            [only] => Some(only),
            disks => disks.iter().max_by_key(number),
        };
        &of.expect("a tier has a disk").ssd
    }

    /// Whether something of this name and part is probably there.
    pub fn has(&self, name: u128, part: u32) -> bool {
        self.disk(name).has(name, part)
    }

    /// Whether something of this name is there, or may turn out to be, now or after a crash.
    pub fn may_have(&self, name: u128) -> bool {
        let disk = self.disk(name);
        disk.has(name, 0) || !disk.knows_all()
    }

    /// Looks a record up in memory alone.
    pub fn try_read(&self, wanted: &Wanted) -> Found {
        self.disk(wanted.name).try_read(wanted)
    }

    /// Looks up a record that [`Tier::try_read`] did not find in memory, however long that takes; what recovery may still find is
    /// waited for within its bound.
    pub async fn read(self: Arc<Self>, wanted: Wanted) -> Option<CheckedRecord> {
        let disk = self.disk(wanted.name);
        loop {
            match read_on_device(disk, wanted.clone()).await {
                Found::Record(record) => return Some(record),
                Found::NotYet => recovered(disk).await,
                Found::Absent | Found::OnDevice => return None,
            }
        }
    }

    /// From now on these sites may have so many bytes each; the others as many as there are.
    pub fn set_quotas(&self, quotas: HashMap<Arc<str>, u64>) {
        self.quotas.set(quotas);
    }

    /// Whether what would be stored under `id` for `site`, of so many bytes, is to be kept here.
    pub fn admits(&self, id: u128, site: &str, bytes: u64, now: Duration) -> bool {
        let has_room = self.disk(id).has_room();
        let admitted = self.admission.admits(id, has_room, now) && self.quotas.have_room(site, bytes);
        if !admitted {
            self.not_admitted.up();
        }
        admitted
    }

    /// Whether what is in RAM and not here is worth keeping here because it was asked for again.
    pub fn admits_on_a_hit(&self, site: &str, bytes: u64, now: Duration) -> bool {
        self.admission.admits_on_a_hit(now) && self.quotas.have_room(site, bytes)
    }

    /// Takes a record of a site to be stored. Never waits; whether there was room for it, the disk's figures say.
    pub fn put(&self, record: Record, site: &str) {
        self.quotas.wrote(site, record.bytes() as u64);
        self.admission.wrote(record.bytes() as u64);
        let _ = self.disk(record.name).put(record);
    }

    /// Takes out what is stored under a name.
    pub fn remove(&self, name: u128, part: u32) {
        self.disk(name).remove(name, part);
    }

    /// Notes that what is stored under a name was used, here or in RAM: it is kept for longer.
    pub fn hit(&self, name: u128, part: u32) {
        self.disk(name).hit(name, part);
    }

    /// The longest body that is taken, in bytes: one may not drive out most of all others.
    pub fn largest_body(&self) -> u64 {
        let sizes = self.disks.iter().map(|disk| disk.ssd.capacity());
        sizes.min().unwrap_or(0) / 4
    }

    /// The oldest epoch of any record on any disk.
    pub fn oldest_epoch(&self) -> Epoch {
        let oldest = self.disks.iter().map(|disk| disk.ssd.oldest_epoch());
        oldest.min().unwrap_or(Epoch::MAX)
    }

    /// The latest time that is known to have been before the start, in milliseconds since 1970.
    pub fn latest(&self) -> u64 {
        self.disks.iter().map(|disk| disk.ssd.latest()).max().unwrap_or(0)
    }

    /// How often any disk was opened.
    pub fn starts(&self) -> u64 {
        self.disks.iter().map(|disk| disk.ssd.starts()).max().unwrap_or(0)
    }

    /// Whether a disk cannot be read any more.
    pub fn has_failed(&self) -> bool {
        let failed = |disk: &DiskStore| matches!(disk.ssd.state(), State::Failed { .. });
        self.disks.iter().any(failed)
    }
}

/// Reads on the device's own threads. Where too much waits for them already, there is nothing.
async fn read_on_device(disk: &Ssd, wanted: Wanted) -> Found {
    let (told, telling) = oneshot::channel();
    let taken = disk.read(wanted, move |found| _ = told.send(found));
    match taken {
        true => telling.await.unwrap_or(Found::Absent),
        false => Found::Absent,
    }
}

/// Waits until recovery is over or not to be waited for any more.
async fn recovered(disk: &Ssd) {
    let (told, telling) = oneshot::channel();
    disk.when_recovered(move || _ = told.send(()));
    let _ = telling.await;
}

/// Epochs are reserved on every disk: each may be the only one that is left.
impl Reserve for Tier {
    fn reserved(&self) -> Epoch {
        let reserved = self.disks.iter().map(|disk| disk.ssd.epochs_reserved());
        reserved.max().unwrap_or(0)
    }

    fn reserve(&self, through: Epoch) -> std::io::Result<()> {
        self.disks.iter().try_for_each(|disk| disk.ssd.reserve_epochs(through))
    }
}

impl std::fmt::Debug for Tier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let paths = self.disks.iter().map(|disk| &disk.path);
        f.debug_list().entries(paths).finish()
    }
}
