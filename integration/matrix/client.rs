//! A client that speaks each of the protocols, by hyper: a reading of HTTP that is not Verge's own.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The host of all requests.
pub const HOST: &str = "matrix.test";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http1Tls,
    Http2,
}

pub const PROTOCOLS: [Protocol; 3] = [Protocol::Http1, Protocol::Http1Tls, Protocol::Http2];

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Http1 => "HTTP/1.1",
            Protocol::Http1Tls => "HTTP/1.1+TLS",
            Protocol::Http2 => "HTTP/2+TLS",
        })
    }
}

/// An answer as it was received.
#[derive(Clone, Debug, Default)]
pub struct Got {
    pub status: u16,
    pub fields: HeaderMap,
    pub body: Bytes,
}

impl Got {
    /// Whether the edge says that it comes out of its cache.
    pub fn is_hit(&self) -> bool {
        self.cache_status().starts_with("verge; hit")
    }

    /// Whether the edge says that it comes out of the fetch for another request.
    pub fn is_collapsed(&self) -> bool {
        self.cache_status().ends_with("; collapsed")
    }

    /// Whether the edge says that it keeps it.
    pub fn is_stored(&self) -> bool {
        self.cache_status().contains("; stored")
    }

    fn cache_status(&self) -> &str {
        let status = self.fields.get("cache-status");
        status.and_then(|status| status.to_str().ok()).unwrap_or_default()
    }
}

/// A request.
#[derive(Clone, Debug)]
pub struct Ask {
    pub method: &'static str,
    pub target: String,
    pub fields: Vec<(&'static str, String)>,
    pub body: &'static str,
}

enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

/// A client with a connection of its own, made when one is needed.
pub struct Client {
    protocol: Protocol,
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    sender: Option<Sender>,
}

type Trouble = Box<dyn std::error::Error + Send + Sync>;

impl Client {
    pub fn new(protocol: Protocol, address: SocketAddr, mut tls: ClientConfig) -> Client {
        let alpn = if protocol == Protocol::Http2 { "h2" } else { "http/1.1" };
        tls.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        Client {
            protocol,
            address,
            tls: Arc::new(tls),
            sender: None,
        }
    }

    /// Sends the request and reads the answer to its end.
    pub async fn ask(&mut self, ask: &Ask) -> Result<Got, Trouble> {
        let response = self.send(ask).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Got {
            status: head.status.as_u16(),
            fields: head.headers,
            body,
        })
    }

    async fn send(&mut self, ask: &Ask) -> Result<Response<Incoming>, Trouble> {
        self.connect().await?;
        let request = request(self.protocol, ask)?;
        Ok(match self.sender.as_mut().ok_or("not connected")? {
            Sender::One(sender) => sender.send_request(request).await?,
            Sender::Two(sender) => sender.send_request(request).await?,
        })
    }

    /// Makes a connection unless there is one that takes another request.
    async fn connect(&mut self) -> Result<(), Trouble> {
        let ready = match &mut self.sender {
            Some(Sender::One(sender)) => sender.ready().await.is_ok(),
            Some(Sender::Two(sender)) => sender.ready().await.is_ok(),
            None => false,
        };
        if ready {
            return Ok(());
        }
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        self.sender = Some(match self.protocol {
            Protocol::Http1 => first(stream).await?,
            Protocol::Http1Tls => first(self.secured(stream).await?).await?,
            Protocol::Http2 => second(self.secured(stream).await?).await?,
        });
        Ok(())
    }

    async fn secured(&self, stream: TcpStream) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Trouble> {
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        Ok(connector.connect(ServerName::try_from(HOST)?, stream).await?)
    }
}

async fn first<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) -> Result<Sender, Trouble> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(Sender::One(sender))
}

async fn second<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) -> Result<Sender, Trouble> {
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(Sender::Two(sender))
}

fn request(protocol: Protocol, ask: &Ask) -> Result<Request<Full<Bytes>>, Trouble> {
    let mut request = Request::builder().method(ask.method);
    request = match protocol {
        Protocol::Http2 => request.uri(format!("https://{HOST}{}", ask.target)),
        _ => request.uri(&ask.target).header("host", HOST),
    };
    for (name, value) in &ask.fields {
        request = request.header(*name, value);
    }
    Ok(request.body(Full::new(Bytes::from_static(ask.body.as_bytes())))?)
}
