//! Messages: what is sent, and what comes of a response.

use std::future::poll_fn;
use std::sync::Arc;

use super::raw;
use super::server::*;
use crate::scripts::*;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use verge::origin::{Fetch, FetchError, Interims};

#[tokio::test]
async fn a_request_is_sent_as_given() {
    let (listener, mut config) = listen().await;
    config.host = Some("shop.example:8080".to_owned());
    let origin = open(config);
    let server = tokio::spawn(async move {
        let asked = Peer::accept(&listener).await.rx().await;
        assert_eq!(asked.head.method, Method::GET);
        assert_eq!(target(&asked), "http://shop.example:8080/a?b=c");
        assert_eq!(field(&asked, "accept"), Some("text/html"));
        assert_eq!(asked.head.headers.len(), 1);
        assert!(asked.body.is_end_stream());
        asked
    });
    let mut asked = request(Method::GET, "/a?b=c");
    asked.fields.insert("accept", HeaderValue::from_static("text/html"));
    // There is no such thing in HTTP/2, so it is as if it had not been asked for.
    asked.upgrade = Some("websocket".to_owned());
    let (fetched, ()) = tokio::join!(origin.fetch(asked, None), async { server.await.unwrap().tx("hello") });
    let mut fetched = fetched.unwrap();
    assert_eq!(fetched.status, StatusCode::OK);
    assert_eq!(fetched.fields["content-length"], "5");
    assert_eq!(fetched.content_length, Some(5));
    assert_eq!(read(&mut *fetched.body).await.unwrap(), "hello");
    assert!(fetched.body.take_trailers().is_none());
}

#[tokio::test]
async fn some_responses_have_no_body() {
    let (listener, origin) = usual().await;
    let cases = [
        (Method::HEAD, StatusCode::OK),
        (Method::GET, StatusCode::NO_CONTENT),
        (Method::GET, StatusCode::NOT_MODIFIED),
    ];
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener).await;
        for (method, status) in cases {
            let mut asked = peer.rx().await;
            assert_eq!(asked.head.method, method);
            match status {
                StatusCode::NO_CONTENT => asked.end(status, &[]),
                status => asked.end(status, &[("content-length", "1000")]),
            }
        }
    });
    for (method, status) in [
        (Method::HEAD, StatusCode::OK),
        (Method::GET, StatusCode::NO_CONTENT),
        (Method::GET, StatusCode::NOT_MODIFIED),
    ] {
        let mut fetched = origin.clone().fetch(request(method, "/"), None).await.unwrap();
        assert_eq!(fetched.status, status);
        assert_eq!(fetched.content_length, Some(0));
        assert!(read(&mut *fetched.body).await.unwrap().is_empty());
    }
    server.await.unwrap();
}

#[tokio::test]
async fn an_echo_of_much_does_not_block() {
    let (listener, origin) = usual().await;
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener).await;
        let mut asked = peer.rx().await;
        assert_eq!(field(&asked, "content-length"), Some(MUCH.to_string().as_str()));
        let mut stream = asked.begin(&[]);
        // It takes nothing while what it sends is not taken.
        while let Some(piece) = asked.body.data().await {
            let piece = piece.unwrap();
            let length = piece.len();
            send(&mut stream, piece).await;
            asked.body.flow_control().release_capacity(length).unwrap();
        }
        stream.send_data(Bytes::new(), true).unwrap();
        peer.rx().await.tx("ok");
        peer
    });
    let mut body = Pieces::new((0..MUCH / 32768).map(|i| pattern(i * 32768, 32768)));
    let mut fetched = origin
        .clone()
        .fetch(request(Method::POST, "/"), Some(&mut body))
        .await
        .unwrap();
    assert!(read(&mut *fetched.body).await.unwrap() == pattern(0, MUCH));
    drop(fetched);
    assert_eq!(get(&origin).await.unwrap().1, "ok");
    server.await.unwrap();
}

/// A request body with trailers.
struct Trailed(Pieces);

impl verge::origin::ReadBody for Trailed {
    fn poll_piece(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Option<Result<Bytes, FetchError>>> {
        self.0.poll_piece(cx)
    }

    fn take_trailers(&mut self) -> Option<HeaderMap> {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("7"));
        trailers.insert("connection", HeaderValue::from_static("x"));
        Some(trailers)
    }
}

impl verge::origin::RequestBody for Trailed {
    fn content_length(&self) -> Option<u64> {
        self.0.length
    }
}

#[tokio::test]
async fn trailers_go_both_ways() {
    let (listener, origin) = usual().await;
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener).await;
        for _ in 0..2 {
            let mut asked = peer.rx().await;
            assert_eq!(field(&asked, "te"), Some("trailers"));
            let (body, trailers) = asked.body().await;
            assert_eq!(body, "four");
            let trailers = trailers.unwrap();
            assert_eq!(trailers.len(), 1);
            assert_eq!(trailers["x-sum"], "7");
            let mut stream = asked.begin(&[]);
            stream.send_data("ok".into(), false).unwrap();
            let back = head(StatusCode::OK, &[("x-sum", "9"), ("content-type", "late")]);
            stream.send_trailers(back.headers().clone()).unwrap();
        }
        peer
    });
    for length in [Some(4), None] {
        let mut body = Trailed(Pieces::new(["fo".into(), "ur".into()]));
        body.0.length = length;
        let mut asked = request(Method::POST, "/");
        asked.trailers = true;
        let mut fetched = origin.clone().fetch(asked, Some(&mut body)).await.unwrap();
        assert_eq!(read(&mut *fetched.body).await.unwrap(), "ok");
        let trailers = fetched.body.take_trailers().unwrap();
        assert_eq!(trailers.len(), 1);
        assert_eq!(trailers["x-sum"], "9");
    }
    server.await.unwrap();
}

#[tokio::test]
async fn interim_responses_are_passed_on() {
    let (listener, origin) = usual().await;
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener).await;
        let mut asked = peer.rx().await;
        for (code, value) in [(100, "none"), (102, "first"), (103, "second")] {
            let status = StatusCode::from_u16(code).unwrap();
            asked
                .reply
                .send_informational(head(status, &[("link", value)]))
                .unwrap();
        }
        asked.tx("ok");
        let mut asked = peer.rx().await;
        for _ in 0..9 {
            asked
                .reply
                .send_informational(head(StatusCode::PROCESSING, &[]))
                .unwrap();
        }
        assert_eq!(asked.reset().await, h2::Reason::CANCEL);
    });
    let interims = Arc::new(Interims::default());
    let mut asked = request(Method::GET, "/");
    asked.interims = Some(interims.clone());
    let mut fetched = origin.clone().fetch(asked, None).await.unwrap();
    assert_eq!(read(&mut *fetched.body).await.unwrap(), "ok");
    for (code, value) in [(102, "first"), (103, "second")] {
        let (status, fields) = interims.pop().unwrap();
        assert_eq!((status.as_u16(), fields["link"].to_str().unwrap()), (code, value));
    }
    assert!(interims.is_empty());
    assert_eq!(get(&origin).await.unwrap_err(), FetchError::Protocol);
    server.await.unwrap();
}

#[tokio::test]
async fn an_early_answer_is_delivered() {
    let (listener, origin) = usual().await;
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener).await;
        let mut asked = peer.rx().await;
        let too_large = head(StatusCode::PAYLOAD_TOO_LARGE, &[]);
        let mut stream = asked.reply.send_response(too_large, false).unwrap();
        stream.send_data("big".into(), true).unwrap();
        drop((asked, stream));
        peer.rx().await.tx("ok");
        peer
    });
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
    assert_eq!(get(&origin).await.unwrap().1, "ok");
    server.await.unwrap();
}

#[tokio::test]
async fn a_body_that_is_not_as_long_as_stated_is_the_clients_fault() {
    for length in [3, 5] {
        let (listener, origin) = usual().await;
        let server = tokio::spawn(async move {
            let mut peer = Peer::accept(&listener).await;
            loop {
                // The reset may overtake the head.
                let asked = peer.rx().await;
                if asked.head.method == Method::GET {
                    return asked.tx("ok");
                }
            }
        });
        let mut body = Pieces::new(["four".into()]);
        body.length = Some(length);
        let outcome = origin.clone().fetch(request(Method::PUT, "/"), Some(&mut body)).await;
        assert_eq!(failure(outcome), FetchError::RequestBody);
        assert_eq!(get(&origin).await.unwrap().1, "ok");
        server.await.unwrap();
    }
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_is_refused() {
    const CONTENT_LENGTH: u8 = 28;
    let length = |values: &[&str]| -> Vec<u8> {
        let lines = values.iter().flat_map(|value| raw::field(CONTENT_LENGTH, value));
        std::iter::once(raw::OK).chain(lines).collect()
    };
    let cases = [
        (length(&["five"]), "hello"),
        (length(&["+5"]), "hello"),
        (length(&["5", "6"]), "hello"),
        (length(&["4"]), "hello"),
        (length(&["6"]), "hello"),
        (vec![0x08, 3, b'1', b'0', b'1'], "hello"),
    ];
    let count = cases.len();
    let (address, server) = serve(move |listener| {
        for (fields, data) in cases {
            let mut stream = raw::connection(&listener);
            let id = raw::rx(&mut stream, raw::HEADERS);
            raw::tx(&mut stream, raw::HEADERS, raw::END_HEADERS, id, &fields);
            raw::tx(&mut stream, raw::DATA, raw::END_STREAM, id, data.as_bytes());
            expect_close(&mut stream);
        }
    });
    for case in 0..count {
        let origin = open(config_h2(address));
        assert_eq!(get(&origin).await.unwrap_err(), FetchError::Protocol, "{case}");
    }
    raw::joined(server).await;
}

#[tokio::test]
async fn http_1_is_no_http_2() {
    let (address, server) = serve(|listener| {
        let mut stream = accept(&listener);
        tx(&mut stream, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        expect_close(&mut stream);
    });
    let origin = open(config_h2(address));
    assert_eq!(get(&origin).await.unwrap_err(), FetchError::Protocol);
    raw::joined(server).await;
}

#[tokio::test]
async fn a_large_body_arrives_whole_and_a_small_one_pins_little() {
    let (listener, origin) = usual().await;
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener).await;
        let mut asked = peer.rx().await;
        let mut stream = asked.begin(&[]);
        send(&mut stream, pattern(0, MUCH)).await;
        stream.send_data(Bytes::new(), true).unwrap();
        peer.rx().await.tx("small");
        peer
    });
    assert!(get(&origin).await.unwrap().1 == pattern(0, MUCH));
    let mut small = origin.clone().fetch(request(Method::GET, "/"), None).await.unwrap();
    let piece = poll_fn(|cx| small.body.poll_piece(cx)).await.unwrap().unwrap();
    assert!(piece.try_into_mut().unwrap().capacity() < 100);
    server.await.unwrap();
}
