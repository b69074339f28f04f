//! The accept loop, and the bound on connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustls::HandshakeKind;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use super::ask::Peer;
use super::suspects::{Suspects, Turn};
use super::tls::TlsStream;
use super::transport::Transport;
use super::{h1, h2};
use crate::cache::SchemeClass;
use crate::pipeline::Edge;
use crate::tls::{Terminator, Voice};

/// What a client gets when there are too many connections.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\
proxy-status: verge; details=\"too-many-connections\"\r\n\r\n";

/// The pause after a failed accept: mostly the process is out of file descriptors, and only time frees some.
const PAUSE: Duration = Duration::from_millis(20);

/// What no HTTP/1.1 request begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A place among all connections, or handshakes; dropping it frees the place.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the connections of one listener need.
pub(super) struct Acceptor {
    /// What is spoken on them.
    pub speaks: Spoken,
    /// What their requests share.
    pub edge: Arc<Edge>,
    /// All connections, of all listeners.
    pub connections: Arc<AtomicUsize>,
    /// Addresses whose connections have to wait, on all listeners.
    pub suspects: Arc<Suspects>,
}

/// What is spoken on a listener's connections.
pub(super) enum Spoken {
    /// HTTP/1.1, and with `h2c` HTTP/2.
    Clear {
        /// Whether HTTP/2 is spoken.
        h2c: bool,
    },
    /// TLS.
    Tls(Secure),
}

/// What shaking hands needs.
pub(super) struct Secure {
    /// Certificates, tickets and proofs.
    pub terminator: Arc<Terminator>,
    /// The listener's place among those that speak TLS.
    pub listener: usize,
    /// Handshakes under way, of all listeners.
    pub handshakes: Arc<AtomicUsize>,
}

impl Acceptor {
    /// Takes connections from `listener` for ever.
    pub(super) async fn accept(self, listener: TcpListener) {
        let this = Arc::new(self);
        loop {
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(_) => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let before = this.connections.fetch_add(1, Ordering::Relaxed);
            let place = Place(Arc::clone(&this.connections));
            if before >= this.edge.config.client.max_connections {
                if let Spoken::Clear { .. } = this.speaks {
                    refuse(&stream);
                }
                continue;
            }
            let peer = Peer {
                address: peer.ip().to_canonical(),
                scheme: SchemeClass::Clear,
                voice: None,
            };
            match this.suspects.turn(peer.address, this.edge.clock.monotonic()) {
                Turn::Now => Arc::clone(&this).serve(stream, peer, place),
                Turn::After(wait) => {
                    let this = Arc::clone(&this);
                    tokio::spawn(async move {
                        tokio::time::sleep(wait).await;
                        this.serve(stream, peer, place);
                    });
                }
                Turn::Never => {}
            }
        }
    }

    /// Starts the task of a connection: one for each protocol, so that none takes the room that another needs.
    fn serve(self: Arc<Self>, stream: TcpStream, peer: Peer, place: Place) {
        match self.speaks {
            Spoken::Clear { h2c: false } => tokio::spawn(async move {
                h1::serve(stream, &[], peer, &self.edge).await;
                drop(place);
            }),
            Spoken::Clear { h2c: true } => tokio::spawn(async move {
                self.serve_either(stream, peer).await;
                drop(place);
            }),
            Spoken::Tls(_) => tokio::spawn(async move {
                if let Spoken::Tls(secure) = &self.speaks {
                    self.serve_secure(stream, peer, secure).await;
                }
                drop(place);
            }),
        };
    }

    async fn serve_secure(&self, stream: TcpStream, peer: Peer, secure: &Secure) {
        // Boxed, because a handshake is large and soon over.
        let Some((stream, voice)) = Box::pin(secure.shake_hands(stream)).await else {
            return;
        };
        let peer = Peer {
            scheme: SchemeClass::Secure,
            voice: Some(voice),
            ..peer
        };
        match stream.session().alpn_protocol() {
            Some(b"h2") => Box::pin(self.serve_h2(stream, Bytes::new(), peer)).await,
            _ => h1::serve(stream, &[], peer, &self.edge).await,
        }
    }

    /// HTTP/2 if the client begins with its preface (RFC 9113 3.4), else HTTP/1.1.
    async fn serve_either(&self, mut stream: TcpStream, peer: Peer) {
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
        if tokio::time::timeout(self.edge.config.client.idle_timeout, read).await != Ok(true) {
            return;
        }
        match early.starts_with(PREFACE) {
            true => Box::pin(self.serve_h2(stream, early.freeze(), peer)).await,
            false => h1::serve(stream, &early, peer, &self.edge).await,
        }
    }

    async fn serve_h2<S: Transport>(&self, stream: S, early: Bytes, peer: Peer) {
        let address = peer.address;
        let flooded = || self.suspects.add(address, self.edge.clock.monotonic());
        h2::serve(stream, early, peer, &self.edge, flooded).await;
    }
}

impl Secure {
    /// The connection once hands are shaken; `None` if that failed, took too long, or too many others were at it.
    async fn shake_hands(&self, stream: TcpStream) -> Option<(TlsStream, Voice)> {
        let settings = self.terminator.settings();
        let before = self.handshakes.fetch_add(1, Ordering::Relaxed);
        let _place = Place(Arc::clone(&self.handshakes));
        if before >= settings.max_handshakes {
            return None;
        }
        let mut voice = None;
        let shaken = TlsStream::accept(stream, |hello| {
            let chosen = self
                .terminator
                .choose(self.listener, hello.server_name(), hello.cipher_suites());
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
        Some((stream, voice))
    }
}

/// Tells the client, if its socket takes it at once; it waits for nobody.
fn refuse(stream: &TcpStream) {
    let _ = stream.try_write(TOO_MANY);
}
