//! Streams: their states, identifiers, number and errors (RFC 9113, chapter 5).

use crate::fields::{INDEXED, block, get, indexed, literal, request, slow};
use crate::frames::{Frame, MAX_WINDOW, code, kind, setting};
use crate::peer::{Outcome, Peer};
use crate::{Case, case};

/// What may be said of a frame for a stream that was closed.
const CLOSED: &[u32] = &[code::STREAM_CLOSED, code::PROTOCOL_ERROR];
/// More streams than this and the server counts as setting no limit.
const MANY: u32 = 2000;

/// A frame on a stream that is idle.
fn on_idle(peer: &mut Peer, frame: Frame) -> Outcome {
    peer.raw(&frame.to_bytes()).connection_error(&[code::PROTOCOL_ERROR])
}

/// A frame on a stream that both sides have ended.
fn on_ended(peer: &mut Peer, frame: Frame) -> Outcome {
    peer.get(1, "/").answered(1)?;
    peer.raw(&frame.to_bytes()).closed_stream(1)
}

/// A frame on a stream that we have reset.
fn on_reset(peer: &mut Peer, frame: Frame) -> Outcome {
    peer.post(1).send(Frame::reset(1, code::CANCEL));
    peer.raw(&frame.to_bytes()).closed_stream(1)
}

/// A frame that may be late on a stream that the server has reset.
fn on_reset_by_server(peer: &mut Peer, frame: Frame) -> Outcome {
    peer.send(Frame::headers(1, request("POST", "/slow")));
    peer.provoke_reset(1)?;
    // A server may as well have ended the connection.
    if peer.closed {
        Ok(())
    } else {
        peer.raw(&frame.to_bytes()).alive()
    }
}

impl Peer {
    /// Has the server reset a stream, by a window that overflows.
    pub fn provoke_reset(&mut self, stream: u32) -> Outcome {
        self.send(Frame::window_update(stream, MAX_WINDOW));
        self.stream_error(stream, &[code::FLOW_CONTROL_ERROR])
    }

    /// The server says that the stream is closed.
    fn closed_stream(&mut self, stream: u32) -> Outcome {
        // A reset may follow a whole response here.
        self.until("a complaint", |peer| {
            match peer.streams.get(&stream).and_then(|exchange| exchange.reset) {
                Some(code) if CLOSED.contains(&code) => Some(Ok(())),
                Some(code::NO_ERROR) | None => peer.closed.then_some(Ok(())),
                Some(code) => Some(Err(format!("reset with code {code}"))),
            }
        })?;
        if self.closed {
            self.connection_error(CLOSED)
        } else {
            self.alive()
        }
    }

    /// How many streams the server allows, if not too many to try.
    fn most_streams(&self) -> Option<u32> {
        self.settings
            .get(&setting::MAX_CONCURRENT_STREAMS)
            .copied()
            .filter(|most| *most <= MANY)
    }

    /// Opens as many streams as there may be.
    fn fill(&mut self, most: u32) -> &mut Peer {
        let block = slow();
        (0..most).for_each(|at| {
            self.ask(2 * at + 1, block.clone());
        });
        self
    }
}

pub const CASES: &[Case] = &[
    case("5.1", "idle: DATA", |peer| on_idle(peer, Frame::data(1, *b"abc"))),
    case("5.1", "idle: RST_STREAM", |peer| {
        on_idle(peer, Frame::reset(1, code::CANCEL))
    }),
    case("5.1", "idle: WINDOW_UPDATE", |peer| {
        on_idle(peer, Frame::window_update(1, 1))
    }),
    case("5.1", "idle: CONTINUATION", |peer| {
        on_idle(peer, Frame::continuation(1, get("/")).end_headers())
    }),
    case("5.1", "idle: PRIORITY is allowed", |peer| {
        peer.send(Frame::priority(1, 0, 15)).alive()
    }),
    case("5.1", "idle stream of the server: DATA", |peer| {
        on_idle(peer, Frame::data(2, *b"abc"))
    }),
    case("5.1", "idle stream of the server: RST_STREAM", |peer| {
        on_idle(peer, Frame::reset(2, code::CANCEL))
    }),
    case("5.1", "idle stream of the server: WINDOW_UPDATE", |peer| {
        on_idle(peer, Frame::window_update(2, 1))
    }),
    case("5.1", "idle: DATA after other streams were used", |peer| {
        peer.get(1, "/").answered(1)?;
        on_idle(peer, Frame::data(3, *b"abc"))
    }),
    case("5.1", "half-closed (remote): DATA", |peer| {
        peer.ask_in_vain(1)
            .send(Frame::data(1, *b"abc").end())
            .stream_error(1, &[code::STREAM_CLOSED])
    }),
    case("5.1", "half-closed (remote): empty DATA", |peer| {
        peer.ask_in_vain(1)
            .send(Frame::data(1, []).end())
            .stream_error(1, &[code::STREAM_CLOSED])
    }),
    case("5.1", "half-closed (remote): HEADERS", |peer| {
        peer.ask_in_vain(1)
            .ask(1, block(&[("x-a", "b")]))
            .stream_error(1, &[code::STREAM_CLOSED])
    }),
    case("5.1", "half-closed (remote): CONTINUATION", |peer| {
        peer.ask_in_vain(1)
            .send(Frame::continuation(1, block(&[("x-a", "b")])).end_headers());
        peer.connection_error(CLOSED)
    }),
    case(
        "5.1",
        "half-closed (remote): WINDOW_UPDATE and PRIORITY are allowed",
        |peer| {
            peer.ask_in_vain(1)
                .send(Frame::window_update(1, 10))
                .send(Frame::priority(1, 0, 15))
                .alive()
        },
    ),
    case("5.1", "half-closed (remote): RST_STREAM is allowed", |peer| {
        peer.ask_in_vain(1).send(Frame::reset(1, code::CANCEL)).alive()
    }),
    case("5.1", "closed: DATA", |peer| on_ended(peer, Frame::data(1, *b"abc"))),
    case("5.1", "closed: HEADERS", |peer| {
        on_ended(peer, Frame::headers(1, get("/")).end())
    }),
    case("5.1", "closed: CONTINUATION", |peer| {
        on_ended(peer, Frame::continuation(1, get("/")).end_headers())
    }),
    case("5.1", "closed: PRIORITY is allowed", |peer| {
        peer.get(1, "/").answered(1)?;
        peer.send(Frame::priority(1, 0, 15)).alive()
    }),
    case(
        "5.1",
        "closed: WINDOW_UPDATE that crossed the response is ignored",
        |peer| {
            peer.get(1, "/").answered(1)?;
            peer.send(Frame::window_update(1, 10)).alive()
        },
    ),
    case(
        "5.1",
        "closed: RST_STREAM that crossed the response is ignored",
        |peer| {
            peer.get(1, "/").answered(1)?;
            peer.send(Frame::reset(1, code::CANCEL)).alive()
        },
    ),
    case("5.1", "closed by our RST_STREAM: DATA", |peer| {
        on_reset(peer, Frame::data(1, *b"abc"))
    }),
    case("5.1", "closed by our RST_STREAM: HEADERS", |peer| {
        on_reset(peer, Frame::headers(1, get("/")).end())
    }),
    case("5.1", "closed by our RST_STREAM: CONTINUATION", |peer| {
        on_reset(peer, Frame::continuation(1, get("/")).end_headers())
    }),
    case("5.1", "closed by our RST_STREAM: PRIORITY is allowed", |peer| {
        peer.post(1)
            .send(Frame::reset(1, code::CANCEL))
            .send(Frame::priority(1, 0, 15))
            .alive()
    }),
    case(
        "5.1",
        "closed by the server's RST_STREAM: late DATA is ignored",
        |peer| on_reset_by_server(peer, Frame::data(1, *b"abc")),
    ),
    case(
        "5.1",
        "closed by the server's RST_STREAM: a late end is ignored",
        |peer| on_reset_by_server(peer, Frame::data(1, []).end()),
    ),
    case(
        "5.1",
        "closed by the server's RST_STREAM: late trailers are ignored",
        |peer| on_reset_by_server(peer, Frame::headers(1, block(&[("x-a", "b")])).end()),
    ),
    case(
        "5.1",
        "closed by the server's RST_STREAM: late WINDOW_UPDATE is ignored",
        |peer| on_reset_by_server(peer, Frame::window_update(1, 10)),
    ),
    case(
        "5.1",
        "closed by the server's RST_STREAM: late RST_STREAM is ignored",
        |peer| on_reset_by_server(peer, Frame::reset(1, code::CANCEL)),
    ),
    case("5.1.1", "identifiers may be left out", |peer| {
        peer.get(7, "/").answered(7)?;
        peer.get(101, "/").answered(101).map(drop)
    }),
    case("5.1.1", "an even identifier", |peer| {
        peer.get(2, "/").connection_error(&[code::PROTOCOL_ERROR])
    }),
    case("5.1.1", "an identifier lower than the last", |peer| {
        peer.get(5, "/").answered(5)?;
        peer.get(3, "/").connection_error(CLOSED)
    }),
    case("5.1.1", "an identifier lower than the last, both at once", |peer| {
        peer.send_all(&[Frame::headers(5, slow()).end(), Frame::headers(3, get("/")).end()]);
        peer.connection_error(CLOSED)
    }),
    case("5.1.1", "DATA on an identifier left out", |peer| {
        peer.ask_in_vain(5).send(Frame::data(3, *b"abc"));
        peer.streams.entry(3).or_default();
        peer.closed_stream(3)
    }),
    case("5.1.1", "the highest identifier, and none after it", |peer| {
        peer.get(MAX_WINDOW, "/").answered(MAX_WINDOW)?;
        peer.pinged()?;
        peer.get(1, "/").connection_error(CLOSED)
    }),
    case("5.1.2", "one stream more than allowed is refused", |peer| {
        let Some(most) = peer.most_streams() else { return Ok(()) };
        let stream = 2 * most + 1;
        peer.fill(most).ask_in_vain(stream);
        peer.until("a refusal", |peer| {
            let codes = [code::REFUSED_STREAM, code::PROTOCOL_ERROR];
            match peer.streams[&stream].reset {
                Some(code) => Some(
                    codes
                        .contains(&code)
                        .then_some(())
                        .ok_or(format!("reset with code {code}")),
                ),
                None => peer.closed.then_some(Ok(())),
            }
        })
    }),
    case("5.1.2", "a stream that was reset makes room", |peer| {
        let Some(most) = peer.most_streams() else { return Ok(()) };
        peer.fill(most).pinged()?;
        peer.send(Frame::reset(1, code::CANCEL)).alive()
    }),
    case("5.1.2", "the table keeps what a refused request adds", |peer| {
        let Some(most) = peer.most_streams() else { return Ok(()) };
        peer.fill(most)
            .ask(2 * most + 1, [slow(), literal(INDEXED, "x-a", "b")].concat());
        peer.send(Frame::reset(1, code::CANCEL)).pinged()?;
        let stream = peer.next();
        peer.ask(stream, [get("/"), indexed(62)].concat())
            .answered(stream)
            .map(drop)
    }),
    case("5.1.2", "requests beyond the limit leave the others alone", |peer| {
        let Some(most) = peer.most_streams() else { return Ok(()) };
        peer.fill(most - 1)
            .get(2 * most - 1, "/")
            .answered(2 * most - 1)
            .map(drop)
    }),
    case("5.2", "a stalled stream does not hold up another", |peer| {
        peer.get(1, "/large");
        peer.until("a full window", |peer| (peer.window == 0).then_some(Ok(())))?;
        peer.send(Frame::window_update(0, 1000))
            .get(3, "/")
            .answered(3)
            .map(drop)
    }),
    case("5.3.1", "HEADERS that depend on themselves", |peer| {
        peer.send(Frame::headers(1, get("/")).end().prioritised(1, 15));
        peer.refused(1, &[code::PROTOCOL_ERROR], &[2])
    }),
    case("5.3.1", "PRIORITY that depends on itself", |peer| {
        peer.post(1)
            .send(Frame::priority(1, 1, 15))
            .send(Frame::data(1, []).end());
        peer.refused(1, &[code::PROTOCOL_ERROR], &[2])
    }),
    case("5.4.1", "GOAWAY names the last stream that was served", |peer| {
        peer.get(1, "/").answered(1)?;
        peer.send(Frame::new(kind::PING, 0, [0; 7]))
            .connection_error(&[code::FRAME_SIZE_ERROR])?;
        match peer.gone {
            Some((last, _)) if last != 1 => Err(format!("GOAWAY names stream {last}")),
            _ => Ok(()),
        }
    }),
    case("5.4.1", "a connection error ends that connection alone", |peer| {
        let mut other = Peer::connect(peer.address)?;
        other.get(2, "/").connection_error(&[code::PROTOCOL_ERROR])?;
        peer.alive()
    }),
    case("5.4.2", "RST_STREAM is not answered with RST_STREAM", |peer| {
        peer.ask_in_vain(1).send(Frame::reset(1, code::CANCEL)).alive()?;
        match peer.streams[&1].reset {
            Some(code) => Err(format!("reset with code {code}")),
            None => Ok(()),
        }
    }),
    case("5.4.2", "a stream error leaves other streams alone", |peer| {
        peer.ask_in_vain(1).get(3, "/large");
        peer.send(Frame::window_update(0, 1 << 24)).provoke_reset(1)?;
        if peer.closed {
            return Ok(());
        }
        peer.send(Frame::window_update(3, 1 << 20)).answered(3).map(drop)
    }),
    case("5.5", "an unknown setting is ignored", |peer| {
        peer.set(&[(0xbeef, 1), (0, 0), (0xffff, u32::MAX)])?;
        peer.alive()
    }),
];
