//! From a request head, whatever transport read it, to what becomes of the request.

use std::net::IpAddr;
use std::sync::Arc;

use http::StatusCode;

use crate::access::{raw_path, told};
use crate::cache::SchemeClass;
use crate::pipeline::{Answer, Begun, Edge, Refused, RequestLength, RequestView, begin};
use crate::policy::fields::RequestFields;
use crate::target::{Scheme, Target, split_port};
use crate::telemetry::access::Seen;
use crate::tls::Voice;

/// The client at the other end of a connection.
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// What its connection is.
    pub scheme: SchemeClass,
    /// For which hosts it may speak, over TLS.
    pub voice: Option<Voice>,
}

/// A request head as it was read: strictly, but not yet normalised.
pub struct Asked<'a> {
    /// The method.
    pub method: &'a str,
    /// The target.
    pub target: &'a str,
    /// The scheme that HTTP/2 names beside the target.
    pub scheme: Option<&'a str>,
    /// The host that the head names: a valid one.
    pub host: Option<&'a str>,
    /// The field lines.
    pub fields: RequestFields<'a>,
    /// The protocol's version.
    pub version: &'static str,
    /// Whether a body follows.
    pub body: RequestLength,
}

/// The answer to a request that is refused for what it is. `asked`: as much of it as could be read.
pub fn refuse(edge: &Edge, peer: &Peer, asked: Option<&Asked<'_>>, method: &str, why: Refused) -> Answer<'static> {
    let mut answer = Answer::refused(why).answering(method);
    if let Some(access) = &edge.access {
        let seen = Seen::nothing_of(peer.address, peer.scheme.name());
        let seen = asked.map_or(seen, |asked| {
            // It is not known for whose site it is: wherever tokens are asked for, it may hold one.
            let (path, query) = match asked.target.split_once('?') {
                _ if edge.config.sites.asks_for_tokens() => (told::unread(asked.target), None),
                Some((path, query)) => (path, Some(query)),
                None => (asked.target, None),
            };
            Seen {
                method: Some(asked.method),
                host: asked.host,
                path: Some(path),
                query,
                version: Some(asked.version),
                fields: Some(&asked.fields),
                ..seen
            }
        });
        answer.record.line = access.begin(&seen, edge.clock.monotonic(), Some(answer.status));
    }
    answer
}

/// Decides on a request. An error is of the request itself.
pub fn ask(edge: &Arc<Edge>, peer: &Peer, asked: &Asked<'_>) -> Result<Begun, Refused> {
    // RFC 9110 9.3.6: it names no resource to decide on, and an edge is no tunnel.
    if asked.method == "CONNECT" {
        return Err(Refused::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed"));
    }
    let target = Target::new(asked.method, asked.target, asked.host)
        .map_err(|fault| Refused::new(StatusCode::BAD_REQUEST, fault.detail()))?;
    // RFC 9110 7.4: a request for another scheme than the connection's came to the wrong place.
    let ours = match peer.scheme {
        SchemeClass::Clear => Scheme::Http,
        SchemeClass::Secure => Scheme::Https,
    };
    let named = asked
        .scheme
        .is_some_and(|scheme| !scheme.eq_ignore_ascii_case(peer.scheme.name()));
    if named || target.scheme.is_some_and(|scheme| scheme != ours) {
        return Err(Refused::new(StatusCode::MISDIRECTED_REQUEST, "scheme"));
    }
    // RFC 9110 7.4, RFC 9113 9.1.2: another host may ask its clients for another proof.
    let (name, _) = split_port(&target.host);
    if peer.voice.as_ref().is_some_and(|voice| !voice.may_speak_for(name)) {
        return Err(Refused::new(StatusCode::MISDIRECTED_REQUEST, "another-host"));
    }
    let view = RequestView {
        method: asked.method,
        scheme: peer.scheme,
        host: target.host,
        path: target.path,
        raw_path: raw_path(asked.target),
        query: target.query,
        fields: asked.fields,
        client: peer.address,
        version: asked.version,
        body: asked.body,
    };
    Ok(begin(edge, &view))
}
