//! The server under test: Verge before an origin of its own, or another server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use verge::cache::Secret;
use verge::clock::ManualClock;
use verge::config::{self, Config};
use verge::listen::{Bound, OnThisThread, Server};
use verge::origin::{Fetch, Origin};
use verge::pipeline::Edge;

/// Names the address of another server to run the cases against. It speaks HTTP/2 by prior knowledge there and answers 200
/// with a small body, on `/large` with [`LARGE`] octets, on `/slow` not at all, and refuses CONNECT.
const ANOTHER: &str = "H2_SERVER";

/// The length of the body of `/large`.
pub const LARGE: usize = 1 << 20;

/// A server that listens until this is dropped.
pub struct UnderTest {
    pub address: SocketAddr,
    verge: Option<Server>,
}

impl UnderTest {
    pub fn start() -> UnderTest {
        if let Ok(address) = std::env::var(ANOTHER) {
            let address = address.parse().unwrap();
            return UnderTest { address, verge: None };
        }
        let verge = verge(configuration(origin()));
        UnderTest {
            address: verge.addresses[0],
            verge: Some(verge),
        }
    }

    /// It is Verge and no other.
    pub fn is_verge(&self) -> bool {
        self.verge.is_some()
    }
}

fn verge(config: Config) -> Server {
    let fetch = |origin: &config::Origin| Arc::new(Origin::new(origin.reach.clone()).unwrap()) as Arc<dyn Fetch>;
    let origins = config.origins.iter().map(fetch).collect();
    let bound = Bound::new(&config.listen, config.threads).unwrap();
    let clock = ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    let edge = Edge::new(
        Arc::new(config),
        origins,
        Secret::new([7; 16]),
        Arc::new(clock),
        Arc::new(OnThisThread),
    );
    Server::start(Arc::new(edge), None, bound).unwrap()
}

/// One thread, so that whatever keeps it busy keeps every client waiting.
fn configuration(origin: SocketAddr) -> Config {
    let text = format!(
        "server.threads = 1\nlisten = [{{ address = \"127.0.0.1:0\", h2c = true }}]\norigins.app.servers = [\"http://{origin}\"]\n\
         [[sites]]\nhosts = [\"*\"]\norigin = \"app\"\n"
    );
    config::load("test", &text).unwrap_or_else(|errors| panic!("{errors:?}\n{text}"))
}

/// An origin that answers every request by its path.
fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A connection that breaks ends with its thread.
            std::thread::spawn(move || answer_all(stream));
        }
    });
    address
}

fn answer_all(stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some(head) = read_head(&mut reader)? {
        let mut words = head[0].split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if path.starts_with("/slow") {
            std::io::copy(&mut reader, &mut std::io::sink())?;
            return Ok(());
        }
        skip_body(&mut reader, &head)?;
        reader.get_mut().write_all(&answer(method, path))?;
    }
    Ok(())
}

/// With fields that HTTP/2 has no place for.
fn answer(method: &str, path: &str) -> Vec<u8> {
    let body = if path == "/large" {
        vec![b'x'; LARGE]
    } else {
        b"hello".to_vec()
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\nConnection: Keep-Alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\n\
         X-Case: Kept\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let body = if method == "HEAD" { Vec::new() } else { body };
    [head.into_bytes(), body].concat()
}

/// The lines of a head, in lower case but for the first; none when the connection has ended.
fn read_head(reader: &mut impl BufRead) -> std::io::Result<Option<Vec<String>>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" if lines.is_empty() => {}
            "" => return Ok(Some(lines)),
            line if lines.is_empty() => lines.push(line.to_owned()),
            line => lines.push(line.to_ascii_lowercase()),
        }
    }
}

fn skip_body(reader: &mut impl BufRead, head: &[String]) -> std::io::Result<()> {
    if head.iter().any(|line| line == "transfer-encoding: chunked") {
        while skip_chunk(reader)? {}
        return Ok(());
    }
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: "));
    skip(reader, length.and_then(|length| length.parse().ok()).unwrap_or(0))
}

/// Whether more follow.
fn skip_chunk(reader: &mut impl BufRead) -> std::io::Result<bool> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    match u64::from_str_radix(line.trim_end(), 16) {
        Ok(0) | Err(_) => {
            // Trailers, if any, end at an empty line.
            while reader.read_line(&mut line)? > 2 {}
            Ok(false)
        }
        Ok(length) => skip(reader, length + 2).map(|()| true),
    }
}

fn skip(reader: &mut impl BufRead, length: u64) -> std::io::Result<()> {
    std::io::copy(&mut reader.take(length), &mut std::io::sink()).map(|_| ())
}
