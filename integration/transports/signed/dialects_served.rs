//! Every dialect, wherever it puts its tokens, over every transport.

use verge::access::sign::{Carrier, Order};
use verge::access::{Key, Policy};

use super::dialects::{Line, dialects, keys};
use super::rig::{CACHED, NOW, Over, carried, denied, order, policy};
use crate::edge::Rig;
use crate::harness::Response;

/// A transport, and where a token is put.
type Way = (Over, Carrier);

#[test]
fn what_one_holder_brings_another_finds() {
    let keys = keys();
    for line in dialects() {
        let rig = rig_of(&line, &keys);
        let policy = policy(&rig);
        let key = policy.keys.named(line.key).unwrap();
        for way in ways(&line) {
            one_fetch_for_all_holders(&rig, &policy, key, way);
        }
    }
}

/// An edge that asks for tokens of this dialect, whose origin sees to it that it sees none.
fn rig_of(line: &Line, keys: &str) -> Rig {
    let site = format!("signed = {{ {}, expired_status = 410 }}", line.signed);
    let rig = Rig::with(keys, &site);
    rig.world.origin.answer_all(|asked| {
        let kept = ["cookie", "t", "authorization"].map(|name| asked.field(name).map(str::to_owned));
        match (asked.line().contains('?'), kept) {
            (false, [None, None, None]) => asked.ok(CACHED, "protected"),
            (_, kept) => asked.answer("500 A token was sent", CACHED, format!("{kept:?}")),
        }
    });
    rig
}

fn ways(line: &Line) -> Vec<Way> {
    let carriers = line.carriers.iter();
    carriers
        .flat_map(|carrier| Over::ALL.map(|over| (over, *carrier)))
        .collect()
}

fn one_fetch_for_all_holders(rig: &Rig, policy: &Policy, key: &Key, (over, carrier): Way) {
    let path = format!("/{over:?}-{carrier:?}/a%20b.jpg");
    let ask = |order: &Order<'_>| {
        let signed = policy.dialect.sign(&Order { carrier, ..*order });
        let (target, fields) = carried(&signed.unwrap(), carrier, &path);
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        over.ask(rig, "GET", &target, &fields)
    };
    let before = rig.world.origin.requests();
    let first = order(over, &path, key);
    let second = Order {
        expires: NOW + 700,
        ..first
    };
    let old = Order {
        expires: NOW - 10,
        now: NOW - 100,
        ..first
    };
    let case = |response: Response| {
        assert_eq!(
            response.status,
            200,
            "{} {over:?} {carrier:?}: {response:?}",
            policy.name.word()
        );
        response
    };
    case(ask(&first)).expect(200, "protected").cached("fwd=uri-miss stored");
    case(ask(&second)).expect(200, "protected").cached("hit");
    denied(ask(&old), 410, "token-expired");
    denied(over.get(rig, &path), 403, "token-missing");
    assert_eq!(rig.world.origin.requests(), before + 1);
}
