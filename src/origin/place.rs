//! An address of a server, and what keeps a connection from it.

use std::fmt;
use std::sync::Arc;

use pingora_core::protocols::l4::socket::SocketAddr as PeerAddress;
use pingora_core::upstreams::peer::{Peer, PeerOptions};
use pingora_core::{Error, ErrorType};

use super::FetchError;

/// One address of one server, as Pingora wants it described.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) address: PeerAddress,
    /// Present for TLS.
    pub(super) sni: Option<Arc<str>>,
    /// A keyed hash of all that a connection must have in common with this one to be used for it.
    pub(super) key: u64,
    pub(super) options: Arc<PeerOptions>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)
    }
}

impl Peer for Place {
    fn address(&self) -> &PeerAddress {
        &self.address
    }

    fn tls(&self) -> bool {
        self.sni.is_some()
    }

    fn sni(&self) -> &str {
        self.sni.as_deref().unwrap_or_default()
    }

    fn reuse_hash(&self) -> u64 {
        self.key
    }

    fn get_peer_options(&self) -> Option<&PeerOptions> {
        Some(&self.options)
    }

    /// The key holds the address already; asking the system for it would cost a call on every reuse.
    #[cfg(unix)]
    fn matches_fd<V: std::os::fd::AsRawFd>(&self, _: V) -> bool {
        true
    }
}

/// What went wrong while connecting, as RFC 9209 section 2.3 tells it apart.
pub(super) fn kind_of(error: &Error) -> FetchError {
    match error.etype() {
        ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout => FetchError::ConnectionTimeout,
        ErrorType::InvalidCert => FetchError::TlsCertificate,
        // Pingora keeps only the text of what rustls said; `rustls::Error::InvalidCertificate` begins so. A test holds it.
        ErrorType::TLSHandshakeFailure if error.to_string().contains("invalid peer certificate") => {
            FetchError::TlsCertificate
        }
        ErrorType::TLSHandshakeFailure => FetchError::Tls,
        _ => FetchError::ConnectionRefused,
    }
}
