//! What connections run on, which a reload exchanges and a drain ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use slab::Slab;
use tokio::sync::Notify;

use crate::pipeline::Edge;
use crate::tls::Terminator;

/// What new requests and handshakes run on, as of one moment.
pub struct Serving {
    /// What requests share.
    pub edge: Arc<Edge>,
    /// What TLS listeners share.
    pub tls: Option<Arc<Terminator>>,
    /// What is spoken on each listener.
    pub listeners: Vec<(ListenerId, Spoken)>,
}

/// Tells a listener from all others that the process has had.
pub type ListenerId = usize;

/// What is spoken on a listener's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// HTTP/1.1, and with `h2c` HTTP/2.
    Clear {
        /// Whether HTTP/2 is spoken.
        h2c: bool,
    },
    /// TLS; the number is the listener's place among those that speak it.
    Tls(usize),
}

impl Serving {
    /// What is spoken on a listener; none: it is being closed.
    pub fn spoken(&self, listener: ListenerId) -> Option<Spoken> {
        let found = self.listeners.iter().find(|(id, _)| *id == listener);
        found.map(|(_, spoken)| *spoken)
    }
}

/// The [`Serving`] of this moment.
pub struct Live {
    serving: ArcSwap<Serving>,
    /// How often it was exchanged.
    changes: AtomicU64,
    leaving: AtomicBool,
    /// Connections, open or waiting for their turn.
    connections: AtomicUsize,
    /// Those of them on listeners that speak TLS.
    secure: AtomicUsize,
    /// Sockets on which connections are taken.
    accepting: AtomicUsize,
    emptied: Notify,
}

impl Live {
    /// Beginning with `serving`.
    pub fn new(serving: Serving) -> Self {
        Live {
            serving: ArcSwap::from_pointee(serving),
            changes: AtomicU64::new(0),
            leaving: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            secure: AtomicUsize::new(0),
            accepting: AtomicUsize::new(0),
            emptied: Notify::new(),
        }
    }

    /// What new requests run on.
    pub fn serving(&self) -> Guard<Arc<Serving>> {
        self.serving.load()
    }

    /// Has all requests from now on run on `serving`.
    pub fn exchange(&self, serving: Serving) {
        self.serving.store(Arc::new(serving));
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// From now on every connection ends as soon as nothing is under way on it. Wakers tell those that wait.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::SeqCst);
    }

    /// Whether connections are to end.
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::SeqCst)
    }

    /// Connections there are.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Connections there are on listeners that speak TLS.
    pub fn secure_connections(&self) -> usize {
        self.secure.load(Ordering::Relaxed)
    }

    /// A place for one more of those, besides its place among all.
    pub fn secure(self: &Arc<Self>) -> Place {
        Place::new(self, |live| &live.secure)
    }

    /// A place for one more connection.
    pub fn connect(self: &Arc<Self>) -> Place {
        Place::new(self, |live| &live.connections)
    }

    /// A place for one more socket that takes connections.
    pub fn accept(self: &Arc<Self>) -> Place {
        Place::new(self, |live| &live.accepting)
    }

    /// Waits until there is neither a connection nor a socket that takes some.
    pub async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            // The sockets first: whoever is taken is counted before its socket's place is given up.
            if self.accepting.load(Ordering::SeqCst) == 0 && self.connections.load(Ordering::SeqCst) == 0 {
                return;
            }
            emptied.await;
        }
    }
}

/// A place among those that are counted; dropping it frees the place.
pub struct Place {
    live: Arc<Live>,
    count: fn(&Live) -> &AtomicUsize,
    /// How many there were before.
    pub before: usize,
}

impl Place {
    fn new(live: &Arc<Live>, count: fn(&Live) -> &AtomicUsize) -> Place {
        Place {
            before: count(live).fetch_add(1, Ordering::SeqCst),
            live: Arc::clone(live),
            count,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let left = (self.count)(&self.live).fetch_sub(1, Ordering::SeqCst) - 1;
        if left == 0 && self.live.is_leaving() {
            self.live.emptied.notify_waiters();
        }
    }
}

/// The wakers of one thread's connections, so that those that are idle can be told to end.
#[derive(Debug, Default)]
pub struct Wakers(Mutex<Slab<Waker>>);

impl Wakers {
    /// Wakes all.
    pub fn wake_all(&self) {
        let wakers: Vec<Waker> = self.0.lock().iter().map(|(_, waker)| waker.clone()).collect();
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// What a connection knows of the server.
pub struct Link {
    /// What its requests run on.
    pub edge: Arc<Edge>,
    live: Arc<Live>,
    change: u64,
    wakers: Arc<Wakers>,
    registered: Option<usize>,
}

impl Link {
    /// A new connection's; `wakers` are those of its thread.
    pub fn new(live: &Arc<Live>, wakers: &Arc<Wakers>) -> Self {
        // In this order: a change in between is seen again.
        let change = live.changes.load(Ordering::Acquire);
        Link {
            edge: Arc::clone(&live.serving().edge),
            live: Arc::clone(live),
            change,
            wakers: Arc::clone(wakers),
            registered: None,
        }
    }

    /// Takes up what a reload has brought, before a request is decided on.
    pub fn renew(&mut self) {
        let change = self.live.changes.load(Ordering::Acquire);
        if change != self.change {
            self.change = change;
            self.edge = Arc::clone(&self.live.serving().edge);
        }
    }

    /// Whether the connection is to end as soon as nothing is under way on it.
    pub fn is_leaving(&self) -> bool {
        self.live.is_leaving()
    }

    /// Ready once it is. A connection is one task, so its waker is registered once.
    pub fn poll_leaving(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.registered.is_none() {
            self.registered = Some(self.wakers.0.lock().insert(cx.waker().clone()));
        }
        match self.is_leaving() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(place) = self.registered {
            self.wakers.0.lock().remove(place);
        }
    }
}
