//! The threads that read what is not in memory, so that none that serves ever waits for the device.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};

use super::engine::Engine;
use super::reader::{Found, Via, Wanted};

/// What is told what a read gave, on the thread that read.
pub type Told = Box<dyn FnOnce(Found) + Send>;

/// The threads, and what waits for them.
pub struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    most: usize,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    work: Condvar,
}

#[derive(Default)]
struct Waiting {
    reads: VecDeque<(Wanted, Told)>,
    end: bool,
}

impl Pool {
    /// A pool of no threads yet.
    pub fn new(engine: &Engine) -> Pool {
        Pool {
            shared: Arc::default(),
            threads: Vec::new(),
            most: engine.settings.waiting_reads,
        }
    }

    /// Starts the threads.
    pub fn start(engine: &Arc<Engine>) -> io::Result<Pool> {
        let mut pool = Pool::new(engine);
        for _ in 0..engine.settings.threads.max(1) {
            let (engine, shared) = (Arc::clone(engine), Arc::clone(&pool.shared));
            let thread = std::thread::Builder::new().name("verge-ssd-read".to_owned());
            pool.threads.push(thread.spawn(move || shared.run(&engine))?);
        }
        Ok(pool)
    }

    /// Has something read, and `told` told. `false`: too much waits, and nobody will be told.
    pub fn read(&self, wanted: Wanted, told: Told) -> bool {
        let mut waiting = self.shared.waiting.lock();
        let takes = waiting.reads.len() < self.most && !waiting.end;
        if takes {
            waiting.reads.push_back((wanted, told));
            self.shared.work.notify_one();
        }
        takes
    }

    /// Does what waits longest, if anything does.
    pub fn read_one(&self, engine: &Engine) -> bool {
        let first = self.shared.waiting.lock().reads.pop_front();
        let waited = first.is_some();
        if let Some((wanted, told)) = first {
            told(engine.look_up(&wanted, Via::Device));
        }
        waited
    }

    /// Reads that wait.
    pub fn waiting(&self) -> usize {
        self.shared.waiting.lock().reads.len()
    }
}

/// What still waits is told that there is nothing.
impl Drop for Pool {
    fn drop(&mut self) {
        let left = {
            let mut waiting = self.shared.waiting.lock();
            waiting.end = true;
            std::mem::take(&mut waiting.reads)
        };
        self.shared.work.notify_all();
        left.into_iter().for_each(|(_, told)| told(Found::Absent));
        for thread in self.threads.drain(..) {
            // The last owner may be one of the threads, by what it was told with.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

impl Shared {
    fn run(&self, engine: &Engine) {
        while let Some((wanted, told)) = self.next() {
            told(engine.look_up(&wanted, Via::Device));
        }
    }

    fn next(&self) -> Option<(Wanted, Told)> {
        let mut waiting = self.waiting.lock();
        loop {
            if waiting.end {
                return None;
            }
            if let Some(read) = waiting.reads.pop_front() {
                return Some(read);
            }
            self.work.wait(&mut waiting);
        }
    }
}
