//! Clients that take a request back, or leave.

use crate::edge::Rig;
use crate::harness::bytes;

/// A site that stores nothing, on whose connections one request has room.
fn one_at_a_time() -> Rig {
    Rig::with("client.max_streams = 1", "cache = false")
}

fn expect_room(rig: &Rig, client: &mut crate::multiplexed::H2) {
    let next = client.get("/next");
    rig.world.origin.rx_for("GET /next").ok(&[], "next");
    next.rx().expect(200, "next");
}

#[test]
fn before_the_answer() {
    let rig = one_at_a_time();
    let mut client = rig.h2();
    let stream = client.get("/a");
    let asked = rig.world.origin.rx_for("GET /a");
    stream.cancel();
    asked.expect_close();
    expect_room(&rig, &mut client);
}

#[test]
fn while_the_body_is_sent() {
    let rig = one_at_a_time();
    let mut client = rig.h2();
    let mut stream = client.get("/a");
    let mut asked = rig.world.origin.rx_for("GET /a");
    asked.tx_head("200 OK", &[], 100).tx("abc");
    stream.rx_head().is(200);
    assert_eq!(stream.rx_bytes(3), b"abc");
    stream.cancel();
    asked.expect_close();
    expect_room(&rig, &mut client);
}

#[test]
fn while_the_client_takes_nothing() {
    let rig = Rig::with("client.max_streams = 1", "cache = false");
    let mut client = rig.narrow(3);
    let mut stream = client.get("/a");
    let mut asked = rig.world.origin.rx_for("GET /a");
    asked.tx_head("200 OK", &[], 100).tx("abcdef");
    stream.rx_head().is(200);
    assert_eq!(stream.rx_bytes(3), b"abc");
    stream.cancel();
    asked.expect_close();
}

#[test]
fn within_the_requests_body() {
    let rig = one_at_a_time();
    let mut client = rig.h2();
    let mut stream = client.begin("POST", "/a", &[]);
    stream.tx("abc", false);
    let mut asked = rig.world.origin.rx_for("POST /a");
    assert_eq!(asked.rx_bytes(8), b"3\r\nabc\r\n");
    stream.cancel();
    asked.expect_close();
    expect_room(&rig, &mut client);
}

#[test]
fn a_client_that_leaves_ends_all_its_requests() {
    for secure in [false, true] {
        let rig = Rig::with("", "cache = false");
        let mut client = if secure { rig.h2s() } else { rig.h2() };
        let _waiting = client.get("/waiting");
        let waiting = rig.world.origin.rx_for("GET /waiting");
        let mut reading = client.get("/reading");
        let mut read = rig.world.origin.rx_for("GET /reading");
        read.tx_head("200 OK", &[], 100).tx("abc");
        reading.rx_head().is(200);
        client.leave();
        waiting.expect_close();
        read.expect_close();
    }
}

#[test]
fn a_fetch_that_others_share_goes_on() {
    let rig = Rig::start();
    let body = bytes(100_000);
    let (mut one, mut other) = (rig.h2(), rig.h2());
    let mut first = one.get("/a");
    let mut asked = rig.world.origin.rx_for("GET /a");
    asked.tx_head("200 OK", &["Cache-Control: max-age=60"], body.len());
    asked.tx(&body[..50_000]);
    first.rx_head().is(200);
    let mut second = other.get("/a");
    second.rx_head().is(200).cached("collapsed");
    first.cancel();
    asked.tx(&body[50_000..]);
    assert!(second.rx_bytes(body.len()) == body);
    rig.h1().fetch("/a").expect(200, &body).cached("hit");
}
