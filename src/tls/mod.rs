//! TLS with clients: which certificate, which proof of the client, which keys.
//!
//! [`Terminator`] holds what the configured files say, as one state that a reload swaps whole. A connection asks it by
//! the name in its ClientHello, and gets a [`Chosen`]: how to shake hands, and for which hosts it may then speak.

mod certificate;
mod error;
mod files;
mod keys;
mod names;
mod proofs;
mod self_signed;
mod settings;
mod state;
mod terminator;
mod tickets;
mod voice;

use std::sync::{Arc, LazyLock};

use rustls::crypto::CryptoProvider;

pub use certificate::{CertificateInfo, KeyKind, Standing};
pub use error::TlsError;
pub use settings::{CertificateFiles, ClientCertificates, Settings, Version};
pub use terminator::{Chosen, Reload, Terminator};
pub use voice::Voice;

/// The cryptography of every handshake: aws-lc-rs, with X25519MLKEM768 before the other key exchanges, and AES-128 before
/// AES-256, which costs a third more and withstands nothing more.
pub fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        let hybrid = rustls::crypto::aws_lc_rs::kx_group::X25519MLKEM768;
        provider.kx_groups.retain(|group| group.name() != hybrid.name());
        provider.kx_groups.insert(0, hybrid);
        provider.cipher_suites.sort_by_key(|suite| {
            let name = format!("{:?}", suite.suite());
            (
                suite.tls13().is_none(),
                !name.contains("AES_128"),
                name.contains("CHACHA20"),
            )
        });
        Arc::new(provider)
    });
    &PROVIDER
}
