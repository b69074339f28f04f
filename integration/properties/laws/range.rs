//! What holds of every Range: no byte beyond the representation, none twice, none of those asked for left out.

use verge::policy::range::{ByteRange, Ranges, select};
use verge::policy::validator::{Validators, validators};

use crate::input::{self, Input};

/// The representation that ranges are worked out again for, byte by byte, is at most so long.
const COUNTED_MAX: u64 = 2048;
/// More ranges than this may be answered by the whole, whatever they are.
const LOOKED_AT_MAX: usize = 256;

/// Of the request against the response and a length, which is the first number.
pub fn hold(input: &Input) {
    let length = input.number_or(1000);
    let stored = validators(&input.response);
    let chosen = input::with(&input.request, |fields| select(fields, &stored, length));
    if let Ranges::Parts(parts) = &chosen {
        are_proper(parts, length);
        reads_what_is_written(parts, length);
    }
    let if_range = input::values(&input.request, "if-range");
    if !if_range.is_empty() {
        // RFC 9110 13.1.5: it decides only between what would be without it, and the whole.
        let rest = input::without(&input.request, "if-range");
        let unconditional = input::with(&rest, |fields| select(fields, &stored, length));
        assert!(chosen == Ranges::Whole || chosen == unconditional, "{input:?}");
        let nothing = Validators::default();
        let chosen = input::with(&input.request, |fields| select(fields, &nothing, length));
        assert_eq!(chosen, Ranges::Whole, "{input:?}");
    } else if let [only] = input::values(&input.request, "range")[..] {
        counted_by_bytes(only, &chosen, length);
    }
}

fn are_proper(parts: &[ByteRange], length: u64) {
    assert!((1..=16).contains(&parts.len()), "{parts:?}");
    for (at, part) in parts.iter().enumerate() {
        assert!(part.start < part.end && part.end <= length, "{parts:?} of {length}");
        let apart = |other: &ByteRange| other.end <= part.start || part.end <= other.start;
        assert!(parts[..at].iter().all(apart), "{parts:?}");
    }
}

/// A Range written of some parts selects just these.
pub fn reads_what_is_written(parts: &[ByteRange], length: u64) {
    let specs: Vec<String> = parts
        .iter()
        .map(|part| format!("{}-{}", part.start, part.end - 1))
        .collect();
    let value = format!("bytes={}", specs.join(","));
    let lines = [(&b"range"[..], value.as_bytes())];
    let chosen = input::with(&lines, |fields| select(fields, &Validators::default(), length));
    assert_eq!(chosen, Ranges::Parts(parts.into()), "{value} of {length}");
}

/// What a plainer reading of the same value, byte by byte, comes to.
fn counted_by_bytes(value: &[u8], chosen: &Ranges, length: u64) {
    if length > COUNTED_MAX {
        return;
    }
    match (asked_bytes(value, length), chosen) {
        (None, chosen) => assert_eq!(*chosen, Ranges::Whole, "{}", value.escape_ascii()),
        (Some(asked), Ranges::Unsatisfiable) => {
            assert!(asked.iter().all(|byte| !byte), "{}", value.escape_ascii());
        }
        (Some(asked), Ranges::Parts(parts)) => {
            for (at, _) in asked.iter().enumerate().filter(|(_, asked)| **asked) {
                let at = at as u64;
                let sent = parts.iter().any(|part| (part.start..part.end).contains(&at));
                assert!(sent, "byte {at} of {}", value.escape_ascii());
            }
        }
        // All is always a right answer, if anything was asked for at all.
        (Some(asked), Ranges::Whole) => {
            let many = value.iter().filter(|byte| **byte == b',').count() >= LOOKED_AT_MAX;
            let any = asked.iter().any(|byte| *byte);
            assert!(length == 0 || any || many, "{}", value.escape_ascii());
        }
    }
}

/// Which bytes are asked for; none if that cannot be read.
fn asked_bytes(value: &[u8], length: u64) -> Option<Vec<bool>> {
    let text = std::str::from_utf8(value).ok()?;
    let (unit, set) = text.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut asked = vec![false; usize::try_from(length).ok()?];
    let specs = set.split(',').map(|spec| spec.trim_matches([' ', '\t']));
    let mut any = false;
    for spec in specs {
        if !spec.is_empty() {
            any = true;
            let (from, to) = bounds(spec, u128::from(length))?;
            let within = |at: u128| usize::try_from(at.min(u128::from(length))).unwrap_or(usize::MAX);
            let (from, to) = (within(from), within(to));
            asked.get_mut(from..to)?.fill(true);
        }
    }
    any.then_some(asked)
}

/// The first byte, and the one after the last.
fn bounds(spec: &str, length: u128) -> Option<(u128, u128)> {
    let (first, last) = spec.split_once('-')?;
    match (first, last) {
        ("", last) => Some((length.saturating_sub(position(last)?), length)),
        (first, "") => Some((position(first)?, u128::MAX)),
        (first, last) => {
            let (first, last) = (position(first)?, position(last)?);
            (first <= last).then(|| (first, last.saturating_add(1)))
        }
    }
}

/// Beyond the greatest length there is, one position is like another.
fn position(digits: &str) -> Option<u128> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| u128::from(digits.parse().unwrap_or(u64::MAX)))
}
