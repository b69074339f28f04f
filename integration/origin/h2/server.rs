//! Servers over HTTP/2 that are told what to answer, request by request.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use verge::origin::{Origin, OriginConfig, Protocol};

use crate::scripts::{config, open};

/// One connection's requests, in order.
pub struct Peer {
    requests: mpsc::UnboundedReceiver<Asked>,
    task: JoinHandle<()>,
}

/// A request, and the way to answer it.
pub struct Asked {
    pub head: http::request::Parts,
    pub body: RecvStream,
    pub reply: SendResponse<Bytes>,
}

/// A listener, and an origin's configuration for it.
pub async fn listen() -> (TcpListener, OriginConfig) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = config_h2(listener.local_addr().unwrap());
    (listener, config)
}

pub fn config_h2(address: SocketAddr) -> OriginConfig {
    OriginConfig {
        protocol: Protocol::Http2,
        ..config(address)
    }
}

/// A server and an origin for it, all as usual.
pub async fn usual() -> (TcpListener, Arc<Origin>) {
    let (listener, config) = listen().await;
    (listener, open(config))
}

impl Peer {
    /// The next connection to `listener`.
    pub async fn accept(listener: &TcpListener) -> Peer {
        Peer::accept_with(listener, &Builder::new()).await
    }

    pub async fn accept_with(listener: &TcpListener, settings: &Builder) -> Peer {
        let (stream, _) = listener.accept().await.unwrap();
        Peer::of(stream, settings).await
    }

    pub async fn of(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, settings: &Builder) -> Peer {
        let connection = settings.handshake(stream).await.unwrap();
        let (asked, requests) = mpsc::unbounded_channel();
        let task = tokio::spawn(drive(connection, asked));
        Peer { requests, task }
    }

    /// The next request; panics if the connection ends instead.
    pub async fn rx(&mut self) -> Asked {
        self.requests.recv().await.unwrap()
    }

    /// Closes the connection, whatever is left to send on it.
    pub async fn close(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// Waits until the client has closed the connection; no request may come before.
    pub async fn expect_close(mut self) {
        assert!(self.requests.recv().await.is_none());
        self.task.await.unwrap();
    }
}

async fn drive<S: AsyncRead + AsyncWrite + Unpin>(
    mut connection: Connection<S, Bytes>,
    asked: mpsc::UnboundedSender<Asked>,
) {
    while let Some(Ok((request, reply))) = connection.accept().await {
        let (head, body) = request.into_parts();
        let _ = asked.send(Asked { head, body, reply });
    }
}

impl Asked {
    /// Answers with this body, and its length.
    pub fn tx(mut self, body: &'static str) {
        let length = HeaderValue::from(body.len());
        let mut stream = self.begin(&[("content-length", length.to_str().unwrap())]);
        stream.send_data(body.into(), true).unwrap();
    }

    /// Begins a `200` with these fields.
    pub fn begin(&mut self, fields: &[(&str, &str)]) -> SendStream<Bytes> {
        self.reply.send_response(head(StatusCode::OK, fields), false).unwrap()
    }

    /// A response without a body.
    pub fn end(&mut self, status: StatusCode, fields: &[(&str, &str)]) {
        self.reply.send_response(head(status, fields), true).unwrap();
    }

    /// The whole body of the request, and its trailers.
    pub async fn body(&mut self) -> (Bytes, Option<HeaderMap>) {
        let mut all = Vec::new();
        while let Some(piece) = self.body.data().await {
            let piece = piece.unwrap();
            self.body.flow_control().release_capacity(piece.len()).unwrap();
            all.extend_from_slice(&piece);
        }
        (all.into(), self.body.trailers().await.unwrap())
    }

    /// Why the client gave up before a response.
    pub async fn reset(&mut self) -> Reason {
        poll_fn(|cx| self.reply.poll_reset(cx)).await.unwrap()
    }
}

/// Why the client gave up a response.
pub async fn reset(stream: &mut SendStream<Bytes>) -> Reason {
    poll_fn(|cx| stream.poll_reset(cx)).await.unwrap()
}

pub fn head(status: StatusCode, fields: &[(&str, &str)]) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = status;
    for (name, value) in fields {
        let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        response
            .headers_mut()
            .append(name, HeaderValue::from_str(value).unwrap());
    }
    response
}

/// Sends all of `bytes` as the client makes room.
pub async fn send(stream: &mut SendStream<Bytes>, mut bytes: Bytes) {
    while !bytes.is_empty() {
        stream.reserve_capacity(bytes.len());
        let room = match stream.capacity() {
            0 => poll_fn(|cx| stream.poll_capacity(cx)).await.unwrap().unwrap(),
            room => room,
        };
        stream.send_data(bytes.split_to(room.min(bytes.len())), false).unwrap();
    }
}

/// Its fields as text.
pub fn field<'a>(asked: &'a Asked, name: &str) -> Option<&'a str> {
    asked.head.headers.get(name).map(|value| value.to_str().unwrap())
}

/// The target of a request, for a look at what came.
pub fn target(asked: &Asked) -> String {
    Request::from_parts(asked.head.clone(), ()).uri().to_string()
}
