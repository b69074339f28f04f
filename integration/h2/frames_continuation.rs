//! CONTINUATION (RFC 9113 6.10).

use crate::fields::{get, post_with, slow};
use crate::frames::{Frame, code};
use crate::peer::{Outcome, Peer};
use crate::{Case, case};

/// A field block in three frames.
fn thirds(block: &[u8]) -> [&[u8]; 3] {
    let (first, rest) = block.split_at(block.len() / 3);
    let (second, third) = rest.split_at(block.len() / 3);
    [first, second, third]
}

/// CONTINUATION where there is nothing to continue.
fn astray(peer: &mut Peer, stream: u32) -> Outcome {
    peer.send(Frame::continuation(stream, get("/")).end_headers());
    peer.connection_error(&[code::PROTOCOL_ERROR, code::STREAM_CLOSED])
}

pub const CASES: &[Case] = &[
    case("6.10", "a field block in three frames", |peer| {
        let block = get("/");
        let [first, second, third] = thirds(&block);
        peer.send_all(&[
            Frame::open_headers(1, first).end(),
            Frame::continuation(1, second),
            Frame::continuation(1, third).end_headers(),
        ]);
        peer.answered(1).map(drop)
    }),
    case("6.10", "after HEADERS with padding and priority", |peer| {
        let block = get("/");
        let [first, second, third] = thirds(&block);
        peer.send_all(&[
            Frame::open_headers(1, first).end().prioritised(0, 15).padded(7),
            Frame::continuation(1, second),
            Frame::continuation(1, third).end_headers(),
        ]);
        peer.answered(1).map(drop)
    }),
    case("6.10", "after empty HEADERS", |peer| {
        peer.send_all(&[
            Frame::open_headers(1, []).end(),
            Frame::continuation(1, get("/")).end_headers(),
        ]);
        peer.answered(1).map(drop)
    }),
    case("6.10", "empty, at the end", |peer| {
        peer.send_all(&[
            Frame::open_headers(1, get("/")).end(),
            Frame::continuation(1, []).end_headers(),
        ]);
        peer.answered(1).map(drop)
    }),
    case("6.10", "a body after it", |peer| {
        peer.send_all(&[
            Frame::open_headers(1, post_with(&[])),
            Frame::continuation(1, []).end_headers(),
        ]);
        peer.send(Frame::data(1, *b"abc").end()).answered(1).map(drop)
    }),
    case("6.10", "in trailers", |peer| {
        let block = crate::fields::block(&[("x-a", "b")]);
        peer.post(1).send(Frame::data(1, *b"abc"));
        peer.send_all(&[
            Frame::open_headers(1, &block[..2]).end(),
            Frame::continuation(1, &block[2..]).end_headers(),
        ]);
        peer.answered(1).map(drop)
    }),
    case("6.10", "a flag of DATA or HEADERS means nothing in it", |peer| {
        let block = get("/");
        peer.send_all(&[
            Frame::open_headers(1, &block[..9]).end(),
            Frame::continuation(1, &block[9..]).end_headers().with(0x29),
        ]);
        peer.answered(1).map(drop)
    }),
    case("6.10", "stream 0", |peer| astray(peer, 0)),
    case("6.10", "stream 0 within a field block", |peer| {
        peer.send(Frame::open_headers(1, get("/")));
        astray(peer, 0)
    }),
    case("6.10", "after HEADERS that end the field block", |peer| {
        peer.ask_in_vain(1);
        astray(peer, 1)
    }),
    case("6.10", "after CONTINUATION that ends the field block", |peer| {
        peer.send_all(&[
            Frame::open_headers(1, slow()).end(),
            Frame::continuation(1, []).end_headers(),
        ]);
        astray(peer, 1)
    }),
    case("6.10", "after DATA", |peer| {
        peer.post(1).send(Frame::data(1, *b"abc"));
        astray(peer, 1)
    }),
    case("6.10", "before anything else", |peer| astray(peer, 1)),
    case(
        "6.10",
        "HEADERS that never go on hold up that connection alone",
        |peer| {
            let mut other = Peer::connect(peer.address)?;
            other.send(Frame::open_headers(1, get("/")));
            peer.alive()
        },
    ),
];
