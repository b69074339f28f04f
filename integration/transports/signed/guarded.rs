//! What is stored behind a token, and those who try to get it without one.

use super::rig::{Over, SIGNED, denied, signed_rig, token, token_below};
use crate::edge::Rig;
use crate::harness::Response;

const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE", "PROPFIND",
];

/// Below `/p/` tokens are asked for, elsewhere none.
fn rig() -> Rig {
    let routes = "[[sites.routes]]\npath = \"/p/*\"\nupgrade = true\nSIGNED\n\
        [[sites.routes]]\npath = \"/q/*\"\ncache = false\nSIGNED\n";
    signed_rig("", routes)
}

/// The same, with something stored behind a token.
fn stored(over: Over) -> Rig {
    let rig = rig();
    let target = format!("/p/a?t={}", token(&rig, over, "/p/a"));
    over.get(&rig, &target).expect(200, "protected");
    over.get(&rig, &target).expect(200, "protected").cached("hit");
    rig
}

#[test]
fn nothing_comes_without_a_token_and_nothing_reaches_the_origin() {
    for over in Over::ALL {
        let rig = stored(over);
        let good = token(&rig, over, "/p/b");
        for (path, code) in [
            ("/p/a".to_owned(), "token-missing"),
            ("/q/a".to_owned(), "token-missing"),
            ("/p/a?t=".to_owned(), "token-missing"),
            (format!("/p/a?t={good}"), "token-signature"),
            (format!("/p/b?t={good}&x=1"), "token-signature"),
            (format!("/p/b?t={good}&t={good}"), "token-twice"),
        ] {
            for method in METHODS {
                denied(over.ask(&rig, method, &path, &[]), 403, code);
            }
        }
        for fields in [
            &["range: bytes=0-2"][..],
            &["if-none-match: \"1\""],
            &["cache-control: only-if-cached"],
            &["cache-control: no-cache"],
            &["cookie: t=v1~kmain"],
            &["authorization: Bearer x"],
        ] {
            over.ask(&rig, "GET", "/p/a", fields)
                .is(403)
                .has("cache-control", "no-store");
        }
        assert_eq!(rig.world.origin.requests(), 1, "{over:?}");
    }
}

#[test]
fn neither_bodies_nor_upgrades_get_through() {
    let rig = rig();
    let upgrade: &[&str] = &["Connection: upgrade", "Upgrade: websocket"];
    denied(rig.h1().ask("GET", "/p/a", upgrade).rx(), 403, "token-missing");
    let answer = rig.h1().send("POST", "/p/a", "a body").rx();
    denied(answer, 403, "token-missing");
    let mut multiplexed = rig.h2();
    let mut grpc = multiplexed.begin("POST", "/p/a", &["content-type: application/grpc", "te: trailers"]);
    denied(grpc.try_rx().unwrap(), 403, "token-missing");
    assert_eq!(rig.world.origin.requests(), 0);
}

/// What is denied does not keep the next from being stored.
#[test]
fn a_denial_is_remembered_by_nobody() {
    let rig = rig();
    for _ in 0..3 {
        denied(Over::H1.get(&rig, "/p/a"), 403, "token-missing");
    }
    let target = format!("/p/a?t={}", token(&rig, Over::H1, "/p/a"));
    Over::H1
        .get(&rig, &target)
        .expect(200, "protected")
        .cached("fwd=uri-miss stored");
    denied(Over::H1.get(&rig, "/p/a"), 403, "token-missing");
    Over::H1.get(&rig, &target).cached("hit");
}

/// Whatever an origin makes of these paths, it is not asked.
#[test]
fn no_spelling_of_a_path_leads_around() {
    for over in Over::ALL {
        let rig = stored(over);
        for path in [
            "/%70/a",
            "/x/../p/a",
            "/x/%2e%2e/p/a",
            "/./p/a",
            "//p/a",
            "/p//a",
            "/p%2fa",
            "/%2fp/a",
            "/p%5ca",
            "/p;x/a",
            "/;x/p/a",
            "/x/..;/p/a",
            "/x/..%3b/p/a",
            "/x%2f..%2fp/a",
            "/x/..%2fp/a",
            "/x/%252e%252e/p/a",
            "/x%25252f..%25252fp%25252fa",
            "/%2570/a",
        ] {
            let answer = over.get(&rig, path).is(403).has("cache-control", "no-store");
            assert!(!answer.body.ends_with(b"protected"), "{over:?} {path}");
        }
        assert_eq!(rig.world.origin.requests(), 1, "{over:?}");
        // What is odd and leads nowhere else is not kept from anybody.
        for path in ["//x/a", "/x;p/a", "/x%2fp/a", "/P/a", "/x/p/a"] {
            over.get(&rig, path).is(200);
        }
    }
}

#[test]
fn a_token_for_all_below_a_path_opens_no_odd_one() {
    for over in Over::ALL {
        let rig = stored(over);
        let token = token_below(&rig, over, "/p/free/");
        over.get(&rig, &format!("/p/free/a?t={token}")).expect(200, "protected");
        for path in [
            "/p/free/../a",
            "/p/free/%2e%2e/a",
            "/p/free/..%2fa",
            "/p/free/..;/a",
            "/p/free//a",
            "/p/free/..%5ca",
            "/p/free/%252e%252e/a",
        ] {
            let answer = over.get(&rig, &format!("{path}?t={token}"));
            assert!(answer.status == 403, "{over:?} {path}: {answer:?}");
        }
        assert_eq!(rig.world.origin.requests(), 2, "{over:?}");
    }
}

/// What a token in a path is for is looked up without it, and must be behind the same.
#[test]
fn a_token_in_a_path_leads_to_no_other_route() {
    let other = SIGNED.replace("\"main\"", "\"other\"");
    let routes = format!("[[sites.routes]]\npath = \"/p;*\"\nSIGNED\n[[sites.routes]]\npath = \"/p/*\"\n{other}\n");
    for over in Over::ALL {
        let rig = signed_rig("", &routes);
        let token = token_below(&rig, over, "/");
        denied(over.get(&rig, &format!("/p;t={token}/a")), 403, "token-path");
        denied(over.get(&rig, &format!("/p/a?t={token}")), 403, "token-key");
        assert_eq!(rig.world.origin.requests(), 0);
    }
}

#[test]
fn a_redirect_to_https_keeps_the_token() {
    let rig = signed_rig("", &format!("redirect_to_https = true\n{SIGNED}"));
    let token = token(&rig, Over::H1Tls, "/a");
    for over in [Over::H1, Over::H2] {
        for target in [format!("/a?t={token}"), format!("/a;t={token}")] {
            let answer: Response = over.get(&rig, &target).is(301);
            assert_eq!(
                answer.head.field("location"),
                Some(&*format!("https://example.test{target}"))
            );
        }
    }
}

#[test]
fn those_who_guess_are_held_off_and_others_are_not() {
    let rig = rig();
    let good = format!("/p/a?t={}", token(&rig, Over::H1, "/p/a"));
    let mut client = rig.h1();
    for guess in 0..31 {
        let wrong = good.replacen("~s", &format!("~n{guess}~s"), 1);
        client.fetch(&wrong).is(403);
    }
    let held_off = client.fetch(&good);
    denied(held_off, 429, "token-too-many").has("retry-after", "1");
    rig.world.pass_seconds(4);
    client.fetch(&good).expect(200, "protected");
}
