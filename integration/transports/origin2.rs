//! A scripted origin that speaks HTTP/2: it hands over each request and leaves the rest to the script.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};

use bytes::Bytes;
use h2::server::{self, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, request};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::harness::PATIENCE;
use crate::multiplexed::wait;

/// A server on a port of its own.
pub struct Origin2 {
    /// Where it listens.
    pub address: SocketAddr,
    asked: Receiver<Asked2>,
    _stop: oneshot::Sender<()>,
}

/// A request, and the way to answer it.
pub struct Asked2 {
    /// The request's head.
    pub head: request::Parts,
    /// The request's body.
    pub body: RecvStream,
    reply: SendResponse<Bytes>,
}

impl Origin2 {
    /// Starts listening.
    pub fn start() -> Origin2 {
        let (sender, asked) = channel();
        let (bound, address) = channel();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                bound.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    () = listen(listener, sender) => {}
                    _ = stopped => {}
                }
            });
        });
        Origin2 {
            address: address.recv_timeout(PATIENCE).unwrap(),
            asked,
            _stop: stop,
        }
    }

    /// The next request, for this method and path.
    #[track_caller]
    pub fn rx_for(&self, line: &str) -> Asked2 {
        let asked = self.asked.recv_timeout(PATIENCE).unwrap();
        assert_eq!(format!("{} {}", asked.head.method, asked.head.uri.path()), line);
        asked
    }
}

async fn listen(listener: TcpListener, asked: Sender<Asked2>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(drive(stream, asked.clone()));
    }
}

async fn drive(stream: TcpStream, asked: Sender<Asked2>) {
    let Ok(mut connection) = server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((request, reply))) = connection.accept().await {
        let (head, body) = request.into_parts();
        // Nobody waits for it once the origin is gone.
        let _ = asked.send(Asked2 { head, body, reply });
    }
}

impl Asked2 {
    /// Begins a `200` with these fields.
    pub fn begin(&mut self, fields: &[(&str, &str)]) -> SendStream<Bytes> {
        self.reply.send_response(head(fields), false).unwrap()
    }

    /// A response that is only a head, or only trailers as gRPC calls it.
    pub fn end(&mut self, fields: &[(&str, &str)]) {
        self.reply.send_response(head(fields), true).unwrap();
    }

    /// So many bytes of the body, as they come.
    pub fn rx_bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let piece = wait(self.body.data()).unwrap().unwrap();
            self.body.flow_control().release_capacity(piece.len()).unwrap();
            bytes.extend_from_slice(&piece);
        }
        bytes
    }

    /// Sees that the body ends, with nothing more of it.
    pub fn expect_end(&mut self) {
        assert!(wait(self.body.data()).is_none_or(|piece| piece.unwrap().is_empty()));
    }

    /// Waits until the edge takes the request back.
    pub fn reset(&mut self) -> Reason {
        wait(poll_fn(|cx| self.reply.poll_reset(cx))).unwrap()
    }
}

fn head(fields: &[(&str, &str)]) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::OK;
    *response.headers_mut() = map(fields);
    response
}

/// These fields.
pub fn map(fields: &[(&str, &str)]) -> HeaderMap {
    let line = |(name, value): &(&str, &str)| {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        (name, HeaderValue::from_str(value).unwrap())
    };
    fields.iter().map(line).collect()
}
