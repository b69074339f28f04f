//! Sending a request: its head, then its body as the client delivers it.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

use super::request::Framing;
use super::{FetchError, RequestBody};

/// Body bytes that are taken from the client ahead of the origin's taking them.
const AHEAD: usize = 64 * 1024;
const SLICES: usize = 16;

/// What the sending side waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waits {
    /// Nothing: everything was sent, or sending was given up.
    Nothing,
    /// The client, to deliver more of the body.
    Client,
    /// The origin, to take what there is.
    Origin,
}

/// A request on its way out.
pub(super) struct Upload<'a> {
    queue: VecDeque<Bytes>,
    queued: usize,
    body: Option<Source<'a>>,
    flushed: bool,
    failed: bool,
}

/// The part of the body that is still with the client.
pub(super) struct Source<'a> {
    pub(super) body: &'a mut (dyn RequestBody + 'a),
    /// What is left of the stated length, if one was stated.
    pub(super) left: Option<u64>,
}

impl<'a> Source<'a> {
    pub(super) fn new(body: &'a mut (dyn RequestBody + 'a)) -> Self {
        let left = body.content_length();
        Source { body, left }
    }

    /// Counts a piece against the stated length.
    pub(super) fn count(&mut self, piece: &Bytes) -> Result<(), FetchError> {
        if let Some(left) = &mut self.left {
            // RFC 9112 section 6.3: bytes beyond the stated length would be read as the next request.
            *left = left.checked_sub(piece.len() as u64).ok_or(FetchError::RequestBody)?;
        }
        Ok(())
    }
}

impl<'a> Upload<'a> {
    /// The request with this head, and this body if `framing` says that there is one.
    pub(super) fn new(head: Vec<u8>, framing: Framing, body: Option<&'a mut (dyn RequestBody + 'a)>) -> Self {
        let mut queue = VecDeque::with_capacity(1);
        let queued = head.len();
        queue.push_back(Bytes::from(head));
        Upload {
            queue,
            queued,
            body: body
                .filter(|_| !matches!(framing, Framing::None | Framing::Length(0)))
                .map(Source::new),
            flushed: false,
            failed: false,
        }
    }

    /// Whether the whole request is with the origin.
    pub(super) fn is_sent(&self) -> bool {
        self.flushed && !self.failed
    }

    /// Sends what can be sent in one write; `true` if anything moved. An error is the client's: an origin that stops
    /// taking the request may have answered it already (RFC 9112 section 9.5), so that only ends the sending.
    pub(super) fn step<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Result<(Waits, bool), FetchError> {
        if self.flushed || self.failed {
            return Ok((Waits::Nothing, false));
        }
        self.gather(cx)?;
        match self.send(Pin::new(stream), cx) {
            Poll::Ready(Ok(moved)) if self.flushed => Ok((Waits::Nothing, moved)),
            Poll::Ready(Ok(moved)) if moved => Ok((Waits::Origin, true)),
            Poll::Ready(Ok(_)) => Ok((Waits::Client, false)),
            Poll::Ready(Err(_)) => {
                self.failed = true;
                self.body = None;
                Ok((Waits::Nothing, true))
            }
            Poll::Pending => Ok((Waits::Origin, false)),
        }
    }

    /// Takes from the client what it has, up to a bound.
    fn gather(&mut self, cx: &mut Context<'_>) -> Result<(), FetchError> {
        while self.queued < AHEAD
            && let Some(source) = &mut self.body
        {
            match source.body.poll_piece(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(piece)) => self.enqueue(piece?)?,
                Poll::Ready(None) => self.enqueue_end()?,
            }
        }
        Ok(())
    }

    fn enqueue(&mut self, piece: Bytes) -> Result<(), FetchError> {
        let Some(source) = &mut self.body else {
            return Ok(());
        };
        source.count(&piece)?;
        match source.left {
            Some(left) => {
                if left == 0 {
                    self.body = None;
                }
                self.push(piece);
            }
            // RFC 9112 section 7.1: an empty chunk would be the last one.
            None if piece.is_empty() => {}
            None => {
                self.push(Bytes::from(format!("{:x}\r\n", piece.len())));
                self.push(piece);
                self.push(Bytes::from_static(b"\r\n"));
            }
        }
        Ok(())
    }

    fn enqueue_end(&mut self) -> Result<(), FetchError> {
        match self.body.take().and_then(|source| source.left) {
            // The client stopped short of what it had stated.
            Some(_) => Err(FetchError::RequestBody),
            None => {
                self.push(Bytes::from_static(b"0\r\n\r\n"));
                Ok(())
            }
        }
    }

    fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.queued += piece.len();
            self.queue.push_back(piece);
        }
    }

    /// One write, and a flush when nothing is left to write; `true` if bytes were taken.
    fn send<S: AsyncWrite>(&mut self, mut stream: Pin<&mut S>, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut moved = false;
        if let Some(first) = self.queue.front() {
            let written = if self.queue.len() == 1 {
                ready!(stream.as_mut().poll_write(cx, first))?
            } else {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let mut count = 0;
                for (slice, piece) in slices.iter_mut().zip(&self.queue) {
                    *slice = IoSlice::new(piece);
                    count += 1;
                }
                ready!(stream.as_mut().poll_write_vectored(cx, &slices[..count]))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.consume(written);
            moved = true;
        }
        if self.queue.is_empty() {
            // TLS may hold back what it was given. Moved bytes are progress whether or not they are flushed yet.
            match stream.poll_flush(cx)? {
                Poll::Ready(()) => self.flushed = self.body.is_none(),
                Poll::Pending if moved => {}
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(moved))
    }

    fn consume(&mut self, mut written: usize) {
        self.queued -= written;
        while let Some(first) = self.queue.front_mut() {
            if written < first.len() {
                first.advance(written);
                break;
            }
            written -= first.len();
            self.queue.pop_front();
        }
    }
}
