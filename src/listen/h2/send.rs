//! Sending an answer's body on a stream, as its window opens.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::HeaderMap;

use super::ledger::{Ledger, Piece};
use crate::config::ClientLimits;
use crate::listen::deadline::Deadline;
use crate::pipeline::AnswerBody;

/// Bytes of a body in one frame, so that a frame fills a TLS record (RFC 8446 5.1) and no more than that.
pub const FRAME: usize = 16 * 1024 - 9;

/// Sends a body now if all of it fits the stream's window; `Err`: it does not, and is untouched.
pub fn send_now(stream: &mut SendStream<Piece>, pieces: &mut [Bytes], ledger: &Arc<Ledger>) -> Result<(), ()> {
    let length = pieces.iter().map(Bytes::len).sum();
    stream.reserve_capacity(length);
    if stream.capacity() < length {
        return Err(());
    }
    let mut left = length;
    for piece in pieces {
        while !piece.is_empty() {
            let part = piece.split_to(piece.len().min(FRAME));
            left -= part.len();
            // An error means that the stream is gone, and with it whoever wanted the rest.
            let _ = stream.send_data(ledger.enter(part), left == 0);
        }
    }
    Ok(())
}

/// A body on its way to a client.
pub struct Sending<'a> {
    body: AnswerBody<'a>,
    stream: SendStream<Piece>,
    ledger: Arc<Ledger>,
    /// The pieces that have come; two at most, so that the last is known to be the last.
    ahead: VecDeque<Bytes>,
    ended: bool,
    /// Bytes that have been sent.
    sent: u64,
    trailers: Option<HeaderMap>,
    /// The client takes trailer fields (RFC 9110 10.1.4).
    takes_trailers: bool,
    limits: ClientLimits,
    deadline: Deadline,
}

impl<'a> Sending<'a> {
    /// All of `body`, on `stream`.
    pub fn new(body: AnswerBody<'a>, stream: SendStream<Piece>, ledger: Arc<Ledger>, limits: ClientLimits) -> Self {
        Sending {
            body,
            stream,
            ledger,
            ahead: VecDeque::with_capacity(2),
            ended: false,
            sent: 0,
            trailers: None,
            takes_trailers: false,
            limits,
            deadline: Deadline::default(),
        }
    }

    /// With the trailer fields behind it, if the client takes them.
    pub fn with_trailers(self, takes_trailers: bool) -> Self {
        Sending { takes_trailers, ..self }
    }

    /// Sends it to its end, or for as long as the client wants it. Returns how many bytes were sent, and whether all.
    pub async fn send(mut self) -> (u64, bool) {
        let whole = std::future::poll_fn(|cx| self.poll_send(cx)).await;
        (self.sent, whole)
    }

    /// Ready when nothing more is to be sent: whether all was.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.stream.poll_reset(cx).is_ready() {
            return Poll::Ready(false);
        }
        loop {
            if self.look_ahead(cx).is_err() {
                self.stream.send_reset(Reason::INTERNAL_ERROR);
                return Poll::Ready(false);
            }
            let Some(piece) = self.ahead.front() else {
                if self.ended {
                    self.finish();
                    return Poll::Ready(true);
                }
                // Waiting for the body is for the origin's timeouts to end.
                self.deadline.clear();
                return Poll::Pending;
            };
            let wanted = piece.len().min(FRAME);
            ready!(self.ledger.poll_room(cx));
            match ready!(self.poll_window(wanted, cx)) {
                Some(window) => {
                    if self.send_part(wanted.min(window)) {
                        return Poll::Ready(true);
                    }
                }
                None => return Poll::Ready(false),
            }
        }
    }

    /// Takes what has come of the body.
    fn look_ahead(&mut self, cx: &mut Context<'_>) -> Result<(), ()> {
        while !self.ended && self.ahead.len() < 2 {
            match self.body.poll_piece(cx) {
                Poll::Pending => break,
                Poll::Ready(None) => {
                    self.ended = true;
                    self.trailers = self.body.take_trailers().filter(|_| self.takes_trailers);
                }
                Poll::Ready(Some(Ok(piece))) if piece.is_empty() => {}
                Poll::Ready(Some(Ok(piece))) => self.ahead.push_back(piece),
                Poll::Ready(Some(Err(_))) => return Err(()),
            }
        }
        Ok(())
    }

    /// Bytes that the client takes now; `None` if it takes none any more, or has taken too few for too long.
    fn poll_window(&mut self, wanted: usize, cx: &mut Context<'_>) -> Poll<Option<usize>> {
        self.stream.reserve_capacity(wanted);
        match self.stream.capacity() {
            0 => {}
            window => return Poll::Ready(Some(window)),
        }
        match self.stream.poll_capacity(cx) {
            Poll::Ready(Some(Ok(window))) => Poll::Ready(Some(window)),
            Poll::Ready(_) => Poll::Ready(None),
            Poll::Pending => {
                self.deadline.set_if_unset(self.limits.io_timeout);
                ready!(self.deadline.poll_passed(cx));
                self.stream.send_reset(Reason::CANCEL);
                Poll::Ready(None)
            }
        }
    }

    /// Sends so many bytes of the first piece. Returns whether they were the last.
    fn send_part(&mut self, length: usize) -> bool {
        let Some(piece) = self.ahead.front_mut() else {
            return false;
        };
        let part = piece.split_to(length);
        if piece.is_empty() {
            self.ahead.pop_front();
        }
        self.sent += part.len() as u64;
        self.deadline.extend_for(part.len(), &self.limits);
        let last = self.ended && self.ahead.is_empty() && self.trailers.is_none();
        // An error means that the stream is gone, which the next poll finds.
        let _ = self.stream.send_data(self.ledger.enter(part), last);
        last
    }

    fn finish(&mut self) {
        // As above.
        let _ = match self.trailers.take() {
            Some(trailers) => self.stream.send_trailers(trailers),
            None => self.stream.send_data(self.ledger.enter(Bytes::new()), true),
        };
    }
}
