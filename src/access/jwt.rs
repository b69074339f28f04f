//! JSON Web Tokens (RFC 7515, RFC 7519): plain ones with a claim for the path, and URI Signing for CDNI (RFC 9246).
//!
//! A token is signed by a key of the route; the algorithm that it names must be one of that kind of key, so that none is
//! taken down: `HS256/384/512` with a secret, `RS256/384/512`, `ES256`, `ES384`, `EdDSA`. `none` does not exist. Without `kid` each
//! key of that kind is tried.
//!
//! `exp` must be there, `nbf` is heeded, `iss` must be the route's `issuer` where it has one. `aud` must name the route's
//! `audience`; a token with an `aud` is refused where the route has none (RFC 7519 4.1.3). What is granted:
//! - with `cdniuc` (RFC 9246 2.1.10), the URL, without the token, that has this hash, or that all of the regular expression
//!   matches. The URL's path is the one that came, its query is part of it.
//! - else the paths that the claim `path_claim` gives, one or a list, in which `*` stands for any text. Their query is free.
//! - else, where `path_claim` is empty, whatever the route is for.
//!
//! Not here: encrypted claims (`cdniip`), renewal (`cdniets`, `cdnistt`; without it a token just ends), and remembering
//! `jti`. A token that calls one of them critical (`cdnicrit`), or has `cdniip`, is refused.

use std::borrow::Cow;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use regex_lite::RegexBuilder;
use serde::Deserialize;
use serde_json::Value;

use super::check::Check;
use super::keys::{Hash, Key, Kind, Scheme};
use super::path::Oddities;
use super::sign::{Order, Signed, place_token};
use super::strip::{Grant, Strip};
use super::token::{self, Place};
use super::{Dialect, Reason, Request, encoding, pattern};

/// Bytes that a compiled regular expression of a token may take.
const REGEX: usize = 64 * 1024;

/// Claims of RFC 9246 that are understood.
const UNDERSTOOD: [&str; 7] = ["iss", "aud", "exp", "nbf", "iat", "cdniv", "cdniuc"];

/// JSON Web Tokens.
#[derive(Debug)]
pub struct Jwt {
    places: Vec<Place>,
    issuer: Option<Box<str>>,
    audience: Option<Box<str>>,
    path_claim: Box<str>,
}

impl Jwt {
    /// Tokens in one of these places, of this issuer and for this audience where there is one.
    pub fn new(places: Vec<Place>, issuer: Option<Box<str>>, audience: Option<Box<str>>, path_claim: &str) -> Self {
        Jwt {
            places,
            issuer,
            audience,
            path_claim: path_claim.into(),
        }
    }
}

#[derive(Deserialize)]
struct Header<'a> {
    alg: Cow<'a, str>,
    kid: Option<String>,
    /// RFC 7515 4.1.11: nothing that may stand here is understood.
    crit: Option<Value>,
    b64: Option<Value>,
}

#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
    aud: Option<OneOrMany>,
    exp: Option<Number>,
    nbf: Option<Number>,
    cdniv: Option<u64>,
    cdnicrit: Option<String>,
    cdniip: Option<Value>,
    cdniuc: Option<String>,
    #[serde(flatten)]
    others: Others,
}

/// The claims of other names; one that is there twice is an error.
#[derive(Default)]
struct Others(std::collections::BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Others {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Others;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("claims")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Others, A::Error> {
                let mut others = Others::default();
                while let Some((name, value)) = map.next_entry()? {
                    if others.0.insert(name, value).is_some() {
                        return Err(serde::de::Error::custom("a claim is there twice"));
                    }
                }
                Ok(others)
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// RFC 7519 2, NumericDate: a fraction is left out.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Number {
    Whole(u64),
    Fraction(f64),
}

impl Number {
    fn seconds(self) -> Result<u64, Reason> {
        match self {
            Number::Whole(seconds) => Ok(seconds),
            Number::Fraction(seconds) if (0.0..1e12).contains(&seconds) => Ok(seconds as u64),
            Number::Fraction(_) => Err(Reason::Malformed),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn all(&self) -> &[String] {
        match self {
            OneOrMany::One(one) => std::slice::from_ref(one),
            OneOrMany::Many(many) => many,
        }
    }
}

/// A compact token (RFC 7515 3.1) taken apart.
struct Compact<'a> {
    header: &'a str,
    claims: &'a str,
    signature: Vec<u8>,
    /// What is signed: the first two with their dot.
    signed: &'a str,
}

impl<'a> Compact<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let whole = !claims.contains('.') && !text.contains('=');
        let signature = encoding::base64url(signature)?;
        (whole && !signature.is_empty()).then_some(Compact {
            header,
            claims,
            signature,
            signed,
        })
    }
}

impl Dialect for Jwt {
    fn grant<'p>(&'p self, request: &Request<'_>, check: &mut Check<'_>) -> Result<Grant<'p>, Reason> {
        let found = token::find(request, &self.places)?;
        let path = found.path(request);
        let request = &found.request(request, &path);
        let compact = Compact::read(found.text).ok_or(Reason::Malformed)?;
        let header = encoding::base64url(compact.header).ok_or(Reason::Malformed)?;
        let header: Header<'_> = serde_json::from_slice(&header).map_err(|_| Reason::Malformed)?;
        let claims = encoding::base64url(compact.claims).ok_or(Reason::Malformed)?;
        check.note("claims", || claims.escape_ascii().to_string());
        let claims: Claims = serde_json::from_slice(&claims).map_err(|_| Reason::Malformed)?;
        if header.crit.is_some() || header.b64.is_some() {
            return Err(Reason::Unsupported);
        }
        let until = self.judge(&claims, check)?;
        verify(&compact, &header, check)?;
        // A regular expression is only compiled once it is known who wrote it.
        self.covers(&claims, request, &found.strip, check)?;
        Ok(Grant {
            strip: found.strip,
            until,
        })
    }

    fn sign(&self, order: &Order<'_>) -> Result<Signed, String> {
        order.has_no(&[
            ("for which client", order.client.is_some()),
            ("which parameters may follow", order.parameters.is_some()),
        ])?;
        let (name, algorithm) = algorithm_of(order.key)?;
        let header = serde_json::json!({ "alg": name, "typ": "JWT", "kid": order.key.id() }).to_string();
        let claims = self.ordered(order).to_string();
        let message = [header, claims]
            .map(|json| encoding::to_base64url(json.as_bytes()))
            .join(".");
        let signature = match algorithm {
            Algorithm::Hmac(hash) => {
                let tag = order
                    .key
                    .hmac(hash, message.as_bytes())
                    .map_err(|reason| reason.means().to_owned())?;
                tag.as_ref().to_vec()
            }
            Algorithm::Public(scheme) => order.key.sign(scheme, message.as_bytes())?,
        };
        let token = format!("{message}.{}", encoding::to_base64url(&signature));
        Ok(Signed {
            text: place_token(&self.places, order, &token)?,
            message: message.into_bytes(),
        })
    }

    fn carries(&self, name: &str) -> bool {
        token::are_in_query(&self.places, name)
    }

    fn carries_in_path(&self, piece: &str) -> bool {
        token::are_in_path(&self.places, piece)
    }
}

impl Jwt {
    /// What of the claims can be judged without a signature. Gives when they end.
    fn judge(&self, claims: &Claims, check: &mut Check<'_>) -> Result<u64, Reason> {
        let until = claims.exp.ok_or(Reason::Malformed)?.seconds()?;
        check.not_after(until)?;
        if let Some(from) = claims.nbf {
            check.not_before(from.seconds()?)?;
        }
        if let Some(issuer) = self.issuer.as_deref() {
            let good = claims.iss.as_deref() == Some(issuer);
            check.noted("issuer", claims.iss.as_deref().unwrap_or("-"), good, Reason::Issuer)?;
        }
        let audience = claims.aud.as_ref().map_or(&[][..], OneOrMany::all);
        let good = match self.audience.as_deref() {
            Some(expected) => audience.iter().any(|audience| audience == expected),
            None => claims.aud.is_none(),
        };
        check.noted("audience", &audience.join(" "), good, Reason::Issuer)?;
        let critical = claims.cdnicrit.iter().flat_map(|names| names.split(','));
        let unknown = critical.map(str::trim).any(|name| !UNDERSTOOD.contains(&name));
        if unknown || claims.cdniip.is_some() || claims.cdniv.is_some_and(|version| version != 1) {
            return Err(Reason::Unsupported);
        }
        Ok(until)
    }

    /// Whether the claims grant this request.
    fn covers(
        &self,
        claims: &Claims,
        request: &Request<'_>,
        strip: &Strip<'_>,
        check: &mut Check<'_>,
    ) -> Result<(), Reason> {
        let odd = Oddities::of(request);
        if let Some(container) = &claims.cdniuc {
            return covers_url(container, request, strip, odd, check);
        }
        if self.path_claim.is_empty() {
            return odd.below();
        }
        let claim = claims.others.0.get(&*self.path_claim).ok_or(Reason::Path)?;
        let paths: Vec<&str> = match claim {
            Value::String(path) => vec![path],
            Value::Array(paths) => paths
                .iter()
                .map(Value::as_str)
                .collect::<Option<_>>()
                .ok_or(Reason::Malformed)?,
            _ => return Err(Reason::Malformed),
        };
        let same = paths.contains(&request.raw_path) && !request.raw_path.contains('*');
        if same {
            odd.exact()?
        } else {
            odd.below()?
        }
        // A `?` ends a path: here it stands for itself, and so for nothing.
        let patterns = paths.iter().filter(|path| path.contains('*') && !path.contains('?'));
        let good = same
            || patterns
                .into_iter()
                .any(|path| pattern::matches(path, request.raw_path));
        check.noted("path", &paths.join(" "), good, Reason::Path)
    }

    fn ordered(&self, order: &Order<'_>) -> Value {
        let mut claims = serde_json::json!({ "exp": order.expires });
        let path = order
            .prefix
            .map_or_else(|| order.path.to_owned(), |prefix| format!("{prefix}*"));
        let own = [("iss", self.issuer.as_deref()), ("aud", self.audience.as_deref())];
        for (name, value) in own {
            if let Some(value) = value {
                claims[name] = value.into();
            }
        }
        if let Some(from) = order.not_before {
            claims["nbf"] = from.into();
        }
        if !self.path_claim.is_empty() {
            claims[&*self.path_claim] = path.into();
        }
        claims
    }
}

/// RFC 9246 2.1.10
fn covers_url(
    container: &str,
    request: &Request<'_>,
    strip: &Strip<'_>,
    odd: Oddities,
    check: &mut Check<'_>,
) -> Result<(), Reason> {
    let query = strip.query(request.query);
    let mark = if query.is_some() { "?" } else { "" };
    let url = [
        &request.origin().concat(),
        request.raw_path,
        mark,
        query.as_deref().unwrap_or_default(),
    ]
    .concat();
    let good = match container.split_once(':') {
        Some(("hash", hash)) => {
            odd.exact()?;
            let hash = hash.strip_prefix("sha-256;").and_then(encoding::base64url_exact::<32>);
            let hash = hash.ok_or(Reason::Unsupported)?;
            verify_slices_are_equal(digest(&SHA256, url.as_bytes()).as_ref(), &hash).is_ok()
        }
        Some(("regex", pattern)) => {
            odd.below()?;
            matches_all(pattern, &url)?
        }
        _ => return Err(Reason::Unsupported),
    };
    check.noted("path", container, good, Reason::Path)
}

/// Whether a regular expression matches all of a text. Takes at most the product of their sizes; one that would take much
/// memory is refused. It is compiled for each request: what compiles fast is worth more here than what matches fast.
pub(super) fn matches_all(pattern: &str, text: &str) -> Result<bool, Reason> {
    let whole = format!(r"\A(?:{pattern})\z");
    let regex = RegexBuilder::new(&whole).size_limit(REGEX).nest_limit(32).build();
    Ok(regex.map_err(|_| Reason::Unsupported)?.is_match(text))
}

#[derive(Clone, Copy)]
enum Algorithm {
    Hmac(Hash),
    Public(Scheme),
}

/// RFC 7518 3.1, RFC 8037 3.1, with the kind of key that each is for.
const ALGORITHMS: [(&str, Kind, Algorithm); 10] = [
    ("HS256", Kind::Secret, Algorithm::Hmac(Hash::Sha256)),
    ("HS384", Kind::Secret, Algorithm::Hmac(Hash::Sha384)),
    ("HS512", Kind::Secret, Algorithm::Hmac(Hash::Sha512)),
    ("RS256", Kind::Rsa, Algorithm::Public(Scheme::RsaSha256)),
    ("RS384", Kind::Rsa, Algorithm::Public(Scheme::RsaSha384)),
    ("RS512", Kind::Rsa, Algorithm::Public(Scheme::RsaSha512)),
    ("ES256", Kind::P256, Algorithm::Public(Scheme::P256Fixed)),
    ("ES384", Kind::P384, Algorithm::Public(Scheme::P384Fixed)),
    ("EdDSA", Kind::Ed25519, Algorithm::Public(Scheme::Ed25519)),
    ("Ed25519", Kind::Ed25519, Algorithm::Public(Scheme::Ed25519)),
];

fn algorithm_of(key: &Key) -> Result<(&'static str, Algorithm), String> {
    let first = ALGORITHMS.iter().find(|(_, kind, _)| *kind == key.kind());
    let (name, _, algorithm) = first.ok_or("there is no algorithm for this key")?;
    Ok((name, *algorithm))
}

fn verify(token: &Compact<'_>, header: &Header<'_>, check: &mut Check<'_>) -> Result<(), Reason> {
    let known = ALGORITHMS.iter().find(|(name, _, _)| *name == header.alg);
    check.noted("algorithm", &header.alg, known.is_some(), Reason::Algorithm)?;
    let (_, kind, algorithm) = known.ok_or(Reason::Algorithm)?;
    let signed = token.signed.as_bytes();
    let with = |check: &mut Check<'_>, key: &Key| {
        if key.kind() != *kind {
            return Err(Reason::Algorithm);
        }
        match algorithm {
            Algorithm::Hmac(hash) => check.hmac(key, *hash, &[signed], &token.signature),
            Algorithm::Public(scheme) => check.public(key, *scheme, signed, &token.signature),
        }
    };
    match &header.kid {
        Some(kid) => {
            let key = check.key(kid)?;
            with(check, key)
        }
        None => check.any(|check, key| with(check, key)),
    }
}
