//! An origin: who is asked, and who is asked next.

use std::sync::Arc;

use tokio::time::Instant;

use super::connect::{Line, Servers};
use super::exchange::{Again, BodyOf, Failure, Limits, Terms};
use super::request::{Framing, head, is_idempotent};
use super::{BoxFuture, Fetch, FetchError, FetchRequest, Fetched, OriginConfig, RequestBody, h1, h2};
use crate::telemetry::OriginCounts;

/// A named pool of servers that requests are sent to.
pub struct Origin {
    name: String,
    host: Option<String>,
    limits: Limits,
    servers: Arc<Servers>,
    counts: Arc<OriginCounts>,
}

impl Origin {
    /// The origin of this configuration; reads certificate authorities and the system's DNS configuration, so not for a
    /// runtime's thread. The error names what cannot be used.
    pub fn new(config: OriginConfig) -> Result<Origin, String> {
        let counts = Arc::new(OriginCounts::new(&config.name));
        Origin::counted(config, counts)
    }

    /// The same, with what it is asked counted here.
    pub fn counted(config: OriginConfig, counts: Arc<OriginCounts>) -> Result<Origin, String> {
        let servers = Arc::new(Servers::new(&config, Arc::clone(&counts))?);
        Ok(Origin {
            counts,
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

    async fn attempt<'a>(self: Arc<Self>, request: FetchRequest, body: BodyOf<'a>) -> Result<Fetched<'a>, FetchError> {
        let first = self.servers.take_turn();
        let next = self.servers.after(first);
        let line = match self.servers.line(first, &request.host, false).await {
            Ok(line) => line,
            // Nothing was sent, so whatever the method, another server may be asked in its place.
            Err(_) if next != first => {
                let line = self.servers.line(next, &request.host, false).await?;
                return self.exchange(line, &request, body).await.map_err(|f| f.error);
            }
            Err(error) => return Err(error),
        };
        let repeatable = body.is_none() && is_idempotent(&request.method);
        let Failure { error, again } = match self.exchange(line, &request, body).await {
            Ok(fetched) => return Ok(fetched),
            Err(failure) => failure,
        };
        let body = match again {
            Again::Untouched(body) => body,
            // RFC 9110 section 9.2.2: a request may be repeated if that does no more than sending it once. A connection
            // that ended in silence may have been closed while idle; so the second time it is a new one.
            Again::Unheard if repeatable => None,
            _ => return Err(error),
        };
        let line = self.servers.line(next, &request.host, true).await?;
        self.exchange(line, &request, body).await.map_err(|f| f.error)
    }

    /// Sends the request over `line` and waits for the final head.
    async fn exchange<'a>(
        &self,
        line: Line,
        request: &FetchRequest,
        body: BodyOf<'a>,
    ) -> Result<Fetched<'a>, Failure<'a>> {
        let framing = match body.as_ref().map(|body| body.content_length()) {
            None => Framing::None,
            Some(Some(length)) => Framing::Length(length),
            Some(None) => Framing::Chunked,
        };
        let host = self.host.as_deref().unwrap_or(&request.host);
        let terms = Terms::of(request, self.limits);
        match line {
            Line::Own(lease) => {
                let head = head(request, host, framing).map_err(Failure::of)?;
                let exchange = h1::Exchange::new(lease, terms, head, framing, body);
                exchange.run(request.upgrade.as_deref()).await
            }
            Line::Shared { seat, tls } => {
                let head = h2::head(request, tls, host, framing).map_err(Failure::of)?;
                h2::Exchange::run(seat, terms, head, body).await
            }
        }
    }
}

impl Fetch for Origin {
    fn fetch<'a>(
        self: Arc<Self>,
        request: FetchRequest,
        body: Option<&'a mut (dyn RequestBody + 'a)>,
    ) -> BoxFuture<'a, Result<Fetched<'a>, FetchError>> {
        let counts = Arc::clone(&self.counts);
        Box::pin(async move {
            let began = Instant::now();
            let fetched = self.attempt(request, body).await;
            match &fetched {
                Ok(fetched) => counts.answered(fetched.status, began.elapsed()),
                Err(error) => counts.failed(error.proxy_error()),
            }
            fetched
        })
    }
}
