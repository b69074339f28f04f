//! A request's body, read as the origin takes it.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http::{HeaderMap, StatusCode};

use crate::config::ClientLimits;
use crate::listen::deadline::Deadline;
use crate::origin::{FetchError, Interims, ReadBody, RequestBody};
use crate::pipeline::Allowance;

/// The body of a client's request. Its window opens as the body is read.
pub struct ClientBody {
    stream: RecvStream,
    length: Option<u64>,
    allowance: Allowance,
    /// Where `100 Continue` goes once the body is wanted, if the client waits for it.
    promise: Option<Arc<Interims>>,
    limits: ClientLimits,
    deadline: Deadline,
}

impl ClientBody {
    /// The body that comes on `stream`: of `length` bytes if that was said.
    pub fn new(
        stream: RecvStream,
        length: Option<u64>,
        allowance: Allowance,
        promise: Option<Arc<Interims>>,
        limits: ClientLimits,
    ) -> Self {
        ClientBody {
            stream,
            length,
            allowance,
            promise,
            limits,
            deadline: Deadline::default(),
        }
    }

    fn receive(&mut self, piece: Bytes) -> Result<Bytes, FetchError> {
        self.deadline.extend_for(piece.len(), &self.limits);
        self.stream
            .flow_control()
            .release_capacity(piece.len())
            .map_err(|_| FetchError::RequestBody)?;
        self.allowance.take(piece)
    }
}

impl ReadBody for ClientBody {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, FetchError>>> {
        if let Some(interims) = self.promise.take() {
            interims.push(StatusCode::CONTINUE, HeaderMap::new());
        }
        loop {
            match self.stream.poll_data(cx) {
                Poll::Ready(Some(Ok(piece))) if piece.is_empty() => {}
                Poll::Ready(Some(Ok(piece))) => return Poll::Ready(Some(self.receive(piece))),
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Some(Err(FetchError::RequestBody))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {
                    self.deadline.set_if_unset(self.limits.io_timeout);
                    ready!(self.deadline.poll_passed(cx));
                    return Poll::Ready(Some(Err(FetchError::RequestTimeout)));
                }
            }
        }
    }
}

impl RequestBody for ClientBody {
    fn content_length(&self) -> Option<u64> {
        self.length
    }
}
