//! The thread that writes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::line::Shard;
use super::queue::{Lines, Queue, Work};
use super::sink::Sink;
use crate::clock::{Clock, SystemClock};
use crate::config::AccessTarget;
use crate::telemetry::Telemetry;
use crate::telemetry::events::{self, Event};

/// Lines are no older than this when they are written.
const TICK: Duration = Duration::from_secs(1);

/// How long a disk that takes nothing is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The thread that writes, and what it writes; everything is written before it is gone.
pub(super) struct Writer {
    queue: Arc<Queue>,
    shards: Arc<[Arc<Shard>]>,
    target: Mutex<AccessTarget>,
}

impl Writer {
    /// Starts the thread; lines that it cannot write are counted in `telemetry`.
    pub(super) fn start(target: AccessTarget, sink: Sink, telemetry: &Arc<Telemetry>) -> io::Result<Writer> {
        let queue = Arc::new(Queue::new(Arc::clone(telemetry)));
        let shards: Arc<[_]> = (0..telemetry.shards).map(|_| Arc::new(Shard::new(&queue))).collect();
        let writing = Writing {
            queue: Arc::clone(&queue),
            shards: Arc::clone(&shards),
            sink,
            lost: 0,
        };
        std::thread::Builder::new()
            .name("verge-log".to_owned())
            .spawn(move || writing.run())?;
        Ok(Writer {
            queue,
            shards,
            target: Mutex::new(target),
        })
    }

    /// Where each thread's lines gather.
    pub(super) fn shards(&self) -> &[Arc<Shard>] {
        &self.shards
    }

    /// Where lines go.
    pub(super) fn target(&self) -> AccessTarget {
        self.target.lock().clone()
    }

    /// From now on lines go to `sink`, and those that have ended are written where they went so far.
    pub(super) fn go_on_with(&self, target: AccessTarget, sink: Sink) {
        *self.target.lock() = target;
        self.queue.go_on_with(sink);
        self.flush();
    }

    /// Waits until all lines that have ended are written.
    pub(super) fn flush(&self) {
        self.queue.flush(PATIENCE);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.flush(PATIENCE);
        self.queue.end();
    }
}

/// What the thread works on.
struct Writing {
    queue: Arc<Queue>,
    shards: Arc<[Arc<Shard>]>,
    sink: Sink,
    /// Lines that could not be written, one after the other.
    lost: u64,
}

impl Writing {
    fn run(mut self) {
        let mut ticked = SystemClock.monotonic();
        loop {
            let since = SystemClock.monotonic().saturating_sub(ticked);
            let Work { all, next, flush, end } = self.queue.wait(TICK.saturating_sub(since));
            let now = SystemClock.monotonic();
            self.write_all();
            if all || now.saturating_sub(ticked) >= TICK {
                ticked = now;
                self.shards.iter().for_each(|shard| shard.hand_over());
                self.write_all();
            }
            if let Some(next) = next {
                self.sink = next;
            }
            self.queue.flushed(flush);
            if end {
                return;
            }
        }
    }

    fn write_all(&mut self) {
        while let Some(lines) = self.queue.pop() {
            self.write(lines);
        }
    }

    fn write(&mut self, lines: Lines) {
        match self.sink.write(lines.text.as_bytes()) {
            Ok(()) if self.lost > 0 => {
                let (file, lost) = (self.sink.name().to_owned(), std::mem::take(&mut self.lost));
                events::tell(&Event::LogRecovered { file, lost });
            }
            Ok(()) => {}
            Err(error) => self.failed(&lines, &error),
        }
        self.queue.written(lines);
    }

    fn failed(&mut self, lines: &Lines, error: &io::Error) {
        if self.lost == 0 {
            let (file, error) = (self.sink.name().to_owned(), error.to_string());
            events::tell(&Event::LogFailed { file, error });
        }
        self.lost += lines.count;
        self.queue.lost(lines.count);
    }
}
