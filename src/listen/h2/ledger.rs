//! What a connection has given to the h2 crate and its client has not taken yet.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use parking_lot::Mutex;

/// Bytes that tasks may have queued on one connection, together: what they read from fills and origins counts toward no
/// other bound.
const QUEUED: usize = 256 * 1024;

/// The bytes queued on one connection.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Account>);

#[derive(Debug, Default)]
struct Account {
    queued: usize,
    waiting: Vec<Waker>,
}

impl Ledger {
    /// Bytes queued.
    pub fn queued(&self) -> usize {
        self.0.lock().queued
    }

    /// `bytes`, put down as queued until they are gone.
    pub fn enter(self: &Arc<Self>, bytes: Bytes) -> Piece {
        self.0.lock().queued += bytes.len();
        Piece {
            bytes,
            ledger: Arc::clone(self),
        }
    }

    /// Ready while there is room for more.
    pub fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut account = self.0.lock();
        if account.queued < QUEUED {
            return Poll::Ready(());
        }
        if !account.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            account.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    fn leave(&self, length: usize) {
        let mut account = self.0.lock();
        account.queued -= length;
        if account.queued < QUEUED / 2 && !account.waiting.is_empty() {
            let waiting = std::mem::take(&mut account.waiting);
            drop(account);
            waiting.into_iter().for_each(Waker::wake);
        }
    }
}

/// Bytes of a body on their way through the h2 crate.
#[derive(Debug)]
pub struct Piece {
    bytes: Bytes,
    ledger: Arc<Ledger>,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.ledger.leave(count);
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            self.ledger.leave(self.bytes.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_is_neither_sent_nor_dropped() {
        let ledger = Arc::new(Ledger::default());
        let mut cx = Context::from_waker(Waker::noop());
        let mut first = ledger.enter(Bytes::from(vec![0; QUEUED]));
        let second = ledger.enter(Bytes::from_static(b"abc"));
        assert!(ledger.poll_room(&mut cx).is_pending());
        drop(second);
        assert_eq!(ledger.queued(), QUEUED);
        first.advance(QUEUED);
        assert!(ledger.poll_room(&mut cx).is_ready());
        drop(first);
        assert_eq!(ledger.queued(), 0);
    }
}
