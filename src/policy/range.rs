//! Which bytes of a representation were asked for (RFC 9110 14.2).

use http::HeaderMap;
use http::header::CONTENT_RANGE;
use smallvec::SmallVec;

use super::fields::{Known, RequestFields};
use super::list;
use super::validator::Validators;

/// More parts than this are never sent.
const PARTS_MAX: usize = 16;
/// More ranges than this are not even looked at.
const ASKED_MAX: usize = 256;
/// Parts with less than this between them are joined when parts are joined at all, in bytes (RFC 9110 15.3.7.2).
const GAP: u64 = 80;

/// The bytes from `start` up to but without `end`; never empty, never beyond the representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte.
    pub start: u64,
    /// The byte after the last.
    pub end: u64,
}

impl ByteRange {
    /// How many bytes.
    pub fn length(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

/// What of a representation to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ranges {
    /// All of it, `200`.
    Whole,
    /// These parts (1 to 16), `206`.
    Parts(SmallVec<[ByteRange; 2]>),
    /// Nothing asked for exists, `416`.
    Unsatisfiable,
}

/// Reads Range and If-Range against a representation of `length` bytes.
///
/// The caller asks only for a `GET` (RFC 9110 14.2) that would else be answered `200`, after the preconditions (13.2.2).
pub fn select(fields: &RequestFields, validators: &Validators, length: u64) -> Ranges {
    if !fields.has(Known::Range) {
        return Ranges::Whole;
    }
    // RFC 9110 13.2.2 step 5, 13.1.5: without a match the Range is ignored.
    if fields.has(Known::IfRange) {
        let named = fields.only(Known::IfRange);
        if !named.is_some_and(|value| validators.if_range_matches(list::trim(value))) {
            return Ranges::Whole;
        }
    }
    // RFC 9110 14.2: what is malformed, or of an unknown unit, is ignored.
    let Some(set) = fields.only(Known::Range).and_then(byte_set) else {
        return Ranges::Whole;
    };
    let Some(parts) = satisfiable(set, length) else {
        return Ranges::Whole;
    };
    match parts.is_empty() {
        // RFC 9110 15.5.17
        true => Ranges::Unsatisfiable,
        false => tame(parts, length),
    }
}

/// Where the range begins, and where it ends if it says, that a request asks for with one range and no condition on it: of a
/// representation whose length nobody here knows. None for all else, and for what is counted from the end.
pub fn sought(fields: &RequestFields) -> Option<(u64, Option<u64>)> {
    if !fields.has(Known::Range) || fields.has(Known::IfRange) {
        return None;
    }
    let set = fields.only(Known::Range).and_then(byte_set)?;
    let (first, last) = split_spec(list::trim(set))?;
    let start = list::decimal(first)?;
    if last.is_empty() {
        return Some((start, None));
    }
    let end = list::decimal(last)?.checked_add(1)?;
    (start < end).then_some((start, Some(end)))
}

fn split_spec(spec: &[u8]) -> Option<(&[u8], &[u8])> {
    let dash = spec.iter().position(|byte| *byte == b'-')?;
    Some((&spec[..dash], &spec[dash + 1..]))
}

/// What a `206` carries, by its `Content-Range` (RFC 9110 14.4), and how long the whole is, if it says; none if that cannot
/// be.
pub fn content_range(fields: &HeaderMap) -> Option<(ByteRange, Option<u64>)> {
    let mut lines = fields.get_all(CONTENT_RANGE).iter();
    let only = lines.next().filter(|_| lines.next().is_none())?;
    let (unit, rest) = only.to_str().ok()?.trim().split_once(' ')?;
    let (range, complete) = rest.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let start = list::decimal(first.as_bytes())?;
    let end = list::decimal(last.as_bytes())?.checked_add(1)?;
    let complete = match complete {
        "*" => None,
        digits => Some(list::decimal(digits.as_bytes())?),
    };
    // RFC 9110 14.4: invalid if the last position is less than the first, or not less than the complete length.
    let is_valid = unit.eq_ignore_ascii_case("bytes") && start < end && complete.is_none_or(|length| end <= length);
    is_valid.then_some((ByteRange { start, end }, complete))
}

/// What follows `bytes=`; units are named in any case (RFC 9110 14.1).
fn byte_set(value: &[u8]) -> Option<&[u8]> {
    let (unit, set) = list::trim(value).split_at_checked(b"bytes=".len())?;
    unit.eq_ignore_ascii_case(b"bytes=").then_some(set)
}

/// The satisfiable ranges of a range set as asked; none if it is malformed or nothing but the whole can answer it.
fn satisfiable(set: &[u8], length: u64) -> Option<SmallVec<[ByteRange; 2]>> {
    let mut parts = SmallVec::new();
    let mut asked = 0;
    for spec in set.split(|byte| *byte == b',').map(list::trim) {
        // RFC 9110 5.6.1.2: empty members are ignored.
        if spec.is_empty() {
            continue;
        }
        asked += 1;
        if asked > ASKED_MAX {
            return None;
        }
        match resolve(spec, length)? {
            Spec::Part(part) => parts.push(part),
            Spec::Nothing => {}
            Spec::Empty => return None,
        }
    }
    (asked > 0).then_some(parts)
}

enum Spec {
    Part(ByteRange),
    /// Unsatisfiable.
    Nothing,
    /// Satisfiable, but without a byte, so that no Content-Range can say it.
    Empty,
}

/// One range-spec against `length` bytes; none if it is malformed.
fn resolve(spec: &[u8], length: u64) -> Option<Spec> {
    let (first, last) = split_spec(spec)?;
    if first.is_empty() {
        return Some(suffix(list::decimal(last)?, length));
    }
    let start = list::decimal(first)?;
    // RFC 9110 14.1.2: without a last position, or with one past the end, up to the end.
    let last = match last {
        [] => u64::MAX,
        digits => list::decimal(digits)?,
    };
    // RFC 9110 14.1.1: invalid if the last position is less than the first.
    if last < start {
        return None;
    }
    // RFC 9110 14.1.2: satisfiable if it begins within the representation.
    let end = last.saturating_add(1).min(length);
    Some(match start < length {
        true => Spec::Part(ByteRange { start, end }),
        false => Spec::Nothing,
    })
}

/// RFC 9110 14.1.2: satisfiable unless zero; one longer than the representation is all of it.
fn suffix(wanted: u64, length: u64) -> Spec {
    match (wanted, length) {
        (0, _) => Spec::Nothing,
        (_, 0) => Spec::Empty,
        _ => Spec::Part(ByteRange {
            start: length.saturating_sub(wanted),
            end: length,
        }),
    }
}

/// RFC 9110 14.2, 17.15: sets that overlap, repeat or shred are joined or ignored; an honest one is kept as it was asked.
fn tame(mut parts: SmallVec<[ByteRange; 2]>, length: u64) -> Ranges {
    let total = parts.iter().fold(0u64, |sum, part| sum.saturating_add(part.length()));
    if total > length {
        return Ranges::Whole;
    }
    if parts.len() > PARTS_MAX || overlap(&parts) {
        parts.sort_unstable_by_key(|part| part.start);
        coalesce(&mut parts);
    }
    match parts.len() > PARTS_MAX {
        true => Ranges::Whole,
        false => Ranges::Parts(parts),
    }
}

/// Compares every two, so only for few.
fn overlap(parts: &[ByteRange]) -> bool {
    let meets = |a: &ByteRange, b: &ByteRange| a.start < b.end && b.start < a.end;
    (1..parts.len()).any(|at| parts[..at].iter().any(|earlier| meets(earlier, &parts[at])))
}

/// RFC 9110 15.3.7.2: joins sorted parts that overlap or lie closer than a part's own overhead.
fn coalesce(parts: &mut SmallVec<[ByteRange; 2]>) {
    parts.dedup_by(|next, kept| {
        let joins = next.start < kept.end.saturating_add(GAP);
        if joins {
            kept.end = kept.end.max(next.end);
        }
        joins
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_part_says_of_itself() {
        for (value, expected) in [
            ("bytes 0-4/10", Some((0, 5, Some(10)))),
            ("BYTES 5-9/10", Some((5, 10, Some(10)))),
            ("bytes 5-9/*", Some((5, 10, None))),
            ("bytes 9-5/10", None),
            ("bytes 5-10/10", None),
            ("bytes */10", None),
            ("bytes 5-/10", None),
            ("bytes=0-4/10", None),
            ("lines 0-4/10", None),
            ("bytes 0-4", None),
            ("bytes +0-4/10", None),
            ("bytes 0-18446744073709551615/*", None),
        ] {
            let fields = [(CONTENT_RANGE, http::HeaderValue::from_static(value))]
                .into_iter()
                .collect();
            let read = content_range(&fields).map(|(range, complete)| (range.start, range.end, complete));
            assert_eq!(read, expected, "{value}");
        }
        let twice = [(CONTENT_RANGE, http::HeaderValue::from_static("bytes 0-4/10")); 1];
        let mut fields: HeaderMap = twice.into_iter().collect();
        fields.append(CONTENT_RANGE, http::HeaderValue::from_static("bytes 0-4/10"));
        assert_eq!(content_range(&fields), None);
    }
}
