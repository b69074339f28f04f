//! Whether the edge's answer is the origin's. The fields that may differ stand here, each with the section that says so; where
//! the whole answer may be another stands in `allowed.rs`. Nothing else may.

use std::collections::BTreeSet;

use bytes::Bytes;
use hyper::header::HeaderValue;

use crate::cases::Case;
use crate::client::Got;
use crate::resource::{CONTROLS, Dates};
use crate::{allowed, multipart};

/// Fields of a connection (RFC 9110 7.6.1, RFC 9112 6.1), and `Cache-Status`, which a cache adds (RFC 9211).
const NOT_COMPARED: [&str; 5] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "cache-status",
];
/// No answer is older than this: the program's run, in seconds, and some patience.
const OLDEST: u64 = 600;

/// When an answer was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing of the URL was asked for before, or nothing but another variant.
    Cold,
    /// The whole was.
    Primed,
    /// The same was.
    Warm,
    /// Now the whole is, after whatever was asked before.
    After,
}

/// What the edge's answer is, held against the origin's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Same,
    /// Another, as this section has it.
    Allowed(&'static str),
    /// What is wrong with it.
    Wrong(Vec<String>),
}

/// Holds the edge's answer `got` against what the origin itself said.
pub fn verdict(case: &Case, dates: &Dates, stage: Stage, direct: &Got, got: &Got) -> Verdict {
    // RFC 9111 5.2.1.7: who wants nothing but what is stored gets a `504` where it is not.
    if stage == Stage::Cold && case.directive() == "only-if-cached" && case.reads() && got.status != 504 {
        return Verdict::Wrong(vec![format!("status {} instead of 504", got.status)]);
    }
    let strict = against(case, stage, direct, got);
    let verdict = match (strict.is_empty(), allowed::instead(case, dates, stage, direct, got)) {
        (true, _) => Verdict::Same,
        (false, Some(section)) => Verdict::Allowed(section),
        (false, None) => Verdict::Wrong(strict),
    };
    // A warm answer proves nothing if it is fetched again: what is fresh comes out of the cache, or out of the cold one's fetch,
    // which goes on behind an answer that was only a head or a range.
    let missed = stage == Stage::Warm && case.is_to_be_kept() && !got.is_hit() && !got.is_collapsed();
    match verdict {
        Verdict::Same | Verdict::Allowed(_) if missed => Verdict::Wrong(vec!["not out of the cache".to_owned()]),
        verdict => verdict,
    }
}

/// All in which `got` is not what an origin that said `direct` would have an edge say.
pub fn against(case: &Case, stage: Stage, direct: &Got, got: &Got) -> Vec<String> {
    if direct.status != got.status {
        return vec![format!("status {} instead of {}", got.status, direct.status)];
    }
    let mut found = Vec::new();
    found.extend(body_differs(direct, got));
    found.extend(age_differs(direct, got));
    found.extend(length_differs(case, direct, got));
    let names: BTreeSet<&str> = direct
        .fields
        .keys()
        .chain(got.fields.keys())
        .map(|name| name.as_str())
        .chain(["via"])
        .collect();
    let compared = names
        .into_iter()
        .filter(|name| !NOT_COMPARED.contains(name) && !["age", "content-length"].contains(name));
    found.extend(compared.filter_map(|name| field_differs(case, stage, name, direct, got)));
    found
}

fn body_differs(direct: &Got, got: &Got) -> Option<String> {
    let same = match (multipart::parts(direct), multipart::parts(got)) {
        // RFC 9110 14.6: how the parts are kept apart is up to who sends them.
        (Some(direct), Some(got)) => direct == got,
        (None, None) => direct.body == got.body,
        _ => false,
    };
    (!same).then(|| {
        format!(
            "body of {} bytes instead of {}: {} instead of {}",
            got.body.len(),
            direct.body.len(),
            short(&got.body),
            short(&direct.body)
        )
    })
}

fn short(body: &Bytes) -> String {
    body[..body.len().min(60)].escape_ascii().to_string()
}

/// RFC 9111 5.1: a cache adds or raises `Age`; 4: on what comes out of it there is one.
fn age_differs(direct: &Got, got: &Got) -> Option<String> {
    let age = |got: &Got| {
        got.fields
            .get("age")
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok())
    };
    let lines = got.fields.get_all("age").iter().count();
    let least = age(direct);
    let right = match (age(got), lines) {
        (Some(said), 1) => (least.unwrap_or(0)..=least.unwrap_or(0) + OLDEST).contains(&said),
        (None, 0) => least.is_none() && !got.is_hit(),
        _ => false,
    };
    (!right).then(|| {
        format!(
            "age {:?} where the origin says {:?}",
            got.fields.get("age"),
            direct.fields.get("age")
        )
    })
}

/// RFC 9112 6: framing is of the connection. Where a length is said it must be right, also where it is that of another body:
/// to `HEAD`, and in a `304` (RFC 9110 8.6).
fn length_differs(case: &Case, direct: &Got, got: &Got) -> Option<String> {
    let said = got.fields.get("content-length")?.to_str().ok()?.parse::<usize>().ok();
    let expected = match (case.method(), got.status) {
        ("HEAD", _) | (_, 304) => match direct.fields.get("content-length") {
            Some(length) => length.to_str().ok()?.parse().ok(),
            // An answer that is about no representation has its own length, which is none.
            None if got.status == 412 => Some(0),
            None => Some(case.resource().length()),
        },
        _ => Some(got.body.len()),
    };
    (said != expected).then(|| format!("content-length {said:?} instead of {expected:?}"))
}

fn field_differs(case: &Case, stage: Stage, name: &str, direct: &Got, got: &Got) -> Option<String> {
    let lines = |got: &Got| -> Vec<HeaderValue> { got.fields.get_all(name).iter().cloned().collect() };
    let (mut expected, said) = (lines(direct), lines(got));
    // RFC 9110 7.6.3
    if name == "via" {
        expected.push(HeaderValue::from_static("1.1 verge"));
    }
    let both_multipart =
        name == "content-type" && multipart::parts(direct).is_some() && multipart::parts(got).is_some();
    // RFC 9111 5.2.2.4, 5.2.2.7: a field that `no-cache` or `private` names is not for whoever comes next.
    let withheld = name == "x-own"
        && said.is_empty()
        && stage != Stage::Cold
        && CONTROLS[case.resource().control].0.ends_with("-field");
    (expected != said && !both_multipart && !withheld).then(|| format!("{name} {said:?} instead of {expected:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allowed::{has_same_bytes_in_other_parts, received};
    use crate::cases::generate;
    use crate::origin;
    use crate::resource::ASKED;
    use bytes::Bytes;

    fn plain() -> Case {
        generate(0, 1).first().copied().unwrap().plain()
    }

    fn direct(dates: &Dates) -> Got {
        received(origin::representation(&plain().resource(), None, dates, ASKED))
    }

    /// The same as an edge would send it out of its cache, with this done to it.
    fn through(direct: &Got, alter: fn(&mut Got)) -> Got {
        let mut got = direct.clone();
        for (name, value) in [
            ("via", "1.1 verge"),
            ("age", "1"),
            ("cache-status", "verge; hit; ttl=3599"),
        ] {
            got.fields.append(name, HeaderValue::from_static(value));
        }
        alter(&mut got);
        got
    }

    type Alteration = fn(&mut Got);

    /// Has an answer say this in a field; the empty value removes it.
    fn says(got: &mut Got, name: &'static str, value: &'static str) {
        match value {
            "" => got.fields.remove(name),
            value => got.fields.insert(name, HeaderValue::from_static(value)),
        };
    }

    #[test]
    fn what_a_cache_must_change_may_differ_and_nothing_else() {
        let dates = Dates::at(std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_800_000_000));
        let alterations: [(Alteration, bool); 13] = [
            (|_| {}, true),
            (|got| got.status = 203, false),
            (|got| got.body = got.body.slice(1..), false),
            (|got| got.body = Bytes::from(got.body.to_ascii_lowercase()), false),
            (|got| says(got, "etag", ""), false),
            (|got| says(got, "via", "1.1 other"), false),
            (|got| says(got, "via", ""), false),
            (|got| says(got, "age", ""), false),
            (|got| says(got, "date", "now"), false),
            (|got| says(got, "age", "100000"), false),
            (|got| says(got, "x-own", "three"), false),
            (|got| says(got, "content-length", "999"), false),
            (|got| says(got, "cache-status", "verge; fwd=stale"), false),
        ];
        for (number, (alter, same)) in alterations.into_iter().enumerate() {
            let direct = direct(&dates);
            let found = verdict(&plain(), &dates, Stage::Warm, &direct, &through(&direct, alter));
            assert_eq!(found == Verdict::Same, same, "alteration {number}: {found:?}");
            assert!(!matches!(found, Verdict::Allowed(_)), "alteration {number}: {found:?}");
        }
    }

    #[test]
    fn parts_are_held_against_each_other_byte_by_byte() {
        let dates = Dates::at(std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_800_000_000));
        let ranged = |range| received(origin::representation(&plain().resource(), Some(range), &dates, ASKED));
        let compared = |direct: &Got, got: &Got| against(&plain(), Stage::Cold, direct, &through(got, |_| {}));
        let two = ranged("bytes=0-9,20-29");
        let mut altered = two.clone();
        let mut body = altered.body.to_vec();
        let at = body.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        body[at] ^= 1;
        altered.body = body.into();
        assert_eq!(compared(&two, &two), Vec::<String>::new());
        assert_ne!(compared(&two, &altered), Vec::<String>::new());
        assert_ne!(compared(&two, &ranged("bytes=20-29,0-9")), Vec::<String>::new());
        // Those that overlap may be joined, but not shortened.
        let overlapping = ranged("bytes=0-9,5-14");
        assert!(has_same_bytes_in_other_parts(&overlapping, &ranged("bytes=0-14")));
        assert!(!has_same_bytes_in_other_parts(&overlapping, &ranged("bytes=0-13")));
        assert!(!has_same_bytes_in_other_parts(&two, &ranged("bytes=0-29")));
    }
}
