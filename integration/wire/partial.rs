//! Bodies that are known in part (RFC 9111 3.3, 3.4).

use crate::harness::{World, bytes, request};

const CHUNK: usize = 256 * 1024;
const LENGTH: usize = 1_000_000;
const TAGGED: &[&str] = &["Cache-Control: max-age=60", "ETag: \"1\""];

/// An edge that has the first two chunks of `/a`: the origin broke off.
fn world(fields: &[&str]) -> (World, Vec<u8>) {
    let (world, body) = (World::start(), bytes(LENGTH));
    let mut client = world.client();
    client.get("/a");
    let mut asked = world.origin.rx();
    asked.tx_head("200 OK", fields, LENGTH).tx(&body[..600_000]);
    client.rx_head().is(200);
    client.rx_bytes(600_000);
    asked.close();
    client.expect_close();
    (world, body)
}

fn ranged(world: &World, range: &str) -> crate::harness::Client {
    let mut client = world.client();
    client.tx(request("GET", "/a", &[&format!("Range: bytes={range}")]));
    client
}

/// Answers with the part from `start` on, as an origin does.
fn part(asked: crate::harness::Asked, body: &[u8], start: usize, end: usize) {
    let range = format!("Content-Range: bytes {start}-{}/{}", end - 1, body.len());
    let asked = asked.has("if-range", "\"1\"");
    assert_eq!(
        asked.field("range"),
        Some(format!("bytes={start}-{}", end - 1).as_str())
    );
    asked.answer("206 Partial Content", &["ETag: \"1\"", &range], &body[start..end]);
}

#[test]
fn what_came_is_served_and_the_rest_fetched() {
    let (world, body) = world(TAGGED);
    ranged(&world, "100-199")
        .rx()
        .expect(206, &body[100..200])
        .cached("hit");
    world.client().ask("HEAD", "/a", &[]).rx_head().is(200).cached("hit");
    // In whole chunks, and no more than what is wanted touches.
    let mut client = ranged(&world, "500000-600000");
    part(world.origin.rx(), &body, 2 * CHUNK, 3 * CHUNK);
    client.rx().expect(206, &body[500_000..600_001]).cached("fwd=partial");
    ranged(&world, "300000-700000")
        .rx()
        .expect(206, &body[300_000..700_001])
        .cached("hit");
    let mut client = world.client();
    client.get("/a");
    part(world.origin.rx(), &body, 3 * CHUNK, LENGTH);
    client
        .rx()
        .expect(200, &body)
        .cached("fwd=partial")
        .cached("fwd-status=206")
        .cached("stored");
    world.fetch("/a").expect(200, &body).cached("hit");
    ranged(&world, "-10")
        .rx()
        .expect(206, &body[LENGTH - 10..])
        .cached("hit");
    assert_eq!(world.origin.requests(), 3);
}

#[test]
fn a_part_is_fetched_once_for_all() {
    let (world, body) = world(TAGGED);
    let mut clients: Vec<_> = (0..4).map(|_| ranged(&world, "900000-")).collect();
    let asked = world.origin.rx();
    world.settle();
    part(asked, &body, 3 * CHUNK, LENGTH);
    for client in &mut clients {
        client.rx().expect(206, &body[900_000..]).cached("fwd=partial");
    }
    assert_eq!(world.origin.requests(), 2);
}

#[test]
fn what_is_no_part_of_the_same_body_is_never_joined_with_it() {
    let at = 2 * CHUNK;
    let range = format!("Content-Range: bytes {at}-{}/{LENGTH}", LENGTH - 1);
    let short = format!("Content-Range: bytes {at}-{}/{LENGTH}", LENGTH - 2);
    let longer = format!("Content-Range: bytes {at}-{}/{}", LENGTH - 1, LENGTH + 1);
    let cases: [(&str, Vec<&str>); 8] = [
        ("200 OK", vec!["ETag: \"2\""]),
        ("200 OK", vec!["ETag: \"1\""]),
        ("206 Partial Content", vec!["ETag: \"2\"", &range]),
        ("206 Partial Content", vec!["ETag: W/\"1\"", &range]),
        ("206 Partial Content", vec![&range]),
        ("206 Partial Content", vec!["ETag: \"1\"", &short]),
        ("206 Partial Content", vec!["ETag: \"1\"", &longer]),
        ("416 Range Not Satisfiable", vec!["Content-Range: bytes */10"]),
    ];
    for (status, fields) in cases {
        let (world, body) = world(TAGGED);
        let other: Vec<u8> = body.iter().map(|byte| !byte).collect();
        let mut client = world.client();
        client.get("/a");
        world
            .origin
            .rx()
            .has("if-range", "\"1\"")
            .answer(status, &fields, &other[at..]);
        // All of it is fetched anew.
        world
            .origin
            .rx()
            .has("range", None)
            .has("if-range", None)
            .ok(TAGGED, &other);
        client.rx().expect(200, &other);
        world.fetch("/a").expect(200, &other).cached("hit");
    }
}

#[test]
fn without_a_strong_validator_nothing_is_kept() {
    for fields in [
        &["Cache-Control: max-age=60"][..],
        &["Cache-Control: max-age=60", "ETag: W/\"1\""],
    ] {
        let (world, body) = world(fields);
        let mut client = ranged(&world, "100-199");
        world.origin.rx().has("if-range", None).ok(fields, &body);
        client.rx().expect(206, &body[100..200]).cached("fwd=uri-miss");
    }
}

#[test]
fn a_part_that_breaks_off_shows() {
    let (world, body) = world(TAGGED);
    let mut client = world.client();
    client.get("/a");
    let mut asked = world.origin.rx();
    let range = format!("Content-Range: bytes {}-{}/{LENGTH}", 2 * CHUNK, LENGTH - 1);
    let fields = ["ETag: \"1\"", &range];
    asked.tx_head("206 Partial Content", &fields, LENGTH - 2 * CHUNK);
    asked.tx(&body[2 * CHUNK..3 * CHUNK + 5]);
    client.rx_head().is(200);
    assert_eq!(client.rx_bytes(3 * CHUNK + 5), &body[..3 * CHUNK + 5]);
    asked.close();
    client.expect_close();
    // The chunk that came whole is kept.
    let mut client = world.client();
    client.get("/a");
    part(world.origin.rx(), &body, 3 * CHUNK, LENGTH);
    client.rx().expect(200, &body);
}

#[test]
fn an_origin_that_fails_meanwhile() {
    let (world, body) = world(TAGGED);
    let mut client = ranged(&world, "900000-");
    world.origin.rx().answer("503 Service Unavailable", &[], "");
    world.origin.rx().answer("503 Service Unavailable", &[], "");
    client.rx().is(503);
    // What is stale is confirmed first.
    let (world, _) = (self::world(TAGGED).0, body.len());
    world.pass_seconds(61);
    let mut client = ranged(&world, "900000-");
    world
        .origin
        .rx()
        .has("if-none-match", "\"1\"")
        .has("range", None)
        .not_modified(TAGGED);
    part(world.origin.rx(), &body, 3 * CHUNK, LENGTH);
    client.rx().expect(206, &body[900_000..]);
}

/// Answers with the part that was asked for.
fn as_asked(asked: crate::harness::Asked, body: &[u8], fields: &[&str]) {
    let range = asked.field("range").unwrap().strip_prefix("bytes=").unwrap().to_owned();
    let (first, last) = range.split_once('-').unwrap();
    let start: usize = first.parse().unwrap();
    let end = last
        .parse::<usize>()
        .map_or(body.len(), |last| (last + 1).min(body.len()));
    let range = format!("Content-Range: bytes {start}-{}/{}", end - 1, body.len());
    let fields: Vec<&str> = fields.iter().copied().chain([range.as_str()]).collect();
    asked.answer("206 Partial Content", &fields, &body[start..end]);
}

#[test]
fn a_part_far_behind_is_fetched_by_itself_and_kept() {
    let (world, body) = (World::start(), bytes(LENGTH));
    let mut clients: Vec<_> = (0..3).map(|_| ranged(&world, "600000-600009")).collect();
    let asked = world.origin.rx().has("if-range", None);
    world.settle();
    assert_eq!(asked.field("range"), Some("bytes=524288-786431"));
    as_asked(asked, &body, TAGGED);
    for client in &mut clients {
        client
            .rx()
            .expect(206, &body[600_000..600_010])
            .cached("fwd=uri-miss")
            .cached("stored");
    }
    ranged(&world, "700000-700009")
        .rx()
        .expect(206, &body[700_000..700_010])
        .cached("hit");
    // The rest of it, and then all.
    let mut client = ranged(&world, "700000-");
    part(world.origin.rx(), &body, 3 * CHUNK, LENGTH);
    client.rx().expect(206, &body[700_000..]).cached("fwd=partial");
    let mut client = world.client();
    client.get("/a");
    part(world.origin.rx(), &body, 0, 2 * CHUNK);
    client.rx().expect(200, &body).cached("fwd=partial");
    world.fetch("/a").expect(200, &body).cached("hit");
    assert_eq!(world.origin.requests(), 3);
}

#[test]
fn a_part_to_the_end_is_a_part_too() {
    let (world, body) = (World::start(), bytes(LENGTH));
    let mut client = ranged(&world, "999999-");
    let asked = world.origin.rx();
    assert_eq!(asked.field("range"), Some("bytes=786432-"));
    as_asked(asked, &body, TAGGED);
    client.rx().expect(206, &body[999_999..]);
    ranged(&world, "-5").rx().expect(206, &body[LENGTH - 5..]).cached("hit");
}

#[test]
fn what_cannot_be_kept_as_a_part_is_fetched_whole() {
    let body = bytes(LENGTH);
    for (status, fields) in [
        ("200 OK", TAGGED),
        ("206 Partial Content", &["Cache-Control: max-age=60"][..]),
        ("206 Partial Content", &["Cache-Control: max-age=60", "ETag: W/\"1\""]),
        ("206 Partial Content", &["Cache-Control: no-store", "ETag: \"1\""]),
        ("416 Range Not Satisfiable", &[]),
    ] {
        let world = World::start();
        let mut client = ranged(&world, "600000-600009");
        let asked = world.origin.rx();
        match status {
            "206 Partial Content" => as_asked(asked, &body, fields),
            _ => asked.answer(status, fields, &body),
        }
        world.origin.rx().has("range", None).ok(TAGGED, &body);
        client.rx().expect(206, &body[600_000..600_010]);
        // Once is enough: whoever has the last byte finds it stored.
        let mut other = world.client();
        other.tx(request("GET", "/a", &[])).rx().expect(200, &body);
        other
            .tx(request("GET", "/a", &["Range: bytes=600000-600009"]))
            .rx()
            .is(206)
            .cached("hit");
    }
}

#[test]
fn parts_of_a_variant_are_of_that_variant() {
    let (world, body) = (World::start(), bytes(LENGTH));
    let other: Vec<u8> = body.iter().map(|byte| !byte).collect();
    let ask = |kind: &str| {
        let mut client = world.client();
        client.ask("GET", "/a", &["Range: bytes=600000-600009", &format!("X-Kind: {kind}")]);
        client
    };
    let fields = ["Cache-Control: max-age=60", "Vary: X-Kind", "ETag: \"1\""];
    let (mut first, mut second) = (ask("a"), ask("b"));
    world.settle();
    as_asked(world.origin.rx().has("x-kind", "a"), &body, &fields);
    first.rx().expect(206, &body[600_000..600_010]);
    // It waited for a part that turned out to be of another variant.
    let asked = world.origin.rx().has("x-kind", "b");
    match asked.field("range") {
        Some(_) => as_asked(asked, &other, &fields),
        None => {
            asked.ok(&fields, &other);
            let mut whole = world.client();
            // Whoever has the last byte finds it stored.
            whole.tx(request("GET", "/a", &["X-Kind: b"])).rx().expect(200, &other);
        }
    }
    second.rx().expect(206, &other[600_000..600_010]);
    ask("a").rx().expect(206, &body[600_000..600_010]).cached("hit");
    ask("b").rx().expect(206, &other[600_000..600_010]).cached("hit");
}
