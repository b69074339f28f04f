//! Akamai's EdgeAuth 2.0 tokens, in a query, cookie or field.
//!
//! Source: Akamai's published libraries ("EdgeAuth-Token") and "Auth Token 2.0 Verification". A token is fields between `~`:
//! `ip`, `st` (start), `exp`, `acl`, `id`, `data`, and last `hmac`, in hexadecimal digits: HMAC-SHA256 over all before it and,
//! unsent, `~url=` with the URL's path where there is no `acl`, and `~salt=` with the site's salt. `acl` is paths separated by
//! `!`, in which `*` stands for any text and `?` for one character.
//!
//! The path is the one that came, and with `url` also the query without the token: nothing can be appended. An application
//! whose library escapes early signs that path escaped; both are tried, which no path can be mistaken for. `acl` says nothing of
//! the query.

use std::borrow::Cow;
use std::net::IpAddr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use smallvec::SmallVec;

use super::check::Check;
use super::keys::Hash;
use super::path::Oddities;
use super::sign::{Order, Signed, place_token};
use super::strip::Grant;
use super::token::{self, Place};
use super::{Dialect, Reason, Request, encoding, pattern};
use crate::config::SecretText;

/// What the library for Python escapes.
const PYTHON: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-').remove(b'~');

/// What the library for JavaScript does.
const JAVASCRIPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'_')
    .remove(b'.')
    .remove(b'-')
    .remove(b'!')
    .remove(b'(')
    .remove(b')');

/// EdgeAuth 2.0 tokens.
#[derive(Debug)]
pub struct Akamai {
    places: Vec<Place>,
    salt: Option<SecretText>,
}

impl Akamai {
    /// Tokens in one of these places, made with this salt.
    pub fn new(places: Vec<Place>, salt: Option<SecretText>) -> Self {
        Akamai { places, salt }
    }
}

#[derive(Default)]
struct Token<'a> {
    ip: Option<&'a str>,
    start: Option<&'a str>,
    expires: Option<&'a str>,
    acl: Option<&'a str>,
    id: Option<&'a str>,
    data: Option<&'a str>,
    hmac: &'a str,
    /// All before `~hmac=`.
    signed: &'a str,
}

impl<'a> Token<'a> {
    fn read(text: &'a str) -> Result<Self, Reason> {
        let (signed, hmac) = text.rsplit_once("~hmac=").ok_or(Reason::Malformed)?;
        let mut token = Token {
            hmac,
            signed,
            ..Token::default()
        };
        for field in signed.split('~') {
            let (name, value) = field.split_once('=').ok_or(Reason::Malformed)?;
            let place = match name {
                "ip" => &mut token.ip,
                "st" => &mut token.start,
                "exp" => &mut token.expires,
                "acl" => &mut token.acl,
                "id" => &mut token.id,
                "data" => &mut token.data,
                _ => return Err(Reason::Malformed),
            };
            if place.replace(value).is_some() {
                return Err(Reason::Twice);
            }
        }
        Ok(token)
    }

    /// What of it can be judged without a signature. Gives when it ends.
    fn judge(&self, request: &Request<'_>, check: &mut Check<'_>) -> Result<u64, Reason> {
        let until = self.expires.and_then(encoding::seconds).ok_or(Reason::Malformed)?;
        check.not_after(until)?;
        if let Some(start) = self.start {
            check.not_before(encoding::seconds(start).ok_or(Reason::Malformed)?)?;
        }
        if let Some(ip) = self.ip {
            let ip: IpAddr = percent_decode_str(ip)
                .decode_utf8()
                .ok()
                .and_then(|ip| ip.parse().ok())
                .ok_or(Reason::Malformed)?;
            check.client(request.client, ip.into())?;
        }
        let odd = Oddities::of(request);
        match self.acl {
            None => odd.exact()?,
            Some(acl) => allows(acl, request, odd, check)?,
        }
        Ok(until)
    }
}

/// Whether one of the paths is the request's, or stands for it.
fn allows(acl: &str, request: &Request<'_>, odd: Oddities, check: &mut Check<'_>) -> Result<(), Reason> {
    let same = acl
        .split('!')
        .any(|path| path == request.raw_path && !pattern::is_pattern(path));
    if same {
        odd.exact()?
    } else {
        odd.below()?
    }
    let matches = same || acl.split('!').any(|path| pattern::matches(path, request.raw_path));
    check.noted("path", acl, matches, Reason::Path)
}

impl Dialect for Akamai {
    fn grant<'p>(&'p self, request: &Request<'_>, check: &mut Check<'_>) -> Result<Grant<'p>, Reason> {
        let found = token::find(request, &self.places)?;
        let path = found.path(request);
        let request = &found.request(request, &path);
        check.note("token", || token::shown(found.text, "hmac="));
        // Somebody on the way may have escaped what a query need not escape.
        let text = match found.text.contains('~') {
            true => Cow::Borrowed(found.text),
            false => percent_decode_str(found.text)
                .decode_utf8()
                .map_err(|_| Reason::Malformed)?,
        };
        let token = Token::read(&text)?;
        let until = token.judge(request, check)?;
        let tag: [u8; 32] = encoding::hex_exact(token.hmac).ok_or(Reason::Malformed)?;
        let query = found.strip.query(request.query);
        self.verify(&token, request.raw_path, query.as_deref(), &tag, check)?;
        Ok(Grant {
            strip: found.strip,
            until,
        })
    }

    fn sign(&self, order: &Order<'_>) -> Result<Signed, String> {
        order.has_no(&[("which parameters may follow", order.parameters.is_some())])?;
        let fields = fields(order)?;
        let url = order
            .query
            .map_or_else(|| order.path.to_owned(), |query| format!("{}?{query}", order.path));
        let url = if order.prefix.is_none() {
            Some(url.as_str())
        } else {
            None
        };
        let message = self.message(&fields, url);
        let tag = order
            .key
            .hmac(Hash::Sha256, &message.concat())
            .map_err(|reason| reason.means().to_owned())?;
        // The salt is a secret.
        let shown = message.len() - usize::from(self.salt.is_some());
        let token = format!("{fields}~hmac={}", encoding::to_hex(tag.as_ref()));
        Ok(Signed {
            text: place_token(&self.places, order, &token)?,
            message: message[..shown].concat(),
        })
    }

    fn carries(&self, name: &str) -> bool {
        token::are_in_query(&self.places, name)
    }

    fn carries_in_path(&self, piece: &str) -> bool {
        token::are_in_path(&self.places, piece)
    }
}

fn fields(order: &Order<'_>) -> Result<String, String> {
    let mut fields = String::new();
    if let Some(client) = order.client {
        if client.prefix_len() != client.max_prefix_len() {
            return Err("this dialect names one client, not a network".to_owned());
        }
        fields += &format!("ip={}~", client.addr());
    }
    if let Some(from) = order.not_before {
        fields += &format!("st={from}~");
    }
    fields += &format!("exp={}", order.expires);
    if let Some(prefix) = order.prefix {
        fields += &format!("~acl={prefix}*");
    }
    Ok(fields)
}

impl Akamai {
    fn message<'m>(&'m self, fields: &'m str, url: Option<&'m str>) -> SmallVec<[&'m [u8]; 5]> {
        let mut pieces: SmallVec<[&[u8]; 5]> = SmallVec::new();
        pieces.push(fields.as_bytes());
        if let Some(url) = url {
            pieces.extend([b"~url=", url.as_bytes()]);
        }
        if let Some(salt) = &self.salt {
            pieces.extend([b"~salt=", salt.expose().as_bytes()]);
        }
        pieces
    }

    fn verify(
        &self,
        token: &Token<'_>,
        path: &str,
        query: Option<&str>,
        tag: &[u8; 32],
        check: &mut Check<'_>,
    ) -> Result<(), Reason> {
        let secret = usize::from(self.salt.is_some());
        if token.acl.is_some() {
            return check.any_hmac(Hash::Sha256, &self.message(token.signed, None), secret, tag);
        }
        let url = query.map_or(Cow::Borrowed(path), |query| format!("{path}?{query}").into());
        let plain = check.any_hmac(Hash::Sha256, &self.message(token.signed, Some(&url)), secret, tag);
        if plain != Err(Reason::Signature) {
            return plain;
        }
        let escaped = [PYTHON, JAVASCRIPT].map(|set| lower_escapes(&utf8_percent_encode(&url, set).to_string()));
        let mut tried = escaped
            .iter()
            .map(|url| check.any_hmac(Hash::Sha256, &self.message(token.signed, Some(url)), secret, tag));
        tried.find(Result::is_ok).unwrap_or(plain)
    }
}

/// The libraries write escapes in lower case.
fn lower_escapes(text: &str) -> String {
    let mut left = 0;
    let letters = text.chars().map(|letter| {
        let in_escape = left > 0;
        left = if letter == '%' {
            2
        } else {
            left - usize::from(in_escape)
        };
        if in_escape { letter.to_ascii_lowercase() } else { letter }
    });
    letters.collect()
}
