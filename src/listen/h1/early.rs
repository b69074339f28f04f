//! Interim responses on their way to the client (RFC 9110 15.2), before the final one.

use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

use crate::origin::Interims;

/// What is sent before an answer.
pub struct Early {
    interims: Arc<Interims>,
    out: Vec<u8>,
    sent: usize,
}

impl Early {
    /// Sends what comes into `interims`.
    pub fn new(interims: Arc<Interims>) -> Self {
        Early {
            interims,
            out: Vec::new(),
            sent: 0,
        }
    }

    /// Sends what has come, as far as the client takes it; an error shows when the answer is sent.
    pub fn send<S: AsyncWrite + Unpin>(&mut self, stream: &mut S, cx: &mut Context<'_>) {
        self.gather();
        if self.out.is_empty() {
            return;
        }
        while self.sent < self.out.len() {
            match Pin::new(&mut *stream).poll_write(cx, &self.out[self.sent..]) {
                Poll::Ready(Ok(written)) if written > 0 => self.sent += written,
                _ => return,
            }
        }
        if Pin::new(stream).poll_flush(cx).is_ready() {
            self.out.clear();
            self.sent = 0;
        }
    }

    /// What has to go out before the answer's first byte.
    pub fn rest(mut self) -> Vec<u8> {
        self.gather();
        self.out.drain(..self.sent);
        self.out
    }

    fn gather(&mut self) {
        while let Some((status, fields)) = self.interims.pop() {
            // Writing to memory does not fail.
            let _ = write!(self.out, "HTTP/1.1 {status}\r\n");
            for (name, value) in &fields {
                super::head::line(&mut self.out, name.as_str(), value.as_bytes());
            }
            self.out.extend_from_slice(b"\r\n");
        }
    }
}
