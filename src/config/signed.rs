//! `[keys.NAME]`, and `signed` of sites and routes, from the file as typed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use super::file::{self, File, Text, Texts};
use super::nearest::{did_you_mean, nearest};
use super::report::{At, Place};
use super::resolve::Resolver;
use super::table::Key;
use super::{SecretText, secret};
use crate::access::check::Weak;
use crate::access::keys::{Encoding, Key as SigningKey, Keys, Kind};
use crate::access::token;
use crate::access::{self, Dialect, DialectName, Policy};

/// Keys that a route may have at a time: each may have to be tried.
const MOST_KEYS: usize = 16;

/// The longest that clocks may differ.
const MOST_SKEW: Duration = Duration::from_secs(3600);

/// What the configuration calls a route that asks for no token, below a site that does.
const NONE: &str = "none";

const ENCODINGS: [(&str, Encoding); 3] = [
    ("text", Encoding::Text),
    ("hex", Encoding::Hex),
    ("base64", Encoding::Base64),
];

/// What has been made of `[keys.NAME]` and `signed`.
#[derive(Default)]
pub(super) struct Policies {
    /// By name; those that are wrong are there, and are nothing.
    keys: BTreeMap<String, Option<Arc<SigningKey>>>,
    /// By where they are said: routes that inherit one share it.
    made: BTreeMap<Place, Option<Arc<Policy>>>,
}

impl Policies {
    /// The keys that are right.
    pub(super) fn keys(&self) -> BTreeMap<String, Arc<SigningKey>> {
        let right = self
            .keys
            .iter()
            .filter_map(|(name, key)| Some((name.clone(), key.clone()?)));
        right.collect()
    }
}

/// Reads all keys.
pub(super) fn keys(resolver: &mut Resolver, file: &File) {
    for (name, typed) in &file.keys.items {
        let key = key(resolver, name, typed).map(Arc::new);
        resolver.policies.keys.insert(name.clone(), key);
    }
}

fn key(resolver: &mut Resolver, name: &str, typed: &At<file::SigningKey>) -> Option<SigningKey> {
    let At { value: typed, place } = typed;
    let encoding = resolver.word(&typed.encoding, Encoding::Text, "an encoding", &ENCODINGS);
    let id = typed.id.value().map_or(name, String::as_str);
    let valid = |id: &str| {
        !id.is_empty()
            && id
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"~&;,\"\\".contains(&byte))
    };
    if !valid(id) {
        let place = typed.id.get().map_or(*place, |id| id.place);
        resolver.report.wrong(
            place,
            format!("`{id}` cannot be the name of a key in a token; write letters and digits"),
        );
        return None;
    }
    match (&typed.secret, &typed.public_key) {
        (Key::Absent, Key::Absent) => {
            let what = format!("key `{name}` is empty; write secret = \"env:NAME\" or public_key = \"file:PATH\"");
            resolver.report.wrong(*place, what);
            None
        }
        (Key::Absent, public) => public_key(resolver, id, public, &typed.private_key),
        (secret, Key::Absent) => {
            if let Some(private) = typed.private_key.get() {
                resolver.report.wrong(
                    private.place,
                    "a private key is for a public_key; a secret signs by itself",
                );
            }
            resolver.secret(secret, |text| {
                SigningKey::secret(id, secret::read(text)?.expose(), encoding)
            })
        }
        (_, public) => {
            let place = public.get().map_or(*place, |public| public.place);
            resolver.report.wrong(
                place,
                format!("key `{name}` has a secret already; give it one of the two"),
            );
            None
        }
    }
}

fn public_key(resolver: &mut Resolver, id: &str, public: &Text, private: &Text) -> Option<SigningKey> {
    let key = resolver.secret(public, |text| SigningKey::public(id, secret::read(text)?.expose()))?;
    if private.is_absent() {
        return Some(key);
    }
    resolver.secret(private, |text| key.with_private(secret::read(text)?.expose()))
}

/// What a route asks of those who come, if it does.
pub(super) fn policy(resolver: &mut Resolver, file: &File, typed: &Key<file::Signed>) -> Option<Arc<Policy>> {
    let typed = typed.get()?;
    if let Some(made) = resolver.policies.made.get(&typed.place) {
        return made.clone();
    }
    let made = made(resolver, file, typed).map(Arc::new);
    resolver.policies.made.insert(typed.place, made.clone());
    made
}

fn made(resolver: &mut Resolver, file: &File, typed: &At<file::Signed>) -> Option<Policy> {
    let At { value: typed, place } = typed;
    if typed.dialect.value().is_some_and(|dialect| dialect == NONE) {
        return None;
    }
    let name = dialect_name(resolver, &typed.dialect)?;
    let weak = weak(resolver, &typed.weak);
    let keys = keys_of(resolver, file, typed, *place, name, weak);
    let dialect = dialect(resolver, typed, name, *place)?;
    let skew = resolver.duration(&typed.skew, Duration::ZERO);
    if let Some(given) = typed.skew.get().filter(|_| skew > MOST_SKEW) {
        resolver
            .report
            .wrong(given.place, "clocks that differ by more are wrong; at most \"1h\"");
    }
    Some(Policy {
        dialect,
        name,
        keys: Keys::new(keys),
        weak,
        skew,
        keep: typed.keep.value().copied().unwrap_or(false),
        expired: expired(resolver, &typed.expired_status),
        login: resolver.parsed(&typed.login, None, |text| parse_login(text).map(Some)),
    })
}

fn dialect_name(resolver: &mut Resolver, typed: &Text) -> Option<DialectName> {
    let words = DialectName::ALL.map(|(word, name)| (word, Some(name)));
    match typed {
        Key::Absent => Some(DialectName::default()),
        _ => resolver.word(typed, None, "a dialect", &words),
    }
}

fn weak(resolver: &mut Resolver, typed: &Texts) -> Weak {
    let mut weak = Weak::default();
    for hash in typed.value().into_iter().flatten() {
        match hash.value.as_str() {
            "md5" => weak.md5 = true,
            "sha1" => weak.sha1 = true,
            other => {
                let what = format!(
                    "`{other}` is not a weak hash; {}",
                    did_you_mean(other, &["md5", "sha1"])
                );
                resolver.report.wrong(hash.place, what);
            }
        }
    }
    weak
}

/// The keys that are named, as far as they are there and of a kind that the dialect has.
fn keys_of(
    resolver: &mut Resolver,
    file: &File,
    typed: &file::Signed,
    place: Place,
    name: DialectName,
    weak: Weak,
) -> Vec<Arc<SigningKey>> {
    let named = match &typed.keys {
        Key::Is(named) if !named.value.is_empty() => named,
        Key::Wrong => return Vec::new(),
        _ => {
            resolver
                .report
                .wrong(place, "nobody could come: no key is named; write keys = [\"NAME\"]");
            return Vec::new();
        }
    };
    if named.value.len() > MOST_KEYS {
        let what = format!(
            "{} keys are too many to be tried; at most {MOST_KEYS}",
            named.value.len()
        );
        resolver.report.wrong(named.place, what);
    }
    let mut keys: Vec<Arc<SigningKey>> = Vec::new();
    for given in &named.value {
        let Some(key) = find_key(resolver, file, given) else {
            continue;
        };
        if let Err(what) = fits(&key, name, weak) {
            resolver.report.wrong(given.place, what);
        }
        if keys.iter().any(|other| other.id() == key.id()) {
            let what = format!(
                "a key that tokens call `{}` is named already; give each an id of its own",
                key.id()
            );
            resolver.report.wrong(given.place, what);
        }
        keys.push(key);
    }
    keys
}

fn find_key(resolver: &mut Resolver, file: &File, given: &At<String>) -> Option<Arc<SigningKey>> {
    let keys = &resolver.policies.keys;
    if let Some(key) = keys.get(&given.value) {
        return key.clone();
    }
    if file.keys.wrong {
        return None;
    }
    let known = || keys.keys().map(String::as_str);
    let mend = match nearest(&given.value, known()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if keys.is_empty() => format!("write [keys.{}] with its secret or public_key", given.value),
        None => format!("there is: {}", known().collect::<Vec<_>>().join(", ")),
    };
    let what = format!("there is no key `{}`; {mend}", given.value);
    resolver.report.wrong(given.place, what);
    None
}

/// Whether a key is of a kind that the dialect has, and what it needs is allowed.
fn fits(key: &SigningKey, name: DialectName, weak: Weak) -> Result<(), String> {
    let (kinds, what): (&[Kind], _) = match name {
        DialectName::Verge => (&[Kind::Secret, Kind::Ed25519], "a secret or an Ed25519 key"),
        DialectName::CloudFront => (&[Kind::Rsa, Kind::P256], "an RSA or P-256 public key"),
        DialectName::Gcp => (
            &[Kind::Secret, Kind::Ed25519],
            "a secret (Cloud CDN) or an Ed25519 key (Media CDN)",
        ),
        DialectName::Akamai | DialectName::Bunny | DialectName::SecureLink | DialectName::S3 => {
            (&[Kind::Secret], "a secret")
        }
        DialectName::Jwt => return Ok(()),
        DialectName::Cat => (
            &[Kind::Secret, Kind::P256, Kind::Ed25519],
            "a secret, a P-256 or an Ed25519 key",
        ),
    };
    if !kinds.contains(&key.kind()) {
        return Err(format!(
            "this dialect signs with {what}, which key `{}` is not",
            key.id()
        ));
    }
    let needs = match name {
        DialectName::Gcp if key.kind() == Kind::Secret && !weak.sha1 => "sha1",
        DialectName::SecureLink if !weak.md5 => "md5",
        _ => return Ok(()),
    };
    Err(format!(
        "this dialect signs with {needs}, which is weak; allow it with weak = [\"{needs}\"]"
    ))
}

fn dialect(resolver: &mut Resolver, typed: &file::Signed, name: DialectName, place: Place) -> Option<Box<dyn Dialect>> {
    let own = |text: &Text| text.value().map(|text| text.as_str().into());
    Some(match name {
        DialectName::Verge => Box::new(access::verge::Verge::new(places(
            resolver,
            typed,
            &["query:verge", "cookie:verge"],
        ))),
        DialectName::CloudFront => Box::new(access::cloudfront::CloudFront),
        DialectName::Gcp => Box::new(access::gcp::Gcp),
        DialectName::Akamai => {
            let places = places(
                resolver,
                typed,
                &["query:__token__", "cookie:__token__", "header:__token__"],
            );
            Box::new(access::akamai::Akamai::new(places, salt(resolver, &typed.salt)))
        }
        DialectName::Bunny => Box::new(access::bunny::Bunny),
        DialectName::SecureLink => return secure_link(resolver, typed, place),
        DialectName::Jwt => {
            let usual = [
                "query:URISigningPackage",
                "cookie:URISigningPackage",
                "path:URISigningPackage",
                "header:authorization",
            ];
            let claim = typed.path_claim.value().map_or("path", String::as_str);
            let places = places(resolver, typed, &usual);
            Box::new(access::jwt::Jwt::new(
                places,
                own(&typed.issuer),
                own(&typed.audience),
                claim,
            ))
        }
        DialectName::Cat => {
            let places = places(
                resolver,
                typed,
                &["query:CAT", "cookie:CAT", "header:cta-common-access-token"],
            );
            Box::new(access::cat::Cat::new(places, own(&typed.issuer), own(&typed.audience)))
        }
        DialectName::S3 => Box::new(access::s3::S3::new(own(&typed.region))),
    })
}

fn salt(resolver: &mut Resolver, typed: &Text) -> Option<SecretText> {
    resolver.secret(typed, secret::read)
}

fn secure_link(resolver: &mut Resolver, typed: &file::Signed, place: Place) -> Option<Box<dyn Dialect>> {
    if typed.expression.is_absent() {
        let what =
            "secure-link needs what secure_link_md5 had; write expression = \"$secure_link_expires$uri $secret\"";
        resolver.report.wrong(place, what);
    }
    let parse = |text: &str| access::secure_link::Expression::parse(text).map(Some);
    let expression = resolver.parsed(&typed.expression, None, parse)?;
    let places = places(resolver, typed, &["query:md5"]);
    let expires = typed.expires_parameter.value().map_or("expires", String::as_str);
    match places.as_slice() {
        [token::Place::Query(md5)] if **md5 != *expires => {
            Some(Box::new(access::secure_link::SecureLink::new(expression, md5, expires)))
        }
        _ => {
            let place = typed.token.get().map_or(place, |token| token.place);
            let what =
                "the hash is in one parameter of the query, and the time in another; write token = [\"query:md5\"]";
            resolver.report.wrong(place, what);
            None
        }
    }
}

/// Where tokens are, as it is said or as is usual.
fn places(resolver: &mut Resolver, typed: &file::Signed, usual: &[&str]) -> Vec<token::Place> {
    let Some(given) = typed.token.get() else {
        return usual
            .iter()
            .filter_map(|place| token::Place::parse(place).ok())
            .collect();
    };
    if given.value.is_empty() {
        resolver.report.wrong(
            given.place,
            "nobody could come: a token is nowhere; leave `token` out for the usual places",
        );
    }
    let place = |given: &At<String>| match token::Place::parse(&given.value) {
        Ok(place) => Some(place),
        Err(what) => {
            resolver.report.wrong(given.place, what);
            None
        }
    };
    given.value.iter().filter_map(place).collect()
}

fn expired(resolver: &mut Resolver, typed: &Key<u16>) -> StatusCode {
    let Some(given) = typed.get() else {
        return StatusCode::FORBIDDEN;
    };
    match given.value {
        403 | 404 | 410 => StatusCode::from_u16(given.value).unwrap_or(StatusCode::FORBIDDEN),
        other => {
            let what = format!("{other} does not say that a link's time is over; write 403, 404 or 410");
            resolver.report.wrong(given.place, what);
            StatusCode::FORBIDDEN
        }
    }
}

/// It stands in a `Location` field (RFC 9110 10.2.2).
fn parse_login(text: &str) -> Result<Box<str>, String> {
    let place = ["https://", "http://", "/"].iter().any(|begin| text.starts_with(begin)) && !text.starts_with("//");
    let whole =
        text.bytes().all(|byte| byte.is_ascii_graphic()) && text.matches('{').count() == text.matches("{url}").count();
    match place && whole {
        true => Ok(text.into()),
        false => Err(format!(
            "`{text}` is no place to send somebody; write \"https://www.example.com/login?next={{url}}\", with {{url}} for what was asked for"
        )),
    }
}
