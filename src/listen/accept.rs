//! The accept loop, and the bound on connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustls::{HandshakeKind, ProtocolVersion};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::ask::Peer;
use super::live::{Link, ListenerId, Live, Place, Spoken, Wakers};
use super::suspects::{Suspects, Turn};
use super::tls::TlsStream;
use super::transport::Transport;
use super::{h1, h2};
use crate::cache::SchemeClass;
use crate::telemetry::{ConnectionCounts, Count};
use crate::tls::{Terminator, Voice};

/// What a client gets when there are too many connections.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\
proxy-status: verge; details=\"too-many-connections\"\r\n\r\n";

/// The pause after a failed accept: mostly the process is out of file descriptors, and only time frees some.
const PAUSE: Duration = Duration::from_millis(20);

/// What no HTTP/1.1 request begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the connections of all listeners share.
#[derive(Clone)]
pub(super) struct Shared {
    /// What they run on.
    pub live: Arc<Live>,
    /// Handshakes under way.
    pub handshakes: Arc<AtomicUsize>,
    /// Addresses whose connections have to wait.
    pub suspects: Arc<Suspects>,
}

impl Shared {
    pub(super) fn new(live: &Arc<Live>) -> Self {
        Shared {
            live: Arc::clone(live),
            handshakes: Arc::default(),
            suspects: Arc::default(),
        }
    }
}

/// Takes the connections of one socket.
pub(super) struct Acceptor {
    /// Whose socket it is.
    pub listener: ListenerId,
    /// What all listeners share.
    pub shared: Shared,
    /// Those of this thread's connections.
    pub wakers: Arc<Wakers>,
}

impl Acceptor {
    /// Takes connections from `socket` until `closed` is ready: then those that are waiting, and no more.
    pub(super) async fn accept(self, socket: TcpListener, mut closed: oneshot::Receiver<()>) {
        let this = Arc::new(self);
        let mut closing = false;
        loop {
            let accepted = std::future::poll_fn(|cx| {
                closing = closing || std::pin::Pin::new(&mut closed).poll(cx).is_ready();
                match socket.poll_accept(cx) {
                    Poll::Pending if closing => Poll::Ready(None),
                    accepted => accepted.map(Some),
                }
            });
            match accepted.await {
                Some(Ok((stream, peer))) => this.take(stream, peer),
                Some(Err(_)) => tokio::time::sleep(PAUSE).await,
                None => return,
            }
        }
    }

    /// Takes a connection, unless there are too many, or puts it off until its address has its turn.
    fn take(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let place = self.shared.live.connect();
        let serving = self.shared.live.serving();
        let Some(spoken) = serving.spoken(self.listener) else {
            return;
        };
        let counts = &serving.edge.telemetry.connections;
        match spoken {
            Spoken::Clear { .. } => counts.clear.up(),
            Spoken::Tls(_) => counts.tls.up(),
        }
        if place.before >= serving.edge.config.client.max_connections {
            if let Spoken::Clear { .. } = spoken {
                refuse(&stream);
            }
            return counts.too_many.up();
        }
        let peer = Peer {
            address: peer.ip().to_canonical(),
            scheme: SchemeClass::Clear,
            voice: None,
        };
        match self.shared.suspects.turn(peer.address, serving.edge.clock.monotonic()) {
            Turn::Now => Arc::clone(self).serve(stream, spoken, peer, place),
            Turn::After(wait) => {
                let this = Arc::clone(self);
                tokio::spawn(async move {
                    tokio::time::sleep(wait).await;
                    this.serve(stream, spoken, peer, place);
                });
            }
            Turn::Never => counts.suspect.up(),
        }
    }

    /// Starts the task of a connection: one for each protocol, so that none takes the room that another needs.
    fn serve(self: Arc<Self>, stream: TcpStream, spoken: Spoken, peer: Peer, place: Place) {
        let link = Link::new(&self.shared.live, &self.wakers);
        match spoken {
            Spoken::Clear { h2c: false } => tokio::spawn(async move {
                h1::serve(stream, &[], peer, link).await;
                drop(place);
            }),
            Spoken::Clear { h2c: true } => tokio::spawn(async move {
                self.serve_either(stream, peer, link).await;
                drop(place);
            }),
            Spoken::Tls(listener) => tokio::spawn(async move {
                let secure = self.shared.live.secure();
                self.serve_secure(stream, listener, peer, link).await;
                drop((secure, place));
            }),
        };
    }

    async fn serve_secure(&self, stream: TcpStream, listener: usize, peer: Peer, link: Link) {
        let Some(terminator) = self.shared.live.serving().tls.clone() else {
            return;
        };
        // Boxed, because a handshake is large and soon over.
        let counts = &link.edge.telemetry.connections;
        let shaken = Box::pin(self.shake_hands(stream, &terminator, listener, counts)).await;
        let Some((stream, voice)) = shaken else { return };
        let peer = Peer {
            scheme: SchemeClass::Secure,
            voice: Some(voice),
            ..peer
        };
        match stream.session().alpn_protocol() {
            Some(b"h2") => Box::pin(self.serve_h2(stream, Bytes::new(), peer, link)).await,
            _ => h1::serve(stream, &[], peer, link).await,
        }
    }

    /// HTTP/2 if the client begins with its preface (RFC 9113 3.4), else HTTP/1.1.
    async fn serve_either(&self, mut stream: TcpStream, peer: Peer, link: Link) {
        let mut early = BytesMut::new();
        let undecided = |early: &[u8]| early.len() < PREFACE.len() && PREFACE.starts_with(early);
        let read = async {
            while undecided(&early) {
                if !matches!(stream.read_buf(&mut early).await, Ok(1..)) {
                    return false;
                }
            }
            true
        };
        // A client that is silent from the start is as idle as one between two requests.
        if tokio::time::timeout(link.edge.config.client.idle_timeout, read).await != Ok(true) {
            return;
        }
        match early.starts_with(PREFACE) {
            true => Box::pin(self.serve_h2(stream, early.freeze(), peer, link)).await,
            false => h1::serve(stream, &early, peer, link).await,
        }
    }

    async fn serve_h2<S: Transport>(&self, stream: S, early: Bytes, peer: Peer, link: Link) {
        let (address, clock) = (peer.address, Arc::clone(&link.edge.clock));
        let flooded = || self.shared.suspects.add(address, clock.monotonic());
        h2::serve(stream, early, peer, link, flooded).await;
    }

    /// The connection once hands are shaken; `None` if that failed, took too long, or too many others were at it.
    async fn shake_hands(
        &self,
        stream: TcpStream,
        terminator: &Terminator,
        listener: usize,
        counts: &ConnectionCounts,
    ) -> Option<(TlsStream, Voice)> {
        let settings = terminator.settings();
        let handshake = Handshake::new(&self.shared.handshakes);
        if handshake.before >= settings.max_handshakes {
            counts.too_many_handshakes.up();
            return None;
        }
        let failed = Uncounted(&counts.failed_handshakes);
        let mut voice = None;
        let shaken = TlsStream::accept(stream, |hello| {
            let chosen = terminator.choose(listener, hello.server_name(), hello.cipher_suites());
            voice = Some(chosen.voice);
            chosen.config
        });
        let stream = tokio::time::timeout(settings.handshake_timeout, shaken)
            .await
            .ok()?
            .ok()?;
        let voice = voice?;
        // rustls does not look again at the certificate of a client that resumes.
        let resumed = stream.session().handshake_kind() == Some(HandshakeKind::Resumed);
        if resumed && !voice.proof_stands(stream.session().peer_certificates()) {
            return None;
        }
        std::mem::forget(failed);
        let older = stream.session().protocol_version() == Some(ProtocolVersion::TLSv1_2);
        counts.handshakes[usize::from(!older)][usize::from(resumed)].up();
        Some((stream, voice))
    }
}

/// Counts a handshake as failed when dropped; forgotten if it did not.
struct Uncounted<'a>(&'a Count);

impl Drop for Uncounted<'_> {
    fn drop(&mut self) {
        self.0.up();
    }
}

/// A place among the handshakes under way; dropping it frees the place.
struct Handshake<'a> {
    under_way: &'a AtomicUsize,
    before: usize,
}

impl<'a> Handshake<'a> {
    fn new(under_way: &'a AtomicUsize) -> Self {
        let before = under_way.fetch_add(1, Ordering::Relaxed);
        Handshake { under_way, before }
    }
}

impl Drop for Handshake<'_> {
    fn drop(&mut self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Tells the client, if its socket takes it at once; it waits for nobody.
fn refuse(stream: &TcpStream) {
    let _ = stream.try_write(TOO_MANY);
}
