//! Writing purges to the journal without holding up who serves: they wait in a queue, and all that wait share a sync.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::{Epoch, Journal, Mode, Purges, Selector};

/// Purges that may wait; who brings more writes them himself.
const MOST: usize = 65_536;

/// Whoever waits for a purge to be on the device is told here.
type Told = oneshot::Sender<io::Result<()>>;

/// A purge that is to be written.
struct Entry {
    epoch: Epoch,
    selector: Selector,
    mode: Mode,
    told: Option<Told>,
}

/// The journal of purges, and what waits to be written there.
pub struct Recorder {
    journal: Journal,
    purges: Arc<Purges>,
    waiting: Mutex<Waiting>,
    work: Condvar,
}

#[derive(Default)]
struct Waiting {
    entries: Vec<Entry>,
    end: bool,
}

impl Recorder {
    /// A recorder of `purges`, which `journal` has been replayed into.
    pub fn new(journal: Journal, purges: Arc<Purges>) -> Recorder {
        Recorder {
            journal,
            purges,
            waiting: Mutex::default(),
            work: Condvar::new(),
        }
    }

    /// Has a purge that is in the table written. Gives word when it is on the device, or that it cannot be.
    pub fn record(&self, epoch: Epoch, selector: &Selector, mode: Mode) -> oneshot::Receiver<io::Result<()>> {
        let (told, telling) = oneshot::channel();
        self.take(epoch, selector, mode, Some(told));
        telling
    }

    /// The same, where nobody waits for it.
    pub fn note(&self, epoch: Epoch, selector: &Selector, mode: Mode) {
        self.take(epoch, selector, mode, None);
    }

    fn take(&self, epoch: Epoch, selector: &Selector, mode: Mode, told: Option<Told>) {
        let mut waiting = self.waiting.lock();
        waiting.entries.push(Entry {
            epoch,
            selector: selector.clone(),
            mode,
            told,
        });
        let too_many = waiting.entries.len() > MOST;
        self.work.notify_one();
        drop(waiting);
        if too_many {
            self.write();
        }
    }

    /// Writes all that waits, and tells whoever waits for it. `false`: nothing waited.
    pub fn write(&self) -> bool {
        let entries = std::mem::take(&mut self.waiting.lock().entries);
        if entries.is_empty() {
            return false;
        }
        let journal = &self.journal;
        let noted = entries
            .iter()
            .try_for_each(|entry| journal.note(entry.epoch, &entry.selector, entry.mode));
        let awaited = entries.iter().any(|entry| entry.told.is_some());
        let written = noted.and_then(|()| if awaited { journal.sync() } else { Ok(()) });
        for told in entries.into_iter().filter_map(|entry| entry.told) {
            let failed = |error: &io::Error| io::Error::new(error.kind(), error.to_string());
            _ = told.send(written.as_ref().copied().map_err(failed));
        }
        if journal.is_to_be_compacted() {
            // It is tried again with the next purge.
            let _ = journal.compact(&self.purges);
        }
        true
    }

    /// Writes what comes, on a thread of its own, until [`Recorder::end`].
    pub fn start(self: &Arc<Self>) -> io::Result<JoinHandle<()>> {
        let recorder = Arc::clone(self);
        let thread = std::thread::Builder::new().name("verge-purges".to_owned());
        thread.spawn(move || while recorder.wait() {})
    }

    fn wait(&self) -> bool {
        let mut waiting = self.waiting.lock();
        while waiting.entries.is_empty() && !waiting.end {
            self.work.wait(&mut waiting);
        }
        let end = waiting.end;
        drop(waiting);
        self.write();
        if end {
            let _ = self.journal.sync();
        }
        !end
    }

    /// Nothing comes any more: the thread ends when it has written what there is.
    pub fn end(&self) {
        self.waiting.lock().end = true;
        self.work.notify_all();
    }
}
