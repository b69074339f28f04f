//! Clients that mean harm (RFC 9113 10.5). Whatever the server does with such a client, it ends it or stays within bounds,
//! and serves others meanwhile.

use std::time::Duration;

use crate::fields::{FIRST_DYNAMIC, INDEXED, PLAIN, get, indexed, literal, post_with, request};
use crate::frames::{Frame, code, flag, setting};
use crate::peer::{Outcome, Peer};
use crate::{Case, case};

/// Frames of a flood that is answered or refused.
const MANY: u32 = 20_000;
/// Frames sent at once.
const BATCH: usize = 500;
/// More than the buffers of both sockets hold: a server that takes it all without answers being read has stored them.
const UNREAD: usize = 16 << 20;

/// Sends these frames without waiting for anything, and takes in what comes back now and then. Others are served meanwhile and after.
fn flood(peer: &mut Peer, frames: impl Iterator<Item = Frame>) -> Outcome {
    let frames: Vec<_> = frames.collect();
    for (at, batch) in frames.chunks(BATCH).enumerate() {
        peer.send_all(batch);
        if at % 10 == 9 {
            peer.others_served()?;
        }
        if peer.pinged().is_err() && peer.closed {
            break;
        }
    }
    peer.others_served()?;
    if peer.closed {
        return peer.connection_error(CALM);
    }
    // What the case did to the windows must not keep the last answer away.
    peer.send(Frame::window_update(0, 1 << 20))
        .set(&[(setting::INITIAL_WINDOW_SIZE, 65_535)])?;
    peer.alive()
}

/// What a flood may be called.
const CALM: &[u32] = &[
    code::ENHANCE_YOUR_CALM,
    code::PROTOCOL_ERROR,
    code::NO_ERROR,
    code::FLOW_CONTROL_ERROR,
    2,
];

/// Sends a frame over and over without reading the answers: the server stops reading or ends the connection.
fn unread(peer: &mut Peer, frame: &Frame) -> Outcome {
    let mut greedy = Peer::with_buffer(peer.address, Some(4096))?;
    greedy.greet()?;
    greedy.write_patience(Duration::from_secs(1))?;
    let batch = frame.to_bytes().repeat(1 << 12);
    for _ in 0..UNREAD / batch.len() {
        if greedy.try_raw(&batch).is_err() {
            return peer.others_served();
        }
    }
    Err(format!("{UNREAD} octets taken, and no answer read"))
}

/// The streams `0..`, as a client numbers them, beginning with the next.
fn streams(peer: &Peer, many: u32) -> impl Iterator<Item = u32> + use<> {
    let first = peer.next();
    (0..many).map(move |at| first + 2 * at)
}

/// Opens streams and provokes the server to reset each.
fn provoked(peer: &mut Peer, provocation: fn(u32) -> Frame) -> Outcome {
    let pair = |stream| [Frame::headers(stream, get("/slow")).end(), provocation(stream)];
    let frames: Vec<_> = streams(peer, 4000).flat_map(pair).collect();
    flood(peer, frames.into_iter())
}

/// A request with too many fields, or too large ones, is refused.
fn too_much(peer: &mut Peer, stream: u32) -> Outcome {
    peer.refused(stream, CALM, &[4])?;
    peer.others_served()
}

/// A field block in as many frames as it needs.
fn send_block(peer: &mut Peer, stream: u32, block: &[u8]) {
    let mut pieces: Vec<_> = block
        .chunks(16_000)
        .map(|piece| Frame::continuation(stream, piece))
        .collect();
    if let Some(last) = pieces.last_mut() {
        last.flags |= flag::END_HEADERS;
    }
    peer.send(Frame::open_headers(stream, []).end());
    peer.send_all(&pieces);
}

pub const CASES: &[Case] = &[
    case("10.5", "streams opened and reset", |peer| {
        let frames: Vec<_> = streams(peer, 5000)
            .flat_map(|stream| {
                [
                    Frame::headers(stream, get("/slow")).end(),
                    Frame::reset(stream, code::CANCEL),
                ]
            })
            .collect();
        flood(peer, frames.into_iter())
    }),
    case("10.5", "streams opened and reset, of what is stored", |peer| {
        let frames: Vec<_> = streams(peer, 5000)
            .flat_map(|stream| {
                [
                    Frame::headers(stream, get("/")).end(),
                    Frame::reset(stream, code::CANCEL),
                ]
            })
            .collect();
        flood(peer, frames.into_iter())
    }),
    case("10.5", "uploads begun and reset", |peer| {
        let frames: Vec<_> = streams(peer, 2000)
            .flat_map(|stream| {
                [
                    Frame::headers(stream, request("POST", "/slow")),
                    Frame::reset(stream, code::CANCEL),
                ]
            })
            .collect();
        flood(peer, frames.into_iter())
    }),
    case(
        "10.5",
        "streams that the server has to reset: WINDOW_UPDATE of 0",
        |peer| provoked(peer, |stream| Frame::window_update(stream, 0)),
    ),
    case(
        "10.5",
        "streams that the server has to reset: DATA after the end",
        |peer| provoked(peer, |stream| Frame::data(stream, [])),
    ),
    case(
        "10.5",
        "streams that the server has to reset: windows that overflow",
        |peer| provoked(peer, |stream| Frame::window_update(stream, 0x7fff_ffff)),
    ),
    case("10.5", "malformed requests", |peer| {
        let block = [get("/"), literal(PLAIN, "X-Upper", "a")].concat();
        let frames: Vec<_> = streams(peer, 5000)
            .map(|stream| Frame::headers(stream, block.clone()).end())
            .collect();
        flood(peer, frames.into_iter())
    }),
    case("10.5", "more requests than allowed", |peer| {
        let frames: Vec<_> = streams(peer, 5000)
            .map(|stream| Frame::headers(stream, get("/slow")).end())
            .collect();
        frames.chunks(BATCH).for_each(|batch| {
            peer.send_all(batch);
        });
        peer.others_served()
    }),
    case("10.5", "PING", |peer| {
        flood(peer, (0..MANY).map(|_| Frame::ping([0; 8])))
    }),
    case("10.5", "PING, and the answers are not read", |peer| {
        unread(peer, &Frame::ping([0; 8]))
    }),
    case("10.5", "answers to no PING", |peer| {
        flood(peer, (0..MANY).map(|_| Frame::ping([0; 8]).with(flag::ACK)))
    }),
    case("10.5", "SETTINGS", |peer| {
        flood(peer, (0..MANY).map(|_| Frame::settings(&[])))
    }),
    case("10.5", "SETTINGS, and the answers are not read", |peer| {
        unread(peer, &Frame::settings(&[]))
    }),
    case("10.5", "SETTINGS of many values", |peer| {
        let values = vec![(setting::INITIAL_WINDOW_SIZE, 65_535); 2000];
        flood(peer, (0..500).map(|_| Frame::settings(&values)))
    }),
    case("10.5", "SETTINGS that move the windows of many streams", |peer| {
        let many = peer
            .settings
            .get(&setting::MAX_CONCURRENT_STREAMS)
            .map_or(100, |most| (*most).min(100));
        streams(peer, many - 1).for_each(|stream| {
            peer.ask_in_vain(stream);
        });
        flood(
            peer,
            (0..5000).map(|at| Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 60_000 + at % 2)])),
        )
    }),
    case("10.5", "PRIORITY", |peer| {
        flood(peer, (0..MANY).map(|at| Frame::priority(2 * at + 1, 0, 15)))
    }),
    case("10.5", "an unknown type", |peer| {
        flood(peer, (0..MANY).map(|_| Frame::new(0xbe, 0, [0; 8])))
    }),
    case("10.5", "GOAWAY", |peer| {
        let goodbye = Frame::go_away(0, code::NO_ERROR);
        (0..20).for_each(|_| {
            peer.send_all(&vec![goodbye.clone(); BATCH]);
        });
        peer.others_served()
    }),
    case("10.5", "RST_STREAM of a stream that is closed", |peer| {
        peer.get(1, "/").answered(1)?;
        flood(peer, (0..MANY).map(|_| Frame::reset(1, code::CANCEL)))
    }),
    case("10.5", "empty DATA", |peer| {
        peer.post(1);
        flood(peer, (0..MANY).map(|_| Frame::data(1, [])))
    }),
    case("10.5", "DATA of padding alone", |peer| {
        peer.post(1);
        flood(peer, (0..MANY).map(|_| Frame::data(1, []).padded(0)))
    }),
    case("10.5", "DATA of one octet", |peer| {
        peer.post(1);
        flood(peer, (0..MANY).map(|_| Frame::data(1, [0])))
    }),
    case("10.5", "CONTINUATION without octets", |peer| {
        peer.send(Frame::open_headers(1, get("/")).end());
        (0..40).for_each(|_| {
            peer.send_all(&vec![Frame::continuation(1, []); BATCH]);
        });
        peer.others_served()?;
        peer.connection_error(CALM)
    }),
    case("10.5", "CONTINUATION of one octet", |peer| {
        peer.send(Frame::open_headers(1, [get("/"), vec![PLAIN, 6]].concat()).end());
        (0..40).for_each(|_| {
            peer.send_all(&vec![Frame::continuation(1, [b'a']); BATCH]);
        });
        peer.others_served()?;
        peer.connection_error(&[CALM, &[code::COMPRESSION_ERROR]].concat())
    }),
    case("10.5", "CONTINUATION of fields without end", |peer| {
        let fields = Frame::continuation(1, literal(PLAIN, "x-test", vec![b'a'; 100]).repeat(140));
        peer.send(Frame::open_headers(1, get("/")).end());
        for _ in 0..64 << 20 >> 14 {
            if peer.try_raw(&fields.to_bytes()).is_err() {
                break;
            }
        }
        peer.others_served()?;
        peer.connection_error(CALM)
    }),
    case("10.5.1", "a field too large", |peer| {
        send_block(
            peer,
            1,
            &[get("/"), literal(PLAIN, "x-test", vec![b'a'; 512 << 10])].concat(),
        );
        peer.refused(1, &[CALM, &[code::COMPRESSION_ERROR]].concat(), &[4])?;
        peer.others_served()
    }),
    case("10.5.1", "fields too many", |peer| {
        send_block(
            peer,
            1,
            &[get("/"), literal(PLAIN, "x-test", "a").repeat(20_000)].concat(),
        );
        too_much(peer, 1)
    }),
    case("10.5.1", "fields without a name's worth", |peer| {
        send_block(peer, 1, &[get("/"), literal(PLAIN, "a", "").repeat(60_000)].concat());
        too_much(peer, 1)
    }),
    case("10.5.1", "cookies in crumbs", |peer| {
        send_block(
            peer,
            1,
            &[get("/"), literal(PLAIN, "cookie", "a=b").repeat(20_000)].concat(),
        );
        too_much(peer, 1)
    }),
    case("10.5.1", "a path too long", |peer| {
        send_block(peer, 1, &get(&format!("/{}", "a".repeat(300_000))));
        peer.refused(1, &[CALM, &[code::COMPRESSION_ERROR]].concat(), &[4])?;
        peer.others_served()
    }),
    case("RFC 7541 7.3", "one entry a hundred thousand times", |peer| {
        let entry = literal(INDEXED, "x-test", vec![b'a'; 3000]);
        send_block(
            peer,
            1,
            &[get("/"), entry, indexed(FIRST_DYNAMIC).repeat(100_000)].concat(),
        );
        too_much(peer, 1)
    }),
    case(
        "RFC 7541 7.3",
        "one entry fifty times in each of many requests",
        |peer| {
            peer.ask(1, [get("/"), literal(INDEXED, "x-test", vec![b'a'; 2000])].concat())
                .finished(1)?;
            let block = [get("/"), indexed(FIRST_DYNAMIC).repeat(50)].concat();
            let frames: Vec<_> = streams(peer, 1000)
                .map(|stream| Frame::headers(stream, block.clone()).end())
                .collect();
            frames
                .chunks(50)
                .try_for_each(|batch| peer.send_all(batch).pinged())
                .or_else(|why| if peer.closed { Ok(()) } else { Err(why) })?;
            peer.others_served()
        },
    ),
    case("10.5.1", "trailers too many", |peer| {
        peer.send(Frame::headers(1, request("POST", "/slow")))
            .send(Frame::data(1, *b"abc"));
        send_block(peer, 1, &literal(PLAIN, "x-test", "a").repeat(20_000));
        too_much(peer, 1)
    }),
    case("10.5", "WINDOW_UPDATE by one on the connection", |peer| {
        flood(peer, (0..MANY).map(|_| Frame::window_update(0, 1)))
    }),
    case("10.5", "WINDOW_UPDATE by one on a stream", |peer| {
        peer.ask_in_vain(1);
        flood(peer, (0..MANY).map(|_| Frame::window_update(1, 1)))
    }),
    case("10.5", "a large body one octet at a time", |peer| {
        peer.set(&[(setting::INITIAL_WINDOW_SIZE, 1)])?;
        peer.get(1, "/large");
        flood(peer, (0..5000).map(|_| Frame::window_update(1, 1)))
    }),
    case("10.5", "windows that stay shut", |peer| {
        peer.set(&[(setting::INITIAL_WINDOW_SIZE, 0)])?;
        let most = peer
            .settings
            .get(&setting::MAX_CONCURRENT_STREAMS)
            .map_or(100, |most| (*most).min(100));
        streams(peer, most).for_each(|stream| {
            peer.get(stream, "/large");
        });
        peer.pinged()?;
        peer.others_served()
    }),
    case("10.5", "large bodies that are not read", |peer| {
        let mut idle = Peer::with_buffer(peer.address, Some(4096))?;
        idle.greet()?;
        idle.set(&[(setting::INITIAL_WINDOW_SIZE, 0x7fff_ffff)])?;
        idle.send(Frame::window_update(0, 0x7fff_0000));
        streams(&idle, 50).for_each(|stream| {
            idle.get(stream, "/large");
        });
        peer.others_served()
    }),
    case("10.5", "uploads that do not go on", |peer| {
        streams(peer, 50).for_each(|stream| {
            peer.send(Frame::headers(stream, post_with(&[("content-length", "1000000")])))
                .send(Frame::data(stream, *b"abc"));
        });
        peer.pinged()?;
        peer.others_served()
    }),
    case("10.5", "connections that say nothing after the preface", |peer| {
        let idle: Vec<_> = (0..100).map(|_| Peer::connect(peer.address)).collect::<Outcome<_>>()?;
        peer.others_served()?;
        drop(idle);
        peer.alive()
    }),
    case("10.5", "connections that break within a frame", |peer| {
        for _ in 0..100 {
            let mut other = Peer::connect(peer.address)?;
            other.raw(&Frame::headers(1, get("/")).to_bytes()[..12]);
        }
        peer.alive()
    }),
];
