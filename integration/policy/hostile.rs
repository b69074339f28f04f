//! Every reader of `policy` is given pieces of field values in random order; none may panic or break its promises.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use verge::clock::Now;
use verge::policy::range::{Ranges, select};
use verge::policy::storable::Asked;
use verge::policy::validator::{merge_not_modified, selects, validators};
use verge::policy::{self, Field, RequestFields, Terms, Vary, hop, invalidate};

const NAMES: [&str; 22] = [
    "accept-encoding",
    "age",
    "cache-control",
    "connection",
    "content-location",
    "date",
    "etag",
    "expires",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "last-modified",
    "location",
    "pragma",
    "range",
    "set-cookie",
    "vary",
    "x-a",
    "content-length",
];

const PIECES: [&[u8]; 44] = [
    b"\"",
    b"\\",
    b",",
    b";",
    b"=",
    b" ",
    b"\t",
    b"*",
    b"-",
    b"0",
    b"1",
    b"9",
    b"99",
    b"18446744073709551615",
    b"bytes=",
    b"W/",
    b"\"a\"",
    b"max-age",
    b"s-maxage",
    b"no-cache",
    b"no-store",
    b"private",
    b"public",
    b"max-stale",
    b"min-fresh",
    b"stale-while-revalidate",
    b"stale-if-error",
    b"must-understand",
    b"Sun, 06 Nov 1994 08:49:37 GMT",
    b"Thu, 01 Jan 1970 00:00:00 GMT",
    b"Fri, 31 Dec 9999 23:59:59 GMT",
    b"Sun Nov  6 08:49:37 1994",
    b"\xff",
    b"\xc3\xa9",
    b"x-a",
    b"vary",
    b"/",
    b"..",
    b"?",
    b"#",
    b":",
    b"//",
    b"https://a",
    b"accept-encoding",
];

/// xorshift64*, which repeats for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    fn lines(&mut self) -> Vec<(&'static str, Vec<u8>)> {
        let count = self.below(8);
        (0..count)
            .map(|_| (NAMES[self.below(NAMES.len())], self.value()))
            .collect()
    }

    fn value(&mut self) -> Vec<u8> {
        let count = self.below(7);
        (0..count)
            .flat_map(|_| PIECES[self.below(PIECES.len())])
            .copied()
            .collect()
    }

    fn time(&mut self) -> Duration {
        [
            Duration::ZERO,
            Duration::from_millis(1500),
            Duration::from_secs(100),
            Duration::MAX,
        ][self.below(4)]
    }
}

fn head(lines: &[(&'static str, Vec<u8>)]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for (name, value) in lines {
        fields.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
    }
    fields
}

#[test]
fn no_input_panics() {
    for seed in 1..=40_000 {
        let mut random = Random(seed);
        let lines = random.lines();
        let lines: Vec<Field> = lines
            .iter()
            .map(|(name, value)| Field {
                name: name.as_bytes(),
                value,
            })
            .collect();
        let request = RequestFields::new(&lines);
        let (stored, update) = (head(&random.lines()), head(&random.lines()));
        respond(&mut random, &request, &stored);
        store(&mut random, &request, &stored);
        let mut merged = merge_not_modified(&stored, &update);
        selects(&validators(&stored), &update);
        hop::strip_hop_by_hop(&mut merged);
    }
}

fn respond(random: &mut Random, request: &RequestFields, stored: &HeaderMap) {
    let stored = validators(stored);
    policy::precondition(request, random.below(2) == 0, &stored);
    let length = [0, 1, 100, u64::MAX][random.below(4)];
    if let Ranges::Parts(parts) = select(request, &stored, length) {
        assert!((1..=16).contains(&parts.len()), "{parts:?}");
        assert!(
            parts.iter().all(|part| part.start < part.end && part.end <= length),
            "{parts:?}"
        );
        let total: u128 = parts.iter().map(|part| u128::from(part.length())).sum();
        assert!(total <= u128::from(length), "{parts:?}");
    }
}

fn store(random: &mut Random, request: &RequestFields, stored: &HeaderMap) {
    let status = StatusCode::from_u16(100 + random.below(900) as u16).unwrap();
    let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(random.below(1 << 30) as u64);
    let moment = |monotonic| Now { monotonic, wall };
    let directives = policy::response_directives(stored);
    let (sent, came, now) = (random.time(), random.time(), random.time());
    let known = policy::freshness(status, stored, &directives, moment(sent), moment(came), true);
    assert_eq!(known.is_fresh(now), known.ttl(now) > 0, "{known:?}");
    let terms = Terms {
        client_may_revalidate: random.below(2) == 0,
        ..Terms::default()
    };
    policy::reuse(
        &policy::request_directives(request),
        &known,
        random.below(2) == 0,
        &terms,
        now,
    );
    let _ = policy::storable(&Asked::default(), status, stored, directives.clone());
    let target = invalidate::Target {
        scheme: "https",
        authority: "a",
        path: "/b",
    };
    invalidate::invalidates(&Method::POST, status);
    invalidate::also_invalidated(stored, &target);
    if let Vary::Fields(spec) = policy::vary(stored) {
        let (mut once, mut again) = (Vec::new(), Vec::new());
        spec.each_value(request, &mut |bytes| once.extend_from_slice(bytes));
        spec.each_value(request, &mut |bytes| again.extend_from_slice(bytes));
        assert_eq!(once, again);
    }
}
