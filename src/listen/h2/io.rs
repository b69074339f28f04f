//! The connection below the h2 crate: what is written at a time goes out together, and floods and stalls are noticed.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::Reason;
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::watch::Watch;
use crate::clock::Clock;
use crate::config::ClientLimits;
use crate::listen::deadline::Deadline;
use crate::listen::transport::Transport;

/// Writes are gathered up to the size of a TLS record (RFC 8446 5.1).
const GATHERED: usize = 16 * 1024;

/// Reads of a turn. A client whose frames cost much and bring little would otherwise hold its thread for long.
const READS: usize = 4;

/// A client's connection as the h2 crate sees it: shared with the one who serves it, because the crate flushes after every
/// frame and only the one who serves it knows when there is nothing more to write.
pub struct Io<S>(Arc<Mutex<Wire<S>>>);

impl<S> Clone for Io<S> {
    fn clone(&self) -> Self {
        Io(Arc::clone(&self.0))
    }
}

struct Wire<S> {
    stream: S,
    /// What was read before it was known to be HTTP/2.
    early: Bytes,
    /// Why the connection has to end, if it has to.
    fault: Option<Reason>,
    clock: Arc<dyn Clock>,
    watch: Watch,
    /// Reads that are left before other connections have their turn.
    reads: usize,
    /// What is to go out, of which `gone` bytes have.
    gathered: Vec<u8>,
    gone: usize,
    limits: ClientLimits,
    deadline: Deadline,
}

impl<S: Transport> Io<S> {
    /// `stream`, of which `early` has been read.
    pub fn new(stream: S, early: Bytes, clock: Arc<dyn Clock>, limits: ClientLimits) -> Self {
        Io(Arc::new(Mutex::new(Wire {
            stream,
            early,
            fault: None,
            watch: Watch::new(clock.monotonic()),
            clock,
            reads: READS,
            gathered: Vec::new(),
            gone: 0,
            limits,
            deadline: Deadline::default(),
        })))
    }

    /// Why the connection has to end, if it has to: too many frames of some kind.
    pub fn fault(&self) -> Option<Reason> {
        self.0.lock().fault
    }

    /// Begins a turn.
    pub fn begin_turn(&self) {
        self.0.lock().reads = READS;
    }

    /// Sends what has been written.
    pub fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.0.lock();
        ready!(wire.poll_write_gathered(cx))?;
        match Pin::new(&mut wire.stream).poll_flush(cx) {
            Poll::Pending => return wire.poll_stalled(cx),
            Poll::Ready(flushed) => flushed?,
        }
        // Between answers the connection holds no buffer.
        wire.gathered = Vec::new();
        wire.deadline.clear();
        Poll::Ready(Ok(()))
    }
}

impl<S: Transport> Wire<S> {
    /// Writes once: what is gathered, then `more`. Returns how much of `more` was taken.
    fn poll_write_once(&mut self, more: &[IoSlice<'_>], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let left = self.gathered.len() - self.gone;
        let mut slices: SmallVec<[IoSlice<'_>; 8]> = SmallVec::new();
        if left > 0 {
            slices.push(IoSlice::new(&self.gathered[self.gone..]));
        }
        slices.extend(more.iter().map(|slice| IoSlice::new(slice)));
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, &slices);
        drop(slices);
        let written = match written {
            Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(written) => written?,
            Poll::Pending => return self.poll_stalled(cx),
        };
        self.deadline.extend_for(written, &self.limits);
        self.watch.sent(written);
        self.gone += written.min(left);
        if self.gone == self.gathered.len() {
            self.gathered.clear();
            self.gone = 0;
        }
        Poll::Ready(Ok(written.saturating_sub(left)))
    }

    /// The client takes nothing. Ready with an error once that has gone on for too long.
    fn poll_stalled<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        self.deadline.set_if_unset(self.limits.io_timeout);
        ready!(self.deadline.poll_passed(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_write_gathered(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.gathered.is_empty() {
            ready!(self.poll_write_once(&[], cx))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Transport> AsyncRead for Io<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self.0.lock();
        // What is already here is dealt with; more of it is not taken.
        if this.fault.is_some() {
            return Poll::Pending;
        }
        if this.reads == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        this.reads -= 1;
        let before = buf.filled().len();
        if this.early.is_empty() {
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        } else {
            let taken = this.early.len().min(buf.remaining());
            buf.put_slice(&this.early[..taken]);
            this.early.advance(taken);
        }
        this.fault = this.watch.look(&buf.filled()[before..], this.clock.monotonic()).err();
        Poll::Ready(Ok(()))
    }
}

impl<S: Transport> AsyncWrite for Io<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self.0.lock();
        let wanted: usize = bufs.iter().map(|buf| buf.len()).sum();
        if this.gathered.len() + wanted <= GATHERED {
            if this.gathered.capacity() == 0 {
                this.gathered.reserve_exact(GATHERED);
            }
            bufs.iter().for_each(|buf| this.gathered.extend_from_slice(buf));
            return Poll::Ready(Ok(wanted));
        }
        loop {
            let taken = ready!(this.poll_write_once(bufs, cx))?;
            if taken > 0 {
                return Poll::Ready(Ok(taken));
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Does nothing; see [`Io::poll_send`].
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        let wire = &mut *self.0.lock();
        match wire.fault {
            // See `h2::PENALTY`.
            Some(_) => Poll::Ready(Ok(())),
            None => Pin::new(&mut wire.stream).poll_shutdown(cx),
        }
    }
}
