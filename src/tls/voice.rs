//! For which hosts a connection may speak.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;

use super::names::SetId;
use super::proofs::ProofId;
use super::state::State;

/// For which hosts a connection may speak: those whose clients would have been shown the same certificates and asked for
/// the same proof. The rest are answered `421` (RFC 9110 7.4, RFC 9113 9.1.2). It stays as it was at the handshake.
#[derive(Clone)]
pub struct Voice {
    state: Arc<State>,
    listener: usize,
    /// Normalised.
    sni: Option<Box<str>>,
    set: SetId,
    proof: ProofId,
}

impl Voice {
    pub(super) fn new(state: Arc<State>, listener: usize, sni: Option<&str>) -> Voice {
        Voice {
            set: state.certificates.of(sni),
            proof: state.proofs.of(listener, sni),
            sni: sni.map(Box::from),
            listener,
            state,
        }
    }

    pub(super) fn proof(&self) -> ProofId {
        self.proof
    }

    /// Whether a request may be for `host`: in lower case, without port, without a dot at its end, IPv6 addresses in
    /// brackets. An address is looked for among the addresses of certificates, as SNI cannot name it (RFC 6066 3). Does
    /// not allocate.
    pub fn may_speak_for(&self, host: &str) -> bool {
        if self.sni.as_deref() == Some(host) {
            return true;
        }
        let host = Some(host);
        self.state.certificates.of(host) == self.set && self.state.proofs.of(self.listener, host) == self.proof
    }

    /// Whether what the client proved would be taken now: `chain` is what rustls calls the peer's certificates. To be
    /// asked of a resumed session, whose certificate rustls does not check again: each resumption gives new tickets, so
    /// that it would outlive its certificate.
    pub fn proof_stands(&self, chain: Option<&[CertificateDer<'_>]>) -> bool {
        let proof = self.state.proofs.get(self.proof);
        self.state.time().is_some_and(|now| proof.stands(chain, now))
    }
}
