//! SETTINGS (RFC 9113 6.5).

use crate::frames::{Frame, MAX_WINDOW, code, flag, kind, setting};
use crate::peer::{Outcome, Peer};
use crate::{Case, case};

/// SETTINGS of this value end the connection.
fn refused(peer: &mut Peer, id: u16, value: u32, code: u32) -> Outcome {
    peer.send(Frame::settings(&[(id, value)])).connection_error(&[code])
}

/// SETTINGS of these values are taken, and the connection serves on.
fn taken(peer: &mut Peer, values: &[(u16, u32)]) -> Outcome {
    peer.set(values)?;
    peer.alive()
}

/// SETTINGS of another length than a multiple of 6.
fn damaged(peer: &mut Peer, length: usize) -> Outcome {
    let frame = Frame::new(kind::SETTINGS, 0, vec![0; length]);
    peer.send(frame).connection_error(&[code::FRAME_SIZE_ERROR])
}

pub const CASES: &[Case] = &[
    case("6.5", "an acknowledgement with a payload", |peer| {
        let frame = Frame::settings(&[(setting::ENABLE_PUSH, 0)]).with(flag::ACK);
        peer.send(frame).connection_error(&[code::FRAME_SIZE_ERROR])
    }),
    case("6.5", "an acknowledgement with one octet", |peer| {
        let frame = Frame::new(kind::SETTINGS, 0, [0]).with(flag::ACK);
        peer.send(frame).connection_error(&[code::FRAME_SIZE_ERROR])
    }),
    case("6.5", "a stream", |peer| {
        let mut frame = Frame::settings(&[(setting::ENABLE_PUSH, 0)]);
        frame.stream = 1;
        peer.raw(&frame.to_bytes()).connection_error(&[code::PROTOCOL_ERROR])
    }),
    case("6.5", "an acknowledgement on a stream", |peer| {
        let mut frame = Frame::settings_ack();
        frame.stream = 1;
        peer.send(frame).connection_error(&[code::PROTOCOL_ERROR])
    }),
    case("6.5", "one octet", |peer| damaged(peer, 1)),
    case("6.5", "five octets", |peer| damaged(peer, 5)),
    case("6.5", "seven octets", |peer| damaged(peer, 7)),
    case("6.5", "no values", |peer| taken(peer, &[])),
    case("6.5.2", "ENABLE_PUSH of 2", |peer| {
        refused(peer, setting::ENABLE_PUSH, 2, code::PROTOCOL_ERROR)
    }),
    case("6.5.2", "ENABLE_PUSH beyond a byte", |peer| {
        refused(peer, setting::ENABLE_PUSH, 256, code::PROTOCOL_ERROR)
    }),
    case("6.5.2", "ENABLE_PUSH of 0 and of 1", |peer| {
        taken(peer, &[(setting::ENABLE_PUSH, 0)])?;
        taken(peer, &[(setting::ENABLE_PUSH, 1)])
    }),
    case("6.5.2", "INITIAL_WINDOW_SIZE too large", |peer| {
        peer.raw(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 1 << 31)]).to_bytes());
        peer.connection_error(&[code::FLOW_CONTROL_ERROR])
    }),
    case("6.5.2", "INITIAL_WINDOW_SIZE far too large", |peer| {
        peer.raw(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, u32::MAX)]).to_bytes());
        peer.connection_error(&[code::FLOW_CONTROL_ERROR])
    }),
    case("6.5.2", "INITIAL_WINDOW_SIZE as large as can be", |peer| {
        taken(peer, &[(setting::INITIAL_WINDOW_SIZE, MAX_WINDOW)])
    }),
    case("6.5.2", "MAX_FRAME_SIZE of 0", |peer| {
        refused(peer, setting::MAX_FRAME_SIZE, 0, code::PROTOCOL_ERROR)
    }),
    case("6.5.2", "MAX_FRAME_SIZE too small", |peer| {
        refused(peer, setting::MAX_FRAME_SIZE, 16_383, code::PROTOCOL_ERROR)
    }),
    case("6.5.2", "MAX_FRAME_SIZE too large", |peer| {
        refused(peer, setting::MAX_FRAME_SIZE, 1 << 24, code::PROTOCOL_ERROR)
    }),
    case("6.5.2", "MAX_FRAME_SIZE as small and as large as can be", |peer| {
        taken(peer, &[(setting::MAX_FRAME_SIZE, 16_384)])?;
        taken(peer, &[(setting::MAX_FRAME_SIZE, (1 << 24) - 1)])
    }),
    case("6.5.2", "HEADER_TABLE_SIZE of 0", |peer| {
        taken(peer, &[(setting::HEADER_TABLE_SIZE, 0)])
    }),
    case("6.5.2", "HEADER_TABLE_SIZE of 0 after the table was used", |peer| {
        peer.get(1, "/").answered(1)?;
        taken(peer, &[(setting::HEADER_TABLE_SIZE, 0)])
    }),
    case("6.5.2", "HEADER_TABLE_SIZE down and up again", |peer| {
        peer.get(1, "/").answered(1)?;
        peer.send_all(&[
            Frame::settings(&[(setting::HEADER_TABLE_SIZE, 100)]),
            Frame::settings(&[(setting::HEADER_TABLE_SIZE, 4096)]),
        ]);
        peer.synchronised()?;
        peer.alive()?;
        peer.alive()
    }),
    case("6.5.2", "HEADER_TABLE_SIZE as large as can be", |peer| {
        taken(peer, &[(setting::HEADER_TABLE_SIZE, u32::MAX)])?;
        peer.alive()
    }),
    case("6.5.2", "MAX_CONCURRENT_STREAMS of 0 forbids pushing only", |peer| {
        taken(peer, &[(setting::MAX_CONCURRENT_STREAMS, 0)])
    }),
    case("6.5.2", "MAX_HEADER_LIST_SIZE", |peer| {
        taken(peer, &[(setting::MAX_HEADER_LIST_SIZE, 8192)])
    }),
    case("6.5.2", "all settings at once", |peer| {
        taken(
            peer,
            &[
                (setting::HEADER_TABLE_SIZE, 65_536),
                (setting::ENABLE_PUSH, 0),
                (setting::MAX_CONCURRENT_STREAMS, 100),
                (setting::INITIAL_WINDOW_SIZE, 6_291_456),
                (setting::MAX_FRAME_SIZE, 65_536),
                (setting::MAX_HEADER_LIST_SIZE, 262_144),
                (8, 0),
                (9, 1),
            ],
        )
    }),
    case("6.5.3", "the last of several values holds", |peer| {
        let window = setting::INITIAL_WINDOW_SIZE;
        peer.set(&[(window, 100), (window, 0), (window, 3)])?;
        peer.get(1, "/");
        peer.until("three octets", |peer| (peer.streams[&1].body == 3).then_some(Ok(())))?;
        peer.send(Frame::window_update(1, 2)).answered(1).map(drop)
    }),
    case("6.5.3", "a bad value after a good one", |peer| {
        let values = [(setting::ENABLE_PUSH, 0), (setting::ENABLE_PUSH, 7)];
        peer.send(Frame::settings(&values))
            .connection_error(&[code::PROTOCOL_ERROR])
    }),
    case("6.5.3", "each is acknowledged", |peer| {
        let before = peer.acknowledged;
        peer.send_all(&[Frame::settings(&[]), Frame::settings(&[(9, 1)]), Frame::settings(&[])])
            .synchronised()?;
        let come = peer.acknowledged - before;
        (come == 3).then_some(()).ok_or(format!("{come} acknowledgements"))
    }),
    case("6.5", "within a request", |peer| {
        peer.post(1).set(&[(setting::INITIAL_WINDOW_SIZE, 100_000)])?;
        peer.send(Frame::data(1, *b"abc").end()).answered(1).map(drop)
    }),
];
