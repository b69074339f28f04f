//! Why a token is denied: the operator is told field by field, a stranger the code alone.

use std::collections::BTreeSet;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use serde_json::json;
use verge::access::Reason;
use verge::access::sign::{Carrier, Order};

use crate::admin::Watched;
use crate::explain::{agree, done_of, explained_of};
use crate::harness::{Origin, configuration};

const NOW: u64 = 1_767_222_000;

/// Made with the crate common-access-token 0.2.7: for `GET` and `HEAD`.
const CAT: &str = "2D3RhEmiAQUERG1haW6gWE6nAWNhcHADY2NkbgQaaVW5AAUaaSzagBkBNgEZATijAaEAb2Nkbi5leGFtcGxlLmNvbQOhAWMvYS8IoQBk\
    LmpwZxkBOYJjR0VUZEhFQURYIP81Re4wTX-ycx0F9Kw7uqjHQMQrkKySTf3JFoPC5W0U";

fn edge() -> Watched {
    let origin = Origin::start();
    let keys = "keys.main.secret = \"your-256-bit-secret-for-tests-only\"";
    let route = |path: &str, signed: &str| format!("[[sites.routes]]\npath = \"{path}\"\nsigned = {{ {signed} }}\n");
    let routes = [
        route("/verge/*", "keys = [\"main\"], token = [\"cookie:t\", \"query:t\"]"),
        route(
            "/jwt/*",
            "dialect = \"jwt\", keys = [\"main\"], issuer = \"app\", token = [\"query:t\"]",
        ),
        route(
            "/a/*",
            "dialect = \"cat\", keys = [\"main\"], issuer = \"app\", audience = \"cdn\"",
        ),
    ];
    let config = configuration(&format!("http://{}", origin.address), keys, &routes.concat());
    let edge = Watched::of(config, origin);
    edge.clock.advance(Duration::from_secs(NOW - 1_700_000_000));
    edge.origin
        .answer_all(|asked| asked.ok(&["Cache-Control: max-age=60"], "protected"));
    edge
}

/// A token of Verge's own for `/verge/a`, but for what `change` makes of the order.
fn token(edge: &Watched, change: impl FnOnce(&mut Order<'_>)) -> String {
    let serving = edge.node.server.edge();
    let found = serving.config.sites.find("example.test", "/verge/a").unwrap();
    let policy = found.route.signed.as_ref().unwrap();
    let mut order = Order {
        scheme: "http",
        host: "example.test",
        path: "/verge/a",
        query: None,
        expires: NOW + 600,
        not_before: None,
        client: None,
        prefix: None,
        parameters: None,
        now: NOW,
        carrier: Carrier::Cookie,
        key: policy.keys.iter().next().unwrap(),
    };
    change(&mut order);
    policy.dialect.sign(&order).unwrap().text
}

/// A JWT with this header, whose signature is wrong.
fn jwt(header: serde_json::Value) -> String {
    let claims = json!({ "exp": NOW + 600, "path": "/jwt/a" });
    let parts = [header, claims].map(|part| BASE64URL_NOPAD.encode(part.to_string().as_bytes()));
    format!(
        "/jwt/a?t={}.{}",
        parts.join("."),
        BASE64URL_NOPAD.encode(b"a signature")
    )
}

/// Host, method and target, and why that is denied.
fn denied(edge: &Watched) -> Vec<(&'static str, &'static str, String, Reason)> {
    let good = token(edge, |_| {});
    let of = |token: String| format!("/verge/a?{token}");
    let get = |target: String, reason| ("example.test", "GET", target, reason);
    let early = token(edge, |order| order.not_before = Some(NOW + 60));
    let elsewhere = token(edge, |order| order.prefix = Some("/other/"));
    let narrow = token(edge, |order| order.parameters = Some("b"));
    let foreign = token(edge, |order| order.client = Some("192.0.2.0/24".parse().unwrap()));
    vec![
        get("/verge/a".to_owned(), Reason::Missing),
        get("/verge/a?t=x".to_owned(), Reason::Malformed),
        get(of(format!("{good}&{good}")), Reason::Twice),
        get(of(token(edge, |order| order.expires = NOW)), Reason::Expired),
        get(of(early), Reason::Early),
        get(of(good.replace("kmain", "kwho")), Reason::UnknownKey),
        get(of(elsewhere), Reason::Path),
        get(of(narrow + "&c=1"), Reason::Query),
        get(of(foreign), Reason::Client),
        get(format!("/verge/./a?{good}"), Reason::Ambiguous),
        get(of(good.replace("~e17", "~e18")), Reason::Signature),
        get(jwt(json!({ "alg": "none" })), Reason::Issuer),
        get(jwt(json!({ "alg": "HS256", "crit": ["exp"] })), Reason::Unsupported),
        ("cdn.example.com", "POST", format!("/a/b.jpg?CAT={CAT}"), Reason::Method),
    ]
}

#[test]
fn every_reason_is_told_to_the_operator_alone() {
    let edge = edge();
    let mut seen = BTreeSet::from([Reason::Algorithm.code(), Reason::TooMany.code()]);
    for (host, method, target, reason) in denied(&edge) {
        let case = format!("{method} {target}: {reason:?}");
        let explained = explained_of(&edge, &format!("http://{host}{target}"), method, &[]);
        assert_eq!(explained["detail"], reason.code(), "{case}");
        let said = explained.to_string();
        let signature = target.rsplit_once("~s").map(|(_, signature)| signature);
        assert!(signature.is_none_or(|signature| !said.contains(signature)), "{said}");
        let done = done_of(&edge, host, method, &target, &[]);
        assert_eq!(done, (403, format!("verge; detail={}", reason.code())), "{case}");
        agree(&explained, &done, &case);
        seen.insert(reason.code());
    }
    let all: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    assert_eq!(seen, all);
    assert_eq!(edge.origin.requests(), 0);
}

#[test]
fn an_algorithm_that_the_key_does_not_have() {
    let edge = edge();
    let claims = json!({ "exp": NOW + 600, "path": "/jwt/a", "iss": "app" });
    for algorithm in ["none", "RS256"] {
        let parts = [json!({ "alg": algorithm }), claims.clone()];
        let parts = parts.map(|part| BASE64URL_NOPAD.encode(part.to_string().as_bytes()));
        let target = format!("/jwt/a?t={}.c2ln", parts.join("."));
        let explained = explained_of(&edge, &format!("http://example.test{target}"), "GET", &[]);
        let done = done_of(&edge, "example.test", "GET", &target, &[]);
        assert!(done.1.ends_with("detail=token-algorithm"), "{done:?}");
        agree(&explained, &done, algorithm);
    }
}

/// What an operator asks counts against nobody.
#[test]
fn those_who_guess_are_told_that_they_guess_too_much() {
    let edge = edge();
    let wrong = format!("/verge/a?{}", token(&edge, |_| {}).replace("~e17", "~e18"));
    for _ in 0..40 {
        let explained = explained_of(&edge, &format!("http://example.test{wrong}"), "GET", &[]);
        assert_eq!(explained["detail"], "token-signature");
    }
    for _ in 0..31 {
        assert_eq!(done_of(&edge, "example.test", "GET", &wrong, &[]).0, 403);
    }
    let done = done_of(&edge, "example.test", "GET", &wrong, &[]);
    assert_eq!(done, (429, "verge; detail=token-too-many".to_owned()));
    assert!(verge::pipeline::details::meaning("token-too-many").is_some());
}

#[test]
fn what_is_granted_is_explained_as_what_it_is_without_the_token() {
    let edge = edge();
    let token = token(&edge, |_| {});
    let url = format!("http://example.test/verge/a?{token}");
    let step = |explained: &serde_json::Value, what: &str| {
        let steps = explained["steps"].as_array().unwrap();
        let found = steps.iter().find(|step| step["what"] == what);
        found.map(|step| step["says"].as_str().unwrap().to_owned())
    };
    let before = explained_of(&edge, &url, "GET", &[]);
    assert_eq!(before["cache_status"], "verge; fwd=uri-miss");
    assert_eq!(step(&before, "request").unwrap(), "GET http://example.test/verge/a");
    assert_eq!(
        step(&before, "admitted").unwrap(),
        "GET http://example.test/verge/a, on route /verge/*"
    );
    assert_eq!(step(&before, "signature").unwrap(), "main: as it should be");
    let cookie = format!("Cookie: {token}");
    assert_eq!(done_of(&edge, "example.test", "GET", "/verge/a", &[&cookie]).0, 200);
    let after = explained_of(&edge, &url, "GET", &[]);
    assert!(
        after["cache_status"].as_str().unwrap().starts_with("verge; hit"),
        "{after}"
    );
    assert!(
        step(&after, "key").unwrap().ends_with("/verge/a, query none"),
        "{after}"
    );
    assert!(!after.to_string().contains(token.rsplit_once("~s").unwrap().1));
}
