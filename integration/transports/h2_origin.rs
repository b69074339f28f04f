//! HTTP/2 on both sides: what gRPC needs.

use h2::Reason;

use crate::edge::Rig;
use crate::harness::Origin;
use crate::origin2::{Origin2, map};

fn before(origin: &Origin2) -> Rig {
    let server = format!("http://{}", origin.address);
    Rig::of(Origin::start(), &server, "origins.app.protocol = \"h2\"", "")
}

const GRPC: [&str; 2] = ["content-type: application/grpc", "te: trailers"];

#[test]
fn both_directions_at_once_and_then_trailers() {
    let origin = Origin2::start();
    let rig = before(&origin);
    for mut client in [rig.h2(), rig.h2s()] {
        let mut stream = client.begin("POST", "/service/call", &GRPC);
        let mut asked = origin.rx_for("POST /service/call");
        assert_eq!(asked.head.headers["te"], "trailers");
        let mut reply = asked.begin(&[("content-type", "application/grpc")]);
        stream.rx_head().is(200).has("content-type", "application/grpc");
        for round in 0..5 {
            // Nobody sends before the other's word has come.
            let word = format!("{round:010}");
            stream.tx(word.clone(), false);
            assert_eq!(asked.rx_bytes(10), word.as_bytes());
            reply.send_data(word.clone().into(), false).unwrap();
            assert_eq!(stream.rx_bytes(10), word.as_bytes());
            stream.take(10);
        }
        stream.tx("", true);
        asked.expect_end();
        reply
            .send_trailers(map(&[("grpc-status", "0"), ("grpc-message", "")]))
            .unwrap();
        assert!(stream.try_rx_piece().is_none());
        let trailers = [("grpc-status", "0"), ("grpc-message", "")];
        let trailers = trailers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(stream.trailers().unwrap(), trailers);
    }
}

#[test]
fn responses_of_trailers_alone() {
    let origin = Origin2::start();
    let rig = before(&origin);
    let mut client = rig.h2();
    let mut stream = client.begin("POST", "/service/call", &GRPC);
    stream.tx("message", true);
    let mut asked = origin.rx_for("POST /service/call");
    asked.rx_bytes(7);
    asked.end(&[("content-type", "application/grpc"), ("grpc-status", "12")]);
    stream.rx_head().is(200).has("grpc-status", "12");
    assert!(stream.try_rx_piece().is_none());
    assert_eq!(stream.trailers(), None);
}

#[test]
fn a_call_taken_back_is_taken_back_from_the_origin() {
    let origin = Origin2::start();
    let rig = before(&origin);
    let mut client = rig.h2();
    let mut stream = client.begin("POST", "/service/call", &GRPC);
    stream.tx("message", false);
    let mut asked = origin.rx_for("POST /service/call");
    asked.rx_bytes(7);
    stream.cancel();
    assert_eq!(asked.reset(), Reason::CANCEL);
}

#[test]
fn interim_responses_and_trailers_of_a_get() {
    let origin = Origin2::start();
    let rig = before(&origin);
    let mut client = rig.h2s();
    let mut stream = client.ask("GET", "/a", &["te: trailers"]);
    let mut asked = origin.rx_for("GET /a");
    let mut reply = asked.begin(&[("cache-control", "no-store")]);
    reply.send_data("abc".into(), false).unwrap();
    reply.send_trailers(map(&[("x-sum", "1")])).unwrap();
    // Such a GET is fetched for all who may ask, and what is fetched for all has no trailers.
    stream.try_rx().unwrap().expect(200, "abc");
    assert_eq!(stream.trailers(), None);
}
