//! Keys: what tokens are verified with, and where a private one is given, signed with. None is ever printed.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::PublicEncryptingKey;
use aws_lc_rs::signature::{
    self as sig, EcdsaKeyPair, Ed25519KeyPair, ParsedPublicKey, RsaKeyPair, RsaPublicKeyComponents,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use serde::Deserialize;

use super::Reason;
use super::encoding;

/// Bits of the shortest RSA key that is taken.
const LEAST_RSA: usize = 2048;

/// The hash that an HMAC is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// Only where the site allows it.
    Sha1,
    /// SHA-256
    Sha256,
    /// SHA-384
    Sha384,
    /// SHA-512
    Sha512,
}

/// An algorithm of public keys, with the form of its signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Scheme {
    /// RSASSA-PKCS1-v1_5 with SHA-1; only where the site allows it.
    RsaSha1,
    /// RSASSA-PKCS1-v1_5 with SHA-256
    RsaSha256,
    /// RSASSA-PKCS1-v1_5 with SHA-384
    RsaSha384,
    /// RSASSA-PKCS1-v1_5 with SHA-512
    RsaSha512,
    /// ECDSA on P-256 with SHA-1, ASN.1; only where the site allows it.
    P256Sha1Asn1,
    /// ECDSA on P-256 with SHA-256, ASN.1
    P256Asn1,
    /// ECDSA on P-256 with SHA-256, two numbers of 32 bytes
    P256Fixed,
    /// ECDSA on P-384 with SHA-384, two numbers of 48 bytes
    P384Fixed,
    /// Ed25519
    Ed25519,
}

impl Scheme {
    fn algorithm(self) -> &'static dyn sig::VerificationAlgorithm {
        match self {
            Scheme::RsaSha1 => &sig::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            Scheme::RsaSha256 => &sig::RSA_PKCS1_2048_8192_SHA256,
            Scheme::RsaSha384 => &sig::RSA_PKCS1_2048_8192_SHA384,
            Scheme::RsaSha512 => &sig::RSA_PKCS1_2048_8192_SHA512,
            Scheme::P256Sha1Asn1 => &sig::ECDSA_P256_SHA1_ASN1,
            Scheme::P256Asn1 => &sig::ECDSA_P256_SHA256_ASN1,
            Scheme::P256Fixed => &sig::ECDSA_P256_SHA256_FIXED,
            Scheme::P384Fixed => &sig::ECDSA_P384_SHA384_FIXED,
            Scheme::Ed25519 => &sig::ED25519,
        }
    }
}

/// What kind of key a public key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A shared secret.
    Secret,
    /// RSA, 2048 to 8192 bits
    Rsa,
    /// P-256
    P256,
    /// P-384
    P384,
    /// Ed25519
    Ed25519,
}

impl Kind {
    const PUBLIC: [Kind; 4] = [Kind::Rsa, Kind::P256, Kind::P384, Kind::Ed25519];

    fn schemes(self) -> &'static [Scheme] {
        match self {
            Kind::Secret => &[],
            Kind::Rsa => &[Scheme::RsaSha1, Scheme::RsaSha256, Scheme::RsaSha384, Scheme::RsaSha512],
            Kind::P256 => &[Scheme::P256Sha1Asn1, Scheme::P256Asn1, Scheme::P256Fixed],
            Kind::P384 => &[Scheme::P384Fixed],
            Kind::Ed25519 => &[Scheme::Ed25519],
        }
    }
}

/// How a secret is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Its bytes are the text's.
    #[default]
    Text,
    /// Hexadecimal digits.
    Hex,
    /// base64, in either alphabet.
    Base64,
}

/// A key with a name, and the name that tokens give it.
pub struct Key {
    id: Arc<str>,
    /// Of the key itself: what is remembered of one is not taken for another's.
    mark: u64,
    material: Material,
    signer: Option<Signer>,
}

enum Material {
    Secret(Box<Secret>),
    Public(Kind, Vec<(Scheme, ParsedPublicKey)>),
}

struct Secret {
    bytes: Box<[u8]>,
    hmacs: [hmac::Key; 4],
}

enum Signer {
    Rsa(Box<RsaKeyPair>),
    P256(Box<[EcdsaKeyPair; 2]>),
    P384(Box<EcdsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, {:?})", self.id, self.kind())
    }
}

impl Key {
    /// A shared secret, as written.
    pub fn secret(id: &str, text: &str, encoding: Encoding) -> Result<Self, String> {
        let bytes = match encoding {
            Encoding::Text => Some(text.as_bytes().to_vec()),
            Encoding::Hex => encoding::hex(text),
            Encoding::Base64 => encoding::any_base64(text),
        };
        match bytes {
            Some(bytes) if !bytes.is_empty() => Ok(Key::of_secret(id, &bytes)),
            _ => Err(format!(
                "the secret is not {}; look at `encoding`",
                match encoding {
                    Encoding::Hex => "hexadecimal digits",
                    _ => "base64",
                }
            )),
        }
    }

    fn of_secret(id: &str, bytes: &[u8]) -> Self {
        let algorithms = [
            hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            hmac::HMAC_SHA256,
            hmac::HMAC_SHA384,
            hmac::HMAC_SHA512,
        ];
        Key {
            id: id.into(),
            mark: mark(bytes),
            material: Material::Secret(Box::new(Secret {
                bytes: bytes.into(),
                hmacs: algorithms.map(|algorithm| hmac::Key::new(algorithm, bytes)),
            })),
            signer: None,
        }
    }

    /// A public key: PEM (`PUBLIC KEY`), a JWK (RFC 7517; a secret one, `oct`, too), or the 32 bytes of an Ed25519 key in
    /// base64.
    pub fn public(id: &str, text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.starts_with('{') {
            return Jwk::key(id, text);
        }
        if text.starts_with("-----") {
            let der = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes());
            let der =
                der.map_err(|_| "not a PEM of a `PUBLIC KEY`; make one with `openssl pkey -pubout`".to_owned())?;
            let keys = Kind::PUBLIC.iter().map(|kind| Key::of_public(id, *kind, &der));
            return keys.flatten().next().ok_or_else(|| {
                "the public key is none of RSA (2048 bits or more), P-256, P-384 and Ed25519".to_owned()
            });
        }
        let raw = encoding::any_base64(text).filter(|bytes| bytes.len() == 32);
        raw.and_then(|bytes| Key::of_public(id, Kind::Ed25519, &bytes))
            .ok_or_else(|| "not a public key; write PEM, a JWK, or the 32 bytes of an Ed25519 key in base64".to_owned())
    }

    fn of_public(id: &str, kind: Kind, bytes: &[u8]) -> Option<Self> {
        let bits = (kind == Kind::Rsa).then(|| PublicEncryptingKey::from_der(bytes).map(|key| key.key_size_bits()));
        if bits.is_some_and(|bits| bits.is_ok_and(|bits| bits < LEAST_RSA)) {
            return None;
        }
        let parsed = kind
            .schemes()
            .iter()
            .map(|scheme| Some((*scheme, ParsedPublicKey::new(scheme.algorithm(), bytes).ok()?)));
        Some(Key {
            id: id.into(),
            mark: mark(bytes),
            material: Material::Public(kind, parsed.collect::<Option<Vec<_>>>()?),
            signer: None,
        })
    }

    /// The same key with its private half, PKCS #8 in PEM (`PRIVATE KEY`), to sign with.
    pub fn with_private(self, pem: &str) -> Result<Self, String> {
        let wrong =
            || "not a PEM of a `PRIVATE KEY` that fits the public key; `openssl pkcs8 -topk8 -nocrypt` makes one";
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| wrong())?;
        let signer = Signer::of(self.kind(), der.secret_pkcs8_der()).ok_or_else(wrong)?;
        let key = Key {
            signer: Some(signer),
            ..self
        };
        let scheme = *key.kind().schemes().last().ok_or_else(wrong)?;
        let signature = key.sign(scheme, b"verge")?;
        key.verify(scheme, b"verge", &signature).map_err(|_| wrong())?;
        Ok(key)
    }

    /// The name that tokens give it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        match &self.material {
            Material::Secret(_) => Kind::Secret,
            Material::Public(kind, _) => *kind,
        }
    }

    /// Whether [`Key::sign`] can sign.
    pub fn can_sign(&self) -> bool {
        self.signer.is_some()
    }

    pub(super) fn mark(&self) -> u64 {
        self.mark
    }

    /// The secret's bytes, for what is no HMAC.
    pub(super) fn bytes(&self) -> Result<&[u8], Reason> {
        match &self.material {
            Material::Secret(secret) => Ok(&secret.bytes),
            Material::Public(..) => Err(Reason::Algorithm),
        }
    }

    /// The HMAC (RFC 2104) of a message.
    pub(super) fn hmac(&self, hash: Hash, message: &[u8]) -> Result<hmac::Tag, Reason> {
        match &self.material {
            Material::Secret(secret) => Ok(hmac::sign(&secret.hmacs[hash as usize], message)),
            Material::Public(..) => Err(Reason::Algorithm),
        }
    }

    /// Whether this is a signature of `message`; an error if it is not, or not of this kind of key.
    pub(super) fn verify(&self, scheme: Scheme, message: &[u8], signature: &[u8]) -> Result<(), Reason> {
        let Material::Public(_, parsed) = &self.material else {
            return Err(Reason::Algorithm);
        };
        let mut parsed = parsed.iter().filter(|(known, _)| *known == scheme);
        let (_, key) = parsed.next().ok_or(Reason::Algorithm)?;
        key.verify_sig(message, signature).map_err(|_| Reason::Signature)
    }

    /// Signs with the private half.
    pub(super) fn sign(&self, scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, String> {
        let none = || format!("key `{}` has no private key; give it private_key", self.id);
        self.signer.as_ref().ok_or_else(none)?.sign(scheme, message)
    }
}

fn mark(bytes: &[u8]) -> u64 {
    let digest = digest(&SHA256, bytes);
    digest
        .as_ref()
        .first_chunk()
        .map_or(0, |first| u64::from_ne_bytes(*first))
}

impl Signer {
    fn of(kind: Kind, der: &[u8]) -> Option<Self> {
        match kind {
            Kind::Secret => None,
            Kind::Rsa => RsaKeyPair::from_pkcs8(der).ok().map(|pair| Signer::Rsa(Box::new(pair))),
            Kind::P256 => {
                let asn1 = EcdsaKeyPair::from_pkcs8(&sig::ECDSA_P256_SHA256_ASN1_SIGNING, der).ok()?;
                let fixed = EcdsaKeyPair::from_pkcs8(&sig::ECDSA_P256_SHA256_FIXED_SIGNING, der).ok()?;
                Some(Signer::P256(Box::new([asn1, fixed])))
            }
            Kind::P384 => {
                let pair = EcdsaKeyPair::from_pkcs8(&sig::ECDSA_P384_SHA384_FIXED_SIGNING, der).ok()?;
                Some(Signer::P384(Box::new(pair)))
            }
            Kind::Ed25519 => {
                let pair = Ed25519KeyPair::from_pkcs8(der).or_else(|_| Ed25519KeyPair::from_pkcs8_maybe_unchecked(der));
                pair.ok().map(|pair| Signer::Ed25519(Box::new(pair)))
            }
        }
    }

    fn sign(&self, scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, String> {
        let random = SystemRandom::new();
        let ecdsa = |pair: &EcdsaKeyPair| pair.sign(&random, message).map(|signature| signature.as_ref().to_vec());
        let signed = match (self, scheme) {
            (Signer::Rsa(pair), Scheme::RsaSha256) => rsa(pair, &sig::RSA_PKCS1_SHA256, message),
            (Signer::Rsa(pair), Scheme::RsaSha384) => rsa(pair, &sig::RSA_PKCS1_SHA384, message),
            (Signer::Rsa(pair), Scheme::RsaSha512) => rsa(pair, &sig::RSA_PKCS1_SHA512, message),
            (Signer::P256(pairs), Scheme::P256Asn1) => ecdsa(&pairs[0]),
            (Signer::P256(pairs), Scheme::P256Fixed) => ecdsa(&pairs[1]),
            (Signer::P384(pair), Scheme::P384Fixed) => ecdsa(pair),
            (Signer::Ed25519(pair), Scheme::Ed25519) => Ok(pair.sign(message).as_ref().to_vec()),
            _ => return Err("the key cannot sign with this algorithm".to_owned()),
        };
        signed.map_err(|_| "the key cannot sign this".to_owned())
    }
}

fn rsa(
    pair: &RsaKeyPair,
    encoding: &'static dyn sig::RsaEncoding,
    message: &[u8],
) -> Result<Vec<u8>, aws_lc_rs::error::Unspecified> {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), message, &mut signature)?;
    Ok(signature)
}

/// RFC 7517, RFC 7518 6, RFC 8037 2: what is read of a JSON Web Key.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<String>,
}

impl Jwk {
    fn key(id: &str, text: &str) -> Result<Key, String> {
        let jwk: Jwk =
            serde_json::from_str(text).map_err(|_| "not a JWK: the JSON of one key with its `kty`".to_owned())?;
        jwk.made(id)
            .ok_or_else(|| "the JWK is none of RSA (2048 bits or more), P-256, P-384, Ed25519 and oct".to_owned())
    }

    fn made(&self, id: &str) -> Option<Key> {
        let part = |text: &Option<String>| encoding::base64url(text.as_ref()?);
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("oct", _) => part(&self.k).filter(|k| !k.is_empty()).map(|k| Key::of_secret(id, &k)),
            ("OKP", Some("Ed25519")) => Key::of_public(id, Kind::Ed25519, &part(&self.x)?),
            ("EC", Some("P-256")) => Key::of_public(id, Kind::P256, &self.point()?),
            ("EC", Some("P-384")) => Key::of_public(id, Kind::P384, &self.point()?),
            ("RSA", _) => rsa_key(id, part(&self.n)?, part(&self.e)?),
            _ => None,
        }
    }

    /// SEC 1, 2.3.3: uncompressed.
    fn point(&self) -> Option<Vec<u8>> {
        let part = |text: &Option<String>| encoding::base64url(text.as_ref()?);
        Some([&[4][..], &part(&self.x)?, &part(&self.y)?].concat())
    }
}

fn rsa_key(id: &str, n: Vec<u8>, e: Vec<u8>) -> Option<Key> {
    if n.len() * 8 < LEAST_RSA {
        return None;
    }
    let mark = mark(&n);
    let components = RsaPublicKeyComponents { n, e };
    let rsa = [
        (Scheme::RsaSha1, &sig::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY),
        (Scheme::RsaSha256, &sig::RSA_PKCS1_2048_8192_SHA256),
        (Scheme::RsaSha384, &sig::RSA_PKCS1_2048_8192_SHA384),
        (Scheme::RsaSha512, &sig::RSA_PKCS1_2048_8192_SHA512),
    ];
    let parsed = rsa.map(|(scheme, parameters)| Some((scheme, components.to_parsed_public_key(parameters).ok()?)));
    Some(Key {
        id: id.into(),
        mark,
        material: Material::Public(Kind::Rsa, parsed.into_iter().collect::<Option<Vec<_>>>()?),
        signer: None,
    })
}

/// The keys of a route: several at a time, for rotation.
#[derive(Clone, Debug, Default)]
pub struct Keys(Vec<Arc<Key>>);

impl Keys {
    /// These.
    pub fn new(keys: Vec<Arc<Key>>) -> Self {
        Keys(keys)
    }

    /// The one that a token names.
    pub fn named(&self, id: &str) -> Option<&Key> {
        self.0.iter().find(|key| key.id() == id).map(AsRef::as_ref)
    }

    /// All, in the order in which they are configured.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        self.0.iter().map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8410 10.1 and 10.3; RFC 7515 A.3; RFC 8037 A.2.
    const ED25519: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----";
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----";
    const P256: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
    const OKP: &str = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    #[test]
    fn public_keys_in_all_forms() {
        for (text, kind) in [
            (ED25519, Some(Kind::Ed25519)),
            ("Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=", Some(Kind::Ed25519)),
            ("Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE", Some(Kind::Ed25519)),
            (P256, Some(Kind::P256)),
            (OKP, Some(Kind::Ed25519)),
            (
                r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ"}"#,
                Some(Kind::Secret),
            ),
            (r#"{"kty":"oct","k":""}"#, None),
            (r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#, None),
            (r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#, None),
            (PRIVATE, None),
            ("", None),
        ] {
            assert_eq!(Key::public("k", text).ok().map(|key| key.kind()), kind, "{text}");
        }
    }

    #[test]
    fn a_private_half_must_fit() {
        let key = |text: &str| Key::public("k", text).unwrap();
        assert!(key(ED25519).with_private(PRIVATE).unwrap().can_sign());
        assert!(key(OKP).with_private(PRIVATE).is_err());
        assert!(key(P256).with_private(PRIVATE).is_err());
        assert!(key(ED25519).with_private("no PEM").is_err());
    }

    #[test]
    fn a_key_does_nothing_that_is_not_its_own() {
        let (secret, public) = (
            Key::secret("k", "s", Encoding::Text).unwrap(),
            Key::public("k", ED25519).unwrap(),
        );
        let verified = |key: &Key, scheme| key.verify(scheme, b"", &[0; 64]);
        assert_eq!(verified(&secret, Scheme::Ed25519), Err(Reason::Algorithm));
        assert_eq!(verified(&public, Scheme::P256Fixed), Err(Reason::Algorithm));
        assert_eq!(verified(&public, Scheme::Ed25519), Err(Reason::Signature));
        assert!(public.hmac(Hash::Sha256, b"").is_err() && public.bytes().is_err());
        assert!(secret.sign(Scheme::Ed25519, b"").is_err() && public.sign(Scheme::Ed25519, b"").is_err());
    }

    #[test]
    fn nobody_prints_a_secret() {
        let key = Key::secret("main", "open sesame", Encoding::Text).unwrap();
        assert_eq!(format!("{key:?}"), "Key(main, Secret)");
    }
}
