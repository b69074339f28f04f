//! Pass: bodies both ways at once, tunnels, and clients that leave.

use std::thread::scope;

use crate::harness::{World, bytes, request};

#[test]
fn both_directions_at_once_in_turns() {
    let world = World::start();
    for framing in ["Content-Length: 50", "Transfer-Encoding: chunked"] {
        let mut client = world.client();
        client.tx(request("POST", "/echo", &[framing]));
        let mut asked = world.origin.rx_for("POST /echo");
        asked.tx_head("200 OK", &[], 50);
        client.rx_head().is(200);
        let chunked = asked.field("transfer-encoding") == Some("chunked");
        for round in 0..5 {
            // Nobody sends before the other's word has come.
            let word = format!("{round:010}");
            if chunked {
                client.tx(format!("a\r\n{word}\r\n"));
                assert_eq!(asked.rx_bytes(15), format!("a\r\n{word}\r\n").as_bytes());
            } else {
                client.tx(&word);
                assert_eq!(asked.rx_bytes(10), word.as_bytes());
            }
            asked.tx(&word);
            assert_eq!(client.rx_bytes(10), word.as_bytes());
        }
    }
}

#[test]
fn an_echo_of_much_more_than_buffers_hold() {
    let world = World::start();
    const LENGTH: usize = 32 << 20;
    let body = bytes(LENGTH);
    let mut client = world.client();
    let mut writing = client.again();
    scope(|scope| {
        scope.spawn(|| {
            writing.tx(request("PUT", "/echo", &[&format!("Content-Length: {LENGTH}")]));
            writing.tx(&body);
        });
        scope.spawn(|| {
            let mut asked = world.origin.rx_for("PUT /echo");
            asked.tx_head("200 OK", &[], LENGTH);
            for _ in 0..LENGTH / 4096 {
                let piece = asked.rx_bytes(4096);
                asked.tx(piece);
            }
        });
        client.rx().expect(200, &body);
    });
    // And the connection goes on.
    client.get("/next");
    world.origin.rx_for("GET /next").ok(&[], "next");
    client.rx().expect(200, "next");
}

#[test]
fn streams_are_not_held_back() {
    let world = World::with("", "cache = false");
    let mut client = world.client();
    client.get("/events");
    let mut asked = world.origin.rx();
    asked.tx("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.rx_head().is(200).has("transfer-encoding", "chunked");
    for _ in 0..3 {
        asked.tx("5\r\nevent\r\n");
        assert_eq!(client.rx_bytes(10), b"5\r\nevent\r\n");
    }
}

#[test]
fn a_head_that_is_passed() {
    let world = World::with("", "cache = false");
    let mut client = world.client();
    client.ask("HEAD", "/a", &[]);
    world.origin.rx_for("HEAD /a").tx_head("200 OK", &["ETag: \"1\""], 1000);
    client
        .rx_head()
        .is(200)
        .has("content-length", "1000")
        .has("etag", "\"1\"");
    client.get("/a");
    world.origin.rx_for("GET /a").ok(&[], "next");
    client.rx().expect(200, "next");
}

#[test]
fn uncacheable_fetches_stream_too() {
    let world = World::start();
    let mut client = world.client();
    client.get("/events");
    let mut asked = world.origin.rx();
    asked.tx("HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.rx_head().is(200);
    for _ in 0..3 {
        asked.tx("5\r\nevent\r\n");
        assert_eq!(client.rx_bytes(10), b"5\r\nevent\r\n");
    }
    client.reset();
    asked.expect_close();
}

const UPGRADE: &[&str] = &[
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

#[test]
fn an_upgrade_where_the_route_allows_it() {
    let world = World::with("", "upgrade = true");
    let mut client = world.client();
    // What the client says before it is answered is not lost.
    client.tx(request("GET", "/chat", UPGRADE) + "early");
    let mut asked = world.origin.rx_for("GET /chat").has("upgrade", "websocket");
    assert!(asked.field("connection").unwrap().eq_ignore_ascii_case("upgrade"));
    assert_eq!(asked.field("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
    asked.tx("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello");
    client
        .rx_head()
        .is(101)
        .has("upgrade", "websocket")
        .has("content-length", None);
    assert_eq!(client.rx_bytes(5), b"hello");
    assert_eq!(asked.rx_bytes(5), b"early");
    for word in ["one", "two"] {
        client.tx(word);
        assert_eq!(asked.rx_bytes(3), word.as_bytes());
        asked.tx(word);
        assert_eq!(client.rx_bytes(3), word.as_bytes());
    }
    // One side may end before the other.
    client.end_sending();
    asked.tx("last").end();
    assert_eq!(client.rx_bytes(4), b"last");
    client.expect_close();
}

#[test]
fn a_tunnel_whose_client_leaves() {
    let world = World::with("", "upgrade = true");
    let mut client = world.client();
    client.ask("GET", "/chat", UPGRADE);
    let mut asked = world.origin.rx();
    asked.tx("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    client.rx_head().is(101);
    client.reset();
    asked.expect_close();
}

#[test]
fn an_upgrade_that_the_origin_declines() {
    let world = World::with("", "upgrade = true");
    let mut client = world.client();
    client.ask("GET", "/chat", UPGRADE);
    world
        .origin
        .rx()
        .answer("426 Upgrade Required", &["Upgrade: other"], "no");
    client.rx().expect(426, "no");
    client.get("/a");
    world.origin.rx_for("GET /a").ok(&[], "still HTTP");
    client.rx().expect(200, "still HTTP");
}

#[test]
fn no_upgrade_where_the_route_does_not_allow_it() {
    let world = World::start();
    let mut client = world.client();
    client.ask("GET", "/chat", UPGRADE);
    world
        .origin
        .rx()
        .has("upgrade", None)
        .ok(&["Cache-Control: max-age=60"], "plain");
    client.rx().expect(200, "plain");
    client.fetch("/chat").expect(200, "plain").cached("hit");
}

#[test]
fn an_upgrade_nobody_asked_for() {
    for site in ["", "upgrade = true"] {
        let world = World::with("", site);
        let mut client = world.client();
        client.get("/a");
        world
            .origin
            .rx()
            .tx("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nevil")
            .end();
        client.rx().is(502);
    }
}

#[test]
fn a_client_that_leaves_ends_its_pass() {
    let world = World::with("", "cache = false");
    let mut waiting = world.client();
    waiting.get("/a");
    let asked = world.origin.rx();
    waiting.reset();
    asked.expect_close();

    let mut reading = world.client();
    reading.get("/a");
    let mut asked = world.origin.rx();
    asked.tx_head("200 OK", &[], 100).tx("abc");
    reading.rx_head().is(200);
    reading.reset();
    asked.expect_close();

    let mut sending = world.client();
    sending.tx(request("PUT", "/a", &["Content-Length: 10"]) + "abc");
    let mut asked = world.origin.rx();
    assert_eq!(asked.rx_bytes(3), b"abc");
    sending.reset();
    asked.expect_close();
}

#[test]
fn a_client_that_has_sent_its_body_and_leaves_ends_its_pass() {
    let world = World::start();
    let mut client = world.client();
    client.send("POST", "/a", "body");
    let mut asked = world.origin.rx();
    assert_eq!(asked.body().unwrap(), b"body");
    client.reset();
    asked.expect_close();
}

#[test]
fn trailers_go_to_who_takes_them() {
    let world = World::start();
    for (te, expected) in [("TE: trailers", true), ("TE: gzip", false)] {
        let mut client = world.client();
        client.tx(format!(
            "POST /a HTTP/1.1\r\nHost: a.test\r\nConnection: TE\r\n{te}\r\nContent-Length: 1\r\n\r\nx"
        ));
        let mut asked = world.origin.rx();
        asked.body().unwrap();
        asked.tx("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        asked.tx("3\r\nabc\r\n0\r\nX-Trailer: 1\r\nContent-Length: 7\r\n\r\n");
        drop(asked);
        let head = client.rx_head();
        assert_eq!(head.status, 200);
        let rest: &[u8] = match expected {
            true => b"3\r\nabc\r\n0\r\nx-trailer: 1\r\n\r\n",
            false => b"3\r\nabc\r\n0\r\n\r\n",
        };
        assert_eq!(client.rx_bytes(rest.len()), rest);
        client.get("/next");
        world
            .origin
            .rx_for("GET /next")
            .ok(&["Cache-Control: no-store"], "next");
        client.rx().expect(200, "next");
    }
}

#[test]
fn interim_responses_go_to_who_asked() {
    let world = World::start();
    for method in ["POST", "GET"] {
        let mut client = world.client();
        client.ask(method, "/a", &[]);
        let mut asked = world.origin.rx();
        asked.tx("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: close\r\n\r\n");
        // Not held back until the answer comes.
        client.rx_head().is(102);
        client.rx_head().is(103).has("link", "</a>").has("connection", None);
        asked.tx("HTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n");
        asked.ok(&["Cache-Control: no-store"], "abc");
        client.rx_head().is(103).has("link", "</b>");
        client.rx().expect(200, "abc");
    }
}

#[test]
fn http_1_0_knows_no_interim_responses() {
    let world = World::start();
    let mut client = world.client();
    client.tx("GET /a HTTP/1.0\r\nHost: a.test\r\n\r\n");
    let mut asked = world.origin.rx();
    asked.tx("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    asked.ok(&[], "abc");
    client.rx().expect(200, "abc");
}
