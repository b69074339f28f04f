//! A client that speaks HTTP/2 over TLS: one request, on a connection of its own.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderMap, Request};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::client::{Ask, Reply};
use crate::tls::provider;

/// Sends a request and reads the answer to its end.
pub(super) async fn exchange(edge: SocketAddr, ask: Ask<'_>) -> io::Result<Reply> {
    let stream = TcpStream::connect(edge).await?;
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    let stream = TlsConnector::from(config()?).connect(name, stream).await?;
    let (mut client, connection) = h2::client::handshake(stream).await.map_err(io::Error::other)?;
    let connection = tokio::spawn(connection);
    let mut request =
        Request::builder()
            .method(ask.method)
            .uri(format!("https://localhost:{}{}", edge.port(), ask.path));
    if let Some((name, value)) = ask.field {
        request = request.header(name, value);
    }
    let request = request.body(()).map_err(io::Error::other)?;
    let (response, _) = client.send_request(request, true).map_err(io::Error::other)?;
    let (head, mut body) = response.await.map_err(io::Error::other)?.into_parts();
    let mut reply = Reply {
        status: head.status,
        fields: HeaderMap::from_iter(
            head.headers
                .into_iter()
                .filter_map(|(name, value)| Some((name?, value))),
        ),
        body: Vec::new(),
    };
    while let Some(piece) = poll_fn(|cx| body.poll_data(cx)).await {
        let piece = piece.map_err(io::Error::other)?;
        body.flow_control()
            .release_capacity(piece.len())
            .map_err(io::Error::other)?;
        reply.body.extend_from_slice(&piece);
    }
    connection.abort();
    Ok(reply)
}

fn config() -> io::Result<Arc<ClientConfig>> {
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Whoever))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

/// Takes whatever certificate is shown: it is that of the edge in this process, which it has signed itself.
#[derive(Debug)]
struct Whoever;

impl ServerCertVerifier for Whoever {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, signed, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, signed, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
