//! HEADERS and PRIORITY (RFC 9113 6.2 and 6.3).

use crate::fields::{get, post_with};
use crate::frames::{Frame, code, flag, kind};
use crate::peer::{Outcome, Peer};
use crate::{Case, case};

/// HEADERS of these octets and flags.
fn damaged(peer: &mut Peer, payload: &[u8], flags: u8, codes: &[u32]) -> Outcome {
    let frame = Frame::new(kind::HEADERS, 1, payload).with(flags).end().end_headers();
    peer.send(frame).connection_error(codes)
}

/// PRIORITY of another length than 5, on a stream that is open.
fn damaged_priority(peer: &mut Peer, length: usize) -> Outcome {
    peer.post(1).send(Frame::new(kind::PRIORITY, 1, vec![0; length]));
    peer.stream_error(1, &[code::FRAME_SIZE_ERROR])
}

const TOO_SHORT: &[u32] = &[code::PROTOCOL_ERROR, code::FRAME_SIZE_ERROR];

pub const CASES: &[Case] = &[
    case("6.2", "a request", |peer| peer.get(1, "/").answered(1).map(drop)),
    case("6.2", "padding", |peer| {
        peer.send(Frame::headers(1, get("/")).end().padded(255))
            .answered(1)
            .map(drop)
    }),
    case("6.2", "padding of no octets", |peer| {
        peer.send(Frame::headers(1, get("/")).end().padded(0))
            .answered(1)
            .map(drop)
    }),
    case("6.2", "a priority", |peer| {
        peer.send(Frame::headers(1, get("/")).end().prioritised(0, 255))
            .answered(1)
            .map(drop)
    }),
    case("6.2", "an exclusive priority below a stream that is idle", |peer| {
        peer.send(Frame::headers(1, get("/")).end().prioritised(9 | 1 << 31, 0))
            .answered(1)
            .map(drop)
    }),
    case("6.2", "a priority and padding", |peer| {
        peer.send(Frame::headers(1, get("/")).end().prioritised(0, 15).padded(20))
            .answered(1)
            .map(drop)
    }),
    case("6.2", "stream 0", |peer| {
        peer.send(Frame::headers(0, get("/")).end())
            .connection_error(&[code::PROTOCOL_ERROR])
    }),
    case("6.2", "more padding than payload", |peer| {
        damaged(
            peer,
            &[&[255], &get("/")[..]].concat(),
            flag::PADDED,
            &[code::PROTOCOL_ERROR],
        )
    }),
    case("6.2", "as much padding as payload", |peer| {
        let block = get("/");
        damaged(
            peer,
            &[&[block.len() as u8 + 1], &block[..]].concat(),
            flag::PADDED,
            &[code::PROTOCOL_ERROR],
        )
    }),
    case("6.2", "padded, but without a length", |peer| {
        damaged(peer, &[], flag::PADDED, TOO_SHORT)
    }),
    case("6.2", "a priority cut short", |peer| {
        damaged(peer, &[0; 4], flag::PRIORITY, TOO_SHORT)
    }),
    case("6.2", "a priority cut short by padding", |peer| {
        damaged(
            peer,
            &[3, 0, 0, 0, 0, 0, 0, 0],
            flag::PRIORITY | flag::PADDED,
            TOO_SHORT,
        )
    }),
    case("6.2", "an empty field block", |peer| peer.ask(1, []).malformed(1)),
    case("6.2", "nothing but padding", |peer| {
        peer.send(Frame::headers(1, []).end().padded(10)).malformed(1)
    }),
    case("6.2", "the end of the stream in a later frame", |peer| {
        peer.send(Frame::headers(1, post_with(&[]))).pinged()?;
        peer.send(Frame::data(1, []).end()).answered(1).map(drop)
    }),
    case("6.3", "lowest and highest weight", |peer| {
        peer.send(Frame::priority(1, 0, 0)).send(Frame::priority(1, 0, 255));
        peer.get(1, "/").answered(1).map(drop)
    }),
    case("6.3", "a dependency, exclusive", |peer| {
        peer.send(Frame::priority(3, 1 | 1 << 31, 15)).get(1, "/").answered(1)?;
        peer.get(3, "/").answered(3).map(drop)
    }),
    case("6.3", "an idle stream does not close those below", |peer| {
        peer.send(Frame::priority(101, 0, 15)).get(1, "/").answered(1).map(drop)
    }),
    case("6.3", "within a request", |peer| {
        peer.post(1)
            .send(Frame::priority(1, 0, 15))
            .send(Frame::data(1, *b"abc").end())
            .answered(1)
            .map(drop)
    }),
    case("6.3", "a stream of the server", |peer| {
        peer.send(Frame::priority(2, 0, 15)).alive()
    }),
    case("6.3", "stream 0", |peer| {
        peer.send(Frame::priority(0, 1, 15))
            .connection_error(&[code::PROTOCOL_ERROR])
    }),
    case("6.3", "four octets", |peer| damaged_priority(peer, 4)),
    case("6.3", "six octets", |peer| damaged_priority(peer, 6)),
    case("6.3", "no octets", |peer| damaged_priority(peer, 0)),
];
