//! An origin: who is asked, and who is asked next.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use super::connect::{Lease, Servers};
use super::h1::{Exchange, Terms};
use super::request::{Framing, head, is_idempotent};
use super::{BoxFuture, Fetch, FetchError, FetchRequest, Fetched, OriginConfig, RequestBody};

/// A named pool of servers that requests are sent to over HTTP/1.1.
pub struct Origin {
    name: String,
    host: Option<String>,
    limits: Limits,
    servers: Arc<Servers>,
}

/// The longest waits of an exchange.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) first_byte: Duration,
    pub(super) between_bytes: Duration,
    pub(super) write: Duration,
}

impl Origin {
    /// The origin of this configuration; reads certificate authorities and the system's DNS configuration, so not for a
    /// runtime's thread. The error names what cannot be used.
    pub fn new(config: OriginConfig) -> Result<Origin, String> {
        let servers = Arc::new(Servers::new(&config)?);
        Ok(Origin {
            servers,
            name: config.name,
            host: config.host,
            limits: Limits {
                first_byte: config.first_byte_timeout,
                between_bytes: config.between_bytes_timeout,
                write: config.write_timeout,
            },
        })
    }

    /// The pool's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    async fn attempt<'a>(
        self: Arc<Self>,
        request: FetchRequest,
        body: Option<&'a mut (dyn RequestBody + 'a)>,
    ) -> Result<Fetched<'a>, FetchError> {
        let first = self.servers.take_turn();
        let next = self.servers.after(first);
        let lease = match self.servers.connection(first, &request.host).await {
            Ok(lease) => lease,
            // Nothing was sent, so whatever the method, another server may be asked in its place.
            Err(_) if next != first => {
                let lease = self.servers.connection(next, &request.host).await?;
                return self.exchange(lease, &request, body).await.map_err(|f| f.0);
            }
            Err(error) => return Err(error),
        };
        let repeatable = body.is_none() && is_idempotent(&request.method);
        match self.exchange(lease, &request, body).await {
            // RFC 9110 section 9.2.2: a request may be repeated if that does no more than sending it once. A connection
            // that ended in silence may have been closed while idle; so the second time it is a new one.
            Err(Failure(FetchError::ConnectionTerminated, Heard::Nothing)) if repeatable => {
                let lease = self.servers.new_connection(next, &request.host).await?;
                self.exchange(lease, &request, None).await.map_err(|f| f.0)
            }
            outcome => outcome.map_err(|f| f.0),
        }
    }

    /// Sends the request over `lease` and waits for the final head.
    async fn exchange<'a>(
        &self,
        lease: Lease,
        request: &FetchRequest,
        body: Option<&'a mut (dyn RequestBody + 'a)>,
    ) -> Result<Fetched<'a>, Failure> {
        let framing = match body.as_ref().map(|body| body.content_length()) {
            None => Framing::None,
            Some(Some(length)) => Framing::Length(length),
            Some(None) => Framing::Chunked,
        };
        let host = self.host.as_deref().unwrap_or(&request.host);
        let head = head(request, host, framing).map_err(|error| Failure(error, Heard::Something))?;
        let terms = Terms::of(request, self.limits);
        let mut exchange = Exchange::new(lease, terms, head, framing, body);
        match poll_fn(|cx| exchange.poll_head(cx)).await {
            Ok(head) => exchange
                .into_fetched(head, request.upgrade.as_deref())
                .map_err(|error| Failure(error, Heard::Something)),
            Err(error) if exchange.heard() => Err(Failure(error, Heard::Something)),
            Err(error) => Err(Failure(error, Heard::Nothing)),
        }
    }
}

struct Failure(FetchError, Heard);

/// Whether a byte of a response had arrived.
enum Heard {
    Nothing,
    Something,
}

impl Fetch for Origin {
    fn fetch<'a>(
        self: Arc<Self>,
        request: FetchRequest,
        body: Option<&'a mut (dyn RequestBody + 'a)>,
    ) -> BoxFuture<'a, Result<Fetched<'a>, FetchError>> {
        Box::pin(self.attempt(request, body))
    }
}
