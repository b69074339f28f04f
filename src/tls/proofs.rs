//! What is asked of clients, by listener and host.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::files::{Digest, Files, digest};
use super::{ClientCertificates, Settings, TlsError, provider};

/// One way to ask for client certificates.
pub(super) struct Proof {
    /// Tells it from the others: how it asks, and the bytes of its file.
    pub(super) digest: Digest,
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
}

impl Proof {
    fn new(asked: &ClientCertificates, files: &Files) -> Result<Proof, TlsError> {
        let (way, bundle) = match asked {
            ClientCertificates::NotAsked => (0, &[][..]),
            ClientCertificates::Asked(file) => (1, files.get(file)?),
            ClientCertificates::Required(file) => (2, files.get(file)?),
        };
        Ok(Proof {
            digest: digest(&[&[way], bundle]),
            verifier: verifier(asked, bundle)?,
        })
    }

    /// Whether a chain that a client showed once would still be taken, or that it showed none.
    pub(super) fn stands(&self, chain: Option<&[CertificateDer<'_>]>, now: UnixTime) -> bool {
        if !self.verifier.offer_client_auth() {
            return true;
        }
        match chain.and_then(<[_]>::split_first) {
            Some((first, rest)) => self.verifier.verify_client_cert(first, rest, now).is_ok(),
            None => !self.verifier.client_auth_mandatory(),
        }
    }
}

fn verifier(asked: &ClientCertificates, bundle: &[u8]) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let Some(file) = asked.file() else {
        return Ok(WebPkiClientVerifier::no_client_auth());
    };
    let wrong = |what: String| TlsError::new(file, what);
    let mut roots = RootCertStore::empty();
    for (place, certificate) in CertificateDer::pem_slice_iter(bundle).enumerate() {
        let added = certificate
            .map_err(|error| error.to_string())
            .and_then(|certificate| roots.add(certificate).map_err(|error| error.to_string()));
        added.map_err(|error| {
            let number = place + 1;
            wrong(format!(
                "its certificate number {number} is no authority's ({error}); write it anew, or take it out"
            ))
        })?;
    }
    if roots.is_empty() {
        let what = "it holds no certificate; write those of the clients' authorities in PEM";
        return Err(wrong(what.to_owned()));
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider().clone());
    let built = match asked {
        ClientCertificates::Required(_) => builder.build(),
        _ => builder.allow_unauthenticated().build(),
    };
    let verifier = built.map_err(|error| wrong(format!("its authorities cannot be used: {error}")))?;
    Ok(verifier)
}

/// A proof, by its place among them; two that ask the same are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ProofId(usize);

/// What a host says: its proof, or None to leave it to the listener.
type Said = Option<ProofId>;

/// What is asked, by listener and host.
pub(super) struct Proofs {
    all: Vec<Proof>,
    listeners: Vec<ProofId>,
    exact: HashMap<Box<str>, Said>,
    /// By what follows `*.`.
    suffixes: HashMap<Box<str>, Said>,
    any: Said,
}

impl Proofs {
    /// All that listeners and hosts ask. What is wrong with their files goes to `errors`.
    pub(super) fn new(
        settings: &Settings,
        listeners: &[ClientCertificates],
        files: &Files,
        errors: &mut Vec<TlsError>,
    ) -> Proofs {
        let mut proofs = Proofs {
            all: Vec::new(),
            listeners: Vec::new(),
            exact: HashMap::new(),
            suffixes: HashMap::new(),
            any: None,
        };
        for asked in listeners {
            let id = proofs.id(asked, files, errors);
            proofs.listeners.push(id);
        }
        for (host, asked) in &settings.hosts {
            let said = asked.as_ref().map(|asked| proofs.id(asked, files, errors));
            match host.strip_prefix("*.") {
                _ if host == "*" => proofs.any = said,
                Some(suffix) => drop(proofs.suffixes.insert(suffix.into(), said)),
                None => drop(proofs.exact.insert(host.as_str().into(), said)),
            }
        }
        proofs
    }

    fn id(&mut self, asked: &ClientCertificates, files: &Files, errors: &mut Vec<TlsError>) -> ProofId {
        let proof = match Proof::new(asked, files) {
            Ok(proof) => proof,
            Err(error) => {
                // A file that several name is wrong once.
                if !errors.contains(&error) {
                    errors.push(error);
                }
                return ProofId(usize::MAX);
            }
        };
        let known = self.all.iter().position(|known| known.digest == proof.digest);
        ProofId(known.unwrap_or_else(|| {
            self.all.push(proof);
            self.all.len() - 1
        }))
    }

    /// What is asked on a listener of the clients of a normalised host; without one, of those that name none. Does not
    /// allocate.
    pub(super) fn of(&self, listener: usize, host: Option<&str>) -> ProofId {
        let named = host.and_then(|host| self.exact.get(host).or_else(|| self.by_suffix(host)));
        named.copied().unwrap_or(self.any).unwrap_or(self.listeners[listener])
    }

    fn by_suffix(&self, host: &str) -> Option<&Said> {
        if self.suffixes.is_empty() {
            return None;
        }
        let dots = host.bytes().enumerate().filter(|(_, byte)| *byte == b'.');
        dots.map(|(at, _)| at).find_map(|at| self.suffixes.get(&host[at + 1..]))
    }

    /// The proof of an id that [`Proofs::of`] gave.
    pub(super) fn get(&self, id: ProofId) -> &Proof {
        &self.all[id.0]
    }

    /// All that are asked, in the order of their ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Proof> {
        self.all.iter()
    }
}

impl ProofId {
    /// Its place among [`Proofs::iter`].
    pub(super) fn place(self) -> usize {
        self.0
    }
}
