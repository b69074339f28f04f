//! All that is made of the settings and the files, as of one moment.

use std::fmt;
use std::sync::Arc;

use rustls::SupportedProtocolVersion;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::UnixTime;
use rustls::server::{NoServerSessionStorage, ServerConfig};
use rustls::time_provider::TimeProvider;
use rustls::version::{TLS12, TLS13};

use super::certificate::Certificate;
use super::files::Files;
use super::keys::{Masters, Rotating};
use super::names::Certificates;
use super::proofs::{Proof, ProofId, Proofs};
use super::tickets::Sealer;
use super::{ClientCertificates, Settings, TlsError, Version, provider};
use crate::clock::Clock;

/// What stays over reloads.
#[derive(Clone)]
pub(super) struct Made {
    /// Only where none is configured.
    pub(super) self_signed: Option<Certificate>,
    pub(super) rotating: Arc<Rotating>,
    pub(super) clock: Arc<dyn Clock>,
}

/// What handshakes run on.
pub(super) struct State {
    pub(super) certificates: Arc<Certificates>,
    pub(super) proofs: Proofs,
    /// For each proof, in their order: by our order of ciphers, and by the client's.
    configs: Vec<[Arc<ServerConfig>; 2]>,
    clock: Arc<dyn Clock>,
}

impl State {
    /// Everything, or all that is wrong.
    pub(super) fn new(
        settings: &Settings,
        listeners: &[ClientCertificates],
        files: &Files,
        made: &Made,
    ) -> Result<State, Vec<TlsError>> {
        let mut errors = Vec::new();
        let configured = settings.certificates.iter();
        let configured = configured.filter_map(|paths| Certificate::load(files, paths, &mut errors));
        let certificates = configured.chain(made.self_signed.clone()).collect();
        let certificates = Arc::new(Certificates::new(certificates));
        let proofs = Proofs::new(settings, listeners, files, &mut errors);
        let masters = Masters::new(settings, files, &made.rotating, &mut errors);
        let versions = versions(settings).map_err(|error| errors.push(error)).ok();
        let Some(versions) = versions.filter(|_| errors.is_empty()) else {
            return Err(errors);
        };
        let cryptography = Arc::new(CryptoProvider {
            cipher_suites: settings.ciphers.clone(),
            kx_groups: settings.groups.clone(),
            ..CryptoProvider::clone(provider())
        });
        let config = |proof: &Proof| {
            let sealer = Sealer::new(masters.clone(), proof.digest, made.clock.clone());
            let ours = config(&cryptography, &versions, &certificates, proof, sealer, &made.clock)?;
            let mut theirs = ours.clone();
            theirs.ignore_client_order = false;
            Ok([Arc::new(ours), Arc::new(theirs)])
        };
        let configs: Result<Vec<_>, TlsError> = proofs.iter().map(config).collect();
        Ok(State {
            configs: configs.map_err(|error| vec![error])?,
            certificates,
            proofs,
            clock: made.clock.clone(),
        })
    }

    /// How to shake hands; `by_client` says whose order of ciphers counts.
    pub(super) fn config(&self, proof: ProofId, by_client: bool) -> &Arc<ServerConfig> {
        &self.configs[proof.place()][usize::from(by_client)]
    }

    /// The time, as certificates are checked against it.
    pub(super) fn time(&self) -> Option<UnixTime> {
        WallTime(self.clock.clone()).current_time()
    }
}

/// The versions that the settings allow and leave suites and key exchanges for.
fn versions(settings: &Settings) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    let mut versions = match settings.min_version {
        Version::Tls12 => vec![&TLS13, &TLS12],
        Version::Tls13 => vec![&TLS13],
    };
    let has_suite =
        |version: &SupportedProtocolVersion| settings.ciphers.iter().any(|suite| suite.version() == version);
    versions.retain(|version| has_suite(version));
    if versions.is_empty() {
        let what = "none of these is of a version that min_version allows; name TLS_AES_128_GCM_SHA256 as well";
        return Err(TlsError::of_key("ciphers", what));
    }
    let groups = &settings.groups;
    versions.retain(|version| groups.iter().any(|group| group.usable_for_version(version.version)));
    if versions.is_empty() {
        let what = "none of these is for a version that the ciphers are of; name X25519 as well";
        return Err(TlsError::of_key("key_exchange", what));
    }
    Ok(versions)
}

fn config(
    cryptography: &Arc<CryptoProvider>,
    versions: &[&'static SupportedProtocolVersion],
    certificates: &Arc<Certificates>,
    proof: &Proof,
    sealer: Sealer,
    clock: &Arc<dyn Clock>,
) -> Result<ServerConfig, TlsError> {
    let time = Arc::new(WallTime(clock.clone()));
    let builder = ServerConfig::builder_with_details(cryptography.clone(), time)
        .with_protocol_versions(versions)
        .map_err(|error| TlsError::of_key("ciphers", format!("they cannot be used: {error}")))?;
    let mut config = builder
        .with_client_cert_verifier(proof.verifier.clone())
        .with_cert_resolver(certificates.clone());
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ignore_client_order = true;
    // RFC 8446 8: early data can be replayed by others; it is not taken.
    config.max_early_data_size = 0;
    config.send_half_rtt_data = false;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Arc::new(sealer);
    config.send_tls13_tickets = 2;
    config.enable_secret_extraction = false;
    config.cert_compressors = Vec::new();
    config.cert_decompressors = Vec::new();
    Ok(config)
}

/// The clock, as rustls asks for it.
struct WallTime(Arc<dyn Clock>);

impl TimeProvider for WallTime {
    fn current_time(&self) -> Option<UnixTime> {
        let since = self.0.now().wall.duration_since(std::time::SystemTime::UNIX_EPOCH);
        since.ok().map(UnixTime::since_unix_epoch)
    }
}

impl fmt::Debug for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WallTime")
    }
}
