//! Whether the origin itself is right: answers as RFC 9110 demands them, written down by hand.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use crate::origin::{Reply, answer};
use crate::resource::{ASKED, Dates, Resource};

const STRONG: &str = "/200/strong-dated/max-age/nothing/1000/known";
const WEAK: &str = "/200/weak/max-age/nothing/1000/known";
const BARE: &str = "/200/none/max-age/nothing/1000/known";
const RECENT: &str = "/200/recent/max-age/nothing/1000/known";
const EMPTY: &str = "/200/strong-dated/max-age/nothing/0/known";
const MISSING: &str = "/404/strong-dated/max-age/nothing/1000/known";
const VARIED: &str = "/200/strong/max-age/language/1000/known";

/// A request's fields.
type Given = &'static [(&'static str, &'static str)];
type Demand = (&'static str, &'static str, Given, u16, &'static str);

/// Method, path, fields (`@` stands for the date of `Last-Modified`, `<` and `>` for an hour before and after it), and the status;
/// of a `206` or `416` also what `Content-Range` says.
const DEMANDS: &[Demand] = &[
    ("GET", STRONG, &[], 200, ""),
    ("GET", MISSING, &[("if-none-match", "\"v1\"")], 404, ""),
    // RFC 9110 13.1.2
    ("GET", STRONG, &[("if-none-match", "\"v1\"")], 304, ""),
    ("HEAD", STRONG, &[("if-none-match", "W/\"v1\"")], 304, ""),
    ("GET", WEAK, &[("if-none-match", "\"a\", \"v1\"")], 304, ""),
    ("GET", STRONG, &[("if-none-match", "\"a,v1\"")], 200, ""),
    ("GET", BARE, &[("if-none-match", "*")], 304, ""),
    ("PUT", STRONG, &[("if-none-match", "*")], 412, ""),
    (
        "GET",
        STRONG,
        &[("if-none-match", "\"x\""), ("if-modified-since", ">")],
        200,
        "",
    ),
    ("GET", VARIED, &[("if-none-match", "\"v1\""), ("x-lang", "en")], 200, ""),
    // 13.1.1
    ("GET", STRONG, &[("if-match", "\"v1\"")], 200, ""),
    ("GET", WEAK, &[("if-match", "W/\"v1\"")], 412, ""),
    ("DELETE", STRONG, &[("if-match", "\"x\"")], 412, ""),
    ("PUT", BARE, &[("if-match", "*")], 200, ""),
    ("OPTIONS", STRONG, &[("if-match", "\"x\"")], 200, ""),
    // 13.1.3
    ("GET", STRONG, &[("if-modified-since", "@")], 304, ""),
    ("GET", STRONG, &[("if-modified-since", "<")], 200, ""),
    ("GET", STRONG, &[("if-modified-since", "yesterday")], 200, ""),
    ("GET", BARE, &[("if-modified-since", ">")], 200, ""),
    ("POST", STRONG, &[("if-modified-since", ">")], 200, ""),
    // 13.1.4, 13.2.2
    ("GET", STRONG, &[("if-unmodified-since", "<")], 412, ""),
    ("GET", STRONG, &[("if-unmodified-since", "@")], 200, ""),
    ("GET", BARE, &[("if-unmodified-since", "<")], 200, ""),
    (
        "GET",
        STRONG,
        &[("if-match", "\"v1\""), ("if-unmodified-since", "<")],
        200,
        "",
    ),
    (
        "GET",
        STRONG,
        &[("if-match", "\"x\""), ("if-none-match", "\"v1\"")],
        412,
        "",
    ),
    // 14.1, 14.2
    ("GET", STRONG, &[("range", "bytes=0-99")], 206, "bytes 0-99/1000"),
    ("GET", STRONG, &[("range", "bytes=900-2000")], 206, "bytes 900-999/1000"),
    ("GET", STRONG, &[("range", "bytes=-100")], 206, "bytes 900-999/1000"),
    ("GET", STRONG, &[("range", "bytes=-2000")], 206, "bytes 0-999/1000"),
    ("GET", STRONG, &[("range", "bytes=-0")], 416, "bytes */1000"),
    ("GET", STRONG, &[("range", "bytes=1000-")], 416, "bytes */1000"),
    ("GET", EMPTY, &[("range", "bytes=0-")], 416, "bytes */0"),
    ("GET", EMPTY, &[("range", "bytes=-1")], 200, ""),
    ("GET", STRONG, &[("range", "bytes=9-0")], 200, ""),
    ("GET", STRONG, &[("range", "items=0-9")], 200, ""),
    ("GET", STRONG, &[("range", "bytes=0-9,20-29")], 206, ""),
    ("HEAD", STRONG, &[("range", "bytes=0-9")], 200, ""),
    ("GET", MISSING, &[("range", "bytes=0-9")], 404, ""),
    // 13.1.5
    (
        "GET",
        STRONG,
        &[("range", "bytes=0-9"), ("if-range", "\"v1\"")],
        206,
        "bytes 0-9/1000",
    ),
    (
        "GET",
        WEAK,
        &[("range", "bytes=0-9"), ("if-range", "W/\"v1\"")],
        200,
        "",
    ),
    (
        "GET",
        STRONG,
        &[("range", "bytes=0-9"), ("if-range", "@")],
        206,
        "bytes 0-9/1000",
    ),
    ("GET", STRONG, &[("range", "bytes=0-9"), ("if-range", ">")], 200, ""),
    ("GET", RECENT, &[("range", "bytes=0-9"), ("if-range", "@")], 200, ""),
    (
        "GET",
        STRONG,
        &[("range", "bytes=0-9"), ("if-none-match", "\"v1\"")],
        304,
        "",
    ),
];

/// What the origin does not do as it should; nothing, it is hoped.
pub fn wrong(dates: &Dates) -> Vec<String> {
    DEMANDS.iter().filter_map(|demand| failed(demand, dates)).collect()
}

fn failed((method, path, fields, status, range): &Demand, dates: &Dates) -> Option<String> {
    let reply = answer(method, path, &headers(path, fields, dates), b"", dates);
    let said = reply
        .fields
        .iter()
        .find(|(name, _)| *name == "content-range")
        .map_or("", |(_, value)| value);
    let right = reply.status == *status && said == *range && has_right_bytes(path, &reply, said);
    (!right).then(|| format!("{method} {path} {fields:?}: {} {said}", reply.status))
}

/// A single part is that stretch of the whole.
fn has_right_bytes(path: &str, reply: &Reply, range: &str) -> bool {
    let bounds = range
        .strip_prefix("bytes ")
        .and_then(|range| range.split_once('/'))
        .and_then(|(range, _)| range.split_once('-'));
    let (Some((first, last)), Some(resource)) = (bounds, Resource::of(path)) else {
        return true;
    };
    let (Ok(first), Ok(last)) = (first.parse::<usize>(), last.parse::<usize>()) else {
        return false;
    };
    reply.body == resource.body(ASKED).slice(first..=last)
}

fn headers(path: &str, fields: &[(&str, &str)], dates: &Dates) -> HeaderMap {
    let modified = Resource::of(path)
        .and_then(|resource| resource.last_modified(dates))
        .unwrap_or(dates.modified);
    let hour = std::time::Duration::from_secs(3600);
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        let value = match *value {
            "@" => httpdate::fmt_http_date(modified),
            "<" => httpdate::fmt_http_date(modified - hour),
            ">" => httpdate::fmt_http_date(modified + hour),
            other => other.to_owned(),
        };
        map.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_str(&value).unwrap(),
        );
    }
    map
}
