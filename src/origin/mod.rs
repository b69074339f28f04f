//! Fetching one response from an origin. Only this module knows Pingora.

mod connect;
mod dns;
mod exchange;
mod h1;
mod h2;
mod interims;
mod patience;
mod place;
mod pool;
mod request;
mod settings;
mod upgrade;
mod upload;

pub use interims::Interims;
pub use pool::Origin;
pub use settings::{OriginConfig, Protocol, ServerUrl};

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What is asked of an origin: already rewritten for it, hop-by-hop fields gone (but for those that the client of the origin adds).
#[derive(Clone, Debug)]
pub struct FetchRequest {
    /// The method.
    pub method: Method,
    /// The normalised path and the query, in origin-form.
    pub target: String,
    /// The value of `Host` unless the origin's configuration sets its own.
    pub host: String,
    /// End-to-end fields, without `Host`, `Content-Length`, `Transfer-Encoding`, `Connection`.
    pub fields: HeaderMap,
    /// The protocol to upgrade to, if the client asked and the route allows it.
    pub upgrade: Option<String>,
    /// Where interim responses go, but for `100` and `101`, without hop-by-hop fields (RFC 9110 section 15.2). `None`: they are dropped.
    pub interims: Option<Arc<Interims>>,
    /// Whether the one who asks takes trailer fields, so that the origin is told (`TE: trailers`, RFC 9110 section 6.5.1).
    pub trailers: bool,
}

/// A message body being read, by polling, in pieces of any size above zero.
pub trait ReadBody: Send {
    /// The next piece; `None` at the end. After an end or an error it is not polled again.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, FetchError>>>;

    /// The trailer fields that may be used, once the end was reached, if there were any (RFC 9110 section 6.5).
    fn take_trailers(&mut self) -> Option<HeaderMap> {
        None
    }
}

/// A request body on its way from a client to an origin.
pub trait RequestBody: ReadBody {
    /// Bytes in all, if the client said.
    fn content_length(&self) -> Option<u64>;
}

/// A response whose head has arrived.
pub struct Fetched<'a> {
    /// The final status.
    pub status: StatusCode,
    /// End-to-end fields as received (hop-by-hop fields removed; `Content-Length` kept where it counts the body).
    pub fields: HeaderMap,
    /// Bytes of the body in all, if the origin said.
    pub content_length: Option<u64>,
    /// The body. Polling it also drives what is left of the request body.
    pub body: Box<dyn ReadBody + 'a>,
    /// The raw connection after `101 Switching Protocols`.
    pub upgraded: Option<Box<dyn Duplex>>,
}

/// A connection that bytes go both ways on.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A source of responses: an origin, or a script in the tests and the simulator.
pub trait Fetch: Send + Sync {
    /// Sends the request (with its body, if it has one) and returns once the final response head is there.
    fn fetch<'a>(
        self: Arc<Self>,
        request: FetchRequest,
        body: Option<&'a mut (dyn RequestBody + 'a)>,
    ) -> BoxFuture<'a, Result<Fetched<'a>, FetchError>>;
}

/// Why there is no (whole) response. Each kind is an RFC 9209 proxy error type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchError {
    /// The origin's name has no address (`dns_error`).
    Dns,
    /// The name was not resolved in time (`dns_timeout`).
    DnsTimeout,
    /// No server took the connection (`connection_refused`).
    ConnectionRefused,
    /// No connection within the connect timeout (`connection_timeout`).
    ConnectionTimeout,
    /// The connection ended before the response did (`connection_terminated`).
    ConnectionTerminated,
    /// The TLS handshake failed for another reason than the certificate (`tls_protocol_error`).
    Tls,
    /// The server's certificate is not valid for the name (`tls_certificate_error`).
    TlsCertificate,
    /// Nothing came for as long as the first-byte or between-bytes timeout (`connection_read_timeout`).
    ReadTimeout,
    /// The origin took nothing for as long as the write timeout (`connection_write_timeout`).
    WriteTimeout,
    /// The response was not HTTP, or could be read in two ways (`http_protocol_error`).
    Protocol,
    /// The body ended before its stated length (`http_response_incomplete`).
    Incomplete,
    /// The client's own request body failed (`http_request_error`).
    RequestBody,
    /// The client's request body stopped coming (`http_request_error`).
    RequestTimeout,
    /// The client's request body is larger than the route allows (`http_request_error`).
    RequestTooLarge,
    /// A reader fell behind what is kept and the rest could not be had again (`http_response_incomplete`).
    FellBehind,
    /// The fill was given up because nobody reads it any more (`destination_unavailable`).
    Abandoned,
}

impl FetchError {
    /// The RFC 9209 section 2.3 error type.
    pub fn proxy_error(self) -> &'static str {
        use FetchError::*;
        match self {
            Dns => "dns_error",
            DnsTimeout => "dns_timeout",
            ConnectionRefused => "connection_refused",
            ConnectionTimeout => "connection_timeout",
            ConnectionTerminated => "connection_terminated",
            Tls => "tls_protocol_error",
            TlsCertificate => "tls_certificate_error",
            ReadTimeout => "connection_read_timeout",
            WriteTimeout => "connection_write_timeout",
            Protocol => "http_protocol_error",
            Incomplete | FellBehind => "http_response_incomplete",
            RequestBody | RequestTimeout | RequestTooLarge => "http_request_error",
            Abandoned => "destination_unavailable",
        }
    }

    /// The status a client gets if nothing has been sent to it: `504` for what took too long, a `4xx` for its own fault, else `502`.
    pub fn status(self) -> StatusCode {
        use FetchError::*;
        match self {
            DnsTimeout | ConnectionTimeout | ReadTimeout | WriteTimeout => StatusCode::GATEWAY_TIMEOUT,
            RequestBody => StatusCode::BAD_REQUEST,
            RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_GATEWAY,
        }
    }
}
