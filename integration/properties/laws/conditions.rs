//! What holds of every validator and precondition, and of every `304`.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, header};
use verge::policy::hop;
use verge::policy::validator::{
    EntityTag, Precondition, Validators, merge_not_modified, precondition, selects, validators,
};

use crate::input::{self, Input, Lines};

const CONDITIONS: [&str; 4] = ["if-match", "if-unmodified-since", "if-none-match", "if-modified-since"];

/// Of the request, the stored response and the `304`.
pub fn hold(input: &Input) {
    let stored = validators(&input.response);
    for name in CONDITIONS {
        for value in input::values(&input.request, name) {
            tag_is_read_as_written(value);
        }
    }
    is_decided_in_order(&input.request, &stored);
    names_itself(&stored);
    compares_properly(&stored, &validators(&input.update));
    confirms(&input.response, &input.update);
}

fn outcome(lines: &Lines, is_get: bool, stored: &Validators) -> Precondition {
    input::with(lines, |fields| precondition(fields, is_get, stored))
}

/// RFC 9110 13.2.2: what goes before decides alone.
fn is_decided_in_order(lines: &Lines, stored: &Validators) {
    let has = |name| !input::values(lines, name).is_empty();
    for is_get in [true, false] {
        let all = outcome(lines, is_get, stored);
        let weaker = |name, other| has(name).then(|| outcome(&input::without(lines, other), is_get, stored));
        for less in [
            weaker("if-match", "if-unmodified-since"),
            weaker("if-none-match", "if-modified-since"),
        ] {
            assert!(less.is_none_or(|less| less == all), "{lines:?} of {stored:?}");
        }
        if !CONDITIONS.iter().any(|name| has(name)) {
            assert_eq!(all, Precondition::Proceed);
        }
        assert!(is_get || all != Precondition::NotModified, "{lines:?} of {stored:?}");
        // Nothing but what is asked for by its tag may be a failure on a stored response that cannot be told apart.
        let asks_by_tag = has("if-match") || has("if-none-match") && !is_get;
        if stored.is_empty() && !asks_by_tag {
            assert_ne!(all, Precondition::Failed, "{lines:?}");
        }
    }
}

/// Whoever has a response, and asks with its validators, is told that it has not changed.
fn names_itself(stored: &Validators) {
    let ask = |name: &str, value: &[u8], is_get| outcome(&vec![(name.as_bytes(), value)], is_get, stored);
    if let Some(tag) = &stored.etag {
        let written = written(tag);
        let listed = [b"\"?\" , ,", &*written, b",\t\"!\""].concat();
        for value in [&written, &listed] {
            assert_eq!(ask("if-none-match", value, true), Precondition::NotModified, "{tag:?}");
            assert_eq!(ask("if-none-match", value, false), Precondition::Failed, "{tag:?}");
            // RFC 9110 13.1.1: the strong comparison.
            let expected = match tag.weak {
                true => Precondition::Failed,
                false => Precondition::Proceed,
            };
            // Beside the tags that were put around it, which may be what is stored.
            if !matches!(&tag.opaque[..], b"\"?\"" | b"\"!\"") {
                assert_eq!(ask("if-match", value, true), expected, "{tag:?}");
            }
        }
        assert_eq!(stored.if_range_matches(&written), !tag.weak, "{tag:?}");
        assert_eq!(stored.strong_etag().is_some(), !tag.weak, "{tag:?}");
    }
    if let Some(raw) = &stored.last_modified_raw {
        let not_modified = ask("if-modified-since", raw.as_bytes(), true);
        assert_eq!(not_modified, Precondition::NotModified, "{stored:?}");
        let unchanged = ask("if-unmodified-since", raw.as_bytes(), true);
        assert_eq!(unchanged, Precondition::Proceed, "{stored:?}");
    }
    assert_eq!(stored.last_modified.is_some(), stored.last_modified_raw.is_some());
}

/// A tag as it is sent.
pub fn written(tag: &EntityTag) -> Vec<u8> {
    let mark: &[u8] = if tag.weak { b"W/" } else { b"" };
    [mark, &tag.opaque].concat()
}

/// What was read as a tag is read again as the same; what it is made of stands in the text.
pub fn tag_is_read_as_written(value: &[u8]) {
    let Some(tag) = EntityTag::parse(value) else {
        return;
    };
    assert_eq!(written(&tag), value.trim_ascii(), "{}", value.escape_ascii());
    assert_eq!(EntityTag::parse(&written(&tag)), Some(tag.clone()));
    let inside = &tag.opaque[1..tag.opaque.len() - 1];
    assert!(!inside.contains(&b'"') && !inside.contains(&b' '), "{tag:?}");
    let other = EntityTag {
        weak: tag.weak,
        opaque: Bytes::from([b"\"x", inside, b"\""].concat()),
    };
    assert!(!tag.weak_eq(&other) && tag.weak_eq(&tag), "{tag:?}");
}

fn compares_properly(a: &Validators, b: &Validators) {
    let (Some(a), Some(b)) = (&a.etag, &b.etag) else {
        return;
    };
    assert_eq!((a.strong_eq(b), a.weak_eq(b)), (b.strong_eq(a), b.weak_eq(a)));
    assert_eq!(a.strong_eq(b), a.weak_eq(b) && !a.weak && !b.weak, "{a:?}, {b:?}");
}

fn confirms(stored: &HeaderMap, update: &HeaderMap) {
    assert!(
        selects(&validators(stored), stored),
        "it does not confirm itself: {stored:?}"
    );
    let merged = merge_not_modified(stored, update);
    assert_eq!(
        merge_not_modified(&merged, update),
        merged,
        "twice: {stored:?}, {update:?}"
    );
    let all = |fields: &HeaderMap, name: &HeaderName| fields.get_all(name).iter().cloned().collect::<Vec<_>>();
    for name in stored.keys().chain(update.keys()) {
        let of_connection = hop::is_hop_by_hop(name.as_str()) || hop::is_named(update, name);
        let of_bytes = [header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::CONTENT_RANGE].contains(name);
        let from = match update.contains_key(name) && !of_connection && !of_bytes {
            true => update,
            false if *name == header::AGE => continue,
            false => stored,
        };
        assert_eq!(all(&merged, name), all(from, name), "{name} of {stored:?}, {update:?}");
    }
}
