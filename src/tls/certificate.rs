//! One certificate with its key: read, checked, and what is known of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::SignatureScheme;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use x509_parser::time::ASN1Time;

use super::files::Files;
use super::names::Name;
use super::{CertificateFiles, TlsError, provider};

/// A certificate in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateInfo {
    /// The file of its chain; None: the edge made it itself.
    pub file: Option<PathBuf>,
    /// The names it is for: host names, `*.` before a name for those one label below it, and IP addresses.
    pub names: Vec<String>,
    /// What its key is.
    pub kind: KeyKind,
    /// Not valid before.
    pub not_before: SystemTime,
    /// Not valid after.
    pub not_after: SystemTime,
    /// Whether an OCSP response is stapled to it.
    pub stapled: bool,
}

/// What a date makes of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It will be valid later; clients refuse it.
    NotYet,
    /// It is valid.
    Valid,
    /// It was valid; clients refuse it.
    Expired,
}

impl CertificateInfo {
    /// What it is worth at a time (RFC 5280 4.1.2.5: both ends are within).
    pub fn standing(&self, wall: SystemTime) -> Standing {
        match wall {
            wall if wall < self.not_before => Standing::NotYet,
            wall if wall > self.not_after => Standing::Expired,
            _ => Standing::Valid,
        }
    }
}

/// A kind of key; the one that is taken first, of those that a client can verify, stands first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// ECDSA on P-256.
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// ECDSA on P-521.
    EcdsaP521,
    /// Ed25519.
    Ed25519,
    /// RSA of any length.
    Rsa,
    /// Something that few clients know.
    Other,
}

impl KeyKind {
    fn of(key: &dyn SigningKey) -> KeyKind {
        let kinds = [
            (SignatureScheme::ECDSA_NISTP256_SHA256, KeyKind::EcdsaP256),
            (SignatureScheme::ECDSA_NISTP384_SHA384, KeyKind::EcdsaP384),
            (SignatureScheme::ECDSA_NISTP521_SHA512, KeyKind::EcdsaP521),
            (SignatureScheme::ED25519, KeyKind::Ed25519),
            (SignatureScheme::RSA_PSS_SHA256, KeyKind::Rsa),
        ];
        let signs = |scheme: SignatureScheme| key.choose_scheme(&[scheme]).is_some();
        let kind = kinds.into_iter().find(|(scheme, _)| signs(*scheme));
        kind.map_or(KeyKind::Other, |(_, kind)| kind)
    }
}

/// A certificate that handshakes can use.
#[derive(Clone)]
pub(super) struct Certificate {
    pub(super) certified: Arc<CertifiedKey>,
    pub(super) names: Vec<Name>,
    pub(super) info: CertificateInfo,
}

impl Certificate {
    /// Reads the files of one. All that is wrong with them goes to `errors`.
    pub(super) fn load(files: &Files, paths: &CertificateFiles, errors: &mut Vec<TlsError>) -> Option<Certificate> {
        let mut note = |error| errors.push(error);
        let chain = chain(files, &paths.cert).map_err(&mut note).ok();
        let key = key(files, &paths.key).map_err(&mut note).ok();
        let ocsp = ocsp(files, paths.ocsp.as_deref()).map_err(&mut note).ok();
        let certified = CertifiedKey::new(chain?, key?);
        fits(&certified, paths).map_err(&mut note).ok()?;
        let certificate = Certificate::new(certified, ocsp?, Some(&paths.cert));
        certificate.map_err(|what| note(TlsError::new(&paths.cert, what))).ok()
    }

    /// What is known of a chain and its key. The error says what is wrong with the certificate.
    pub(super) fn new(
        mut certified: CertifiedKey,
        ocsp: Option<Vec<u8>>,
        file: Option<&Path>,
    ) -> Result<Certificate, String> {
        let first = certified.cert.first().ok_or("it holds no certificate")?;
        let cannot = |error| format!("its first certificate cannot be read ({error}); ask for it to be issued anew");
        let (_, parsed) = X509Certificate::from_der(first).map_err(cannot)?;
        let names = names(&parsed);
        let info = CertificateInfo {
            file: file.map(Path::to_owned),
            names: names.iter().map(Name::to_string).collect(),
            kind: KeyKind::of(&*certified.key),
            not_before: time(parsed.validity().not_before),
            not_after: time(parsed.validity().not_after),
            stapled: ocsp.is_some(),
        };
        certified.ocsp = ocsp;
        Ok(Certificate {
            certified: Arc::new(certified),
            names,
            info,
        })
    }
}

fn chain(files: &Files, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(files.get(path)?).collect();
    match chain {
        Ok(chain) if chain.is_empty() => {
            let what = "it holds no certificate; write the chain in PEM (-----BEGIN CERTIFICATE-----), yours first";
            Err(TlsError::new(path, what))
        }
        Ok(chain) => Ok(chain),
        Err(error) => Err(TlsError::new(
            path,
            format!("it is not whole ({}); write it anew", said(&error)),
        )),
    }
}

/// What is wrong with PEM; the error itself shows lines as lists of numbers.
fn said(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { end_marker } => {
            format!("no line says -----END {}-----", String::from_utf8_lossy(end_marker))
        }
        pem::Error::IllegalSectionStart { line } => format!("no section begins with {}", line.escape_ascii()),
        error => error.to_string(),
    }
}

fn key(files: &Files, path: &Path) -> Result<Arc<dyn SigningKey>, TlsError> {
    let contents = files.get(path)?;
    let key = PrivateKeyDer::from_pem_slice(contents).map_err(|error| {
        let encrypted = contents.windows(9).any(|window| window == b"ENCRYPTED");
        let what = match encrypted {
            true => "its key is encrypted; write it in clear, with `openssl pkey -in THIS -out OTHER`".to_owned(),
            false => {
                let said = said(&error);
                format!("it holds no private key ({said}); write it in PEM, as PKCS#8, PKCS#1 or SEC1")
            }
        };
        TlsError::new(path, what)
    })?;
    provider().key_provider.load_private_key(key).map_err(|error| {
        let what = format!("its key cannot be used ({error}); make one of ECDSA (P-256), Ed25519 or RSA (2048 bits)");
        TlsError::new(path, what)
    })
}

fn ocsp(files: &Files, path: Option<&Path>) -> Result<Option<Vec<u8>>, TlsError> {
    let Some(path) = path else { return Ok(None) };
    let response = files.get(path)?;
    // RFC 6960 4.2.1: OCSPResponse ::= SEQUENCE, whose DER begins so.
    if response.first() != Some(&0x30) {
        let what = "it is not an OCSP response; write the responder's answer in DER, as `openssl ocsp -respout` does";
        return Err(TlsError::new(path, what));
    }
    Ok(Some(response.to_vec()))
}

/// Whether the key is the certificate's.
fn fits(certified: &CertifiedKey, paths: &CertificateFiles) -> Result<(), TlsError> {
    let (cert, key) = (paths.cert.display(), paths.key.display());
    let what = match certified.keys_match() {
        // Nothing is known of the public half of some rare keys: the handshake will show.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => return Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) if fits_another(certified) => {
            format!(
                "the key in `{key}` is that of a later certificate in `{cert}`; yours goes first, then its issuer's"
            )
        }
        Err(rustls::Error::InconsistentKeys(_)) => {
            format!("the key in `{key}` is not that of the certificate in `{cert}`; replace both together")
        }
        Err(error) => format!("its first certificate cannot be used ({error}); ask for it to be issued anew"),
    };
    Err(TlsError::new(&paths.cert, what))
}

fn fits_another(certified: &CertifiedKey) -> bool {
    let mut others = certified.cert.iter().skip(1);
    others.any(|other| {
        let alone = CertifiedKey::new(vec![other.clone()], certified.key.clone());
        alone.keys_match().is_ok()
    })
}

/// The names a certificate is for, as far as hosts can have them.
fn names(certificate: &X509Certificate<'_>) -> Vec<Name> {
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let mut names = Vec::new();
    match alternatives {
        Some(alternatives) => {
            for name in &alternatives.value.general_names {
                names.extend(match name {
                    GeneralName::DNSName(name) => Name::dns(name),
                    GeneralName::IPAddress(bytes) => Name::ip(bytes),
                    _ => None,
                });
            }
        }
        // RFC 9525 6.3: clients look at no other field; but an operator who wrote only the CN meant something by it.
        None => {
            let common = certificate.subject().iter_common_name();
            names.extend(common.filter_map(|name| Name::parse(name.as_str().ok()?)));
        }
    }
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

fn time(time: ASN1Time) -> SystemTime {
    let seconds = Duration::from_secs(time.timestamp().unsigned_abs());
    let moved = match time.timestamp() < 0 {
        true => SystemTime::UNIX_EPOCH.checked_sub(seconds),
        false => SystemTime::UNIX_EPOCH.checked_add(seconds),
    };
    moved.unwrap_or(SystemTime::UNIX_EPOCH)
}
