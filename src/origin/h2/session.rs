//! Connections that many requests share, and which of them has room.
//!
//! ```text
//! opening ──▶ open ⇄ full ──▶ left (GOAWAY, failed, timed out, unused for too long) ──▶ closed with its last stream
//! ```

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use http::Request;
use parking_lot::Mutex;
use pingora_core::protocols::Stream;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::drive::{drive, handshake};
use crate::origin::{FetchError, OriginConfig};

/// The most streams on one connection, however many the peer allows: they wait for each other's lost packets, and `drive.rs`
/// makes its window for so many.
pub(super) const MAX_STREAMS: u32 = 128;

/// The shared connections of one origin, by what they have in common (a thread among it, see `connect.rs`).
pub(in crate::origin) struct Sessions {
    shelves: Mutex<HashMap<u64, Shelf>>,
    connect_timeout: Duration,
    idle_timeout: Duration,
    max_idle: usize,
}

#[derive(Default)]
struct Shelf {
    open: Vec<Arc<Session>>,
    /// The one on its way, which all wait for who find no room.
    opening: Option<Arc<Opening>>,
}

type Opening = OnceCell<Result<Arc<Session>, FetchError>>;

/// One connection. Once nobody holds it any more, `h2` takes leave of the peer and closes it.
pub(super) struct Session {
    key: u64,
    sessions: Weak<Sessions>,
    state: Mutex<State>,
}

struct State {
    sender: SendRequest<Bytes>,
    streams: usize,
    /// When the last stream ended; of no meaning while there are any.
    unused_since: Instant,
}

/// Room for one stream on a connection.
pub(in crate::origin) struct Seat {
    session: Arc<Session>,
}

impl Sessions {
    /// No connections yet.
    pub(in crate::origin) fn new(config: &OriginConfig) -> Arc<Self> {
        Arc::new(Sessions {
            shelves: Mutex::default(),
            connect_timeout: config.connect_timeout,
            // A timer must not ring at the moment it is set.
            idle_timeout: config.idle_timeout.max(Duration::from_millis(1)),
            max_idle: config.max_idle,
        })
    }

    /// Room on an open connection, if there is one with any.
    pub(in crate::origin) fn kept(&self, key: u64) -> Option<Seat> {
        let mut shelves = self.shelves.lock();
        let open = &mut shelves.get_mut(&key)?.open;
        open.retain(|session| session.is_open());
        open.iter().find_map(Session::take)
    }

    /// Room on an open connection, or on a new one, made of the stream that `dial` brings. With `anew` always on a new one.
    pub(in crate::origin) async fn seat<F>(
        self: &Arc<Self>,
        key: u64,
        anew: bool,
        dial: impl Fn() -> F,
    ) -> Result<Seat, FetchError>
    where
        F: Future<Output = Result<Stream, FetchError>>,
    {
        let mut kept = if anew { None } else { self.kept(key) };
        loop {
            if let Some(seat) = kept {
                return Ok(seat);
            }
            // Whoever opens it has room on it first, so each connection that is opened serves somebody.
            let opening = self.opening(key);
            let opened = opening.get_or_init(|| self.open(key, dial())).await;
            let session = opened.clone()?;
            kept = session.take().or_else(|| self.kept(key));
        }
    }

    fn opening(&self, key: u64) -> Arc<Opening> {
        let mut shelves = self.shelves.lock();
        let shelf = shelves.entry(key).or_default();
        shelf.opening.get_or_insert_default().clone()
    }

    async fn open(
        self: &Arc<Self>,
        key: u64,
        dial: impl Future<Output = Result<Stream, FetchError>>,
    ) -> Result<Arc<Session>, FetchError> {
        let outcome = match dial.await {
            Ok(stream) => handshake(stream, self.connect_timeout).await,
            Err(error) => Err(error),
        };
        let outcome = outcome.map(|(sender, connection)| {
            let session = Arc::new(Session::new(key, self, sender));
            tokio::spawn(drive(connection, Arc::downgrade(&session), self.idle_timeout));
            session
        });
        self.shelve(key, outcome.as_ref().ok());
        outcome
    }

    /// The opening has ended, with this connection or without one.
    fn shelve(&self, key: u64, session: Option<&Arc<Session>>) {
        let mut shelves = self.shelves.lock();
        make_room(&mut shelves, self.max_idle);
        let shelf = shelves.entry(key).or_default();
        shelf.opening = None;
        shelf.open.extend(session.cloned());
    }

    /// No new streams on this connection from now on.
    fn leave(&self, session: &Session) {
        let mut shelves = self.shelves.lock();
        if let Some(shelf) = shelves.get_mut(&session.key) {
            shelf.open.retain(|open| !std::ptr::eq(&**open, session));
            if shelf.is_bare() {
                shelves.remove(&session.key);
            }
        }
    }
}

impl Shelf {
    fn is_bare(&self) -> bool {
        // An opening that nobody waits for any more was given up.
        self.open.is_empty() && self.opening.as_ref().is_none_or(|o| Arc::strong_count(o) == 1)
    }
}

/// Keeps the unused connections below `max`, by letting go of the one that is unused for the longest.
fn make_room(shelves: &mut HashMap<u64, Shelf>, max: usize) {
    shelves.retain(|_, shelf| !shelf.is_bare());
    let unused = || {
        shelves
            .values()
            .flat_map(|shelf| &shelf.open)
            .filter_map(|s| Some((s.unused_since()?, s)))
    };
    if unused().count() < max {
        return;
    }
    let oldest = unused()
        .min_by_key(|(since, _)| *since)
        .map(|(_, session)| session.clone());
    if let Some(oldest) = oldest
        && let Some(shelf) = shelves.get_mut(&oldest.key)
    {
        shelf.open.retain(|open| !Arc::ptr_eq(open, &oldest));
    }
}

impl Session {
    fn new(key: u64, sessions: &Arc<Sessions>, sender: SendRequest<Bytes>) -> Self {
        Session {
            key,
            sessions: Arc::downgrade(sessions),
            state: Mutex::new(State {
                sender,
                streams: 0,
                unused_since: Instant::now(),
            }),
        }
    }

    /// Whether the connection takes new streams: not after GOAWAY, a failure, or the last stream identifier.
    fn is_open(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        matches!(self.state.lock().sender.poll_ready(&mut cx), Poll::Ready(Ok(())))
    }

    /// RFC 9113 section 5.1.2: no more streams than the peer's SETTINGS say.
    fn take(self: &Arc<Self>) -> Option<Seat> {
        let mut state = self.state.lock();
        if state.streams >= state.sender.current_max_send_streams().min(MAX_STREAMS as usize) {
            return None;
        }
        state.streams += 1;
        let session = self.clone();
        Some(Seat { session })
    }

    /// Since when there are no streams, if there are none.
    pub(super) fn unused_since(&self) -> Option<Instant> {
        let state = self.state.lock();
        (state.streams == 0).then_some(state.unused_since)
    }

    /// No new streams from now on.
    pub(super) fn leave(&self) {
        if let Some(sessions) = self.sessions.upgrade() {
            sessions.leave(self);
        }
    }
}

impl Seat {
    /// Opens the stream. An error means that nothing was sent.
    pub(super) fn send(&self, head: Request<()>, ends: bool) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        let mut sender = self.session.state.lock().sender.clone();
        sender.send_request(head, ends)
    }

    /// No new streams on this connection from now on.
    pub(super) fn leave(&self) {
        self.session.leave();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.session.state.lock();
        state.streams -= 1;
        state.unused_since = Instant::now();
    }
}
