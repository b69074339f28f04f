//! Who may have what: signed URLs, a dialect a file. Pure: no I/O, no clock, no sockets.
//!
//! [`Policy::decide`] takes a [`Request`] and gives a [`Verdict`]: granted, with what carried the token, so that it leaves the
//! cache key and the origin's request; or denied, with a [`Reason`]. Order of work: where the token is, its structure, its
//! times, its key's name, what it is for, and only then the signature.
//!
//! # The path that is verified is the path that is routed, keyed and forwarded
//!
//! A request has two spellings of its path: as it came ([`Request::raw_path`]) and made normal ([`Request::path`]), which is
//! the one that counts everywhere else. Each dialect says which it verifies:
//! - `verge` and `cat` verify the normal one.
//! - `cloudfront`, `gcp`, `akamai`, `bunny`, `jwt` verify the one that came: their signers sign the URL as the client is to
//!   send it. The normal one is made from it by RFC 3986 6.2.2 alone, so both name the same resource, once dot segments are
//!   ruled out.
//! - `secure-link` verifies the decoded one, as nginx's `$uri`; `s3` the canonical one, which is decoded and encoded again.
//!
//! Where the two spellings, or two servers, could disagree about which resource is meant, the request is denied as
//! [`Reason::Ambiguous`]: see [`path::Oddities`].

pub mod akamai;
pub mod bunny;
pub mod cat;
pub mod check;
pub mod cloudfront;
mod cookie;
mod encoding;
pub mod failures;
pub mod gcp;
pub mod jwt;
pub mod keys;
pub mod path;
mod pattern;
pub mod policy;
mod query;
pub mod reason;
pub mod s3;
pub mod secure_link;
pub mod sign;
pub mod strip;
pub mod token;
pub mod told;
pub mod trace;
pub mod verge;
pub mod verified;

use std::fmt;
use std::net::IpAddr;

pub use check::Check;
pub use failures::Failures;
pub use keys::{Key, Keys};
pub use policy::{Answer, DialectName, Memory, Policy, Verdict};
pub use reason::Reason;
pub use strip::{Grant, Strip};
pub use told::Told;
pub use trace::Trace;
pub use verified::Verified;

use crate::cache::SchemeClass;
use crate::policy::fields::RequestFields;

/// What is verified of a request, borrowed from it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method, as received.
    pub method: &'a str,
    /// Clear text or TLS.
    pub scheme: SchemeClass,
    /// The normalised host, with its port unless it is the scheme's own.
    pub host: &'a str,
    /// The normalised path: what is routed, keyed and forwarded.
    pub path: &'a str,
    /// The path as it came ([`raw_path`]).
    pub raw_path: &'a str,
    /// What follows the first `?`, as it came.
    pub query: Option<&'a str>,
    /// The field lines.
    pub fields: &'a RequestFields<'a>,
    /// Who asks.
    pub client: IpAddr,
    /// Wall time, in seconds since 1970.
    pub now: u64,
}

impl<'a> Request<'a> {
    /// The same request for another path: one that a token was cut out of.
    pub(crate) fn at(self, path: &'a str) -> Request<'a> {
        Request {
            path,
            raw_path: path,
            ..self
        }
    }

    /// `scheme://host`
    pub(crate) fn origin(&self) -> [&'a str; 3] {
        [self.scheme.name(), "://", self.host]
    }
}

/// The path of a request target (RFC 9112 3.2) as it came, in origin- or absolute-form.
pub fn raw_path(target: &str) -> &str {
    let rest = crate::target::split_absolute(target).map_or(target, |(_, _, rest)| rest);
    let path = rest.split_once('?').map_or(rest, |(path, _)| path);
    if path.is_empty() { "/" } else { path }
}

/// A way of signing: how a token is read, and what its signature is over.
pub trait Dialect: fmt::Debug + Send + Sync {
    /// Whether a token grants this request. Everything that costs no cryptography is looked at first.
    fn grant<'p>(&'p self, request: &Request<'_>, check: &mut Check<'_>) -> Result<Grant<'p>, Reason>;

    /// Signs what is ordered, where that can be done here. The error says what is missing.
    fn sign(&self, order: &sign::Order<'_>) -> Result<sign::Signed, String>;

    /// Whether a parameter of this name carries a token, or a part of one.
    fn carries(&self, name: &str) -> bool;

    /// Whether a segment of a path, or a parameter of one, carries a token.
    fn carries_in_path(&self, _piece: &str) -> bool {
        false
    }
}
