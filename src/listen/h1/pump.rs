//! Sending an answer: head and body, as fast as the client takes them and the body comes.

use std::future::poll_fn;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes};
use smallvec::SmallVec;
use tokio::io::AsyncWrite;

use super::head::{self, Framing, Wire};
use crate::config::ClientLimits;
use crate::http1::chunked::{CHUNK_END, LAST_CHUNK, chunk_head};
use crate::listen::deadline::Deadline;
use crate::pipeline::Answer;

/// Pieces handed to one write.
const PIECES: usize = 8;

/// No more is taken from the body while the client has this many bytes still to take. Kept small, because what is taken
/// from a fill no longer counts toward its window.
const QUEUED: usize = 64 * 1024;

/// A head and a body that are no larger than this together are one buffer.
const TOGETHER: usize = 4 * 1024;

/// How the sending of an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// All of it was sent, and its end shows.
    Whole,
    /// All of it was sent; closing shows its end.
    ToBeClosed,
    /// The body broke off.
    Broken,
    /// The client went, or took nothing for too long.
    Gone,
}

impl Sent {
    /// Whether all of it was sent.
    pub fn is_whole(self) -> bool {
        matches!(self, Sent::Whole | Sent::ToBeClosed)
    }
}

/// An answer on its way to a client.
pub struct Pump<'p, 'a> {
    /// The head, of which `head_sent` bytes have gone out.
    head: &'p mut Vec<u8>,
    head_sent: usize,
    queue: SmallVec<[Bytes; PIECES]>,
    queued: usize,
    answer: Answer<'a>,
    framing: Framing,
    /// The client takes trailer fields.
    trailers: bool,
    body: Progress,
    /// Bytes that have been taken from the body.
    pub body_bytes: u64,
    limits: &'p ClientLimits,
    deadline: &'p mut Deadline,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Coming,
    Ended,
    Broken,
}

impl<'p, 'a> Pump<'p, 'a> {
    /// Writes the head into `head`, behind what is there and goes out before it.
    pub fn new(
        head: &'p mut Vec<u8>,
        answer: Answer<'a>,
        wire: Wire,
        limits: &'p ClientLimits,
        deadline: &'p mut Deadline,
    ) -> Self {
        let framing = head::framing(&answer, wire);
        head::write(head, &answer, wire, framing);
        deadline.clear();
        Pump {
            head,
            head_sent: 0,
            queue: SmallVec::new(),
            queued: 0,
            framing,
            trailers: wire.trailers,
            body: match answer.length {
                crate::pipeline::BodyLength::NoBody => Progress::Ended,
                _ => Progress::Coming,
            },
            body_bytes: 0,
            answer,
            limits,
            deadline,
        }
    }

    /// Sends all of it at once if the body is here and the client's socket takes it; the common case, without a future.
    pub fn try_send<S: AsyncWrite + Unpin>(&mut self, stream: &mut S) -> Option<Sent> {
        let mut cx = Context::from_waker(Waker::noop());
        match self.poll_send(stream, &mut cx) {
            Poll::Ready(sent) => Some(sent),
            Poll::Pending => None,
        }
    }

    /// Sends it. While nothing comes to be sent, `poll_gone` notices that the client has gone.
    pub async fn send<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        mut poll_gone: impl FnMut(&mut S, &mut Context<'_>) -> Poll<()>,
    ) -> Sent {
        poll_fn(|cx| match self.poll_send(stream, cx) {
            Poll::Ready(sent) => Poll::Ready(sent),
            Poll::Pending => {
                if self.queue.is_empty() && poll_gone(stream, cx).is_ready() {
                    return Poll::Ready(Sent::Gone);
                }
                self.deadline.poll_passed(cx).map(|()| Sent::Gone)
            }
        })
        .await
    }

    fn poll_send<S: AsyncWrite + Unpin>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<Sent> {
        loop {
            self.fill(cx);
            if self.head_sent == self.head.len() && self.queue.is_empty() {
                if !ready!(self.poll_flush(stream, cx)) {
                    return Poll::Ready(Sent::Gone);
                }
                match self.body {
                    // Waiting for the body is for the origin's timeouts to end.
                    Progress::Coming => {
                        self.deadline.clear();
                        return Poll::Pending;
                    }
                    Progress::Broken => return Poll::Ready(Sent::Broken),
                    Progress::Ended if self.framing == Framing::UntilClose => return Poll::Ready(Sent::ToBeClosed),
                    Progress::Ended => return Poll::Ready(Sent::Whole),
                }
            }
            match ready!(self.poll_write(stream, cx)) {
                Some(written) => self.sent(written),
                None => return Poll::Ready(Sent::Gone),
            }
        }
    }

    /// Takes what has come of the body.
    fn fill(&mut self, cx: &mut Context<'_>) {
        while self.body == Progress::Coming && self.queue.len() < PIECES && self.queued < QUEUED {
            match self.answer.body.poll_piece(cx) {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(piece))) if self.framing == Framing::Chunked => {
                    let size = chunk_head(piece.len());
                    self.body_bytes += piece.len() as u64;
                    self.push(Bytes::copy_from_slice(&size));
                    self.push(piece);
                    self.push(Bytes::from_static(CHUNK_END));
                }
                Poll::Ready(Some(Ok(piece))) => {
                    self.body_bytes += piece.len() as u64;
                    self.push(piece);
                }
                Poll::Ready(Some(Err(_))) => self.body = Progress::Broken,
                Poll::Ready(None) => {
                    self.body = Progress::Ended;
                    if self.framing == Framing::Chunked {
                        let last = self.last_chunk();
                        self.push(last);
                    }
                }
            }
        }
    }

    /// RFC 9112 7.1.2: the last chunk, with the trailer fields if the client takes them.
    fn last_chunk(&mut self) -> Bytes {
        let trailers = self.answer.body.take_trailers().filter(|_| self.trailers);
        let Some(trailers) = trailers else {
            return Bytes::from_static(LAST_CHUNK);
        };
        let mut out = b"0\r\n".to_vec();
        for (name, value) in &trailers {
            head::line(&mut out, name.as_str(), value.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        Bytes::from(out)
    }

    fn push(&mut self, piece: Bytes) {
        // A small body goes out with its head: copying it costs less than a second buffer costs the kernel.
        if self.queue.is_empty() && self.head_sent == 0 && self.head.len() + piece.len() <= TOGETHER {
            self.head.extend_from_slice(&piece);
        } else if !piece.is_empty() {
            self.queued += piece.len();
            self.queue.push(piece);
        }
    }

    /// Bytes that the client's socket took; `None` if it is gone.
    fn poll_write<S: AsyncWrite + Unpin>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<Option<usize>> {
        let stream = Pin::new(stream);
        let written = if self.queue.is_empty() {
            stream.poll_write(cx, &self.head[self.head_sent..])
        } else {
            stream.poll_write_vectored(cx, &self.slices())
        };
        match written {
            Poll::Ready(Ok(0)) | Poll::Ready(Err(_)) => Poll::Ready(None),
            Poll::Ready(Ok(written)) => Poll::Ready(Some(written)),
            Poll::Pending => {
                self.deadline.set_if_unset(self.limits.io_timeout);
                Poll::Pending
            }
        }
    }

    /// TLS may hold back what it was given. `false` if the client is gone.
    fn poll_flush<S: AsyncWrite + Unpin>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<bool> {
        let flushed = Pin::new(stream).poll_flush(cx);
        if flushed.is_pending() {
            self.deadline.set_if_unset(self.limits.io_timeout);
        }
        flushed.map(|flushed| flushed.is_ok())
    }

    fn slices(&self) -> SmallVec<[IoSlice<'_>; PIECES + 4]> {
        let mut slices: SmallVec<[IoSlice<'_>; PIECES + 4]> = SmallVec::new();
        if self.head_sent < self.head.len() {
            slices.push(IoSlice::new(&self.head[self.head_sent..]));
        }
        slices.extend(self.queue.iter().map(|piece| IoSlice::new(piece)));
        slices
    }

    fn sent(&mut self, written: usize) {
        self.deadline.extend_for(written, self.limits);
        let mut left = written;
        let of_head = left.min(self.head.len() - self.head_sent);
        self.head_sent += of_head;
        left -= of_head;
        self.queued -= left;
        let mut gone = 0;
        for piece in &mut self.queue {
            if left < piece.len() {
                piece.advance(left);
                break;
            }
            left -= piece.len();
            gone += 1;
        }
        self.queue.drain(..gone);
    }
}
