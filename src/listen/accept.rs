//! The accept loop, and the bound on connections.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use super::ask::Peer;
use super::{h1, h2};
use crate::cache::SchemeClass;
use crate::config::Speaks;
use crate::pipeline::Edge;

/// What a client gets when there are too many connections.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\
proxy-status: verge; details=\"too-many-connections\"\r\n\r\n";

/// The pause after a failed accept: mostly the process is out of file descriptors, and only time frees some.
const PAUSE: Duration = Duration::from_millis(20);

/// What no HTTP/1.1 request begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection's place among all; dropping it frees the place.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the connections of one listener need.
pub(super) struct Acceptor {
    /// What is spoken on them.
    pub speaks: Speaks,
    /// What their requests share.
    pub edge: Arc<Edge>,
    /// All connections, of all listeners.
    pub connections: Arc<AtomicUsize>,
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
                refuse(&stream);
                continue;
            }
            let this = Arc::clone(&this);
            tokio::spawn(async move {
                this.serve(stream, peer.ip().to_canonical()).await;
                drop(place);
            });
        }
    }

    async fn serve(&self, stream: TcpStream, address: IpAddr) {
        let peer = Peer {
            address,
            scheme: SchemeClass::Clear,
        };
        match &self.speaks {
            Speaks::Clear { h2c: false } => h1::serve(stream, &[], peer, &self.edge).await,
            Speaks::Clear { h2c: true } => self.serve_either(stream, peer).await,
            Speaks::Tls(_) => {}
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
            true => h2::serve(stream, early.freeze(), peer, &self.edge).await,
            false => h1::serve(stream, &early, peer, &self.edge).await,
        }
    }
}

/// Tells the client, if its socket takes it at once; it waits for nobody.
fn refuse(stream: &TcpStream) {
    let _ = stream.try_write(TOO_MANY);
}
