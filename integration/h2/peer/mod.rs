//! The scripted client: sends whatever a case says, and holds what comes back against the rules for servers.

mod expect;

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::fields::{self, Table};
use crate::frames::{FIRST_WINDOW, Frame, LEAST_MAX_FRAME, MAX_WINDOW, flag, kind, setting};

/// What came of a case or of a part of it; the error says what was seen instead.
pub type Outcome<T = ()> = Result<T, String>;

/// How long anything is waited for.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// Frames received for one expectation at most, so that a server that babbles fails.
const MOST_FRAMES: usize = 200_000;
/// What a client opens a connection with (RFC 9113 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Fields that belong to one HTTP/1.1 connection (RFC 9113 8.2.2).
pub const CONNECTION_FIELDS: [&str; 5] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];

/// One connection to the server under test.
pub struct Peer {
    pub address: SocketAddr,
    stream: BufReader<TcpStream>,
    table: Table,
    /// The server's settings as sent.
    pub settings: BTreeMap<u16, u32>,
    /// Ours that the server has yet to acknowledge.
    unacknowledged: VecDeque<Vec<(u16, u32)>>,
    /// How many of ours it has acknowledged.
    pub acknowledged: usize,
    pub streams: BTreeMap<u32, Exchange>,
    /// The payloads of acknowledged PINGs.
    pub pongs: Vec<[u8; 8]>,
    /// The last GOAWAY: last stream and code.
    pub gone: Option<(u32, u32)>,
    pub closed: bool,
    /// What the server may still send on this connection.
    pub window: i64,
    /// What the server has let us send on this connection, from the first.
    pub granted: i64,
    initial_window: i64,
    max_frame: usize,
    highest: u32,
    /// GOAWAY came with PROTOCOL_ERROR where the RFC names a code that says more.
    pub vague: bool,
}

/// One stream, seen from the client.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    /// The status of the final response.
    pub status: Option<u16>,
    pub fields: Vec<(String, String)>,
    /// Octets of its body.
    pub body: usize,
    pub ended: bool,
    pub reset: Option<u32>,
    /// What the server may still send.
    pub window: i64,
    /// What the server has let us send beyond the initial window.
    pub granted: i64,
    we_reset: bool,
}

/// A loopback address that no other client has: a server may hold a flood against the address it came from.
fn an_address() -> Ipv4Addr {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let [_, b, c, d] = LAST.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    Ipv4Addr::new(127, b.wrapping_add(1), c, d)
}

impl Peer {
    /// A connection on which nothing has been said.
    pub fn open(address: SocketAddr) -> Outcome<Peer> {
        Peer::with_buffer(address, None)
    }

    /// The same, with a socket that can hold so many octets of what it has not read.
    pub fn with_buffer(address: SocketAddr, octets: Option<usize>) -> Outcome<Peer> {
        let connect = || -> io::Result<TcpStream> {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
            if let Some(octets) = octets {
                socket.set_recv_buffer_size(octets)?;
            }
            if address.ip().is_loopback() && address.is_ipv4() {
                socket.bind(&SocketAddr::from((an_address(), 0)).into())?;
            }
            socket.connect(&address.into())?;
            Ok(socket.into())
        };
        Peer::over(connect().map_err(|error| format!("cannot connect: {error}"))?)
    }

    fn over(stream: TcpStream) -> Outcome<Peer> {
        let prepare = || {
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            stream.set_nodelay(true)?;
            stream.peer_addr()
        };
        let address = prepare().map_err(|error| error.to_string())?;
        Ok(Peer {
            address,
            stream: BufReader::new(stream),
            table: Table::new(),
            settings: BTreeMap::new(),
            unacknowledged: VecDeque::new(),
            acknowledged: 0,
            streams: BTreeMap::new(),
            pongs: Vec::new(),
            gone: None,
            closed: false,
            window: FIRST_WINDOW,
            granted: FIRST_WINDOW,
            initial_window: FIRST_WINDOW,
            max_frame: LEAST_MAX_FRAME,
            highest: 0,
            vague: false,
        })
    }

    /// A connection with both prefaces exchanged and both SETTINGS acknowledged.
    pub fn connect(address: SocketAddr) -> Outcome<Peer> {
        let mut peer = Peer::open(address)?;
        peer.greet()?;
        Ok(peer)
    }

    /// Another connection to the same server, on which nothing has been said.
    pub fn fresh(&self) -> Outcome<Peer> {
        Peer::open(self.address)
    }

    /// Sends the preface and these frames at once.
    pub fn begin(&mut self, frames: &[Frame]) -> &mut Peer {
        let octets = frames.iter().flat_map(|frame| self.noted(frame)).collect::<Vec<u8>>();
        self.raw(&[PREFACE, &octets].concat())
    }

    /// Exchanges prefaces.
    pub fn greet(&mut self) -> Outcome {
        self.raw(PREFACE);
        self.send(Frame::settings(&[]));
        self.synchronised()
    }

    /// Sends octets. Whether they arrive is seen in what the server does next: it may have closed the connection already.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Peer {
        let _ = self.try_raw(bytes);
        self
    }

    /// Sends octets, and says whether they could be.
    pub fn try_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// How long a write may wait for the server to read.
    pub fn write_patience(&mut self, patience: Duration) -> Outcome {
        self.stream
            .get_mut()
            .set_write_timeout(Some(patience))
            .map_err(|error| error.to_string())
    }

    pub fn send(&mut self, frame: Frame) -> &mut Peer {
        let octets = self.noted(&frame);
        self.raw(&octets)
    }

    /// Sends these frames at once.
    pub fn send_all(&mut self, frames: &[Frame]) -> &mut Peer {
        let octets: Vec<u8> = frames.iter().flat_map(|frame| self.noted(frame)).collect();
        self.raw(&octets)
    }

    /// Sends octets one by one.
    pub fn trickle(&mut self, octets: &[u8]) -> &mut Peer {
        octets.iter().for_each(|octet| {
            self.raw(&[*octet]);
        });
        self
    }

    /// A frame's octets, about to be sent.
    pub fn noted(&mut self, frame: &Frame) -> Vec<u8> {
        self.note(frame);
        frame.to_bytes()
    }

    /// HEADERS that are the whole request.
    pub fn ask(&mut self, stream: u32, block: impl Into<Vec<u8>>) -> &mut Peer {
        self.send(Frame::headers(stream, block).end())
    }

    /// `GET path`.
    pub fn get(&mut self, stream: u32, path: &str) -> &mut Peer {
        self.ask(stream, fields::get(path))
    }

    /// The head of a request with a body.
    pub fn post(&mut self, stream: u32) -> &mut Peer {
        self.send(Frame::headers(stream, fields::block(&fields::POST)))
    }

    /// A request that stays half-closed (remote), since it is never answered.
    pub fn ask_in_vain(&mut self, stream: u32) -> &mut Peer {
        self.ask(stream, fields::slow())
    }

    /// Keeps account of what a frame of ours changes.
    fn note(&mut self, frame: &Frame) {
        let id = frame.stream & MAX_WINDOW;
        match frame.kind {
            kind::HEADERS => {
                self.highest = self.highest.max(id);
                let window = self.initial_window;
                self.streams.entry(id).or_insert(Exchange {
                    window,
                    ..Exchange::default()
                });
            }
            kind::RST_STREAM => self.streams.entry(id).or_default().we_reset = true,
            kind::SETTINGS if !frame.has(flag::ACK) => self.note_settings(frame),
            kind::WINDOW_UPDATE => {
                let Ok(increment) = frame.number(0) else { return };
                let increment = i64::from(increment & MAX_WINDOW);
                match self.streams.get_mut(&id) {
                    _ if id == 0 => self.window += increment,
                    Some(exchange) => exchange.window += increment,
                    None => {}
                }
            }
            _ => {}
        }
    }

    /// What we allow counts at once, what we forbid from the acknowledgement on.
    fn note_settings(&mut self, frame: &Frame) {
        let value = |value: &[u8]| {
            let (id, value) = value.split_at(2);
            let value = value.iter().fold(0, |sum, octet| sum << 8 | u32::from(*octet));
            (u16::from_be_bytes([id[0], id[1]]), value)
        };
        let values: Vec<_> = frame.payload.chunks_exact(6).map(value).collect();
        if let Some((_, window)) = values.iter().rfind(|(id, _)| *id == setting::INITIAL_WINDOW_SIZE) {
            self.set_initial_window((*window).max(self.initial_window as u32).into());
        }
        if let Some((_, size)) = values.iter().rfind(|(id, _)| *id == setting::MAX_FRAME_SIZE) {
            self.max_frame = self.max_frame.max(*size as usize);
        }
        self.unacknowledged.push_back(values);
    }

    fn set_initial_window(&mut self, window: i64) {
        let more = window - self.initial_window;
        self.initial_window = window;
        self.streams.values_mut().for_each(|exchange| exchange.window += more);
    }

    fn acknowledge(&mut self) -> Outcome {
        let values = self
            .unacknowledged
            .pop_front()
            .ok_or("the server acknowledged SETTINGS that nobody sent")?;
        self.acknowledged += 1;
        let last = |id| values.iter().rfind(|value| value.0 == id).map(|value| value.1);
        if let Some(window) = last(setting::INITIAL_WINDOW_SIZE) {
            self.set_initial_window(window.into());
        }
        if let Some(size) = last(setting::HEADER_TABLE_SIZE) {
            self.table.allow(size as usize);
        }
        Ok(())
    }

    /// Takes in one frame, or that there will be no more.
    fn receive(&mut self, awaited: &str) -> Outcome {
        let frame = match Frame::read(&mut self.stream) {
            Ok(frame) => frame,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Err(format!("waited {PATIENCE:?} for {awaited}; so far {}", self.seen()));
            }
            Err(_) => {
                self.closed = true;
                return Ok(());
            }
        };
        self.take(&frame)
    }

    fn take(&mut self, frame: &Frame) -> Outcome {
        if frame.payload.len() > self.max_frame {
            return Err(format!("the server sent a frame of {} octets", frame.payload.len()));
        }
        match frame.kind {
            kind::SETTINGS => self.take_settings(frame),
            _ if self.settings.is_empty() => Err(format!("the server sent {frame:?} before SETTINGS")),
            kind::HEADERS => self.take_headers(frame),
            kind::DATA => self.take_data(frame),
            kind::RST_STREAM => {
                let code = frame.number(0)?;
                self.exchange(frame)?.reset = Some(code);
                Ok(())
            }
            kind::PING if frame.has(flag::ACK) => {
                let payload = frame.payload[..]
                    .try_into()
                    .map_err(|_| "the server sent a PING of another size")?;
                self.pongs.push(payload);
                Ok(())
            }
            kind::PING => {
                self.raw(
                    &Frame {
                        flags: flag::ACK,
                        ..frame.clone()
                    }
                    .to_bytes(),
                );
                Ok(())
            }
            kind::GOAWAY => {
                self.gone = Some((frame.number(0)? & MAX_WINDOW, frame.number(4)?));
                Ok(())
            }
            kind::WINDOW_UPDATE => self.take_window_update(frame),
            kind::PUSH_PROMISE | kind::CONTINUATION => Err(format!("the server sent {frame:?}")),
            _ => Ok(()),
        }
    }

    fn take_settings(&mut self, frame: &Frame) -> Outcome {
        if frame.has(flag::ACK) {
            return self.acknowledge();
        }
        // Marks that SETTINGS have come, be they empty.
        self.settings.insert(0, 0);
        for value in frame.payload.chunks_exact(6) {
            let number = u32::from_be_bytes([value[2], value[3], value[4], value[5]]);
            self.settings.insert(u16::from_be_bytes([value[0], value[1]]), number);
        }
        self.send(Frame::settings_ack());
        Ok(())
    }

    fn take_window_update(&mut self, frame: &Frame) -> Outcome {
        let increment = i64::from(frame.number(0)?);
        if increment == 0 {
            return Err("the server sent WINDOW_UPDATE of 0".to_owned());
        }
        match frame.stream {
            0 => self.granted += increment,
            stream => self.streams.entry(stream).or_default().granted += increment,
        }
        Ok(())
    }

    fn take_headers(&mut self, frame: &Frame) -> Outcome {
        let mut block = frame.content()?.to_vec();
        let mut last = frame.has(flag::END_HEADERS);
        while !last {
            let next = Frame::read(&mut self.stream).map_err(|error| format!("within a field block: {error}"))?;
            if (next.kind, next.stream) != (kind::CONTINUATION, frame.stream) {
                return Err(format!("the server sent {next:?} within a field block"));
            }
            block.extend_from_slice(&next.payload);
            last = next.has(flag::END_HEADERS);
        }
        let fields = self.table.read(&block)?;
        let exchange = self.exchange(frame)?;
        if exchange.status.is_some() {
            if !frame.has(flag::END_STREAM) {
                return Err(format!("the server sent HEADERS again: {fields:?}"));
            }
        } else {
            let status = judged(&fields)?;
            if status >= 200 {
                exchange.status = Some(status);
                exchange.fields = fields;
            } else if frame.has(flag::END_STREAM) {
                return Err(format!("the server ended a stream with {status}"));
            }
        }
        exchange.ended = frame.has(flag::END_STREAM);
        Ok(())
    }

    fn take_data(&mut self, frame: &Frame) -> Outcome {
        let (length, content) = (frame.payload.len() as i64, frame.content()?.len());
        self.window -= length;
        let connection = self.window;
        let exchange = self.exchange(frame)?;
        exchange.window -= length;
        exchange.body += content;
        exchange.ended = frame.has(flag::END_STREAM);
        if exchange.status.is_none() {
            return Err("the server sent DATA before HEADERS".to_owned());
        }
        if length > 0 && exchange.window.min(connection) < 0 && !exchange.we_reset {
            return Err(format!(
                "the server sent {} octets beyond the window",
                -exchange.window.min(connection)
            ));
        }
        Ok(())
    }

    /// The stream of a frame, if the server may send on it.
    fn exchange(&mut self, frame: &Frame) -> Outcome<&mut Exchange> {
        let exchange = self.streams.get_mut(&frame.stream);
        let exchange = exchange.ok_or(format!("the server sent {frame:?} on a stream that is not open"))?;
        let ended = exchange.ended && frame.kind != kind::RST_STREAM;
        if ended || exchange.reset.is_some() {
            return Err(format!("the server sent {frame:?} on a stream that it had closed"));
        }
        Ok(exchange)
    }

    /// What has been seen, for a message.
    fn seen(&self) -> String {
        let stream = |(id, exchange): (&u32, &Exchange)| {
            let Exchange {
                status,
                body,
                ended,
                reset,
                ..
            } = exchange;
            format!("stream {id}: status {status:?}, body {body}, ended {ended}, reset {reset:?}")
        };
        let streams: Vec<_> = self.streams.iter().rev().take(3).map(stream).collect();
        format!("GOAWAY {:?}, closed {}; {}", self.gone, self.closed, streams.join("; "))
    }
}

/// The status of a response whose fields are as HTTP/2 wants them (RFC 9113 8.2 and 8.3.2).
fn judged(fields: &[(String, String)]) -> Outcome<u16> {
    let wrong = |(name, _): &&(String, String)| {
        name.starts_with(':')
            || name.contains(|letter: char| letter.is_ascii_uppercase())
            || CONNECTION_FIELDS.contains(&&name[..])
    };
    if let Some(field) = fields.iter().skip(1).find(wrong) {
        return Err(format!("the server sent {field:?}"));
    }
    match fields.first() {
        Some((name, status)) if name == ":status" => status.parse().map_err(|_| format!("status {status:?}")),
        _ => Err(format!("a response without :status: {fields:?}")),
    }
}
