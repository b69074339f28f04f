//! What holds of every targeted field: it is read as the structured field that it is, or not at all.

use http::{HeaderMap, HeaderName, HeaderValue};
use sfv::{BareItem, Dictionary, FieldType, ListEntry, Parser};
use verge::policy::ResponseDirectives;
use verge::policy::targeted::{SURROGATE_CONTROL, Targets, governing};
use verge::policy::{cache_control::DELTA_SECONDS_MAX, response_directives};

use crate::input::Input;

/// The field that is meant for all CDNs.
pub const CDN: HeaderName = HeaderName::from_static("cdn-cache-control");

/// Of the response.
pub fn hold(input: &Input) {
    let fields = &input.response;
    let said = governing(fields, &[CDN]);
    match dictionary(fields) {
        None => assert_eq!(said, response_directives(fields), "{fields:?}"),
        Some(members) => {
            assert!(said.targeted, "{fields:?}");
            says_what_its_members_say(&members, &said);
            written_again_says_the_same(&members, &said);
        }
    }
    surrogate(fields);
    what_is_consumed_is_gone(fields);
}

/// RFC 9213 2.1: the members, if it can be read and has any.
fn dictionary(fields: &HeaderMap) -> Option<Dictionary> {
    let lines: Vec<&[u8]> = fields.get_all(CDN).iter().map(|line| line.as_bytes()).collect();
    let members: Dictionary = Parser::new(&lines.join(&b", "[..])).parse().ok()?;
    (!members.is_empty()).then_some(members)
}

fn says_what_its_members_say(members: &Dictionary, said: &ResponseDirectives) {
    let no = |name: &str| match members.get(name) {
        None => true,
        Some(ListEntry::Item(item)) => item.bare_item == BareItem::Boolean(false),
        Some(ListEntry::InnerList(_)) => false,
    };
    assert_eq!(said.no_store, !no("no-store"), "{members:?}");
    assert_eq!(said.must_revalidate, !no("must-revalidate"), "{members:?}");
    let unsaid = !said.private && said.private_fields.is_empty();
    assert_eq!(unsaid, no("private"), "{members:?}");
    let unsaid = !said.no_cache && said.no_cache_fields.is_empty();
    assert_eq!(unsaid, no("no-cache"), "{members:?}");
    let times = [
        ("max-age", said.max_age),
        ("s-maxage", said.s_maxage),
        ("stale-if-error", said.stale_if_error),
    ];
    for (name, seconds) in times {
        assert_eq!(seconds, delta_seconds(members.get(name)), "{name} of {members:?}");
    }
}

/// Anything but a whole number that is not negative is 0, as what cannot be read is; `?0` takes the directive back.
fn delta_seconds(member: Option<&ListEntry>) -> Option<u64> {
    let ListEntry::Item(item) = member? else {
        return Some(0);
    };
    match item.bare_item {
        BareItem::Boolean(false) => None,
        BareItem::Integer(seconds) => {
            let seconds = u64::try_from(i64::from(seconds)).unwrap_or(0);
            Some(seconds.min(DELTA_SECONDS_MAX))
        }
        _ => Some(0),
    }
}

fn written_again_says_the_same(members: &Dictionary, said: &ResponseDirectives) {
    let Some(text) = members.serialize() else {
        return;
    };
    let mut fields = HeaderMap::new();
    let value = HeaderValue::from_str(&text).expect("structured fields are ASCII");
    fields.insert(CDN, value);
    assert_eq!(governing(&fields, &[CDN]), *said, "{text}");
}

/// What is for another device says nothing, wherever it stands.
fn surrogate(fields: &HeaderMap) {
    let said = governing(fields, &[SURROGATE_CONTROL]);
    let mut more = fields.clone();
    more.append(
        SURROGATE_CONTROL,
        HeaderValue::from_static("no-store;other, max-age=5;x"),
    );
    assert_eq!(governing(&more, &[SURROGATE_CONTROL]), said, "{fields:?}");
    more.append(SURROGATE_CONTROL, HeaderValue::from_static("no-store;verge"));
    assert!(governing(&more, &[SURROGATE_CONTROL]).no_store, "{fields:?}");
    let without = |name: &HeaderName| {
        let mut fields = fields.clone();
        fields.remove(name);
        fields
    };
    if !said.targeted {
        assert_eq!(said, governing(&without(&SURROGATE_CONTROL), &[SURROGATE_CONTROL]));
    }
    // What is not asked for does not govern.
    assert_eq!(
        governing(fields, &[CDN]),
        governing(&without(&SURROGATE_CONTROL), &[CDN])
    );
}

fn what_is_consumed_is_gone(fields: &HeaderMap) {
    let targets = Targets::default();
    let mut left = fields.clone();
    let consumed = targets.consume(&mut left);
    assert!(!left.contains_key(CDN), "{left:?}");
    for (name, value) in consumed {
        left.append(name, value);
    }
    assert_eq!(left, *fields);
}
