//! Verge's own tokens, version 1.
//!
//! A token is one text of unreserved characters (RFC 3986 2.3), so that nobody on the way has a reason to escape it:
//!
//! ```text
//! v1~kKEY~eEXPIRES[~nNOT-BEFORE][~cNETWORK][~pPREFIX][~qNAMES]~sSIGNATURE
//! ```
//!
//! Fields are separated by `~`, stand in this order, each at most once, and begin with the letter given here:
//! - `k`: the key's name.
//! - `e`, `n`: whole seconds since 1970 in decimal digits without leading zeros: the first at which the token is no longer
//!   good, and the first at which it is.
//! - `c`: base64url (RFC 4648 5, no padding) of the client's network, such as `192.0.2.0/24` or `2001:db8::/32`.
//! - `p`: base64url of a path. The token is good for it and for all below it; else for the one path that was signed.
//! - `q`: base64url of names of query parameters separated by commas, or of `*`. The query may hold parameters of these
//!   names and no others; else it must be the one that was signed.
//! - `s`: base64url of the signature: HMAC-SHA256 or Ed25519, as the key is; the token has no say in it. It is over
//!
//! ```text
//! verge1 LF host LF path LF query LF token
//! ```
//!
//! where `host` is in lower case, with its port unless that is the scheme's own; `path` is the normalised path (see
//! [`crate::target::normalise_path`]), or nothing if there is a `p`; `query` is `?` and the query without the token's
//! parameter and the `&` that went with it, or nothing if none is left or there is a `q`; and `token` is the token up to
//! the `~` before `s`. None of them can hold a line feed. Tokens are for both schemes.

use ipnet::IpNet;

use super::check::Check;
use super::keys::{Hash, Kind, Scheme};
use super::path::{Oddities, lies_below};
use super::sign::{Order, Signed, place_token};
use super::strip::Grant;
use super::token::{self, Place};
use super::{Dialect, Key, Reason, Request, encoding, query};

const BEGIN: &str = "v1~";

/// Verge's own tokens.
#[derive(Debug)]
pub struct Verge {
    places: Vec<Place>,
}

impl Verge {
    /// Tokens in one of these places.
    pub fn new(places: Vec<Place>) -> Self {
        Verge { places }
    }
}

/// A token taken apart.
#[derive(Clone, Copy, Debug)]
struct Token<'a> {
    key: &'a str,
    expires: u64,
    not_before: Option<u64>,
    client: Option<&'a str>,
    prefix: Option<&'a str>,
    names: Option<&'a str>,
    signature: &'a str,
    /// All before the signature.
    signed: &'a str,
}

impl<'a> Token<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut fields = Fields(text.strip_prefix(BEGIN)?);
        let (key, expires) = (fields.next(b'k')?, encoding::seconds(fields.next(b'e')?)?);
        let not_before = match fields.next(b'n') {
            Some(text) => Some(encoding::seconds(text)?),
            None => None,
        };
        let (client, prefix, names) = (fields.next(b'c'), fields.next(b'p'), fields.next(b'q'));
        let end = text.len() - fields.0.len();
        let signature = fields.next(b's')?;
        let token = Token {
            key,
            expires,
            not_before,
            client,
            prefix,
            names,
            signature,
            signed: text[..end].strip_suffix('~')?,
        };
        (end + 1 + signature.len() == text.len()).then_some(token)
    }
}

/// What is left of a token, from a field's letter on.
struct Fields<'a>(&'a str);

impl<'a> Fields<'a> {
    /// The field that is next, without its letter, if it is this one.
    fn next(&mut self, letter: u8) -> Option<&'a str> {
        if self.0.as_bytes().first() != Some(&letter) {
            return None;
        }
        let end = memchr::memchr(b'~', self.0.as_bytes());
        let field = &self.0[1..end.unwrap_or(self.0.len())];
        self.0 = end.map_or("", |end| &self.0[end + 1..]);
        Some(field)
    }
}

/// A field that is written in base64url.
fn written(field: &str) -> Result<String, Reason> {
    let bytes = encoding::base64url(field).ok_or(Reason::Malformed)?;
    String::from_utf8(bytes).map_err(|_| Reason::Malformed)
}

impl Dialect for Verge {
    fn grant<'p>(&'p self, request: &Request<'_>, check: &mut Check<'_>) -> Result<Grant<'p>, Reason> {
        let found = token::find(request, &self.places)?;
        let path = found.path(request);
        let request = &found.request(request, &path);
        check.note("token", || token::shown(found.text, "~s"));
        let token = Token::read(found.text).ok_or(Reason::Malformed)?;
        check.not_after(token.expires)?;
        token.not_before.map_or(Ok(()), |from| check.not_before(from))?;
        let key = check.key(token.key)?;
        if let Some(field) = token.client {
            let network = written(field)?.parse::<IpNet>().map_err(|_| Reason::Malformed)?;
            check.client(request.client, network)?;
        }
        let path = signed_path(request, &token, check)?;
        let query = found.strip.query(request.query);
        let rest = rest(query.as_deref(), &token, check)?;
        let message = Message {
            host: request.host,
            path,
            query: rest,
            token: token.signed,
        };
        message.verify(key, token.signature, check)?;
        Ok(Grant {
            strip: found.strip,
            until: token.expires,
        })
    }

    fn sign(&self, order: &Order<'_>) -> Result<Signed, String> {
        let token = unsigned(order);
        let message = Message {
            host: order.host,
            path: if order.prefix.is_some() { "" } else { order.path },
            query: order
                .query
                .filter(|query| order.parameters.is_none() && !query.is_empty()),
            token: &token,
        };
        let signature = match order.key.kind() {
            Kind::Secret => order
                .key
                .hmac(Hash::Sha256, &message.pieces().concat())
                .map(|tag| tag.as_ref().to_vec()),
            _ => Ok(order.key.sign(Scheme::Ed25519, &message.pieces().concat())?),
        };
        let signature = signature.map_err(|reason| reason.means().to_owned())?;
        let token = format!("{token}~s{}", encoding::to_base64url(&signature));
        Ok(Signed {
            text: place_token(&self.places, order, &token)?,
            message: message.pieces().concat(),
        })
    }

    fn carries(&self, name: &str) -> bool {
        token::are_in_query(&self.places, name)
    }

    fn carries_in_path(&self, piece: &str) -> bool {
        token::are_in_path(&self.places, piece)
    }
}

/// The path as it is signed, if the token may be for it.
fn signed_path<'a>(request: &Request<'a>, token: &Token<'_>, check: &mut Check<'_>) -> Result<&'a str, Reason> {
    let odd = Oddities::of(request);
    let Some(field) = token.prefix else {
        odd.exact()?;
        check.note("path", || {
            format!("{}: as it was signed, if the signature is right", request.path)
        });
        return Ok(request.path);
    };
    let prefix = written(field)?;
    if !prefix.starts_with('/') {
        return Err(Reason::Malformed);
    }
    odd.below()?;
    check.noted("path", &prefix, lies_below(request.path, &prefix), Reason::Path)?;
    Ok("")
}

/// The query as it is signed, if the token may be for it.
fn rest<'a>(query: Option<&'a str>, token: &Token<'_>, check: &mut Check<'_>) -> Result<Option<&'a str>, Reason> {
    let query = query.filter(|query| !query.is_empty());
    let Some(field) = token.names else { return Ok(query) };
    let names = written(field)?;
    let allowed = |name: &str| names.split(',').any(|allowed| allowed == name);
    let mut given = query::parts(query.unwrap_or_default());
    let good = names == "*" || given.all(|part| part.name.is_empty() || allowed(part.name));
    check.noted("query", &names, good, Reason::Query)?;
    Ok(None)
}

/// A token without its signature.
fn unsigned(order: &Order<'_>) -> String {
    let mut token = format!("{BEGIN}k{}~e{}", order.key.id(), order.expires);
    let client = order.client.map(|client| client.trunc().to_string());
    let written = [('c', client.as_deref()), ('p', order.prefix), ('q', order.parameters)];
    if let Some(from) = order.not_before {
        token += &format!("~n{from}");
    }
    for (letter, text) in written {
        if let Some(text) = text {
            token += &format!("~{letter}{}", encoding::to_base64url(text.as_bytes()));
        }
    }
    token
}

/// What is signed.
struct Message<'a> {
    host: &'a str,
    path: &'a str,
    query: Option<&'a str>,
    token: &'a str,
}

impl Message<'_> {
    fn pieces(&self) -> [&[u8]; 9] {
        let mark = if self.query.is_some() { "?" } else { "" };
        [
            b"verge1\n",
            self.host.as_bytes(),
            b"\n",
            self.path.as_bytes(),
            b"\n",
            mark.as_bytes(),
            self.query.unwrap_or_default().as_bytes(),
            b"\n",
            self.token.as_bytes(),
        ]
    }

    fn verify(&self, key: &Key, signature: &str, check: &mut Check<'_>) -> Result<(), Reason> {
        match key.kind() {
            Kind::Secret => check.written_hmac(key, &self.pieces(), signature),
            _ => {
                let signature: [u8; 64] = encoding::base64url_exact(signature).ok_or(Reason::Malformed)?;
                check.public(key, Scheme::Ed25519, &self.pieces().concat(), &signature)
            }
        }
    }
}
