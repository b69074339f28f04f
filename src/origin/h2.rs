//! One exchange over HTTP/2: a stream of a connection that others share.
//!
//! As over HTTP/1.1, neither direction waits for the other: each poll moves both. The connection itself is moved by a task of
//! its own (`drive.rs`).
//!
//! ```text
//! Exchange: poll_head ──▶ 1xx, at most 8 ──▶ final head ──▶ Body: poll_piece … ──▶ trailers ──▶ end
//!     └──────────────────── the request goes out all the while ─────────────────────┘
//! ```
//!
//! Dropped before its end, either resets the stream (`CANCEL`, RFC 9113 section 8.1).

mod body;
mod drive;
mod head;
mod session;
mod upload;

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::h2::client::ResponseFuture;
use ::h2::{Error, Reason, RecvStream};
use http::{Request, Response, StatusCode};

use super::exchange::{Again, BodyOf, Failure, Terms};
use super::patience::Patience;
use super::upload::Waits;
use super::{FetchError, Fetched};
use crate::http1::content_length;
use crate::policy::hop::strip_hop_by_hop;
use body::Body;
use upload::Upload;

pub(super) use head::head;
pub(super) use session::{Seat, Sessions};

/// A request of which the final response's head has not come.
pub(super) struct Exchange<'a> {
    response: ResponseFuture,
    request: Outgoing<'a>,
    heard: bool,
}

/// What both parts of an exchange have.
struct Outgoing<'a> {
    upload: Upload<'a>,
    patience: Patience,
    terms: Terms,
    waits: Waits,
    /// Last, so that the stream is gone before its seat is free.
    seat: Seat,
}

/// Whose fault it is that no head came.
enum Cause {
    /// Known by its kind: the client's, or a wait that was too long.
    Known(FetchError),
    Peer(Error),
}

impl<'a> Exchange<'a> {
    /// Sends the request on a stream of its own and waits for the final head.
    pub(super) async fn run(
        seat: Seat,
        terms: Terms,
        head: Request<()>,
        body: BodyOf<'a>,
    ) -> Result<Fetched<'a>, Failure<'a>> {
        let (response, stream) = match seat.send(head, body.is_none()) {
            Ok(opened) => opened,
            // The connection ended, or is about to, since its seat was taken.
            Err(error) if error.is_io() || error.is_go_away() => {
                let error = before_head(&error);
                let again = Again::Untouched(body);
                return Err(Failure { error, again });
            }
            Err(_) => return Err(Failure::of(FetchError::Protocol)),
        };
        let mut exchange = Exchange {
            response,
            request: Outgoing {
                upload: Upload::new(stream, body),
                patience: Patience::default(),
                terms,
                waits: Waits::Nothing,
                seat,
            },
            heard: false,
        };
        match poll_fn(|cx| exchange.poll_head(cx)).await {
            Ok(response) => exchange.into_fetched(response).map_err(Failure::of),
            Err(Cause::Known(error)) => Err(Failure::of(error)),
            Err(Cause::Peer(error)) => Err(exchange.into_failure(&error)),
        }
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<RecvStream>, Cause>> {
        loop {
            let moved = self.request.send(cx)?;
            match self.response.poll_informational(cx) {
                Poll::Ready(Some(Ok(interim))) => {
                    self.pass_on(interim)?;
                    continue;
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(Cause::Peer(error))),
                Poll::Ready(None) | Poll::Pending => {}
            }
            if let Poll::Ready(outcome) = Pin::new(&mut self.response).poll(cx) {
                return Poll::Ready(outcome.map_err(Cause::Peer));
            }
            if !moved {
                let silence = self.request.terms.limits.first_byte;
                return Poll::Ready(Err(ready!(self.request.poll_exhausted(cx, silence)).into()));
            }
        }
    }

    fn pass_on(&mut self, interim: Response<()>) -> Result<(), FetchError> {
        self.heard = true;
        let (interim, ()) = interim.into_parts();
        match interim.status {
            // RFC 9113 section 8.6: there is no such response in HTTP/2.
            StatusCode::SWITCHING_PROTOCOLS => Err(FetchError::Protocol),
            status => self.request.terms.pass_on(status, interim.headers),
        }
    }

    /// RFC 9113 section 8.7: what was refused, or came after the last stream that GOAWAY names, was not processed, so it may be
    /// sent again whatever the method.
    fn into_failure(self, error: &Error) -> Failure<'a> {
        let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
        // To a stream, `h2` gives the peer's GOAWAY as the error only if it names a lower one.
        let passed_over = error.is_go_away();
        let untouched = match self.heard {
            false if error.is_remote() && (refused || passed_over) => self.request.upload.into_untouched(),
            _ => None,
        };
        let again = match untouched {
            Some(body) => Again::Untouched(body),
            None if error.is_io() && !self.heard => Again::Unheard,
            None => Again::Never,
        };
        let error = before_head(error);
        Failure { error, again }
    }

    /// The response as the caller sees it.
    fn into_fetched(self, response: Response<RecvStream>) -> Result<Fetched<'a>, FetchError> {
        let mut request = self.request;
        let (response, incoming) = response.into_parts();
        let mut fields = response.headers;
        let stated = content_length(&mut fields).map_err(|_| FetchError::Protocol)?;
        strip_hop_by_hop(&mut fields);
        // RFC 9110 section 6.4.1.
        let bodiless = request.terms.is_head
            || matches!(response.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || incoming.is_end_stream();
        request.patience.restart();
        Ok(Fetched {
            status: response.status,
            fields,
            content_length: if bodiless { Some(0) } else { stated },
            body: Box::new(Body::new(incoming, request, bodiless)),
            upgraded: None,
        })
    }
}

impl Outgoing<'_> {
    /// Moves the request on; whether it moved.
    fn send(&mut self, cx: &mut Context<'_>) -> Result<bool, FetchError> {
        let (waits, moved) = self.upload.step(cx)?;
        if moved || waits == Waits::Client {
            self.patience.restart();
        }
        self.waits = waits;
        Ok(moved)
    }

    /// Ready when the origin has kept us waiting for too long. Its connection may be dead without a word, so that the next
    /// request takes another; the streams that are still on it stay.
    fn poll_exhausted(&mut self, cx: &mut Context<'_>, silence: Duration) -> Poll<FetchError> {
        let write = self.terms.limits.write;
        let error = ready!(self.patience.poll_error(cx, self.waits, (write, silence)));
        self.seat.leave();
        Poll::Ready(error)
    }
}

impl From<FetchError> for Cause {
    fn from(error: FetchError) -> Self {
        Cause::Known(error)
    }
}

/// What a failure of the connection or the stream is, as long as there is no response.
fn before_head(error: &Error) -> FetchError {
    // What the peer sent was not HTTP/2, or not HTTP.
    if error.is_library() {
        FetchError::Protocol
    } else {
        FetchError::ConnectionTerminated
    }
}
