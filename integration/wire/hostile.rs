//! Hostile bytes: each gets its error or a close, never takes the edge along, and never reaches the origin as what it is not.

#[path = "../hostile/heads.rs"]
mod heads;

use crate::harness::{Asked, World, request};

/// Every line of `hostile/heads.txt`.
#[test]
fn known_attacks() {
    let world = World::start();
    world.store("/well", &["Cache-Control: max-age=60"], "well");
    world.origin.answer_all(Asked::ok_if_whole);
    // What the origin may be asked comes last.
    let (understood, refused): (Vec<_>, Vec<_>) = heads::cases().partition(|(_, expected, _)| *expected == "ok");
    for (line, expected, head) in refused {
        let mut client = world.client();
        // It may be refused before all of it is sent.
        client.try_tx(&head);
        client.try_end_sending();
        match (expected, client.try_rx()) {
            ("more", answer) => assert!(answer.is_err(), "heads.txt:{line}: {answer:?}"),
            (status, Ok(answer)) => {
                assert_eq!(answer.status.to_string(), status, "heads.txt:{line}");
                assert_eq!(answer.head.field("connection"), Some("close"), "heads.txt:{line}");
                client.expect_close();
            }
            (status, Err(trouble)) => panic!("heads.txt:{line}: {trouble:?}, not {status}"),
        }
        world.fetch("/well").expect(200, "well").cached("hit");
        assert_eq!(world.origin.requests(), 1, "heads.txt:{line} reached the origin");
    }
    for (line, _, head) in understood {
        let mut client = world.client();
        client.tx(&head);
        // A body may be announced that does not come.
        client.try_end_sending();
        if let Ok(answer) = client.try_rx() {
            assert_ne!(answer.status, 500, "heads.txt:{line}");
        }
        world.fetch("/well").expect(200, "well").cached("hit");
    }
}

const INNER: &str = "GET /smuggled HTTP/1.1\r\nHost: example.test\r\n\r\n";

/// Two readers could see two requests in these: the edge sees one or none.
#[test]
fn smuggling() {
    let world = World::with("", "max_body = \"1KiB\"");
    let length = INNER.len();
    let chunk = format!("{length:x}\r\n{INNER}\r\n0\r\n\r\n");
    let cases = [
        (
            format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{INNER}"),
            "400",
        ),
        (
            format!("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{chunk}"),
            "400",
        ),
        (format!("Transfer-Encoding: xchunked\r\n\r\n{chunk}"), "400"),
        (format!("Transfer-Encoding: chunked, identity\r\n\r\n{chunk}"), "400"),
        (format!("Transfer-Encoding : chunked\r\n\r\n{chunk}"), "400"),
        (format!("Transfer-Encoding:\r\n chunked\r\n\r\n{chunk}"), "400"),
        (
            format!("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"),
            "400",
        ),
        (format!("X: y\nTransfer-Encoding: chunked\r\n\r\n{chunk}"), "400"),
        (
            format!("Content-Length: 0\r\nContent-Length: {length}\r\n\r\n{INNER}"),
            "400",
        ),
        (format!("Content-Length: 0, {length}\r\n\r\n{INNER}"), "400"),
        (format!("Content-Length: +{length}\r\n\r\n{INNER}"), "400"),
        (format!("Content-Length: 0x0\r\n\r\n{INNER}"), "400"),
        (format!("Content-Length: 99999999999999999999\r\n\r\n{INNER}"), "4"),
        // Understood, and refused: what follows is a body all the same.
        (format!("Content-Length: 5000\r\n\r\n{INNER}"), "413"),
        // The connection's last request.
        (format!("Content-Length: 0\r\nConnection: close\r\n\r\n{INNER}"), "200"),
        // A body is a body.
        (format!("Content-Length: {length}\r\n\r\n{INNER}"), "200"),
        (format!("Transfer-Encoding: chunked\r\n\r\n{chunk}"), "200"),
        (
            format!("Transfer-Encoding: chunked\r\n\r\n{length:x};ext=\"\r\n\"\r\n{INNER}"),
            "400",
        ),
        (format!("Transfer-Encoding: chunked\r\n\r\n{length:x}\n{INNER}"), "400"),
        (format!("Transfer-Encoding: chunked\r\n\r\n0\r\n{INNER}"), "4"),
    ];
    world.origin.answer_all(Asked::ok_if_whole);
    for method in ["POST", "GET", "HEAD", "DELETE"] {
        for (rest, expected) in &cases {
            let mut client = world.client();
            client.try_tx(format!("{method} /outer HTTP/1.1\r\nHost: example.test\r\n{rest}"));
            let answer = client.rx_head();
            assert!(
                answer.status.to_string().starts_with(expected),
                "{method} {rest}: {}",
                answer.status
            );
            // Whoever reads on would see the second request's answer, or ask the origin for it.
            client.try_end_sending();
            client.drain();
            world.client().tx(request("POST", "/sentinel", &[])).rx().is(200);
        }
    }
    let seen = world.origin.seen();
    assert!(seen.iter().any(|line| line == "POST /sentinel"));
    assert!(!seen.iter().any(|line| line.contains("smuggled")), "{seen:?}");
}

/// Bytes of other protocols, and none at all.
#[test]
fn other_protocols() {
    let world = World::start();
    world.store("/well", &["Cache-Control: max-age=60"], "well");
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\0\0\0\0\0\0\0\0",
        b"*3\r\n$3\r\nSET\r\n",
        b"",
    ] {
        let mut client = world.client();
        client.try_tx(bytes);
        client.try_end_sending();
        if let Ok(answer) = client.try_rx() {
            assert!(
                (400..600).contains(&answer.status),
                "{}: {}",
                bytes.escape_ascii(),
                answer.status
            );
        }
        world.fetch("/well").expect(200, "well");
    }
    assert_eq!(world.origin.requests(), 1);
}
