//! The Common Access Token, CTA-5007: a CBOR Web Token (RFC 8392) in base64url.
//!
//! The envelope is COSE_Mac0 with HMAC 256/256, or COSE_Sign1 with ES256 or EdDSA (RFC 9052, RFC 9053), possibly tagged. The
//! algorithm stands in the protected header and must be the key's; the key's name may stand in either header, and without one
//! each key is tried.
//!
//! Claims that are heeded: `iss`, `aud` (as [`super::jwt`] does), `exp`, which must be there, `nbf`, `catv` (1), `catu`, `catm`,
//! `catnip`, and `catreplay` where it permits replay. `sub`, `iat`, `cti` and `catr` (renewal; without it a token just ends) say
//! nothing about a request. A token with any other claim is refused, as CTA-5007 asks. `catu` is matched against the normalised URL
//! without the token.

use std::collections::HashSet;
use std::net::IpAddr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, SHA512_256, digest};
use coset::cbor::value::Value;
use coset::iana::Algorithm;
use coset::{
    AsCborValue, CborSerializable, CoseMac0, CoseMac0Builder, CoseSign1, CoseSign1Builder, Header, HeaderBuilder,
    RegisteredLabelWithPrivate, TaggedCborSerializable,
};
use ipnet::IpNet;

use super::check::Check;
use super::jwt::matches_all;
use super::keys::{Hash, Key, Kind, Scheme};
use super::path::Oddities;
use super::sign::{Order, Signed, place_token};
use super::strip::Grant;
use super::token::{self, Place};
use super::{Dialect, Reason, Request, encoding};

const ISS: i64 = 1;
const SUB: i64 = 2;
const AUD: i64 = 3;
const EXP: i64 = 4;
const NBF: i64 = 5;
const IAT: i64 = 6;
const CTI: i64 = 7;
const CATREPLAY: i64 = 308;
const CATV: i64 = 310;
const CATNIP: i64 = 311;
const CATU: i64 = 312;
const CATM: i64 = 313;
const CATR: i64 = 323;

/// RFC 8392 6
const CWT_TAG: u64 = 61;

/// The Common Access Token.
#[derive(Debug)]
pub struct Cat {
    places: Vec<Place>,
    issuer: Option<Box<str>>,
    audience: Option<Box<str>>,
}

impl Cat {
    /// Tokens in one of these places, of this issuer and for this audience where there is one.
    pub fn new(places: Vec<Place>, issuer: Option<Box<str>>, audience: Option<Box<str>>) -> Self {
        Cat {
            places,
            issuer,
            audience,
        }
    }
}

/// Either envelope.
enum Envelope {
    Mac(CoseMac0),
    Sign(CoseSign1),
}

impl Envelope {
    fn read(bytes: &[u8]) -> Option<Self> {
        // Both have four members; the tag tells them apart, and without one the algorithm does.
        let value: Value = CborValue::from_slice(bytes).ok()?.0;
        let value = match value {
            Value::Tag(CWT_TAG, inner) => *inner,
            other => other,
        };
        let sign = |value| CoseSign1::from_cbor_value(value).ok().map(Envelope::Sign);
        let mac = |value| CoseMac0::from_cbor_value(value).ok().map(Envelope::Mac);
        match value {
            Value::Tag(CoseMac0::TAG, inner) => mac(*inner),
            Value::Tag(CoseSign1::TAG, inner) => sign(*inner),
            Value::Array(members) => {
                let read = CoseMac0::from_cbor_value(Value::Array(members.clone())).ok()?;
                match algorithm(&read.protected.header) {
                    Some(Algorithm::HMAC_256_256) => Some(Envelope::Mac(read)),
                    _ => sign(Value::Array(members)),
                }
            }
            _ => None,
        }
    }

    fn parts(&self) -> (&Header, &Header, Option<&[u8]>) {
        match self {
            Envelope::Mac(mac) => (&mac.protected.header, &mac.unprotected, mac.payload.as_deref()),
            Envelope::Sign(sign) => (&sign.protected.header, &sign.unprotected, sign.payload.as_deref()),
        }
    }
}

/// One CBOR value and nothing after it.
struct CborValue(Value);

impl AsCborValue for CborValue {
    fn from_cbor_value(value: Value) -> coset::Result<Self> {
        Ok(CborValue(value))
    }

    fn to_cbor_value(self) -> coset::Result<Value> {
        Ok(self.0)
    }
}

impl CborSerializable for CborValue {}

fn algorithm(header: &Header) -> Option<Algorithm> {
    match &header.alg {
        Some(RegisteredLabelWithPrivate::Assigned(algorithm)) => Some(*algorithm),
        _ => None,
    }
}

/// The claims, each once.
struct Claims(Vec<(i64, Value)>);

impl Claims {
    fn read(payload: &[u8]) -> Result<Self, Reason> {
        let CborValue(value) = CborValue::from_slice(payload).map_err(|_| Reason::Malformed)?;
        Ok(Claims(labelled(value)?))
    }

    fn get(&self, label: i64) -> Option<&Value> {
        self.0.iter().find(|(known, _)| *known == label).map(|(_, value)| value)
    }

    fn seconds(&self, label: i64) -> Result<Option<u64>, Reason> {
        let Some(value) = self.get(label) else { return Ok(None) };
        let whole = value.as_integer().and_then(|number| u64::try_from(number).ok());
        let fraction = value
            .as_float()
            .filter(|number| (0.0..1e12).contains(number))
            .map(|number| number as u64);
        whole.or(fraction).map(Some).ok_or(Reason::Malformed)
    }

    fn text(&self, label: i64) -> Option<&str> {
        self.get(label)?.as_text()
    }
}

/// The entries of a map whose keys are whole numbers, each once.
fn labelled(value: Value) -> Result<Vec<(i64, Value)>, Reason> {
    let entries = value.into_map().map_err(|_| Reason::Malformed)?;
    let mut seen = HashSet::new();
    let entry = |(label, value): (Value, Value)| {
        let label = label.as_integer().and_then(|label| i64::try_from(label).ok());
        let label = label.ok_or(Reason::Unsupported)?;
        if seen.insert(label) {
            Ok((label, value))
        } else {
            Err(Reason::Twice)
        }
    };
    entries.into_iter().map(entry).collect()
}

impl Dialect for Cat {
    fn grant<'p>(&'p self, request: &Request<'_>, check: &mut Check<'_>) -> Result<Grant<'p>, Reason> {
        let found = token::find(request, &self.places)?;
        let path = found.path(request);
        let request = &found.request(request, &path);
        let bytes = encoding::base64url(found.text).ok_or(Reason::Malformed)?;
        let envelope = Envelope::read(&bytes).ok_or(Reason::Malformed)?;
        let (protected, unprotected, payload) = envelope.parts();
        if !protected.crit.is_empty() {
            return Err(Reason::Unsupported);
        }
        let claims = Claims::read(payload.ok_or(Reason::Malformed)?)?;
        check.note("claims", || format!("{:?}", claims.0));
        let until = self.judge(&claims, request, check)?;
        let kid = [&protected.key_id, &unprotected.key_id]
            .into_iter()
            .find(|kid| !kid.is_empty());
        let algorithm = algorithm(protected);
        match kid {
            Some(kid) => {
                let kid = std::str::from_utf8(kid).map_err(|_| Reason::UnknownKey)?;
                let key = check.key(kid)?;
                verify(&envelope, algorithm, key, check)?;
            }
            None => check.any(|check, key| verify(&envelope, algorithm, key, check))?,
        }
        let query = found.strip.query(request.query);
        if let Some(uri) = claims.get(CATU) {
            covers(uri, request, query.as_deref(), check)?;
        } else {
            Oddities::of(request).below()?;
        }
        Ok(Grant {
            strip: found.strip,
            until,
        })
    }

    fn sign(&self, order: &Order<'_>) -> Result<Signed, String> {
        order.has_no(&[("which parameters may follow", order.parameters.is_some())])?;
        let wrong = |_| "the token cannot be written".to_owned();
        let payload = CborValue(self.ordered(order)).to_vec().map_err(wrong)?;
        let header = |algorithm| {
            HeaderBuilder::new()
                .algorithm(algorithm)
                .key_id(order.key.id().as_bytes().to_vec())
                .build()
        };
        let mut signed = Vec::new();
        let token = match order.key.kind() {
            Kind::Secret => {
                let builder = CoseMac0Builder::new()
                    .protected(header(Algorithm::HMAC_256_256))
                    .payload(payload);
                let made = builder.try_create_tag(&[], |message| {
                    signed = message.to_vec();
                    let tag = order.key.hmac(Hash::Sha256, message);
                    tag.map(|tag| tag.as_ref().to_vec())
                        .map_err(|reason| reason.means().to_owned())
                })?;
                made.build().to_tagged_vec().map_err(wrong)?
            }
            kind => {
                let (algorithm, scheme) = match kind {
                    Kind::Ed25519 => (Algorithm::EdDSA, Scheme::Ed25519),
                    _ => (Algorithm::ES256, Scheme::P256Fixed),
                };
                let builder = CoseSign1Builder::new().protected(header(algorithm)).payload(payload);
                let made = builder.try_create_signature(&[], |message| {
                    signed = message.to_vec();
                    order.key.sign(scheme, message)
                })?;
                made.build().to_tagged_vec().map_err(wrong)?
            }
        };
        Ok(Signed {
            text: place_token(&self.places, order, &encoding::to_base64url(&token))?,
            message: signed,
        })
    }

    fn carries(&self, name: &str) -> bool {
        token::are_in_query(&self.places, name)
    }

    fn carries_in_path(&self, piece: &str) -> bool {
        token::are_in_path(&self.places, piece)
    }
}

impl Cat {
    /// What of the claims can be judged without a signature. Gives when they end.
    fn judge(&self, claims: &Claims, request: &Request<'_>, check: &mut Check<'_>) -> Result<u64, Reason> {
        let until = claims.seconds(EXP)?.ok_or(Reason::Malformed)?;
        check.not_after(until)?;
        if let Some(from) = claims.seconds(NBF)? {
            check.not_before(from)?;
        }
        for (label, value) in &claims.0 {
            let known = match *label {
                EXP | NBF | ISS | AUD | SUB | IAT | CTI | CATU | CATM | CATNIP | CATR => true,
                CATV => value.as_integer() == Some(1.into()),
                CATREPLAY => value.as_integer() == Some(0.into()),
                _ => false,
            };
            check.noted("claim", &label.to_string(), known, Reason::Unsupported)?;
        }
        self.parties(claims, check)?;
        if let Some(methods) = claims.get(CATM) {
            let mut methods = methods.as_array().into_iter().flatten().filter_map(Value::as_text);
            check.noted(
                "method",
                request.method,
                methods.any(|method| method == request.method),
                Reason::Method,
            )?;
        }
        if let Some(networks) = claims.get(CATNIP) {
            let networks: Vec<IpNet> = networks.as_array().into_iter().flatten().filter_map(network).collect();
            let client = request.client.to_canonical();
            let good = networks.iter().any(|network| network.contains(&client));
            check.noted("client", &format!("{client} of {networks:?}"), good, Reason::Client)?;
        }
        Ok(until)
    }

    fn parties(&self, claims: &Claims, check: &mut Check<'_>) -> Result<(), Reason> {
        if let Some(issuer) = self.issuer.as_deref() {
            let found = claims.text(ISS);
            check.noted("issuer", found.unwrap_or("-"), found == Some(issuer), Reason::Issuer)?;
        }
        let audience = claims.get(AUD);
        let names = |expected: &str, value: &Value| value.as_text() == Some(expected);
        let good = match (self.audience.as_deref(), audience) {
            (None, found) => found.is_none(),
            (Some(_), None) => false,
            (Some(expected), Some(Value::Array(many))) => many.iter().any(|one| names(expected, one)),
            (Some(expected), Some(one)) => names(expected, one),
        };
        check.noted("audience", &format!("{audience:?}"), good, Reason::Issuer)
    }

    fn ordered(&self, order: &Order<'_>) -> Value {
        let mut claims: Vec<(Value, Value)> = Vec::new();
        let mut claim = |label: i64, value: Value| claims.push((label.into(), value));
        if let Some(issuer) = self.issuer.as_deref() {
            claim(ISS, issuer.into());
        }
        if let Some(audience) = self.audience.as_deref() {
            claim(AUD, audience.into());
        }
        claim(EXP, order.expires.into());
        if let Some(from) = order.not_before {
            claim(NBF, from.into());
        }
        claim(CATV, 1.into());
        if let Some(client) = order.client {
            claim(CATNIP, Value::Array(vec![client.to_string().into()]));
        }
        let (kind, path) = order.prefix.map_or((EXACT, order.path), |prefix| (PREFIX, prefix));
        let mut parts = vec![
            part(HOST, EXACT, crate::target::split_port(order.host).0),
            part(PATH, kind, path),
        ];
        if order.prefix.is_none() {
            parts.push(part(QUERY, EXACT, order.query.unwrap_or_default()));
        }
        claim(CATU, Value::Map(parts));
        Value::Map(claims)
    }
}

fn part(component: i64, kind: i64, text: &str) -> (Value, Value) {
    (component.into(), Value::Map(vec![(kind.into(), text.into())]))
}

/// A network as text, or as RFC 9164 has it: tag 52 or 54 with an address, or with a length and the bytes of a prefix.
fn network(value: &Value) -> Option<IpNet> {
    match value {
        Value::Text(text) => text
            .parse()
            .ok()
            .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from)),
        Value::Tag(tag @ (52 | 54), inner) => {
            let whole = if *tag == 52 { 4 } else { 16 };
            match &**inner {
                Value::Bytes(bytes) => IpNet::new(address(bytes, whole)?, whole as u8 * 8).ok(),
                Value::Array(members) => match members.as_slice() {
                    [Value::Integer(length), Value::Bytes(bytes)] => {
                        IpNet::new(address(bytes, whole)?, u8::try_from(*length).ok()?).ok()
                    }
                    _ => None,
                },
                _ => None,
            }
        }
        _ => None,
    }
}

/// An address whose trailing zeros may be left out.
fn address(bytes: &[u8], whole: usize) -> Option<IpAddr> {
    let mut padded = [0; 16];
    padded
        .get_mut(..bytes.len())
        .filter(|_| bytes.len() <= whole)?
        .copy_from_slice(bytes);
    match padded.first_chunk::<4>() {
        Some(four) if whole == 4 => Some((*four).into()),
        _ => Some(padded.into()),
    }
}

fn verify(envelope: &Envelope, algorithm: Option<Algorithm>, key: &Key, check: &mut Check<'_>) -> Result<(), Reason> {
    match (envelope, algorithm, key.kind()) {
        (Envelope::Mac(mac), Some(Algorithm::HMAC_256_256), Kind::Secret) => mac.verify_payload_tag(
            &[],
            || Reason::Malformed,
            |tag, message| check.hmac(key, Hash::Sha256, &[message], tag),
        ),
        (Envelope::Sign(sign), Some(Algorithm::ES256), Kind::P256) => {
            sign.verify_signature(&[], |tag, message| check.public(key, Scheme::P256Fixed, message, tag))
        }
        (Envelope::Sign(sign), Some(Algorithm::EdDSA), Kind::Ed25519) => {
            sign.verify_signature(&[], |tag, message| check.public(key, Scheme::Ed25519, message, tag))
        }
        _ => Err(Reason::Algorithm),
    }
}

const HOST: i64 = 1;
const PATH: i64 = 3;
const QUERY: i64 = 4;
const EXACT: i64 = 0;
const PREFIX: i64 = 1;

/// Whether each component that `catu` names is as it says.
fn covers(uri: &Value, request: &Request<'_>, query: Option<&str>, check: &mut Check<'_>) -> Result<(), Reason> {
    let components = labelled(uri.clone())?;
    let odd = Oddities::of(request);
    let mut exact = false;
    for (component, matches) in components {
        let text = component_of(component, request, query)?;
        for (kind, value) in labelled(matches)? {
            exact |= component == PATH && matches!(kind, EXACT | -1 | -2);
            let good = is_match(kind, &value, &text)?;
            check.noted(
                "uri",
                &format!("component {component} ({text}), match {kind}"),
                good,
                Reason::Path,
            )?;
        }
    }
    if exact { odd.exact() } else { odd.below() }
}

/// CTA-5007 4.6.1: the parts of a URL.
fn component_of(component: i64, request: &Request<'_>, query: Option<&str>) -> Result<String, Reason> {
    let path = request.path;
    let (parent, file) = path.rsplit_once('/').unwrap_or(("", path));
    let (stem, extension) = match file.rfind('.') {
        Some(at) => file.split_at(at),
        None => (file, ""),
    };
    let (host, port) = crate::target::split_port(request.host);
    let text = match component {
        0 => request.scheme.name(),
        HOST => host,
        2 => {
            let usual = if request.scheme.name() == "https" { 443 } else { 80 };
            return Ok(port.unwrap_or(usual).to_string());
        }
        PATH => path,
        QUERY => query.unwrap_or_default(),
        5 => parent,
        6 => file,
        7 => stem,
        8 => extension,
        _ => return Err(Reason::Unsupported),
    };
    Ok(text.to_owned())
}

/// CTA-5007 4.6.1: the kinds of matches.
fn is_match(kind: i64, value: &Value, text: &str) -> Result<bool, Reason> {
    let expected = || value.as_text().ok_or(Reason::Malformed);
    Ok(match kind {
        EXACT => text == expected()?,
        PREFIX => text.starts_with(expected()?),
        2 => text.ends_with(expected()?),
        3 => text.contains(expected()?),
        4 => {
            let first = value.as_array().and_then(|pieces| pieces.first()).unwrap_or(value);
            matches_all(first.as_text().ok_or(Reason::Malformed)?, text)?
        }
        -1 => is_hash(value, digest(&SHA256, text.as_bytes()).as_ref()),
        -2 => is_hash(value, digest(&SHA512_256, text.as_bytes()).as_ref()),
        _ => return Err(Reason::Unsupported),
    })
}

fn is_hash(value: &Value, hash: &[u8]) -> bool {
    value
        .as_bytes()
        .is_some_and(|expected| verify_slices_are_equal(expected, hash).is_ok())
}
