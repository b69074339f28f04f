//! What is asked: every request of one list for every kind of response, and what the edge answers by itself.

use super::content::KINDS;
use crate::edge::{HOST, OTHER, STRANGER};

/// A request.
pub struct Case {
    pub name: String,
    pub method: &'static str,
    pub host: String,
    pub target: String,
    /// Lines, whose characters are bytes.
    pub fields: Vec<String>,
    pub body: Body,
    pub compared: Compared,
}

/// Which transports have to do alike.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    All,
    /// Those of one scheme; the reason for it.
    WithinScheme(&'static str),
    /// All, in their status; the reason for it.
    Status(&'static str),
}

const DEFAULT_PORT: Compared =
    Compared::WithinScheme("RFC 9110 4.2.1, 4.2.2: which port is left out depends on the scheme");
const CERTIFICATE: Compared =
    Compared::WithinScheme("RFC 9110 7.4, RFC 9113 9.1.2: 421 where the connection's certificate is another host's");
const HEADER_LIST: Compared = Compared::Status(
    "RFC 9113 10.5.1: a field section past SETTINGS_MAX_HEADER_LIST_SIZE gets a bare 431 of the h2 crate",
);

/// A request's body.
#[derive(Clone)]
pub enum Body {
    None,
    /// Its length is said.
    Length(Vec<u8>),
    /// Its end shows when it comes.
    Unknown(Vec<u8>),
}

/// Nothing listens on port 9 of an address that routes nowhere near.
pub const CONFIGURATION: &str = "origins.down.servers = [\"http://127.0.0.1:1\"]";

/// More of the site `*`, and the other sites.
pub const SITES: &str = "max_body = \"100KB\"\n\
    [[sites.routes]]\npath = \"/down/*\"\norigin = \"down\"\n\
    [[sites.routes]]\npath = \"/pass/*\"\ncache = false\n\
    [[sites.routes]]\npath = \"/obeys/*\"\nclient_may_revalidate = true";

/// So many of [`KINDS`] are asked all of [`REQUESTS`], the rest a quarter of them by turns.
const ASKED_ALL: usize = 12;

/// All of them.
pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind_place, (kind, ..)) in KINDS.iter().enumerate() {
        for (place, request) in REQUESTS.iter().enumerate() {
            if kind_place < ASKED_ALL || (kind_place + place) % 4 == 0 {
                let target = format!("/kind/{place}/{kind}{}", request.query);
                cases.push(request.case(format!("{} of {kind}", request.name), target));
            }
        }
    }
    for (place, request) in REQUESTS.iter().enumerate() {
        for (route, kind) in [("pass", "small"), ("pass", "odd"), ("obeys", "small")] {
            let target = format!("/{route}/{place}/{kind}{}", request.query);
            cases.push(request.case(format!("{} on /{route} of {kind}", request.name), target));
        }
        let target = format!("/down/{place}{}", request.query);
        cases.push(request.case(format!("{} of an origin that is down", request.name), target));
    }
    cases.extend(TARGETS.iter().flat_map(|target| {
        ["GET", "HEAD", "POST", "OPTIONS", "TRACE"].map(|method| Case::plain(method, HOST, target))
    }));
    cases.extend(hosts());
    cases.extend(odd_fields());
    cases
}

fn hosts() -> Vec<Case> {
    let longest = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join(".");
    let hosts = HOSTS.iter().copied().chain([longest.as_str()]);
    let of_host = |host: &str| {
        ["GET", "HEAD", "DELETE"].map(|method| Case {
            compared: match host {
                STRANGER => CERTIFICATE,
                _ if host.ends_with(":80") || host.ends_with(":443") => DEFAULT_PORT,
                _ => Compared::All,
            },
            ..Case::plain(method, host, "/host")
        })
    };
    hosts.flat_map(of_host).collect()
}

struct Request {
    name: &'static str,
    method: &'static str,
    query: &'static str,
    /// `|` between them.
    fields: &'static str,
    body: Sent,
}

/// A request's body, in short.
#[derive(Clone, Copy)]
enum Sent {
    Nothing,
    /// So many bytes.
    Length(usize),
    Unknown(usize),
}

const fn plain(name: &'static str, fields: &'static str) -> Request {
    with(name, "GET", fields, Sent::Nothing)
}

const fn with(name: &'static str, method: &'static str, fields: &'static str, body: Sent) -> Request {
    Request {
        name,
        method,
        query: "",
        fields,
        body,
    }
}

const fn query(name: &'static str, query: &'static str) -> Request {
    Request {
        query,
        ..plain(name, "")
    }
}

const REQUESTS: [Request; 56] = [
    plain("GET", ""),
    with("HEAD", "HEAD", "", Sent::Nothing),
    with("HEAD with a condition", "HEAD", "If-None-Match: \"v1\"", Sent::Nothing),
    with("HEAD with a range", "HEAD", "Range: bytes=0-3", Sent::Nothing),
    with("POST", "POST", "Content-Type: text/plain", Sent::Length(1000)),
    with("POST in chunks", "POST", "", Sent::Unknown(70_000)),
    with("POST of nothing, and its length", "POST", "", Sent::Length(0)),
    with("POST of nothing in chunks", "POST", "", Sent::Unknown(0)),
    with("POST without a body", "POST", "", Sent::Nothing),
    with("POST too large", "POST", "", Sent::Length(100_001)),
    with("POST too large in chunks", "POST", "", Sent::Unknown(100_001)),
    with("POST as large as may be", "POST", "", Sent::Unknown(100_000)),
    with("POST that expects", "POST", "Expect: 100-continue", Sent::Length(10)),
    with(
        "POST that expects in chunks",
        "POST",
        "Expect: 100-Continue",
        Sent::Unknown(10),
    ),
    with(
        "POST that expects what is not known",
        "POST",
        "Expect: 200-ok",
        Sent::Length(10),
    ),
    with("PUT", "PUT", "", Sent::Length(10)),
    with("PUT if it were another", "PUT", "If-Match: \"other\"", Sent::Length(10)),
    with("DELETE", "DELETE", "", Sent::Nothing),
    with("DELETE with a body", "DELETE", "", Sent::Length(3)),
    with("OPTIONS", "OPTIONS", "", Sent::Nothing),
    with(
        "PATCH",
        "PATCH",
        "Content-Type: application/json-patch+json",
        Sent::Unknown(10),
    ),
    with("an unknown method", "BREW", "", Sent::Nothing),
    with("a method in lower case", "get", "", Sent::Nothing),
    with("QUERY", "QUERY", "Content-Type: text/plain", Sent::Length(4)),
    with("GET with a body", "GET", "", Sent::Length(4)),
    with("GET with a body in chunks", "GET", "", Sent::Unknown(4)),
    with("TRACE", "TRACE", "", Sent::Nothing),
    plain("If-None-Match", "If-None-Match: \"v1\""),
    plain(
        "If-None-Match of several lines",
        "If-None-Match: \"v0\"|If-None-Match: W/\"v1\", \"v2\"",
    ),
    plain("If-None-Match of another", "If-None-Match: \"other\""),
    plain("If-None-Match of any", "If-None-Match: *"),
    plain("If-None-Match malformed", "If-None-Match: v1"),
    plain("If-Modified-Since", "If-Modified-Since: Mon, 13 Nov 2023 00:00:00 GMT"),
    plain(
        "If-Modified-Since before",
        "If-Modified-Since: Sun, 12 Nov 2023 00:00:00 GMT",
    ),
    plain("If-Match", "If-Match: \"v1\""),
    plain("If-Match of another", "If-Match: \"other\""),
    plain(
        "If-Unmodified-Since before",
        "If-Unmodified-Since: Sun, 12 Nov 2023 00:00:00 GMT",
    ),
    plain("a range", "Range: bytes=2-5"),
    plain("several ranges", "Range: bytes=0-1,4-5, -2"),
    plain("a suffix", "Range: bytes=-3"),
    plain("a range from the end", "Range: bytes=9999999-"),
    plain("a range of another unit", "Range: lines=1-2"),
    plain("a range if it is still the same", "Range: bytes=2-5|If-Range: \"v1\""),
    plain("a range if it were another", "Range: bytes=2-5|If-Range: \"other\""),
    plain("only-if-cached", "Cache-Control: only-if-cached"),
    plain("no-cache", "Cache-Control: no-cache|Pragma: no-cache"),
    plain("no-store", "Cache-Control: no-store"),
    plain("min-fresh", "Cache-Control: min-fresh=90, max-stale"),
    plain("credentials", "Authorization: Basic YTpi"),
    plain("cookies of several lines", "Cookie: a=1; b=2|Cookie: c=3|Cookie: d"),
    plain(
        "languages of two lines",
        "Accept-Language: de|Accept-Language: en;q=0.5|Accept-Encoding: gzip",
    ),
    plain(
        "claims",
        "X-Forwarded-For: 10.0.0.1|Forwarded: for=x|X-Forwarded-Proto: ftp|X_Real_IP: 1|Via: 1.0 fred|Max-Forwards: 0",
    ),
    plain("trailers wanted", "TE: trailers"),
    plain("odd bytes", "X-Odd: caf\u{e9}\t\u{ff}\"|X-Empty:|X-Twice: 1|X-Twice: 2"),
    query("a query", "?a=1&b=%20|[]'{}&a=2"),
    query("an empty query", "?"),
];

impl Request {
    fn case(&self, name: String, target: String) -> Case {
        let fields = self.fields.split('|').filter(|line| !line.is_empty());
        let body = |length: usize| b"0123456789".iter().copied().cycle().take(length).collect();
        Case {
            name,
            method: self.method,
            host: HOST.to_owned(),
            target,
            fields: fields.map(spaced).collect(),
            body: match self.body {
                Sent::Nothing => Body::None,
                Sent::Length(length) => Body::Length(body(length)),
                Sent::Unknown(length) => Body::Unknown(body(length)),
            },
            compared: Compared::All,
        }
    }
}

/// A line without a value has a space behind its colon all the same.
fn spaced(line: &str) -> String {
    match line.strip_suffix(':') {
        Some(name) => format!("{name}: "),
        None => line.to_owned(),
    }
}

impl Case {
    fn plain(method: &'static str, host: &str, target: &str) -> Case {
        Case {
            name: format!("{method} {host} {target}"),
            method,
            host: host.to_owned(),
            target: target.to_owned(),
            fields: Vec::new(),
            body: Body::None,
            compared: Compared::All,
        }
    }
}

/// The h2 crate's client sends no others: neither what does not begin with a slash, nor quotes in a query.
const TARGETS: [&str; 27] = [
    "/",
    "//",
    "//a//b/",
    "/a/./b",
    "/a/../b",
    "/../../a",
    "/a/..",
    "/.",
    "/a/%2e%2e/b",
    "/a/.%2E/b",
    "/%7euser",
    "/%7Euser",
    "/a%2fb",
    "/a%2Fb",
    "/a%5cb",
    "/a%00b",
    "/a%0d%0ab",
    "/a%",
    "/a%2",
    "/a%zz",
    "/a;b=c,d",
    "/a:b@c!$&'()*+",
    "/a{b}",
    "/a?b?c/../d",
    "/a?%00",
    "/~_-.",
    "/a?a=%zz&%",
];

const HOSTS: [&str; 16] = [
    HOST,
    OTHER,
    "EXAMPLE.test",
    "example.test:80",
    "example.test:443",
    "example.test:8080",
    "example.test:",
    "example.test.",
    "OTHER.TEST:80",
    "127.0.0.1",
    "[::1]",
    "[::1]:8080",
    "example.test:99999",
    "unknown_name",
    "a.b.c.example.test",
    STRANGER,
];

const BEYOND: &str = "2000 fields";

/// Heads that are hard to take.
fn odd_fields() -> Vec<Case> {
    let many = |count: usize| (0..count).map(|at| format!("X-{at}: {at}")).collect::<Vec<_>>();
    let long = |length: usize| vec![format!("X-Long: {}", "x".repeat(length))];
    let lists: [(&'static str, Vec<String>); 9] = [
        ("80 fields", many(80)),
        ("200 fields", many(200)),
        (BEYOND, many(2000)),
        ("a long field", long(8_000)),
        ("a longer field", long(16_000)),
        (
            "a name of all that a token may have",
            vec!["x!#$%&'*+-.^`|~9: 1".to_owned()],
        ),
        ("Host twice the same", vec![format!("X-Host: {HOST}")]),
        ("Early-Data", vec!["Early-Data: 1".to_owned()]),
        (
            "Content-Encoding and Priority",
            vec!["Priority: u=1, i".to_owned(), "CDN-Loop: verge".to_owned()],
        ),
    ];
    let case = |(name, fields): &(&'static str, Vec<String>), method: &'static str| Case {
        name: format!("{method} with {name}"),
        fields: fields.clone(),
        compared: if *name == BEYOND { HEADER_LIST } else { Compared::All },
        ..Case::plain(method, HOST, "/fields")
    };
    let methods = ["GET", "HEAD", "POST"];
    lists
        .iter()
        .flat_map(|list| methods.map(|method| case(list, method)))
        .collect()
}
