//! A request as the pipeline sees it, whatever transport it came by.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use crate::cache::{KeyParts, SchemeClass};
use crate::config::Route;
use crate::origin::Interims;
use crate::policy::cache_control::{RequestDirectives, request_directives};
use crate::policy::fields::{Known, OwnedFields, RequestFields};
use crate::target::split_port;
use crate::telemetry::RequestId;

/// A request, borrowed from the transport's buffer. Host and path are normalised: what is routed, keyed and forwarded.
#[derive(Clone, Debug)]
pub struct RequestView<'a> {
    /// The method, as received.
    pub method: &'a str,
    /// Clear text or TLS.
    pub scheme: SchemeClass,
    /// The host, with a port if one was given.
    pub host: Cow<'a, str>,
    /// The normalised path, or `*`.
    pub path: Cow<'a, str>,
    /// The path as it came, for signatures over it; where a token was taken out of the path, what is left.
    pub raw_path: &'a str,
    /// What follows `?`.
    pub query: Option<&'a str>,
    /// The field lines.
    pub fields: RequestFields<'a>,
    /// Who asks.
    pub client: IpAddr,
    /// The protocol version, as `Via` and `Forwarded` write it.
    pub version: &'static str,
    /// Whether a body follows, and how long it is if that was said.
    pub body: RequestLength,
}

/// Whether a request has a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestLength {
    /// It has none.
    None,
    /// It has one of so many bytes.
    Known(u64),
    /// It has one of unknown length.
    Unknown,
}

impl RequestView<'_> {
    /// The host without the scheme's own port.
    pub fn key_host(&self) -> &str {
        key_host(self.scheme, &self.host)
    }

    /// The parts of the key.
    pub fn key_parts(&self) -> KeyParts<'_> {
        KeyParts {
            scheme: self.scheme,
            host: self.key_host(),
            path: &self.path,
            query: self.query,
        }
    }

    /// What `Cache-Control` says.
    pub fn directives(&self) -> RequestDirectives {
        request_directives(&self.fields)
    }

    /// Whether the method is `GET` or `HEAD`.
    pub fn is_get_or_head(&self) -> bool {
        matches!(self.method, "GET" | "HEAD")
    }
}

/// `host` without the port that is the scheme's own.
pub fn key_host(scheme: SchemeClass, host: &str) -> &str {
    match (scheme, split_port(host)) {
        (SchemeClass::Clear, (name, Some(80))) | (SchemeClass::Secure, (name, Some(443))) => name,
        _ => host,
    }
}

/// A request that outlives the buffer it was read into.
#[derive(Clone, Debug)]
pub struct OwnedRequest {
    /// The method, as received.
    pub method: Box<str>,
    /// Clear text or TLS.
    pub scheme: SchemeClass,
    /// The host, without the scheme's own port.
    pub host: Box<str>,
    /// The normalised path.
    pub path: Box<str>,
    /// What follows `?`.
    pub query: Option<Box<str>>,
    /// The field lines.
    pub fields: Arc<OwnedFields>,
    /// Who asks.
    pub client: IpAddr,
    /// The protocol version.
    pub version: &'static str,
    /// Whether a body follows.
    pub body: RequestLength,
    /// What `Cache-Control` says.
    pub directives: RequestDirectives,
    /// Whether credentials are sent with it.
    pub authorization: bool,
    /// The route it takes.
    pub route: Arc<Route>,
    /// What it is called.
    pub id: RequestId,
    /// Where interim responses go, if the client takes them.
    pub interims: Option<Arc<Interims>>,
}

impl OwnedRequest {
    /// A copy of `view`, on `route`.
    pub fn new(view: &RequestView<'_>, route: Arc<Route>) -> Self {
        OwnedRequest {
            method: view.method.into(),
            scheme: view.scheme,
            host: view.key_host().into(),
            path: view.path.as_ref().into(),
            query: view.query.map(Into::into),
            fields: Arc::new(OwnedFields::new(&view.fields)),
            client: view.client,
            version: view.version,
            body: view.body,
            directives: view.directives(),
            authorization: view.fields.has(Known::Authorization),
            route,
            id: RequestId::new(),
            interims: None,
        }
    }

    /// The parts of the key.
    pub fn key_parts(&self) -> KeyParts<'_> {
        KeyParts {
            scheme: self.scheme,
            host: &self.host,
            path: &self.path,
            query: self.query.as_deref(),
        }
    }

    /// Lends the request as it was received.
    pub fn with_view<R>(&self, lend: impl FnOnce(&RequestView<'_>) -> R) -> R {
        self.fields.with(|fields| {
            lend(&RequestView {
                method: &self.method,
                scheme: self.scheme,
                host: Cow::Borrowed(&self.host),
                path: Cow::Borrowed(&self.path),
                raw_path: &self.path,
                query: self.query.as_deref(),
                fields: *fields,
                client: self.client,
                version: self.version,
                body: self.body,
            })
        })
    }

    /// Whether it may share another client's fetch: not with credentials of its own, nor if nothing may be stored for it.
    pub fn may_join(&self) -> bool {
        !self.authorization && !self.directives.no_store
    }

    /// RFC 9110 10.1.4: whether trailer fields can reach the client. What is stored has none.
    pub fn takes_trailers(&self) -> bool {
        self.fields.with(|fields| fields.takes_trailers())
    }
}
