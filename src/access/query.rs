//! The parts of a query that carry a token.

use std::ops::Range;

use percent_encoding::percent_decode_str;
use smallvec::SmallVec;

use super::Reason;

/// The most `&`-separated parts that a query may have where a token is looked for in it.
const MOST: usize = 256;

/// A part of a query: `name`, or `name=value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a str,
    /// Both, as they stand there.
    pub(super) text: &'a str,
    /// Where it stands in the query, from the first byte of its name.
    pub(super) at: usize,
}

impl<'a> Part<'a> {
    pub(super) fn range(&self) -> Range<u32> {
        self.at as u32..(self.at + self.text.len()) as u32
    }

    /// The value with its escapes decoded; `+` stays. An error if it is not UTF-8.
    pub(super) fn decoded(&self) -> Result<std::borrow::Cow<'a, str>, Reason> {
        decoded(self.value)
    }
}

/// A text with its escapes decoded.
pub(super) fn decoded(text: &str) -> Result<std::borrow::Cow<'_, str>, Reason> {
    percent_decode_str(text).decode_utf8().map_err(|_| Reason::Malformed)
}

/// The parts of a query in order, empty ones among them.
pub(super) fn parts(query: &str) -> impl Iterator<Item = Part<'_>> {
    let mut next = Some(0);
    std::iter::from_fn(move || {
        let at = next?;
        let rest = &query[at..];
        let end = memchr::memchr(b'&', rest.as_bytes());
        next = end.map(|end| at + end + 1);
        let text = end.map_or(rest, |end| &rest[..end]);
        let (name, value) = match memchr::memchr(b'=', text.as_bytes()) {
            Some(equals) => (&text[..equals], &text[equals + 1..]),
            None => (text, ""),
        };
        Some(Part { name, value, text, at })
    })
}

/// What of a query carries a token: the value of each of `names`, where there is one.
#[derive(Clone, Debug)]
pub(super) struct Taken<'a, const N: usize> {
    parts: [Option<Part<'a>>; N],
}

impl<'a, const N: usize> Taken<'a, N> {
    pub(super) fn get(&self, which: usize) -> Option<Part<'a>> {
        self.parts.get(which).copied().flatten()
    }

    pub(super) fn value(&self, which: usize) -> Option<&'a str> {
        self.get(which).map(|part| part.value)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.iter().all(Option::is_none)
    }

    /// Where they stand, in order.
    pub(super) fn ranges(&self) -> SmallVec<[Range<u32>; 6]> {
        let mut ranges: SmallVec<[Range<u32>; 6]> = self.parts.iter().flatten().map(Part::range).collect();
        ranges.sort_unstable_by_key(|range| range.start);
        ranges
    }
}

/// Takes the parts with these names. A name that is there twice is refused, and so is one that only is the name once its
/// escapes are decoded: the origin could read what was not verified.
pub(super) fn take<'a, const N: usize>(query: Option<&'a str>, names: [&str; N]) -> Result<Taken<'a, N>, Reason> {
    let mut taken = Taken { parts: [None; N] };
    for (count, part) in parts(query.unwrap_or_default()).enumerate() {
        if count == MOST {
            return Err(Reason::Ambiguous);
        }
        match names.iter().position(|name| *name == part.name) {
            Some(at) if taken.parts[at].is_some() => return Err(Reason::Twice),
            Some(at) => taken.parts[at] = Some(part),
            None if is_disguised(part.name, &names) => return Err(Reason::Ambiguous),
            None => {}
        }
    }
    Ok(taken)
}

fn is_disguised(name: &str, names: &[&str]) -> bool {
    name.contains('%') && names.iter().any(|known| percent_decode_str(name).eq(known.bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taking() {
        let taken = take(Some("a=1&b&c=x=y&&d="), ["c", "b", "x"]).unwrap();
        assert_eq!(
            (taken.value(0), taken.value(1), taken.value(2)),
            (Some("x=y"), Some(""), None)
        );
        assert_eq!(taken.ranges().as_slice(), [4..5, 6..11]);
        assert!(take(None, ["a"]).unwrap().is_empty());
    }

    #[test]
    fn what_is_twice_or_in_disguise() {
        for (query, reason) in [
            ("a=1&a=1", Reason::Twice),
            ("a&x&a", Reason::Twice),
            ("%61=1", Reason::Ambiguous),
            ("a=1&%61=2", Reason::Ambiguous),
        ] {
            assert_eq!(take(Some(query), ["a"]).err(), Some(reason), "{query}");
        }
        let many = "x&".repeat(MOST);
        assert_eq!(take(Some(&many), ["a"]).err(), Some(Reason::Ambiguous));
    }
}
