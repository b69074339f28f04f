//! A client: one connection, one request at a time, every byte of the answer.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use http::{HeaderMap, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http1::{BodyDecoder, BodyPiece, parse_response};

/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// The largest head.
const MAX_HEAD: usize = 64 * 1024;

/// A request without a body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    /// One more field, if there is one.
    pub(super) field: Option<(&'a str, &'a str)>,
    /// Over TLS and HTTP/2.
    pub(super) secure: bool,
}

/// A `GET` of `path`.
pub(super) fn get(path: &str) -> Ask<'_> {
    Ask {
        method: "GET",
        path,
        field: None,
        secure: false,
    }
}

impl<'a> Ask<'a> {
    /// The same over TLS and HTTP/2.
    pub(super) fn secure(self) -> Ask<'a> {
        Ask { secure: true, ..self }
    }

    /// The same with a field.
    pub(super) fn with(self, name: &'a str, value: &'a str) -> Ask<'a> {
        Ask {
            field: Some((name, value)),
            ..self
        }
    }
}

/// An answer, all of it.
#[derive(Debug, Default)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) fields: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Reply {
    /// The value of a field, or nothing.
    pub(super) fn field(&self, name: &str) -> &str {
        self.fields
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("")
    }
}

/// The outcome, if it comes in time.
pub(super) async fn patiently<T>(outcome: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match tokio::time::timeout(PATIENCE, outcome).await {
        Ok(outcome) => outcome,
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no answer within {PATIENCE:?}"),
        )),
    }
}

/// A connection to the edge.
pub(super) struct Connection {
    stream: TcpStream,
    host: String,
    input: BytesMut,
}

impl Connection {
    /// A new connection.
    pub(super) async fn open(edge: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(edge).await?;
        stream.set_nodelay(true)?;
        Ok(Connection {
            stream,
            host: edge.to_string(),
            input: BytesMut::new(),
        })
    }

    /// Sends a request and reads the answer to its end.
    pub(super) async fn exchange(&mut self, ask: Ask<'_>) -> io::Result<Reply> {
        patiently(self.converse(ask)).await
    }

    async fn converse(&mut self, ask: Ask<'_>) -> io::Result<Reply> {
        let Ask {
            method, path, field, ..
        } = ask;
        let field = field.map_or(String::new(), |(name, value)| format!("{name}: {value}\r\n"));
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{field}\r\n", self.host);
        self.stream.write_all(head.as_bytes()).await?;
        let (head, length) = loop {
            match parse_response(&self.input, method == "HEAD", MAX_HEAD).map_err(io::Error::other)? {
                Some(parsed) => break parsed,
                None => self.receive().await?,
            }
        };
        self.input.advance(length);
        let mut decoder = BodyDecoder::new(head.framing);
        let mut body = Vec::new();
        loop {
            match decoder.decode(&mut self.input, false).map_err(io::Error::other)? {
                BodyPiece::Data(piece) => body.extend_from_slice(&piece),
                BodyPiece::NeedMore => self.receive().await?,
                BodyPiece::End { .. } => break,
            }
        }
        Ok(Reply {
            status: head.status,
            fields: head.fields,
            body,
        })
    }

    async fn receive(&mut self) -> io::Result<()> {
        self.input.reserve(64 * 1024);
        match self.stream.read_buf(&mut self.input).await? {
            0 => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the edge closed the connection",
            )),
            _ => Ok(()),
        }
    }
}
