//! Writing an answer's head.

use http::StatusCode;
use http::header::STRICT_TRANSPORT_SECURITY;

use crate::cache::object::Head;
use crate::pipeline::{Answer, AnswerHead, BodyLength};

/// How the answer's connection is to be spoken to.
#[derive(Clone, Copy, Debug)]
pub struct Wire {
    /// The client speaks HTTP/1.0.
    pub http10: bool,
    /// The connection may stay open.
    pub keep_alive: bool,
    /// The client takes trailer fields (RFC 9110 10.1.4).
    pub trailers: bool,
}

/// How an answer's body is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// As it is; the head says how long it is, or there is none.
    Plain,
    /// In chunks.
    Chunked,
    /// As it is, until the connection closes.
    UntilClose,
}

/// How `answer`'s body is sent over `wire` (RFC 9112 6.3).
pub fn framing(answer: &Answer<'_>, wire: Wire) -> Framing {
    match answer.length {
        BodyLength::NoBody | BodyLength::Known(_) => Framing::Plain,
        BodyLength::Unknown if wire.http10 => Framing::UntilClose,
        BodyLength::Unknown => Framing::Chunked,
    }
}

/// For what is added to a stored head.
const ROOM: usize = 256;

/// Appends the head to `out`.
pub fn write(out: &mut Vec<u8>, answer: &Answer<'_>, wire: Wire, framing: Framing) {
    match &answer.head {
        // The stored bytes may hold the origin's own `Strict-Transport-Security`.
        AnswerHead::Stored(head) if answer.hsts.is_none() || !has_hsts(head) => {
            out.reserve(head.wire.len() + ROOM);
            out.extend_from_slice(&head.wire);
            if let Some(age) = answer.age {
                out.extend_from_slice(b"age: ");
                out.extend_from_slice(itoa::Buffer::new().format(age).as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            if let Some(hsts) = &answer.hsts {
                line(out, STRICT_TRANSPORT_SECURITY.as_str(), hsts.as_bytes());
            }
        }
        _ => {
            status_line(out, answer.status);
            answer.each_field(|name, value| line(out, name.as_str(), value.as_bytes()));
        }
    }
    out.extend_from_slice(b"cache-status: ");
    answer.write_cache_status(out);
    out.extend_from_slice(b"\r\n");
    if framing == Framing::Chunked {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    out.extend_from_slice(connection(answer, wire, framing));
    out.extend_from_slice(b"\r\n");
}

fn has_hsts(head: &Head) -> bool {
    head.fields.iter().any(|(name, _)| *name == STRICT_TRANSPORT_SECURITY)
}

fn connection(answer: &Answer<'_>, wire: Wire, framing: Framing) -> &'static [u8] {
    match (
        answer.upgraded.is_some() || answer.status == StatusCode::SWITCHING_PROTOCOLS,
        wire,
    ) {
        (true, _) => b"connection: upgrade\r\n",
        (_, Wire { keep_alive: false, .. }) => b"connection: close\r\n",
        _ if framing == Framing::UntilClose => b"connection: close\r\n",
        (_, Wire { http10: true, .. }) => b"connection: keep-alive\r\n",
        _ => b"",
    }
}

fn status_line(out: &mut Vec<u8>, status: StatusCode) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or("").as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends a field line.
pub(super) fn line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
