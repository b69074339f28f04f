//! What is signed here is granted here, and nothing beside it.

use verge::access::sign::{Carrier, Order, Signed};
use verge::access::{Key, Policy};

use super::dialects::{Line, dialects, keys};
use super::vectors::{NOW, outcome, policy};

/// The request that has what was signed.
fn asked(signed: &Signed, carrier: Carrier, config: &str, url: &str) -> super::vectors::Asked {
    let mut asked = super::vectors::Asked::of(config, if carrier == Carrier::Url { &signed.text } else { url });
    match carrier {
        Carrier::Url => {}
        Carrier::Cookie => asked.cookies.push(signed.text.replace('\n', "; ")),
        Carrier::Field => {
            let (name, value) = signed.text.split_once(": ").unwrap();
            asked.fields.push((name.to_owned(), value.to_owned()));
        }
    }
    asked
}

/// An order with as much as the bits of `round` say, and the dialect can.
fn order<'a>(line: &Line, round: u32, carrier: Carrier, key: &'a Key) -> Order<'a> {
    let has = |bit: u32, what: &str| round >> bit & 1 == 1 && line.can(what);
    Order {
        // bunny.net's parameters are sorted.
        query: (round >> 4 & 1 == 1).then_some(if line.signed.contains("bunny") {
            "a=1&b=2"
        } else {
            "b=2&a=1"
        }),
        not_before: has(0, "from").then_some(NOW - 5),
        client: has(1, "client").then(|| "192.0.2.7/32".parse().unwrap()),
        prefix: has(2, "prefix").then_some("/a/"),
        parameters: has(3, "parameters").then_some("a,b"),
        carrier,
        ..plain(key)
    }
}

fn plain(key: &Key) -> Order<'_> {
    Order {
        scheme: "https",
        host: "cdn.example.com",
        path: "/a/b%20c.jpg",
        query: None,
        expires: NOW + 600,
        not_before: None,
        client: None,
        prefix: None,
        parameters: None,
        now: NOW,
        carrier: Carrier::Url,
        key,
    }
}

#[test]
fn what_is_signed_is_granted() {
    let keys = keys();
    for line in dialects() {
        let policy = policy(&keys, &line.signed);
        let key = policy.keys.named(line.key).unwrap();
        for (round, carrier) in (0..32).flat_map(|round| line.carriers.iter().map(move |carrier| (round, *carrier))) {
            granted_and_nothing_beside(&policy, &line, &order(&line, round, carrier, key));
        }
    }
}

fn granted_and_nothing_beside(policy: &Policy, line: &Line, order: &Order<'_>) {
    let query = order.query.map_or_else(String::new, |query| format!("?{query}"));
    let url = format!("https://cdn.example.com/a/b%20c.jpg{query}");
    let made = policy.dialect.sign(order);
    let made = made.unwrap_or_else(|what| panic!("{}: {what}", line.signed));
    let good = asked(&made, order.carrier, &line.signed, &url);
    let left = outcome(policy, &good);
    assert!(left.is_ok(), "{}: {made:?}: {left:?}", line.signed);
    let mut late = good.clone();
    late.now = NOW + 600;
    let mut elsewhere = good.clone();
    elsewhere.url = elsewhere.url.replace("/a/b", "/b/b");
    let mut another = good.clone();
    another.client = "192.0.2.8".parse().unwrap();
    assert!(outcome(policy, &late).is_err(), "{}: {made:?}: late", line.signed);
    assert!(
        outcome(policy, &elsewhere).is_err(),
        "{}: {made:?}: elsewhere",
        line.signed
    );
    let free = order.client.is_none();
    assert_eq!(
        outcome(policy, &another).is_ok(),
        free,
        "{}: {made:?}: another client",
        line.signed
    );
}

/// What a dialect cannot say is not left out silently.
#[test]
fn what_cannot_be_said_is_refused() {
    let keys = keys();
    for line in dialects() {
        let policy = policy(&keys, &line.signed);
        let plain = plain(policy.keys.named(line.key).unwrap());
        let client = Some("192.0.2.7/32".parse().unwrap());
        let prefix = Some("/a/");
        for (told, can) in [
            (Order { prefix, ..plain }, line.can("prefix")),
            // An expression of nginx may hold the client.
            (
                Order { client, ..plain },
                line.can("client") || line.signed.contains("secure-link"),
            ),
            (
                Order {
                    not_before: Some(NOW),
                    ..plain
                },
                line.can("from"),
            ),
            (
                Order {
                    parameters: Some("a"),
                    ..plain
                },
                line.can("parameters"),
            ),
        ] {
            assert_eq!(policy.dialect.sign(&told).is_ok(), can, "{}: {told:?}", line.signed);
        }
    }
}
