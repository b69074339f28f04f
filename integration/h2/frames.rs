//! Frames as they stand on the wire (RFC 9113, chapters 4 and 6), good and bad alike.

use std::io::{self, Read};

/// Octets before a frame's payload.
pub const HEAD: usize = 9;
/// The largest payload that may be sent without leave (RFC 9113 4.2).
pub const LEAST_MAX_FRAME: usize = 16_384;
/// The window a stream and a connection begin with (RFC 9113 6.9.2).
pub const FIRST_WINDOW: i64 = 65_535;
/// The largest window (RFC 9113 6.9.1).
pub const MAX_WINDOW: u32 = 0x7fff_ffff;

/// Frame types (RFC 9113, chapter 6).
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
    /// Not defined by any standard.
    pub const UNKNOWN: u8 = 0xbe;
}

/// Flags of frames.
pub mod flag {
    pub const ACK: u8 = 1;
    pub const END_STREAM: u8 = 1;
    pub const END_HEADERS: u8 = 4;
    pub const PADDED: u8 = 8;
    pub const PRIORITY: u8 = 32;
}

/// Error codes (RFC 9113, chapter 7).
pub mod code {
    pub const NO_ERROR: u32 = 0;
    pub const PROTOCOL_ERROR: u32 = 1;
    pub const FLOW_CONTROL_ERROR: u32 = 3;
    pub const STREAM_CLOSED: u32 = 5;
    pub const FRAME_SIZE_ERROR: u32 = 6;
    pub const REFUSED_STREAM: u32 = 7;
    pub const CANCEL: u32 = 8;
    pub const COMPRESSION_ERROR: u32 = 9;
    pub const ENHANCE_YOUR_CALM: u32 = 11;
}

/// Settings (RFC 9113 6.5.2).
pub mod setting {
    pub const HEADER_TABLE_SIZE: u16 = 1;
    pub const ENABLE_PUSH: u16 = 2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub const INITIAL_WINDOW_SIZE: u16 = 4;
    pub const MAX_FRAME_SIZE: u16 = 5;
    pub const MAX_HEADER_LIST_SIZE: u16 = 6;
}

/// A frame; nothing of it need make sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    /// 31 bits and the reserved one.
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// A frame without flags.
    pub fn new(kind: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Frame {
        Frame {
            kind,
            flags: 0,
            stream,
            payload: payload.into(),
        }
    }

    pub fn data(stream: u32, payload: impl Into<Vec<u8>>) -> Frame {
        Frame::new(kind::DATA, stream, payload)
    }

    /// HEADERS with a whole field block.
    pub fn headers(stream: u32, block: impl Into<Vec<u8>>) -> Frame {
        Frame::new(kind::HEADERS, stream, block).with(flag::END_HEADERS)
    }

    /// HEADERS whose field block goes on in CONTINUATION.
    pub fn open_headers(stream: u32, block: impl Into<Vec<u8>>) -> Frame {
        Frame::new(kind::HEADERS, stream, block)
    }

    /// CONTINUATION that does not end its field block.
    pub fn continuation(stream: u32, block: impl Into<Vec<u8>>) -> Frame {
        Frame::new(kind::CONTINUATION, stream, block)
    }

    pub fn priority(stream: u32, depends_on: u32, weight: u8) -> Frame {
        let mut payload = depends_on.to_be_bytes().to_vec();
        payload.push(weight);
        Frame::new(kind::PRIORITY, stream, payload)
    }

    pub fn reset(stream: u32, code: u32) -> Frame {
        Frame::new(kind::RST_STREAM, stream, code.to_be_bytes())
    }

    pub fn settings(values: &[(u16, u32)]) -> Frame {
        let octets = |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()[..]].concat();
        Frame::new(kind::SETTINGS, 0, values.iter().flat_map(octets).collect::<Vec<u8>>())
    }

    pub fn settings_ack() -> Frame {
        Frame::new(kind::SETTINGS, 0, []).with(flag::ACK)
    }

    pub fn ping(payload: [u8; 8]) -> Frame {
        Frame::new(kind::PING, 0, payload)
    }

    pub fn go_away(last: u32, code: u32) -> Frame {
        Frame::new(kind::GOAWAY, 0, [last.to_be_bytes(), code.to_be_bytes()].concat())
    }

    pub fn window_update(stream: u32, increment: u32) -> Frame {
        Frame::new(kind::WINDOW_UPDATE, stream, increment.to_be_bytes())
    }

    /// PUSH_PROMISE, which only servers may send.
    pub fn push_promise(stream: u32, promised: u32, block: &[u8]) -> Frame {
        let payload = [&promised.to_be_bytes()[..], block].concat();
        Frame::new(kind::PUSH_PROMISE, stream, payload).with(flag::END_HEADERS)
    }

    pub fn with(mut self, flags: u8) -> Frame {
        self.flags |= flags;
        self
    }

    /// The last frame of its stream.
    pub fn end(self) -> Frame {
        self.with(flag::END_STREAM)
    }

    /// The last frame of its field block.
    pub fn end_headers(self) -> Frame {
        self.with(flag::END_HEADERS)
    }

    /// With so many octets of padding.
    pub fn padded(mut self, octets: u8) -> Frame {
        self.payload.insert(0, octets);
        self.payload.extend(std::iter::repeat_n(0, octets.into()));
        self.with(flag::PADDED)
    }

    /// HEADERS with the fields of a priority.
    pub fn prioritised(mut self, depends_on: u32, weight: u8) -> Frame {
        let mut payload = depends_on.to_be_bytes().to_vec();
        payload.push(weight);
        payload.append(&mut self.payload);
        self.payload = payload;
        self.with(flag::PRIORITY)
    }

    /// The octets on the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + self.payload.len());
        bytes.extend_from_slice(&(self.payload.len() as u32).to_be_bytes()[1..]);
        bytes.extend_from_slice(&[self.kind, self.flags]);
        bytes.extend_from_slice(&self.stream.to_be_bytes());
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// The next frame; an error of kind `UnexpectedEof` where the stream ends.
    pub fn read(stream: &mut impl Read) -> io::Result<Frame> {
        let mut head = [0; HEAD];
        stream.read_exact(&mut head)?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut payload)?;
        Ok(Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & MAX_WINDOW,
            payload,
        })
    }

    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Four octets of the payload as a number.
    pub fn number(&self, at: usize) -> Result<u32, String> {
        let octets = self.payload.get(at..at + 4).and_then(|octets| octets.try_into().ok());
        octets
            .map(u32::from_be_bytes)
            .ok_or(format!("the server sent a short frame: {self:?}"))
    }

    /// The payload without padding and priority.
    pub fn content(&self) -> Result<&[u8], String> {
        let mut content = &self.payload[..];
        let short = || format!("the server sent more padding than payload: {self:?}");
        if self.has(flag::PADDED) {
            let (padding, rest) = content.split_first().ok_or_else(short)?;
            let length = rest.len().checked_sub((*padding).into()).ok_or_else(short)?;
            content = &rest[..length];
        }
        if self.kind == kind::HEADERS && self.has(flag::PRIORITY) {
            content = content.get(5..).ok_or_else(short)?;
        }
        Ok(content)
    }
}
