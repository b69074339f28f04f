//! The bytes of a fill that readers can have.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::store::{CHUNK, Gauge};

/// Neighbouring pieces are joined while they are smaller than this together, so that a trickle of tiny pieces stays cheap.
const SMALL: usize = 16 * 1024;

/// Pieces of a body in order, from `base` to `end`.
///
/// A *kept* buffer holds the body, or a part of it, from its beginning, in whole chunks and a tail of pieces. A *windowed* one forgets
/// what its readers have had.
#[derive(Debug)]
pub struct Buffer {
    /// Whole chunks; empty when windowed.
    chunks: Vec<Bytes>,
    /// What follows the chunks.
    pieces: VecDeque<Bytes>,
    /// Where it begins in the body: where a chunk does.
    start: u64,
    /// Offset of the first piece.
    base: u64,
    end: u64,
    kept: bool,
    gauge: Gauge,
}

/// What a buffer has at an offset.
#[derive(Debug, PartialEq, Eq)]
pub enum At {
    /// These bytes.
    Bytes(Bytes),
    /// Nothing yet.
    NotYet,
    /// Nothing any more.
    Gone,
}

impl Buffer {
    /// An empty buffer for what comes from `start` on, where a chunk begins. Chunks of a kept one are counted by `gauge`.
    pub fn new(start: u64, kept: bool, gauge: Gauge) -> Self {
        Buffer {
            chunks: Vec::new(),
            pieces: VecDeque::new(),
            start,
            base: start,
            end: start,
            kept,
            gauge,
        }
    }

    /// Where it begins in the body.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Offset after the last byte that has come.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Whether the body is held from its beginning.
    pub fn is_kept(&self) -> bool {
        self.kept
    }

    /// Whether a reader at `offset` can still be served.
    pub fn reaches_back_to(&self, offset: u64) -> bool {
        match self.kept {
            true => offset >= self.start,
            false => offset >= self.base,
        }
    }

    /// Appends what has come. Returns the chunks that are now whole.
    pub fn push(&mut self, mut piece: Bytes) -> &[Bytes] {
        let before = self.chunks.len();
        self.end += piece.len() as u64;
        if !self.kept {
            self.push_piece(piece);
            return &[];
        }
        loop {
            let room = CHUNK - (self.end - piece.len() as u64 - self.base) as usize;
            if piece.len() < room {
                break;
            }
            self.push_piece(piece.split_to(room));
            self.seal();
        }
        if !piece.is_empty() {
            self.push_piece(piece);
        }
        &self.chunks[before..]
    }

    fn push_piece(&mut self, mut piece: Bytes) {
        // Joining only with a neighbour of at most twice the size keeps the copying at n log n.
        while let Some(last) = self.pieces.back()
            && last.len() + piece.len() <= SMALL
            && last.len() <= 2 * piece.len()
        {
            let mut joined = BytesMut::with_capacity(last.len() + piece.len());
            joined.extend_from_slice(last);
            joined.extend_from_slice(&piece);
            piece = joined.freeze();
            self.pieces.pop_back();
        }
        self.pieces.push_back(piece);
    }

    fn seal(&mut self) {
        let chunk = self.gauge.hold(join(&self.pieces));
        self.base += chunk.len() as u64;
        self.pieces.clear();
        self.chunks.push(chunk);
    }

    /// From now on forgets what is before `offset`; a kept buffer becomes windowed.
    pub fn forget_before(&mut self, offset: u64) {
        if self.kept {
            self.kept = false;
            self.base -= self.chunks.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
            for chunk in self.chunks.drain(..).rev() {
                self.pieces.push_front(chunk);
            }
        }
        while let Some(first) = self.pieces.front()
            && self.base + first.len() as u64 <= offset
        {
            self.base += first.len() as u64;
            self.pieces.pop_front();
        }
    }

    /// What there is at `offset`, as far as one piece goes.
    pub fn at(&self, offset: u64) -> At {
        if offset >= self.end {
            return At::NotYet;
        }
        if offset < self.start {
            return At::Gone;
        }
        if offset < self.base {
            let chunk = self.chunks.get(((offset - self.start) / CHUNK as u64) as usize);
            return chunk.map_or(At::Gone, |chunk| {
                At::Bytes(chunk.slice((offset % CHUNK as u64) as usize..))
            });
        }
        let mut at = self.base;
        for piece in &self.pieces {
            let next = at + piece.len() as u64;
            if offset < next {
                return At::Bytes(piece.slice((offset - at) as usize..));
            }
            at = next;
        }
        At::NotYet
    }

    /// The body of a kept buffer: its whole chunks and the tail, counted by the gauge.
    pub fn body(&self) -> (Vec<Bytes>, Bytes) {
        (self.chunks.clone(), self.gauge.hold(join(&self.pieces)))
    }
}

fn join(pieces: &VecDeque<Bytes>) -> Bytes {
    if let (Some(only), 1) = (pieces.front(), pieces.len()) {
        return only.clone();
    }
    let mut joined = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    pieces.iter().for_each(|piece| joined.extend_from_slice(piece));
    joined.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(from: usize, len: usize) -> Bytes {
        (from..from + len).map(|i| (i % 251) as u8).collect::<Vec<_>>().into()
    }

    fn read_from(buffer: &Buffer, mut offset: u64) -> Vec<u8> {
        let mut out = Vec::new();
        while let At::Bytes(bytes) = buffer.at(offset) {
            out.extend_from_slice(&bytes);
            offset += bytes.len() as u64;
        }
        out
    }

    #[test]
    fn a_kept_buffer_gives_back_every_byte() {
        for piece in [1000, CHUNK, CHUNK * 2 + 7, 100_000] {
            let mut buffer = Buffer::new(0, true, Gauge::default());
            let total = CHUNK * 2 + 12_345;
            let mut at = 0;
            while at < total {
                let len = piece.min(total - at);
                buffer.push(pattern(at, len));
                at += len;
            }
            assert_eq!(buffer.end(), total as u64);
            assert!(read_from(&buffer, 0) == pattern(0, total));
            assert!(read_from(&buffer, CHUNK as u64 - 1) == pattern(CHUNK - 1, total - CHUNK + 1));
            let (chunks, tail) = buffer.body();
            assert_eq!((chunks.len(), tail.len()), (2, 12_345));
        }
    }

    #[test]
    fn a_part_begins_where_a_chunk_does() {
        let start = 3 * CHUNK;
        let mut buffer = Buffer::new(start as u64, true, Gauge::default());
        for at in (0..CHUNK * 2 + 100).step_by(4) {
            buffer.push(pattern(start + at, 4));
        }
        assert_eq!(buffer.at(start as u64 - 1), At::Gone);
        assert!(read_from(&buffer, start as u64) == pattern(start, CHUNK * 2 + 100));
        assert!(read_from(&buffer, (start + CHUNK) as u64) == pattern(start + CHUNK, CHUNK + 100));
        assert!(buffer.reaches_back_to(start as u64) && !buffer.reaches_back_to(0));
        let (chunks, tail) = buffer.body();
        assert_eq!((chunks.len(), tail.len()), (2, 100));
    }

    #[test]
    fn single_bytes_are_joined() {
        let mut buffer = Buffer::new(0, false, Gauge::default());
        for i in 0..SMALL * 3 {
            buffer.push(pattern(i, 1));
        }
        assert!(buffer.pieces.len() < 64, "{}", buffer.pieces.len());
        assert!(read_from(&buffer, 0) == pattern(0, SMALL * 3));
    }

    #[test]
    fn a_windowed_buffer_forgets() {
        let mut buffer = Buffer::new(0, true, Gauge::default());
        for i in 0..40 {
            buffer.push(pattern(i * 30_000, 30_000));
        }
        buffer.forget_before(700_000);
        assert!(!buffer.is_kept());
        assert_eq!(buffer.at(0), At::Gone);
        assert!(read_from(&buffer, 700_000) == pattern(700_000, 500_000));
        assert!(!buffer.reaches_back_to(0) && buffer.reaches_back_to(700_000));
        assert_eq!(buffer.at(1_200_000), At::NotYet);
    }
}
