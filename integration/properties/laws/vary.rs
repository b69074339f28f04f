//! What holds of every Vary: requests that mean the same select the same variant, and no others do.

use std::collections::BTreeMap;

use http::{HeaderName, header};
use verge::policy::vary::{ContentOf, Vary, VarySpec, vary};

use crate::input::{self, Input, Lines};

/// Of the response and the two requests.
pub fn hold(input: &Input) {
    let Vary::Fields(spec) = vary(&input.response) else {
        return;
    };
    let names: Vec<&str> = spec.names().iter().map(HeaderName::as_str).collect();
    assert!((1..=32).contains(&names.len()), "{names:?}");
    assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    let (one, other) = (selected(&spec, &input.request), selected(&spec, &input.other));
    is_framed(&spec, &one, &input.request);
    spelling_does_not_count(&spec, &one, &input.request);
    preferences_are_told_apart(&spec, (&one, &other), input);
    is_best_of_nothing_else(&spec, &one, input);
}

/// The values that a request selects by.
pub fn selected(spec: &VarySpec, lines: &Lines) -> Vec<u8> {
    let mut stream = Vec::new();
    input::with(lines, |fields| {
        spec.each_value(fields, &mut |bytes| stream.extend_from_slice(bytes))
    });
    stream
}

/// The values by name; `None` is one that is absent.
fn unframed(spec: &VarySpec, mut stream: &[u8]) -> Option<BTreeMap<String, Option<Vec<u8>>>> {
    let mut values = BTreeMap::new();
    for name in spec.names() {
        let (tag, rest) = stream.split_first()?;
        stream = rest;
        let value = match tag {
            0 => None,
            _ => {
                let (length, rest) = stream.split_first_chunk()?;
                let (value, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
                stream = rest;
                Some(value.to_vec())
            }
        };
        values.insert(name.to_string(), value);
    }
    stream.is_empty().then_some(values)
}

fn is_framed(spec: &VarySpec, stream: &[u8], lines: &Lines) {
    let values = unframed(spec, stream).expect("every length is that of its value");
    for (name, value) in values {
        let absent = input::values(lines, &name).is_empty();
        assert_eq!(value.is_none(), absent, "{name} of {lines:?}");
    }
}

/// Names in any case, and what stands between lines of another name.
fn spelling_does_not_count(spec: &VarySpec, stream: &[u8], lines: &Lines) {
    let mut sorted: Vec<(Vec<u8>, &[u8])> = lines
        .iter()
        .map(|(name, value)| (name.to_ascii_uppercase(), *value))
        .collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    let sorted: Lines = sorted.iter().map(|(name, value)| (&**name, *value)).collect();
    assert_eq!(selected(spec, &sorted), stream, "{lines:?}");
    // RFC 9110 5.3: lines are one list.
    if !lines.iter().all(|(_, value)| input::is_balanced(value)) {
        return;
    }
    let joined: Vec<(&str, Vec<u8>)> = spec
        .names()
        .iter()
        .map(|name| (name.as_str(), input::values(lines, name.as_str())))
        .filter(|(_, values)| !values.is_empty())
        .map(|(name, values)| (name, values.join(&b" ,\t"[..])))
        .collect();
    let joined: Lines = joined.iter().map(|(name, value)| (name.as_bytes(), &**value)).collect();
    assert_eq!(selected(spec, &joined), stream, "{lines:?}");
}

/// Two requests that can be read as preferences select the same variant if, and only if, these are the same.
fn preferences_are_told_apart(spec: &VarySpec, streams: (&[u8], &[u8]), input: &Input) {
    let (Some(one), Some(other)) = (unframed(spec, streams.0), unframed(spec, streams.1)) else {
        return;
    };
    for name in [header::ACCEPT_ENCODING, header::ACCEPT_LANGUAGE] {
        let read = |lines| preferences(&input::values(lines, name.as_str()));
        let (Some(Some(a)), Some(Some(b))) = (one.get(name.as_str()), other.get(name.as_str())) else {
            continue;
        };
        match (read(&input.request), read(&input.other)) {
            (Some(first), Some(second)) => assert_eq!(a == b, first == second, "{first:?}, {second:?}"),
            (None, None) => {}
            // What is no preference is not taken for one.
            _ => assert_ne!(a, b, "{input:?}"),
        }
    }
}

/// A plainer reading of a list of at most 16 preferences: names in lower case, and weights in thousandths.
fn preferences(lines: &[&[u8]]) -> Option<BTreeMap<String, u16>> {
    let mut read = BTreeMap::new();
    let text = String::from_utf8(lines.join(&b","[..])).ok()?;
    let members: Vec<&str> = text
        .split(',')
        .map(|member| member.trim_matches([' ', '\t']))
        .filter(|member| !member.is_empty())
        .collect();
    if members.len() > 16 {
        return None;
    }
    for member in members {
        let (name, weight) = match member.split_once(';') {
            None => (member, 1000),
            Some((name, parameter)) => (
                name.trim_matches([' ', '\t']),
                weight(parameter.trim_matches([' ', '\t']))?,
            ),
        };
        let is_token = !name.is_empty() && name.bytes().all(verge::policy::list::is_token_byte);
        is_token.then_some(())?;
        read.entry(name.to_ascii_lowercase()).or_insert(weight);
    }
    Some(read)
}

fn weight(parameter: &str) -> Option<u16> {
    let value = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="))?;
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let digits = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = digits && matches!(whole, "0" | "1");
    let thousandths: u16 = format!("{whole}{fraction:0<3}").parse().ok()?;
    (is_number && thousandths <= 1000).then_some(thousandths)
}

/// What is stored answers another request only by its content, and by all else that selects being the same.
fn is_best_of_nothing_else(spec: &VarySpec, stored: &[u8], input: &Input) {
    let is_best = |values: &[u8], content| input::with(&input.other, |fields| spec.is_best(fields, values, content));
    assert!(!is_best(stored, ContentOf::default()), "{input:?}");
    let content = ContentOf {
        language: input::values(&input.request, "content-language").first().copied(),
        coding: input::values(&input.request, "content-encoding").first().copied(),
    };
    // Values from anywhere are looked at as well: they come out of a store.
    for cut in [0, 1, stored.len() / 2, stored.len().saturating_sub(1)] {
        let cut = &stored[..cut.min(stored.len())];
        assert!(cut.len() == stored.len() || !is_best(cut, content), "{input:?}");
    }
    if !is_best(stored, content) {
        return;
    }
    let other = selected(spec, &input.other);
    let (Some(stored), Some(other)) = (unframed(spec, stored), unframed(spec, &other)) else {
        return;
    };
    let mut by_content = 0;
    for (name, value) in &other {
        let preferred = match name.as_str() {
            "accept-language" => content.language,
            "accept-encoding" => content.coding,
            _ => None,
        };
        let read = preferences(&input::values(&input.other, name));
        let is_first = preferred.is_some_and(|is| read.is_some_and(|read| first_is(&read, is)));
        by_content += usize::from(is_first);
        assert!(is_first || stored.get(name) == Some(value), "{name} of {input:?}");
    }
    assert!(by_content > 0, "{input:?}");
}

/// Whether this alone has the greatest weight.
fn first_is(preferences: &BTreeMap<String, u16>, is: &[u8]) -> bool {
    let Some(weight) = preferences.get(&*String::from_utf8_lossy(is).to_ascii_lowercase()) else {
        return false;
    };
    let as_good = preferences.values().filter(|other| *other >= weight).count();
    *weight > 0 && as_good == 1
}
