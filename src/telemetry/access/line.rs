//! A line, from a request's head to the end of its answer.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use http::StatusCode;
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::Seen;
use super::format::Style;
use super::ink::Ink;
use super::queue::{FULL, Lines, Queue};
use crate::clock::Clock;
use crate::telemetry::{Outcome, RequestId, timestamp};

/// As nginx has it, and those who read its logs know it: the client left before there was an answer.
const LEFT: u16 = 499;

/// Lines' memory that a thread keeps for those to come.
const SPARE: usize = 256;

/// What grew beyond this is not kept.
const LARGEST: usize = 16 * 1024;

/// A request's line. It is written when the answer has ended, or when it is dropped without one.
pub struct Line {
    pen: Arc<Pen>,
    /// None once it is written.
    parts: Option<Box<Parts>>,
}

/// What is known of a line that has not ended.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// What the request says, as it is written.
    pub text: Ink,
    /// Where in `text` each stretch of it ends; between them comes what is known at the end.
    marks: SmallVec<[usize; 10]>,
    /// When the request was read.
    pub began: Duration,
    sampled: bool,
    status: Option<StatusCode>,
    /// The origin that was asked, if one was, and when its head had come.
    pub origin: String,
    /// How long its head took.
    pub origin_took: Option<Duration>,
}

/// What an answer came to.
#[derive(Clone, Copy, Debug)]
pub(in crate::telemetry) struct Ended {
    /// The status that was sent.
    pub status: u16,
    /// Bytes of the body that were sent, if that is known.
    pub bytes: Option<u64>,
    /// When the first byte went out, if one did.
    pub first_byte: Option<Duration>,
    /// When it ended.
    pub at: Duration,
    /// What the cache did.
    pub outcome: Option<Outcome>,
    /// More about that.
    pub detail: Option<&'static str>,
}

/// With what one thread writes its lines, as one configuration wants it. Apart from all others in memory, because each
/// request counts its references.
#[repr(align(128))]
pub(super) struct Pen {
    style: Style,
    shard: Arc<Shard>,
    clock: Arc<dyn Clock>,
}

/// Where the lines of one thread gather, whatever the configuration.
#[repr(align(128))]
pub(super) struct Shard {
    sheet: Mutex<Sheet>,
    queue: Arc<Queue>,
}

#[derive(Default)]
struct Sheet {
    lines: Lines,
    times: Times,
}

/// The calendar's time, asked for once a second, and written once a second.
#[derive(Default)]
pub(super) struct Times {
    /// One moment on both clocks, the calendar's since 1970.
    known: Option<(Duration, Duration)>,
    second: u64,
    common: bool,
    /// The first so many bytes.
    text: ([u8; LONGEST_TIME], usize),
}

const LONGEST_TIME: usize = 32;

thread_local! {
    #[allow(clippy::vec_box, reason = "the boxes are what is kept")]
    static SPARES: RefCell<Vec<Box<Parts>>> = const { RefCell::new(Vec::new()) };
}

impl Line {
    pub(super) fn new(pen: &Arc<Pen>, seen: &Seen<'_>, id: RequestId, now: Duration, sampled: bool) -> Line {
        let spare = SPARES.try_with(|spares| spares.borrow_mut().pop()).ok().flatten();
        let mut parts = spare.unwrap_or_default();
        parts.began = now;
        parts.sampled = sampled;
        pen.style.begin(&mut parts, seen, id);
        Line {
            pen: Arc::clone(pen),
            parts: Some(parts),
        }
    }

    /// This origin was asked; the head of its response came after so long, if it came.
    pub fn asked(&mut self, origin: &str, took: Option<Duration>) {
        if let Some(parts) = &mut self.parts {
            parts.origin.clear();
            parts.origin.push_str(origin);
            parts.origin_took = took;
        }
    }

    /// An answer of this status is on its way.
    pub fn answered(&mut self, status: StatusCode) {
        if let Some(parts) = &mut self.parts {
            parts.status = Some(status);
        }
    }

    /// The answer has ended.
    pub(in crate::telemetry) fn end(mut self, ended: &Ended) {
        if let Some(parts) = self.parts.take() {
            self.pen.write(&parts, ended);
            parts.give_back();
        }
    }
}

/// No answer was sent to its end: the client has left, or the edge has ended.
impl Drop for Line {
    fn drop(&mut self) {
        let Some(parts) = self.parts.take() else { return };
        let ended = Ended {
            status: parts.status.map_or(LEFT, |status| status.as_u16()),
            bytes: None,
            first_byte: None,
            at: self.pen.clock.monotonic(),
            outcome: None,
            detail: None,
        };
        self.pen.write(&parts, &ended);
        parts.give_back();
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.parts.fmt(f)
    }
}

impl Parts {
    /// Ends a stretch of the text.
    pub(super) fn mark(&mut self) {
        self.marks.push(self.text.len());
    }

    /// The text, stretch by stretch.
    pub(super) fn stretches(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.text.as_bytes();
        let mut from = 0;
        self.marks.iter().map(move |to| {
            let (stretch, behind) = rest.split_at_checked(to - from).unwrap_or_default();
            (rest, from) = (behind, *to);
            stretch
        })
    }

    /// Keeps the memory for another line.
    fn give_back(mut self: Box<Self>) {
        if self.text.capacity() > LARGEST {
            return;
        }
        self.text.clear();
        self.marks.clear();
        self.origin.clear();
        (self.status, self.origin_took) = (None, None);
        // A thread that is ending keeps nothing.
        let _ = SPARES.try_with(|spares| {
            let mut spares = spares.borrow_mut();
            if spares.len() < SPARE {
                spares.push(self);
            }
        });
    }
}

impl Pen {
    pub(super) fn new(style: Style, shard: Arc<Shard>, clock: Arc<dyn Clock>) -> Pen {
        Pen { style, shard, clock }
    }

    fn write(&self, parts: &Parts, ended: &Ended) {
        if !parts.sampled && ended.status < 500 {
            return;
        }
        let mut sheet = self.shard.sheet.lock();
        let Sheet { lines, times } = &mut *sheet;
        times.ask(ended.at, &*self.clock);
        self.style.end(&mut lines.text, parts, ended, times);
        lines.count += 1;
        if lines.text.len() >= FULL {
            self.shard.queue.push(lines);
        }
    }
}

impl Shard {
    pub(super) fn new(queue: &Arc<Queue>) -> Shard {
        Shard {
            sheet: Mutex::default(),
            queue: Arc::clone(queue),
        }
    }

    /// Hands over all lines there are.
    pub(super) fn hand_over(&self) {
        let mut sheet = self.sheet.lock();
        if sheet.lines.count > 0 {
            self.queue.push(&mut sheet.lines);
        }
    }
}

impl Times {
    /// Asks for the calendar's time if that was last done more than a second before `now`.
    fn ask(&mut self, now: Duration, clock: &dyn Clock) {
        const OLD: Duration = Duration::from_secs(1);
        let is_known = self
            .known
            .is_some_and(|(known, _)| now.checked_sub(known).is_some_and(|since| since < OLD));
        if !is_known {
            let asked = clock.now();
            let since_1970 = asked.wall.duration_since(UNIX_EPOCH).unwrap_or_default();
            self.known = Some((asked.monotonic, since_1970));
        }
    }

    /// The calendar's time at `moment`, since 1970.
    fn at(&self, moment: Duration) -> Duration {
        let (known, wall) = self.known.unwrap_or_default();
        (wall.saturating_add(moment)).saturating_sub(known)
    }

    /// Appends the time at `moment`, as RFC 3339 has it.
    pub(super) fn rfc3339(&mut self, out: &mut Ink, moment: Duration) {
        let at = self.at(moment);
        let (text, length) = self.text(at.as_secs(), false);
        out.put_of(text, *length);
        out.put_all(&timestamp::rfc3339_end(at.subsec_millis()));
    }

    /// Appends the time at `moment`, as the combined format has it.
    pub(super) fn common(&mut self, out: &mut Ink, moment: Duration) {
        let second = self.at(moment).as_secs();
        let (text, length) = self.text(second, true);
        out.put_of(text, *length);
    }

    fn text(&mut self, second: u64, common: bool) -> &([u8; LONGEST_TIME], usize) {
        let (text, length) = &mut self.text;
        if *length == 0 || self.second != second || self.common != common {
            let mut written = Vec::with_capacity(LONGEST_TIME);
            match common {
                true => timestamp::common(&mut written, second),
                false => timestamp::rfc3339_seconds(&mut written, second),
            }
            *length = written.len().min(LONGEST_TIME);
            text[..*length].copy_from_slice(&written[..*length]);
            (self.second, self.common) = (second, common);
        }
        &self.text
    }
}
