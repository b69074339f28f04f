//! The access log over every transport: a line an answer.

use crate::edge::Rig;
use crate::harness::{Logged, bytes};

const CACHED: &[&str] = &["Cache-Control: max-age=60", "ETag: \"1\""];

/// Larger than what is given to a connection at once.
const LARGE: usize = 700_000;

/// What is asked, over a connection of its own: method, host, path, fields, and the status that is expected.
const ASKED: [(&str, &str, &[&str], u16); 7] = [
    ("GET", "/a", &[], 200),
    ("GET", "/a", &[], 200),
    ("HEAD", "/a", &[], 200),
    ("GET", "/a", &["if-none-match: \"1\""], 304),
    ("GET", "/a", &["range: bytes=2-4"], 206),
    ("GET", "/a", &["expect: nothing"], 417),
    ("DELETE", "/b", &[], 200),
];

fn expected(protocol: &str, scheme: &str) -> Vec<String> {
    [
        "GET /a 200 700000 miss -",
        "GET /a 200 700000 hit -",
        "HEAD /a 200 0 hit -",
        "GET /a 304 0 hit -",
        "GET /a 206 3 hit -",
        "GET /a 417 N edge expectation",
        "DELETE /b 200 4 pass -",
    ]
    .map(|words| format!("{words} {protocol} {scheme}"))
    .into()
}

/// An edge that logs, whose origin has an answer to everything.
fn rig() -> (Rig, Logged) {
    let log = Logged::new();
    let rig = Rig::with(&log.configuration(), "");
    rig.world.origin.answer_all(|asked| match asked.line().as_str() {
        "DELETE /b" => asked.ok(&[], "done"),
        _ => asked.ok(CACHED, bytes(LARGE)),
    });
    (rig, log)
}

/// All lines, but for how long the edge's own text is.
fn end(rig: Rig, log: &Logged) -> Vec<String> {
    drop(rig.world.server);
    let lines = log.words("method path status bytes cache cache_detail protocol scheme");
    let own = |line: String| {
        let words: Vec<&str> = line.split(' ').collect();
        match words[2] {
            "417" => line.replacen(&format!(" {} edge", words[3]), " N edge", 1),
            _ => line,
        }
    };
    lines.into_iter().map(own).collect()
}

#[test]
fn http_1_1() {
    let (rig, log) = rig();
    for (method, path, fields, status) in ASKED {
        let mut client = rig.h1();
        client.ask(method, path, fields);
        match method {
            "HEAD" => client.rx_head().is(status),
            _ => client.rx().is(status),
        };
        client.end_sending().drain();
    }
    assert_eq!(end(rig, &log), expected("HTTP/1.1", "http"));
}

#[test]
fn http_1_1_over_tls() {
    let (rig, log) = rig();
    for (method, path, fields, status) in ASKED {
        let mut client = rig.h1s();
        client.ask(method, path, fields);
        match method {
            "HEAD" => client.rx_head().is(status),
            _ => client.rx().is(status),
        };
    }
    assert_eq!(end(rig, &log), expected("HTTP/1.1", "https"));
}

#[test]
fn http_2() {
    let (rig, log) = rig();
    let mut client = rig.h2();
    for (method, path, fields, status) in ASKED {
        client.ask(method, path, fields).rx().is(status);
    }
    assert_eq!(end(rig, &log), expected("HTTP/2.0", "http"));
}

#[test]
fn http_2_over_tls() {
    let (rig, log) = rig();
    let mut client = rig.h2s();
    for (method, path, fields, status) in ASKED {
        client.ask(method, path, fields).rx().is(status);
    }
    assert_eq!(end(rig, &log), expected("HTTP/2.0", "https"));
}

#[test]
fn streams_that_are_taken_back_or_refused() {
    let log = Logged::new();
    let rig = Rig::with(&log.configuration(), "cache = false");
    let mut client = rig.h2();
    let waiting = client.get("/waiting");
    let asked = rig.world.origin.rx();
    waiting.cancel();
    asked.expect_close();
    let mut reading = client.get("/reading");
    let mut asked = rig.world.origin.rx();
    asked.tx_head("200 OK", &[], 100).tx("abc");
    reading.rx_head().is(200);
    reading.rx_bytes(3);
    reading.cancel();
    asked.expect_close();
    client.ask("GET", "/padded?b", &["host: other.test"]).rx().is(400);
    drop(rig.world.server);
    let lines = log.words("path query status");
    assert_eq!(lines[..2], ["/waiting - 499", "/reading - 200"]);
    assert_eq!(lines.last().unwrap(), "/padded b 400");
}
