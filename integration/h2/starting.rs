//! How a connection begins (RFC 9113, chapter 3).

use crate::fields::{self, get};
use crate::frames::{Frame, code, setting};
use crate::peer::{Outcome, PREFACE, Peer};
use crate::{Case, case};

/// What a server must not send, or not so (RFC 9113 6.5.2).
fn sensible_settings(peer: &Peer) -> Outcome {
    let wrong = |(id, value): &(&u16, &u32)| match **id {
        setting::ENABLE_PUSH => **value == 1,
        setting::INITIAL_WINDOW_SIZE => **value > 0x7fff_ffff,
        setting::MAX_FRAME_SIZE => !(16_384..1 << 24).contains(*value),
        _ => false,
    };
    match peer.settings.iter().find(wrong) {
        Some(setting) => Err(format!("the server sent setting {setting:?}")),
        None => Ok(()),
    }
}

/// Begins with these octets, and expects the connection to end.
fn refused(peer: &mut Peer, bytes: &[u8]) -> Outcome {
    peer.fresh()?.raw(bytes).drained()?;
    peer.alive()
}

/// Begins with the preface and this frame instead of SETTINGS.
fn refused_first(peer: &mut Peer, frame: Frame) -> Outcome {
    let mut peer = peer.fresh()?;
    peer.raw(PREFACE).send(frame).connection_error(&[code::PROTOCOL_ERROR])
}

pub const CASES: &[Case] = &[
    case("3.4", "the server's settings are sensible", |peer| {
        sensible_settings(peer)
    }),
    case("3.4", "all at once, before the server has said anything", |peer| {
        let mut peer = peer.fresh()?;
        peer.begin(&[Frame::settings(&[])]).synchronised()?;
        peer.alive()
    }),
    case("3.4", "a request with the preface", |peer| {
        let mut peer = peer.fresh()?;
        peer.begin(&[Frame::settings(&[]), Frame::headers(1, get("/")).end()]);
        peer.answered(1).map(drop)
    }),
    case("3.4", "requests with the preface", |peer| {
        let mut peer = peer.fresh()?;
        let request = |stream| Frame::headers(stream, get("/")).end();
        peer.begin(&[Frame::settings(&[]), request(1), request(3), request(5)]);
        peer.answered(5)?;
        peer.answered(1).map(drop)
    }),
    case("3.4", "octet by octet", |peer| {
        let mut peer = peer.fresh()?;
        let first = peer.noted(&Frame::settings(&[]));
        peer.trickle(PREFACE).trickle(&first).synchronised()?;
        let request = peer.noted(&Frame::headers(1, get("/")).end());
        peer.trickle(&request).answered(1).map(drop)
    }),
    case("3.4", "a preface that breaks off", |peer| {
        let mut other = peer.fresh()?;
        other.raw(&PREFACE[..20]);
        other.hang_up();
        peer.alive()
    }),
    case("3.4", "a connection closed at once", |peer| {
        peer.fresh()?.hang_up();
        peer.alive()
    }),
    case("3.4", "a wrong end of the preface", |peer| {
        refused(peer, b"PRI * HTTP/2.0\r\n\r\nXM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
    }),
    case("3.4", "a wrong version in the preface", |peer| {
        refused(peer, b"PRI * HTTP/3.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
    }),
    case("3.4", "noise instead of a preface", |peer| {
        refused(
            peer,
            &[
                0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, b'\r', b'\n', b'\r', b'\n', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            ],
        )
    }),
    case("3.4", "PING before SETTINGS", |peer| {
        refused_first(peer, Frame::ping([1; 8]))
    }),
    case("3.4", "HEADERS before SETTINGS", |peer| {
        refused_first(peer, Frame::headers(1, get("/")).end())
    }),
    case("3.4", "WINDOW_UPDATE before SETTINGS", |peer| {
        refused_first(peer, Frame::window_update(0, 1))
    }),
    case("3.3", "no upgrade from HTTP/1.1", |peer| {
        let mut other = peer.fresh()?;
        other.raw(
            b"GET / HTTP/1.1\r\nHost: example.test\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\n\
              HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
        );
        let answer = other.drained()?;
        if answer.starts_with(b"HTTP/1.1 101") {
            return Err("101".to_owned());
        }
        peer.alive()
    }),
    case("9.1", "three hundred requests one after another", |peer| {
        (0..300).try_for_each(|at| peer.get(2 * at + 1, "/").answered(2 * at + 1).map(drop))
    }),
    case("9.1", "fifty requests at once", |peer| {
        let streams = || (0..50).map(|at| 2 * at + 1);
        let frames: Vec<_> = streams()
            .map(|stream| Frame::headers(stream, fields::get("/")).end())
            .collect();
        peer.send_all(&frames);
        streams().rev().try_for_each(|stream| peer.answered(stream).map(drop))
    }),
];
