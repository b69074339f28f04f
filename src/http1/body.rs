//! A message body, whatever its framing (RFC 9112 6.3), cut out of the bytes of a connection.

use std::fmt;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use super::chunked::{ChunkError, ChunkedDecoder};
use super::request::Framing;
use super::response::ResponseFraming;

/// What a body gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyPiece {
    /// The next bytes, at least one.
    Data(Bytes),
    /// More must be received first.
    NeedMore,
    /// The body is whole; what is left in the buffer is the next message's.
    End {
        /// The trailer fields of a chunked body that may be used, if there are any.
        trailers: Option<HeaderMap>,
    },
}

/// Why a body cannot be used to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFault {
    /// The connection ended before the body did.
    Incomplete,
    /// The chunks are malformed.
    Chunk(ChunkError),
}

impl BodyFault {
    /// A short token for logs and `Proxy-Status`.
    pub fn detail(self) -> &'static str {
        match self {
            BodyFault::Incomplete => "incomplete-body",
            BodyFault::Chunk(error) => error.detail(),
        }
    }
}

impl fmt::Display for BodyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyFault::Incomplete => f.write_str("the connection ended before the body did"),
            BodyFault::Chunk(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BodyFault {}

impl From<ChunkError> for BodyFault {
    fn from(error: ChunkError) -> Self {
        BodyFault::Chunk(error)
    }
}

/// Takes a body out of a connection's bytes, without copying them.
#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
}

#[derive(Debug)]
enum State {
    /// This many bytes are left; a body that has ended has none.
    Length(u64),
    Chunked(ChunkedDecoder),
    UntilClose,
}

impl From<Framing> for BodyDecoder {
    fn from(framing: Framing) -> Self {
        let state = match framing {
            Framing::None => State::Length(0),
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked(ChunkedDecoder::new()),
        };
        BodyDecoder { state }
    }
}

impl From<ResponseFraming> for BodyDecoder {
    fn from(framing: ResponseFraming) -> Self {
        let state = match framing {
            ResponseFraming::None => State::Length(0),
            ResponseFraming::Length(length) => State::Length(length),
            ResponseFraming::Chunked => State::Chunked(ChunkedDecoder::new()),
            ResponseFraming::UntilClose => State::UntilClose,
        };
        BodyDecoder { state }
    }
}

impl BodyDecoder {
    /// For a body of a request's or a response's framing.
    pub fn new(framing: impl Into<BodyDecoder>) -> Self {
        framing.into()
    }

    /// Takes the next piece out of `buf`; `eof` says that nothing will be added to it. After the end it says `End` again.
    pub fn decode(&mut self, buf: &mut BytesMut, eof: bool) -> Result<BodyPiece, BodyFault> {
        let piece = match &mut self.state {
            State::Length(0) => BodyPiece::End { trailers: None },
            State::Length(left) => take(buf, left),
            State::Chunked(chunks) => chunks.decode(buf)?,
            State::UntilClose if buf.is_empty() && eof => BodyPiece::End { trailers: None },
            State::UntilClose => take(buf, &mut { u64::MAX }),
        };
        // RFC 9112 8: a body that ended early is never passed on as whole.
        if piece == BodyPiece::NeedMore && eof {
            Err(BodyFault::Incomplete)
        } else {
            Ok(piece)
        }
    }

    /// Whether the body has ended; nothing more is to be received for it.
    pub fn is_at_end(&self) -> bool {
        match &self.state {
            State::Length(left) => *left == 0,
            State::Chunked(chunks) => chunks.is_at_end(),
            State::UntilClose => false,
        }
    }

    /// How many bytes are left, if that is known.
    pub fn left(&self) -> Option<u64> {
        match &self.state {
            State::Length(left) => Some(*left),
            State::Chunked(_) | State::UntilClose => None,
        }
    }
}

/// Takes what there is, `left` bytes at most.
pub(super) fn take(buf: &mut BytesMut, left: &mut u64) -> BodyPiece {
    if buf.is_empty() {
        return BodyPiece::NeedMore;
    }
    let len = usize::try_from(*left).map_or(buf.len(), |left| left.min(buf.len()));
    *left -= len as u64;
    BodyPiece::Data(buf.split_to(len).freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: Result<BodyPiece, BodyFault> = Ok(BodyPiece::End { trailers: None });

    fn data(text: &'static str) -> Result<BodyPiece, BodyFault> {
        Ok(BodyPiece::Data(Bytes::from_static(text.as_bytes())))
    }

    #[test]
    fn without_a_body() {
        for mut body in [
            BodyDecoder::new(Framing::None),
            BodyDecoder::new(Framing::Length(0)),
            BodyDecoder::new(ResponseFraming::None),
        ] {
            let mut buf = BytesMut::from("GET");
            assert!(body.is_at_end());
            assert_eq!(body.decode(&mut buf, false), END);
            assert_eq!(body.decode(&mut BytesMut::new(), true), END);
            assert_eq!(buf, "GET");
        }
    }

    #[test]
    fn of_known_length() {
        let mut body = BodyDecoder::new(Framing::Length(5));
        let mut buf = BytesMut::from("he");
        assert_eq!(body.decode(&mut buf, false), data("he"));
        assert_eq!(body.decode(&mut buf, false), Ok(BodyPiece::NeedMore));
        buf.extend_from_slice(b"lloGET");
        assert_eq!((body.left(), body.is_at_end()), (Some(3), false));
        assert_eq!(body.decode(&mut buf, true), data("llo"));
        assert_eq!((body.decode(&mut buf, true), &buf[..]), (END, &b"GET"[..]));
    }

    #[test]
    fn until_close() {
        let mut body = BodyDecoder::new(ResponseFraming::UntilClose);
        let mut buf = BytesMut::from("hello");
        assert_eq!(body.decode(&mut buf, true), data("hello"));
        assert_eq!(body.decode(&mut buf, false), Ok(BodyPiece::NeedMore));
        assert_eq!(body.decode(&mut buf, true), END);
    }

    #[test]
    fn cut_short() {
        for text in [
            "",
            "5",
            "5\r\n",
            "5\r\nhello",
            "5\r\nhello\r\n",
            "5\r\nhello\r\n0\r\n",
            "5\r\nhello\r\n0\r\nA: b\r\n",
        ] {
            let mut body = BodyDecoder::new(ResponseFraming::Chunked);
            let mut buf = BytesMut::from(text);
            let end = std::iter::repeat_with(|| body.decode(&mut buf, true))
                .find(|piece| !matches!(piece, Ok(BodyPiece::Data(_))));
            assert_eq!(end, Some(Err(BodyFault::Incomplete)), "{text:?}");
        }
        let mut body = BodyDecoder::new(ResponseFraming::Length(1));
        assert_eq!(body.decode(&mut BytesMut::new(), true), Err(BodyFault::Incomplete));
    }
}
