//! What reaches the origin.

use crate::harness::{Head, World};

/// What the origin gets of a request with this method, target and fields.
fn forwarded(world: &World, method: &str, target: &str, fields: &[&str]) -> Head {
    let mut client = world.client();
    client.ask(method, target, fields);
    let asked = world.origin.rx();
    let head = asked.head.clone();
    asked.ok(&["Cache-Control: no-store"], "");
    client.rx().is(200);
    head
}

#[test]
fn connection_fields_stay_behind() {
    let world = World::start();
    for method in ["GET", "DELETE"] {
        let asked = forwarded(
            &world,
            method,
            "/a",
            &[
                "Connection: keep-alive, X-Hop, x-other-hop",
                "X-Hop: 1",
                "X-Other-Hop: 2",
                "X-End: 3",
                "Keep-Alive: timeout=5",
                "Proxy-Connection: keep-alive",
                "Proxy-Authorization: Basic YTpi",
                "TE: trailers",
                "Trailer: X-End",
                "Upgrade: websocket",
            ],
        );
        for name in [
            "x-hop",
            "x-other-hop",
            "keep-alive",
            "proxy-connection",
            "upgrade",
            "transfer-encoding",
        ] {
            assert_eq!(asked.field(name), None, "{name}");
        }
        assert_eq!(asked.field("x-end"), Some("3"));
        // Its own, where trailers can reach the client: in a pass.
        let passed = method == "DELETE";
        assert_eq!(asked.field("te"), passed.then_some("trailers"), "{method}");
        assert_eq!(asked.field("connection"), passed.then_some("TE"), "{method}");
    }
}

#[test]
fn what_an_edge_decides_by_is_no_connection_option() {
    let world = World::start();
    for name in [
        "Host",
        "Cookie",
        "Cache-Control",
        "Authorization",
        "Content-Length",
        "Range",
        "If-None-Match",
        "Via",
    ] {
        world
            .client()
            .ask("GET", "/a", &[&format!("Connection: {name}")])
            .rx()
            .is(400);
    }
    // Others may be named, but what the edge says itself stays.
    let fields = [
        "Connection: X-Forwarded-For, Forwarded, Referer",
        "Referer: http://x.test/",
    ];
    let asked = forwarded(&world, "GET", "/a", &fields);
    assert_eq!(asked.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(asked.field("via"), Some("1.1 verge"));
    assert!(asked.field("forwarded").is_some());
    assert_eq!(asked.field("referer"), Some("http://x.test/"));
    assert_eq!(world.origin.requests(), 1);
}

#[test]
fn strangers_claims_are_replaced() {
    let world = World::start();
    let asked = forwarded(
        &world,
        "GET",
        "/a",
        &[
            "X-Forwarded-For: 10.0.0.1",
            "X-Forwarded-Host: evil.test",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Port: 1",
            "X-Forwarded-Prefix: /evil",
            "Forwarded: for=10.0.0.1;host=evil.test",
            "X_Forwarded_For: 10.0.0.1",
            "X_Secret: 1",
        ],
    );
    let expected = [
        ("x-forwarded-for", Some("127.0.0.1")),
        ("x-forwarded-host", Some("example.test")),
        ("x-forwarded-proto", Some("http")),
        ("x-forwarded-port", None),
        ("x-forwarded-prefix", None),
        ("forwarded", Some("for=127.0.0.1;host=\"example.test\";proto=http")),
        ("x_forwarded_for", None),
        ("x_secret", None),
    ];
    for (name, value) in expected {
        assert_eq!(asked.field(name), value, "{name}");
    }
}

#[test]
fn via_and_host() {
    let world = World::start();
    let asked = forwarded(&world, "GET", "/a", &["Via: 1.0 fred"]);
    assert_eq!(asked.all("via").join(", "), "1.0 fred, 1.1 verge");
    assert_eq!(asked.field("host"), Some("example.test"));
    let mut client = world.client();
    client.tx("GET http://Example.TEST:80/b HTTP/1.0\r\n\r\n");
    let asked = world
        .origin
        .rx_for("GET /b")
        .has("host", "example.test")
        .has("via", "1.0 verge");
    asked.ok(&[], "");
    client.rx().is(200);
}

#[test]
fn a_configured_host_replaces_the_clients() {
    let world = World::with("origins.app.host = \"internal.test\"", "");
    let asked = forwarded(&world, "GET", "/a", &[]);
    assert_eq!(asked.field("host"), Some("internal.test"));
    assert_eq!(asked.field("x-forwarded-host"), Some("example.test"));
}

#[test]
fn other_fields_pass_unchanged_and_in_order() {
    let world = World::start();
    let fields = [
        "X-Many: 1",
        "User-Agent: test/1",
        "X-Many: 2",
        "Cookie: a=b",
        "X-Odd:  \t spaced out \t",
        "X-Empty:",
    ];
    let asked = forwarded(&world, "GET", "/a", &fields);
    assert_eq!(asked.all("x-many"), ["1", "2"]);
    assert_eq!(asked.field("x-odd"), Some("spaced out"));
    assert_eq!(asked.field("x-empty"), Some(""));
    assert_eq!(asked.field("cookie"), Some("a=b"));
    assert_eq!(asked.field("user-agent"), Some("test/1"));
}

#[test]
fn the_normalised_path_is_keyed_and_forwarded() {
    let world = World::start();
    for (sent, normal) in [
        ("/a/../b", "/b"),
        ("/a/./b", "/a/b"),
        ("/../../c", "/c"),
        ("/a/%2e%2E/d", "/d"),
        ("/%7euser/%41", "/~user/A"),
        ("/%e4%c3", "/%E4%C3"),
        ("/x//y", "/x//y"),
        ("/x%2fy", "/x%2Fy"),
        ("//z", "//z"),
        ("/q?a=/../%7e&%2f", "/q?a=/../%7e&%2f"),
        ("/q2?", "/q2?"),
    ] {
        let mut client = world.client();
        client.get(sent);
        world
            .origin
            .rx_for(&format!("GET {normal}"))
            .ok(&["Cache-Control: max-age=60"], normal);
        client.rx().expect(200, normal);
        client.fetch(normal).expect(200, normal).cached("hit");
        client.fetch(sent).expect(200, normal).cached("hit");
    }
    // What is passed goes the same way.
    assert_eq!(
        forwarded(&world, "DELETE", "/a/../%7e", &[]).first,
        "DELETE /~ HTTP/1.1"
    );
}

#[test]
fn routes_match_the_normalised_path() {
    let world = World::with("", "[[sites.routes]]\npath = \"/private/*\"\ncache = false");
    for path in ["/private/a", "/x/../private/a", "/%70rivate/a", "/private/x/../a"] {
        let mut client = world.client();
        client.get(path);
        world
            .origin
            .rx_for("GET /private/a")
            .ok(&["Cache-Control: max-age=60"], "own");
        client.rx().expect(200, "own").cached("fwd=bypass");
    }
}

#[test]
fn a_fetch_for_all_asks_for_the_whole() {
    let world = World::start();
    let fields = [
        "Range: bytes=0-1",
        "If-Range: \"1\"",
        "If-None-Match: \"1\"",
        "If-Modified-Since: Mon, 13 Nov 2023 00:00:00 GMT",
    ];
    let mut client = world.client();
    client.ask("HEAD", "/a", &fields);
    let asked = world.origin.rx_for("GET /a").has("range", None).has("if-range", None);
    asked
        .has("if-none-match", None)
        .has("if-modified-since", None)
        .ok(&["Cache-Control: max-age=60"], "abc");
    client.rx_head().is(200);
}

#[test]
fn a_request_of_one_client_alone_goes_as_it_is() {
    let world = World::start();
    let mut client = world.client();
    client.ask(
        "GET",
        "/a",
        &["Authorization: Basic YTpi", "Range: bytes=0-1", "If-Range: \"1\""],
    );
    let asked = world.origin.rx().has("range", "bytes=0-1").has("if-range", "\"1\"");
    asked.answer("206 Partial Content", &["Content-Range: bytes 0-1/3"], "ab");
    client.rx().expect(206, "ab").has("content-range", "bytes 0-1/3");
}

#[test]
fn each_request_has_an_id_of_the_edges_own() {
    let world = World::start();
    let mut ids: Vec<String> = ["GET", "DELETE", "GET"]
        .map(|method| {
            let asked = forwarded(&world, method, "/a", &["X-Request-Id: mine", "x-request-id: mine too"]);
            asked.field("x-request-id").unwrap().to_owned()
        })
        .into();
    for id in &ids {
        let is_hex = id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        assert!(id.len() == 32 && is_hex, "{id}");
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[test]
fn a_trace_goes_on_if_it_is_valid() {
    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let world = World::start();
    let parent = format!("traceparent: {PARENT}");
    let upper = format!("TraceParent: {}", PARENT.to_uppercase());
    for method in ["GET", "DELETE"] {
        for (fields, expected) in [
            (&[&*parent, "tracestate: a=1", "TraceState: b=2"][..], (Some(PARENT), 2)),
            (&[&parent, "tracestate: a=1,b"], (Some(PARENT), 0)),
            (&[&parent], (Some(PARENT), 0)),
            (&[&parent, &parent, "tracestate: a=1"], (None, 0)),
            (&[&upper, "tracestate: a=1"], (None, 0)),
            (&["tracestate: a=1"], (None, 0)),
        ] {
            let asked = forwarded(&world, method, "/a", fields);
            let passed = (asked.field("traceparent"), asked.all("tracestate").len());
            assert_eq!(passed, expected, "{method} {fields:?}");
        }
    }
}

#[test]
fn a_request_that_comes_back_is_refused() {
    let world = World::start();
    let mut client = world.client();
    client.ask("GET", "/a", &["CDN-Loop: other.example; x=y"]);
    let asked = world.origin.rx();
    let mut members = asked.head.all("cdn-loop").into_iter();
    assert_eq!(members.next(), Some("other.example; x=y"));
    let id = members.next().unwrap().to_owned();
    assert!(id.starts_with("verge-"), "{id}");
    asked.ok(&["Cache-Control: max-age=60"], "one");
    client.rx().expect(200, "one");
    for (method, path) in [("GET", "/b"), ("POST", "/a"), ("DELETE", "/a")] {
        let answer = client.ask(method, path, &[&format!("CDN-Loop: a, {id}")]).rx().is(502);
        assert!(
            answer
                .head
                .field("proxy-status")
                .unwrap()
                .contains("proxy_loop_detected")
        );
    }
    // What is stored goes nowhere, so it does not go round.
    client
        .ask("GET", "/a", &[&format!("CDN-Loop: {id}")])
        .rx()
        .expect(200, "one")
        .cached("hit");
    assert_eq!(world.origin.requests(), 1);
}

#[test]
fn options_are_forwarded_as_often_as_they_say() {
    let world = World::start();
    let mut client = world.client();
    client.ask("OPTIONS", "/a", &["Max-Forwards: 0"]).rx().is(204);
    for (given, forwarded) in [("1", "0"), ("10", "9"), ("x", "x")] {
        client.ask("OPTIONS", "/a", &[&format!("Max-Forwards: {given}")]);
        world.origin.rx().has("max-forwards", forwarded).ok(&[], "");
        client.rx().is(200);
    }
    client.ask("GET", "/a", &["Max-Forwards: 0"]);
    world.origin.rx().has("max-forwards", "0").ok(&[], "");
    client.rx().is(200);
}
