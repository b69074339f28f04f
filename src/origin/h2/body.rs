//! The body of a response over HTTP/2.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Error, RecvStream};
use http::HeaderMap;

use super::Outgoing;
use crate::http1::usable_trailers;
use crate::origin::exchange::SMALL;
use crate::origin::{FetchError, ReadBody};

/// A response's body, and with it what is left of the exchange.
pub(super) struct Body<'a> {
    open: Option<Open<'a>>,
    trailers: Option<HeaderMap>,
}

/// A body that has not ended. Gone with its end, so that neither the stream nor its seat waits for the reader to let go.
struct Open<'a> {
    incoming: RecvStream,
    request: Outgoing<'a>,
    bodiless: bool,
    trailers: Option<HeaderMap>,
}

impl<'a> Body<'a> {
    /// What follows the head on `incoming`; nothing if it is `bodiless`.
    pub(super) fn new(incoming: RecvStream, request: Outgoing<'a>, bodiless: bool) -> Self {
        let open = Open {
            incoming,
            request,
            bodiless,
            trailers: None,
        };
        let (open, trailers) = (Some(open), None);
        Body { open, trailers }
    }
}

impl Open<'_> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, FetchError>> {
        loop {
            let moved = self.request.send(cx)?;
            match self.poll_event(cx) {
                Poll::Ready(Ok(Some(piece))) if piece.is_empty() => {}
                Poll::Ready(Ok(Some(piece))) => return Poll::Ready(self.accept(piece).map(Some)),
                Poll::Ready(Ok(None)) => return Poll::Ready(Ok(None)),
                // A reset before the end is no end, whatever its reason (RFC 9113 section 8.1.1).
                Poll::Ready(Err(error)) if error.is_library() => return Poll::Ready(Err(FetchError::Protocol)),
                Poll::Ready(Err(_)) => return Poll::Ready(Err(FetchError::Incomplete)),
                Poll::Pending if moved => {}
                Poll::Pending => {
                    let silence = self.request.terms.limits.between_bytes;
                    return Poll::Ready(Err(ready!(self.request.poll_exhausted(cx, silence))));
                }
            }
        }
    }

    /// The next DATA; `None` at the end, with the trailers if there are any.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        if let Some(piece) = ready!(self.incoming.poll_data(cx)) {
            return Poll::Ready(piece.map(Some));
        }
        let trailers = ready!(self.incoming.poll_trailers(cx))?;
        self.trailers = trailers.and_then(usable_trailers);
        Poll::Ready(Ok(None))
    }

    /// Makes room for as much again. A piece that would keep a much larger block alive is copied.
    fn accept(&mut self, piece: Bytes) -> Result<Bytes, FetchError> {
        if self.bodiless {
            return Err(FetchError::Protocol);
        }
        // Fails only for more than was received.
        let _ = self.incoming.flow_control().release_capacity(piece.len());
        self.request.patience.restart();
        Ok(match piece.len() {
            0..=SMALL => Bytes::copy_from_slice(&piece),
            _ => piece,
        })
    }
}

impl ReadBody for Body<'_> {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, FetchError>>> {
        let Some(open) = &mut self.open else {
            return Poll::Ready(None);
        };
        let next = ready!(open.poll_next(cx));
        if !matches!(next, Ok(Some(_))) {
            self.trailers = open.trailers.take();
            self.open = None;
        }
        Poll::Ready(next.transpose())
    }

    fn take_trailers(&mut self) -> Option<HeaderMap> {
        self.trailers.take()
    }
}
