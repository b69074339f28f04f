//! A fill: one response on its way from the origin, and everyone who reads it.
//!
//! ```text
//!             ┌─ storable ──▶ Filling ──▶ ended (stored)
//! Requested ──┤                  └──────▶ ended (error: readers see it, nothing is stored)
//!    head     ├─ not storable ─▶ Passing (for the client that asked; the others are released)
//!             ├─ 304 ──▶ Validated (a version that is stored already)
//!             ├─ not the part that was asked for ──▶ Refused (all are released)
//!             └─ none ─▶ Failed
//! ```
//!
//! A fill belongs to no client. All who read it, the first included, are readers with an offset, and none waits for
//! another: a kept fill runs freely; a windowed one runs at most a window ahead of its *fastest* reader, and a reader
//! that falls behind what is kept gets [`FetchError::FellBehind`].

mod buffer;
mod part;
mod run;

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::StatusCode;
use parking_lot::Mutex;
use slab::Slab;
use smallvec::SmallVec;

pub use buffer::{At, Buffer};
pub use part::{PartOrder, run_part};
pub use run::{Order, run};

use super::key::Key;
use super::object::{Head, Version};
use crate::origin::FetchError;
use crate::planted::{self, Bug};
use crate::policy::range::ByteRange;
use crate::policy::storable::Unstorable;
use crate::purge::{Epoch, Names};
use crate::store::Gauge;

/// One response on its way. See the module's page for its states.
pub struct Fill {
    /// What is being fetched.
    pub key: Arc<Key>,
    /// The site it is fetched for.
    pub site: Arc<str>,
    /// The newest purge when it began.
    pub epoch: Epoch,
    /// When it began, in the order of all requests and fetches of this process.
    pub began: u64,
    /// What it was started under in the table of fills; `None` for one that nobody may join.
    pub id: Option<u128>,
    /// What of the body it fetches, if not all: from where a chunk begins to where one ends, or the body.
    pub part: Option<ByteRange>,
    terms: Terms,
    state: Mutex<State>,
}

/// How a fill behaves toward its readers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// Bytes that a windowed fill runs ahead of its fastest reader.
    pub window: u64,
    /// The same for a response that only one client reads.
    pub pass_window: u64,
    /// With nobody reading, a fill goes on if at most this many bytes are missing.
    pub finish_bytes: u64,
    /// With nobody reading, a fill goes on if at least this share (0 to 1) has come.
    pub finish_share: f64,
    /// The fill goes on whoever reads it: a refresh in the background.
    pub detached: bool,
}

/// What is known of the response's head.
#[derive(Clone, Debug)]
pub enum Phase {
    /// Nothing yet.
    Requested,
    /// It may be stored, and is on its way.
    Filling(Arc<Head>),
    /// It may not be stored, for this reason; it is for the client whose request began the fill.
    Passing(Arc<Head>, Unstorable),
    /// The origin confirmed a stored version; this is the confirmed one.
    Validated(Arc<Version>),
    /// What came, with this status, is for nobody.
    Refused(StatusCode),
    /// There is no response.
    Failed(FetchError),
}

struct State {
    phase: Phase,
    /// The head for the leader, if it differs from that for all.
    own_head: Option<Arc<Head>>,
    buffer: Buffer,
    end: Option<Result<(), FetchError>>,
    readers: Slab<Reader>,
    filler: Option<Waker>,
    given_up: bool,
}

#[derive(Default)]
struct Reader {
    /// What it reads next; `None` before it reads at all.
    offset: Option<u64>,
    waker: Option<Waker>,
    /// It had read all there was, has been woken for more, and has not had its turn yet.
    due: bool,
}

/// What a fill is from its beginning on; [`Fill`] says what each means.
#[allow(missing_docs, reason = "they stand in Fill")]
pub struct Begun {
    pub id: Option<u128>,
    pub key: Arc<Key>,
    pub site: Arc<str>,
    pub epoch: Epoch,
    pub began: u64,
    pub part: Option<ByteRange>,
    /// How it behaves toward its readers.
    pub terms: Terms,
}

impl Fill {
    /// A fill that has just been asked for. What of it is kept is counted by `gauge`.
    pub fn new(of: Begun, gauge: Gauge) -> Self {
        let start = of.part.map_or(0, |part| part.start);
        Fill {
            key: of.key,
            site: of.site,
            epoch: of.epoch,
            began: of.began,
            id: of.id,
            part: of.part,
            terms: of.terms,
            state: Mutex::new(State {
                phase: Phase::Requested,
                own_head: None,
                buffer: Buffer::new(start, true, gauge),
                end: None,
                readers: Slab::new(),
                filler: None,
                given_up: false,
            }),
        }
    }

    /// The names by which a purge may know what is being fetched.
    pub fn with_names<R>(&self, with: impl FnOnce(&Names<'_>) -> R) -> R {
        let head = match &self.state.lock().phase {
            Phase::Filling(head) | Phase::Passing(head, _) => Some(Arc::clone(head)),
            Phase::Validated(version) => Some(Arc::clone(&version.head)),
            Phase::Requested | Phase::Refused(_) | Phase::Failed(_) => None,
        };
        match head {
            Some(head) => with(&head.names()),
            None => with(&Names {
                url: self.key.url,
                text: self.key.text(),
                site: &self.site,
                tags: None,
            }),
        }
    }

    /// How many read it.
    pub fn readers(&self) -> usize {
        self.state.lock().readers.len()
    }

    /// A new reader, if one that begins now can have the whole body and there is still something to join.
    pub fn join(self: &Arc<Self>, leader: bool, max_readers: usize) -> Result<Follower, NoJoin> {
        let mut state = self.state.lock();
        let open = match state.phase {
            Phase::Requested | Phase::Filling(_) => {
                !state.given_up && state.buffer.reaches_back_to(state.buffer.start())
            }
            Phase::Passing(..) | Phase::Validated(_) | Phase::Refused(_) | Phase::Failed(_) => false,
        };
        if !leader && (!open || matches!(state.end, Some(Err(_)))) {
            return Err(NoJoin::Over);
        }
        if state.readers.len() >= max_readers {
            return Err(NoJoin::Full);
        }
        let was_open = self.open(&state);
        let slot = state.readers.insert(Reader::default());
        // Several readers have a larger window than one.
        self.wake_if_opened(was_open, state);
        Ok(Follower {
            fill: Arc::clone(self),
            slot,
            leader,
        })
    }

    // What the filler does.

    /// Before the head is made known: the leader's own, if it differs.
    fn set_own_head(&self, own: Option<Head>) {
        self.state.lock().own_head = own.map(Arc::new);
    }

    /// Makes the head known. Returns whether the fill is to go on.
    fn publish(&self, phase: Phase, kept: bool) -> bool {
        let mut state = self.state.lock();
        if !kept {
            state.buffer.forget_before(0);
        }
        state.phase = phase;
        self.give_up_if_unread(&mut state);
        let go_on = !state.given_up;
        wake_all(state);
        go_on
    }

    /// Appends a piece of the body. Returns the chunks that are now whole.
    fn push(&self, piece: Bytes) -> SmallVec<[Bytes; 1]> {
        let mut state = self.state.lock();
        let whole = state.buffer.push(piece).iter().cloned().collect();
        self.forget(&mut state);
        wake_all(state);
        whole
    }

    /// Stops keeping the body, which turned out larger than the store can hold.
    fn stop_keeping(&self) {
        let mut state = self.state.lock();
        state.buffer.forget_before(0);
        self.forget(&mut state);
        // With nobody reading, its window would stay shut for ever.
        self.give_up_if_unread(&mut state);
    }

    /// Ends the body.
    fn finish(&self, result: Result<(), FetchError>) {
        let mut state = self.state.lock();
        state.end = Some(result);
        if planted::is(Bug::LostWakeUp) {
            return;
        }
        wake_all(state);
    }

    fn phase(&self) -> Phase {
        self.state.lock().phase.clone()
    }

    /// Has every reader look again.
    fn wake_readers(&self) {
        wake_all(self.state.lock());
    }

    /// Ends what has not ended, as given up.
    fn end_if_open(&self) {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Requested) {
            state.phase = Phase::Failed(FetchError::Abandoned);
        }
        if state.end.is_none() {
            state.end = Some(Err(FetchError::Abandoned));
            wake_all(state);
        }
    }

    /// The kept body, if there is one: whole chunks and the tail.
    fn body(&self) -> Option<(Vec<Bytes>, Bytes)> {
        let state = self.state.lock();
        state.buffer.is_kept().then(|| state.buffer.body())
    }

    /// Ready once nobody wants the fill any more; until then the filler is woken when that, or the window, changes.
    fn poll_given_up(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.given_up {
            return Poll::Ready(());
        }
        set_waker(&mut state.filler, cx);
        Poll::Pending
    }

    /// Whether the filler may read on, now.
    fn window_is_open(&self) -> bool {
        let state = self.state.lock();
        self.open(&state)
    }

    fn open(&self, state: &State) -> bool {
        if planted::is(Bug::SlowReaderHoldsFill) {
            let slowest = state.readers.iter().filter_map(|(_, reader)| reader.offset).min();
            return slowest.is_none_or(|slowest| state.buffer.end() < slowest + self.terms.window);
        }
        state.buffer.is_kept() || state.buffer.end() < front(state) + self.window(state)
    }

    /// Has the filler read on, if it may and could not before.
    fn wake_if_opened(&self, was_open: bool, mut state: parking_lot::MutexGuard<'_, State>) {
        if !was_open && self.open(&state) {
            let filler = state.filler.take();
            drop(state);
            filler.into_iter().for_each(Waker::wake);
        }
    }

    fn window(&self, state: &State) -> u64 {
        // What could not be kept for lack of room has one reader, as a rule. The thousands that HTTP/2 lets a few clients
        // be would otherwise hold as many whole windows.
        match state.phase {
            Phase::Passing(..) => self.terms.pass_window,
            _ if state.readers.len() < 2 => self.terms.pass_window.min(self.terms.window),
            _ => self.terms.window,
        }
    }

    /// A windowed buffer keeps what somebody still wants, but no more than a window behind the fastest.
    fn forget(&self, state: &mut State) {
        if state.buffer.is_kept() {
            return;
        }
        let slowest = state.readers.iter().map(|(_, reader)| reader.offset.unwrap_or(0)).min();
        let floor = front(state).saturating_sub(self.window(state));
        state.buffer.forget_before(slowest.unwrap_or(0).max(floor));
    }

    fn give_up_if_unread(&self, state: &mut State) {
        if !state.readers.is_empty() || state.end.is_some() {
            return;
        }
        let go_on = match &state.phase {
            Phase::Requested => self.id.is_some(),
            Phase::Filling(head) => {
                let worth = self.terms.detached || self.worth_finishing(head.content_length, &state.buffer);
                worth && state.buffer.is_kept()
            }
            Phase::Passing(..) => false,
            Phase::Validated(_) | Phase::Refused(_) | Phase::Failed(_) => true,
        };
        if !go_on {
            state.given_up = true;
        }
    }

    fn worth_finishing(&self, length: Option<u64>, buffer: &Buffer) -> bool {
        let length = self.part.map(|part| part.length()).or(length);
        let come = buffer.end() - buffer.start();
        length.is_some_and(|length| {
            length.saturating_sub(come) <= self.terms.finish_bytes
                || come as f64 >= length as f64 * self.terms.finish_share
        })
    }
}

/// What a window is counted from: where the fastest reader is, or one that is no slower but waits for its turn, on a busier
/// thread perhaps. A slow one is never due: it does not ask for more.
fn front(state: &State) -> u64 {
    let readers = || state.readers.iter().map(|(_, reader)| reader);
    let start = state.buffer.start();
    let fastest = readers().filter_map(|reader| reader.offset).max().unwrap_or(start);
    let due = readers().filter(|reader| reader.due);
    due.map(|reader| reader.offset.unwrap_or(start)).fold(fastest, u64::min)
}

fn set_waker(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

/// Wakes every reader, after the lock is gone.
fn wake_all(mut state: parking_lot::MutexGuard<'_, State>) {
    let wakers: SmallVec<[Waker; 4]> = state
        .readers
        .iter_mut()
        .filter_map(|(_, reader)| {
            let waker = reader.waker.take()?;
            reader.due = true;
            Some(waker)
        })
        .collect();
    drop(state);
    wakers.into_iter().for_each(Waker::wake);
}

impl fmt::Debug for Fill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fill")
            .field("key", &self.key.text())
            .finish_non_exhaustive()
    }
}

/// Why a fill cannot be joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoJoin {
    /// It has ended, or its beginning is gone.
    Over,
    /// It has as many readers as it may.
    Full,
}

/// What a follower learns of the head.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It may be stored: everyone reads it.
    Filling(Arc<Head>),
    /// It may not be stored, for this reason, but is this follower's own.
    Passing(Arc<Head>, Unstorable),
    /// It has this status, may not be stored, and is another client's: ask again, alone.
    Released(StatusCode),
    /// A stored version was confirmed.
    Validated(Arc<Version>),
    /// There is none.
    Failed(FetchError),
}

/// One client's part in a fill; dropping it leaves the fill.
#[derive(Debug)]
pub struct Follower {
    fill: Arc<Fill>,
    slot: usize,
    leader: bool,
}

impl Follower {
    /// The fill.
    pub fn fill(&self) -> &Arc<Fill> {
        &self.fill
    }

    /// Whether this client's request began the fill.
    pub fn leads(&self) -> bool {
        self.leader
    }

    /// Waits until the head is known.
    pub async fn head(&self) -> Outcome {
        std::future::poll_fn(|cx| self.poll_head(cx)).await
    }

    fn poll_head(&self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let mut state = self.fill.state.lock();
        let was_open = self.fill.open(&state);
        state.readers[self.slot].due = false;
        let outcome = match &state.phase {
            Phase::Requested => {
                set_waker(&mut state.readers[self.slot].waker, cx);
                return Poll::Pending;
            }
            Phase::Filling(head) => {
                let own = state.own_head.as_ref().filter(|_| self.leader);
                Outcome::Filling(Arc::clone(own.unwrap_or(head)))
            }
            Phase::Passing(head, reason) if self.leader => Outcome::Passing(Arc::clone(head), *reason),
            Phase::Passing(head, _) => Outcome::Released(head.status),
            Phase::Refused(status) => Outcome::Released(*status),
            Phase::Validated(version) => Outcome::Validated(Arc::clone(version)),
            Phase::Failed(error) => Outcome::Failed(*error),
        };
        self.fill.wake_if_opened(was_open, state);
        Poll::Ready(outcome)
    }

    /// What of the body is at `offset`; `None` at its end.
    pub fn poll_at(&self, offset: u64, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, FetchError>>> {
        let mut state = self.fill.state.lock();
        let was_open = self.fill.open(&state);
        let reader = &mut state.readers[self.slot];
        (reader.offset, reader.due) = (Some(offset), false);
        let found = match state.buffer.at(offset) {
            At::Bytes(bytes) => Poll::Ready(Some(Ok(bytes))),
            At::Gone => Poll::Ready(Some(Err(FetchError::FellBehind))),
            At::NotYet => match state.end {
                Some(Ok(())) => Poll::Ready(None),
                Some(Err(error)) => Poll::Ready(Some(Err(error))),
                None => {
                    set_waker(&mut state.readers[self.slot].waker, cx);
                    Poll::Pending
                }
            },
        };
        self.fill.forget(&mut state);
        self.fill.wake_if_opened(was_open, state);
        found
    }

    /// Whether the body is kept from its beginning, so that it can be read in any order.
    pub fn reads_in_any_order(&self) -> bool {
        self.fill.state.lock().buffer.is_kept()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut state = self.fill.state.lock();
        state.readers.remove(self.slot);
        self.fill.give_up_if_unread(&mut state);
        let filler = state.filler.take();
        drop(state);
        filler.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{KeyParts, SchemeClass, Secret};

    #[test]
    fn who_waits_for_a_fill_that_ends_early_is_told() {
        let terms = crate::cache::Settings::default().terms;
        let parts = KeyParts {
            scheme: SchemeClass::Clear,
            host: "a.example",
            path: "/",
            query: None,
        };
        let key = Arc::new(Secret::new([0; 16]).stored_key(&parts));
        let begun = Begun {
            id: Some(1),
            key,
            site: "site".into(),
            epoch: 0,
            began: 0,
            part: None,
            terms,
        };
        let fill = Arc::new(Fill::new(begun, Gauge::default()));
        let follower = fill.join(true, 1).expect("there is room");
        assert_eq!(fill.join(false, 1).err(), Some(NoJoin::Full));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(follower.poll_head(&mut cx).is_pending());
        fill.end_if_open();
        assert!(matches!(
            follower.poll_head(&mut cx),
            Poll::Ready(Outcome::Failed(FetchError::Abandoned))
        ));
        assert_eq!(
            follower.poll_at(0, &mut cx),
            Poll::Ready(Some(Err(FetchError::Abandoned)))
        );
        assert_eq!(fill.join(false, 2).err(), Some(NoJoin::Over));
    }
}
