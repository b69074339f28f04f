//! Request bodies, upgrades, and both directions at once.

use std::io::{Read, Write};

use crate::scripts::*;
use http::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use verge::origin::{Fetch, FetchError};

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
