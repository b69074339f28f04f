//! Origins that are dead, broken, or odd.

use crate::harness::{Origin, Trouble, World, configuration};

const STORABLE: &[&str] = &["Cache-Control: max-age=60"];

#[test]
fn a_dead_origin_is_502() {
    let mut world = World::start();
    world.origin.stop();
    // An error of the origin's is none of the client's connection.
    let mut client = world.client();
    for method in ["GET", "POST"] {
        let answer = client.ask(method, "/a", &[]).rx().is(502);
        assert_eq!(
            answer.head.field("proxy-status"),
            Some("verge; error=connection_refused")
        );
        assert!(answer.body.starts_with(b"502 "));
    }
}

#[test]
fn what_an_origin_may_say_wrong() {
    for (sent, error) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            "http_protocol_error",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "http_protocol_error",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "http_protocol_error",
        ),
        ("HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n", "http_protocol_error"),
        ("HTTP/3.7 200 OK\r\n\r\n", "http_protocol_error"),
        ("220 smtp.test ESMTP\r\n", "http_protocol_error"),
        ("HTTP/1.1 200 OK\r\nX: y\r\n", "connection_terminated"),
    ] {
        let world = World::start();
        let mut client = world.client();
        client.get("/a");
        world.origin.rx().tx(sent).end();
        let answer = client.rx().is(502);
        assert_eq!(
            answer.head.field("proxy-status"),
            Some(&*format!("verge; error={error}")),
            "{sent}"
        );
        assert_eq!(world.origin.requests(), 1, "{sent}");
    }
}

#[test]
fn a_pooled_connection_that_died_is_replaced_once() {
    let world = World::start();
    world.store("/a", STORABLE, "one");
    assert_eq!(world.origin.connections(), 1);
    let mut client = world.client();
    client.get("/b");
    // It comes on the kept connection, which ends in silence: asked again, on a new one.
    let kept = world.origin.rx_for("GET /b");
    assert_eq!(world.origin.connections(), 1);
    kept.close();
    let again = world.origin.rx_for("GET /b");
    assert_eq!(world.origin.connections(), 2);
    again.ok(STORABLE, "two");
    client.rx().expect(200, "two");
}

#[test]
fn it_is_replaced_only_once() {
    let world = World::start();
    let mut client = world.client();
    client.get("/b");
    world.origin.rx_for("GET /b").close();
    world.origin.rx_for("GET /b").close();
    let answer = client.rx().is(502);
    assert_eq!(
        answer.head.field("proxy-status"),
        Some("verge; error=connection_terminated")
    );
    assert_eq!(world.origin.requests(), 2);
}

#[test]
fn what_changes_something_is_not_sent_twice() {
    let world = World::start();
    world.store("/a", STORABLE, "one");
    let mut client = world.client();
    client.send("POST", "/b", "x");
    world.origin.rx_for("POST /b").close();
    client.rx().is(502);
    assert_eq!(world.origin.requests(), 2);
}

#[test]
fn another_server_stands_in_for_a_dead_one() {
    let (mut dead, alive) = (Origin::start(), Origin::start());
    let config = configuration(
        &format!("http://{}\", \"http://{}", dead.address, alive.address),
        "",
        "",
    );
    let world = World::of(config, alive);
    dead.stop();
    for path in ["/a", "/b", "/c"] {
        let mut client = world.client();
        client.get(path);
        world.origin.rx_for(&format!("GET {path}")).ok(STORABLE, path);
        client.rx().expect(200, path);
    }
}

#[test]
fn bodies_that_are_cut_are_seen_and_not_stored() {
    for (framing, site) in [
        ("Content-Length: 10\r\n\r\nabc", ""),
        ("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", ""),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nabc", ""),
        ("Transfer-Encoding: chunked\r\n\r\nzz\r\nabc", ""),
        ("Content-Length: 10\r\n\r\nabc", "cache = false"),
        ("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "cache = false"),
    ] {
        let world = World::with("", site);
        for _ in 0..2 {
            let mut client = world.client();
            client.get("/a");
            world
                .origin
                .rx()
                .tx(format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n{framing}"))
                .end();
            let trouble = client.try_rx().unwrap_err();
            assert!(
                matches!(trouble, Trouble::Cut(_) | Trouble::Reset),
                "{framing}: {trouble:?}"
            );
        }
    }
}

#[test]
fn a_reset_is_no_end() {
    let world = World::start();
    let mut client = world.client();
    client.get("/a");
    let mut asked = world.origin.rx();
    asked.tx("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n\r\nabc");
    let head = client.rx_head();
    assert_eq!(client.rx_bytes(8), b"3\r\nabc\r\n");
    asked.reset();
    client.try_rx_body(&head).unwrap_err();
    let mut client = world.client();
    client.get("/a");
    world.origin.rx().ok(STORABLE, "whole");
    client.rx().expect(200, "whole");
}

#[test]
fn what_follows_a_response_is_never_anothers_answer() {
    let world = World::start();
    let evil = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\nevil";
    for (status, body) in [
        ("200 OK\r\nContent-Length: 3", "abc"),
        ("204 No Content", ""),
        ("304 Not Modified", ""),
    ] {
        let mut client = world.client();
        client.ask("DELETE", "/a", &[]);
        world.origin.rx().tx(format!("HTTP/1.1 {status}\r\n\r\n{body}{evil}"));
        client.rx();
        let mut next = world.client();
        next.get("/next");
        world
            .origin
            .rx_for("GET /next")
            .ok(&["Cache-Control: no-store"], "good");
        next.rx().expect(200, "good");
    }
}

#[test]
fn statuses_without_a_body() {
    let world = World::start();
    for status in ["204 No Content", "304 Not Modified"] {
        let mut client = world.client();
        client.ask("DELETE", "/a", &[]);
        world
            .origin
            .rx()
            .tx(format!("HTTP/1.1 {status}\r\nETag: \"1\"\r\n\r\n"));
        client.rx().has("etag", "\"1\"").has("transfer-encoding", None);
        client.get("/b");
        world.origin.rx_for("GET /b").ok(&["Cache-Control: no-store"], "next");
        client.rx().expect(200, "next");
    }
}

#[test]
fn connections_are_kept_and_reused() {
    let world = World::start();
    let mut client = world.client();
    for _ in 0..5 {
        client.get("/a");
        world.origin.rx().ok(&["Cache-Control: no-store"], "one");
        client.rx().expect(200, "one");
    }
    assert_eq!(world.origin.connections(), 1);
}

#[test]
fn old_origins() {
    let world = World::start();
    let mut client = world.client();
    client.get("/a");
    world
        .origin
        .rx()
        .tx("HTTP/1.0 200 OK\r\nCache-Control: max-age=60\r\n\r\nold")
        .end();
    client.rx().expect(200, "old");
    client.fetch("/a").expect(200, "old").cached("hit");
}
