//! What is asked: combinations of a representation and a request.

use std::collections::HashSet;
use std::time::Duration;

use crate::resource::{CONTROLS, Dates, Resource, SIZES, STATUSES, VALIDATORS, VARIES};

pub const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];

/// Conditions. `{modified}`, `{earlier}`, `{later}` and `{future}` stand for dates, the first that of `Last-Modified`.
pub const CONDITIONS: [&[(&str, &str)]; 37] = [
    &[],
    &[("if-none-match", "\"v1\"")],
    &[("if-none-match", "W/\"v1\"")],
    &[("if-none-match", "\"a\", \"v1\" , W/\"b\"")],
    &[("if-none-match", "\"a,v1\",\"v1\"")],
    &[("if-none-match", "\"a\""), ("if-none-match", "\"v1\"")],
    &[("if-none-match", "\"other\"")],
    &[("if-none-match", "\"a\", W/\"b\",, \"c\"")],
    &[("if-none-match", "*")],
    &[("if-none-match", "v1")],
    &[("if-match", "\"v1\"")],
    &[("if-match", "W/\"v1\"")],
    &[("if-match", "\"other\"")],
    &[("if-match", "\"a\", \"v1\"")],
    &[("if-match", "*")],
    &[("if-modified-since", "{modified}")],
    &[("if-modified-since", "{earlier}")],
    &[("if-modified-since", "{later}")],
    &[("if-modified-since", "{future}")],
    &[("if-modified-since", "{modified-850}")],
    &[("if-modified-since", "{modified-c}")],
    &[("if-modified-since", "yesterday")],
    &[("if-unmodified-since", "{modified}")],
    &[("if-unmodified-since", "{earlier}")],
    &[("if-unmodified-since", "{later}")],
    &[("if-unmodified-since", "0")],
    &[("if-none-match", "\"other\""), ("if-modified-since", "{later}")],
    &[("if-none-match", "\"v1\""), ("if-modified-since", "{earlier}")],
    &[("if-match", "\"v1\""), ("if-unmodified-since", "{earlier}")],
    &[("if-match", "\"other\""), ("if-unmodified-since", "{later}")],
    &[("if-match", "\"v1\""), ("if-none-match", "\"v1\"")],
    &[("if-match", "\"v1\""), ("if-none-match", "\"other\"")],
    &[("if-match", "\"other\""), ("if-none-match", "\"v1\"")],
    &[("if-unmodified-since", "{earlier}"), ("if-none-match", "\"v1\"")],
    &[("if-unmodified-since", "{later}"), ("if-modified-since", "{later}")],
    &[("if-match", "*"), ("if-none-match", "*")],
    &[("if-match", "*"), ("if-modified-since", "{later}")],
];

pub const RANGES: [&str; 34] = [
    "",
    "bytes=0-0",
    "bytes=0-99",
    "bytes=100-199",
    "bytes=500-",
    "bytes=0-",
    "bytes=-1",
    "bytes=-100",
    "bytes=-0",
    "bytes=-1000000",
    "bytes=999-999",
    "bytes=999-5000",
    "bytes=1000-",
    "bytes=1000000-",
    "bytes=262100-262200",
    "bytes=0-9,20-29",
    "bytes=0-9,10-19",
    "bytes=900-909,0-9",
    "bytes=0-9,-10",
    "bytes=0-9,5000000-",
    "bytes=5000000-,6000000-",
    "bytes=0-9,5-14",
    "bytes=0-,0-",
    "bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14",
    "bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16,18-18,20-20,22-22,24-24,26-26,28-28,30-30,32-32,34-34",
    "bytes= 0-9 ,, 20-29 ,",
    "BYTES=0-9",
    "bytes=9-0",
    "bytes=",
    "bytes=-",
    "bytes=a-b",
    "bytes=0-9,x",
    "items=0-9",
    "bytes=18446744073709551616-18446744073709551617",
];

pub const IF_RANGES: [&str; 8] = [
    "",
    "\"v1\"",
    "W/\"v1\"",
    "\"other\"",
    "{modified}",
    "{later}",
    "{earlier}",
    "v1",
];

/// What a client says of caching.
pub const DIRECTIVES: [(&str, &str); 11] = [
    ("", ""),
    ("cache-control", "no-cache"),
    ("cache-control", "no-store"),
    ("cache-control", "max-age=0"),
    ("cache-control", "max-age=60"),
    ("cache-control", "max-stale"),
    ("cache-control", "min-fresh=10"),
    ("cache-control", "only-if-cached"),
    ("cache-control", "no-transform, unknown=\"1\""),
    ("pragma", "no-cache"),
    ("cache-control", "stale-if-error=60"),
];

pub const CREDENTIALS: [(&str, &str); 3] = [("", ""), ("cookie", "a=1"), ("authorization", "Basic YTpi")];

/// How many choices there are of each kind, a combination's first five being those of its representation.
const CHOICES: [usize; KINDS] = [
    STATUSES.len(),
    VALIDATORS.len(),
    CONTROLS.len(),
    VARIES.len(),
    SIZES.len(),
    METHODS.len(),
    CONDITIONS.len(),
    RANGES.len(),
    IF_RANGES.len(),
    DIRECTIVES.len(),
    CREDENTIALS.len(),
];
const KINDS: usize = 11;
const OF_RESOURCE: usize = 5;

/// One in so many drawn combinations may have the largest body.
const LARGE: u64 = 16;

/// A combination: a choice of each kind; the first of each is the usual one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Case([usize; KINDS]);

/// All pairs of choices, beside what is usual of all other kinds, and so many drawn ones that mix everything.
pub fn generate(drawn: usize, seed: u64) -> Vec<Case> {
    let mut known = HashSet::new();
    let mut cases: Vec<Case> = pairs().into_iter().filter(|case| known.insert(*case)).collect();
    let wanted = cases.len() + drawn;
    let mut draw = Draw(seed);
    while cases.len() < wanted {
        let case = draw.case();
        if known.insert(case) {
            cases.push(case);
        }
    }
    cases
}

fn pairs() -> Vec<Case> {
    let mut cases = Vec::new();
    for one in 0..KINDS {
        for other in one + 1..KINDS {
            for first in 0..CHOICES[one] {
                for second in 0..CHOICES[other] {
                    let mut choices = [0; KINDS];
                    (choices[one], choices[other]) = (first, second);
                    cases.push(Case(choices));
                }
            }
        }
    }
    cases
}

/// Xorshift: the same cases for the same seed, on every machine.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Most responses are a `200` to a `GET`, where there is the most to get wrong.
    fn case(&mut self) -> Case {
        let mut choices = CHOICES.map(|choices| (self.next() % choices as u64) as usize);
        let usual = self.next();
        if !usual.is_multiple_of(4) {
            choices[0] = 0;
        }
        if !(usual / 4).is_multiple_of(4) {
            choices[5] = 0;
        }
        if SIZES[choices[4]].0 > 100_000 && !(usual / 16).is_multiple_of(LARGE) {
            choices[4] = 0;
        }
        Case(choices)
    }
}

impl Case {
    pub fn resource(&self) -> Resource {
        let [status, validators, control, vary, size, ..] = self.0;
        Resource {
            status,
            validators,
            control,
            vary,
            size,
        }
    }

    pub fn method(&self) -> &'static str {
        METHODS[self.0[5]]
    }

    pub fn reads(&self) -> bool {
        matches!(self.method(), "GET" | "HEAD")
    }

    pub fn range(&self) -> &'static str {
        RANGES[self.0[7]]
    }

    pub fn directive(&self) -> &'static str {
        DIRECTIVES[self.0[9]].1
    }

    pub fn has_condition(&self, name: &str) -> bool {
        CONDITIONS[self.0[6]].iter().any(|(known, _)| *known == name)
    }

    /// Whether no one may say that the representation is not to be stored, or not for this client.
    pub fn is_to_be_kept(&self) -> bool {
        let usual = |name: &str| VARIES.iter().position(|(known, _)| *known == name);
        let resource = self.resource();
        let stored = resource.status() == 200
            && CONTROLS[resource.control].0 == "max-age"
            && Some(resource.vary) != usual("anything");
        stored && self.reads() && self.directive() != "no-store" && CREDENTIALS[self.0[10]].0 != "authorization"
    }

    /// A request for all of the same representation, without anything unusual.
    pub fn plain(&self) -> Case {
        let mut choices = [0; KINDS];
        choices[..OF_RESOURCE].copy_from_slice(&self.0[..OF_RESOURCE]);
        Case(choices)
    }

    pub fn asks_since_the_future(&self) -> bool {
        CONDITIONS[self.0[6]].contains(&("if-modified-since", "{future}"))
    }

    pub fn varies(&self) -> bool {
        self.resource().varies()
    }

    /// The request's fields, in the order in which they are sent.
    pub fn fields(&self, dates: &Dates) -> Vec<(&'static str, String)> {
        let conditions = CONDITIONS[self.0[6]].iter().copied();
        let others = [
            ("range", self.range()),
            ("if-range", IF_RANGES[self.0[8]]),
            DIRECTIVES[self.0[9]],
            CREDENTIALS[self.0[10]],
        ];
        let given = conditions.chain(others).filter(|(_, value)| !value.is_empty());
        given.map(|(name, value)| (name, fill(value, dates))).collect()
    }

    pub fn body(&self) -> &'static str {
        match self.method() {
            "POST" | "PUT" | "PATCH" => "payload",
            _ => "",
        }
    }
}

fn fill(value: &str, dates: &Dates) -> String {
    let (hour, modified) = (Duration::from_secs(3600), dates.modified);
    match value {
        "{modified}" => httpdate::fmt_http_date(modified),
        "{earlier}" => httpdate::fmt_http_date(modified - hour),
        "{later}" => httpdate::fmt_http_date(modified + hour),
        "{future}" => httpdate::fmt_http_date(dates.now + hour),
        "{modified-850}" => obsolete(&httpdate::fmt_http_date(modified)).0,
        "{modified-c}" => obsolete(&httpdate::fmt_http_date(modified)).1,
        other => other.to_owned(),
    }
}

/// The same date in the forms of RFC 850 and of C's asctime (RFC 9110 5.6.7).
fn obsolete(date: &str) -> (String, String) {
    const DAYS: [&str; 7] = [
        "Monday",
        "Tuesday",
        "Wednesday",
        "Thursday",
        "Friday",
        "Saturday",
        "Sunday",
    ];
    let parts: Vec<&str> = date.split([' ', ',']).filter(|part| !part.is_empty()).collect();
    let [day, number, month, year, time, _] = parts[..] else {
        return (date.to_owned(), date.to_owned());
    };
    let long = DAYS.iter().find(|long| long.starts_with(day)).unwrap_or(&day);
    let padded = format!("{:>2}", number.trim_start_matches('0'));
    (
        format!("{long}, {number}-{month}-{} {time} GMT", &year[2..]),
        format!("{day} {month} {padded} {time} {year}"),
    )
}
