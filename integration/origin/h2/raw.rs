//! Frames written by hand, for what no good server does.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use crate::scripts::accept;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const SETTINGS: u8 = 4;
pub const GO_AWAY: u8 = 7;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
/// `:status: 200` (RFC 7541 appendix A).
pub const OK: u8 = 0x88;

/// The fixed beginning of what a client sends (RFC 9113 section 3.4).
const PREFACE: usize = 24;

/// What came of a script. The test's runtime goes on meanwhile, which the client's connections need.
pub async fn joined<T: Send + 'static>(server: JoinHandle<T>) -> T {
    let joined = tokio::task::spawn_blocking(|| server.join().unwrap());
    joined.await.unwrap()
}

/// Takes a connection up to its SETTINGS.
pub fn connection(listener: &TcpListener) -> TcpStream {
    let mut stream = accept(listener);
    stream.read_exact(&mut [0; PREFACE]).unwrap();
    tx(&mut stream, SETTINGS, 0, 0, &[]);
    stream
}

pub fn tx(stream: &mut TcpStream, kind: u8, flags: u8, id: u32, payload: &[u8]) {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&id.to_be_bytes());
    frame.extend_from_slice(payload);
    stream.write_all(&frame).unwrap();
}

/// Reads up to the next frame of this kind; its stream.
pub fn rx(stream: &mut TcpStream, wanted: u8) -> u32 {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        std::io::copy(&mut stream.take(length.into()), &mut std::io::sink()).unwrap();
        if head[3] == wanted {
            return u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        }
    }
}

/// `GOAWAY` that names `last` as the last stream that may have been processed.
pub fn go_away(stream: &mut TcpStream, last: u32) {
    let mut payload = last.to_be_bytes().to_vec();
    payload.extend_from_slice(&[0; 4]);
    tx(stream, GO_AWAY, 0, 0, &payload);
}

/// A field of which `name` is the place in the static table (RFC 7541 section 6.2.2).
pub fn field(name: u8, value: &str) -> Vec<u8> {
    let mut line = vec![0x0f, name - 15, value.len() as u8];
    line.extend_from_slice(value.as_bytes());
    line
}
