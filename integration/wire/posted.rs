//! Answers to POST that a later GET may get (RFC 9110 9.3.3).

use verge::purge::Mode;

use crate::harness::World;

const OF_ITSELF: &[&str] = &["Cache-Control: max-age=60", "Content-Location: /a?b"];

#[test]
fn an_answer_that_is_what_a_get_would_get_is_kept() {
    let world = World::start();
    world.store("/a?b", &["Cache-Control: max-age=60"], "before");
    let mut client = world.client();
    client.send("POST", "/a?b", "x");
    world.origin.rx().ok(OF_ITSELF, "after");
    client.rx().expect(200, "after");
    client
        .fetch("/a?b")
        .expect(200, "after")
        .cached("hit")
        .has("content-location", "/a?b");
    client.send("POST", "/chunked", "x");
    let fields = &[
        "Cache-Control: max-age=60",
        "Content-Location: http://example.test/chunked",
    ];
    world.origin.rx().chunked(fields, b"pieces");
    client.rx().expect(200, "pieces");
    client.fetch("/chunked").expect(200, "pieces").cached("hit");
    assert_eq!(world.origin.requests(), 3);
}

#[test]
fn other_answers_are_not() {
    let large = "x".repeat(300 * 1024);
    for (method, status, fields, body) in [
        ("PUT", "200 OK", OF_ITSELF, "no"),
        ("POST", "201 Created", OF_ITSELF, "no"),
        ("POST", "200 OK", &["Cache-Control: max-age=60"], "no"),
        (
            "POST",
            "200 OK",
            &["Cache-Control: max-age=60", "Content-Location: /a"],
            "no",
        ),
        (
            "POST",
            "200 OK",
            &["Cache-Control: max-age=60", "Content-Location: http://else.test/a?b"],
            "no",
        ),
        (
            "POST",
            "200 OK",
            &["Last-Modified: Tue, 14 Nov 2000 22:13:20 GMT", "Content-Location: /a?b"],
            "no",
        ),
        (
            "POST",
            "200 OK",
            &["Cache-Control: no-store", "Content-Location: /a?b"],
            "no",
        ),
        ("POST", "200 OK", OF_ITSELF, large.as_str()),
    ] {
        let world = World::start();
        let mut client = world.client();
        client.send(method, "/a?b", "x");
        world.origin.rx().answer(status, fields, body);
        assert_eq!(client.rx().body.len(), body.len());
        client.get("/a?b");
        world.origin.rx().ok(&[], "got");
        client.rx().expect(200, "got").cached("fwd=uri-miss");
    }
}

#[test]
fn what_was_purged_or_changed_meanwhile_is_not_kept() {
    for purged in [true, false] {
        let world = World::start();
        let (mut client, mut other) = (world.client(), world.client());
        client.send("POST", "/a?b", "x");
        let asked = world.origin.rx();
        if purged {
            world.server.edge().cache.purge_all(Mode::Hard);
        } else {
            other.send("DELETE", "/a?b", "");
            world.origin.rx_for("DELETE /a?b").ok(&[], "");
            other.rx().is(200);
        }
        asked.ok(OF_ITSELF, "old");
        client.rx().expect(200, "old");
        client.get("/a?b");
        world.origin.rx().ok(&[], "new");
        client.rx().expect(200, "new");
    }
}

#[test]
fn a_variant_of_it_is_kept_as_such() {
    let world = World::start();
    let mut client = world.client();
    let body = "Content-Length: 1\r\nX-Kind: a";
    client.tx(format!("POST /a?b HTTP/1.1\r\nHost: example.test\r\n{body}\r\n\r\nx"));
    let fields = &["Cache-Control: max-age=60", "Content-Location: /a?b", "Vary: X-Kind"];
    world.origin.rx().ok(fields, "kind a");
    client.rx().expect(200, "kind a");
    client
        .ask("GET", "/a?b", &["X-Kind: a"])
        .rx()
        .expect(200, "kind a")
        .cached("hit");
    client.ask("GET", "/a?b", &["X-Kind: b"]);
    world.origin.rx().ok(fields, "kind b");
    client.rx().expect(200, "kind b").cached("fwd=vary-miss");
}
