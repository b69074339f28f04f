//! Connections: shared, bounded, left, and closed.

use std::sync::Arc;
use std::time::Duration;

use super::raw;
use super::server::*;
use crate::scripts::*;
use crate::tls::certificate;
use h2::server::Builder;
use http::Method;
use tokio::net::TcpListener;
use verge::origin::{Fetch, FetchError, Origin, OriginConfig, ServerUrl};

#[tokio::test]
async fn requests_share_a_connection() {
    let (listener, origin) = usual().await;
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener).await;
        drop(listener);
        let (one, two) = (peer.rx().await, peer.rx().await);
        two.tx("ok");
        one.tx("ok");
        peer.rx().await.tx("again");
        peer
    });
    let (one, two) = tokio::join!(get(&origin), get(&origin));
    assert_eq!(one.unwrap().1, "ok");
    assert_eq!(two.unwrap().1, "ok");
    assert_eq!(get(&origin).await.unwrap().1, "again");
    server.await.unwrap();
}

#[tokio::test]
async fn a_full_connection_gets_company() {
    let (listener, origin) = usual().await;
    let server = tokio::spawn(async move {
        let mut one_at_a_time = Builder::new();
        one_at_a_time.max_concurrent_streams(1);
        let mut first = Peer::accept_with(&listener, &one_at_a_time).await;
        let mut second = Peer::accept_with(&listener, &one_at_a_time).await;
        let (one, two) = tokio::join!(first.rx(), second.rx());
        drop(listener);
        one.tx("ok");
        two.tx("ok");
        (first, second)
    });
    let (one, two) = tokio::join!(get(&origin), get(&origin));
    assert_eq!(one.unwrap().1, "ok");
    assert_eq!(two.unwrap().1, "ok");
    let (mut first, _second) = server.await.unwrap();
    let (again, ()) = tokio::join!(get(&origin), async { first.rx().await.tx("again") });
    assert_eq!(again.unwrap().1, "again");
}

#[tokio::test]
async fn one_failure_to_connect_is_everybodys() {
    let (listener, config) = listen().await;
    drop(listener);
    let origin = open(config);
    let outcomes = tokio::join!(get(&origin), get(&origin), get(&origin));
    for outcome in [outcomes.0, outcomes.1, outcomes.2] {
        assert_eq!(outcome.unwrap_err(), FetchError::ConnectionRefused);
    }
}

#[tokio::test]
async fn who_gives_up_while_connecting_leaves_it_to_the_next() {
    let (listener, origin) = usual().await;
    let mut first = origin.clone().fetch(request(Method::GET, "/"), None);
    let mut second = origin.clone().fetch(request(Method::GET, "/"), None);
    std::future::poll_fn(|cx| {
        assert!(first.as_mut().poll(cx).is_pending());
        assert!(second.as_mut().poll(cx).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    drop(first);
    let server = tokio::spawn(async move {
        drop(listener.accept().await.unwrap());
        let mut peer = Peer::accept(&listener).await;
        peer.rx().await.tx("ok");
        peer
    });
    assert_eq!(read(&mut *second.await.unwrap().body).await.unwrap(), "ok");
    server.await.unwrap();
}

#[tokio::test]
async fn a_body_that_has_not_come_yet_is_sent_elsewhere() {
    let (listener, origin) = usual().await;
    let server = tokio::spawn(async move {
        let mut first = Peer::accept(&listener).await;
        first.rx().await.reply.send_reset(h2::Reason::REFUSED_STREAM);
        let mut second = Peer::accept(&listener).await;
        second.rx().await.tx("ok");
        (first, second)
    });
    let mut body = Pieces::new([]);
    (body.length, body.ends) = (Some(4), false);
    let post = origin.clone().fetch(request(Method::POST, "/"), Some(&mut body)).await;
    assert_eq!(read(&mut *post.unwrap().body).await.unwrap(), "ok");
    server.await.unwrap();
}

#[tokio::test]
async fn after_goaway_new_requests_go_elsewhere_and_old_ones_end() {
    let (address, server) = serve(|listener| {
        let mut first = raw::connection(&listener);
        let id = raw::rx(&mut first, raw::HEADERS);
        raw::tx(&mut first, raw::HEADERS, raw::END_HEADERS, id, &[raw::OK]);
        raw::go_away(&mut first, id);
        raw::tx(&mut first, raw::DATA, 0, id, b"be");
        let mut second = raw::connection(&listener);
        let other = raw::rx(&mut second, raw::HEADERS);
        raw::tx(
            &mut second,
            raw::HEADERS,
            raw::END_HEADERS | raw::END_STREAM,
            other,
            &[raw::OK],
        );
        raw::tx(&mut first, raw::DATA, raw::END_STREAM, id, b"gin");
        expect_close(&mut first);
        expect_close(&mut second);
    });
    let origin = open(config_h2(address));
    let mut begun = origin.clone().fetch(request(Method::GET, "/"), None).await.unwrap();
    let piece = std::future::poll_fn(|cx| begun.body.poll_piece(cx)).await.unwrap();
    assert_eq!(piece.unwrap(), "be");
    get(&origin).await.unwrap();
    assert_eq!(read(&mut *begun.body).await.unwrap(), "gin");
    drop((begun, origin));
    raw::joined(server).await;
}

#[tokio::test]
async fn what_goaway_passes_over_is_asked_again_whatever_the_method() {
    let (address, server) = serve(|listener| {
        let mut first = raw::connection(&listener);
        raw::rx(&mut first, raw::HEADERS);
        raw::go_away(&mut first, 0);
        let mut second = raw::connection(&listener);
        let id = raw::rx(&mut second, raw::HEADERS);
        raw::tx(
            &mut second,
            raw::HEADERS,
            raw::END_HEADERS | raw::END_STREAM,
            id,
            &[raw::OK],
        );
        expect_close(&mut first);
        expect_close(&mut second);
    });
    let origin = open(config_h2(address));
    origin.clone().fetch(request(Method::POST, "/"), None).await.unwrap();
    drop(origin);
    raw::joined(server).await;
}

#[tokio::test]
async fn what_was_refused_is_asked_again_once() {
    let (listener, origin) = usual().await;
    let server = tokio::spawn(async move {
        let refuse = |mut asked: Asked| asked.reply.send_reset(h2::Reason::REFUSED_STREAM);
        let mut first = Peer::accept(&listener).await;
        refuse(first.rx().await);
        let mut second = Peer::accept(&listener).await;
        second.rx().await.tx("ok");
        // The first is still good for others, and is asked first.
        refuse(first.rx().await);
        let mut third = Peer::accept(&listener).await;
        refuse(third.rx().await);
        (first, second, third)
    });
    let post = origin.clone().fetch(request(Method::POST, "/"), None).await;
    assert_eq!(read(&mut *post.unwrap().body).await.unwrap(), "ok");
    let post = origin.clone().fetch(request(Method::POST, "/"), None).await;
    assert_eq!(failure(post), FetchError::ConnectionTerminated);
    server.await.unwrap();
}

#[tokio::test]
async fn a_body_that_was_begun_is_not_sent_again() {
    let (listener, origin) = usual().await;
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener).await;
        peer.rx().await.reply.send_reset(h2::Reason::REFUSED_STREAM);
        peer
    });
    let mut body = Pieces::new(["body".into()]);
    let put = origin.clone().fetch(request(Method::PUT, "/"), Some(&mut body)).await;
    assert_eq!(failure(put), FetchError::ConnectionTerminated);
    server.await.unwrap();
}

#[tokio::test]
async fn a_closed_connection_is_replaced() {
    let (listener, origin) = usual().await;
    let (heard, mut read) = tokio::sync::mpsc::unbounded_channel();
    let server = tokio::spawn(async move {
        for _ in 0..3 {
            let mut peer = Peer::accept(&listener).await;
            peer.rx().await.tx("ok");
            read.recv().await.unwrap();
            peer.close().await;
        }
    });
    for _ in 0..3 {
        assert_eq!(get(&origin).await.unwrap().1, "ok");
        heard.send(()).unwrap();
    }
    server.await.unwrap();
}

#[tokio::test]
async fn an_unused_connection_ends() {
    let (listener, mut config) = listen().await;
    config.idle_timeout = Duration::from_millis(50);
    let origin = open(config);
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener).await;
        peer.rx().await.tx("ok");
        peer.rx().await.tx("ok");
        peer.expect_close().await;
    });
    for _ in 0..2 {
        get(&origin).await.unwrap();
    }
    server.await.unwrap();
}

#[tokio::test]
async fn no_more_unused_connections_are_kept_than_configured() {
    let (listener, mut config) = listen().await;
    let address = listener.local_addr().unwrap();
    let (other, _) = listen().await;
    config.max_idle = 1;
    let second = other.local_addr().unwrap();
    config
        .servers
        .push(ServerUrl::parse(&format!("http://{second}")).unwrap());
    assert_ne!(address, second);
    let origin = open(config);
    let server = tokio::spawn(async move {
        let mut first = Peer::accept(&listener).await;
        first.rx().await.tx("first");
        let mut second = Peer::accept(&other).await;
        second.rx().await.tx("second");
        first.expect_close().await;
        second
    });
    assert_eq!(get(&origin).await.unwrap().1, "first");
    assert_eq!(get(&origin).await.unwrap().1, "second");
    server.await.unwrap();
}

#[tokio::test]
async fn an_origin_that_is_dropped_closes_its_connections() {
    let (listener, origin) = usual().await;
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener).await;
        peer.rx().await.tx("ok");
        peer.expect_close().await;
    });
    get(&origin).await.unwrap();
    drop(origin);
    server.await.unwrap();
}

/// An origin for a TLS server of `app.example.com` that offers these protocols.
async fn tls(offers: &[&str]) -> (TcpListener, tokio_rustls::TlsAcceptor, Arc<Origin>) {
    let (mut server, authority) = certificate("app.example.com");
    server.alpn_protocols = offers.iter().map(|name| name.as_bytes().to_vec()).collect();
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("ca.pem");
    std::fs::write(&bundle, authority).unwrap();
    let (listener, config) = listen().await;
    let address = listener.local_addr().unwrap();
    let origin = open(OriginConfig {
        servers: vec![ServerUrl::parse(&format!("https://{address}")).unwrap()],
        sni: Some("app.example.com".to_owned()),
        ca_file: Some(bundle),
        ..config
    });
    (listener, tokio_rustls::TlsAcceptor::from(Arc::new(server)), origin)
}

#[tokio::test]
async fn over_tls_the_protocol_is_agreed_on() {
    let (listener, acceptor, origin) = tls(&["http/1.1", "h2"]).await;
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = acceptor.accept(stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let mut peer = Peer::of(stream, &Builder::new()).await;
        for _ in 0..2 {
            let asked = peer.rx().await;
            assert_eq!(target(&asked), "https://example.com/");
            asked.tx("ok");
        }
        peer
    });
    for _ in 0..2 {
        assert_eq!(get(&origin).await.unwrap().1, "ok");
    }
    server.await.unwrap();
}

#[tokio::test]
async fn over_tls_nothing_else_will_do() {
    for offers in [&["http/1.1"][..], &[]] {
        let (listener, acceptor, origin) = tls(offers).await;
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let _ = acceptor.accept(stream).await;
        });
        assert_eq!(get(&origin).await.unwrap_err(), FetchError::Tls, "{offers:?}");
        server.await.unwrap();
    }
}
