//! HTTP/1.1 with clients: connections, pipelining, bodies.

use crate::harness::{Client, World, request};

const STORABLE: &[&str] = &["Cache-Control: max-age=60"];

#[test]
fn pipelined_hits() {
    let world = World::start();
    for path in ["/a", "/b"] {
        world.store(path, STORABLE, path);
    }
    let mut client = world.client();
    let pair = request("GET", "/a", &[]) + &request("GET", "/b", &[]);
    client.tx(pair.repeat(100));
    for _ in 0..100 {
        client.rx().expect(200, "/a").cached("hit");
        client.rx().expect(200, "/b").cached("hit");
    }
}

#[test]
fn pipelined_hits_misses_and_bodies_in_order() {
    let world = World::start();
    world.store("/hit", STORABLE, "hit");
    let mut client = world.client();
    client.tx([
        request("GET", "/hit", &[]),
        request("GET", "/miss", &[]),
        request("POST", "/post", &["Content-Length: 4"]) + "body",
        request("HEAD", "/hit", &[]),
        request("POST", "/chunks", &["Transfer-Encoding: chunked"]) + "3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
        request("GET", "/other", &[]),
        request("GET", "/hit", &[]),
    ]
    .concat());
    client.rx().expect(200, "hit");
    for (line, body) in [
        ("GET /miss", ""),
        ("POST /post", "body"),
        ("POST /chunks", "abcd"),
        ("GET /other", ""),
    ] {
        let mut asked = world.origin.rx_for(line);
        assert_eq!(asked.body().unwrap(), body.as_bytes());
        asked.ok(STORABLE, line);
        client.rx().expect(200, line);
        if line == "POST /post" {
            client.rx_head().is(200).has("content-length", "3");
        }
    }
    client.rx().expect(200, "hit");
}

#[test]
fn a_head_in_single_bytes() {
    let world = World::start();
    world.store("/a", STORABLE, "one");
    let mut client = world.client();
    for byte in request("GET", "/a", &["X-Long: abc"]).bytes() {
        client.tx([byte]);
    }
    client.rx().expect(200, "one");
}

#[test]
fn connections_stay_open_unless_told() {
    let world = World::start();
    world.store("/a", STORABLE, "one");
    let get = |version: &str, fields: &str| format!("GET /a HTTP/{version}\r\nHost: example.test\r\n{fields}\r\n");
    for (request, said, open) in [
        (get("1.1", ""), None, true),
        (get("1.1", "Connection: close\r\n"), Some("close"), false),
        (get("1.1", "Connection: x, Close\r\n"), Some("close"), false),
        (get("1.0", ""), Some("close"), false),
        (get("1.0", "Connection: keep-alive\r\n"), Some("keep-alive"), true),
        (get("1.0", "Connection: keep-alive, close\r\n"), Some("close"), false),
    ] {
        let mut client = world.client();
        client.tx(&request).rx().expect(200, "one").has("connection", said);
        match open {
            true => drop(client.fetch("/a").expect(200, "one")),
            false => client.expect_close(),
        }
    }
}

#[test]
fn http_1_0_gets_no_chunks() {
    let world = World::start();
    let mut client = world.client();
    client.tx("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    world
        .origin
        .rx()
        .chunked(&["Cache-Control: no-store"], b"unknown length");
    client
        .rx()
        .expect(200, "unknown length")
        .has("transfer-encoding", None)
        .has("connection", "close");
}

#[test]
fn http_1_0_without_a_host() {
    let world = World::start();
    let mut client = world.client();
    client.tx("GET /a HTTP/1.0\r\n\r\n");
    world.origin.rx_for("GET /a").ok(STORABLE, "one");
    client.rx().expect(200, "one");
    client.expect_close();
}

#[test]
fn request_bodies_are_passed_on() {
    let world = World::start();
    let mut client = world.client();
    for (framing, sent, received) in [
        ("Content-Length: 5", "hello", "hello"),
        ("Content-Length: 0", "", ""),
        ("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n", "hello"),
        (
            "Transfer-Encoding: chunked",
            "2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nTrailer-Field: x\r\n\r\n",
            "hello",
        ),
        ("Transfer-Encoding: chunked", "0\r\n\r\n", ""),
    ] {
        client.tx(request("PUT", "/a", &[framing]) + sent);
        let mut asked = world.origin.rx_for("PUT /a");
        assert_eq!(asked.body().unwrap(), received.as_bytes());
        asked.ok(&[], "taken");
        client.rx().expect(200, "taken").cached("fwd=method fwd-status=200");
    }
}

#[test]
fn a_client_that_expects_is_told_to_continue() {
    let world = World::start();
    let mut client = world.client();
    client.tx(request("PUT", "/a", &["Content-Length: 5", "Expect: 100-continue"]));
    let mut asked = world.origin.rx_for("PUT /a").has("expect", None);
    assert_eq!(client.rx_head().status, 100);
    client.tx("hello");
    assert_eq!(asked.body().unwrap(), b"hello");
    asked.ok(&[], "taken");
    client.rx().expect(200, "taken");
}

#[test]
fn who_sends_at_once_need_not_be_told() {
    let world = World::start();
    let mut client = world.client();
    client.tx(request("PUT", "/a", &["Content-Length: 5", "Expect: 100-continue"]) + "hello");
    let mut asked = world.origin.rx();
    assert_eq!(asked.body().unwrap(), b"hello");
    asked.ok(&[], "taken");
    client.rx().expect(200, "taken");
}

#[test]
fn a_refusal_is_not_preceded_by_continue() {
    let world = World::with("", "max_body = \"10B\"");
    let mut client = world.client();
    client.tx(request("PUT", "/a", &["Content-Length: 11", "Expect: 100-continue"]));
    client.rx().is(413);
    client.expect_close();
    assert_eq!(world.origin.requests(), 0);
}

#[test]
fn bodies_too_large() {
    let world = World::with("", "max_body = \"10B\"");
    let mut client = world.client();
    client.tx(request("PUT", "/a", &["Content-Length: 10"]) + "0123456789");
    world.origin.rx().ok(&[], "taken");
    client.rx().expect(200, "taken");
    let mut counted = world.client();
    counted.tx(request("PUT", "/a", &["Content-Length: 11"]) + "01234567890");
    counted.rx().is(413).has("connection", "close");
    counted.expect_close();
    // In chunks it shows only on the way.
    let mut chunked = world.client();
    chunked.tx(request("PUT", "/a", &["Transfer-Encoding: chunked"]) + "a\r\n0123456789\r\n");
    let asked = world.origin.rx();
    chunked.tx("1\r\n0\r\n0\r\n\r\n");
    chunked.rx().is(413).has("connection", "close");
    chunked.expect_close();
    asked.expect_close();
}

#[test]
fn a_client_that_sends_on_still_reads_its_refusal() {
    let world = World::with("", "max_body = \"10B\"");
    let mut client = world.client();
    client.tx(request("PUT", "/a", &["Content-Length: 500000"]));
    for _ in 0..50 {
        client.try_tx([0; 10_000]);
    }
    client.rx().is(413);
}

#[test]
fn malformed_chunks_end_the_request() {
    for bad in [
        "x\r\n",
        "5\r\nhelloX\r\n",
        "-1\r\n",
        "5\nhello\r\n",
        "ffffffffffffffff1\r\n",
    ] {
        let world = World::start();
        let mut client = world.client();
        client.tx(request("PUT", "/a", &["Transfer-Encoding: chunked"]) + "3\r\nabc\r\n");
        let asked = world.origin.rx();
        client.tx(bad);
        client.rx().is(400);
        client.expect_close();
        asked.expect_close();
    }
}

#[test]
fn an_early_answer_to_a_body_ends_the_connection() {
    let world = World::start();
    let mut client = world.client();
    client.tx(request("PUT", "/a", &["Content-Length: 100"]) + "abc");
    let mut asked = world.origin.rx();
    asked.tx_head("403 Forbidden", &[], 2).tx("no");
    client.rx().expect(403, "no");
    // The rest of the body must not be read as a request.
    client.try_tx(request("GET", "/smuggled", &[]));
    client.expect_close();
    assert_eq!(world.origin.requests(), 1);
}

#[test]
fn too_many_connections() {
    let world = World::with("client.max_connections = 2", "");
    world.store("/a", STORABLE, "one");
    world.settle();
    let mut kept: Vec<Client> = Vec::new();
    // Those that `store` closed may not be gone yet.
    while kept.len() < 2 {
        let mut client = world.client();
        if client.fetch("/a").status == 200 {
            kept.push(client);
        }
    }
    let mut refused = world.client();
    refused.rx().is(503).has("retry-after", "1").has("connection", "close");
    refused.expect_close();
    kept[0].fetch("/a").expect(200, "one");
    drop(kept.pop());
    kept[0].fetch("/a").expect(200, "one");
    world.client().fetch("/a").expect(200, "one");
}

#[test]
fn methods_of_no_origin() {
    let world = World::start();
    for (request, status) in [
        (
            "CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\n\r\n",
            405,
        ),
        ("TRACE / HTTP/1.1\r\nHost: example.test\r\n\r\n", 405),
        ("OPTIONS * HTTP/1.1\r\nHost: example.test\r\n\r\n", 204),
        ("GET https://example.test/ HTTP/1.1\r\nHost: example.test\r\n\r\n", 421),
    ] {
        world.client().tx(request).rx().is(status);
    }
    assert_eq!(world.origin.requests(), 0);
}

#[test]
fn unknown_hosts() {
    let mut config = crate::harness::configuration("http://127.0.0.1:1", "", "");
    config.sites = Default::default();
    let world = World::of(config, crate::harness::Origin::start());
    world.fetch("/a").is(421);
}
