//! TLS toward origins, and the fields that are sent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::scripts::*;
use http::{HeaderValue, Method};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use verge::origin::{Fetch, FetchError, ServerUrl};

/// A certificate for `name` from an authority of its own, whose certificate is the second.
pub fn certificate(name: &str) -> (rustls::ServerConfig, String) {
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    let issuer_pem = authority.self_signed(&key).unwrap().pem();
    let issuer = rcgen::Issuer::new(authority, key);
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    (config, issuer_pem)
}

/// A TLS server and how many connections it has taken.
async fn tls_server(config: rustls::ServerConfig) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let taken = Arc::new(AtomicUsize::new(0));
    let count = taken.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            let handshake = acceptor.accept(stream);
            tokio::spawn(async move {
                if let Ok(stream) = handshake.await {
                    answer(stream).await;
                }
            });
        }
    });
    (address, taken)
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut head = Vec::new();
    while stream.read_buf(&mut head).await.is_ok_and(|read| read > 0) {
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            let body = "x".repeat(100_000);
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
        }
    }
}

#[tokio::test]
async fn certificates_are_checked_against_the_name() {
    let (server, authority) = certificate("app.example.com");
    let (address, taken) = tls_server(server).await;
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("ca.pem");
    std::fs::write(&bundle, authority).unwrap();
    let with = |sni: Option<&str>, ca: bool, verify: bool| {
        let mut config = config(address);
        config.servers = vec![ServerUrl::parse(&format!("https://{address}")).unwrap()];
        config.sni = sni.map(str::to_owned);
        config.ca_file = ca.then(|| bundle.clone());
        config.verify = verify;
        open(config)
    };
    let right = with(Some("app.example.com"), true, true);
    for _ in 0..2 {
        assert_eq!(get(&right).await.unwrap().1.len(), 100_000);
    }
    assert_eq!(taken.load(Ordering::Relaxed), 1);
    for (sni, ca) in [
        (Some("other.example.com"), true),
        (None, true),
        (Some(""), true),
        (Some("app.example.com"), false),
    ] {
        let outcome = get(&with(sni, ca, true)).await;
        assert_eq!(outcome.unwrap_err(), FetchError::TlsCertificate, "{sni:?} {ca}");
    }
    get(&with(Some("other.example.com"), true, false)).await.unwrap();
}

#[tokio::test]
async fn clear_text_is_no_tls() {
    let (address, server) = serve(|listener| {
        let mut stream = accept(&listener);
        tx(&mut stream, "HTTP/1.1 400 Bad Request\r\n\r\n");
        expect_close(&mut stream);
    });
    let mut config = config(address);
    config.servers = vec![ServerUrl::parse(&format!("https://{address}")).unwrap()];
    let origin = open(config);
    assert_eq!(get(&origin).await.unwrap_err(), FetchError::Tls);
    server.join().unwrap();
}

#[tokio::test]
async fn fields_are_sent_as_given() {
    let (address, server) = serve(|listener| {
        let mut stream = accept(&listener);
        let head = rx(&mut stream);
        tx(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        head
    });
    let origin = origin(address);
    let mut asked = request(Method::GET, "/a?b=c");
    asked.fields.append("accept", HeaderValue::from_static("text/html"));
    asked.fields.append("x-two", HeaderValue::from_static("1"));
    asked.fields.append("x-two", HeaderValue::from_static("2"));
    origin.clone().fetch(asked, None).await.unwrap();
    assert_eq!(
        server.join().unwrap(),
        "GET /a?b=c HTTP/1.1\r\nHost: example.com\r\naccept: text/html\r\nx-two: 1\r\nx-two: 2\r\n\r\n"
    );
}
