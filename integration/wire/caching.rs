//! Miss, hit, age, invalidation, and what is never stored.

use crate::harness::World;

#[test]
fn a_miss_then_hits_that_age() {
    let world = World::start();
    let mut client = world.client();
    client.get("/a");
    world
        .origin
        .rx_for("GET /a")
        .ok(&["Cache-Control: max-age=60", "X-Of-Origin: kept"], "one");
    let first = client
        .rx()
        .expect(200, "one")
        .cached("fwd=uri-miss fwd-status=200 stored ttl=60");
    first.has("x-of-origin", "kept").has("via", "1.1 verge");
    for age in ["0", "7", "14"] {
        client
            .fetch("/a")
            .expect(200, "one")
            .cached("hit")
            .has("age", age)
            .has("via", "1.1 verge");
        world.pass_seconds(7);
    }
    world
        .fetch("/a")
        .expect(200, "one")
        .has("age", "21")
        .cached("hit ttl=39");
    assert_eq!(world.origin.requests(), 1);
}

#[test]
fn an_age_that_came_with_it_counts() {
    let world = World::start();
    let mut client = world.client();
    client.get("/a");
    world.origin.rx().ok(&["Cache-Control: max-age=60", "Age: 50"], "one");
    client.rx().expect(200, "one").has("age", "50");
    world.pass_seconds(9);
    client.fetch("/a").cached("hit ttl=1").has("age", "59");
    world.pass_seconds(1);
    client.get("/a");
    world.origin.rx().ok(&["Cache-Control: max-age=60"], "two");
    client.rx().expect(200, "two").cached("fwd=stale");
}

#[test]
fn date_and_end_to_end_fields_stay_as_they_came() {
    let world = World::start();
    let date = "Tue, 14 Nov 2023 22:13:20 GMT";
    world.store(
        "/a",
        &[
            "Cache-Control: max-age=60",
            "Date: Tue, 14 Nov 2023 22:13:20 GMT",
            "Set-Cookie: a=b",
        ],
        "one",
    );
    world.pass_seconds(5);
    let hit = world
        .fetch("/a")
        .cached("hit")
        .has("date", date)
        .has("set-cookie", "a=b");
    hit.has("age", "5").has("connection", None);
}

#[test]
fn hop_by_hop_fields_of_a_response_are_not_kept() {
    let world = World::start();
    let mut client = world.client();
    client.get("/a");
    world.origin.rx().ok(
        &[
            "Cache-Control: max-age=60",
            "Connection: X-Own",
            "X-Own: 1",
            "Keep-Alive: timeout=5",
        ],
        "one",
    );
    for _ in 0..2 {
        client
            .rx()
            .has("x-own", None)
            .has("keep-alive", None)
            .has("connection", None);
        client.get("/a");
    }
    client.rx().cached("hit");
}

#[test]
fn what_is_never_stored() {
    let world = World::start();
    for (number, fields) in [
        "Cache-Control: no-store",
        "Cache-Control: private, max-age=60",
        "Cache-Control: max-age=0, must-revalidate, no-store",
        "Cache-Control: max-age=60\r\nVary: *",
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/{number}");
        for round in ["one", "two"] {
            let mut client = world.client();
            client.get(&path);
            world.origin.rx_for(&format!("GET {path}")).ok(&[fields], round);
            client.rx().expect(200, round).has("age", None);
        }
    }
    assert_eq!(world.origin.requests(), 8);
}

#[test]
fn what_a_request_forbids_is_not_stored() {
    let world = World::start();
    for fields in [&["Cache-Control: no-store"][..], &["Authorization: Basic YTpi"]] {
        let mut client = world.client();
        client.ask("GET", "/a", fields);
        world.origin.rx().ok(&["Cache-Control: max-age=60"], "own");
        client.rx().expect(200, "own");
    }
    world.store("/a", &["Cache-Control: max-age=60"], "everyone's");
    assert_eq!(world.origin.requests(), 3);
}

#[test]
fn public_responses_to_authorized_requests_are_stored() {
    let world = World::start();
    let mut client = world.client();
    client.ask("GET", "/a", &["Authorization: Basic YTpi"]);
    world
        .origin
        .rx()
        .has("authorization", "Basic YTpi")
        .ok(&["Cache-Control: public, max-age=60"], "all");
    client.rx().expect(200, "all");
    world.fetch("/a").expect(200, "all").cached("hit");
}

#[test]
fn a_client_does_not_force_a_fetch() {
    let world = World::start();
    world.store("/a", &["Cache-Control: max-age=60"], "one");
    for demand in [
        "Cache-Control: no-cache",
        "Cache-Control: max-age=0",
        "Pragma: no-cache",
    ] {
        world
            .client()
            .ask("GET", "/a", &[demand])
            .rx()
            .expect(200, "one")
            .cached("hit");
    }
}

#[test]
fn only_if_cached() {
    let world = World::start();
    let mut client = world.client();
    client.ask("GET", "/a", &["Cache-Control: only-if-cached"]).rx().is(504);
    world.store("/a", &["Cache-Control: max-age=60"], "one");
    client
        .ask("GET", "/a", &["Cache-Control: only-if-cached"])
        .rx()
        .expect(200, "one")
        .cached("hit");
    world.pass_seconds(60);
    client.ask("GET", "/a", &["Cache-Control: only-if-cached"]).rx().is(504);
    assert_eq!(world.origin.requests(), 1);
}

#[test]
fn head_is_answered_from_a_get() {
    let world = World::start();
    let mut client = world.client();
    client.ask("HEAD", "/a", &[]);
    world.origin.rx_for("GET /a").ok(&["Cache-Control: max-age=60"], "four");
    let head = client.rx_head().is(200).has("content-length", "4");
    assert!(head.body.is_empty());
    client.fetch("/a").expect(200, "four").cached("hit");
    client
        .ask("HEAD", "/a", &[])
        .rx_head()
        .is(200)
        .has("content-length", "4")
        .cached("hit");
    client.fetch("/a").expect(200, "four").cached("hit");
}

#[test]
fn unsafe_methods_invalidate() {
    let world = World::start();
    for (method, status, gone) in [
        ("POST", "200 OK", true),
        ("PUT", "204 No Content", true),
        ("DELETE", "403 Forbidden", false),
    ] {
        world.server.edge().cache.purge_all(verge::purge::Mode::Hard);
        world.store("/a", &["Cache-Control: max-age=60"], "one");
        let mut client = world.client();
        client.send(method, "/a", "x");
        let mut asked = world.origin.rx_for(&format!("{method} /a"));
        asked.body().unwrap();
        asked.tx(format!(
            "HTTP/1.1 {status}\r\n{}\r\n",
            if status.starts_with("204") {
                ""
            } else {
                "Content-Length: 0\r\n"
            }
        ));
        drop(asked);
        client.rx();
        client.get("/a");
        if gone {
            world.origin.rx_for("GET /a").ok(&["Cache-Control: max-age=60"], "two");
        }
        client.rx().expect(200, if gone { "two" } else { "one" });
    }
}

#[test]
fn what_an_unsafe_methods_answer_points_to_is_invalidated() {
    let world = World::start();
    for path in ["/list", "/other", "/kept"] {
        world.store(path, &["Cache-Control: max-age=60"], "one");
    }
    let mut client = world.client();
    client.send("POST", "/add", "x");
    world.origin.rx().answer(
        "201 Created",
        &["Location: /list", "Content-Location: http://example.test/other"],
        "",
    );
    client.rx().is(201);
    client.fetch("/kept").cached("hit");
    for path in ["/list", "/other"] {
        client.get(path);
        world
            .origin
            .rx_for(&format!("GET {path}"))
            .ok(&["Cache-Control: max-age=60"], "two");
        client.rx().expect(200, "two");
    }
}

#[test]
fn a_body_of_unknown_length_is_stored_with_its_length() {
    let world = World::start();
    for (path, framing) in [
        (
            "/chunked",
            "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        ),
        ("/close", "\r\nabcde"),
    ] {
        let mut client = world.client();
        client.get(path);
        let mut asked = world.origin.rx();
        asked.tx(format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n{framing}"));
        if path == "/close" {
            asked.close()
        } else {
            drop(asked)
        }
        client
            .rx()
            .expect(200, "abcde")
            .has("transfer-encoding", "chunked")
            .has("content-length", None);
        client
            .fetch(path)
            .expect(200, "abcde")
            .cached("hit")
            .has("content-length", "5")
            .has("transfer-encoding", None);
    }
}

#[test]
fn keys_are_of_host_path_and_query() {
    let world = World::start();
    world.store("/a?b=1", &["Cache-Control: max-age=60"], "one");
    let mut client = world.client();
    for (request, same) in [
        ("GET /a?b=1 HTTP/1.1\r\nHost: EXAMPLE.test\r\n\r\n", true),
        ("GET /a?b=1 HTTP/1.1\r\nHost: example.test:80\r\n\r\n", true),
        (
            "GET http://example.test/a?b=1 HTTP/1.1\r\nHost: example.test\r\n\r\n",
            true,
        ),
        ("GET /x/../%61?b=1 HTTP/1.1\r\nHost: example.test\r\n\r\n", true),
        ("GET /a?b=2 HTTP/1.1\r\nHost: example.test\r\n\r\n", false),
        ("GET /a HTTP/1.1\r\nHost: example.test\r\n\r\n", false),
        ("GET /A?b=1 HTTP/1.1\r\nHost: example.test\r\n\r\n", false),
        ("GET /a?b=1 HTTP/1.1\r\nHost: other.test\r\n\r\n", false),
        ("GET /a?b=1 HTTP/1.1\r\nHost: example.test:81\r\n\r\n", false),
    ] {
        client.tx(request);
        if !same {
            world.origin.rx().ok(&["Cache-Control: max-age=60"], "another");
        }
        client.rx().expect(200, if same { "one" } else { "another" });
    }
}

#[test]
fn a_stored_204_says_no_length() {
    let world = World::start();
    let mut client = world.client();
    client.get("/a");
    world
        .origin
        .rx()
        .tx("HTTP/1.1 204 No Content\r\nCache-Control: max-age=60\r\n\r\n");
    client.rx().expect(204, "").has("content-length", None);
    client
        .fetch("/a")
        .expect(204, "")
        .cached("hit")
        .has("content-length", None);
}

#[test]
fn what_began_earlier_and_came_later_does_not_take_the_place_of_what_is_newer() {
    let world = World::start();
    let mut slow = world.client();
    slow.ask("GET", "/a", &["Authorization: Basic eDp5"]);
    let held = world.origin.rx_for("GET /a");
    world.store("/a", &["Cache-Control: max-age=60"], "new");
    held.ok(&["Cache-Control: public, max-age=60"], "old");
    slow.rx().expect(200, "old");
    world.fetch("/a").expect(200, "new").cached("hit");
}
