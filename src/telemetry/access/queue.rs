//! From the serving threads to the writer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::ink::Ink;
use super::sink::Sink;
use crate::telemetry::Telemetry;

/// Lines of one thread are handed over when they are this large.
pub(super) const FULL: usize = 64 * 1024;

/// Bytes that may wait for the writer; with more, lines are dropped.
pub(super) const MOST: usize = 8 * 1024 * 1024;

/// Buffers that are kept to be used again.
const SPARE: usize = 16;

/// Larger ones are not kept.
const LARGEST: usize = 2 * FULL;

/// Lines that one thread has ended.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// One after the other, each with its end.
    pub text: Ink,
    /// How many.
    pub count: u64,
}

/// What waits for the writer.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// For the writer: there is something to do.
    work: Condvar,
    /// For those who wait for the writer: it has done something.
    done: Condvar,
    telemetry: Arc<Telemetry>,
}

#[derive(Default)]
struct Waiting {
    full: VecDeque<Lines>,
    bytes: usize,
    spare: Vec<Ink>,
    /// Where to go on, once what waits is written.
    next: Option<Sink>,
    /// How often everything was asked to be written, and how often that was done.
    flushes: (u64, u64),
    end: bool,
}

/// What the writer is to do.
pub(super) struct Work {
    /// All lines are wanted, not only what was handed over.
    pub all: bool,
    /// Where to go on, after those.
    pub next: Option<Sink>,
    /// To be told once they are written.
    pub flush: u64,
    /// Nothing will come any more.
    pub end: bool,
}

impl Queue {
    pub(super) fn new(telemetry: Arc<Telemetry>) -> Queue {
        Queue {
            waiting: Mutex::default(),
            work: Condvar::new(),
            done: Condvar::new(),
            telemetry,
        }
    }

    /// Takes `lines`, which are empty afterwards; with too much waiting they are lost.
    pub(super) fn push(&self, lines: &mut Lines) {
        let mut waiting = self.waiting.lock();
        if waiting.bytes >= MOST {
            self.lost(lines.count);
            lines.text.clear();
        } else {
            waiting.bytes += lines.text.len();
            let empty = waiting.spare.pop().unwrap_or_default();
            let text = std::mem::replace(&mut lines.text, empty);
            waiting.full.push_back(Lines {
                text,
                count: lines.count,
            });
            self.work.notify_one();
        }
        lines.count = 0;
    }

    /// So many lines were not written.
    pub(super) fn lost(&self, lines: u64) {
        self.telemetry.log_lines_dropped.add(lines);
    }

    /// What comes next.
    pub(super) fn pop(&self) -> Option<Lines> {
        self.waiting.lock().full.pop_front()
    }

    /// Gives back what [`Queue::pop`] gave, now that it is written.
    pub(super) fn written(&self, mut lines: Lines) {
        let mut waiting = self.waiting.lock();
        waiting.bytes -= lines.text.len();
        if waiting.spare.len() < SPARE && lines.text.capacity() <= LARGEST {
            lines.text.clear();
            waiting.spare.push(lines.text);
        }
    }

    /// Waits for work, but no longer than `longest`.
    pub(super) fn wait(&self, longest: Duration) -> Work {
        let mut waiting = self.waiting.lock();
        let idle = |waiting: &Waiting| {
            waiting.full.is_empty() && !waiting.end && waiting.next.is_none() && waiting.flushes.0 == waiting.flushes.1
        };
        if idle(&waiting) {
            self.work.wait_for(&mut waiting, longest);
        }
        let next = waiting.next.take();
        let (asked, done) = waiting.flushes;
        Work {
            all: next.is_some() || waiting.end || asked != done,
            next,
            flush: asked,
            end: waiting.end,
        }
    }

    /// The writer has done all that was asked for up to `flush`.
    pub(super) fn flushed(&self, flush: u64) {
        self.waiting.lock().flushes.1 = flush;
        self.done.notify_all();
    }

    /// Waits until everything is written that has ended by now, but no longer than `longest`.
    pub(super) fn flush(&self, longest: Duration) {
        let mut waiting = self.waiting.lock();
        waiting.flushes.0 += 1;
        let mine = waiting.flushes.0;
        self.work.notify_one();
        self.done
            .wait_while_for(&mut waiting, |waiting| waiting.flushes.1 < mine, longest);
    }

    /// Has the writer go on with `sink`.
    pub(super) fn go_on_with(&self, sink: Sink) {
        self.waiting.lock().next = Some(sink);
        self.work.notify_one();
    }

    /// Has the writer end once nobody has lines for it any more.
    pub(super) fn end(&self) {
        self.waiting.lock().end = true;
        self.work.notify_one();
    }
}
