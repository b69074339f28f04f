//! Bodies and the windows that they pass through.

use h2::Reason;

use crate::edge::Rig;
use crate::harness::bytes;

#[test]
fn a_request_body_larger_than_all_windows() {
    let rig = Rig::start();
    let body = bytes(3 << 20);
    for (mut client, length) in [(rig.h2(), false), (rig.h2s(), true)] {
        let field = format!("content-length: {}", body.len());
        let fields = if length { vec![field.as_str()] } else { vec![] };
        let mut stream = client.begin("PUT", "/a", &fields);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut asked = rig.world.origin.rx_for("PUT /a");
                assert!(asked.body().unwrap() == body);
                asked.ok(&[], "stored");
            });
            stream.tx(body.clone(), true);
            stream.rx().expect(200, "stored");
        });
    }
}

#[test]
fn a_body_past_its_limit_gets_413() {
    let rig = Rig::with("", "max_body = \"10KB\"");
    let mut client = rig.h2();
    let stream = client.begin("POST", "/a", &["content-length: 10001"]);
    stream.rx().is(413);
    let mut stream = client.begin("POST", "/a", &[]);
    stream.tx(bytes(10_000), false);
    let mut asked = rig.world.origin.rx_for("POST /a");
    asked.rx_bytes(10_000);
    stream.tx("x", false);
    stream.rx().is(413);
    asked.expect_close();
    let next = client.get("/next");
    rig.world.origin.rx_for("GET /next").ok(&[], "next");
    next.rx().expect(200, "next");
}

#[test]
fn a_body_that_stops_gets_408() {
    let rig = Rig::with("client.io_timeout = \"100ms\"", "");
    let mut client = rig.h2();
    let mut stream = client.begin("POST", "/a", &[]);
    stream.tx("abc", false);
    let asked = rig.world.origin.rx_for("POST /a");
    stream.rx().is(408);
    asked.expect_close();
}

#[test]
fn a_client_that_expects_is_told_to_continue() {
    let rig = Rig::start();
    let mut client = rig.h2();
    let mut stream = client.begin("POST", "/a", &["expect: 100-continue", "content-length: 4"]);
    assert_eq!(stream.rx_interim().unwrap().0, 100);
    stream.tx("body", true);
    let mut asked = rig.world.origin.rx_for("POST /a").has("expect", None);
    assert_eq!(asked.body().unwrap(), b"body");
    asked.ok(&[], "taken");
    stream.rx().expect(200, "taken");
}

#[test]
fn a_window_that_opens_bit_by_bit() {
    let rig = Rig::start();
    let body = bytes(1000);
    rig.world.store("/a", &["Cache-Control: max-age=60"], &body);
    let mut client = rig.narrow(10);
    let mut stream = client.get("/a");
    stream.rx_head().is(200);
    for part in body.chunks(10) {
        assert_eq!(stream.rx_bytes(10), part);
        stream.take(10);
    }
    assert!(stream.try_rx_piece().is_none());
}

#[test]
fn who_takes_nothing_holds_nobody_back() {
    let rig = Rig::start();
    let body = bytes(1 << 20);
    rig.world.store("/hit", &["Cache-Control: max-age=60"], &body);
    let mut client = rig.narrow(1000);
    let mut of_hit = client.get("/hit");
    of_hit.rx_head().is(200);
    let mut of_pass = client.begin("POST", "/pass", &[]);
    of_pass.tx("", true);
    let mut asked = rig.world.origin.rx_for("POST /pass");
    asked.tx_head("200 OK", &[], body.len());
    of_pass.rx_head().is(200);
    std::thread::scope(|scope| {
        scope.spawn(|| asked.tx(&body));
        // Those stand still, and this goes on.
        client.fetch("/hit").expect(200, &body);
        for mut stream in [of_hit, of_pass] {
            let mut read = Vec::new();
            while let Some(piece) = stream.try_rx_piece() {
                let piece = piece.unwrap();
                read.extend_from_slice(&piece);
                stream.take(piece.len());
            }
            assert!(read == body);
        }
    });
}

#[test]
fn who_takes_nothing_for_too_long_loses_the_stream_alone() {
    let rig = Rig::with("client.io_timeout = \"200ms\"", "");
    rig.world.store("/a", &["Cache-Control: max-age=60"], bytes(5000));
    let mut client = rig.narrow(1000);
    let mut stalled = client.get("/a");
    stalled.rx_head().is(200);
    assert_eq!(stalled.reset(), Reason::CANCEL);
    client.fetch("/a").expect(200, bytes(5000));
}
