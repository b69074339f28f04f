//! One exchange over HTTP/1.1: the request goes out and the response comes in at the same time.
//!
//! Neither direction waits for the other: an origin that answers while it is still being sent to (an echo) would otherwise
//! stop taking the request once its answer is not taken. Each poll moves both.
//!
//! ```text
//! poll_head ──▶ 1xx, at most 8 ──▶ final head ──▶ poll_piece … ──▶ end ──▶ pool, or closed
//!     └──────────── the request goes out all the while ────────────┘
//! ```

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::header::UPGRADE;
use http::{HeaderMap, StatusCode};
use memchr::memchr;
use tokio::io::AsyncReadExt;

use super::connect::Lease;
use super::exchange::{Again, Failure, MAX_HEAD, SMALL, Terms};
use super::patience::Patience;
use super::request::Framing;
use super::upgrade::Upgraded;
use super::upload::{Upload, Waits};
use super::{FetchError, Fetched, ReadBody, RequestBody};
use crate::http1::{BodyDecoder, BodyFault, BodyPiece, ResponseFraming, ResponseHead, parse_response};
use crate::policy::hop::strip_hop_by_hop;
use crate::policy::list;

/// Room for a head and a small body with it.
const FIRST_READ: usize = 8 * 1024;
/// Room for one read of a large body.
const READ: usize = 64 * 1024;
/// Room that is still worth a read.
const LEAST_READ: usize = 4 * 1024;
/// A request and its response, on one connection.
pub(super) struct Exchange<'a> {
    lease: Option<Lease>,
    upload: Upload<'a>,
    inbox: BytesMut,
    patience: Patience,
    terms: Terms,
    /// The size of the block that `inbox` reads into.
    block: usize,
    heard: bool,
    body: Body,
}

/// What is known of the response's body.
struct Body {
    decoder: BodyDecoder,
    eof: bool,
    keep_alive: bool,
    trailers: Option<HeaderMap>,
}

impl<'a> Exchange<'a> {
    /// An exchange of which nothing has been sent yet.
    pub(super) fn new(
        lease: Lease,
        terms: Terms,
        head: Vec<u8>,
        framing: Framing,
        body: Option<&'a mut (dyn RequestBody + 'a)>,
    ) -> Self {
        Exchange {
            lease: Some(lease),
            upload: Upload::new(head, framing, body),
            inbox: BytesMut::new(),
            patience: Patience::default(),
            terms,
            block: 0,
            heard: false,
            body: Body::of(ResponseFraming::UntilClose, false),
        }
    }

    /// Sends the request and waits for the final head; `asked` are the protocols that an upgrade may be to.
    pub(super) async fn run(mut self, asked: Option<&str>) -> Result<Fetched<'a>, Failure<'a>> {
        match poll_fn(|cx| self.poll_head(cx)).await {
            Ok(head) => self.into_fetched(head, asked).map_err(Failure::of),
            Err(error @ FetchError::ConnectionTerminated) if !self.heard => {
                let again = Again::Unheard;
                Err(Failure { error, again })
            }
            Err(error) => Err(Failure::of(error)),
        }
    }

    /// The head of the final response.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, FetchError>> {
        loop {
            let (waits, sent) = self.send(cx)?;
            match self.poll_fill(cx) {
                Poll::Ready(Ok(0) | Err(_)) => {
                    return Poll::Ready(Err(FetchError::ConnectionTerminated));
                }
                Poll::Ready(Ok(read)) => {
                    if let Some(head) = self.parse_head(read)? {
                        return Poll::Ready(Ok(head));
                    }
                }
                Poll::Pending if sent => {}
                Poll::Pending => {
                    let limit = self.terms.limits.first_byte;
                    return Poll::Ready(Err(ready!(self.poll_exhausted(cx, waits, limit))));
                }
            }
        }
    }

    /// Reads the head from the inbox, the last `read` bytes of which are new.
    fn parse_head(&mut self, read: usize) -> Result<Option<ResponseHead>, FetchError> {
        let (known, new) = self.inbox.split_at(self.inbox.len() - read);
        // A head that trickles in is read anew only when it may have ended.
        if !known.is_empty() && memchr(b'\n', new).is_none() && self.inbox.len() < MAX_HEAD {
            return Ok(None);
        }
        loop {
            let parsed = parse_response(&self.inbox, self.terms.is_head, MAX_HEAD).map_err(|_| FetchError::Protocol)?;
            let Some((head, length)) = parsed else {
                return Ok(None);
            };
            self.inbox.advance(length);
            match head.status {
                // RFC 9110 section 7.8: not without having been asked, and not before the request's end.
                StatusCode::SWITCHING_PROTOCOLS => {
                    let agreed = self.terms.may_upgrade && self.upload.is_sent();
                    return agreed.then_some(Some(head)).ok_or(FetchError::Protocol);
                }
                status if status.is_informational() => self.terms.pass_on(status, head.fields)?,
                _ => return Ok(Some(head)),
            }
        }
    }

    /// The response as the caller sees it; its body is read from what is left of the exchange.
    fn into_fetched(mut self, head: ResponseHead, upgrade: Option<&str>) -> Result<Fetched<'a>, FetchError> {
        let ResponseHead {
            status,
            mut fields,
            framing,
            keep_alive,
            ..
        } = head;
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return self.into_upgraded(fields, upgrade);
        }
        self.body = Body::of(framing, keep_alive);
        if let Some(lease) = &mut self.lease {
            lease.kept_for = kept_for(&fields);
        }
        self.patience.restart();
        strip_hop_by_hop(&mut fields);
        Ok(Fetched {
            status,
            fields,
            content_length: match framing {
                ResponseFraming::None => Some(0),
                ResponseFraming::Length(length) => Some(length),
                ResponseFraming::Chunked | ResponseFraming::UntilClose => None,
            },
            body: self.into_body(framing)?,
            upgraded: None,
        })
    }

    /// A body that came with its head lets go of the connection at once.
    fn into_body(mut self, framing: ResponseFraming) -> Result<Box<dyn ReadBody + 'a>, FetchError> {
        let length = match framing {
            ResponseFraming::None => 0,
            ResponseFraming::Length(length) => length,
            ResponseFraming::Chunked | ResponseFraming::UntilClose => u64::MAX,
        };
        // While the request is still going out, it needs the exchange; even if the response has no body.
        if length > self.inbox.len() as u64 || !self.upload.is_sent() {
            return Ok(Box::new(self));
        }
        let whole = match length {
            0 => None,
            _ => self.decode()?,
        };
        self.finish();
        Ok(Box::new(Whole(whole)))
    }

    fn into_upgraded(mut self, mut fields: HeaderMap, asked: Option<&str>) -> Result<Fetched<'a>, FetchError> {
        let chosen = fields.get(UPGRADE).cloned();
        // RFC 9110 section 7.8: the server must not switch to a protocol that was not asked for.
        let (Some(lease), Some(chosen), Some(asked)) = (self.lease.take(), chosen, asked) else {
            return Err(FetchError::Protocol);
        };
        let is_chosen = |name: &str| name.trim().as_bytes().eq_ignore_ascii_case(chosen.as_bytes());
        if !asked.split(',').any(is_chosen) {
            return Err(FetchError::Protocol);
        }
        strip_hop_by_hop(&mut fields);
        fields.insert(UPGRADE, chosen);
        Ok(Fetched {
            status: StatusCode::SWITCHING_PROTOCOLS,
            fields,
            content_length: Some(0),
            body: Box::new(Whole(None)),
            upgraded: Some(Box::new(Upgraded::new(self.inbox, lease.stream))),
        })
    }

    /// Moves the request on, as far as one write goes.
    fn send(&mut self, cx: &mut Context<'_>) -> Result<(Waits, bool), FetchError> {
        let Some(lease) = &mut self.lease else {
            return Ok((Waits::Nothing, false));
        };
        let (waits, moved) = self.upload.step(&mut lease.stream, cx)?;
        if moved || waits == Waits::Client {
            self.patience.restart();
        }
        Ok((waits, moved))
    }

    /// Reads once. `Ok(0)` is the end of the connection.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        self.make_room();
        let Some(lease) = &mut self.lease else {
            return Poll::Ready(Ok(0));
        };
        let read = ready!(pin!(lease.stream.read_buf(&mut self.inbox)).poll(cx))?;
        self.heard |= read > 0;
        Poll::Ready(Ok(read))
    }

    fn make_room(&mut self) {
        let room = self.inbox.capacity() - self.inbox.len();
        let wanted = match self.body.decoder.left() {
            _ if self.block == 0 => FIRST_READ,
            // What is left of a body of stated length is all that a good origin will send.
            Some(left) => left.clamp(1, READ as u64) as usize,
            None => READ,
        };
        if room < wanted.min(LEAST_READ) {
            self.inbox.reserve(wanted);
            self.block = wanted;
        }
    }

    /// The next piece that is whole in the inbox; `None` if more must be read, or at the end.
    fn decode(&mut self) -> Result<Option<Bytes>, FetchError> {
        let body = &mut self.body;
        match body.decoder.decode(&mut self.inbox, body.eof) {
            Ok(BodyPiece::Data(piece)) => Ok(Some(self.unpinned(piece))),
            Ok(BodyPiece::NeedMore) => Ok(None),
            Ok(BodyPiece::End { trailers }) => {
                body.trailers = trailers;
                self.finish();
                Ok(None)
            }
            Err(fault) => Err(kind_of(fault)),
        }
    }

    /// Copies a piece that would keep a much larger block alive.
    fn unpinned(&self, piece: Bytes) -> Bytes {
        // Blocks of a body of stated length are made to its measure, but for the one that the head came in.
        let wasteful = self.body.decoder.left().is_none() && piece.len() * 4 < self.block;
        if piece.len() <= SMALL || wasteful {
            Bytes::copy_from_slice(&piece)
        } else {
            piece
        }
    }

    /// Ends the exchange: the connection is kept if it is as it was before.
    fn finish(&mut self) {
        let clean = self.upload.is_sent() && self.inbox.is_empty() && !self.body.eof;
        if let Some(lease) = self.lease.take()
            && clean
            && self.body.keep_alive
        {
            lease.give_back();
        }
    }

    /// Ready when the origin has kept us waiting for too long.
    fn poll_exhausted(&mut self, cx: &mut Context<'_>, waits: Waits, silence: Duration) -> Poll<FetchError> {
        let write = self.terms.limits.write;
        self.patience.poll_error(cx, waits, (write, silence))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, FetchError>> {
        loop {
            let (waits, sent) = self.send(cx)?;
            if let Some(piece) = self.decode()? {
                if self.body.decoder.is_at_end() {
                    // The connection need not wait for the next poll.
                    self.decode()?;
                }
                return Poll::Ready(Ok(Some(piece)));
            }
            if self.lease.is_none() {
                return Poll::Ready(Ok(None));
            }
            match self.poll_fill(cx) {
                Poll::Ready(Ok(0)) => self.body.eof = true,
                Poll::Ready(Ok(_)) => self.patience.restart(),
                // A reset is not an end, whatever the framing (RFC 9112 section 8).
                Poll::Ready(Err(_)) => return Poll::Ready(Err(FetchError::Incomplete)),
                Poll::Pending if sent => {}
                Poll::Pending => {
                    let limit = self.terms.limits.between_bytes;
                    return Poll::Ready(Err(ready!(self.poll_exhausted(cx, waits, limit))));
                }
            }
        }
    }
}

impl ReadBody for Exchange<'_> {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, FetchError>>> {
        let next = ready!(self.poll_next(cx));
        if next.is_err() {
            self.lease = None;
        }
        Poll::Ready(next.transpose())
    }

    fn take_trailers(&mut self) -> Option<HeaderMap> {
        self.body.trailers.take()
    }
}

/// How long the server keeps the connection, if it says: `Keep-Alive: timeout=5`, in seconds.
fn kept_for(fields: &HeaderMap) -> Option<Duration> {
    let lines = fields.get_all("keep-alive").into_iter();
    let mut members = lines.flat_map(|line| list::members(line.as_bytes()));
    let seconds = members.find_map(|member| member.strip_prefix(b"timeout=").and_then(list::decimal))?;
    Some(Duration::from_secs(seconds))
}

impl Body {
    fn of(framing: ResponseFraming, keep_alive: bool) -> Self {
        Body {
            decoder: BodyDecoder::new(framing),
            eof: false,
            keep_alive,
            trailers: None,
        }
    }
}

/// A body that was there with its head.
struct Whole(Option<Bytes>);

impl ReadBody for Whole {
    fn poll_piece(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, FetchError>>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}

fn kind_of(fault: BodyFault) -> FetchError {
    match fault {
        BodyFault::Incomplete => FetchError::Incomplete,
        BodyFault::Chunk(_) => FetchError::Protocol,
    }
}
