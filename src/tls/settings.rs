//! What an operator says about TLS.

use std::path::PathBuf;
use std::time::Duration;

use rustls::SupportedCipherSuite;
use rustls::crypto::SupportedKxGroup;

use super::provider;

/// What is said in handshakes, and what it is said with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The certificates; none: one that the edge makes and signs itself.
    pub certificates: Vec<CertificateFiles>,
    /// Names for the self-signed certificate, beside those of this machine; `*.` before a name is a wildcard.
    pub self_signed_names: Vec<String>,
    /// The oldest version that is spoken.
    pub min_version: Version,
    /// The cipher suites that may be chosen; the client's order decides, which knows whether AES is fast on its machine.
    pub ciphers: Vec<SupportedCipherSuite>,
    /// The key exchanges that may be chosen; the client's order decides.
    pub groups: Vec<&'static dyn SupportedKxGroup>,
    /// Files of random bytes that session tickets are sealed with: the first seals, all open. None: keys that the edge
    /// makes and changes itself.
    pub ticket_keys: Vec<PathBuf>,
    /// How often it is looked whether a file has changed; zero: only when told to.
    pub reload: Duration,
    /// From the first byte of a handshake to its end.
    pub handshake_timeout: Duration,
    /// Handshakes under way at a time; connections beyond it are closed.
    pub max_handshakes: usize,
    /// What is asked of the clients of some hosts (normalised, `*.` and a name, or `*`), whatever the listener asks; None:
    /// what the listener asks, whatever a wider pattern says. An exact name wins over the longest suffix, that over `*`.
    pub hosts: Vec<(String, Option<ClientCertificates>)>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            certificates: Vec::new(),
            self_signed_names: Vec::new(),
            min_version: Version::Tls12,
            ciphers: provider().cipher_suites.clone(),
            groups: provider().kx_groups.clone(),
            ticket_keys: Vec::new(),
            reload: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            max_handshakes: 1_000,
            hosts: Vec::new(),
        }
    }
}

/// The files of one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, the certificate itself first (PEM).
    pub cert: PathBuf,
    /// Its private key (PEM).
    pub key: PathBuf,
    /// An OCSP response to staple (DER).
    pub ocsp: Option<PathBuf>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

/// What is asked of clients.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ClientCertificates {
    /// Nothing.
    NotAsked,
    /// A certificate, if they have one, of an authority in this file (PEM).
    Asked(PathBuf),
    /// A certificate of an authority in this file (PEM).
    Required(PathBuf),
}

impl ClientCertificates {
    /// The file of authorities.
    pub fn file(&self) -> Option<&PathBuf> {
        match self {
            ClientCertificates::NotAsked => None,
            ClientCertificates::Asked(file) | ClientCertificates::Required(file) => Some(file),
        }
    }
}
