//! bunny.net's token authentication, the current one and both that came before.
//!
//! Sources: bunny.net's documentation, "Token Authentication", and the vendor's samples, BunnyCDN.TokenAuthentication. A
//! token is a parameter `token` beside `expires`, or a first segment of the path, `/bcdn_token=…&…&expires=…/`, whose
//! parameters take the place of the query's. Its form says which one it is:
//! - `HS256-` and base64url: HMAC-SHA256 over path, `expires`, with `1-` before the base64url the client's address (4 bytes,
//!   or an IPv6 network of 64 bits in 16 bytes), and the parameters.
//! - 43 letters: SHA-256 over the key, path, `expires`, possibly the client's address as text, and the parameters.
//! - 22 letters: MD5 over the key, path, `expires` and possibly the client's address; only where the site allows it. Parameters
//!   are not signed.
//!
//! The path is that which came, or what `token_path` names: then all below that is granted. The parameters are all but
//! `token` and `expires`, their escapes decoded, `name=value` in the order of their names, with `&` between them; with
//! `token_ignore_params=true` only that and `token_path`. They are taken in that order alone, and so that they can be read in
//! one way only. Nothing separates path and `expires` in what is signed: `expires` must have ten digits, or a digit of the
//! path could become one of the time.

use std::borrow::Cow;
use std::net::IpAddr;

use aws_lc_rs::digest::{Context, SHA256};
use ipnet::IpNet;
use md5::{Digest, Md5};
use smallvec::SmallVec;

use super::check::Check;
use super::keys::{Hash, Key};
use super::path::Oddities;
use super::query::{Part, decoded, parts, take};
use super::sign::{Carrier, Order, Signed};
use super::strip::{Grant, Strip};
use super::{Dialect, Reason, Request, encoding, token};

const CURRENT: &str = "HS256-";
const FOR_CLIENT: &str = "1-";
const SEGMENT: &str = "/bcdn_token=";
const IGNORE: &str = "token_ignore_params";

/// bunny.net's tokens.
#[derive(Debug)]
pub struct Bunny;

/// The parameters that a token comes with, decoded.
struct Parameters<'a> {
    token: &'a str,
    expires: &'a str,
    rest: SmallVec<[(Cow<'a, str>, Cow<'a, str>); 8]>,
}

impl<'a> Parameters<'a> {
    fn read(text: &'a str, token_name: &str) -> Result<Self, Reason> {
        let taken = take(Some(text), [token_name, "expires"])?;
        let mut parameters = Parameters {
            token: taken.value(0).ok_or(Reason::Missing)?,
            expires: taken.value(1).ok_or(Reason::Malformed)?,
            rest: SmallVec::new(),
        };
        let own = |part: &Part<'_>| part.name == token_name || part.name == "expires";
        for part in parts(text).filter(|part| !own(part)) {
            let (name, value) = (form_decoded(part.name)?, form_decoded(part.value)?);
            // In what is signed nothing is escaped.
            if name.is_empty() || name.contains(['=', '&']) || value.contains('&') {
                return Err(Reason::Ambiguous);
            }
            parameters.rest.push((name, value));
        }
        parameters.in_order()?;
        Ok(parameters)
    }

    /// What is signed stands in one order, and is there once.
    fn in_order(&self) -> Result<(), Reason> {
        let count = |name: &str| self.rest.iter().filter(|(known, _)| *known == name).count();
        if count(IGNORE) > 1 || count("token_path") > 1 {
            return Err(Reason::Twice);
        }
        let mut neighbours = self.rest.windows(2).filter(|_| !self.ignores_others());
        neighbours.try_for_each(|pair| match pair[0].0.cmp(&pair[1].0) {
            std::cmp::Ordering::Less => Ok(()),
            std::cmp::Ordering::Equal => Err(Reason::Twice),
            std::cmp::Ordering::Greater => Err(Reason::Query),
        })
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.rest.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| &**value)
    }

    fn ignores_others(&self) -> bool {
        self.get(IGNORE) == Some("true")
    }

    /// As they are signed.
    fn signed(&self) -> String {
        let all = !self.ignores_others();
        let kept = self
            .rest
            .iter()
            .filter(|(name, _)| all || *name == IGNORE || *name == "token_path");
        let pairs: Vec<String> = kept.map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("&")
    }
}

/// As a form's text: `+` is a space.
fn form_decoded(text: &str) -> Result<Cow<'_, str>, Reason> {
    match text.contains('+') {
        false => decoded(text),
        true => decoded(&text.replace('+', " ")).map(|text| text.into_owned().into()),
    }
}

/// Where a token was found.
struct Found<'a, 'p> {
    parameters: Parameters<'a>,
    /// The path as it came, without a token.
    path: Cow<'a, str>,
    strip: Strip<'p>,
}

impl<'a> Found<'a, '_> {
    fn of(request: &Request<'a>) -> Result<Self, Reason> {
        match request.raw_path.starts_with(SEGMENT) {
            true => Self::in_path(request),
            false => Self::in_query(request),
        }
    }

    fn in_query(request: &Request<'a>) -> Result<Self, Reason> {
        let query = request.query.unwrap_or_default();
        let parameters = Parameters::read(query, "token")?;
        // `limit` stays: an application may have one of its own.
        let own = |part: &Part<'_>| matches!(part.name, "token" | "expires") || part.name.starts_with("token_");
        Ok(Found {
            strip: Strip {
                query: parts(query).filter(own).map(|part| part.range()).collect(),
                ..Strip::default()
            },
            parameters,
            path: request.raw_path.into(),
        })
    }

    fn in_path(request: &Request<'a>) -> Result<Self, Reason> {
        // What was escaped in the segment could be read in two ways.
        if request.raw_path != request.path {
            return Err(Reason::Ambiguous);
        }
        let path = request.path;
        let end = path[1..].find('/').map(|slash| slash + 1).ok_or(Reason::Malformed)?;
        let parameters = Parameters::read(&path[1..end], "bcdn_token")?;
        let own = |name: &str| name == "limit" || name.starts_with("token_");
        let foreign = parameters.rest.iter().any(|(name, _)| !own(name));
        // What the segment has of the application's would not reach the origin, and what the query has is not signed.
        if foreign || request.query.is_some_and(|query| !query.is_empty()) && !parameters.ignores_others() {
            return Err(Reason::Query);
        }
        Ok(Found {
            parameters,
            path: path[end..].into(),
            strip: Strip {
                path: Some(0..end as u32),
                ..Strip::default()
            },
        })
    }
}

impl Dialect for Bunny {
    fn grant<'p>(&'p self, request: &Request<'_>, check: &mut Check<'_>) -> Result<Grant<'p>, Reason> {
        let Found {
            parameters,
            path,
            strip,
        } = Found::of(request)?;
        check.note("token", || token::shown(parameters.token, CURRENT));
        let until = encoding::seconds(parameters.expires).filter(|_| parameters.expires.len() == 10);
        let until = until.ok_or(Reason::Malformed)?;
        check.not_after(until)?;
        if ["token_countries", "token_countries_blocked"]
            .iter()
            .any(|name| parameters.get(name).is_some())
        {
            check.note("countries", || "an edge does not know where its clients are".to_owned());
            return Err(Reason::Unsupported);
        }
        let odd = match strip.changes_path() {
            true => Oddities::of(&request.at(&path)),
            false => Oddities::of(request),
        };
        let signed_path = match parameters.get("token_path") {
            Some(prefix) => {
                odd.below()?;
                check.noted(
                    "path",
                    prefix,
                    prefix.starts_with('/') && path.starts_with(prefix),
                    Reason::Path,
                )?;
                prefix
            }
            None => {
                odd.exact()?;
                &path
            }
        };
        verify(request.client, signed_path, &parameters, check)?;
        Ok(Grant { strip, until })
    }

    fn sign(&self, order: &Order<'_>) -> Result<Signed, String> {
        order.has_no(&[
            ("from when", order.not_before.is_some()),
            ("anything but a URL", order.carrier != Carrier::Url),
            (
                "a list of parameters",
                order.parameters.is_some_and(|names| names != "*"),
            ),
        ])?;
        let mut query: Vec<String> = parts(order.query.unwrap_or_default())
            .filter(|part| !part.name.is_empty() && order.parameters.is_none())
            .map(|part| format!("{}={}", part.name, part.value))
            .collect();
        query.extend(order.parameters.map(|_| format!("{IGNORE}=true")));
        query.extend(order.prefix.map(|prefix| format!("token_path={prefix}")));
        query.sort_unstable();
        let text = query.join("&");
        let with_own = format!("{text}&token=&expires={}", order.expires);
        let fault = |reason: Reason| reason.means().to_owned();
        let parameters = Parameters::read(with_own.trim_start_matches('&'), "token").map_err(fault)?;
        let client = order.client.map(|client| bytes_of(client.addr()));
        let signed = parameters.signed();
        let path = order.prefix.unwrap_or(order.path);
        let pieces = [
            path.as_bytes(),
            parameters.expires.as_bytes(),
            client.as_deref().unwrap_or_default(),
            signed.as_bytes(),
        ];
        let tag = order.key.hmac(Hash::Sha256, &pieces.concat()).map_err(fault)?;
        let flag = if client.is_some() { FOR_CLIENT } else { "" };
        let token = format!("{CURRENT}{flag}{}", encoding::to_base64url(tag.as_ref()));
        let rest = if text.is_empty() { text } else { format!("&{text}") };
        Ok(Signed {
            text: Order { query: None, ..*order }.url_with(&format!("token={token}{rest}&expires={}", order.expires)),
            message: pieces.concat(),
        })
    }

    fn carries(&self, name: &str) -> bool {
        matches!(name, "token" | "expires") || name.starts_with("token_")
    }

    fn carries_in_path(&self, piece: &str) -> bool {
        piece.starts_with(&SEGMENT[1..])
    }
}

/// The client as it is signed: IPv6 by its network of 64 bits.
fn bytes_of(client: IpAddr) -> SmallVec<[u8; 16]> {
    match client.to_canonical() {
        IpAddr::V4(v4) => SmallVec::from_slice(&v4.octets()),
        v6 => match IpNet::new(v6, 64).map(|net| net.trunc().addr()) {
            Ok(IpAddr::V6(network)) => SmallVec::from_slice(&network.octets()),
            _ => SmallVec::new(),
        },
    }
}

fn verify(client: IpAddr, path: &str, parameters: &Parameters<'_>, check: &mut Check<'_>) -> Result<(), Reason> {
    let expires = parameters.expires.as_bytes();
    let signed = parameters.signed();
    if let Some(token) = parameters.token.strip_prefix(CURRENT) {
        let (client, token) = match token.strip_prefix(FOR_CLIENT) {
            Some(token) => (bytes_of(client), token),
            None => (SmallVec::new(), token),
        };
        let tag: [u8; 32] = encoding::base64url_exact(token).ok_or(Reason::Malformed)?;
        return check.any_hmac(
            Hash::Sha256,
            &[path.as_bytes(), expires, &client, signed.as_bytes()],
            0,
            &tag,
        );
    }
    let client = client.to_canonical().to_string();
    let clients = ["", client.as_str()];
    if let Some(tag) = encoding::base64url_exact::<32>(parameters.token) {
        return any_digest(check, &clients, &tag, |key, client| {
            sha256(&[
                key.bytes()?,
                path.as_bytes(),
                expires,
                client.as_bytes(),
                signed.as_bytes(),
            ])
        });
    }
    let tag: [u8; 16] = encoding::base64url_exact(parameters.token).ok_or(Reason::Malformed)?;
    check.allows("md5")?;
    if !parameters.rest.is_empty() {
        check.note("query", || {
            "not signed in this form, so that there must be none".to_owned()
        });
        return Err(Reason::Query);
    }
    any_digest(check, &clients, &tag, |key, client| {
        md5(&[key.bytes()?, path.as_bytes(), expires, client.as_bytes()])
    })
}

/// Whether one of the keys makes this digest, with the client or without.
fn any_digest(
    check: &mut Check<'_>,
    clients: &[&str],
    tag: &[u8],
    digest: impl Fn(&Key, &str) -> Result<SmallVec<[u8; 32]>, Reason>,
) -> Result<(), Reason> {
    check.any(|check, key| {
        check.computes()?;
        let mut tried = clients.iter().map(|client| {
            let computed = digest(key, client)?;
            // What is signed begins with the key: it is not shown.
            check.compared(key, &[], &computed, tag)
        });
        tried
            .find(|tried| *tried != Err(Reason::Signature))
            .unwrap_or(Err(Reason::Signature))
    })
}

fn sha256(pieces: &[&[u8]]) -> Result<SmallVec<[u8; 32]>, Reason> {
    let mut context = Context::new(&SHA256);
    pieces.iter().for_each(|piece| context.update(piece));
    Ok(SmallVec::from_slice(context.finish().as_ref()))
}

/// The MD5 of pieces as one text: for dialects that have nothing better.
pub(super) fn md5(pieces: &[&[u8]]) -> Result<SmallVec<[u8; 32]>, Reason> {
    let mut context = Md5::new();
    pieces.iter().for_each(|piece| context.update(piece));
    Ok(SmallVec::from_slice(&context.finalize()))
}
