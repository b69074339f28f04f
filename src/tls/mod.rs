//! TLS with clients: which certificate, which proof of the client, which keys.

mod settings;

use std::sync::{Arc, LazyLock};

use rustls::crypto::CryptoProvider;

pub use settings::{CertificateFiles, ClientCertificates, Settings, Version};

/// The cryptography of every handshake: aws-lc-rs, with X25519MLKEM768 before the other key exchanges.
pub fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        let hybrid = rustls::crypto::aws_lc_rs::kx_group::X25519MLKEM768;
        provider.kx_groups.retain(|group| group.name() != hybrid.name());
        provider.kx_groups.insert(0, hybrid);
        Arc::new(provider)
    });
    &PROVIDER
}
