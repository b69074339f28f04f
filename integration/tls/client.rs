//! Clients that shake hands with an edge through memory.

use std::sync::{Arc, Mutex};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::Acceptor;
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, ServerConnection, SignatureScheme};
use verge::tls::{Terminator, Voice, provider};

/// What a client is like.
pub struct Client {
    pub versions: Vec<&'static rustls::SupportedProtocolVersion>,
    /// Signatures that it verifies.
    pub schemes: Vec<SignatureScheme>,
    pub groups: Vec<&'static dyn SupportedKxGroup>,
    pub alpn: Vec<&'static str>,
    pub sni: bool,
    /// A chain and its key.
    pub proof: Option<(String, String)>,
}

impl Default for Client {
    fn default() -> Client {
        Client {
            versions: rustls::ALL_VERSIONS.to_vec(),
            schemes: provider().signature_verification_algorithms.supported_schemes(),
            groups: provider().kx_groups.clone(),
            alpn: vec!["h2", "http/1.1"],
            sni: true,
            proof: None,
        }
    }
}

impl Client {
    pub fn tls12() -> Client {
        Client {
            versions: vec![&rustls::version::TLS12],
            ..Client::default()
        }
    }

    pub fn tls13() -> Client {
        Client {
            versions: vec![&rustls::version::TLS13],
            ..Client::default()
        }
    }

    pub fn proving(self, proof: (String, String)) -> Client {
        Client {
            proof: Some(proof),
            ..self
        }
    }

    /// One that keeps its sessions.
    pub fn build(self) -> Session {
        let cryptography = CryptoProvider {
            kx_groups: self.groups,
            ..CryptoProvider::clone(provider())
        };
        let looks = Arc::new(Looks {
            schemes: self.schemes,
            ocsp: Mutex::default(),
        });
        let builder = ClientConfig::builder_with_provider(Arc::new(cryptography))
            .with_protocol_versions(&self.versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(looks.clone());
        let mut config = match self.proof {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = CertificateDer::pem_slice_iter(chain.as_bytes());
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder
                    .with_client_auth_cert(chain.map(Result::unwrap).collect(), key)
                    .unwrap()
            }
        };
        config.alpn_protocols = self.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config.enable_sni = self.sni;
        Session {
            config: Arc::new(config),
            looks,
        }
    }
}

/// Takes any certificate, and notes the OCSP response that came with it.
#[derive(Debug)]
struct Looks {
    schemes: Vec<SignatureScheme>,
    ocsp: Mutex<Vec<u8>>,
}

impl ServerCertVerifier for Looks {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.ocsp.lock().unwrap() = ocsp.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

/// A client that keeps its sessions from one connection to the next.
pub struct Session {
    pub config: Arc<ClientConfig>,
    looks: Arc<Looks>,
}

/// Both ends after a handshake.
pub struct Pair {
    pub client: ClientConnection,
    pub server: ServerConnection,
    pub voice: Voice,
}

impl Session {
    pub fn ocsp(&self) -> Vec<u8> {
        self.looks.ocsp.lock().unwrap().clone()
    }

    /// Shakes hands for a name.
    pub fn try_shake(&self, edge: &Terminator, listener: usize, name: &str) -> Result<Pair, String> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut client = ClientConnection::new(self.config.clone(), name).unwrap();
        let mut hello = Vec::new();
        client.write_tls(&mut hello).unwrap();
        let (mut server, voice) = accept(edge, listener, &hello)?;
        while client.wants_write() || server.wants_write() {
            let mut wire = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut wire).unwrap();
            }
            let mut rest = wire.as_slice();
            while !rest.is_empty() {
                client.read_tls(&mut rest).unwrap();
                client
                    .process_new_packets()
                    .map_err(|error| format!("client: {error}"))?;
            }
            let mut wire = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut wire).unwrap();
            }
            let mut rest = wire.as_slice();
            while !rest.is_empty() {
                server.read_tls(&mut rest).unwrap();
                server.process_new_packets().map_err(|error| format!("edge: {error}"))?;
            }
        }
        assert!(!client.is_handshaking() && !server.is_handshaking());
        Ok(Pair { client, server, voice })
    }

    pub fn shake(&self, edge: &Terminator, listener: usize, name: &str) -> Pair {
        self.try_shake(edge, listener, name)
            .unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

/// What an edge makes of the first bytes of a client.
pub fn accept(edge: &Terminator, listener: usize, hello: &[u8]) -> Result<(ServerConnection, Voice), String> {
    let mut acceptor = Acceptor::default();
    let mut rest = hello;
    while !rest.is_empty() {
        acceptor.read_tls(&mut rest).map_err(|error| error.to_string())?;
    }
    let accepted = acceptor.accept().map_err(|(error, _)| format!("edge: {error}"))?;
    let accepted = accepted.ok_or("edge: more is to come")?;
    let chosen = edge.choose(
        listener,
        accepted.client_hello().server_name(),
        accepted.client_hello().cipher_suites(),
    );
    let server = accepted.into_connection(chosen.config);
    Ok((server.map_err(|(error, _)| format!("edge: {error}"))?, chosen.voice))
}

impl Pair {
    /// The certificate that the client was shown.
    pub fn shown(&self) -> &CertificateDer<'static> {
        &self.client.peer_certificates().unwrap()[0]
    }

    pub fn resumed(&self) -> bool {
        let kind = self.server.handshake_kind().unwrap();
        assert_eq!(self.client.handshake_kind(), Some(kind));
        kind == rustls::HandshakeKind::Resumed
    }

    /// How many certificates the edge was shown.
    pub fn proof(&self) -> usize {
        self.server.peer_certificates().map_or(0, <[_]>::len)
    }
}
