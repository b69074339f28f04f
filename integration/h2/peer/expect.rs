//! What a case may expect, with every choice that the RFCs leave.

use std::io::{self, Read};

use super::{Exchange, MOST_FRAMES, Outcome, PATIENCE, Peer};
use crate::frames::{Frame, MAX_WINDOW, code};

impl Peer {
    /// Takes in frames until `found` says what to make of them.
    pub fn until<T>(&mut self, awaited: &str, found: impl Fn(&Peer) -> Option<Outcome<T>>) -> Outcome<T> {
        for _ in 0..MOST_FRAMES {
            if let Some(outcome) = found(self) {
                return outcome;
            }
            if self.closed {
                return Err(format!("the connection ended before {awaited}: {}", self.seen()));
            }
            self.receive(awaited)?;
        }
        Err(format!("{MOST_FRAMES} frames, but not {awaited}"))
    }

    /// All SETTINGS of ours are acknowledged, and the server has sent its own.
    pub fn synchronised(&mut self) -> Outcome {
        self.until("SETTINGS and their acknowledgement", |peer| {
            (peer.unacknowledged.is_empty() && !peer.settings.is_empty()).then_some(Ok(()))
        })
    }

    /// Sends SETTINGS and waits until they hold.
    pub fn set(&mut self, values: &[(u16, u32)]) -> Outcome {
        self.send(Frame::settings(values));
        self.synchronised()
    }

    /// The server answers a PING: it has handled all that was sent before.
    pub fn pinged(&mut self) -> Outcome {
        let payload = (self.pongs.len() as u64 + 0x5eed_0000).to_be_bytes();
        self.send(Frame::ping(payload));
        self.until("the answer to a PING", |peer| {
            peer.pongs.contains(&payload).then_some(Ok(()))
        })
    }

    /// The connection still serves.
    pub fn alive(&mut self) -> Outcome {
        self.pinged()?;
        let stream = self.next();
        if stream > MAX_WINDOW {
            return Ok(());
        }
        self.get(stream, "/").answered(stream).map(drop)
    }

    /// The lowest stream not used yet.
    pub fn next(&self) -> u32 {
        (self.highest + 1) | 1
    }

    /// The stream got a whole response, with status 200.
    pub fn answered(&mut self, stream: u32) -> Outcome<Exchange> {
        let exchange = self.finished(stream)?;
        match exchange.status {
            Some(200) => Ok(exchange),
            other => Err(format!("status {other:?}")),
        }
    }

    /// The stream got a whole response.
    pub fn finished(&mut self, stream: u32) -> Outcome<Exchange> {
        self.until("the end of a response", |peer| {
            let exchange = peer.streams.get(&stream)?;
            match exchange.reset {
                _ if exchange.ended => Some(Ok(exchange.clone())),
                Some(code) => Some(Err(format!("the stream was reset with code {code}"))),
                None => None,
            }
        })
    }

    /// The server gave up the connection for one of these reasons, or without a word (RFC 9113 5.4.1).
    pub fn connection_error(&mut self, codes: &[u32]) -> Outcome {
        self.until("the end of the connection", |peer| peer.closed.then_some(Ok(())))?;
        match self.gone {
            Some((last, _)) if last > self.highest => Err(format!("GOAWAY for stream {last}, never opened")),
            Some((_, code::PROTOCOL_ERROR)) if !codes.contains(&code::PROTOCOL_ERROR) => {
                self.vague = true;
                Ok(())
            }
            Some((_, code)) if !codes.contains(&code) => Err(format!("GOAWAY with code {code} instead of {codes:?}")),
            _ => Ok(()),
        }
    }

    /// The server reset the stream for one of these reasons and serves on, or gave up the connection (RFC 9113 5.4.2).
    pub fn stream_error(&mut self, stream: u32, codes: &[u32]) -> Outcome {
        self.refused(stream, codes, &[])
    }

    /// The request is malformed: refused with a status of the client's fault, or a stream error (RFC 9113 8.1.1).
    pub fn malformed(&mut self, stream: u32) -> Outcome {
        self.refused(stream, &[code::PROTOCOL_ERROR], &[4])
    }

    /// A stream error, or a response whose status is of one of these classes.
    pub fn refused(&mut self, stream: u32, codes: &[u32], classes: &[u16]) -> Outcome {
        let reset = self.until("the end of the stream", |peer| {
            let exchange = peer.streams.get(&stream)?;
            match (exchange.reset, exchange.status) {
                _ if peer.closed => Some(Ok(false)),
                (_, Some(status)) if exchange.ended && classes.contains(&(status / 100)) => Some(Ok(true)),
                (Some(code), _) if codes.contains(&code) => Some(Ok(true)),
                (Some(code), _) => Some(Err(format!("reset with code {code} instead of {codes:?}"))),
                (_, Some(status)) if exchange.ended => Some(Err(format!("answered with {status}"))),
                _ => None,
            }
        });
        match reset? {
            true => self.alive(),
            false => self.connection_error(codes),
        }
    }

    /// The server may ignore what it got or end the connection for one of these reasons.
    pub fn tolerated(&mut self, codes: &[u32]) -> Outcome {
        match self.alive() {
            Err(_) if self.closed => self.connection_error(codes),
            outcome => outcome,
        }
    }

    /// Reads whatever comes until the server closes.
    pub fn drained(&mut self) -> Outcome<Vec<u8>> {
        let (mut all, mut some) = (Vec::new(), [0; 4096]);
        loop {
            match self.stream.read(&mut some) {
                Ok(0) => return Ok(all),
                Ok(length) => all.extend_from_slice(&some[..length]),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Err(format!("still open after {PATIENCE:?}: {}", all.escape_ascii()));
                }
                Err(_) => return Ok(all),
            }
        }
    }

    /// Nothing but closing: the server has no part in it.
    pub fn hang_up(self) {}

    /// Another client is served.
    pub fn others_served(&self) -> Outcome {
        let mut other = Peer::connect(self.address)?;
        other
            .get(1, "/")
            .answered(1)
            .map_err(|why| format!("another client: {why}"))?;
        Ok(())
    }
}
