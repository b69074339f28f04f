//! What a stored response is found by: the key, and below it the variant.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};

use crate::policy::fields::RequestFields;
use crate::policy::range::ByteRange;
use crate::policy::vary::VarySpec;

/// Clear text and TLS are kept apart: an origin may answer them differently (a redirect to HTTPS, say).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SchemeClass {
    /// `http`
    Clear,
    /// `https`
    Secure,
}

impl SchemeClass {
    /// `http` or `https`.
    pub fn name(self) -> &'static str {
        match self {
            SchemeClass::Clear => "http",
            SchemeClass::Secure => "https",
        }
    }
}

/// The parts of a key, borrowed from a request. All are normalised.
#[derive(Clone, Copy, Debug)]
pub struct KeyParts<'a> {
    /// Clear text or TLS.
    pub scheme: SchemeClass,
    /// Host, with a port if it is not the scheme's own.
    pub host: &'a str,
    /// The normalised path: the one that is routed and forwarded.
    pub path: &'a str,
    /// The query after the site's rules, without `?`.
    pub query: Option<&'a str>,
}

/// A stored key: its hash, and its parts as text to compare on every hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The keyed hash of all parts.
    pub hash: u128,
    /// The keyed hash of the parts but for the scheme: what a purge by URL names.
    pub url: u128,
    scheme: SchemeClass,
    text: Box<str>,
    path_at: usize,
    query_at: Option<usize>,
}

impl Key {
    /// `host/path?query`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether this is the key of `parts`, compared in full.
    pub fn is(&self, parts: &KeyParts<'_>) -> bool {
        let path_end = self.query_at.map_or(self.text.len(), |at| at - 1);
        self.scheme == parts.scheme
            && self.text[..self.path_at] == *parts.host
            && self.text[self.path_at..path_end] == *parts.path
            && self.query_at.map(|at| &self.text[at..]) == parts.query
    }

    /// Bytes that the key owns.
    pub fn weight(&self) -> u64 {
        self.text.len() as u64
    }
}

/// The secret of all hashes: strangers cannot make two keys collide.
#[derive(Clone, Copy)]
pub struct Secret([u8; 16]);

impl Secret {
    /// A secret of these bytes.
    pub fn new(bytes: [u8; 16]) -> Self {
        Secret(bytes)
    }

    /// A secret nobody knows, from the operating system.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Secret(bytes))
    }

    fn hasher(&self, kind: Kind) -> Framed {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write_u8(kind as u8);
        Framed(hasher)
    }

    /// The hash of a key; does not allocate.
    pub fn key(&self, parts: &KeyParts<'_>) -> u128 {
        let kind = match parts.scheme {
            SchemeClass::Clear => Kind::ClearKey,
            SchemeClass::Secure => Kind::SecureKey,
        };
        self.hash_url(kind, parts)
    }

    /// The hash of a URL whatever its scheme.
    pub fn url(&self, parts: &KeyParts<'_>) -> u128 {
        self.hash_url(Kind::Url, parts)
    }

    fn hash_url(&self, kind: Kind, parts: &KeyParts<'_>) -> u128 {
        let mut hasher = self.hasher(kind);
        hasher.part(parts.host.as_bytes());
        hasher.part(parts.path.as_bytes());
        if let Some(query) = parts.query {
            hasher.part(query.as_bytes());
        }
        hasher.finish()
    }

    /// The key of `parts`, to be stored.
    pub fn stored_key(&self, parts: &KeyParts<'_>) -> Key {
        let mut text =
            String::with_capacity(parts.host.len() + parts.path.len() + parts.query.map_or(0, |q| q.len() + 1));
        text.push_str(parts.host);
        text.push_str(parts.path);
        let query_at = parts.query.map(|query| {
            text.push('?');
            text.push_str(query);
            text.len() - query.len()
        });
        Key {
            hash: self.key(parts),
            url: self.url(parts),
            scheme: parts.scheme,
            text: text.into(),
            path_at: parts.host.len(),
            query_at,
        }
    }

    /// The hash of the variant of `key` that `fields` select under `spec`; does not allocate.
    pub fn variant(&self, key: u128, spec: &VarySpec, fields: &RequestFields<'_>) -> u128 {
        let mut hasher = self.hasher(Kind::Variant);
        hasher.part(&key.to_ne_bytes());
        for name in spec.names() {
            hasher.part(name.as_str().as_bytes());
        }
        spec.each_value(fields, &mut |bytes| hasher.0.write(bytes));
        hasher.finish()
    }

    /// The hash of a tag.
    pub fn tag(&self, tag: &[u8]) -> u128 {
        let mut hasher = self.hasher(Kind::Tag);
        hasher.part(tag);
        hasher.finish()
    }

    /// The hash that names a body: of its key or variant, content coding, strong ETag, complete length and generation.
    pub fn body(&self, of: u128, coding: &[u8], etag: &[u8], length: u64, generation: u64) -> u128 {
        let mut hasher = self.hasher(Kind::Body);
        hasher.part(&of.to_ne_bytes());
        hasher.part(coding);
        hasher.part(etag);
        hasher.part(&length.to_ne_bytes());
        hasher.part(&generation.to_ne_bytes());
        hasher.finish()
    }
}

/// A stretch of a body, to find the fetch of it by.
impl Secret {
    /// What is remembered of parts of a key's bodies goes by this hash.
    pub fn parts_of(&self, key: u128) -> u128 {
        self.part(key, ByteRange { start: 0, end: 0 })
    }

    /// The hash of the stretch `range` of the body called `name`.
    pub fn part(&self, name: u128, range: ByteRange) -> u128 {
        let mut hasher = self.hasher(Kind::Part);
        hasher.part(&name.to_ne_bytes());
        hasher.part(&range.start.to_ne_bytes());
        hasher.part(&range.end.to_ne_bytes());
        hasher.finish()
    }
}

/// What a hash is of; hashes of two kinds never meet.
#[derive(Clone, Copy)]
enum Kind {
    ClearKey,
    SecureKey,
    Url,
    Variant,
    Tag,
    Body,
    Part,
}

/// A hash of length-framed parts.
struct Framed(SipHasher13);

impl Framed {
    fn part(&mut self, bytes: &[u8]) {
        self.0.write(&(bytes.len() as u32).to_ne_bytes());
        self.0.write(bytes);
    }

    fn finish(self) -> u128 {
        self.0.finish128().as_u128()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts<'a>(host: &'a str, path: &'a str, query: Option<&'a str>) -> KeyParts<'a> {
        KeyParts {
            scheme: SchemeClass::Clear,
            host,
            path,
            query,
        }
    }

    #[test]
    fn keys_of_different_parts_differ() {
        let secret = Secret::new([3; 16]);
        let all = [
            parts("a", "/b", None),
            parts("a", "/b", Some("")),
            parts("a", "/b", Some("c")),
            parts("a", "/bc", None),
            parts("a/b", "/", None),
            KeyParts {
                scheme: SchemeClass::Secure,
                ..parts("a", "/b", None)
            },
        ];
        for (i, one) in all.iter().enumerate() {
            let key = secret.stored_key(one);
            for (j, other) in all.iter().enumerate() {
                assert_eq!(key.is(other), i == j, "{one:?} {other:?}");
                assert_eq!(key.hash == secret.key(other), i == j);
            }
        }
    }

    #[test]
    fn a_url_is_one_over_both_schemes() {
        let secret = Secret::random().unwrap();
        let clear = parts("a", "/b", Some("c"));
        let secure = KeyParts {
            scheme: SchemeClass::Secure,
            ..clear
        };
        assert_ne!(secret.key(&clear), secret.key(&secure));
        assert_eq!(secret.url(&clear), secret.url(&secure));
        assert_eq!(secret.stored_key(&clear).text(), "a/b?c");
    }
}
