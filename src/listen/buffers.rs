//! Read and write buffers, lent to a connection only while it has something to read or write.

use std::cell::RefCell;

use bytes::BytesMut;

/// Room for what is read at once; grows up to a head's limit for large heads.
const INPUT: usize = 8 * 1024;

/// Buffers that a thread keeps for the next connection.
const SPARE: usize = 256;

/// Buffers that grew beyond this are not kept.
const LARGEST: usize = 64 * 1024;

thread_local!(static SPARES: RefCell<Vec<Buffers>> = const { RefCell::new(Vec::new()) });

/// What a connection has read but not used, and the head it is writing.
#[derive(Debug, Default)]
pub struct Buffers {
    /// Received bytes.
    pub input: BytesMut,
    /// A head on its way out.
    pub output: Vec<u8>,
}

impl Buffers {
    /// A thread's spare buffers, or new ones.
    pub fn take() -> Self {
        SPARES.with_borrow_mut(Vec::pop).unwrap_or_else(|| Buffers {
            input: BytesMut::with_capacity(INPUT),
            output: Vec::with_capacity(1024),
        })
    }

    /// Gives the buffers back, emptied.
    pub fn give_back(mut self) {
        self.input.clear();
        self.output.clear();
        if self.input.capacity() <= LARGEST && self.output.capacity() <= LARGEST {
            SPARES.with_borrow_mut(|spares| {
                if spares.len() < SPARE {
                    spares.push(self);
                }
            });
        }
    }
}
