//! Amazon CloudFront's signed URLs and cookies.
//!
//! Source: the Amazon CloudFront Developer Guide, "Use signed URLs" and "Use signed cookies". The parts of a token are
//! parameters of the query (`Expires` or `Policy`, `Signature`, `Key-Pair-Id`, `Hash-Algorithm`) or cookies of the same names
//! after `CloudFront-`. The signature is over a policy in JSON: one that came with it, or the canned one, which is made here
//! from the URL and `Expires`. The URL is that which came, without the token's parameters: what is signed is its path as it
//! came, its query in its order. With RSA the signature is of PKCS #1 v1.5, with P-256 it is ASN.1; the hash is SHA-1 unless
//! `Hash-Algorithm` says SHA256, and a site has to name SHA-1 before it is taken.

use std::borrow::Cow;

use data_encoding::Encoding;
use ipnet::IpNet;
use serde::Deserialize;
use smallvec::SmallVec;

use super::check::Check;
use super::encoding::CLOUDFRONT;
use super::keys::{Kind, Scheme};
use super::path::Oddities;
use super::sign::{Carrier, Order, Signed};
use super::strip::{Grant, Strip};
use super::token::LONGEST;
use super::{Dialect, Reason, Request, cookie, encoding, pattern, query};

const PARAMETERS: [&str; 5] = ["Policy", "Expires", "Signature", "Key-Pair-Id", "Hash-Algorithm"];
const COOKIES: [&str; 5] = [
    "CloudFront-Policy",
    "CloudFront-Expires",
    "CloudFront-Signature",
    "CloudFront-Key-Pair-Id",
    "CloudFront-Hash-Algorithm",
];

/// CloudFront's signed URLs and cookies.
#[derive(Debug)]
pub struct CloudFront;

/// A token's parts, in the order of [`PARAMETERS`].
struct Token<'a, 'p> {
    parts: [Option<&'a str>; 5],
    strip: Strip<'p>,
}

impl<'a> Token<'a, '_> {
    /// The URL's goes before the cookies'.
    fn find(request: &Request<'a>) -> Result<Self, Reason> {
        let taken = query::take(request.query, PARAMETERS)?;
        if !taken.is_empty() {
            return Ok(Token {
                parts: std::array::from_fn(|at| taken.value(at)),
                strip: Strip {
                    query: taken.ranges(),
                    ..Strip::default()
                },
            });
        }
        let mut parts = [None; 5];
        let mut cookies = SmallVec::new();
        for (part, name) in parts.iter_mut().zip(COOKIES) {
            *part = cookie::find(request.fields, name)?;
            cookies.extend(part.map(|_| name));
        }
        let strip = Strip {
            cookies,
            ..Strip::default()
        };
        if strip.cookies.is_empty() {
            Err(Reason::Missing)
        } else {
            Ok(Token { parts, strip })
        }
    }

    fn part(&self, which: usize) -> Result<&'a str, Reason> {
        let part = self.parts[which].filter(|part| !part.is_empty() && part.len() <= LONGEST);
        part.ok_or(Reason::Malformed)
    }
}

/// What is signed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy<'a> {
    #[serde(rename = "Statement", borrow)]
    statements: Vec<Statement<'a>>,
    #[serde(rename = "Id", default)]
    _id: Option<String>,
    #[serde(rename = "Version", default)]
    _version: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Statement<'a> {
    #[serde(borrow)]
    resource: Option<Cow<'a, str>>,
    condition: Condition,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Condition {
    date_less_than: Time,
    date_greater_than: Option<Time>,
    ip_address: Option<Address>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Time {
    #[serde(rename = "AWS:EpochTime")]
    seconds: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Address {
    #[serde(rename = "AWS:SourceIp")]
    network: String,
}

/// The policy that a URL and `Expires` stand for.
fn canned(url: &str, expires: &str) -> String {
    format!(r#"{{"Statement":[{{"Resource":"{url}","Condition":{{"DateLessThan":{{"AWS:EpochTime":{expires}}}}}}}]}}"#)
}

/// The URL as it was signed.
fn url(request: &Request<'_>, strip: &Strip<'_>) -> String {
    let query = strip.query(request.query);
    let mark = if query.is_some() { "?" } else { "" };
    let mut url = request.origin().concat() + request.raw_path + mark;
    url.push_str(query.as_deref().unwrap_or_default());
    url
}

impl Dialect for CloudFront {
    fn grant<'p>(&'p self, request: &Request<'_>, check: &mut Check<'_>) -> Result<Grant<'p>, Reason> {
        let token = Token::find(request)?;
        let url = url(request, &token.strip);
        let (message, until) = match (token.parts[0], token.parts[1]) {
            (Some(_), Some(_)) => return Err(Reason::Ambiguous),
            (Some(_), None) => custom(request, &url, token.part(0)?, check)?,
            (None, _) => exact(request, &url, token.part(1)?, check)?,
        };
        let key = check.key(token.part(3)?)?;
        let scheme = scheme(key.kind(), token.parts[4])?;
        let signature = encoding()?
            .decode(token.part(2)?.as_bytes())
            .map_err(|_| Reason::Malformed)?;
        check.public(key, scheme, &message, &signature)?;
        Ok(Grant {
            strip: token.strip,
            until,
        })
    }

    fn sign(&self, order: &Order<'_>) -> Result<Signed, String> {
        order.has_no(&[("which parameters may follow", order.parameters.is_some())])?;
        let scheme = scheme(order.key.kind(), Some("SHA256")).map_err(|reason| reason.means().to_owned())?;
        let message = ordered(order);
        let code = encoding().map_err(|reason| reason.means().to_owned())?;
        let signature = code.encode(&order.key.sign(scheme, message.as_bytes())?);
        let first = match is_canned(order) {
            true => ("Expires", order.expires.to_string()),
            false => ("Policy", code.encode(message.as_bytes())),
        };
        let parts = [
            first,
            ("Signature", signature),
            ("Key-Pair-Id", order.key.id().to_owned()),
            ("Hash-Algorithm", "SHA256".to_owned()),
        ];
        let joined = |prefix: &str, by: &str| {
            let parts = parts.iter().map(|(name, value)| format!("{prefix}{name}={value}"));
            parts.collect::<Vec<_>>().join(by)
        };
        let text = match order.carrier {
            Carrier::Url => order.url_with(&joined("", "&")),
            Carrier::Cookie => joined("CloudFront-", "\n"),
            Carrier::Field => return Err("this dialect has tokens in URLs and cookies only".to_owned()),
        };
        Ok(Signed {
            text,
            message: message.into_bytes(),
        })
    }

    fn carries(&self, name: &str) -> bool {
        PARAMETERS.contains(&name)
    }
}

fn encoding() -> Result<&'static Encoding, Reason> {
    CLOUDFRONT.as_ref().ok_or(Reason::Unsupported)
}

fn is_canned(order: &Order<'_>) -> bool {
    order.prefix.is_none() && order.client.is_none() && order.not_before.is_none()
}

/// The policy that is ordered.
fn ordered(order: &Order<'_>) -> String {
    if is_canned(order) {
        return canned(&order.url(), &order.expires.to_string());
    }
    let resource = order.prefix.map_or_else(
        || order.url(),
        |prefix| format!("{}://{}{prefix}*", order.scheme, order.host),
    );
    let time = |seconds: u64| serde_json::json!({ "AWS:EpochTime": seconds });
    let mut condition = serde_json::json!({ "DateLessThan": time(order.expires) });
    if let Some(from) = order.not_before {
        condition["DateGreaterThan"] = time(from);
    }
    if let Some(client) = order.client {
        condition["IpAddress"] = serde_json::json!({ "AWS:SourceIp": client.to_string() });
    }
    serde_json::json!({ "Statement": [{ "Resource": resource, "Condition": condition }] }).to_string()
}

/// What is signed with `Expires`.
fn exact(request: &Request<'_>, url: &str, expires: &str, check: &mut Check<'_>) -> Result<(Vec<u8>, u64), Reason> {
    let until = encoding::seconds(expires).ok_or(Reason::Malformed)?;
    check.not_after(until)?;
    Oddities::of(request).exact()?;
    // Either would end the text in the JSON, or escape what ends it.
    if url.contains(['"', '\\']) {
        return Err(Reason::Ambiguous);
    }
    Ok((canned(url, expires).into_bytes(), until))
}

/// What is signed with a policy of its own.
fn custom(request: &Request<'_>, url: &str, policy: &str, check: &mut Check<'_>) -> Result<(Vec<u8>, u64), Reason> {
    let json = encoding()?.decode(policy.as_bytes()).map_err(|_| Reason::Malformed)?;
    check.note("policy", || json.escape_ascii().to_string());
    let policy: Policy<'_> = serde_json::from_slice(&json).map_err(|_| Reason::Malformed)?;
    let [statement] = policy.statements.as_slice() else {
        return Err(Reason::Malformed);
    };
    let condition = &statement.condition;
    check.not_after(condition.date_less_than.seconds)?;
    if let Some(from) = &condition.date_greater_than {
        check.not_before(from.seconds)?;
    }
    if let Some(address) = &condition.ip_address {
        check.client(request.client, network(&address.network)?)?;
    }
    resource(request, url, statement.resource.as_deref(), check)?;
    let until = condition.date_less_than.seconds;
    Ok((json, until))
}

/// A network, or one address.
fn network(text: &str) -> Result<IpNet, Reason> {
    let alone = || text.parse::<std::net::IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| alone()).map_err(|_| Reason::Malformed)
}

/// A policy without a resource is for all that its key is for.
fn resource(request: &Request<'_>, url: &str, resource: Option<&str>, check: &mut Check<'_>) -> Result<(), Reason> {
    let odd = Oddities::of(request);
    let Some(resource) = resource else {
        return odd.below();
    };
    match pattern::is_pattern(resource) {
        // `?` in a URL also begins its query: then it is no pattern, if the rest is the same to the letter.
        true if resource == url => odd.exact()?,
        true => odd.below()?,
        false => odd.exact()?,
    }
    check.noted("path", resource, resource == url || within(resource, url), Reason::Path)
}

/// Whether a URL matches, with a pattern's host for its host alone: no `*` there reaches into the path.
fn within(resource: &str, url: &str) -> bool {
    let split = |text: &'_ str| {
        let authority = text.find("://").map_or(0, |at| at + 3);
        text[authority..].find('/').map(|slash| authority + slash)
    };
    match (split(resource), split(url)) {
        (Some(pattern_at), Some(url_at)) => {
            pattern::matches(&resource[..pattern_at], &url[..url_at])
                && pattern::matches(&resource[pattern_at..], &url[url_at..])
        }
        (None, Some(_)) => resource.ends_with('*') && pattern::matches(resource, url),
        _ => false,
    }
}

/// The algorithm is the key's; the token names the hash.
fn scheme(kind: Kind, hash: Option<&str>) -> Result<Scheme, Reason> {
    match (kind, hash) {
        (Kind::Rsa, Some("SHA256")) => Ok(Scheme::RsaSha256),
        (Kind::Rsa, None | Some("SHA1")) => Ok(Scheme::RsaSha1),
        (Kind::P256, Some("SHA256")) => Ok(Scheme::P256Asn1),
        (Kind::P256, None | Some("SHA1")) => Ok(Scheme::P256Sha1Asn1),
        _ => Err(Reason::Algorithm),
    }
}
