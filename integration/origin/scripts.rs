//! The vocabulary: servers that play a script, and what asks them.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use verge::origin::{Fetch, FetchError, FetchRequest, Fetched, Origin, OriginConfig, ReadBody, RequestBody, ServerUrl};

/// The 8 MiB of the tests that need more than any socket buffer holds.
pub const MUCH: usize = 8 << 20;

/// A server that plays `script` on a thread; joining it shows whether the script went to its end.
pub fn serve<T: Send + 'static>(script: impl FnOnce(TcpListener) -> T + Send + 'static) -> (SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (address, std::thread::spawn(move || script(listener)))
}

pub fn accept(listener: &TcpListener) -> TcpStream {
    listener.accept().unwrap().0
}

/// Reads a request head, and no byte more.
pub fn rx(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

pub fn tx(stream: &mut TcpStream, bytes: impl AsRef<[u8]>) {
    stream.write_all(bytes.as_ref()).unwrap();
}

/// Waits until the client has closed the connection.
pub fn expect_close(stream: &mut TcpStream) {
    let _ = std::io::copy(stream, &mut std::io::sink());
}

pub fn config(address: SocketAddr) -> OriginConfig {
    OriginConfig {
        name: "test".to_owned(),
        servers: vec![ServerUrl::parse(&format!("http://{address}")).unwrap()],
        ..OriginConfig::default()
    }
}

pub fn open(config: OriginConfig) -> Arc<Origin> {
    Arc::new(Origin::new(config).unwrap())
}

pub fn origin(address: SocketAddr) -> Arc<Origin> {
    open(config(address))
}

pub fn request(method: Method, target: &str) -> FetchRequest {
    FetchRequest {
        method,
        target: target.to_owned(),
        host: "example.com".to_owned(),
        fields: HeaderMap::new(),
        upgrade: None,
        interims: None,
        trailers: false,
    }
}

pub async fn get(origin: &Arc<Origin>) -> Result<(StatusCode, Bytes), FetchError> {
    let mut fetched = origin.clone().fetch(request(Method::GET, "/"), None).await?;
    Ok((fetched.status, read(&mut *fetched.body).await?))
}

pub async fn read(body: &mut dyn ReadBody) -> Result<Bytes, FetchError> {
    let mut all = Vec::new();
    while let Some(piece) = poll_fn(|cx| body.poll_piece(cx)).await {
        let piece = piece?;
        assert!(!piece.is_empty());
        all.extend_from_slice(&piece);
    }
    Ok(all.into())
}

pub fn failure(outcome: Result<Fetched<'_>, FetchError>) -> FetchError {
    match outcome {
        Ok(fetched) => panic!("{} instead of an error", fetched.status),
        Err(error) => error,
    }
}

/// A request body in pieces; once they are used up it ends, or says nothing for ever.
pub struct Pieces {
    pub pieces: VecDeque<Bytes>,
    pub length: Option<u64>,
    pub ends: bool,
}

impl Pieces {
    pub fn new(pieces: impl IntoIterator<Item = Bytes>) -> Self {
        let pieces: VecDeque<Bytes> = pieces.into_iter().collect();
        let length = pieces.iter().map(|p| p.len() as u64).sum();
        Pieces {
            pieces,
            length: Some(length),
            ends: true,
        }
    }
}

impl ReadBody for Pieces {
    fn poll_piece(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, FetchError>>> {
        match self.pieces.pop_front() {
            Some(piece) => Poll::Ready(Some(Ok(piece))),
            None if self.ends => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

impl RequestBody for Pieces {
    fn content_length(&self) -> Option<u64> {
        self.length
    }
}

/// Bytes by which a wrong offset shows.
pub fn pattern(from: usize, length: usize) -> Bytes {
    (from..from + length).map(|i| (i % 251) as u8).collect()
}
