//! WINDOW_UPDATE, and that the server keeps to windows (RFC 9113 6.9).

use crate::frames::{FIRST_WINDOW, Frame, MAX_WINDOW, code, kind, setting};
use crate::peer::{Outcome, Peer};
use crate::server::LARGE;
use crate::{Case, case};

/// WINDOW_UPDATE of another length than 4.
fn damaged(peer: &mut Peer, stream: u32, length: usize) -> Outcome {
    peer.ask_in_vain(1)
        .send(Frame::new(kind::WINDOW_UPDATE, stream, vec![0; length]));
    peer.connection_error(&[code::FRAME_SIZE_ERROR])
}

impl Peer {
    /// The server has sent `octets` on stream 1 and no more, however long it may have had for it.
    fn halted_at(&mut self, octets: usize) -> Outcome {
        self.until("the octets allowed", |peer| {
            (peer.streams[&1].body >= octets).then_some(Ok(()))
        })?;
        self.pinged()?;
        self.pinged()?;
        let come = self.streams[&1].body;
        (come == octets)
            .then_some(())
            .ok_or(format!("{come} octets instead of {octets}"))
    }

    /// The rest of `/large` on stream 1.
    fn whole(&mut self) -> Outcome {
        let large = self.answered(1)?;
        (large.body == LARGE)
            .then_some(())
            .ok_or(format!("{} octets", large.body))
    }
}

pub const CASES: &[Case] = &[
    case("6.9", "an increment of 0 on the connection", |peer| {
        peer.send(Frame::window_update(0, 0))
            .connection_error(&[code::PROTOCOL_ERROR])
    }),
    case("6.9", "an increment of 0 on a stream", |peer| {
        peer.ask_in_vain(1)
            .send(Frame::window_update(1, 0))
            .stream_error(1, &[code::PROTOCOL_ERROR])
    }),
    case("6.9", "the reserved bit is ignored", |peer| {
        peer.send(Frame::window_update(0, 5 | 1 << 31)).alive()
    }),
    case("6.9", "the reserved bit alone is an increment of 0", |peer| {
        peer.send(Frame::window_update(0, 1 << 31))
            .connection_error(&[code::PROTOCOL_ERROR])
    }),
    case("6.9", "three octets", |peer| damaged(peer, 0, 3)),
    case("6.9", "five octets", |peer| damaged(peer, 0, 5)),
    case("6.9", "no octets", |peer| damaged(peer, 0, 0)),
    case("6.9", "three octets on a stream", |peer| damaged(peer, 1, 3)),
    case("6.9", "five octets on a stream", |peer| damaged(peer, 1, 5)),
    case("6.9.1", "the connection's window", |peer| {
        peer.set(&[(setting::INITIAL_WINDOW_SIZE, 1 << 24)])?;
        peer.get(1, "/large").halted_at(FIRST_WINDOW as usize)?;
        peer.send(Frame::window_update(0, 1))
            .halted_at(FIRST_WINDOW as usize + 1)?;
        peer.send(Frame::window_update(0, 1 << 24)).whole()
    }),
    case("6.9.1", "a stream's window", |peer| {
        peer.send(Frame::window_update(0, 1 << 24))
            .get(1, "/large")
            .halted_at(FIRST_WINDOW as usize)?;
        peer.send(Frame::window_update(1, 1))
            .halted_at(FIRST_WINDOW as usize + 1)?;
        peer.send(Frame::window_update(1, 1 << 24)).whole()
    }),
    case("6.9.1", "the connection's window is shared", |peer| {
        peer.get(1, "/large").get(3, "/large");
        peer.until("a full window", |peer| (peer.window == 0).then_some(Ok(())))?;
        peer.pinged()?;
        peer.send(Frame::window_update(0, 1 << 24));
        peer.send(Frame::window_update(1, 1 << 24))
            .send(Frame::window_update(3, 1 << 24));
        peer.answered(3)?;
        peer.whole()
    }),
    case("6.9.1", "a window of one octet", |peer| {
        peer.set(&[(setting::INITIAL_WINDOW_SIZE, 1)])?;
        peer.get(1, "/").halted_at(1)?;
        peer.send(Frame::window_update(1, 1)).halted_at(2)?;
        peer.send(Frame::window_update(1, 100)).answered(1).map(drop)
    }),
    case("6.9.1", "WINDOW_UPDATE right after the request", |peer| {
        peer.set(&[(setting::INITIAL_WINDOW_SIZE, 0)])?;
        peer.get(1, "/").send(Frame::window_update(1, 5)).answered(1).map(drop)
    }),
    case("6.9.1", "HEADERS need no window", |peer| {
        peer.set(&[(setting::INITIAL_WINDOW_SIZE, 0)])?;
        peer.get(1, "/");
        peer.until("a response's head", |peer| peer.streams[&1].status.map(|_| Ok(())))?;
        peer.halted_at(0)
    }),
    case("6.9.1", "the connection's window overflows", |peer| {
        peer.send(Frame::window_update(0, MAX_WINDOW))
            .connection_error(&[code::FLOW_CONTROL_ERROR])
    }),
    case("6.9.1", "the connection's window overflows by and by", |peer| {
        (0..3).for_each(|_| {
            peer.send(Frame::window_update(0, 1 << 30));
        });
        peer.connection_error(&[code::FLOW_CONTROL_ERROR])
    }),
    case("6.9.1", "a stream's window overflows", |peer| {
        peer.ask_in_vain(1).send(Frame::window_update(1, MAX_WINDOW));
        peer.stream_error(1, &[code::FLOW_CONTROL_ERROR])
    }),
    case("6.9.1", "a stream's window overflows by and by", |peer| {
        peer.ask_in_vain(1);
        peer.send_all(&[Frame::window_update(1, 1 << 30), Frame::window_update(1, 1 << 30)]);
        peer.stream_error(1, &[code::FLOW_CONTROL_ERROR])
    }),
    case("6.9.1", "windows as large as can be", |peer| {
        let most = MAX_WINDOW - FIRST_WINDOW as u32;
        peer.get(1, "/large")
            .send(Frame::window_update(1, most))
            .send(Frame::window_update(0, most))
            .whole()
    }),
    case(
        "6.9.2",
        "a larger initial window holds for streams that are open",
        |peer| {
            peer.set(&[(setting::INITIAL_WINDOW_SIZE, 0)])?;
            peer.get(1, "/").halted_at(0)?;
            peer.set(&[(setting::INITIAL_WINDOW_SIZE, 2)])?;
            peer.halted_at(2)?;
            peer.set(&[(setting::INITIAL_WINDOW_SIZE, 100)])?;
            peer.answered(1).map(drop)
        },
    ),
    case("6.9.2", "a window below zero", |peer| {
        peer.set(&[(setting::INITIAL_WINDOW_SIZE, 3)])?;
        peer.get(1, "/").halted_at(3)?;
        peer.set(&[(setting::INITIAL_WINDOW_SIZE, 0)])?;
        // At minus three.
        peer.send(Frame::window_update(1, 3)).halted_at(3)?;
        peer.send(Frame::window_update(1, 1)).halted_at(4)?;
        peer.send(Frame::window_update(1, 1)).answered(1).map(drop)
    }),
    case("6.9.2", "a smaller initial window in the midst of a body", |peer| {
        peer.send(Frame::window_update(0, 1 << 24))
            .get(1, "/large")
            .halted_at(FIRST_WINDOW as usize)?;
        peer.set(&[(setting::INITIAL_WINDOW_SIZE, 0)])?;
        peer.send(Frame::window_update(1, FIRST_WINDOW as u32))
            .halted_at(FIRST_WINDOW as usize)?;
        peer.send(Frame::window_update(1, 1 << 24)).whole()
    }),
    case("6.9.2", "the initial window does not change the connection's", |peer| {
        peer.get(1, "/large").halted_at(FIRST_WINDOW as usize)?;
        peer.set(&[(setting::INITIAL_WINDOW_SIZE, 1 << 20)])?;
        peer.halted_at(FIRST_WINDOW as usize)?;
        peer.send(Frame::window_update(0, 1 << 24))
            .send(Frame::window_update(1, 1 << 20))
            .whole()
    }),
    case("6.9.2", "a larger initial window overflows a stream's", |peer| {
        peer.ask_in_vain(1)
            .send(Frame::window_update(1, MAX_WINDOW - FIRST_WINDOW as u32))
            .pinged()?;
        peer.send(Frame::settings(&[(
            setting::INITIAL_WINDOW_SIZE,
            FIRST_WINDOW as u32 + 1,
        )]));
        peer.connection_error(&[code::FLOW_CONTROL_ERROR])
    }),
];
