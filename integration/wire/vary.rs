//! Variants.

use crate::harness::World;

const VARIES: &[&str] = &["Cache-Control: max-age=60", "Vary: X-Kind"];

#[test]
fn variants_are_kept_apart() {
    let world = World::start();
    let mut client = world.client();
    for (kind, status) in [("a", "uri-miss"), ("b", "vary-miss"), ("", "vary-miss")] {
        client.ask("GET", "/v", &[&format!("X-Kind: {kind}")]);
        world.origin.rx().ok(VARIES, format!("kind {kind}"));
        client
            .rx()
            .expect(200, format!("kind {kind}"))
            .cached(&format!("fwd={status}"));
    }
    for kind in ["a", "b", "", "a"] {
        client
            .ask("GET", "/v", &[&format!("X-Kind: {kind}")])
            .rx()
            .expect(200, format!("kind {kind}"))
            .cached("hit");
    }
    // Absent is not empty (RFC 9111 4.1).
    client.get("/v");
    world.origin.rx().ok(VARIES, "none");
    client.rx().expect(200, "none");
    assert_eq!(world.origin.requests(), 4);
}

#[test]
fn waiting_requests_of_two_variants_are_fetched_at_once() {
    let world = World::start();
    let kinds = ["a", "a", "b", "b", "c", "c"];
    let mut clients: Vec<_> = kinds.iter().map(|_| world.client()).collect();
    for (client, kind) in clients.iter_mut().zip(kinds) {
        client.ask("GET", "/v", &[&format!("X-Kind: {kind}")]);
    }
    world.settle();
    // One fetch for all, until its answer says that it is not for all.
    let mut first = world.origin.rx().has("x-kind", "a");
    assert_eq!(world.origin.requests(), 1);
    first.tx_head("200 OK", VARIES, 6);
    // The others' fetches begin while the first is still on its way, and both are under way at once.
    let mut others = [world.origin.rx(), world.origin.rx()];
    others.sort_by_key(|asked| asked.field("x-kind").unwrap().to_owned());
    for (asked, kind) in others.into_iter().zip(["b", "c"]) {
        assert_eq!(asked.field("x-kind"), Some(kind));
        asked.ok(VARIES, format!("kind {kind}"));
    }
    for (client, kind) in clients.iter_mut().zip(kinds).skip(2) {
        client.rx().expect(200, format!("kind {kind}"));
    }
    first.tx("kind a");
    for client in &mut clients[..2] {
        client.rx().expect(200, "kind a");
    }
    assert_eq!(world.origin.requests(), 3);
}

#[test]
fn each_variant_is_validated_by_its_own() {
    let world = World::start();
    let mut client = world.client();
    for kind in ["a", "b"] {
        client.ask("GET", "/v", &[&format!("X-Kind: {kind}")]);
        world.origin.rx().ok(
            &[
                "Cache-Control: max-age=10",
                "Vary: X-Kind",
                &format!("ETag: \"{kind}\""),
            ],
            kind,
        );
        client.rx().expect(200, kind);
    }
    world.pass_seconds(11);
    client.ask("GET", "/v", &["X-Kind: a"]);
    world.origin.rx().has("if-none-match", "\"a\"").not_modified(&[
        "Cache-Control: max-age=10",
        "Vary: X-Kind",
        "ETag: \"a\"",
    ]);
    client.rx().expect(200, "a");
    client.ask("GET", "/v", &["X-Kind: b"]);
    world.origin.rx().has("if-none-match", "\"b\"").ok(VARIES, "new b");
    client.rx().expect(200, "new b");
    client
        .ask("GET", "/v", &["X-Kind: a"])
        .rx()
        .expect(200, "a")
        .cached("hit");
}

#[test]
fn a_purge_names_all_variants() {
    let world = World::start();
    let mut client = world.client();
    for round in 0..2 {
        for kind in ["a", "b"] {
            client.ask("GET", "/v", &[&format!("X-Kind: {kind}")]);
            world.origin.rx().ok(VARIES, format!("{kind}{round}"));
            client.rx().expect(200, format!("{kind}{round}"));
        }
        world
            .server
            .edge()
            .cache
            .purge_url(&crate::harness::key("/v"), verge::purge::Mode::Hard);
    }
}

#[test]
fn a_response_that_stops_varying_serves_all() {
    let world = World::start();
    let mut client = world.client();
    client.ask("GET", "/v", &["X-Kind: a"]);
    world
        .origin
        .rx()
        .ok(&["Cache-Control: max-age=10", "Vary: X-Kind"], "of a");
    client.rx();
    world.pass_seconds(11);
    client.ask("GET", "/v", &["X-Kind: a"]);
    world.origin.rx().ok(&["Cache-Control: max-age=60"], "of all");
    client.rx().expect(200, "of all");
    client
        .ask("GET", "/v", &["X-Kind: b"])
        .rx()
        .expect(200, "of all")
        .cached("hit");
}

#[test]
fn preferences_in_another_order_are_the_same() {
    let world = World::start();
    let fields = &["Cache-Control: max-age=60", "Vary: Accept-Language, Accept-Encoding"];
    let mut client = world.client();
    client.ask(
        "GET",
        "/v",
        &["Accept-Language: en, de;q=0.50", "Accept-Encoding: gzip, br"],
    );
    world.origin.rx().ok(fields, "one");
    client.rx().expect(200, "one");
    client
        .ask(
            "GET",
            "/v",
            &["Accept-Language: DE;q=0.5 ,EN", "Accept-Encoding: br,gzip;q=1"],
        )
        .rx()
        .expect(200, "one")
        .cached("hit");
}

#[test]
fn of_the_stored_variants_the_one_a_client_likes_best_will_do() {
    let world = World::start();
    let german = &[
        "Cache-Control: max-age=60",
        "Vary: Accept-Language, X-Kind",
        "Content-Language: de",
    ];
    let mut client = world.client();
    client.ask("GET", "/v", &["Accept-Language: en, de"]);
    world.origin.rx().ok(german, "deutsch");
    client.rx().expect(200, "deutsch");
    client
        .ask("GET", "/v", &["Accept-Language: fr;q=0.5, DE"])
        .rx()
        .expect(200, "deutsch")
        .cached("hit")
        .cached("detail=negotiated");
    // Another language is liked as well or better, or something else that selects is not the same.
    for fields in [
        &["Accept-Language: de, fr"][..],
        &["Accept-Language: de;q=0.9, fr"],
        &["Accept-Language: de;q=0"],
        &["Accept-Language: *"],
        &["Accept-Language: de-AT"],
        &["Accept-Language: de, \"x\""],
        &["Accept-Language: de", "X-Kind: other"],
    ] {
        client.ask("GET", "/v", fields);
        world
            .origin
            .rx()
            .ok(&["Cache-Control: no-store", "Vary: Accept-Language, X-Kind"], "other");
        client.rx().expect(200, "other").cached("fwd=vary-miss");
    }
    // What is no longer fresh is nobody's best.
    world.pass_seconds(61);
    client.ask("GET", "/v", &["Accept-Language: fr;q=0.5, de"]);
    world.origin.rx().ok(german, "neu");
    client.rx().expect(200, "neu").cached("fwd=vary-miss");
}

#[test]
fn who_began_on_a_version_ends_on_it_while_others_get_the_next() {
    const LENGTH: usize = 900_000;
    let world = World::start();
    let fields = |tag: &str| {
        [
            "Cache-Control: max-age=60".into(),
            "Vary: X-Kind".into(),
            format!("ETag: \"{tag}\""),
        ]
    };
    let body = |version: u8, kind: u8| -> Vec<u8> { (0..LENGTH).map(|at| (at % 199) as u8 ^ version ^ kind).collect() };
    let begin = |kind: u8, range: &str| {
        let mut client = world.client();
        client.ask("GET", "/v", &[&format!("X-Kind: {kind}"), range]);
        client
    };
    let (whole, middle) = ("X-None: 1", "Range: bytes=400000-800000");
    // Of each kind one client reads all and one a range, while the first version is still on its way.
    let mut readers = Vec::new();
    let mut fills = Vec::new();
    for kind in [1, 2] {
        let first = begin(kind, whole);
        let mut asked = world.origin.rx();
        let fields = fields("a");
        asked.tx_head("200 OK", &fields.each_ref().map(String::as_str), LENGTH);
        asked.tx(&body(0, kind)[..500_000]);
        fills.push((kind, asked));
        readers.push((kind, 0, LENGTH, first));
        readers.push((kind, 400_000, 800_001, begin(kind, middle)));
    }
    for (kind, start, _, reader) in &mut readers {
        reader.rx_head();
        assert_eq!(reader.rx_bytes(50_000), body(0, *kind)[*start..*start + 50_000]);
    }
    world.server.edge().cache.purge_all(verge::purge::Mode::Hard);
    for kind in [2, 1] {
        let mut client = begin(kind, whole);
        let fields = fields("b");
        world
            .origin
            .rx()
            .ok(&fields.each_ref().map(String::as_str), body(7, kind));
        client.rx().expect(200, body(7, kind));
    }
    for (kind, mut asked) in fills {
        asked.tx(&body(0, kind)[500_000..]);
    }
    for (kind, start, end, mut reader) in readers {
        assert_eq!(
            reader.rx_bytes(end - start - 50_000),
            body(0, kind)[start + 50_000..end]
        );
        // What ended late takes nobody's place.
        begin(kind, whole).rx().expect(200, body(7, kind)).cached("hit");
        begin(kind, middle)
            .rx()
            .expect(206, &body(7, kind)[400_000..800_001])
            .cached("hit");
    }
    assert_eq!(world.origin.requests(), 4);
}
