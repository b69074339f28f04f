//! The edge under test: defaults, one site for all hosts, and a listener a kind of connection.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use verge::clock::SystemClock;
use verge::config;
use verge::node::Node;

use crate::client::HOST;

/// A running edge.
pub struct Edge {
    pub clear: SocketAddr,
    pub tls: SocketAddr,
    /// What clients trust.
    pub trust: ClientConfig,
    _node: Node,
}

impl Edge {
    pub fn start(origin: SocketAddr) -> Edge {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![HOST.to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let (pem, key_file) = (folder.path().join("edge.pem"), folder.path().join("edge.key"));
        std::fs::write(&pem, certificate.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        let text = format!(
            "listen = [{{ address = \"127.0.0.1:0\" }}, {{ address = \"127.0.0.1:0\", tls = true }}]\n\
             server.admin = \"off\"\nserver.threads = 2\nlog.level = \"error\"\ncache.ram = \"1GiB\"\n\
             tls.certificates = [{{ cert = {pem:?}, key = {key_file:?} }}]\n\
             origins.app.servers = [\"http://{origin}\"]\n\
             [[sites]]\nhosts = [\"*\"]\norigin = \"app\"\n"
        );
        let config = config::load("matrix", &text).unwrap_or_else(|errors| panic!("{errors:?}"));
        let node = Node::start(config, Box::new(|| Err(Vec::new())), Arc::new(SystemClock)).unwrap();
        Edge {
            clear: node.server.addresses[0],
            tls: node.server.addresses[1],
            trust: trust(certificate.der()),
            _node: node,
        }
    }
}

fn trust(certificate: &CertificateDer<'static>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    ClientConfig::builder_with_provider(verge::tls::provider().clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}
