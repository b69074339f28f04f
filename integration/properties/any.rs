//! The laws, on random pieces of field values.

use proptest::prelude::*;
use proptest::test_runner::Config;

use crate::input::Input;
use crate::{config, laws};

const DATES: [&str; 5] = [
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "Sunday, 06-Nov-94 08:49:37 GMT",
    "Sun Nov  6 08:49:37 1994",
    "sun, 06 nov 1994 08:51:37 gmt",
    "Thu, 01 Jan 1970 00:00:00 GMT",
];

/// What values of lists are made of.
const MARKS: [&str; 16] = [
    "\"",
    "\\",
    ",",
    ", ",
    ";",
    "=",
    " ",
    "\t",
    "*",
    "-",
    "/",
    "0",
    "1",
    "7",
    "99999999999999999999",
    "a",
];

/// A value of some of these words, marks, and bytes that do not belong there.
fn value(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => prop::sample::select(words).prop_map(|word| word.as_bytes().to_vec()),
        6 => prop::sample::select(&MARKS[..]).prop_map(|mark| mark.as_bytes().to_vec()),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// Field lines of requests and responses with these names.
fn lines(names: &'static [&'static str], words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let mark = prop::sample::select(&["> ", ">> ", "< ", "<< "][..]);
    let line = (mark, prop::sample::select(names), value(words))
        .prop_map(|(mark, name, value)| [mark.as_bytes(), name.as_bytes(), b": ", &value].concat());
    prop::collection::vec(line, 0..10).prop_map(|lines| lines.join(&b"\n"[..]))
}

/// Little of what is random means anything, so there is more of it.
fn many() -> Config {
    let config = config();
    Config {
        cases: config.cases * 4,
        ..config
    }
}

proptest! {
    #![proptest_config(many())]

    #[test]
    fn cache_control(bytes in lines(&["Cache-Control", "pragma"], &[
        "max-age", "s-maxage=", "max-age=", "no-cache", "no-store", "private", "public", "max-stale", "min-fresh=", "stale-if-error=",
        "stale-while-revalidate=", "must-understand", "only-if-cached", "immutable", "must-revalidate", "\"x-a, b\"",
    ])) {
        laws::cache_control::hold(&Input::read(&bytes));
    }

    #[test]
    fn conditions(bytes in lines(&[
        "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "ETag", "Last-Modified", "Date", "Age", "Connection",
        "X-A", "Content-Length",
    ], &["\"a\"", "\"b\"", "W/\"a\"", "W/", "x-a", DATES[0], DATES[1], DATES[2], DATES[3], DATES[4]])) {
        laws::conditions::hold(&Input::read(&bytes));
    }

    #[test]
    fn dates(bytes in value(&[DATES[0], DATES[1], DATES[2], DATES[3], "Sun", "Nov", ":", "GMT", "94", "29 Feb"])) {
        laws::date::hold(&bytes);
    }

    #[test]
    fn hops(bytes in lines(&[
        "CDN-Loop", "Connection", "TE", "X-A", "Via", "Vary", "Keep-Alive", "Date", "traceparent", "tracestate",
    ], &[
        "verge-1", "VERGE-1;", "x-a", "te", "vary", "connection", "close", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "a=b", "t@s=1",
    ])) {
        laws::hops::hold(&Input::read(&bytes));
    }

    #[test]
    fn range(length in 0..300u64, bytes in lines(&["Range", "If-Range", "ETag", "Last-Modified", "Date"], &[
        "bytes=", "0-", "-5", "10-19", "50-120", "5-5", "200-", "1000-", "\"a\"", "W/\"a\"", DATES[0], DATES[3],
    ]), set in value(&["0-", "-5", "10-19", "15-16", "50-120", "5-5", "200-", "1000-", "-0", "9-8", ","])) {
        let input = [b"= ", length.to_string().as_bytes(), b"\n", &bytes].concat();
        laws::range::hold(&Input::read(&input));
        let input = [b"= ", length.to_string().as_bytes(), b"\n> Range: bytes=", &set].concat();
        laws::range::hold(&Input::read(&input));
    }

    #[test]
    fn structured(bytes in lines(&["CDN-Cache-Control", "cdn-cache-control", "Cache-Control", "Surrogate-Control"], &[
        "max-age=", "no-store", "private", "no-cache", "max-age=5", "s-maxage=1.5", "must-revalidate=?0", "?1", "(a b)", "\"x\"", "+30",
        ";verge", ";other", "stale-if-error=-1",
    ])) {
        laws::structured::hold(&Input::read(&bytes));
    }

    #[test]
    fn vary(bytes in lines(&["Vary", "Accept-Encoding", "Accept-Language", "X-A", "Content-Encoding", "Content-Language"], &[
        "accept-encoding", "Accept-Language", "x-a", "gzip", "GZIP", "br", "en", "de", ";q=0.5", ";Q=0.50", ";q=1", ";q=0",
    ])) {
        let always = b"< Vary: accept-encoding, accept-language\n";
        laws::vary::hold(&Input::read(&[&always[..], &bytes].concat()));
        laws::vary::hold(&Input::read(&bytes));
    }
}
