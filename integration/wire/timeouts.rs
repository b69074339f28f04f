//! Waits that end by themselves. Here the limits are short and real time passes.

use crate::harness::{Client, Trouble, World, bytes, request};

const SHORT: &str = "client.head_timeout = \"300ms\"\nclient.idle_timeout = \"300ms\"\nclient.io_timeout = \"300ms\"\n\
    client.min_rate = \"1MiB\"";

#[test]
fn a_slow_head_gets_408() {
    let world = World::with(SHORT, "");
    let mut client = world.client();
    client
        .tx("GET /a HTTP/1.1\r\nHost: exam")
        .rx()
        .is(408)
        .has("connection", "close");
    client.expect_close();
}

#[test]
fn a_head_that_trickles_gets_408_too() {
    let world = World::with(SHORT, "");
    let mut client = world.client();
    client.tx("GET /a HTTP/1.1\r\nX-Long: ");
    // Each byte comes well within the limit; the head as a whole does not.
    while !client.answered_within_50ms() {
        client.try_tx("x");
    }
    client.rx().is(408);
}

#[test]
fn the_head_timeout_begins_anew_with_each_request() {
    let world = World::with(SHORT, "");
    world.store("/a", &["Cache-Control: max-age=60"], "one");
    let mut client = world.client();
    for _ in 0..10 {
        client.tx("GET /a HTTP/1.1\r\nHost: ");
        assert!(!client.answered_within_50ms());
        client.tx("example.test\r\n\r\n").rx().expect(200, "one");
    }
}

#[test]
fn idle_connections_are_closed() {
    let world = World::with(SHORT, "");
    let mut silent = world.client();
    silent.expect_close();
    world.store("/a", &["Cache-Control: max-age=60"], "one");
    let mut client = world.client();
    client.fetch("/a").expect(200, "one");
    client.expect_close();
}

#[test]
fn a_client_that_takes_nothing_of_a_hit_is_dropped() {
    let world = World::with(SHORT, "");
    let body = bytes(8 << 20);
    std::thread::scope(|scope| {
        scope.spawn(|| world.origin.rx().ok(&["Cache-Control: max-age=60"], &body));
        world.fetch("/a").expect(200, &body);
    });
    let mut client = Client::narrow(world.address);
    client.get("/a");
    // The edge reads nothing while it writes, so this ends only when the connection does.
    assert!(!client.try_tx(request("GET", "/a", &[]).repeat(1_000_000)));
    world.fetch("/a").expect(200, &body).cached("hit");
}

#[test]
fn a_client_that_takes_nothing_of_a_pass_is_dropped() {
    let world = World::with(SHORT, "cache = false");
    let mut client = Client::narrow(world.address);
    client.get("/a");
    let mut asked = world.origin.rx();
    asked.tx_head("200 OK", &[], 256 << 20);
    let much = bytes(1 << 20);
    assert!(
        (0..256).any(|_| !asked.try_tx(&much)),
        "nobody takes it, and yet it went"
    );
}

#[test]
fn a_body_that_stops_gets_408() {
    let world = World::with(SHORT, "");
    let mut client = world.client();
    client.tx(request("PUT", "/a", &["Content-Length: 10"]) + "abc");
    let asked = world.origin.rx();
    client.rx().is(408).has("connection", "close");
    client.expect_close();
    asked.expect_close();
}

#[test]
fn an_origin_that_says_nothing_gets_504() {
    let world = World::with("origins.app.first_byte_timeout = \"300ms\"", "");
    for method in ["GET", "POST"] {
        let mut client = world.client();
        client.ask(method, "/a", &[]);
        let asked = world.origin.rx();
        let answer = client.rx().is(504);
        assert_eq!(
            answer.head.field("proxy-status"),
            Some("verge; error=connection_read_timeout")
        );
        asked.expect_close();
    }
    assert_eq!(world.origin.requests(), 2, "what was slow is not asked again");
}

#[test]
fn a_head_from_the_origin_that_trickles_gets_504() {
    let world = World::with("origins.app.first_byte_timeout = \"300ms\"", "");
    let mut client = world.client();
    client.get("/a");
    let mut asked = world.origin.rx();
    asked.tx("HTTP/1.1 200 OK\r\nX-Long: ");
    while !client.answered_within_50ms() {
        asked.try_tx("x");
    }
    client.rx().is(504);
}

#[test]
fn an_origin_that_stops_within_the_body_is_an_error_for_all() {
    let world = World::with("origins.app.between_bytes_timeout = \"300ms\"", "");
    let mut clients = [world.client(), world.client()];
    for client in &mut clients {
        client.get("/a");
    }
    world.settle();
    let mut asked = world.origin.rx();
    asked.tx_head("200 OK", &["Cache-Control: max-age=60"], 10).tx("abc");
    for client in &mut clients {
        let trouble = client.try_rx().unwrap_err();
        assert!(matches!(trouble, Trouble::Cut(_) | Trouble::Reset), "{trouble:?}");
    }
    asked.expect_close();
    let mut client = world.client();
    client.get("/a");
    world.origin.rx().ok(&["Cache-Control: max-age=60"], "whole");
    client.rx().expect(200, "whole");
}

#[test]
fn an_origin_that_takes_nothing_gets_504() {
    let world = World::with("origins.app.write_timeout = \"300ms\"", "");
    let client = world.client();
    let mut writing = client.again();
    let mut reading = client;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            writing.try_tx(
                [
                    request("PUT", "/a", &["Content-Length: 100000000"]).as_bytes(),
                    &vec![0; 100_000_000],
                ]
                .concat(),
            )
        });
        let _takes_nothing = world.origin.rx();
        let answer = reading.rx().is(504);
        assert_eq!(
            answer.head.field("proxy-status"),
            Some("verge; error=connection_write_timeout")
        );
    });
}
