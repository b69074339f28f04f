//! Validators (RFC 9110 8.8) and the preconditions made of them (RFC 9110 13).

use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::fields::{Known, RequestFields};
use super::{date, list};

pub use super::merge::{merge_not_modified, selects};

/// An entity tag (RFC 9110 8.8.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EntityTag {
    /// Whether it began with `W/`.
    pub weak: bool,
    /// The opaque tag, its quotes included: what may be sent as it is.
    pub opaque: Bytes,
}

impl EntityTag {
    /// Reads a whole field value.
    pub fn parse(value: &[u8]) -> Option<EntityTag> {
        let tag = Tag::only(value)?;
        Some(EntityTag {
            weak: tag.weak,
            opaque: Bytes::copy_from_slice(tag.opaque),
        })
    }

    /// RFC 9110 8.8.3.2: both strong, and the same.
    pub fn strong_eq(&self, other: &EntityTag) -> bool {
        self.tag().strong_eq(other.tag())
    }

    /// RFC 9110 8.8.3.2: the same but for strength.
    pub fn weak_eq(&self, other: &EntityTag) -> bool {
        self.opaque == other.opaque
    }

    fn tag(&self) -> Tag<'_> {
        Tag {
            weak: self.weak,
            opaque: &self.opaque,
        }
    }
}

#[derive(Clone, Copy)]
struct Tag<'a> {
    weak: bool,
    opaque: &'a [u8],
}

impl<'a> Tag<'a> {
    /// The tag that `value` begins with, and what follows it.
    fn first(value: &'a [u8]) -> Option<(Tag<'a>, &'a [u8])> {
        let (weak, rest) = match value.strip_prefix(b"W/") {
            Some(rest) => (true, rest),
            None => (false, value),
        };
        let inside = rest.strip_prefix(b"\"")?;
        // RFC 9110 8.8.3: etagc, which has no escapes: a backslash is one of them.
        let length = inside
            .iter()
            .position(|byte| !matches!(byte, 0x21 | 0x23..=0x7e | 0x80..))?;
        if inside[length] != b'"' {
            return None;
        }
        let (opaque, after) = rest.split_at(length + 2);
        Some((Tag { weak, opaque }, after))
    }

    fn only(value: &'a [u8]) -> Option<Tag<'a>> {
        let (tag, after) = Tag::first(list::trim(value))?;
        after.is_empty().then_some(tag)
    }

    fn strong_eq(self, other: Tag) -> bool {
        !self.weak && !other.weak && self.opaque == other.opaque
    }
}

/// The tags of a list, up to the first member that is none.
fn tags(value: &[u8]) -> impl Iterator<Item = Tag<'_>> {
    let mut rest = value;
    std::iter::from_fn(move || {
        // RFC 9110 5.6.1.2: empty members are ignored.
        let blank = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b','));
        let (tag, after) = Tag::first(&rest[blank.count()..])?;
        rest = list::trim(after);
        let separated = rest.is_empty() || rest[0] == b',';
        separated.then_some(tag)
    })
}

/// What a response can be told apart from other versions by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// ETag, if there is one and it can be read.
    pub etag: Option<EntityTag>,
    /// Last-Modified, if it can be read.
    pub last_modified: Option<SystemTime>,
    /// The same as it was received, to be sent in If-Modified-Since.
    pub last_modified_raw: Option<HeaderValue>,
    /// Date, if it can be read.
    pub date: Option<SystemTime>,
}

/// Finds a response's validators. A field that is given twice with different values is no validator.
pub fn validators(fields: &HeaderMap) -> Validators {
    found_in(|name| fields.get_all(name).iter())
}

/// The same among fields in their order.
pub fn validators_of(fields: &[(HeaderName, HeaderValue)]) -> Validators {
    found_in(|name| {
        fields
            .iter()
            .filter(move |(other, _)| other == name)
            .map(|(_, value)| value)
    })
}

fn found_in<'f, I: Iterator<Item = &'f HeaderValue>>(all: impl Fn(&'static HeaderName) -> I) -> Validators {
    let single = |name| {
        let mut values = all(name);
        let first = values.next()?;
        values.all(|other| other == first).then_some(first)
    };
    let last_modified_raw = single(&header::LAST_MODIFIED);
    let last_modified = last_modified_raw.and_then(|raw| date::parse(raw.as_bytes()));
    let date = single(&header::DATE);
    Validators {
        etag: single(&header::ETAG).and_then(|raw| EntityTag::parse(raw.as_bytes())),
        last_modified,
        last_modified_raw: last_modified_raw.filter(|_| last_modified.is_some()).cloned(),
        date: date.and_then(|raw| date::parse(raw.as_bytes())),
    }
}

impl Validators {
    /// Whether there is nothing to revalidate with.
    pub fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }

    /// The strong entity tag with its quotes, if there is one.
    pub fn strong_etag(&self) -> Option<&[u8]> {
        let etag = self.etag.as_ref().filter(|etag| !etag.weak)?;
        Some(&etag.opaque)
    }

    /// Whether an If-Range of this value names this very version (RFC 9110 13.1.5).
    pub fn if_range_matches(&self, value: &[u8]) -> bool {
        if let Some(asked) = Tag::only(value) {
            // RFC 9110 13.1.5: the strong comparison.
            return self.etag.as_ref().is_some_and(|etag| etag.tag().strong_eq(asked));
        }
        let (Some(asked), Some(modified), Some(date)) = (date::parse(value), self.last_modified, self.date) else {
            return false;
        };
        // RFC 9110 8.8.2.2: a date is strong only if the response is so much younger that it cannot have changed unseen.
        let age = date.duration_since(modified).unwrap_or_default();
        asked == modified && age.as_secs() >= STRONG_DATE_SECONDS
    }
}

/// How much younger than its Last-Modified a response must be for that to be a strong validator, whatever the clocks.
const STRONG_DATE_SECONDS: u64 = 60;

/// What the preconditions of a request come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Answer as if there were none.
    Proceed,
    /// `304`.
    NotModified,
    /// `412`.
    Failed,
}

/// Evaluates a request's preconditions in their order (RFC 9110 13.2.2). Allocates nothing.
///
/// The caller asks only where the answer would else be a 2xx (RFC 9110 13.2.1).
pub fn precondition(fields: &RequestFields, method_is_get_or_head: bool, validators: &Validators) -> Precondition {
    let conditions = [
        Known::IfMatch,
        Known::IfUnmodifiedSince,
        Known::IfNoneMatch,
        Known::IfModifiedSince,
    ];
    if !conditions.iter().any(|field| fields.has(*field)) {
        return Precondition::Proceed;
    }
    // RFC 9110 13.2.2, steps 1 and 2. RFC 9111 4.3.2 leaves these two to the origin; here they are held against what is about to
    // be served, since whoever resumes a download with them must not get another version.
    if !unchanged(fields, validators) {
        return Precondition::Failed;
    }
    if fields.has(Known::IfNoneMatch) {
        // RFC 9110 13.2.2 step 3, 13.1.2: the weak comparison; If-Modified-Since is not looked at.
        let etag = validators.etag.as_ref();
        let known = names_it(fields, Known::IfNoneMatch, |tag| {
            etag.is_some_and(|etag| etag.opaque == tag.opaque)
        });
        return match (known, method_is_get_or_head) {
            (false, _) => Precondition::Proceed,
            (true, true) => Precondition::NotModified,
            (true, false) => Precondition::Failed,
        };
    }
    // RFC 9110 13.2.2 step 4, 13.1.3: only for GET and HEAD. RFC 9111 4.3.2: without Last-Modified, Date stands in.
    let changed = validators.last_modified.or(validators.date);
    let since = one_date(fields, Known::IfModifiedSince).filter(|_| method_is_get_or_head);
    match (changed, since) {
        (Some(changed), Some(since)) if changed <= since => Precondition::NotModified,
        _ => Precondition::Proceed,
    }
}

/// If-Match, or without it If-Unmodified-Since.
fn unchanged(fields: &RequestFields, validators: &Validators) -> bool {
    if fields.has(Known::IfMatch) {
        // RFC 9110 13.2.2 step 1, 13.1.1: the strong comparison.
        let etag = validators.etag.as_ref().map(EntityTag::tag);
        return names_it(fields, Known::IfMatch, |tag| {
            etag.is_some_and(|etag| etag.strong_eq(tag))
        });
    }
    // RFC 9110 13.2.2 step 2, 13.1.4: ignored if no date, or if there is no modification date.
    match (validators.last_modified, one_date(fields, Known::IfUnmodifiedSince)) {
        (Some(modified), Some(since)) => modified <= since,
        _ => true,
    }
}

/// Whether the field is `*` (there is a representation, RFC 9110 13.1.1 and 13.1.2) or lists a tag that is `the_one`.
fn names_it(fields: &RequestFields, field: Known, the_one: impl Fn(Tag) -> bool) -> bool {
    fields.only(field).map(list::trim) == Some(b"*") || fields.all(field).flat_map(tags).any(the_one)
}

/// RFC 9110 13.1.3, 13.1.4: ignored if it is not exactly one HTTP date.
fn one_date(fields: &RequestFields, field: Known) -> Option<SystemTime> {
    fields.only(field).map(list::trim).and_then(date::parse)
}
