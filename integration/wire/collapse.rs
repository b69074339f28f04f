//! Many clients, one fetch.

use std::thread::scope;

use crate::harness::{Asked, Client, Origin, Trouble, World, bytes, configuration};

const STORABLE: &[&str] = &["Cache-Control: max-age=60", "ETag: \"1\""];
const CLIENTS: usize = 50;

/// So many clients that have asked for `path`, and whose requests the edge has read.
fn waiting(world: &World, path: &str, count: usize) -> Vec<Client> {
    let mut clients: Vec<_> = (0..count).map(|_| world.client()).collect();
    for client in &mut clients {
        client.get(path);
    }
    world.settle();
    clients
}

#[test]
fn one_fetch_for_all() {
    for length in [10, 300_000] {
        let world = World::start();
        let body = bytes(length);
        let mut clients = waiting(&world, "/a", CLIENTS);
        world.origin.rx().ok(STORABLE, &body);
        let answers: Vec<_> = clients
            .iter_mut()
            .map(|client| client.rx().expect(200, &body))
            .collect();
        let collapsed =
            |answer: &&crate::harness::Response| answer.head.field("cache-status").unwrap().contains("; collapsed");
        assert_eq!(answers.iter().filter(collapsed).count(), CLIENTS - 1);
        assert_eq!(world.origin.requests(), 1);
        world.fetch("/a").expect(200, &body).cached("hit");
    }
}

#[test]
fn one_fetch_for_all_threads() {
    let origin = Origin::start();
    let mut config = configuration(&format!("http://{}", origin.address), "", "");
    config.threads = 4;
    let world = World::of(config, origin);
    let body = bytes(1 << 20);
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| world.client()).collect();
    for client in &mut clients {
        client.get("/a");
    }
    scope(|scope| {
        scope.spawn(|| world.origin.rx().ok(STORABLE, &body));
        for client in &mut clients {
            client.rx().expect(200, &body);
        }
    });
    assert_eq!(world.origin.requests(), 1);
}

#[test]
fn followers_read_what_has_come_and_then_what_comes() {
    let world = World::start();
    let mut first = world.client();
    first.get("/a");
    let mut asked = world.origin.rx();
    asked.tx_head("200 OK", STORABLE, 6).tx("abc");
    assert_eq!(first.rx_head().status, 200);
    assert_eq!(first.rx_bytes(3), b"abc");
    let mut second = world.client();
    second.get("/a");
    assert_eq!(second.rx_head().cached("collapsed").status, 200);
    assert_eq!(second.rx_bytes(3), b"abc");
    asked.tx("def");
    assert_eq!(
        (first.rx_bytes(3), second.rx_bytes(3)),
        (b"def".to_vec(), b"def".to_vec())
    );
    assert_eq!(world.origin.requests(), 1);
}

#[test]
fn a_client_that_stops_reading_delays_nobody() {
    let body = bytes(8 << 20);
    for chunked in [false, true] {
        let world = World::start();
        let mut stopped = Client::narrow(world.address);
        stopped.get("/a");
        let head = scope(|scope| {
            let asked = world.origin.rx();
            scope.spawn(|| {
                if chunked {
                    asked.chunked(STORABLE, &body)
                } else {
                    asked.ok(STORABLE, &body)
                }
            });
            // It takes the head and then no more.
            let head = stopped.rx_head().is(200);
            for client in &mut waiting(&world, "/a", 5) {
                client.rx().expect(200, &body);
            }
            head
        });
        world.fetch("/a").expect(200, &body).cached("hit");
        assert_eq!(world.origin.requests(), 1);
        assert!(
            stopped.try_rx_body(&head).unwrap() == body,
            "the slow client has wrong bytes"
        );
    }
}

/// Answers a request for the whole, and those for the rest of it.
fn whole_or_rest(asked: Asked, body: &[u8]) {
    let Some(range) = asked.field("range") else {
        return asked.ok(STORABLE, body);
    };
    assert_eq!(asked.field("if-range"), Some("\"1\""), "only if it is the same");
    let from: usize = range["bytes=".len()..].trim_end_matches('-').parse().unwrap();
    let range = format!("Content-Range: bytes {from}-{}/{}", body.len() - 1, body.len());
    asked.answer("206 Partial Content", &["ETag: \"1\"", &range], &body[from..]);
}

#[test]
fn a_body_that_cannot_be_kept_is_not_held_up_either() {
    // Chunks get half of it, and one body at most half of that.
    let world = World::with("cache.ram = \"8MiB\"", "");
    let body = bytes(16 << 20);
    let mut stopped = Client::narrow(world.address);
    stopped.get("/a");
    let mut reading = waiting(&world, "/a", 1);
    let same = body.clone();
    world.origin.answer_all(move |asked| whole_or_rest(asked, &same));
    let head = stopped.rx_head().is(200);
    reading[0].rx().expect(200, &body);
    // What it missed is asked for again.
    assert!(
        stopped.try_rx_body(&head).unwrap() == body,
        "the slow client has wrong bytes"
    );
    let wholes = world.origin.seen().len();
    assert!(
        (2..=3).contains(&wholes),
        "one fetch for both, and one for whoever fell behind: {wholes}"
    );
}

#[test]
fn the_first_client_leaving_changes_nothing() {
    for leaves_early in [true, false] {
        let world = World::start();
        let mut clients = waiting(&world, "/a", 4);
        let mut asked = world.origin.rx();
        if leaves_early {
            clients.remove(0).reset();
            world.settle();
            asked.tx_head("200 OK", STORABLE, 6).tx("abc");
        } else {
            asked.tx_head("200 OK", STORABLE, 6).tx("abc");
            clients[0].rx_head();
            clients.remove(0).reset();
            world.settle();
        }
        asked.tx("def");
        for client in &mut clients {
            client.rx().expect(200, "abcdef");
        }
        world.fetch("/a").expect(200, "abcdef").cached("hit");
        assert_eq!(world.origin.requests(), 1);
    }
}

#[test]
fn an_origin_that_dies_within_the_body_is_seen_by_all() {
    for (how, framing) in [
        ("close", "Content-Length: 1000"),
        ("reset", "Content-Length: 1000"),
        ("close", "Transfer-Encoding: chunked"),
    ] {
        let world = World::start();
        let mut clients = waiting(&world, "/a", 10);
        clients.push(world.client());
        clients[10].tx("GET /a HTTP/1.0\r\nHost: example.test\r\n\r\n");
        world.settle();
        let mut asked = world.origin.rx();
        asked.tx(format!(
            "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n{framing}\r\n\r\n3\r\nabc\r\n"
        ));
        let heads: Vec<_> = clients.iter_mut().map(|client| client.rx_head().is(200)).collect();
        if how == "close" {
            asked.close()
        } else {
            asked.reset()
        }
        for (client, head) in clients.iter_mut().zip(&heads) {
            let trouble = client.try_rx_body(head).unwrap_err();
            assert!(
                matches!(trouble, Trouble::Cut(_) | Trouble::Reset),
                "{how} {framing}: {trouble:?}"
            );
        }
        let mut next = world.client();
        next.get("/a");
        world.origin.rx().ok(STORABLE, "whole");
        next.rx().expect(200, "whole");
    }
}

#[test]
fn who_waited_for_what_is_not_shared_is_released_at_once() {
    for fields in [
        "Cache-Control: no-store",
        "Cache-Control: private",
        "Cache-Control: max-age=60\r\nVary: *",
    ] {
        let world = World::start();
        let mut clients = waiting(&world, "/a", CLIENTS);
        let mut first = world.origin.rx();
        assert_eq!(world.origin.requests(), 1);
        first.tx_head("200 OK", &[fields], 3);
        // The first has not even been answered whole, and all the others' requests are here, none of them answered.
        let others: Vec<_> = (1..CLIENTS).map(|_| world.origin.rx()).collect();
        for asked in others {
            asked.ok(&[fields], "own");
        }
        first.tx("own");
        drop(first);
        for client in &mut clients {
            client.rx().expect(200, "own");
        }
        // It is remembered: nobody waits for anybody now.
        for client in &mut clients {
            client.get("/a");
        }
        let all: Vec<_> = clients.iter().map(|_| world.origin.rx()).collect();
        all.into_iter().for_each(|asked| asked.ok(&[fields], "own"));
        for client in &mut clients {
            client.rx().expect(200, "own");
        }
        assert_eq!(world.origin.requests(), 2 * CLIENTS);
    }
}

#[test]
fn what_is_not_shared_is_remembered_for_a_time_or_until_it_is() {
    let world = World::with("cache.uncacheable_ttl = \"30s\"", "");
    let mut client = world.client();
    client.get("/a");
    world.origin.rx().ok(&["Cache-Control: no-store"], "own");
    client.rx();
    world.pass_seconds(30);
    let mut clients = waiting(&world, "/a", 5);
    let first = world.origin.rx();
    assert_eq!(world.origin.requests(), 2, "collapsed again");
    first.ok(&["Cache-Control: no-store"], "own");
    for _ in 0..4 {
        world.origin.rx().ok(STORABLE, "shared");
    }
    for client in &mut clients {
        client.rx().is(200);
    }
    client.fetch("/a").expect(200, "shared").cached("hit");
}

#[test]
fn one_clients_credentials_do_not_end_collapsing() {
    let world = World::start();
    for fields in [&["Authorization: Basic YTpi"][..], &["Cache-Control: no-store"]] {
        let mut own = world.client();
        own.ask("GET", "/a", fields);
        world.origin.rx().ok(&["Cache-Control: max-age=60"], "own");
        own.rx().expect(200, "own");
    }
    let mut clients = waiting(&world, "/a", 5);
    world.origin.rx().ok(STORABLE, "shared");
    for client in &mut clients {
        client.rx().expect(200, "shared");
    }
    assert_eq!(world.origin.requests(), 3);
}

#[test]
fn errors_are_shared_by_those_who_waited() {
    for (sent, status) in [
        ("", 502),
        ("nonsense\r\n\r\n", 502),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 502),
    ] {
        let world = World::start();
        let mut clients = waiting(&world, "/a", 20);
        world.origin.rx().tx(sent).end();
        if sent.is_empty() {
            world.origin.rx().close();
        }
        for client in &mut clients {
            let answer = client.rx().is(status);
            assert!(answer.head.field("proxy-status").unwrap().starts_with("verge; error="));
        }
        let asked = world.origin.requests();
        world.fetch("/a").is(status);
        assert_eq!(world.origin.requests(), asked, "remembered for a second");
        world.pass_seconds(1);
        let mut client = world.client();
        client.get("/a");
        world.origin.rx().ok(STORABLE, "well again");
        client.rx().expect(200, "well again");
    }
}

#[test]
fn a_server_error_is_passed_to_each_that_asked() {
    let world = World::start();
    let mut clients = waiting(&world, "/a", 5);
    world.origin.rx().answer("503 Trouble", &["Retry-After: 7"], "sorry");
    for _ in 1..5 {
        world.origin.rx().answer("503 Trouble", &["Retry-After: 7"], "sorry");
    }
    for client in &mut clients {
        client.rx().expect(503, "sorry").has("retry-after", "7");
    }
}

#[test]
fn heads_conditions_and_ranges_join_too() {
    let world = World::start();
    let mut plain = waiting(&world, "/a", 1);
    let mut clients = [world.client(), world.client(), world.client()];
    clients[0].ask("HEAD", "/a", &[]);
    clients[1].ask("GET", "/a", &["If-None-Match: \"1\""]);
    clients[2].ask("GET", "/a", &["Range: bytes=-2"]);
    world.settle();
    world.origin.rx().ok(STORABLE, "abcdef");
    plain[0].rx().expect(200, "abcdef");
    clients[0]
        .rx_head()
        .is(200)
        .has("content-length", "6")
        .cached("collapsed");
    clients[1].rx().expect(304, "").cached("collapsed");
    clients[2].rx().expect(206, "ef").cached("collapsed");
    assert_eq!(world.origin.requests(), 1);
}

#[test]
fn with_everybody_gone_a_fetch_may_stop() {
    let world = World::with("cache.finish_bytes = \"1KiB\"", "");
    let mut client = world.client();
    client.get("/a");
    let mut asked = world.origin.rx();
    asked.tx_head("200 OK", STORABLE, 100 << 20).tx(bytes(1000));
    client.rx_head();
    client.reset();
    asked.expect_close();
    // And what comes next begins anew.
    let mut client = world.client();
    client.get("/a");
    world.origin.rx().ok(STORABLE, "whole");
    client.rx().expect(200, "whole");
}

#[test]
fn too_many_fetches_are_refused_not_queued() {
    let world = World::with("origins.app.max_fetches = 2", "");
    let mut clients = [world.client(), world.client()];
    for (client, path) in clients.iter_mut().zip(["/a", "/b"]) {
        client.get(path);
    }
    let asked = [world.origin.rx(), world.origin.rx()];
    world.fetch("/c").is(503).has("retry-after", "1");
    // Who joins needs no fetch.
    let mut joining = waiting(&world, "/a", 1);
    asked.into_iter().for_each(|asked| asked.ok(STORABLE, "x"));
    for client in clients.iter_mut().chain(&mut joining) {
        client.rx().expect(200, "x");
    }
}
