//! Heads, interim responses, trailers and errors over HTTP/2.

use crate::edge::Rig;
use crate::harness::Client;

#[test]
fn early_hints_come_before_the_answer_and_are_not_stored() {
    let rig = Rig::start();
    let mut client = rig.h2();
    let mut stream = client.get("/a");
    let mut asked = rig.world.origin.rx_for("GET /a");
    asked.tx("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: close\r\n\r\n");
    // Not held back until the answer comes.
    let (status, head) = stream.rx_interim().unwrap();
    assert_eq!(
        (status, head.field("link"), head.field("connection")),
        (103, Some("</a>"), None)
    );
    asked.ok(&["Cache-Control: max-age=60"], "abc");
    assert!(stream.rx_interim().is_none());
    stream.rx().expect(200, "abc");
    let mut again = client.get("/a");
    assert!(again.rx_interim().is_none());
    again.rx().expect(200, "abc").cached("hit");
}

#[test]
fn trailers_go_to_who_takes_them() {
    let rig = Rig::with("", "cache = false");
    let mut client = rig.h2s();
    for (fields, expected) in [(&["te: trailers"][..], true), (&[], false)] {
        let mut stream = client.ask("GET", "/a", fields);
        let mut asked = rig.world.origin.rx_for("GET /a");
        asked.tx("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        asked.tx("3\r\nabc\r\n0\r\nX-Trailer: 1\r\nContent-Length: 7\r\n\r\n");
        drop(asked);
        stream.try_rx().unwrap().expect(200, "abc");
        let sent = vec![("x-trailer".to_owned(), "1".to_owned())];
        assert_eq!(stream.trailers(), expected.then_some(sent));
    }
}

#[test]
fn what_has_no_body_ends_with_its_head() {
    let rig = Rig::start();
    rig.world
        .store("/a", &["Cache-Control: max-age=60", "ETag: \"v\""], "abc");
    let mut client = rig.h2();
    for (method, fields, status) in [
        ("HEAD", &[][..], 200),
        ("GET", &["if-none-match: \"v\""][..], 304),
        ("OPTIONS", &[], 204),
        ("HEAD", &["expect: nothing"], 417),
    ] {
        let path = if method == "OPTIONS" { "*" } else { "/a" };
        let mut stream = client.ask(method, path, fields);
        stream.rx_head().is(status);
        assert!(stream.is_over(), "{method} {status}");
    }
    let mut stream = client.ask("DELETE", "/a", &[]);
    rig.world
        .origin
        .rx_for("DELETE /a")
        .tx("HTTP/1.1 204 No Content\r\n\r\n");
    stream.rx_head().is(204);
    assert!(stream.is_over());
}

#[test]
fn errors_of_the_edge_and_of_streams_leave_the_connection() {
    let rig = Rig::with(
        "origins.down.servers = [\"http://127.0.0.1:1\"]",
        "hosts = [\"example.test\"]\n[[sites.routes]]\npath = \"/down\"\norigin = \"down\"",
    );
    let mut client = rig.h2();
    client
        .fetch("/down")
        .is(502)
        .has("proxy-status", "verge; error=connection_refused");
    client.request("GET", "unknown.test", "/", &[], true).rx().is(421);
    let mut cut = client.get("/cut");
    let mut asked = rig.world.origin.rx_for("GET /cut");
    asked.tx_head("200 OK", &["Cache-Control: no-store"], 10).tx("abc");
    cut.rx_head().is(200);
    asked.close();
    assert!(cut.try_rx_piece().unwrap().is_ok_and(|piece| piece == "abc"));
    let error = cut.try_rx_piece().unwrap().unwrap_err();
    assert!(error.is_reset() && error.is_remote(), "{error}");
    let next = client.get("/next");
    rig.world.origin.rx_for("GET /next").ok(&[], "next");
    next.rx().expect(200, "next");
}

#[test]
fn many_hits_in_one_go() {
    let rig = Rig::start();
    rig.world
        .origin
        .answer_all(|asked| asked.ok(&["Cache-Control: max-age=60"], "abc"));
    for mut client in [rig.h2(), rig.h2s()] {
        // Each scheme has a key of its own.
        client.fetch("/a").expect(200, "abc").cached("fwd=uri-miss");
        let streams: Vec<_> = (0..100).map(|_| client.get("/a")).collect();
        for stream in streams {
            stream.rx().expect(200, "abc").cached("hit");
        }
    }
}

#[test]
fn as_many_streams_as_configured() {
    let rig = Rig::with("client.max_streams = 3", "");
    rig.world.store("/a", &["Cache-Control: max-age=60"], "abc");
    let mut client = rig.h2();
    // The edge's settings come before any answer.
    client.fetch("/a").expect(200, "abc");
    assert_eq!(client.max_streams(), 3);
    let waiting: Vec<_> = (0..3).map(|at| client.get(&format!("/{at}"))).collect();
    let asked: Vec<_> = waiting.iter().map(|_| rig.world.origin.rx()).collect();
    for asked in asked {
        asked.ok(&["Cache-Control: no-store"], "abc");
    }
    for stream in waiting {
        stream.rx().expect(200, "abc");
    }
}

#[test]
fn idle_connections_are_told_to_go() {
    let rig = Rig::with("client.idle_timeout = \"100ms\"\nclient.io_timeout = \"100ms\"", "");
    rig.world.store("/a", &["Cache-Control: max-age=60"], "abc");
    let mut client = rig.h2();
    client.fetch("/a").expect(200, "abc");
    client.ended().unwrap();

    let mut client = Client::to(rig.clear());
    client.tx("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    client.tx([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    // NO_ERROR, and nothing behind it that ends the connection otherwise.
    let sent = client.rest();
    let farewells = frames(&sent).into_iter().filter(|(kind, _)| *kind == GOAWAY);
    let codes: Vec<u8> = farewells.map(|(_, payload)| payload[7]).collect();
    assert!(!codes.is_empty() && codes.iter().all(|code| *code == 0), "{codes:?}");
}

const GOAWAY: u8 = 7;

/// Types and payloads (RFC 9113 4.1).
fn frames(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut frames = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (payload, rest) = rest.split_at(length);
        frames.push((head[3], payload));
        bytes = rest;
    }
    frames
}
