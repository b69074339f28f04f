//! What holders of a token get, and what is left of it.

use std::sync::Arc;

use verge::access::sign::Order;
use verge::cache::{KeyParts, SchemeClass};
use verge::purge::Mode;

use super::rig::{KEYS, NOW, Over, SIGNED, denied, order, policy, signed_rig, token, token_below, token_of};
use crate::edge::Rig;
use crate::harness::{Logged, Response, configuration};

#[test]
fn the_token_leaves_query_cookie_field_and_path() {
    for over in Over::ALL {
        let rig = signed_rig("", "SIGNED");
        let token = token_below(&rig, over, "/p/");
        let cookie = format!("cookie: a=1; t={token}; b=2");
        let field = format!("t: {token}");
        for (path, fields, line) in [
            (format!("/p/1?a=1&t={token}&b=2"), vec![], "GET /p/1?a=1&b=2"),
            (format!("/p/2?t={token}"), vec![], "GET /p/2"),
            ("/p/3".to_owned(), vec![cookie.as_str()], "GET /p/3"),
            (format!("/p;t={token}/4"), vec![], "GET /p/4"),
            ("/p/5".to_owned(), vec![field.as_str()], "GET /p/5"),
        ] {
            over.ask(&rig, "GET", &path, &fields).expect(200, "protected");
            assert_eq!(rig.world.origin.seen().last().unwrap(), line, "{over:?}");
        }
        // Each of them was kept for all, however they bring their tokens.
        for path in ["/p/1?a=1&b=2", "/p/2", "/p/4", "/p/5"] {
            over.ask(&rig, "GET", path, &[&field])
                .expect(200, "protected")
                .cached("hit");
        }
    }
}

#[test]
fn what_is_left_of_fields_reaches_the_origin() {
    let rig = Rig::with(KEYS, SIGNED);
    let field = format!("T: {}", token_below(&rig, Over::H1, "/"));
    let cookie = format!("Cookie: a=1; t={}; b=2", token_below(&rig, Over::H1, "/"));
    let mut client = rig.h1();
    client.ask("GET", "/a", &[&cookie]);
    rig.world.origin.rx_for("GET /a").has("cookie", "a=1; b=2").ok(&[], "x");
    client.rx().is(200);
    client.ask("GET", "/b", &["Cookie: a=1", &field]);
    rig.world
        .origin
        .rx_for("GET /b")
        .has("cookie", "a=1")
        .has("t", None)
        .ok(&[], "x");
    client.rx().is(200);
}

#[test]
fn with_keep_the_token_stays() {
    let site = SIGNED.replace(" }", ", keep = true }");
    for over in Over::ALL {
        let rig = signed_rig("", &site);
        let token = token(&rig, over, "/a");
        let target = format!("/a?t={token}");
        over.get(&rig, &target).expect(200, "protected");
        over.get(&rig, &target).expect(200, "protected").cached("hit");
        assert_eq!(rig.world.origin.seen(), [format!("GET {target}")]);
        denied(over.get(&rig, "/a"), 403, "token-missing");
    }
}

/// RFC 9110 9.2: a token is asked for, whatever is to be done with what it is for.
#[test]
fn every_method_and_form_with_a_token() {
    for over in Over::ALL {
        let rig = signed_rig("", "SIGNED");
        let target = |path: &str| format!("{path}?t={}", token(&rig, over, path));
        over.get(&rig, &target("/a")).expect(200, "protected");
        over.ask(&rig, "HEAD", &target("/a"), &[]).is(200).cached("hit");
        let part = over.ask(&rig, "GET", &target("/a"), &["range: bytes=0-2"]);
        part.expect(206, "pro").cached("hit");
        over.ask(&rig, "GET", &target("/a"), &["if-none-match: \"1\""]).is(304);
        for method in ["OPTIONS", "DELETE", "PROPFIND"] {
            over.ask(&rig, method, &target("/a"), &[]).expect(200, "protected");
            assert_eq!(rig.world.origin.seen().last().unwrap(), &format!("{method} /a"));
        }
        // RFC 9111 4.4: what holders delete is deleted for all of them.
        over.get(&rig, &target("/a"))
            .expect(200, "protected")
            .cached("fwd=uri-miss");
    }
}

#[test]
fn what_is_fetched_behind_an_answer_has_no_token_either() {
    let rig = Rig::with(KEYS, SIGNED);
    let target = format!("/a?t={}", token(&rig, Over::H1, "/a"));
    let mut client = rig.h1();
    client.get(&target);
    let stale = &["Cache-Control: max-age=10, stale-while-revalidate=60", "ETag: \"1\""];
    rig.world.origin.rx_for("GET /a").ok(stale, "protected");
    client.rx().is(200);
    rig.world.pass_seconds(20);
    client.fetch(&target).cached("detail=stale-while-revalidate");
    let asked = rig.world.origin.rx_for("GET /a").has("if-none-match", "\"1\"");
    asked.not_modified(stale);
}

#[test]
fn a_purge_of_the_url_without_a_token_is_one_for_all_holders() {
    let site = format!("purge_token = \"sesame\"\n{SIGNED}");
    let rig = signed_rig("", &site);
    let holders = [600, 700].map(|lasts| {
        let policy = policy(&rig);
        let order = Order {
            expires: NOW + lasts,
            ..order(Over::H1, "/a", policy.keys.named("main").unwrap())
        };
        format!("/a?t={}", token_of(&policy, &order))
    });
    let get = |target: &str| Over::H1.get(&rig, target).expect(200, "protected");
    let by_api = || {
        let parts = KeyParts {
            scheme: SchemeClass::Clear,
            host: "example.test",
            path: "/a",
            query: None,
        };
        rig.world.server.edge().cache.purge_url(&parts, Mode::Hard);
    };
    let by_method = || {
        let sesame: &[&str] = &["authorization: Bearer sesame"];
        Over::H1.ask(&rig, "PURGE", "/a", sesame).is(200);
    };
    let purges: [&dyn Fn(); 2] = [&by_api, &by_method];
    for purge in purges {
        get(&holders[0]);
        get(&holders[1]).cached("hit");
        purge();
        get(&holders[1]).cached("fwd=uri-miss");
        get(&holders[0]).cached("hit");
    }
    Over::H1.ask(&rig, "PURGE", "/a", &[]).is(401);
    Over::H1.ask(&rig, "PURGE", &holders[0], &[]).is(401);
}

#[test]
fn tokens_end() {
    for over in Over::ALL {
        let rig = signed_rig("", "SIGNED");
        let target = format!("/a?t={}", token(&rig, over, "/a"));
        over.get(&rig, &target).expect(200, "protected");
        rig.world.pass_seconds(599);
        over.get(&rig, &target).expect(200, "protected").cached("hit");
        rig.world.pass_seconds(1);
        denied(over.get(&rig, &target), 403, "token-expired");
    }
}

#[test]
fn a_reload_changes_the_keys() {
    let rig = signed_rig("", "SIGNED");
    let server = format!("http://{}", rig.world.origin.address);
    let target = format!("/a?t={}", token(&rig, Over::H1, "/a"));
    let mut client = rig.h1();
    client.fetch(&target).expect(200, "protected");
    let reload = |keys: &str| {
        let (edge, keyed) = (rig.world.server.edge(), SIGNED.replace("[\"main\"]", keys));
        let config = configuration(&server, KEYS, &keyed);
        let origins = edge.origins.iter().map(|slot| Arc::clone(&slot.fetch)).collect();
        let renewed = edge.renewed(Arc::new(config), origins);
        rig.world.server.change(Arc::new(renewed), None).unwrap();
    };
    reload("[\"main\", \"other\"]");
    client.fetch(&target).expect(200, "protected").cached("hit");
    reload("[\"other\"]");
    denied(client.fetch(&target), 403, "token-key");
    reload("[\"main\"]");
    client.fetch(&target).expect(200, "protected").cached("hit");
}

#[test]
fn those_without_a_token_are_sent_to_the_login() {
    let login = "https://id.test/?next={url}";
    let site = SIGNED.replace(" }", &format!(", login = \"{login}\" }}"));
    for over in Over::ALL {
        let rig = signed_rig("", &site);
        let policy = policy(&rig);
        let old = Order {
            expires: NOW - 1,
            ..order(over, "/a", policy.keys.named("main").unwrap())
        };
        let old = token_of(&policy, &old);
        let sent = |response: Response, code: &str| {
            let response = denied(response, 302, code);
            response.head.field("location").unwrap().to_owned()
        };
        let location = format!("https://id.test/?next={}%3A%2F%2Fexample.test%2Fa", over.scheme());
        assert_eq!(sent(over.get(&rig, "/a"), "token-missing"), location);
        assert_eq!(sent(over.get(&rig, &format!("/a?t={old}")), "token-expired"), location);
        let in_path = over.get(&rig, &format!("/a;t={old}"));
        assert_eq!(sent(in_path, "token-expired"), location);
        denied(
            over.ask(&rig, "POST", "/a", &["content-length: 0"]),
            403,
            "token-missing",
        );
        denied(over.get(&rig, "/a?t=v1~x"), 403, "token-malformed");
        assert_eq!(rig.world.origin.requests(), 0);
    }
}

/// Every field of a line that could hold one, of answers of every kind.
#[test]
fn no_token_gets_into_the_log() {
    let log = Logged::new();
    let fields =
        "log.fields = [\"method\", \"host\", \"path\", \"query\", \"status\", \"site\", \"referer\", \"user_agent\"]";
    let routes = format!("[[sites.routes]]\npath = \"/p/*\"\n{SIGNED}\n[[sites.routes]]\npath = \"/q;*\"\n{SIGNED}");
    let rig = signed_rig(&format!("{}{fields}", log.configuration()), &routes);
    for over in Over::ALL {
        let token = token_below(&rig, over, "/p/");
        let targets = [
            format!("/p/a?t={token}&x=1"),
            format!("/p/a?x=1&t={token}"),
            format!("/p/a?t={token}&t={token}"),
            format!("/p/a?%74={token}"),
            format!("/p/b;t={token}"),
            format!("/q;t={token}/a"),
            // Where none is asked for.
            format!("/open?t={token}&x=1"),
            format!("//p/a?t={token}"),
            // What cannot be read.
            format!("/p/%zz?t={token}"),
            format!("/p/%zz;t={token}"),
        ];
        for target in &targets {
            over.ask(&rig, "GET", target, &[]);
        }
        over.ask(&rig, "GET", "/p/a", &[&format!("cookie: t={token}")]).is(200);
        over.ask(&rig, "GET", "/p/a", &[&format!("t: {token}")]).is(200);
        over.ask(&rig, "HEAD", &targets[0], &[]).is(200);
    }
    let absolute = format!(
        "GET https://example.test/p/a?t={} HTTP/1.1\r\nHost: example.test\r\n\r\n",
        "v1~secret"
    );
    rig.h1().tx(absolute).rx().is(421);
    drop(rig.world.server);
    let lines = log.lines();
    assert_eq!(lines.len(), 4 * 13 + 1);
    let told: Vec<_> = lines.iter().filter(|line| line.contains("v1~")).collect();
    assert!(told.is_empty(), "{told:?}");
    assert!(lines.iter().any(|line| line.contains("\"x=1\"")), "{lines:?}");
}
