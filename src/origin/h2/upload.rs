//! Sending a request's body as the peer's windows let it.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::SendStream;
use http::HeaderMap;

use crate::origin::FetchError;
use crate::origin::exchange::BodyOf;
use crate::origin::upload::{Source, Waits};
use crate::policy::hop::strip_hop_by_hop;

/// A request's body on its way out, and its trailers after it.
pub(super) struct Upload<'a> {
    stream: SendStream<Bytes>,
    /// Until its end was seen, or sending was given up.
    source: Option<Source<'a>>,
    /// What was taken from the client and has no room yet.
    piece: Bytes,
    trailers: Option<HeaderMap>,
    /// Whether anything was taken from the client, be it the end.
    taken: bool,
    ended: bool,
    over: bool,
}

impl<'a> Upload<'a> {
    /// The body for a stream whose head was sent; without one, the head ended the stream.
    pub(super) fn new(stream: SendStream<Bytes>, body: BodyOf<'a>) -> Self {
        Upload {
            stream,
            over: body.is_none(),
            source: body.map(Source::new),
            piece: Bytes::new(),
            trailers: None,
            taken: false,
            ended: false,
        }
    }

    /// The body, if none of it was taken from the client; the outer `None` is that some was.
    pub(super) fn into_untouched(self) -> Option<BodyOf<'a>> {
        (!self.taken).then(|| self.source.map(|source| source.body))
    }

    /// Sends what there is room for; `true` if anything moved. An error is the client's: an origin that stops taking the
    /// request may have answered it already (RFC 9113 section 8.1), so that only ends the sending.
    pub(super) fn step(&mut self, cx: &mut Context<'_>) -> Result<(Waits, bool), FetchError> {
        let mut moved = false;
        while !self.over {
            self.gather(cx)?;
            if self.piece.is_empty() && !self.ended {
                return Ok((Waits::Client, moved));
            }
            if self.poll_send(cx).is_pending() {
                return Ok((Waits::Origin, moved));
            }
            moved = true;
        }
        Ok((Waits::Nothing, moved))
    }

    /// Takes a piece from the client. After the last byte that was stated only the end can come; it may go out with that byte.
    fn gather(&mut self, cx: &mut Context<'_>) -> Result<(), FetchError> {
        while let Some(source) = &mut self.source
            && (self.piece.is_empty() || source.left == Some(0))
        {
            let Poll::Ready(next) = source.body.poll_piece(cx) else {
                break;
            };
            self.taken = true;
            match next {
                Some(piece) => {
                    let piece = piece?;
                    source.count(&piece)?;
                    if !piece.is_empty() {
                        self.piece = piece;
                    }
                }
                None => self.end()?,
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), FetchError> {
        self.ended = true;
        let Some(source) = self.source.take() else {
            return Ok(());
        };
        // The client stopped short of what it had stated.
        if source.left.is_some_and(|left| left > 0) {
            return Err(FetchError::RequestBody);
        }
        self.trailers = source.body.take_trailers().and_then(|mut trailers| {
            strip_hop_by_hop(&mut trailers);
            (!trailers.is_empty()).then_some(trailers)
        });
        Ok(())
    }

    /// Sends one piece as far as there is room, or what comes after the last one.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let room = match self.piece.len() {
            0 => 0,
            wanted => ready!(self.poll_room(cx, wanted)),
        };
        let part = self.piece.split_to(room.min(self.piece.len()));
        let last = self.ended && self.piece.is_empty();
        let sent = match self.trailers.take_if(|_| last) {
            None => self.stream.send_data(part, last),
            Some(trailers) if part.is_empty() => self.stream.send_trailers(trailers),
            Some(trailers) => {
                let sent = self.stream.send_data(part, false);
                sent.and_then(|()| self.stream.send_trailers(trailers))
            }
        };
        self.over |= last || sent.is_err();
        Poll::Ready(())
    }

    /// How much may be sent now; `0` once the stream takes nothing any more.
    fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<usize> {
        self.stream.reserve_capacity(wanted);
        match self.stream.capacity() {
            0 => {}
            room => return Poll::Ready(room),
        }
        match ready!(self.stream.poll_capacity(cx)) {
            Some(Ok(room)) => Poll::Ready(room),
            Some(Err(_)) | None => {
                self.over = true;
                self.source = None;
                self.piece = Bytes::new();
                Poll::Ready(0)
            }
        }
    }
}
