//! Frames as such (RFC 9113, chapter 4).

use crate::fields::{INDEXED, POST, block, get, get_with, indexed, literal, request};
use crate::frames::{Frame, LEAST_MAX_FRAME, code, flag, kind, setting};
use crate::peer::{Outcome, Peer};
use crate::server::LARGE;
use crate::{Case, case};

/// The largest payload that the server takes.
fn largest(peer: &Peer) -> usize {
    peer.settings
        .get(&setting::MAX_FRAME_SIZE)
        .map_or(LEAST_MAX_FRAME, |size| *size as usize)
}

/// A frame one octet too large.
fn too_large(peer: &mut Peer, kind: u8, stream: u32) -> Outcome {
    let frame = Frame::new(kind, stream, vec![0; largest(peer) + 1]);
    peer.send(frame).connection_error(&[code::FRAME_SIZE_ERROR])
}

/// A frame between HEADERS and CONTINUATION.
fn interrupted(peer: &mut Peer, by: Frame) -> Outcome {
    let block = get("/");
    peer.send_all(&[
        Frame::open_headers(1, &block[..9]).end(),
        by,
        Frame::continuation(1, &block[9..]).end_headers(),
    ]);
    peer.connection_error(&[code::PROTOCOL_ERROR])
}

/// A field block that cannot be decoded.
fn undecodable(peer: &mut Peer, block: &[u8]) -> Outcome {
    peer.ask(1, block).connection_error(&[code::COMPRESSION_ERROR])
}

/// Refuses this request, but keeps the entry that its field block makes.
fn table_kept(peer: &mut Peer, refused: &[u8]) -> Outcome {
    peer.ask(1, [refused, &literal(INDEXED, "x-a", "b")].concat())
        .malformed(1)?;
    if peer.closed {
        return Ok(());
    }
    let stream = peer.next();
    peer.ask(stream, [get("/"), indexed(62)].concat())
        .answered(stream)
        .map(drop)
}

pub const CASES: &[Case] = &[
    case("4.1", "an unknown type on the connection is ignored", |peer| {
        peer.send(Frame::new(kind::UNKNOWN, 0, *b"whatever").with(0xff)).alive()
    }),
    case("4.1", "an unknown type on an idle stream is ignored", |peer| {
        peer.send(Frame::new(kind::UNKNOWN, 1, *b"whatever")).alive()
    }),
    case("4.1", "an unknown type within a request is ignored", |peer| {
        peer.post(1).send(Frame::new(kind::UNKNOWN, 1, *b"whatever").with(0xff));
        peer.send(Frame::data(1, *b"abc").end()).answered(1).map(drop)
    }),
    case("4.1", "an unknown type of the largest size is ignored", |peer| {
        peer.send(Frame::new(kind::UNKNOWN, 0, vec![0; LEAST_MAX_FRAME]))
            .alive()
    }),
    case("4.1", "undefined flags of HEADERS and DATA are ignored", |peer| {
        peer.send(Frame::headers(1, block(&POST)).with(0x92));
        peer.send(Frame::data(1, *b"abc").end().with(0xf6))
            .answered(1)
            .map(drop)
    }),
    case("4.1", "undefined flags of PING are ignored", |peer| {
        peer.send(Frame::ping([7; 8]).with(0xfe));
        peer.until("the answer to a PING", |peer| {
            peer.pongs.contains(&[7; 8]).then_some(Ok(()))
        })
    }),
    case("4.1", "undefined flags of SETTINGS are ignored", |peer| {
        peer.send(Frame::settings(&[]).with(0xfe)).synchronised()?;
        peer.alive()
    }),
    case("4.1", "undefined flags of RST_STREAM are ignored", |peer| {
        peer.ask_in_vain(1)
            .send(Frame::reset(1, code::CANCEL).with(0xff))
            .alive()
    }),
    case("4.1", "the reserved bit of a stream is ignored", |peer| {
        peer.send(Frame::headers(1 | 1 << 31, get("/")).end())
            .answered(1)
            .map(drop)
    }),
    case("4.1", "the reserved bit of stream 0 is ignored", |peer| {
        let mut ping = Frame::ping([8; 8]);
        ping.stream = 1 << 31;
        peer.send(ping);
        peer.until("the answer to a PING", |peer| {
            peer.pongs.contains(&[8; 8]).then_some(Ok(()))
        })
    }),
    case("4.2", "DATA of the largest size", |peer| {
        peer.post(1)
            .send(Frame::data(1, vec![0; LEAST_MAX_FRAME]).end())
            .answered(1)
            .map(drop)
    }),
    case("4.2", "HEADERS of the largest size", |peer| {
        let mut block = get("/");
        // Field by field, so that no single one is too long.
        while LEAST_MAX_FRAME - block.len() > 300 {
            block.extend(literal(0, "x-a", vec![b'a'; 100]));
        }
        // A name, a value and three octets that say their lengths.
        let rest = LEAST_MAX_FRAME - block.len() - 6 - usize::from(LEAST_MAX_FRAME - block.len() - 6 > 127);
        block.extend(literal(0, "x-a", vec![b'a'; rest]));
        assert_eq!(block.len(), LEAST_MAX_FRAME);
        // The limit for a field section may be lower.
        peer.ask(1, block)
            .refused(1, &[code::PROTOCOL_ERROR, code::ENHANCE_YOUR_CALM], &[2, 4])
    }),
    case("4.2", "DATA too large", |peer| {
        let frame = Frame::data(1, vec![0; largest(peer) + 1]).end();
        peer.post(1).send(frame).stream_error(1, &[code::FRAME_SIZE_ERROR])
    }),
    case("4.2", "HEADERS too large", |peer| too_large(peer, kind::HEADERS, 1)),
    case("4.2", "SETTINGS too large", |peer| {
        let frame = Frame::settings(&vec![(0xff, 0); largest(peer) / 6 + 1]);
        peer.send(frame).connection_error(&[code::FRAME_SIZE_ERROR])
    }),
    case("4.2", "CONTINUATION too large", |peer| {
        peer.send(Frame::open_headers(1, get("/")));
        too_large(peer, kind::CONTINUATION, 1)
    }),
    case("4.2", "PING too large", |peer| too_large(peer, kind::PING, 0)),
    case("4.2", "GOAWAY too large", |peer| too_large(peer, kind::GOAWAY, 0)),
    case("4.2", "an unknown type too large", |peer| {
        too_large(peer, kind::UNKNOWN, 0)
    }),
    case("4.2", "a frame said to be of 16 MiB", |peer| {
        peer.raw(&[0xff, 0xff, 0xff, kind::DATA, 0, 0, 0, 0, 1])
            .connection_error(&[code::FRAME_SIZE_ERROR, code::PROTOCOL_ERROR])
    }),
    case("4.2", "the server keeps to the least frame size", |peer| {
        peer.set(&[(setting::INITIAL_WINDOW_SIZE, 1 << 24)])?;
        peer.send(Frame::window_update(0, 1 << 24));
        let large = peer.get(1, "/large").answered(1)?;
        (large.body == LARGE)
            .then_some(())
            .ok_or(format!("{} octets", large.body))
    }),
    case("4.2", "the server keeps to a larger frame size", |peer| {
        peer.set(&[
            (setting::INITIAL_WINDOW_SIZE, 1 << 24),
            (setting::MAX_FRAME_SIZE, 20_000),
        ])?;
        peer.send(Frame::window_update(0, 1 << 24));
        let large = peer.get(1, "/large").answered(1)?;
        (large.body == LARGE)
            .then_some(())
            .ok_or(format!("{} octets", large.body))
    }),
    case("4.3", "a field block that ends within a field", |peer| {
        let block = get("/");
        undecodable(peer, &block[..block.len() - 1])
    }),
    case("4.3", "a field block that ends within a length", |peer| {
        undecodable(peer, &[get("/"), vec![0x00]].concat())
    }),
    case("4.3", "trailers that cannot be decoded", |peer| {
        peer.post(1)
            .ask(1, [0x00, 0x83])
            .connection_error(&[code::COMPRESSION_ERROR])
    }),
    case("4.3", "PRIORITY within a field block", |peer| {
        interrupted(peer, Frame::priority(1, 0, 1))
    }),
    case("4.3", "HEADERS of another stream within a field block", |peer| {
        interrupted(peer, Frame::headers(3, get("/")))
    }),
    case("4.3", "HEADERS of the same stream within a field block", |peer| {
        interrupted(peer, Frame::headers(1, get("/")))
    }),
    case("4.3", "CONTINUATION of another stream within a field block", |peer| {
        interrupted(peer, Frame::continuation(3, []).end_headers())
    }),
    case("4.3", "DATA within a field block", |peer| {
        interrupted(peer, Frame::data(1, *b"abc"))
    }),
    case("4.3", "PING within a field block", |peer| {
        interrupted(peer, Frame::ping([0; 8]))
    }),
    case("4.3", "SETTINGS within a field block", |peer| {
        peer.send(Frame::open_headers(1, get("/")).end());
        peer.raw(&Frame::settings(&[]).to_bytes())
            .connection_error(&[code::PROTOCOL_ERROR])
    }),
    case("4.3", "WINDOW_UPDATE within a field block", |peer| {
        interrupted(peer, Frame::window_update(0, 1))
    }),
    case("4.3", "RST_STREAM within a field block", |peer| {
        interrupted(peer, Frame::reset(1, code::CANCEL))
    }),
    case("4.3", "an unknown type within a field block", |peer| {
        interrupted(peer, Frame::new(kind::UNKNOWN, 0, []))
    }),
    case("4.3", "a field block of single octets", |peer| {
        let block = get("/");
        let mut frames = vec![Frame::open_headers(1, &block[..1]).end()];
        frames.extend(block[1..].iter().map(|octet| Frame::continuation(1, [*octet])));
        if let Some(last) = frames.last_mut() {
            last.flags |= flag::END_HEADERS;
        }
        // So many frames for so little may be too much.
        peer.send_all(&frames).refused(1, &[code::ENHANCE_YOUR_CALM], &[2])
    }),
    case("4.3", "the table keeps what a malformed request adds", |peer| {
        table_kept(peer, &get_with(&[("X-Upper", "a")]))
    }),
    case("4.3", "the table keeps what a request without a path adds", |peer| {
        table_kept(
            peer,
            &block(&[(":method", "GET"), (":scheme", "http"), (":authority", "example.test")]),
        )
    }),
    case("4.3", "the table keeps what trailers add", |peer| {
        peer.post(1).ask(1, literal(INDEXED, "x-a", "b")).answered(1)?;
        peer.ask(3, [request("GET", "/"), indexed(62)].concat())
            .answered(3)
            .map(drop)
    }),
    case("4.3", "the table keeps what trailers of a reset stream add", |peer| {
        peer.send(Frame::headers(1, request("POST", "/slow")));
        peer.provoke_reset(1)?;
        if peer.closed {
            return Ok(());
        }
        let stream = peer.next();
        peer.ask(1, literal(INDEXED, "x-a", "b"))
            .ask(stream, [get("/"), indexed(62)].concat());
        // RFC 9113 5.1: what was under way when the stream was reset is ignored, but processed.
        peer.answered(stream).map(drop)
    }),
];
