//! An edge with its files in a folder.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SignatureAlgorithm};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use verge::clock::ManualClock;
use verge::tls::{CertificateFiles, ClientCertificates, Settings, Terminator, TlsError};

pub const ECDSA: &SignatureAlgorithm = &rcgen::PKCS_ECDSA_P256_SHA256;
pub const RSA: &SignatureAlgorithm = &rcgen::PKCS_RSA_SHA256;
pub const HOUR: Duration = Duration::from_secs(3600);

/// When every test begins: 2026-11-22.
pub fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_305_600)
}

/// Issues certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

impl Authority {
    pub fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// A chain and its key, PEM, valid for some days from the start.
    pub fn issue(&self, names: &[&str], kind: &'static SignatureAlgorithm, days: u64) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        let since = start().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        params.not_after = rcgen::date_time_ymd(1970, 1, 1) + since + Duration::from_secs(days * 24 * 3600);
        let key = KeyPair::generate_for(kind).unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        (format!("{}{}", leaf.pem(), self.pem), key.serialize_pem())
    }
}

/// What an edge is made of, and the folder with its files.
pub struct Edge {
    pub folder: tempfile::TempDir,
    pub clock: ManualClock,
    pub settings: Settings,
    pub listeners: Vec<ClientCertificates>,
    pub authority: Authority,
}

impl Edge {
    /// One listener that asks for nothing, and no certificate.
    pub fn new() -> Edge {
        Edge {
            folder: tempfile::tempdir().unwrap(),
            clock: ManualClock::new(start()),
            settings: Settings::default(),
            listeners: vec![ClientCertificates::NotAsked],
            authority: Authority::new(),
        }
    }

    /// With ECDSA certificates of these names, each a space-separated list.
    pub fn with(names: &[&str]) -> Edge {
        let mut edge = Edge::new();
        for (place, names) in names.iter().enumerate() {
            edge.certify(&format!("c{place}"), names, ECDSA, 90);
        }
        edge
    }

    pub fn write(&self, file: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(file);
        std::fs::write(&path, contents).unwrap();
        path
    }

    /// Writes a chain and its key, without naming them in the settings. Returns the certificate.
    pub fn issue(
        &self,
        file: &str,
        names: &str,
        kind: &'static SignatureAlgorithm,
        days: u64,
    ) -> CertificateDer<'static> {
        let names: Vec<&str> = names.split(' ').collect();
        let (chain, key) = self.authority.issue(&names, kind, days);
        self.write(&format!("{file}.key"), key);
        self.write(&format!("{file}.pem"), &chain);
        leaf(&chain)
    }

    /// The same, named in the settings.
    pub fn certify(
        &mut self,
        file: &str,
        names: &str,
        kind: &'static SignatureAlgorithm,
        days: u64,
    ) -> CertificateDer<'static> {
        self.settings.certificates.push(CertificateFiles {
            cert: self.folder.path().join(format!("{file}.pem")),
            key: self.folder.path().join(format!("{file}.key")),
            ocsp: None,
        });
        self.issue(file, names, kind, days)
    }

    /// The certificate in a file.
    pub fn leaf(&self, file: &str) -> CertificateDer<'static> {
        leaf(&std::fs::read_to_string(self.folder.path().join(file)).unwrap())
    }

    pub fn try_open(&self) -> Result<Terminator, Vec<TlsError>> {
        let clock = Arc::new(self.clock.clone());
        Terminator::new(self.settings.clone(), self.listeners.clone(), clock)
    }

    pub fn open(&self) -> Terminator {
        self.try_open().unwrap_or_else(|errors| panic!("{errors:?}"))
    }
}

fn leaf(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}
