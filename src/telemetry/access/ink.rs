//! Lines in the making: many small pieces, one behind the other.

use crate::telemetry::escape::Out;

/// What the room begins with.
const FIRST: usize = 1024;

/// Bytes that are written in small pieces.
///
/// A line is a hundred pieces, most of them shorter than a call to copy them is worth. So there is always more room than
/// was written, and what is short is stored as one or two words of known length.
#[derive(Debug, Default)]
pub(super) struct Ink {
    /// What was written, and room.
    bytes: Vec<u8>,
    written: usize,
}

impl Ink {
    /// What was written.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.written]
    }

    /// How much was written.
    pub(super) fn len(&self) -> usize {
        self.written
    }

    /// How much there is room for.
    pub(super) fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets all that was written, and keeps the room.
    pub(super) fn clear(&mut self) {
        self.written = 0;
    }

    /// Forgets the last byte if it is this one.
    pub(super) fn take_back(&mut self, byte: u8) {
        if self.as_bytes().last() == Some(&byte) {
            self.written -= 1;
        }
    }

    /// Appends the first `length` bytes of `text`, whose own length is known beforehand.
    #[inline]
    pub(super) fn put_of<const N: usize>(&mut self, text: &[u8; N], length: usize) {
        match self.room().first_chunk_mut() {
            Some(room) => {
                *room = *text;
                self.written += length.min(N);
            }
            None => {
                self.grow(N);
                self.put_of(text, length);
            }
        }
    }

    /// Appends all of it.
    #[inline]
    pub(super) fn put_all<const N: usize>(&mut self, text: &[u8; N]) {
        self.put_of(text, N);
    }

    /// What can still be written to.
    #[inline]
    fn room(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.written..).unwrap_or_default()
    }

    /// Makes room for so many bytes.
    #[cold]
    fn grow(&mut self, length: usize) {
        let length = (self.written + length).next_power_of_two().max(FIRST);
        self.bytes.resize(length, 0);
    }
}

impl Out for Ink {
    #[inline]
    fn put(&mut self, text: &[u8]) {
        match self.room().get_mut(..text.len()) {
            Some(room) => {
                copy(room, text);
                self.written += text.len();
            }
            None => {
                self.grow(text.len());
                self.put(text);
            }
        }
    }
}

/// Copies to what is as long. Two words that may overlap are the beginning and the end of what is short.
#[inline]
fn copy(to: &mut [u8], from: &[u8]) {
    match from.len() {
        8..=16 => {
            copy_first::<8>(to, from);
            copy_last::<8>(to, from);
        }
        4..8 => {
            copy_first::<4>(to, from);
            copy_last::<4>(to, from);
        }
        2..4 => {
            copy_first::<2>(to, from);
            copy_last::<2>(to, from);
        }
        1 => copy_first::<1>(to, from),
        0 => {}
        _ => to.copy_from_slice(from),
    }
}

#[inline]
fn copy_first<const N: usize>(to: &mut [u8], from: &[u8]) {
    if let (Some(to), Some(from)) = (to.first_chunk_mut::<N>(), from.first_chunk::<N>()) {
        *to = *from;
    }
}

#[inline]
fn copy_last<const N: usize>(to: &mut [u8], from: &[u8]) {
    if let (Some(to), Some(from)) = (to.last_chunk_mut::<N>(), from.last_chunk::<N>()) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_all_lengths() {
        let text: Vec<u8> = (0..=255).collect();
        let (mut ink, mut expected) = (Ink::default(), Vec::new());
        for round in 0..3 {
            for length in 0..40 {
                ink.put(&text[round..round + length]);
                ink.put_of(b"0123456789", length);
                expected.extend_from_slice(&text[round..round + length]);
                expected.extend_from_slice(&b"0123456789"[..length.min(10)]);
            }
        }
        assert_eq!(ink.as_bytes(), expected);
        assert!(ink.capacity() >= ink.len());
        ink.clear();
        ink.put_all(b"ab");
        ink.take_back(b'b');
        ink.take_back(b'b');
        assert_eq!(ink.as_bytes(), b"a");
    }
}
