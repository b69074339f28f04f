//! The chunked transfer coding (RFC 9112 7.1), undone bit by bit and strictly, and done.

use std::fmt;
use std::ops::Deref;

use super::body::{BodyPiece, take};
use super::head::{self, End};
use super::trailers::read_trailers;
use bytes::{Buf, BytesMut};

/// The most hexadecimal digits of a chunk size: 64 bits.
const MAX_DIGITS: usize = 16;
/// The most bytes of extensions on one chunk.
const MAX_EXTENSION: usize = 256;
/// How many bytes of extensions a body may hold beyond as many as it has held data.
const EXTENSION_SLACK: u64 = 8 * 1024;
/// The most bytes in a trailer section.
const MAX_TRAILERS: usize = 8 * 1024;

/// The end of each chunk's data.
pub const CHUNK_END: &[u8] = b"\r\n";
/// The end of a body without trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// What is wrong with a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkError {
    /// A size is not 1 to 16 hexadecimal digits with at most an extension behind.
    Size,
    /// An extension holds a control byte.
    Extension,
    /// A chunk's extensions, or all of a body's together, are too long.
    ExtensionTooLong,
    /// A chunk does not end with CRLF where its size says.
    DataEnd,
    /// A trailer field is malformed, or there are too many.
    Trailers,
    /// The trailers are too long.
    TrailersTooLong,
}

impl ChunkError {
    /// A short token for logs and `Proxy-Status`.
    pub fn detail(self) -> &'static str {
        match self {
            ChunkError::Size => "chunk-size",
            ChunkError::Extension => "chunk-extension",
            ChunkError::ExtensionTooLong => "chunk-extension-too-long",
            ChunkError::DataEnd => "chunk-end",
            ChunkError::Trailers => "trailers",
            ChunkError::TrailersTooLong => "trailers-too-long",
        }
    }
}

impl fmt::Display for ChunkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the chunked body is not valid ({})", self.detail())
    }
}

impl std::error::Error for ChunkError {}

/// Undoes the chunked coding.
///
/// ```text
/// Size ─▶ Data ─▶ DataEnd ─▶ Size …
///   └─ 0 ─▶ Trailers ─▶ End
/// ```
#[derive(Debug)]
pub struct ChunkedDecoder {
    state: State,
    data: u64,
    extensions: u64,
}

#[derive(Debug)]
enum State {
    Size,
    /// This many bytes are left of the chunk, one at least.
    Data(u64),
    DataEnd,
    /// This many bytes of the trailers were searched for their end.
    Trailers(usize),
    End,
}

impl Default for ChunkedDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl ChunkedDecoder {
    /// At the start of a body.
    pub fn new() -> Self {
        ChunkedDecoder {
            state: State::Size,
            data: 0,
            extensions: 0,
        }
    }

    /// Whether the last chunk and the trailers have been taken.
    pub fn is_at_end(&self) -> bool {
        matches!(self.state, State::End)
    }

    /// Takes the next piece out of `buf`, without copying it. After the end it says `End` again. After an error it must not be used.
    pub fn decode(&mut self, buf: &mut BytesMut) -> Result<BodyPiece, ChunkError> {
        loop {
            let went_on = match &mut self.state {
                State::Size => self.take_size(buf)?,
                State::DataEnd => self.take_data_end(buf)?,
                State::Data(left) => {
                    let piece = take(buf, left);
                    if let BodyPiece::Data(data) = &piece {
                        self.data = self.data.saturating_add(data.len() as u64);
                    }
                    if *left == 0 {
                        self.state = State::DataEnd;
                    }
                    return Ok(piece);
                }
                State::Trailers(_) => return self.take_trailers(buf),
                State::End => return Ok(BodyPiece::End { trailers: None }),
            };
            if !went_on {
                return Ok(BodyPiece::NeedMore);
            }
        }
    }

    /// RFC 9112 7.1: `chunk-size [ chunk-ext ] CRLF`. False if it has not arrived whole.
    fn take_size(&mut self, buf: &mut BytesMut) -> Result<bool, ChunkError> {
        const LONGEST: usize = MAX_DIGITS + MAX_EXTENSION + 2;
        let Some(end) = memchr::memchr(b'\n', &buf[..buf.len().min(LONGEST)]) else {
            return if buf.len() < LONGEST {
                Ok(false)
            } else {
                Err(ChunkError::ExtensionTooLong)
            };
        };
        let line = buf[..end].strip_suffix(b"\r").ok_or(ChunkError::Size)?;
        let (size, extension) = line.split_at(
            line.iter()
                .position(|byte| !byte.is_ascii_hexdigit())
                .unwrap_or(line.len()),
        );
        let size = hexadecimal(size)?;
        check_extension(extension)?;
        self.extensions += extension.len() as u64;
        if self.extensions > EXTENSION_SLACK.saturating_add(self.data) {
            return Err(ChunkError::ExtensionTooLong);
        }
        buf.advance(end + 1);
        self.state = if size == 0 {
            State::Trailers(0)
        } else {
            State::Data(size)
        };
        Ok(true)
    }

    fn take_data_end(&mut self, buf: &mut BytesMut) -> Result<bool, ChunkError> {
        match &buf[..] {
            [b'\r', b'\n', ..] => {}
            [] | [b'\r'] => return Ok(false),
            _ => return Err(ChunkError::DataEnd),
        }
        buf.advance(2);
        self.state = State::Size;
        Ok(true)
    }

    /// RFC 9112 7.1.2: field lines up to an empty one.
    fn take_trailers(&mut self, buf: &mut BytesMut) -> Result<BodyPiece, ChunkError> {
        let State::Trailers(searched) = &mut self.state else {
            return Ok(BodyPiece::NeedMore);
        };
        if buf.starts_with(b"\r\n") {
            buf.advance(2);
            self.state = State::End;
            return Ok(BodyPiece::End { trailers: None });
        }
        let section = &buf[..buf.len().min(MAX_TRAILERS)];
        let end = match head::find_end(section, *searched) {
            End::At(end) => end,
            End::BareLf(_) => return Err(ChunkError::Trailers),
            End::Unseen if section.len() == MAX_TRAILERS => return Err(ChunkError::TrailersTooLong),
            End::Unseen => {
                *searched = section.len();
                return Ok(BodyPiece::NeedMore);
            }
        };
        let trailers = read_trailers(&buf.split_to(end).freeze()).ok_or(ChunkError::Trailers)?;
        self.state = State::End;
        Ok(BodyPiece::End { trailers })
    }
}

fn hexadecimal(digits: &[u8]) -> Result<u64, ChunkError> {
    if digits.is_empty() || digits.len() > MAX_DIGITS {
        return Err(ChunkError::Size);
    }
    let value = |byte: &u8| u64::from((*byte as char).to_digit(16).unwrap_or(0));
    Ok(digits.iter().fold(0, |sum, byte| sum << 4 | value(byte)))
}

/// RFC 9112 7.1.1. Extensions are not understood and so ignored. Whitespace before the semicolon, or a CR that some would take for the line's
/// end, is what readers disagree about.
fn check_extension(extension: &[u8]) -> Result<(), ChunkError> {
    match extension.first() {
        None => return Ok(()),
        Some(b';') => {}
        Some(_) => return Err(ChunkError::Size),
    }
    if extension.len() > MAX_EXTENSION {
        return Err(ChunkError::ExtensionTooLong);
    }
    let clean = extension.iter().all(|byte| !byte.is_ascii_control() || *byte == b'\t');
    if clean { Ok(()) } else { Err(ChunkError::Extension) }
}

/// The line before a chunk's data, on the stack.
#[derive(Clone, Copy, Debug)]
pub struct ChunkHead {
    bytes: [u8; MAX_DIGITS + 2],
    start: usize,
}

/// The line before `len` bytes of data, which [`CHUNK_END`] follows. A chunk of none would end the body: see [`LAST_CHUNK`].
pub fn chunk_head(len: usize) -> ChunkHead {
    let mut bytes = [0; MAX_DIGITS + 2];
    bytes[MAX_DIGITS..].copy_from_slice(CHUNK_END);
    let (mut start, mut left) = (MAX_DIGITS, len);
    loop {
        start -= 1;
        bytes[start] = b"0123456789abcdef"[left & 15];
        left >>= 4;
        if left == 0 {
            return ChunkHead { bytes, start };
        }
    }
}

impl Deref for ChunkHead {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

#[cfg(test)]
mod tests;
