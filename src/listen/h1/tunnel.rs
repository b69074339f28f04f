//! What happens on a connection when HTTP/1.1 is over on it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::listen::transport::Transport;
use crate::origin::Duplex;

/// A tunnel on which nothing moved for this long, and at most twice as long, is closed.
const TUNNEL_IDLE: Duration = Duration::from_secs(300);

/// How long, and how much, a client may go on sending after the last answer on its connection.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1024 * 1024;

/// Carries bytes both ways until both sides have ended, or nothing moves; `early` came from the client already.
pub(super) async fn tunnel<S: Transport>(client: &mut S, early: BytesMut, origin: Box<dyn Duplex>) {
    let moved = Arc::new(AtomicBool::new(false));
    let mut client = Noted {
        stream: client,
        moved: Arc::clone(&moved),
    };
    let mut origin = Noted {
        stream: origin,
        moved: Arc::clone(&moved),
    };
    if origin.write_all(&early).await.is_err() {
        return;
    }
    let copied = tokio::io::copy_bidirectional(&mut client, &mut origin);
    let idle = async {
        loop {
            tokio::time::sleep(TUNNEL_IDLE).await;
            if !moved.swap(false, Ordering::Relaxed) {
                return;
            }
        }
    };
    tokio::select! {
        _ = copied => {}
        () = idle => {}
    }
}

/// A stream that notes when bytes move.
struct Noted<S> {
    stream: S,
    moved: Arc<AtomicBool>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_ready() {
            self.moved.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// RFC 9112 9.6: closing at once while the client still sends would make its kernel drop the answer unread.
pub(super) async fn linger<S: Transport>(stream: &mut S) {
    let drained = async {
        if stream.shutdown().await.is_err() {
            return;
        }
        let mut sink = [0u8; 2048];
        let mut left = LINGER_BYTES;
        while let Ok(read @ 1..) = stream.read(&mut sink).await {
            left = left.saturating_sub(read);
            if left == 0 {
                return;
            }
        }
    };
    // Past its time the connection is dropped either way.
    let _ = tokio::time::timeout(LINGER, drained).await;
}
