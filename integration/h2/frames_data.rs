//! DATA (RFC 9113 6.1).

use crate::fields::{get, post_with, request};
use crate::frames::{FIRST_WINDOW, Frame, code, flag, kind, setting};
use crate::peer::{Outcome, Peer};
use crate::{Case, case};

/// A body of these frames, of which the last ends the stream.
fn body(peer: &mut Peer, frames: &[Frame]) -> Outcome {
    peer.post(1).send_all(frames).answered(1).map(drop)
}

/// Sends twice the connection's window in frames of `content` octets of content and `padding` of padding, as the server allows it.
fn long_body(peer: &mut Peer, content: usize, padding: Option<u8>) -> Outcome {
    let initial = peer
        .settings
        .get(&setting::INITIAL_WINDOW_SIZE)
        .map_or(FIRST_WINDOW, |window| (*window).into());
    let frame = match padding {
        Some(octets) => Frame::data(1, vec![0; content]).padded(octets),
        None => Frame::data(1, vec![0; content]),
    };
    let length = frame.payload.len() as i64;
    peer.post(1).pinged()?;
    let (mut sent, all) = (0, 2 * peer.granted.max(initial).min(1 << 20));
    while sent < all {
        peer.until("leave to send more", |peer| {
            let granted = peer.granted.min(initial + peer.streams[&1].granted);
            (granted - sent >= length || peer.streams[&1].ended).then_some(Ok(()))
        })?;
        peer.send(frame.clone());
        sent += length;
    }
    peer.send(Frame::data(1, []).end()).answered(1).map(drop)
}

pub const CASES: &[Case] = &[
    case("6.1", "one frame", |peer| body(peer, &[Frame::data(1, *b"abc").end()])),
    case("6.1", "several frames", |peer| {
        body(
            peer,
            &[
                Frame::data(1, *b"abc"),
                Frame::data(1, *b"def"),
                Frame::data(1, *b"g").end(),
            ],
        )
    }),
    case("6.1", "an empty frame at the end", |peer| {
        body(peer, &[Frame::data(1, *b"abc"), Frame::data(1, []).end()])
    }),
    case("6.1", "an empty body", |peer| body(peer, &[Frame::data(1, []).end()])),
    case("6.1", "empty frames on the way", |peer| {
        let empty = Frame::data(1, []);
        body(
            peer,
            &[
                empty.clone(),
                Frame::data(1, *b"abc"),
                empty.clone(),
                empty,
                Frame::data(1, *b"d").end(),
            ],
        )
    }),
    case("6.1", "padding", |peer| {
        body(peer, &[Frame::data(1, *b"abc").padded(255).end()])
    }),
    case("6.1", "padding of no octets", |peer| {
        body(peer, &[Frame::data(1, *b"abc").padded(0).end()])
    }),
    case("6.1", "nothing but padding", |peer| {
        body(
            peer,
            &[Frame::data(1, []).padded(100), Frame::data(1, *b"abc").padded(9).end()],
        )
    }),
    case("6.1", "padding that is not zero", |peer| {
        let frame = Frame::new(kind::DATA, 1, [3, b'a', b'b', 1, 2, 3])
            .with(flag::PADDED)
            .end();
        peer.post(1).send(frame).refused(1, &[code::PROTOCOL_ERROR], &[2])
    }),
    case("6.1", "stream 0", |peer| {
        peer.post(1)
            .send(Frame::data(0, *b"abc"))
            .connection_error(&[code::PROTOCOL_ERROR])
    }),
    case("6.1", "as much padding as payload", |peer| {
        let frame = Frame::new(kind::DATA, 1, [4, b'a', 0, 0]).with(flag::PADDED).end();
        peer.post(1).send(frame).connection_error(&[code::PROTOCOL_ERROR])
    }),
    case("6.1", "more padding than payload", |peer| {
        let frame = Frame::new(kind::DATA, 1, [200, b'a', b'b']).with(flag::PADDED).end();
        peer.post(1).send(frame).connection_error(&[code::PROTOCOL_ERROR])
    }),
    case("6.1", "padded, but without a length", |peer| {
        let frame = Frame::new(kind::DATA, 1, []).with(flag::PADDED).end();
        peer.post(1)
            .send(frame)
            .connection_error(&[code::PROTOCOL_ERROR, code::FRAME_SIZE_ERROR])
    }),
    case("6.1", "a body with GET", |peer| {
        peer.send(Frame::headers(1, get("/")))
            .send(Frame::data(1, *b"abc").end());
        peer.refused(1, &[code::NO_ERROR, code::PROTOCOL_ERROR], &[2, 4])
    }),
    case("6.1", "two bodies that alternate", |peer| {
        peer.post(1).post(3);
        (0..20).for_each(|_| {
            peer.send(Frame::data(1, *b"abc")).send(Frame::data(3, *b"defg"));
        });
        peer.send(Frame::data(3, []).end()).answered(3)?;
        peer.send(Frame::data(1, []).end()).answered(1).map(drop)
    }),
    case("5.2", "the window is given back", |peer| long_body(peer, 10_000, None)),
    case("5.2", "the window is given back for padding", |peer| {
        long_body(peer, 1000, Some(255))
    }),
    case(
        "5.2",
        "the connection's window is given back for a stream that was reset",
        |peer| {
            let rounds = peer.granted.min(1 << 20) / 16_000 + 2;
            for round in 0..rounds as u32 {
                let stream = 2 * round + 1;
                peer.send(Frame::headers(stream, request("POST", "/slow")));
                peer.until("leave to send more", |peer| {
                    (peer.granted - i64::from(round) * 16_000 >= 16_000).then_some(Ok(()))
                })?;
                peer.send(Frame::data(stream, vec![0; 16_000]))
                    .send(Frame::reset(stream, code::CANCEL))
                    .pinged()?;
            }
            peer.alive()
        },
    ),
    case(
        "5.2",
        "the connection's window is given back for a refused request",
        |peer| {
            let rounds = peer.granted.min(1 << 20) / 16_000 + 2;
            for round in 0..rounds as u32 {
                let stream = 2 * round + 1;
                peer.send(Frame::headers(stream, post_with(&[("X-Upper", "a")])));
                peer.until("leave to send more", |peer| {
                    (peer.granted - i64::from(round) * 16_000 >= 16_000).then_some(Ok(()))
                })?;
                peer.send(Frame::data(stream, vec![0; 16_000]).end());
                // A server may as well end the connection.
                peer.until("an end", |peer| {
                    (peer.closed || peer.streams[&stream].reset.is_some() || peer.streams[&stream].ended)
                        .then_some(Ok(()))
                })?;
                if peer.closed {
                    return peer.connection_error(&[code::PROTOCOL_ERROR]);
                }
            }
            peer.alive()
        },
    ),
    case("6.9.1", "more than the window allows", |peer| {
        let initial = peer
            .settings
            .get(&setting::INITIAL_WINDOW_SIZE)
            .map_or(FIRST_WINDOW, |window| (*window).into());
        peer.send(Frame::headers(1, request("POST", "/")));
        let all = 2 * peer.granted.max(initial).min(1 << 22) / 16_000;
        (0..all).for_each(|_| {
            peer.send(Frame::data(1, vec![0; 16_000]));
        });
        peer.send(Frame::data(1, []).end());
        // A server that reads on as fast as this sends has given leave in time.
        match peer.refused(1, &[code::FLOW_CONTROL_ERROR], &[2, 4]) {
            Ok(()) if !peer.closed && peer.streams[&1].reset.is_none() => {
                let granted = peer.granted.min(initial + peer.streams[&1].granted);
                let enough = granted >= all * 16_000;
                enough
                    .then_some(())
                    .ok_or(format!("{} octets taken, {granted} allowed", all * 16_000))
            }
            outcome => outcome,
        }
    }),
];
