//! What is explained beside what is then done.

use std::time::Duration;

use serde_json::{Value, json};

use verge::config;

use crate::admin::Watched;
use crate::harness::Origin;

/// What is stored for `/a`, and what has happened to it.
const STATES: [(&str, &[&str], u64); 10] = [
    ("nothing", &["Cache-Control: no-store"], 0),
    ("fresh", &["Cache-Control: max-age=60", "ETag: \"1\""], 10),
    ("expired", &["Cache-Control: max-age=60", "ETag: \"1\""], 100),
    (
        "stale-while-revalidate",
        &["Cache-Control: max-age=60, stale-while-revalidate=60", "ETag: \"1\""],
        70,
    ),
    ("no-cache", &["Cache-Control: no-cache", "ETag: \"1\""], 0),
    (
        "soft-purged",
        &["Cache-Control: max-age=60", "Cache-Tag: t", "ETag: \"1\""],
        1,
    ),
    (
        "hard-purged",
        &["Cache-Control: max-age=60", "Cache-Tag: t", "ETag: \"1\""],
        1,
    ),
    (
        "another variant",
        &["Cache-Control: max-age=60", "Vary: X-Kind", "ETag: \"1\""],
        0,
    ),
    (
        "must-revalidate, expired",
        &["Cache-Control: max-age=60, must-revalidate", "ETag: \"1\""],
        61,
    ),
    (
        "a guessed lifetime",
        &["Last-Modified: Tue, 14 Nov 2000 22:13:20 GMT"],
        10,
    ),
];

/// What is asked.
const REQUESTS: [(&str, &[&str]); 11] = [
    ("GET", &[]),
    ("HEAD", &[]),
    ("POST", &["Content-Length: 0"]),
    ("DELETE", &[]),
    ("TRACE", &[]),
    ("GET", &["Cache-Control: no-cache"]),
    ("GET", &["Cache-Control: only-if-cached"]),
    ("GET", &["Cache-Control: max-age=1"]),
    ("GET", &["Range: bytes=0-1"]),
    ("GET", &["If-None-Match: \"1\""]),
    ("GET", &["X-Kind: other", "Accept-Encoding: gzip"]),
];

#[test]
fn what_is_explained_is_what_is_done() {
    let mut cases = 0;
    for site in ["", "client_may_revalidate = true", "cache = false"] {
        for (state, fields, age) in STATES {
            for (method, request) in REQUESTS {
                cases += 1;
                let edge = stored(site, state, fields, age);
                let explained = explained(&edge, method, request);
                let done = done(&edge, method, request);
                agree(&explained, &done, &format!("{site:?} {state}: {method} {request:?}"));
            }
        }
    }
    assert!(cases >= 60, "{cases}");
}

/// An edge that has come to this state.
fn stored(site: &str, state: &str, fields: &'static [&'static str], age: u64) -> Watched {
    let edge = Watched::new(site);
    edge.origin.answer_all(move |asked| match asked.field("if-none-match") {
        Some("\"1\"") => asked.not_modified(fields),
        _ => asked.ok(fields, "body"),
    });
    let mut client = edge.client();
    client.ask("GET", "/a", &["X-Kind: one"]).rx().is(200);
    edge.clock.advance(Duration::from_secs(age));
    if state.ends_with("purged") {
        let soft = state == "soft-purged";
        assert_eq!(edge.post("/api/purge", &json!({ "tags": ["t"], "soft": soft })).0, 200);
    }
    edge
}

fn explained(edge: &Watched, method: &str, fields: &[&str]) -> Value {
    explained_of(edge, "http://example.test/a", method, fields)
}

pub fn explained_of(edge: &Watched, url: &str, method: &str, fields: &[&str]) -> Value {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("url", url).append_pair("method", method);
    fields.iter().for_each(|field| {
        query.append_pair("header", field);
    });
    let (status, content) = edge.get(&format!("/api/explain?{}", query.finish()));
    assert_eq!(status, 200, "{content}");
    serde_json::from_str(&content).unwrap()
}

/// Status and `Cache-Status`.
fn done(edge: &Watched, method: &str, fields: &[&str]) -> (u16, String) {
    done_of(edge, "example.test", method, "/a", fields)
}

pub fn done_of(edge: &Watched, host: &str, method: &str, path: &str, fields: &[&str]) -> (u16, String) {
    let lines: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    let mut client = edge.client();
    client.tx(format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n"));
    let response = if method == "HEAD" {
        client.rx_head()
    } else {
        client.rx()
    };
    let status = response.head.word(1).parse().unwrap();
    (
        status,
        response.head.field("cache-status").unwrap_or_default().to_owned(),
    )
}

pub fn agree(explained: &Value, (status, done): &(u16, String), case: &str) {
    let said = explained["cache_status"].as_str().unwrap();
    for part in said.split("; ") {
        // What comes of a fetch may be told instead of why it was made.
        let of_fetch = part.starts_with("detail=") && said.contains("fwd=") && done.contains("detail=");
        assert!(done.contains(part) || of_fetch, "{case}: explained {said}, done {done}");
    }
    assert_eq!(
        said.contains("; hit"),
        done.contains("; hit"),
        "{case}: explained {said}, done {done}"
    );
    assert_eq!(
        said.contains("fwd="),
        done.contains("fwd="),
        "{case}: explained {said}, done {done}"
    );
    if let Some(own) = explained["status"].as_u64() {
        assert_eq!(own, u64::from(*status), "{case}");
    }
    let has_meaning = explained["detail"].is_null() || explained["means"].is_string();
    assert!(has_meaning, "{case}: {} has no meaning", explained["detail"]);
}

#[test]
fn what_a_site_decides() {
    const SITES: &str = "[[sites]]\nhosts = [\"secure.test\"]\norigin = \"app\"\nredirect_to_https = true\n\
         [[sites]]\nhosts = [\"example.test\"]\norigin = \"app\"\nmax_body = \"4B\"\npurge_token = \"sesame\"\n\
         [[sites.routes]]\npath = \"/up/*\"\nupgrade = true\n";
    let origin = Origin::start();
    let text = format!(
        "server.threads = 1\nlisten = [{{ address = \"127.0.0.1:0\" }}]\norigins.app.servers = [\"http://{}\"]\n{SITES}",
        origin.address
    );
    let edge = Watched::of(config::load("test", &text).unwrap(), origin);
    edge.origin.answer_all(|asked| match asked.line().contains("/broken") {
        true => asked.close(),
        false => asked.ok(&["Cache-Control: max-age=60"], "body"),
    });
    // Twice, since the second time it is remembered.
    edge.client().ask("GET", "/broken", &[]).rx().is(502);
    let sesame: &[&str] = &["Authorization: Bearer sesame"];
    for (host, method, path, fields, detail) in [
        ("other.test", "GET", "/a", &[][..], Some("unknown-host")),
        ("secure.test", "GET", "/a", &[], Some("redirect-to-https")),
        (
            "secure.test",
            "POST",
            "/a",
            &["Content-Length: 0"],
            Some("redirect-to-https"),
        ),
        (
            "example.test",
            "POST",
            "/a",
            &["Content-Length: 5"],
            Some("body-too-large"),
        ),
        ("example.test", "TRACE", "/a", &[], Some("method-not-allowed")),
        ("example.test", "PURGE", "/a", &[], Some("purge-token")),
        ("example.test", "PURGE", "/a", sesame, Some("purged")),
        ("example.test", "GET", "/broken", &[], Some("recent-failure")),
        (
            "example.test",
            "GET",
            "/none",
            &["Cache-Control: only-if-cached"],
            Some("only-if-cached"),
        ),
        (
            "example.test",
            "GET",
            "/up/a",
            &["Connection: upgrade", "Upgrade: x"],
            None,
        ),
    ] {
        let explained = explained_of(&edge, &format!("http://{host}{path}"), method, fields);
        assert_eq!(explained["detail"].as_str(), detail, "{method} {host}{path}");
        let done = done_of(&edge, host, method, path, fields);
        agree(&explained, &done, &format!("{method} {host}{path} {fields:?}"));
    }
}

/// What a response is not stored for: the request's fields, the response's, and the code.
const UNSTORED: &[(&[&str], &[&str], &str)] = &[
    (
        &["Cache-Control: no-store"],
        &["Cache-Control: max-age=60"],
        "request-no-store",
    ),
    (&[], &["Cache-Control: no-store"], "no-store"),
    (&[], &["Cache-Control: private"], "private"),
    (
        &["Authorization: Basic YTpi"],
        &["Cache-Control: max-age=60"],
        "authorization",
    ),
    (
        &["Cookie: a=b"],
        &["Last-Modified: Tue, 14 Nov 2000 22:13:20 GMT"],
        "cookie",
    ),
    (
        &[],
        &["Set-Cookie: a=b", "Last-Modified: Tue, 14 Nov 2000 22:13:20 GMT"],
        "set-cookie",
    ),
    (&[], &[], "no-freshness"),
    (&[], &["Cache-Control: no-cache"], "no-validator"),
    (&[], &["Cache-Control: max-age=60", "Vary: *"], "vary-star"),
];

#[test]
fn what_comes_of_a_response_is_told_and_remembered() {
    for (request, response, code) in UNSTORED {
        let edge = Watched::new("");
        let response: Vec<String> = response.iter().map(|&field| field.to_owned()).collect();
        edge.origin.answer_all(move |asked| {
            let fields: Vec<&str> = response.iter().map(String::as_str).collect();
            asked.ok(&fields, "body");
        });
        // Nothing is known yet: the edge can only say that it will fetch.
        let before = explained(&edge, "GET", request);
        assert_eq!(before["cache_status"], "verge; fwd=uri-miss", "{code}");
        let (status, done) = done(&edge, "GET", request);
        assert_eq!(status, 200, "{code}");
        assert!(
            done.starts_with("verge; fwd=uri-miss") && done.contains(&format!("detail={code}")),
            "{code}: {done}"
        );
        assert!(verge::pipeline::details::meaning(code).is_some(), "{code}");
        agree(
            &explained(&edge, "GET", request),
            &done_of(&edge, "example.test", "GET", "/a", request),
            code,
        );
    }
}

#[test]
fn every_code_of_an_answer_has_a_meaning() {
    use verge::pipeline::details;
    assert!(details::all().count() > 50);
    for code in ["expired", "unknown-host", "bare-lf", "no-freshness", "target-percent"] {
        assert!(details::meaning(code).is_some(), "{code}");
    }
}

#[test]
fn what_cannot_be_explained() {
    let edge = Watched::new("");
    for query in [
        "",
        "?url=nonsense",
        "?url=http://a/&method=%20",
        "?url=http://a/&header=x",
        "?url=http://a/&client=x",
    ] {
        let (status, content) = edge.get(&format!("/api/explain{query}"));
        assert_eq!(status, 400, "{query}: {content}");
        assert!(content.contains("error"), "{query}: {content}");
    }
}

/// An edge, whose configuration begins with `all` and whose site has `site`, and its origin.
fn scripted(all: &str, site: &str) -> Watched {
    let origin = Origin::start();
    let config = crate::harness::configuration(&format!("http://{}", origin.address), all, site);
    Watched::of(config, origin)
}

#[test]
fn codes_of_answers_that_wait_for_the_origin() {
    const CACHED: &[&str] = &["Cache-Control: max-age=60"];
    let of = |edge: &Watched, method: &str, path: &str, fields: &[&str], code: &str| {
        let explained = explained_of(edge, &format!("http://example.test{path}"), method, fields);
        let done = done_of(edge, "example.test", method, path, fields);
        assert!(done.1.contains(&format!("detail={code}")), "{code}: {}", done.1);
        assert!(verge::pipeline::details::meaning(code).is_some(), "{code}");
        agree(&explained, &done, code);
    };

    let edge = scripted("", "");
    edge.origin.answer_all(|asked| match asked.line().as_str() {
        "GET /status" => asked.answer("429 Too Many Requests", CACHED, ""),
        "GET /part" => asked.answer("206 Partial Content", &["Content-Range: bytes 0-0/9"], "x"),
        "GET /kind" => asked.ok(
            &[
                "Cache-Control: max-age=60",
                "Vary: Accept-Language",
                "Content-Language: de",
            ],
            "x",
        ),
        "GET /unasked" => asked.answer("206 Partial Content", &["Content-Range: bytes 0-0/9"], "x"),
        _ => asked.ok(&["Cache-Control: max-age=60, public"], ""),
    });
    let with_credentials = "Authorization: Basic YTpi";
    of(&edge, "GET", "/status", &[], "status");
    of(&edge, "GET", "/unasked", &[], "status");
    of(&edge, "HEAD", "/head", &[with_credentials], "head");
    of(
        &edge,
        "GET",
        "/part",
        &[with_credentials, "Range: bytes=0-0"],
        "partial-content",
    );
    edge.client()
        .ask("GET", "/kind", &["Accept-Language: de, en"])
        .rx()
        .is(200);
    of(&edge, "GET", "/kind", &["Accept-Language: de, en;q=0.1"], "negotiated");
    of(&edge, "OPTIONS", "/a", &["Max-Forwards: 0"], "options-of-the-edge");

    // What was forwarded comes back.
    let edge = scripted("", "");
    let mut client = edge.client();
    client.get("/a");
    let asked = edge.origin.rx();
    let passed = format!("CDN-Loop: {}", asked.field("cdn-loop").unwrap());
    asked.ok(&[], "");
    client.rx().is(200);
    of(&edge, "GET", "/a", &[&passed], "loop-detected");

    // All fetches that there may be are under way.
    let edge = scripted("", "");
    let config = config::load(
        "test",
        &format!(
            "server.threads = 1\nlisten = [{{ address = \"127.0.0.1:0\" }}]\n[origins.app]\nmax_fetches = 1\n\
             servers = [\"http://{}\"]\n[[sites]]\nhosts = [\"*\"]\norigin = \"app\"\n",
            edge.origin.address
        ),
    );
    let edge = Watched::of(config.unwrap(), edge.origin);
    let mut waiting = edge.client();
    waiting.get("/a");
    let asked = edge.origin.rx();
    of(&edge, "GET", "/b", &[], "too-many-fetches");
    asked.ok(CACHED, "");
    waiting.rx().is(200);
}

#[test]
fn codes_of_what_could_not_be_read_or_is_for_others() {
    let edge = scripted("client.head_timeout = \"50ms\"", "");
    for (head, status, code) in [
        ("GET /slow HTTP/1.1\r\nHost: exam", 408, "head-timeout"),
        (
            "GET https://example.test/a HTTP/1.1\r\nHost: example.test\r\n\r\n",
            421,
            "scheme",
        ),
        (
            "GET /a%zz HTTP/1.1\r\nHost: example.test\r\n\r\n",
            400,
            "target-percent",
        ),
        ("GET /a%00 HTTP/1.1\r\nHost: example.test\r\n\r\n", 400, "target-nul"),
    ] {
        let answer = edge.client().tx(head).rx().is(status);
        let said = answer.head.field("cache-status").unwrap_or_default().to_owned();
        assert!(said.contains(&format!("detail={code}")), "{code}: {said}");
        assert!(verge::pipeline::details::meaning(code).is_some(), "{code}");
    }
}

#[test]
fn a_body_that_had_to_make_room() {
    let edge = scripted("cache.ram = \"16MiB\"\ncache.chunk_share = 0.5", "");
    edge.origin.answer_all(|asked| match asked.line().contains("/tagged/") {
        true => asked.ok(&["Cache-Control: max-age=600", "ETag: \"1\""], vec![7; 3 << 20]),
        false => asked.ok(&["Cache-Control: max-age=600"], vec![7; 3 << 20]),
    });
    for folder in ["plain", "tagged"] {
        for number in 0..6 {
            edge.client().fetch(&format!("/{folder}/{number}")).is(200);
        }
    }
    for (path, said) in [
        ("/plain/0", "verge; fwd=miss; detail=body-evicted"),
        ("/tagged/0", "verge; fwd=partial"),
    ] {
        let explained = explained_of(&edge, &format!("http://example.test{path}"), "GET", &[]);
        assert_eq!(explained["cache_status"], said);
        // The question alone has it forgotten, where no part of it is of use: so another that has gone as well is asked for.
        let (status, done) = done_of(&edge, "example.test", "GET", &path.replace('0', "1"), &[]);
        assert_eq!(status, 200);
        let mut parts = said.split("; ");
        assert!(parts.all(|part| done.contains(part)), "{path}: {done}");
    }
}
