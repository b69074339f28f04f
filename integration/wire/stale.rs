//! Stale answers: while a refresh is under way, and in place of an error.

use crate::harness::{Response, World};

const STALE_WHILE: &[&str] = &["Cache-Control: max-age=10, stale-while-revalidate=30", "ETag: \"1\""];
const STALE_IF: &[&str] = &[
    "Cache-Control: max-age=10, stale-if-error=30",
    "ETag: \"1\"",
    "Connection: close",
];

#[test]
fn stale_while_revalidate_answers_at_once_and_asks_once() {
    let world = World::start();
    world.store("/a", STALE_WHILE, "one");
    world.pass_seconds(15);
    let mut client = world.client();
    // The origin has the question and says nothing; all are answered.
    for _ in 0..3 {
        client
            .fetch("/a")
            .expect(200, "one")
            .cached("hit ttl=-5 detail=stale-while-revalidate")
            .has("age", "15");
    }
    let asked = world.origin.rx_for("GET /a").has("if-none-match", "\"1\"");
    asked.ok(&["Cache-Control: max-age=10", "ETag: \"2\""], "two");
    until_fresh(&world, "two");
    assert_eq!(world.origin.requests(), 2);
}

/// Asks until what is served is fresh again; a refresh has no other witness. More than one refresh is a failure of the callers.
fn until_fresh(world: &World, body: &str) {
    let mut client = world.client();
    for _ in 0..100_000 {
        let response = client.fetch("/a");
        if response.head.field("age") == Some("0") {
            return drop(response.expect(200, body).cached("hit"));
        }
    }
    panic!("the refresh changed nothing");
}

#[test]
fn a_304_behind_a_stale_answer_renews_it() {
    let world = World::start();
    world.store("/a", STALE_WHILE, "one");
    world.pass_seconds(15);
    world.fetch("/a").cached("hit ttl=-5");
    world.origin.rx().not_modified(STALE_WHILE);
    until_fresh(&world, "one");
    assert_eq!(world.origin.requests(), 2);
}

#[test]
fn past_the_window_the_client_waits() {
    let world = World::start();
    world.store("/a", STALE_WHILE, "one");
    world.pass_seconds(40);
    let mut client = world.client();
    client.get("/a");
    world.origin.rx().ok(STALE_WHILE, "two");
    client.rx().expect(200, "two").cached("fwd=stale");
}

const ERRORS: &[&str] = &["500", "502", "503", "504", "close", "reset", "nonsense", "refused"];

#[test]
fn stale_if_error_covers_statuses_and_failures() {
    for failure in ERRORS {
        let mut world = World::start();
        world.store("/a", STALE_IF, "one");
        world.pass_seconds(15);
        fail(&mut world, failure)
            .expect(200, "one")
            .cached("fwd=stale detail=stale-if-error")
            .has("age", "15");
        // It is remembered for a moment.
        let asked = world.origin.requests();
        world.fetch("/a").expect(200, "one").cached("detail=stale-if-error");
        assert_eq!(world.origin.requests(), asked, "{failure}");
    }
}

#[test]
fn errors_show_where_stale_answers_are_forbidden_or_too_old() {
    for (fields, seconds) in [
        (STALE_IF, 41),
        (
            &[
                "Cache-Control: max-age=10, must-revalidate, stale-if-error=30",
                "Connection: close",
            ],
            15,
        ),
    ] {
        for failure in ERRORS {
            let mut world = World::start();
            world.store("/a", fields, "one");
            world.pass_seconds(seconds);
            let status = failure.parse().unwrap_or(502);
            let answer = fail(&mut world, failure).is(status);
            assert_eq!(
                answer.head.field("proxy-status").is_some(),
                failure.parse::<u16>().is_err(),
                "{failure}"
            );
        }
    }
}

/// Asks for `/a` when the origin fails like this.
fn fail(world: &mut World, failure: &str) -> Response {
    let mut client = world.client();
    if failure == "refused" {
        world.origin.stop();
        return client.fetch("/a");
    }
    client.get("/a");
    match failure {
        "close" => world.origin.rx().close(),
        "reset" => world.origin.rx().reset(),
        "nonsense" => drop(world.origin.rx().tx("SSH-2.0-nonsense\r\n\r\n")),
        status => world.origin.rx().answer(&format!("{status} Trouble"), &[], "sorry"),
    }
    if failure == "close" || failure == "reset" {
        // What may be repeated is asked once more.
        world.origin.rx().close();
    }
    client.rx()
}

#[test]
fn a_response_that_breaks_off_replaces_nothing() {
    let world = World::start();
    world.store("/a", STALE_IF, "one");
    world.pass_seconds(15);
    let mut client = world.client();
    client.get("/a");
    let mut asked = world.origin.rx();
    asked.tx_head("200 OK", &["Cache-Control: max-age=60"], 10).tx("two");
    asked.close();
    assert!(client.try_rx().is_err());
    let mut client = world.client();
    client.get("/a");
    world.origin.rx().answer("503 Trouble", &[], "sorry");
    client.rx().expect(200, "one").cached("detail=stale-if-error");
}
