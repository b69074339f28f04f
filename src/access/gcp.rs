//! Google's signed requests: Cloud CDN's, with HMAC-SHA1, and Media CDN's, with Ed25519.
//!
//! Sources: Cloud CDN, "Use signed URLs" and "Use signed cookies"; Media CDN, "Generate signatures". The key says which of
//! the two it is. Four forms:
//! - `URL?Expires=…&KeyName=…&Signature=…`, over all before `&Signature=`, which comes last: nothing can be appended.
//! - `URLPrefix=…&Expires=…&KeyName=…&Signature=…` in a query, over the first three, next to each other in this order. What
//!   else is in the query is not signed; the prefix is of the URL without its query.
//! - a cookie, `Cloud-CDN-Cookie` or `Edge-Cache-Cookie`, of the same with `:` for `&`.
//! - Media CDN's path component, `/edge-cache-token=Expires=…&KeyName=…&Signature=…/`, over the URL up to `&Signature=`; it
//!   grants what lies below the path before it.

use super::check::Check;
use super::keys::{Hash, Key, Kind, Scheme};
use super::path::Oddities;
use super::sign::{Carrier, Order, Signed};
use super::strip::{Grant, Strip};
use super::token::LONGEST;
use super::{Dialect, Reason, Request, cookie, encoding, query};

const PARAMETERS: [&str; 4] = ["URLPrefix", "Expires", "KeyName", "Signature"];
const COOKIES: [&str; 2] = ["Cloud-CDN-Cookie", "Edge-Cache-Cookie"];
const SIGNATURE: &str = "Signature=";
const COMPONENT: &str = "/edge-cache-token=";

/// Google's signed requests.
#[derive(Debug)]
pub struct Gcp;

/// A token taken apart.
#[derive(Clone, Copy, Debug)]
struct Token<'a> {
    prefix: Option<&'a str>,
    expires: u64,
    key: &'a str,
    signature: &'a str,
}

impl<'a> Token<'a> {
    /// Reads fields that stand in this order, and nothing else.
    fn read(text: &'a str, separator: char) -> Option<Self> {
        let mut fields = text.split(separator).peekable();
        let prefix = fields.next_if(|field| field.starts_with("URLPrefix="));
        let mut next = |name: &str| fields.next()?.strip_prefix(name);
        let (expires, key, signature) = (next("Expires=")?, next("KeyName=")?, next(SIGNATURE)?);
        let token = Token {
            prefix: prefix.and_then(|field| field.strip_prefix("URLPrefix=")),
            expires: encoding::seconds(expires)?,
            key,
            signature,
        };
        (fields.next().is_none() && !key.is_empty()).then_some(token)
    }

    fn verify(&self, message: &[&[u8]], check: &mut Check<'_>) -> Result<(), Reason> {
        let key = check.key(self.key)?;
        verify(key, message, self.signature, check)
    }
}

impl Dialect for Gcp {
    fn grant<'p>(&'p self, request: &Request<'_>, check: &mut Check<'_>) -> Result<Grant<'p>, Reason> {
        let taken = query::take(request.query, PARAMETERS)?;
        if !taken.is_empty() {
            let strip = Strip {
                query: taken.ranges(),
                ..Strip::default()
            };
            let query = request.query.unwrap_or_default();
            let first = strip.query.first().map_or(0, |range| range.start as usize);
            return match taken.get(0) {
                Some(_) => in_query(request, query, strip, check),
                None => in_url(request, query, first, strip, check),
            };
        }
        match request.raw_path.contains(COMPONENT) {
            true => in_path(request, check),
            false => in_cookie(request, check),
        }
    }

    fn sign(&self, order: &Order<'_>) -> Result<Signed, String> {
        order.has_no(&[
            ("for which client", order.client.is_some()),
            ("from when", order.not_before.is_some()),
            ("which parameters may follow", order.parameters.is_some()),
        ])?;
        let separator = if order.carrier == Carrier::Cookie { ':' } else { '&' };
        let fields = format!("Expires={}{separator}KeyName={}", order.expires, order.key.id());
        let prefixed = order.prefix.map(|prefix| {
            let url = format!("{}://{}{prefix}", order.scheme, order.host);
            format!(
                "URLPrefix={}{separator}{fields}",
                encoding::to_base64url(url.as_bytes())
            )
        });
        let message = prefixed.clone().unwrap_or_else(|| order.url_with(&fields));
        let signature = signature(order.key, message.as_bytes())?;
        let name = if order.key.kind() == Kind::Secret {
            COOKIES[0]
        } else {
            COOKIES[1]
        };
        let text = match (order.carrier, prefixed) {
            (Carrier::Url, None) => format!("{message}&Signature={signature}"),
            (Carrier::Url, Some(token)) => order.url_with(&format!("{token}&Signature={signature}")),
            (Carrier::Cookie, Some(token)) => format!("{name}={token}:Signature={signature}"),
            (Carrier::Cookie, None) => return Err("a cookie is for a prefix; give one with --prefix".to_owned()),
            (Carrier::Field, _) => return Err("this dialect has tokens in URLs and cookies only".to_owned()),
        };
        Ok(Signed {
            text,
            message: message.into_bytes(),
        })
    }

    fn carries(&self, name: &str) -> bool {
        PARAMETERS.contains(&name)
    }

    fn carries_in_path(&self, piece: &str) -> bool {
        piece.starts_with(&COMPONENT[1..])
    }
}

fn signature(key: &Key, message: &[u8]) -> Result<String, String> {
    let bytes = match key.kind() {
        Kind::Secret => key.hmac(Hash::Sha1, message).map(|tag| tag.as_ref().to_vec()),
        _ => Ok(key.sign(Scheme::Ed25519, message)?),
    };
    let bytes = bytes.map_err(|reason| reason.means().to_owned())?;
    Ok(encoding::to_base64url(&bytes))
}

fn verify(key: &Key, message: &[&[u8]], signature: &str, check: &mut Check<'_>) -> Result<(), Reason> {
    match key.kind() {
        Kind::Secret => {
            let tag: [u8; 20] = encoding::base64url_exact(signature).ok_or(Reason::Malformed)?;
            check.hmac(key, Hash::Sha1, message, &tag)
        }
        _ => {
            let signature: [u8; 64] = encoding::base64url_exact(signature).ok_or(Reason::Malformed)?;
            check.public(key, Scheme::Ed25519, &message.concat(), &signature)
        }
    }
}

/// The whole URL is signed, and the token ends it.
fn in_url<'p>(
    request: &Request<'_>,
    query: &str,
    first: usize,
    strip: Strip<'p>,
    check: &mut Check<'_>,
) -> Result<Grant<'p>, Reason> {
    let token = Token::read(&query[first..], '&').ok_or(Reason::Malformed)?;
    check.not_after(token.expires)?;
    Oddities::of(request).exact()?;
    let signed = query.rfind("&Signature=").map_or(query, |at| &query[..at]);
    let [scheme, between, host] = request.origin().map(str::as_bytes);
    let path = request.raw_path.as_bytes();
    token.verify(&[scheme, between, host, path, b"?", signed.as_bytes()], check)?;
    Ok(Grant {
        strip,
        until: token.expires,
    })
}

/// The token is a stretch of the query, and names a prefix.
fn in_query<'p>(
    request: &Request<'_>,
    query: &str,
    strip: Strip<'p>,
    check: &mut Check<'_>,
) -> Result<Grant<'p>, Reason> {
    let (Some(first), Some(last)) = (strip.query.first(), strip.query.last()) else {
        return Err(Reason::Malformed);
    };
    let text = &query[first.start as usize..last.end as usize];
    let token = Token::read(text, '&').ok_or(Reason::Malformed)?;
    prefixed(request, text, &token, strip, check)
}

fn in_cookie<'p>(request: &Request<'_>, check: &mut Check<'_>) -> Result<Grant<'p>, Reason> {
    for name in COOKIES {
        let Some(text) = cookie::find(request.fields, name)? else {
            continue;
        };
        let token = Token::read(text, ':').filter(|token| token.prefix.is_some() && text.len() <= LONGEST);
        let strip = Strip {
            cookies: [name].into_iter().collect(),
            ..Strip::default()
        };
        return prefixed(request, text, &token.ok_or(Reason::Malformed)?, strip, check);
    }
    Err(Reason::Missing)
}

/// What `text` signs is itself, up to its signature.
fn prefixed<'p>(
    request: &Request<'_>,
    text: &str,
    token: &Token<'_>,
    strip: Strip<'p>,
    check: &mut Check<'_>,
) -> Result<Grant<'p>, Reason> {
    check.not_after(token.expires)?;
    let prefix = encoding::base64url(token.prefix.unwrap_or_default()).and_then(|bytes| String::from_utf8(bytes).ok());
    let prefix = prefix.ok_or(Reason::Malformed)?;
    Oddities::of(request).below()?;
    check.noted("path", &prefix, begins_with(request, &prefix), Reason::Path)?;
    let signed = text.rfind(SIGNATURE).map_or(text, |at| &text[..at.saturating_sub(1)]);
    token.verify(&[signed.as_bytes()], check)?;
    Ok(Grant {
        strip,
        until: token.expires,
    })
}

/// Whether the URL begins with a prefix that names its scheme and all of its host.
fn begins_with(request: &Request<'_>, prefix: &str) -> bool {
    let origin = request.origin().concat();
    match prefix.strip_prefix(&*origin) {
        Some("") => true,
        Some(path) => path.starts_with('/') && request.raw_path.starts_with(path),
        None => false,
    }
}

/// The token is a segment of the path. What was escaped in it could be read in two ways.
fn in_path<'p>(request: &Request<'_>, check: &mut Check<'_>) -> Result<Grant<'p>, Reason> {
    let path = request.path;
    if request.raw_path != path || path.matches(COMPONENT).count() != 1 {
        return Err(Reason::Ambiguous);
    }
    let at = path.find(COMPONENT).ok_or(Reason::Malformed)?;
    let start = at + COMPONENT.len();
    let end = path[start..].find('/').map_or(path.len(), |slash| start + slash);
    let token = Token::read(&path[start..end], '&').filter(|token| token.prefix.is_none());
    let token = token.ok_or(Reason::Malformed)?;
    check.not_after(token.expires)?;
    Oddities::of(request).below()?;
    let signed = path[..end].rfind("&Signature=").map_or(path, |at| &path[..at]);
    let [scheme, between, host] = request.origin().map(str::as_bytes);
    token.verify(&[scheme, between, host, signed.as_bytes()], check)?;
    Ok(Grant {
        strip: Strip {
            path: Some(at as u32..end as u32),
            ..Strip::default()
        },
        until: token.expires,
    })
}
