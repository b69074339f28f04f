//! The life of a shared connection, from its first bytes to its last.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Weak;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use pingora_core::protocols::Stream;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::before_head;
use super::session::{MAX_STREAMS, Session};
use crate::origin::FetchError;
use crate::origin::exchange::MAX_HEAD;

/// What an origin may send of one response ahead of its being read.
const STREAM_WINDOW: u32 = 1 << 20;
/// And of all that share a connection: as much as they may have together, so that slow readers never hold up the others.
const CONNECTION_WINDOW: u32 = MAX_STREAMS * STREAM_WINDOW;
/// What is taken of a request's body ahead of the connection's writing it.
const SEND_BUFFER: usize = 64 * 1024;

/// Makes a connection of a stream, within `limit`. It is open once the peer's SETTINGS allow a stream: without them, nobody could
/// say how many requests may share it (RFC 9113 section 3.4 asks for them as the first frame).
pub(super) async fn handshake(
    stream: Stream,
    limit: Duration,
) -> Result<(SendRequest<Bytes>, Connection<Stream>), FetchError> {
    let opening = async {
        let opened = builder().handshake(stream).await;
        let (sender, mut connection) = opened.map_err(|error| before_head(&error))?;
        poll_fn(|cx| poll_settings(&mut connection, cx)).await?;
        Ok((sender, connection))
    };
    timeout(limit, opening)
        .await
        .unwrap_or(Err(FetchError::ConnectionTimeout))
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(MAX_HEAD as u32)
        .max_send_buffer_size(SEND_BUFFER)
        // By which the peer's SETTINGS are known to have come.
        .initial_max_send_streams(0);
    builder
}

fn poll_settings(connection: &mut Connection<Stream>, cx: &mut Context<'_>) -> Poll<Result<(), FetchError>> {
    match Pin::new(&mut *connection).poll(cx) {
        Poll::Ready(Ok(())) => Poll::Ready(Err(FetchError::ConnectionTerminated)),
        Poll::Ready(Err(error)) => Poll::Ready(Err(before_head(&error))),
        Poll::Pending if connection.max_concurrent_send_streams() > 0 => Poll::Ready(Ok(())),
        Poll::Pending => Poll::Pending,
    }
}

/// Moves the connection until it ends: by the peer, or once it was unused for `idle`.
pub(super) async fn drive(connection: Connection<Stream>, session: Weak<Session>, idle: Duration) {
    // Also when the runtime ends, and this with it.
    let session = Leaving(session);
    let mut connection = pin!(connection);
    let mut timer = pin!(sleep(idle));
    poll_fn(|cx| {
        // What became of it, its streams are told.
        if connection.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        poll_abandoned(timer.as_mut(), &session.0, idle, cx)
    })
    .await;
}

/// Ready once nobody has held the connection for some time; until then lets go of it when it is unused for too long.
fn poll_abandoned(
    mut timer: Pin<&mut Sleep>,
    session: &Weak<Session>,
    idle: Duration,
    cx: &mut Context<'_>,
) -> Poll<()> {
    loop {
        ready!(timer.as_mut().poll(cx));
        // `h2` ends a connection that nobody holds; this is for a peer that does not let it.
        let Some(session) = session.upgrade() else {
            return Poll::Ready(());
        };
        let now = Instant::now();
        let end = session.unused_since().unwrap_or(now) + idle;
        if end <= now {
            session.leave();
        }
        timer.as_mut().reset(if end > now { end } else { now + idle });
    }
}

struct Leaving(Weak<Session>);

impl Drop for Leaving {
    fn drop(&mut self) {
        if let Some(session) = self.0.upgrade() {
            session.leave();
        }
    }
}
