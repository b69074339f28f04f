//! Validation: of what is stored with the origin, and of what clients have with what is stored.

use crate::harness::World;

#[test]
fn a_304_renews_the_head_and_keeps_the_body() {
    let world = World::start();
    world.store(
        "/a",
        &["Cache-Control: max-age=10", "ETag: \"1\"", "X-Count: 1"],
        "body",
    );
    world.pass_seconds(11);
    let mut client = world.client();
    client.get("/a");
    let asked = world.origin.rx_for("GET /a").has("if-none-match", "\"1\"");
    asked.not_modified(&["Cache-Control: max-age=20", "ETag: \"1\"", "X-Count: 2"]);
    client
        .rx()
        .expect(200, "body")
        .cached("fwd=stale fwd-status=304")
        .has("x-count", "2")
        .has("age", "0");
    world.pass_seconds(19);
    client
        .fetch("/a")
        .expect(200, "body")
        .cached("hit ttl=1")
        .has("x-count", "2")
        .has("content-length", "4");
    assert_eq!(world.origin.requests(), 2);
}

#[test]
fn the_age_and_date_of_a_304_count() {
    let world = World::start();
    world.store("/a", &["Cache-Control: max-age=10", "ETag: \"1\""], "body");
    world.pass_seconds(100);
    let mut client = world.client();
    client.get("/a");
    world
        .origin
        .rx()
        .not_modified(&["Cache-Control: max-age=20", "Age: 3", "Via: 1.1 shield"]);
    let date = "Tue, 14 Nov 2023 22:15:00 GMT";
    let renewed = client.rx().expect(200, "body").has("age", "3").has("date", date);
    assert_eq!(renewed.head.all("via").join(", "), "1.1 shield, 1.1 verge");
    world.pass_seconds(1);
    client
        .fetch("/a")
        .expect(200, "body")
        .has("age", "4")
        .cached("hit ttl=16");
}

#[test]
fn what_a_304_forbids_to_store_is_not_served_again() {
    for forbids in ["Cache-Control: no-store", "Cache-Control: private"] {
        let world = World::start();
        let modified = "Last-Modified: Mon, 13 Nov 2000 00:00:00 GMT";
        world.store("/a", &["Cache-Control: max-age=10", modified], "one");
        world.pass_seconds(10);
        let mut client = world.client();
        client.get("/a");
        world.origin.rx().not_modified(&[forbids]);
        client.rx().expect(200, "one");
        client.get("/a");
        world.origin.rx().ok(&["Cache-Control: max-age=10"], "two");
        client.rx().expect(200, "two");
    }
}

#[test]
fn last_modified_validates_too() {
    let world = World::start();
    let modified = "Mon, 13 Nov 2023 00:00:00 GMT";
    world.store(
        "/a",
        &["Cache-Control: max-age=10", &format!("Last-Modified: {modified}")],
        "body",
    );
    world.pass_seconds(10);
    let mut client = world.client();
    client.get("/a");
    world
        .origin
        .rx()
        .has("if-modified-since", modified)
        .has("if-none-match", None)
        .not_modified(&[]);
    client.rx().expect(200, "body");
}

#[test]
fn a_200_replaces_what_was_stale() {
    let world = World::start();
    world.store("/a", &["Cache-Control: max-age=10", "ETag: \"1\""], "one");
    world.pass_seconds(11);
    let mut client = world.client();
    client.get("/a");
    world
        .origin
        .rx()
        .has("if-none-match", "\"1\"")
        .ok(&["Cache-Control: max-age=10", "ETag: \"2\""], "two");
    client
        .rx()
        .expect(200, "two")
        .cached("fwd=stale fwd-status=200 stored")
        .has("etag", "\"2\"");
    client.fetch("/a").expect(200, "two").cached("hit");
}

#[test]
fn no_cache_is_stored_and_always_validated() {
    let world = World::start();
    let mut client = world.client();
    client.get("/a");
    world.origin.rx().ok(&["Cache-Control: no-cache", "ETag: \"1\""], "one");
    client.rx().expect(200, "one");
    for _ in 0..2 {
        client.get("/a");
        world
            .origin
            .rx()
            .has("if-none-match", "\"1\"")
            .not_modified(&["ETag: \"1\""]);
        client
            .rx()
            .expect(200, "one")
            .cached("fwd=stale fwd-status=304 detail=no-cache");
    }
}

#[test]
fn conditions_are_answered_from_what_is_stored() {
    let world = World::start();
    let modified = "Last-Modified: Mon, 13 Nov 2023 00:00:00 GMT";
    world.store("/a", &["Cache-Control: max-age=60", "ETag: \"1\"", modified], "body");
    for (condition, status) in [
        ("If-None-Match: \"1\"", 304),
        ("If-None-Match: W/\"1\"", 304),
        ("If-None-Match: \"0\", \"1\"", 304),
        ("If-None-Match: *", 304),
        ("If-None-Match: \"2\"", 200),
        ("If-Modified-Since: Mon, 13 Nov 2023 00:00:00 GMT", 304),
        ("If-Modified-Since: Sun, 12 Nov 2023 00:00:00 GMT", 200),
        (
            "If-None-Match: \"2\"\r\nIf-Modified-Since: Mon, 13 Nov 2023 00:00:00 GMT",
            200,
        ),
        ("If-Match: \"1\"", 200),
        ("If-Match: \"2\"", 412),
        ("If-Unmodified-Since: Sun, 12 Nov 2023 00:00:00 GMT", 412),
    ] {
        let answer = world.client().ask("GET", "/a", &[condition]).rx().is(status);
        match status {
            304 => drop(
                answer
                    .cached("hit")
                    .has("etag", "\"1\"")
                    .has("cache-control", "max-age=60")
                    .has("content-length", None),
            ),
            412 => assert!(answer.body.is_empty()),
            _ => drop(answer.expect(200, "body").cached("hit")),
        }
    }
    assert_eq!(world.origin.requests(), 1);
}

#[test]
fn conditions_of_a_miss_are_answered_once_it_is_fetched() {
    let world = World::start();
    let mut client = world.client();
    client.ask("GET", "/a", &["If-None-Match: \"1\""]);
    world
        .origin
        .rx()
        .has("if-none-match", None)
        .ok(&["Cache-Control: max-age=60", "ETag: \"1\""], "body");
    client.rx().expect(304, "");
    client.fetch("/a").expect(200, "body").cached("hit");
}
