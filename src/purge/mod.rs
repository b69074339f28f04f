//! Purges: what names a set of versions, and the epochs that make them unusable.
//!
//! A purge is a number. It enters the table, and is acknowledged, before any request that arrives afterwards is
//! answered; a version is purged if its fetch began under an older number than the newest purge that names it.

mod journal;
mod recorder;
mod table;

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

pub use journal::{FILE as JOURNAL_FILE, Journal, Replay, Reserve};
pub use recorder::Recorder;

use table::Table;

/// The number of a purge, and the number of the newest purge at some moment. The first purge is 1.
pub type Epoch = u64;

/// What a purge names. The hashes are those of [`crate::cache::Secret`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// One URL, all its variants, over clear text and TLS.
    Url(u128),
    /// Every version that carries the tag.
    Tag(u128),
    /// Every URL whose `host/path?query` begins with this text.
    Prefix(Box<str>),
    /// Every version of the site of this name.
    Site(Box<str>),
    /// Everything.
    All,
}

/// How a purge treats what it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Never served again and never used to validate.
    Hard,
    /// Stale from now on: served while it is revalidated, or when the origin fails, where policy allows.
    Soft,
}

/// The names by which purges can know one version.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// Hash of the URL.
    pub url: u128,
    /// `host/path?query`.
    pub text: &'a str,
    /// The site's name.
    pub site: &'a str,
    /// Hashes of the tags; `None` before the response head is known, when any tag may turn out to be carried.
    pub tags: Option<&'a [u128]>,
}

/// What the purges since an epoch mean for a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// None names it.
    Untouched,
    /// A soft purge names it.
    Soft,
    /// A hard purge names it.
    Hard,
}

/// All purges that still matter.
#[derive(Debug, Default)]
pub struct Purges {
    latest: AtomicU64,
    table: RwLock<Table>,
}

impl Purges {
    /// The newest epoch. Taken before a fetch begins, it is the epoch of what that fetch stores.
    pub fn latest(&self) -> Epoch {
        self.latest.load(Ordering::SeqCst)
    }

    /// Enters a purge; when this returns no request that arrives later is answered with what it names.
    pub fn purge(&self, selector: &Selector, mode: Mode) -> Epoch {
        let mut table = self.table.write();
        let epoch = self.latest.load(Ordering::SeqCst) + 1;
        table.enter(selector, mode, epoch);
        self.latest.store(epoch, Ordering::SeqCst);
        epoch
    }

    /// What the purges after `since` mean for the version of these names.
    pub fn verdict(&self, names: &Names<'_>, since: Epoch) -> Verdict {
        if self.latest() == since {
            return Verdict::Untouched;
        }
        self.table.read().verdict(names, since)
    }

    /// How many purges the table remembers.
    pub fn remembered(&self) -> usize {
        self.table.read().len()
    }

    /// Forgets purges up to and including `epoch`. What began earlier and has not been checked since counts as purged.
    pub fn forget_through(&self, epoch: Epoch) {
        self.table.write().forget_through(epoch);
    }
}
