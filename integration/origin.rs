//! The origin's client against scripted servers.

#![allow(clippy::unwrap_used)] // `allow-unwrap-in-tests` covers test functions, not their helpers.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use verge::origin::{Fetch, FetchError, FetchRequest, Fetched, Origin, OriginConfig, ReadBody, RequestBody, ServerUrl};

/// The 8 MiB of the tests that need more than any socket buffer holds.
const MUCH: usize = 8 << 20;

// --- The vocabulary ---

/// A server that plays `script` on a thread; joining it shows whether the script went to its end.
fn serve<T: Send + 'static>(script: impl FnOnce(TcpListener) -> T + Send + 'static) -> (SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (address, std::thread::spawn(move || script(listener)))
}

fn accept(listener: &TcpListener) -> TcpStream {
    listener.accept().unwrap().0
}

/// Reads a request head, and no byte more.
fn rx(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

fn tx(stream: &mut TcpStream, bytes: impl AsRef<[u8]>) {
    stream.write_all(bytes.as_ref()).unwrap();
}

/// Waits until the client has closed the connection.
fn expect_close(stream: &mut TcpStream) {
    let _ = std::io::copy(stream, &mut std::io::sink());
}

fn config(address: SocketAddr) -> OriginConfig {
    OriginConfig {
        name: "test".to_owned(),
        servers: vec![ServerUrl::parse(&format!("http://{address}")).unwrap()],
        ..OriginConfig::default()
    }
}

fn open(config: OriginConfig) -> Arc<Origin> {
    Arc::new(Origin::new(config).unwrap())
}

fn origin(address: SocketAddr) -> Arc<Origin> {
    open(config(address))
}

fn request(method: Method, target: &str) -> FetchRequest {
    FetchRequest {
        method,
        target: target.to_owned(),
        host: "example.com".to_owned(),
        fields: HeaderMap::new(),
        upgrade: None,
    }
}

async fn get(origin: &Arc<Origin>) -> Result<(StatusCode, Bytes), FetchError> {
    let mut fetched = origin.clone().fetch(request(Method::GET, "/"), None).await?;
    Ok((fetched.status, read(&mut *fetched.body).await?))
}

async fn read(body: &mut dyn ReadBody) -> Result<Bytes, FetchError> {
    let mut all = Vec::new();
    while let Some(piece) = poll_fn(|cx| body.poll_piece(cx)).await {
        let piece = piece?;
        assert!(!piece.is_empty());
        all.extend_from_slice(&piece);
    }
    Ok(all.into())
}

fn failure(outcome: Result<Fetched<'_>, FetchError>) -> FetchError {
    match outcome {
        Ok(fetched) => panic!("{} instead of an error", fetched.status),
        Err(error) => error,
    }
}

/// A request body in pieces; once they are used up it ends, or says nothing for ever.
struct Pieces {
    pieces: VecDeque<Bytes>,
    length: Option<u64>,
    ends: bool,
}

impl Pieces {
    fn new(pieces: impl IntoIterator<Item = Bytes>) -> Self {
        let pieces: VecDeque<Bytes> = pieces.into_iter().collect();
        let length = pieces.iter().map(|p| p.len() as u64).sum();
        Pieces {
            pieces,
            length: Some(length),
            ends: true,
        }
    }
}

impl ReadBody for Pieces {
    fn poll_piece(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, FetchError>>> {
        match self.pieces.pop_front() {
            Some(piece) => Poll::Ready(Some(Ok(piece))),
            None if self.ends => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

impl RequestBody for Pieces {
    fn content_length(&self) -> Option<u64> {
        self.length
    }
}

// --- Messages ---

#[tokio::test]
async fn a_connection_is_used_again() {
    let (address, server) = serve(|listener| {
        let mut only = accept(&listener);
        drop(listener);
        for _ in 0..3 {
            let head = rx(&mut only);
            assert!(head.starts_with("GET / HTTP/1.1\r\nHost: example.com\r\n"), "{head}");
            tx(&mut only, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let origin = origin(address);
    for _ in 0..3 {
        assert_eq!(get(&origin).await.unwrap(), (StatusCode::OK, "ok".into()));
    }
    server.join().unwrap();
}

#[tokio::test]
async fn connection_close_is_respected() {
    let (address, server) = serve(|listener| {
        for _ in 0..2 {
            let mut stream = accept(&listener);
            rx(&mut stream);
            tx(
                &mut stream,
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
            );
            expect_close(&mut stream);
        }
    });
    let origin = origin(address);
    for _ in 0..2 {
        get(&origin).await.unwrap();
    }
    server.join().unwrap();
}

#[tokio::test]
async fn bytes_after_a_response_are_never_the_next_one() {
    let (address, server) = serve(|listener| {
        for body in ["one", "two"] {
            let mut stream = accept(&listener);
            rx(&mut stream);
            let response = format!("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{body}");
            tx(
                &mut stream,
                format!("{response}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
            );
            expect_close(&mut stream);
        }
    });
    let origin = origin(address);
    assert_eq!(get(&origin).await.unwrap().1, "one");
    assert_eq!(get(&origin).await.unwrap().1, "two");
    server.join().unwrap();
}

#[tokio::test]
async fn bodies_of_every_framing() {
    let cases: [(&str, &str); 6] = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
            "hello",
        ),
        ("HTTP/1.1 200 OK\r\n\r\nhello", "hello"),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"),
        ("HTTP/1.1 204 No Content\r\n\r\n", ""),
    ];
    let (address, server) = serve(move |listener| {
        for (response, _) in cases {
            let mut stream = accept(&listener);
            rx(&mut stream);
            // A byte a write: every boundary is somewhere between two reads.
            for byte in response.bytes() {
                tx(&mut stream, [byte]);
            }
        }
    });
    for (response, body) in cases {
        let origin = origin(address);
        assert_eq!(get(&origin).await.unwrap().1, body, "{response}");
    }
    server.join().unwrap();
}

#[tokio::test]
async fn a_head_response_has_no_body() {
    let (address, server) = serve(|listener| {
        let mut only = accept(&listener);
        drop(listener);
        for _ in 0..2 {
            rx(&mut only);
            tx(&mut only, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        }
    });
    let origin = origin(address);
    for _ in 0..2 {
        let mut fetched = origin.clone().fetch(request(Method::HEAD, "/"), None).await.unwrap();
        assert_eq!(fetched.fields["content-length"], "1000");
        assert_eq!(fetched.content_length, Some(0));
        assert!(read(&mut *fetched.body).await.unwrap().is_empty());
    }
    server.join().unwrap();
}

#[tokio::test]
async fn a_large_body_arrives_whole_and_a_small_one_pins_little() {
    let (address, server) = serve(|listener| {
        let mut stream = accept(&listener);
        rx(&mut stream);
        tx(
            &mut stream,
            format!("HTTP/1.1 200 OK\r\nContent-Length: {MUCH}\r\n\r\n"),
        );
        tx(&mut stream, pattern(0, MUCH));
        rx(&mut stream);
        tx(
            &mut stream,
            format!("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{}", "x".repeat(1000)),
        );
    });
    let origin = origin(address);
    assert!(get(&origin).await.unwrap().1 == pattern(0, MUCH));
    let mut small = origin.clone().fetch(request(Method::GET, "/"), None).await.unwrap();
    let piece = poll_fn(|cx| small.body.poll_piece(cx)).await.unwrap().unwrap();
    assert_eq!(piece.len(), 1000);
    assert!(piece.try_into_mut().unwrap().capacity() < 2000);
    server.join().unwrap();
}

#[tokio::test]
async fn hop_by_hop_fields_stay_and_trailers_come() {
    let (address, server) = serve(|listener| {
        let mut stream = accept(&listener);
        rx(&mut stream);
        tx(
            &mut stream,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nKeep-Alive: timeout=5\r\nETag: \"1\"\r\n\r\n",
        );
        tx(&mut stream, "2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n");
    });
    let origin = origin(address);
    let mut fetched = origin.clone().fetch(request(Method::GET, "/"), None).await.unwrap();
    assert_eq!(fetched.fields.len(), 1);
    assert_eq!(fetched.fields["etag"], "\"1\"");
    assert_eq!(read(&mut *fetched.body).await.unwrap(), "ok");
    assert_eq!(fetched.body.take_trailers().unwrap()["x-sum"], "7");
    server.join().unwrap();
}

#[tokio::test]
async fn interim_responses_are_passed_over() {
    let (address, server) = serve(|listener| {
        let mut stream = accept(&listener);
        rx(&mut stream);
        tx(
            &mut stream,
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
        );
        tx(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        rx(&mut stream);
        tx(&mut stream, "HTTP/1.1 102 Processing\r\n\r\n".repeat(9));
        expect_close(&mut stream);
    });
    let origin = origin(address);
    assert_eq!(get(&origin).await.unwrap().1, "ok");
    assert_eq!(get(&origin).await.unwrap_err(), FetchError::Protocol);
    server.join().unwrap();
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_is_refused() {
    let cases = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "SSH-2.0-OpenSSH_9.7\r\n",
    ];
    let (address, server) = serve(move |listener| {
        for response in cases {
            let mut stream = accept(&listener);
            rx(&mut stream);
            tx(&mut stream, response);
            expect_close(&mut stream);
        }
    });
    for response in cases {
        let origin = origin(address);
        assert_eq!(get(&origin).await.unwrap_err(), FetchError::Protocol, "{response}");
    }
    server.join().unwrap();
}

#[tokio::test]
async fn a_truncated_body_is_incomplete() {
    let cases = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ];
    let (address, server) = serve(move |listener| {
        for response in cases {
            let mut stream = accept(&listener);
            rx(&mut stream);
            tx(&mut stream, response);
        }
    });
    for response in cases {
        let origin = origin(address);
        assert_eq!(get(&origin).await.unwrap_err(), FetchError::Incomplete, "{response}");
    }
    server.join().unwrap();
}

// --- Connections ---

#[tokio::test]
async fn a_dead_idle_connection_costs_one_more() {
    let (address, server) = serve(|listener| {
        let mut first = accept(&listener);
        rx(&mut first);
        tx(&mut first, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none");
        // The request is taken and never answered, as by a server that was about to close.
        rx(&mut first);
        drop(first);
        let mut second = accept(&listener);
        rx(&mut second);
        tx(&mut second, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo");
    });
    let origin = origin(address);
    assert_eq!(get(&origin).await.unwrap().1, "one");
    assert_eq!(get(&origin).await.unwrap().1, "two");
    server.join().unwrap();
}

#[tokio::test]
async fn only_what_may_be_repeated_is_repeated_and_only_once() {
    let (address, server) = serve(|listener| {
        for _ in 0..3 {
            let mut stream = accept(&listener);
            rx(&mut stream);
        }
        // A beginning of a response is an answer: no repetition.
        let mut stream = accept(&listener);
        rx(&mut stream);
        tx(&mut stream, "HTTP/1.1 200");
    });
    let origin = origin(address);
    let post = origin.clone().fetch(request(Method::POST, "/"), None).await;
    assert_eq!(failure(post), FetchError::ConnectionTerminated);
    assert_eq!(get(&origin).await.unwrap_err(), FetchError::ConnectionTerminated);
    assert_eq!(get(&origin).await.unwrap_err(), FetchError::ConnectionTerminated);
    server.join().unwrap();
}

#[tokio::test]
async fn servers_take_turns() {
    let one = |name: &'static str| {
        serve(move |listener| {
            let mut stream = accept(&listener);
            drop(listener);
            for _ in 0..2 {
                rx(&mut stream);
                tx(
                    &mut stream,
                    format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{name}"),
                );
            }
        })
    };
    let ((first, a), (second, b)) = (one("a"), one("b"));
    let mut config = config(first);
    config
        .servers
        .push(ServerUrl::parse(&format!("http://{second}")).unwrap());
    let origin = open(config);
    for expected in ["a", "b", "a", "b"] {
        assert_eq!(get(&origin).await.unwrap().1, expected);
    }
    a.join().unwrap();
    b.join().unwrap();
}

fn refusing() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn refused_is_known_at_once() {
    let mut config = config(refusing());
    config.connect_timeout = Duration::from_secs(3600);
    let origin = open(config);
    let outcome = tokio::time::timeout(Duration::from_secs(10), get(&origin))
        .await
        .unwrap();
    assert_eq!(outcome.unwrap_err(), FetchError::ConnectionRefused);
}

#[tokio::test]
async fn the_next_server_is_asked_whatever_the_method() {
    let (address, server) = serve(|listener| {
        let mut stream = accept(&listener);
        for _ in 0..2 {
            rx(&mut stream);
            let mut body = [0; 4];
            stream.read_exact(&mut body).unwrap();
            assert_eq!(&body, b"body");
            tx(&mut stream, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let mut config = config(refusing());
    config
        .servers
        .push(ServerUrl::parse(&format!("http://{address}")).unwrap());
    let origin = open(config);
    for _ in 0..2 {
        let mut body = Pieces::new(["body".into()]);
        let fetched = origin
            .clone()
            .fetch(request(Method::POST, "/"), Some(&mut body))
            .await
            .unwrap();
        assert_eq!(fetched.status, StatusCode::CREATED);
    }
    server.join().unwrap();
}

#[tokio::test]
async fn localhost_is_found_without_a_network() {
    let (address, server) = serve(|listener| {
        let mut stream = accept(&listener);
        let head = rx(&mut stream);
        assert!(head.contains("\r\nHost: shop.example\r\n"), "{head}");
        tx(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    let mut config = config(address);
    config.servers = vec![ServerUrl::parse(&format!("http://localhost:{}", address.port())).unwrap()];
    config.host = Some("shop.example".to_owned());
    get(&open(config)).await.unwrap();
    server.join().unwrap();
}

// --- Time ---

#[tokio::test]
async fn silence_ends_in_a_timeout() {
    let cases = ["", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"];
    let (address, server) = serve(move |listener| {
        for response in cases {
            let mut stream = accept(&listener);
            rx(&mut stream);
            tx(&mut stream, response);
            expect_close(&mut stream);
        }
    });
    for response in cases {
        let mut config = config(address);
        config.first_byte_timeout = Duration::from_millis(50);
        config.between_bytes_timeout = Duration::from_millis(50);
        let origin = open(config);
        assert_eq!(get(&origin).await.unwrap_err(), FetchError::ReadTimeout, "{response:?}");
    }
    server.join().unwrap();
}

#[tokio::test]
async fn an_origin_that_takes_nothing_is_given_up() {
    let (done, held) = mpsc::channel::<()>();
    let (address, server) = serve(move |listener| {
        let stream = accept(&listener);
        let _ = held.recv();
        drop(stream);
    });
    let mut config = config(address);
    config.write_timeout = Duration::from_millis(50);
    let origin = open(config);
    let mut body = Pieces::new([pattern(0, 4 * MUCH)]);
    let outcome = origin.clone().fetch(request(Method::POST, "/"), Some(&mut body)).await;
    assert_eq!(failure(outcome), FetchError::WriteTimeout);
    drop(done);
    server.join().unwrap();
}

// --- Request bodies ---

fn pattern(from: usize, length: usize) -> Bytes {
    (from..from + length).map(|i| (i % 251) as u8).collect()
}

#[tokio::test]
async fn an_echo_of_much_does_not_block() {
    let (address, server) = serve(|listener| {
        let mut stream = accept(&listener);
        let head = rx(&mut stream);
        assert!(head.contains(&format!("\r\nContent-Length: {MUCH}\r\n")), "{head}");
        tx(
            &mut stream,
            format!("HTTP/1.1 200 OK\r\nContent-Length: {MUCH}\r\n\r\n"),
        );
        // It reads nothing while what it writes is not taken.
        let mut buffer = vec![0; 64 * 1024];
        let mut left = MUCH;
        while left > 0 {
            let read = stream.read(&mut buffer).unwrap();
            stream.write_all(&buffer[..read]).unwrap();
            left -= read;
        }
        rx(&mut stream);
        tx(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let origin = origin(address);
    let mut body = Pieces::new((0..MUCH / 32768).map(|i| pattern(i * 32768, 32768)));
    let mut fetched = origin
        .clone()
        .fetch(request(Method::POST, "/"), Some(&mut body))
        .await
        .unwrap();
    assert!(read(&mut *fetched.body).await.unwrap() == pattern(0, MUCH));
    drop(fetched);
    assert_eq!(get(&origin).await.unwrap().1, "ok");
    server.join().unwrap();
}

#[tokio::test]
async fn a_body_of_unknown_length_goes_in_chunks() {
    let (address, server) = serve(|listener| {
        let mut stream = accept(&listener);
        let head = rx(&mut stream);
        assert!(head.contains("\r\nTransfer-Encoding: chunked\r\n"), "{head}");
        let mut body = Vec::new();
        while !body.ends_with(b"0\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            body.push(byte[0]);
        }
        tx(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        String::from_utf8(body).unwrap()
    });
    let origin = origin(address);
    let mut body = Pieces::new(["hello ".into(), "chunked world".into()]);
    body.length = None;
    origin
        .clone()
        .fetch(request(Method::PUT, "/"), Some(&mut body))
        .await
        .unwrap();
    assert_eq!(server.join().unwrap(), "6\r\nhello \r\nd\r\nchunked world\r\n0\r\n\r\n");
}

#[tokio::test]
async fn a_body_that_is_not_as_long_as_stated_is_the_clients_fault() {
    for length in [3, 5] {
        let (address, server) = serve(|listener| expect_close(&mut accept(&listener)));
        let origin = origin(address);
        let mut body = Pieces::new(["four".into()]);
        body.length = Some(length);
        let outcome = origin.clone().fetch(request(Method::PUT, "/"), Some(&mut body)).await;
        assert_eq!(failure(outcome), FetchError::RequestBody);
        server.join().unwrap();
    }
}

#[tokio::test]
async fn an_early_answer_is_delivered_and_ends_the_connection() {
    let (address, server) = serve(|listener| {
        let mut stream = accept(&listener);
        rx(&mut stream);
        tx(
            &mut stream,
            "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig",
        );
        expect_close(&mut stream);
    });
    let origin = origin(address);
    let mut body = Pieces::new(["some".into()]);
    (body.length, body.ends) = (Some(1000), false);
    let mut fetched = origin
        .clone()
        .fetch(request(Method::PUT, "/"), Some(&mut body))
        .await
        .unwrap();
    assert_eq!(fetched.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(read(&mut *fetched.body).await.unwrap(), "big");
    drop(fetched);
    server.join().unwrap();
}

#[tokio::test]
async fn an_upgraded_connection_is_handed_over() {
    let (address, server) = serve(|listener| {
        let mut stream = accept(&listener);
        let head = rx(&mut stream);
        assert!(
            head.contains("\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"),
            "{head}"
        );
        tx(
            &mut stream,
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\nX: y\r\n\r\nfirst",
        );
        let mut buffer = [0; 4];
        stream.read_exact(&mut buffer).unwrap();
        tx(&mut stream, buffer);
    });
    let origin = origin(address);
    let mut asked = request(Method::GET, "/chat");
    asked.upgrade = Some("websocket".to_owned());
    let fetched = origin.clone().fetch(asked, None).await.unwrap();
    assert_eq!(fetched.status, StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(fetched.fields["x"], "y");
    let mut raw = fetched.upgraded.unwrap();
    raw.write_all(b"ping").await.unwrap();
    let mut all = String::new();
    raw.read_to_string(&mut all).await.unwrap();
    assert_eq!(all, "firstping");
    server.join().unwrap();
}

// --- TLS ---

/// A certificate for `name` from an authority of its own, whose certificate is the second.
fn certificate(name: &str) -> (rustls::ServerConfig, String) {
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
