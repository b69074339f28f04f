//! nginx's `secure_link` and `secure_link_md5`.
//!
//! Source: nginx's documentation of `ngx_http_secure_link_module`. The token is base64url of the MD5 of an expression that the
//! site configures as it did there, with `$secret` where the secret stood; a second parameter says when it ends, if it does.
//! MD5 must be allowed by the site.
//!
//! `$uri` is the path as nginx has it: normalised, and its escapes decoded. Whatever nginx would change in another way than the
//! path that is routed here (`//`, encoded slashes) is denied. A time must have ten digits: nothing separates it from what stands
//! beside it, so that a digit could change sides. Of the query only what the expression names (`$arg_NAME`) is signed.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use percent_encoding::percent_decode_str;
use smallvec::SmallVec;

use super::bunny::md5;
use super::check::Check;
use super::keys::Key;
use super::path::Oddities;
use super::sign::{Carrier, Order, Signed};
use super::strip::{Grant, Strip};
use super::{Dialect, Reason, Request, encoding, query};

/// A piece of the expression.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Expires,
    Uri,
    RemoteAddr,
    Host,
    Scheme,
    Method,
    /// `$arg_NAME`, as it came.
    Argument(Box<str>),
    Secret,
}

/// What is hashed, as `secure_link_md5` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression(Vec<Piece>);

impl Expression {
    /// Reads an expression such as `$secure_link_expires$uri$remote_addr $secret`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            pieces.extend((at > 0).then(|| Piece::Text(rest[..at].into())));
            let (piece, after) = variable(&rest[at + 1..])?;
            pieces.push(piece);
            rest = after;
        }
        pieces.extend((!rest.is_empty()).then(|| Piece::Text(rest.into())));
        for (needed, piece) in [("$secret", Piece::Secret), ("$uri", Piece::Uri)] {
            if !pieces.contains(&piece) {
                return Err(format!(
                    "`{text}` has no {needed}; write what secure_link_md5 had, with $secret for the secret"
                ));
            }
        }
        Ok(Expression(pieces))
    }

    fn expires(&self) -> bool {
        self.0.contains(&Piece::Expires)
    }
}

/// The variable at the start, without its `$`, and what follows.
fn variable(text: &str) -> Result<(Piece, &str), String> {
    let (name, after) = match text.strip_prefix('{').and_then(|text| text.split_once('}')) {
        Some((name, after)) => (name, after),
        None => {
            let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
            text.split_at(text.find(|letter| !word(letter)).unwrap_or(text.len()))
        }
    };
    let piece = match name {
        "secure_link_expires" => Piece::Expires,
        "uri" => Piece::Uri,
        "remote_addr" => Piece::RemoteAddr,
        "host" => Piece::Host,
        "scheme" => Piece::Scheme,
        "request_method" => Piece::Method,
        "secret" => Piece::Secret,
        _ => match name.strip_prefix("arg_").filter(|name| !name.is_empty()) {
            Some(name) => Piece::Argument(name.into()),
            None => {
                return Err(format!(
                    "`${name}` is not known here; there is: $secure_link_expires, $uri, $remote_addr, $host, $scheme, \
                     $request_method, $arg_NAME, $secret"
                ));
            }
        },
    };
    Ok((piece, after))
}

/// nginx's `secure_link`.
#[derive(Debug)]
pub struct SecureLink {
    expression: Expression,
    /// The parameter with the hash, and the one with the time.
    names: [Box<str>; 2],
}

impl SecureLink {
    /// Links whose hash, of `expression`, is in the parameter `md5`, and their time in `expires`.
    pub fn new(expression: Expression, md5: &str, expires: &str) -> Self {
        SecureLink {
            expression,
            names: [md5.into(), expires.into()],
        }
    }

    fn names(&self) -> [&str; 2] {
        [&*self.names[0], &*self.names[1]]
    }

    /// The pieces of what is hashed.
    fn pieces<'a>(&'a self, facts: &Facts<'a>, key: &'a Key) -> Result<SmallVec<[&'a [u8]; 12]>, Reason> {
        let piece = |piece: &'a Piece| {
            Ok(match piece {
                Piece::Text(text) => text.as_bytes(),
                Piece::Expires => facts.expires.as_bytes(),
                Piece::Uri => facts.uri,
                Piece::RemoteAddr => facts.client.as_bytes(),
                Piece::Host => facts.host.as_bytes(),
                Piece::Scheme => facts.scheme.as_bytes(),
                Piece::Method => facts.method.as_bytes(),
                Piece::Argument(name) => facts.argument(name)?.as_bytes(),
                Piece::Secret => key.bytes()?,
            })
        };
        self.expression.0.iter().map(piece).collect()
    }
}

/// What the variables stand for.
struct Facts<'a> {
    expires: &'a str,
    uri: &'a [u8],
    client: &'a str,
    host: &'a str,
    scheme: &'a str,
    method: &'a str,
    query: Option<&'a str>,
}

impl<'a> Facts<'a> {
    fn argument(&self, name: &str) -> Result<&'a str, Reason> {
        Ok(query::take(self.query, [name])?.value(0).unwrap_or_default())
    }
}

/// nginx's `$host` has no port.
fn name_of(host: &str) -> &str {
    crate::target::split_port(host).0
}

impl Dialect for SecureLink {
    fn grant<'p>(&'p self, request: &Request<'_>, check: &mut Check<'_>) -> Result<Grant<'p>, Reason> {
        let taken = query::take(request.query, self.names())?;
        let hash = taken.value(0).ok_or(Reason::Missing)?;
        let expires = taken.value(1).unwrap_or_default();
        let tag: [u8; 16] = encoding::base64url_exact(hash).ok_or(Reason::Malformed)?;
        let until = match self.expression.expires() {
            true => encoding::seconds(expires)
                .filter(|_| expires.len() == 10)
                .ok_or(Reason::Malformed)?,
            false => u64::MAX,
        };
        check.not_after(until)?;
        check.allows("md5")?;
        Oddities::of(request).below()?;
        let uri = SmallVec::<[u8; 256]>::from_iter(percent_decode_str(request.path));
        let client = request.client.to_canonical().to_string();
        let facts = Facts {
            expires,
            uri: &uri,
            client: &client,
            host: name_of(request.host),
            scheme: request.scheme.name(),
            method: request.method,
            query: request.query,
        };
        check.any(|check, key| {
            check.computes()?;
            let computed = md5(&self.pieces(&facts, key)?)?;
            let good = verify_slices_are_equal(&computed, &tag).is_ok();
            check.noted("signature", key.id(), good, Reason::Signature)
        })?;
        let strip = Strip {
            query: taken.ranges(),
            ..Strip::default()
        };
        Ok(Grant { strip, until })
    }

    fn sign(&self, order: &Order<'_>) -> Result<Signed, String> {
        order.has_no(&[
            ("from when", order.not_before.is_some()),
            ("a prefix", order.prefix.is_some()),
            ("which parameters may follow", order.parameters.is_some()),
            ("anything but a URL", order.carrier != Carrier::Url),
        ])?;
        let (expires, uri): (_, Vec<u8>) = (order.expires.to_string(), percent_decode_str(order.path).collect());
        let client = order
            .client
            .map_or_else(String::new, |client| client.addr().to_string());
        let facts = Facts {
            expires: &expires,
            uri: &uri,
            client: &client,
            host: name_of(order.host),
            scheme: order.scheme,
            method: "GET",
            query: order.query,
        };
        let fault = |reason: Reason| reason.means().to_owned();
        let digest = self
            .pieces(&facts, order.key)
            .and_then(|pieces| md5(&pieces))
            .map_err(fault)?;
        let [md5_name, expires_name] = self.names();
        let time = if self.expression.expires() {
            format!("&{expires_name}={expires}")
        } else {
            String::new()
        };
        Ok(Signed {
            text: order.url_with(&format!("{md5_name}={}{time}", encoding::to_base64url(&digest))),
            message: b"(the expression, which holds the secret)".to_vec(),
        })
    }

    fn carries(&self, name: &str) -> bool {
        self.names().contains(&name)
    }
}
