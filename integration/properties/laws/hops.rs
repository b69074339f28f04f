//! What holds of the fields that say, or serve, the way of a message: CDN-Loop, Connection and what it names.

use std::time::UNIX_EPOCH;

use http::{HeaderMap, HeaderName, header};
use verge::policy::cdn_loop::has_passed;
use verge::policy::{date, hop, list, trace};

use crate::input::{self, Input, Lines};

const ID: &str = "verge-1";

/// Members of CDN-Loop beyond which it is one, whoever they are.
const MOST: usize = 32;

/// Of the request's CDN-Loop and trace, and of the response's fields.
pub fn hold(input: &Input) {
    loops(&input.request);
    traces(&input.request);
    strips(&input.response);
    completes(&input.response);
}

fn loops(lines: &Lines) {
    let passed = |lines: &Lines, id: &str| input::with(lines, |fields| has_passed(fields, id));
    let before = passed(lines, ID);
    assert_eq!(passed(lines, "VERGE-1"), before, "{lines:?}");
    let members: Vec<&[u8]> = input::values(lines, "cdn-loop")
        .into_iter()
        .flat_map(list::members)
        .collect();
    if before && members.len() <= MOST {
        let names_us =
            |member: &&[u8]| member.len() >= ID.len() && member[..ID.len()].eq_ignore_ascii_case(ID.as_bytes());
        assert!(members.iter().any(names_us), "{lines:?}");
    }
    // Whoever writes itself down finds itself, and nobody who was there is forgotten.
    for own in [&b"verge-1"[..], b"a, Verge-1 ; x=\"y, z\"", b",verge-1,"] {
        let mut more = lines.clone();
        more.push((b"CDN-Loop", own));
        assert!(passed(&more, ID), "{lines:?}");
    }
    let mut more = lines.clone();
    more.push((b"cdn-loop", b"b"));
    assert_eq!(passed(&more, ID), before || members.len() >= MOST, "{lines:?}");
}

/// What is passed on as valid is what the recommendation allows.
fn traces(lines: &Lines) {
    let id = input::with(lines, |fields| trace::trace_id(fields).map(<[u8]>::to_vec));
    let parents = input::values(lines, trace::TRACEPARENT);
    if let Some(id) = id {
        let lower_hex = id.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        assert!(id.len() == 32 && lower_hex && id.iter().any(|digit| *digit != b'0'));
        assert!(parents.len() == 1 && parents[0][3..35] == *id, "{parents:?}");
    }
    let states = input::values(lines, trace::TRACESTATE);
    let valid = |values: &[&[u8]]| {
        let lines: Lines = values.iter().map(|value| (&b"tracestate"[..], *value)).collect();
        input::with(&lines, trace::state_is_valid)
    };
    // RFC 9110 5.3: lines are one list.
    let joined = states.join(&b", "[..]);
    assert_eq!(valid(&[&joined]), valid(&states), "{states:?}");
    if valid(&states) {
        assert!(states.iter().all(|value| valid(&[value])), "{states:?}");
    }
}

fn strips(fields: &HeaderMap) {
    let mut left = fields.clone();
    hop::strip_hop_by_hop(&mut left);
    let mut again = left.clone();
    hop::strip_hop_by_hop(&mut again);
    assert_eq!(again, left);
    for name in fields.keys() {
        let goes = hop::is_hop_by_hop(name.as_str()) || is_named(fields, name);
        assert_eq!(left.contains_key(name), !goes, "{name} of {fields:?}");
        if !goes {
            assert!(left.get_all(name).iter().eq(fields.get_all(name).iter()), "{name}");
        }
    }
    // Whatever Connection names, caching and framing rest on these.
    for name in [
        header::CACHE_CONTROL,
        header::CONTENT_LENGTH,
        header::VARY,
        header::SET_COOKIE,
        header::AGE,
    ] {
        assert_eq!(
            left.contains_key(&name),
            fields.contains_key(&name),
            "{name} of {fields:?}"
        );
    }
}

fn is_named(fields: &HeaderMap, name: &HeaderName) -> bool {
    let named = fields
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|line| list::members(line.as_bytes()))
        .any(|option| option.eq_ignore_ascii_case(name.as_str().as_bytes()));
    assert_eq!(
        hop::is_named(fields, name),
        named && hop::is_removable(name.as_str()),
        "{name}"
    );
    named && hop::is_removable(name.as_str())
}

fn completes(fields: &HeaderMap) {
    let mut complete = fields.clone();
    hop::complete(&mut complete, UNIX_EPOCH);
    let via = complete.get_all(header::VIA).iter().next_back();
    assert_eq!(via.map(|hop| hop.as_bytes()), Some(&b"1.1 verge"[..]));
    let date = complete.get(header::DATE);
    match fields.get(header::DATE) {
        Some(theirs) => assert_eq!(date, Some(theirs)),
        None => assert_eq!(date.and_then(|date| date::parse(date.as_bytes())), Some(UNIX_EPOCH)),
    }
}
