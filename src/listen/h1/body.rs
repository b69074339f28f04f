//! A request's body, read as the origin takes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;

use super::{Lent, read};
use crate::config::ClientLimits;
use crate::http1::{BodyDecoder, BodyPiece, Framing};
use crate::listen::deadline::Deadline;
use crate::listen::transport::Transport;
use crate::origin::{FetchError, Interims, ReadBody, RequestBody};
use crate::pipeline::Allowance;

/// Room for what is read at once.
const READ: usize = 32 * 1024;

/// The body of a client's request.
pub struct ClientBody<'a, S> {
    stream: Lent<'a, S>,
    input: &'a Mutex<&'a mut BytesMut>,
    decoder: BodyDecoder,
    ended: &'a AtomicBool,
    length: Option<u64>,
    allowance: Allowance,
    /// Where `100 Continue` goes once the body is wanted, if the client waits for it.
    promise: Option<Arc<Interims>>,
    limits: &'a ClientLimits,
    deadline: Deadline,
}

impl<'a, S: Transport> ClientBody<'a, S> {
    /// The body that follows a head with this framing; `input` holds what has come of it, and `ended` is set once it was
    /// read to its end. `expected` is where to say so that the client may send, if it waits for that.
    pub fn new(
        stream: Lent<'a, S>,
        input: &'a Mutex<&'a mut BytesMut>,
        ended: &'a AtomicBool,
        framing: Framing,
        allowance: Allowance,
        expected: Option<Arc<Interims>>,
        limits: &'a ClientLimits,
    ) -> Self {
        let decoder = BodyDecoder::new(framing);
        ended.store(decoder.is_at_end(), Ordering::Relaxed);
        ClientBody {
            stream,
            decoder,
            length: match framing {
                Framing::None => Some(0),
                Framing::Length(length) => Some(length),
                Framing::Chunked => None,
            },
            allowance,
            // RFC 9110 10.1.1: not if some of the body is here already.
            promise: expected.filter(|_| input.lock().is_empty()),
            input,
            ended,
            limits,
            deadline: Deadline::default(),
        }
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), FetchError>> {
        match read::poll_read(&mut self.stream, &mut self.input.lock(), READ, cx) {
            Poll::Ready(Ok(read)) if read > 0 => {
                self.deadline.extend_for(read, self.limits);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(_) => Poll::Ready(Err(FetchError::RequestBody)),
            Poll::Pending => {
                self.deadline.set_if_unset(self.limits.io_timeout);
                self.deadline.poll_passed(cx).map(|()| Err(FetchError::RequestTimeout))
            }
        }
    }
}

impl<S: Transport> ReadBody for ClientBody<'_, S> {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, FetchError>>> {
        if let Some(interims) = self.promise.take() {
            interims.push(StatusCode::CONTINUE, HeaderMap::new());
        }
        loop {
            let decoded = self.decoder.decode(&mut self.input.lock(), false);
            self.ended.store(self.decoder.is_at_end(), Ordering::Relaxed);
            match decoded {
                Ok(BodyPiece::Data(piece)) => return Poll::Ready(Some(self.allowance.take(piece))),
                Ok(BodyPiece::End { .. }) => return Poll::Ready(None),
                Ok(BodyPiece::NeedMore) => {
                    if let Err(error) = ready!(self.poll_receive(cx)) {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
                Err(_) => return Poll::Ready(Some(Err(FetchError::RequestBody))),
            }
        }
    }
}

impl<S: Transport> RequestBody for ClientBody<'_, S> {
    fn content_length(&self) -> Option<u64> {
        self.length
    }
}
