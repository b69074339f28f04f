//! Messages: what comes of a response, whatever its framing.

use std::future::poll_fn;
use std::sync::Arc;

use crate::scripts::*;
use http::{Method, StatusCode};
use verge::origin::{Fetch, FetchError, Interims};

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
async fn interim_responses_are_passed_on_and_trailers_asked_for() {
    let (address, server) = serve(|listener| {
        let mut stream = accept(&listener);
        let head = rx(&mut stream);
        tx(
            &mut stream,
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n",
        );
        tx(
            &mut stream,
            "HTTP/1.1 103 Early Hints\r\nConnection: x-hop\r\nX-Hop: 1\r\nLink: </a>\r\n\r\n",
        );
        tx(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        head
    });
    let interims = Arc::new(Interims::default());
    let mut asked = request(Method::GET, "/");
    asked.interims = Some(interims.clone());
    asked.trailers = true;
    let mut fetched = origin(address).fetch(asked, None).await.unwrap();
    assert_eq!(read(&mut *fetched.body).await.unwrap(), "ok");
    assert_eq!(interims.pop().unwrap().0, StatusCode::PROCESSING);
    let (status, fields) = interims.pop().unwrap();
    assert_eq!((status, fields.len()), (StatusCode::EARLY_HINTS, 1));
    assert_eq!(fields["link"], "</a>");
    assert!(interims.is_empty());
    let head = server.join().unwrap();
    assert!(head.ends_with("\r\nConnection: TE\r\nTE: trailers\r\n\r\n"), "{head}");
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
