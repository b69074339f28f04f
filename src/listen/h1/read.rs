//! Reading from a connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};

/// Bytes that are read of the next request while a client waits for an answer; beyond it nobody watches whether it is still there.
const READ_AHEAD: usize = 16 * 1024;

/// Reads what is there, with room for at least `room` bytes. `0` is the end.
pub(super) fn poll_read<S: AsyncRead + Unpin>(
    stream: &mut S,
    input: &mut BytesMut,
    room: usize,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    input.reserve(room);
    let read = {
        let mut buf = ReadBuf::uninit(input.spare_capacity_mut());
        ready!(Pin::new(stream).poll_read(cx, &mut buf))?;
        buf.filled().len()
    };
    // SAFETY: `ReadBuf` says that so many bytes of the spare capacity have been written.
    unsafe { input.advance_mut(read) };
    Poll::Ready(Ok(read))
}

/// Ready once the client has gone. What it sends meanwhile is kept for later.
pub(super) fn poll_gone<S: AsyncRead + Unpin>(stream: &mut S, input: &mut BytesMut, cx: &mut Context<'_>) -> Poll<()> {
    while input.len() < READ_AHEAD {
        match poll_read(stream, input, 1024, cx) {
            Poll::Ready(Ok(0)) | Poll::Ready(Err(_)) => return Poll::Ready(()),
            Poll::Ready(Ok(_)) => {}
            Poll::Pending => return Poll::Pending,
        }
    }
    Poll::Pending
}
