//! The accept loop, and the bound on connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use super::h1;
use crate::cache::SchemeClass;
use crate::pipeline::Edge;

/// What a client gets when there are too many connections.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\
proxy-status: verge; details=\"too-many-connections\"\r\n\r\n";

/// The pause after a failed accept: mostly the process is out of file descriptors, and only time frees some.
const PAUSE: Duration = Duration::from_millis(20);

/// A connection's place among all; dropping it frees the place.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Takes connections from `listener` for ever.
pub(super) async fn accept(listener: TcpListener, edge: Arc<Edge>, connections: Arc<AtomicUsize>) {
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(_) => {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let before = connections.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(&connections));
        if before >= edge.config.client.max_connections {
            refuse(&stream);
            continue;
        }
        let edge = Arc::clone(&edge);
        tokio::spawn(async move {
            h1::serve(stream, peer.ip().to_canonical(), SchemeClass::Clear, &edge).await;
            drop(place);
        });
    }
}

/// Tells the client, if its socket takes it at once; it waits for nobody.
fn refuse(stream: &TcpStream) {
    let _ = stream.try_write(TOO_MANY);
}
