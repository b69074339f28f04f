//! RST_STREAM, PUSH_PROMISE, PING and GOAWAY (RFC 9113 6.4, 6.6, 6.7 and 6.8), and error codes (chapter 7).

use crate::fields::{get, request};
use crate::frames::{Frame, code, flag, kind};
use crate::peer::{Outcome, Peer};
use crate::{Case, case};

/// A frame that ends the connection.
fn fatal(peer: &mut Peer, frame: Frame, code: u32) -> Outcome {
    peer.send(frame).connection_error(&[code])
}

/// RST_STREAM of another length than 4, on a stream that is open.
fn damaged_reset(peer: &mut Peer, length: usize) -> Outcome {
    peer.post(1);
    fatal(
        peer,
        Frame::new(kind::RST_STREAM, 1, vec![0; length]),
        code::FRAME_SIZE_ERROR,
    )
}

fn damaged(peer: &mut Peer, kind: u8, flags: u8, length: usize) -> Outcome {
    fatal(
        peer,
        Frame::new(kind, 0, vec![0; length]).with(flags),
        code::FRAME_SIZE_ERROR,
    )
}

/// Resets a stream, and expects nothing more on it.
fn reset(peer: &mut Peer, code: u32) -> Outcome {
    peer.post(1)
        .send(Frame::data(1, *b"abc"))
        .send(Frame::reset(1, code))
        .alive()?;
    match &peer.streams[&1] {
        exchange if exchange.status == Some(200) => Err("answered".to_owned()),
        _ => Ok(()),
    }
}

pub const CASES: &[Case] = &[
    case("6.4", "a request given up", |peer| reset(peer, code::CANCEL)),
    case("6.4", "a request given up without error", |peer| {
        reset(peer, code::NO_ERROR)
    }),
    case("7", "RST_STREAM with an unknown code", |peer| reset(peer, 0xff)),
    case("6.4", "a response given up", |peer| {
        peer.get(1, "/large");
        peer.until("a full window", |peer| (peer.window == 0).then_some(Ok(())))?;
        peer.send(Frame::reset(1, code::CANCEL))
            .send(Frame::window_update(0, 1 << 20))
            .alive()
    }),
    case("6.4", "stream 0", |peer| {
        fatal(peer, Frame::reset(0, code::CANCEL), code::PROTOCOL_ERROR)
    }),
    case("6.4", "three octets", |peer| damaged_reset(peer, 3)),
    case("6.4", "five octets", |peer| damaged_reset(peer, 5)),
    case("6.4", "no octets", |peer| damaged_reset(peer, 0)),
    case("6.6", "PUSH_PROMISE on an open stream", |peer| {
        peer.post(1);
        fatal(peer, Frame::push_promise(1, 2, &get("/")), code::PROTOCOL_ERROR)
    }),
    case("6.6", "PUSH_PROMISE on a stream that is half-closed", |peer| {
        peer.ask_in_vain(1);
        fatal(peer, Frame::push_promise(1, 2, &get("/")), code::PROTOCOL_ERROR)
    }),
    case("6.6", "PUSH_PROMISE of a client's stream", |peer| {
        peer.post(1);
        fatal(peer, Frame::push_promise(1, 3, &get("/")), code::PROTOCOL_ERROR)
    }),
    case("6.6", "PUSH_PROMISE on stream 0", |peer| {
        fatal(peer, Frame::push_promise(0, 2, &get("/")), code::PROTOCOL_ERROR)
    }),
    case("6.6", "PUSH_PROMISE on an idle stream", |peer| {
        fatal(peer, Frame::push_promise(1, 2, &get("/")), code::PROTOCOL_ERROR)
    }),
    case("6.7", "the payload comes back", |peer| {
        peer.send(Frame::ping(*b"\0\xff\x01octet"));
        peer.until("the answer to a PING", |peer| {
            peer.pongs.contains(b"\0\xff\x01octet").then_some(Ok(()))
        })
    }),
    case("6.7", "every PING is answered, in order", |peer| {
        let payloads: Vec<_> = (0..10u64).map(u64::to_be_bytes).collect();
        payloads.iter().for_each(|payload| {
            peer.send(Frame::ping(*payload));
        });
        peer.until("ten answers", |peer| (peer.pongs.len() == 10).then_some(Ok(())))?;
        (peer.pongs == payloads)
            .then_some(())
            .ok_or(format!("{:?}", peer.pongs))
    }),
    case("6.7", "an answer is not answered", |peer| {
        peer.send(Frame::ping([9; 8]).with(flag::ACK)).alive()?;
        let answered = peer.pongs.contains(&[9; 8]);
        (!answered).then_some(()).ok_or("answered".to_owned())
    }),
    case("6.7", "between the frames of a request", |peer| {
        peer.post(1).pinged()?;
        peer.send(Frame::data(1, *b"abc")).pinged()?;
        peer.send(Frame::data(1, []).end()).answered(1).map(drop)
    }),
    case("6.7", "a stream", |peer| {
        let frame = Frame::new(kind::PING, 1, [0; 8]);
        fatal(peer, frame, code::PROTOCOL_ERROR)
    }),
    case("6.7", "an answer on a stream", |peer| {
        let frame = Frame::new(kind::PING, 1, [0; 8]).with(flag::ACK);
        fatal(peer, frame, code::PROTOCOL_ERROR)
    }),
    case("6.7", "seven octets", |peer| damaged(peer, kind::PING, 0, 7)),
    case("6.7", "nine octets", |peer| damaged(peer, kind::PING, 0, 9)),
    case("6.7", "no octets", |peer| damaged(peer, kind::PING, 0, 0)),
    case("6.7", "an answer of six octets", |peer| {
        damaged(peer, kind::PING, flag::ACK, 6)
    }),
    case("6.8", "what was asked before GOAWAY is answered", |peer| {
        peer.get(1, "/large").send(Frame::go_away(0, code::NO_ERROR));
        peer.send(Frame::window_update(1, 1 << 20))
            .send(Frame::window_update(0, 1 << 20));
        peer.answered(1).map(drop)
    }),
    case("6.8", "a body that goes on after GOAWAY", |peer| {
        peer.post(1)
            .send(Frame::go_away(0, code::NO_ERROR))
            .send(Frame::data(1, *b"abc").end());
        peer.answered(1).map(drop)
    }),
    case("6.8", "GOAWAY with more to say", |peer| {
        let payload = [&[0; 8][..], b"for the log"].concat();
        peer.get(1, "/")
            .send(Frame::new(kind::GOAWAY, 0, payload))
            .answered(1)
            .map(drop)
    }),
    case("7", "GOAWAY with an unknown code", |peer| {
        peer.send(Frame::go_away(0, 0xff));
        match peer.pinged() {
            // A server may take its leave then.
            Err(_) if peer.closed => Ok(()),
            outcome => outcome,
        }
    }),
    case("6.8", "GOAWAY twice", |peer| {
        peer.get(1, "/")
            .send_all(&[Frame::go_away(100, code::NO_ERROR), Frame::go_away(0, code::NO_ERROR)]);
        peer.answered(1).map(drop)
    }),
    case("6.8", "a stream", |peer| {
        let frame = Frame::new(kind::GOAWAY, 1, [0; 8]);
        fatal(peer, frame, code::PROTOCOL_ERROR)
    }),
    case("6.8", "seven octets", |peer| damaged(peer, kind::GOAWAY, 0, 7)),
    case("6.8", "no octets", |peer| damaged(peer, kind::GOAWAY, 0, 0)),
    case("6.4", "a HEAD given up", |peer| {
        peer.ask(1, request("HEAD", "/slow"))
            .send(Frame::reset(1, code::CANCEL))
            .alive()
    }),
];
