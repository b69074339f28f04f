//! Entity tags and dates are read as they are written, alone and in lists.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue, header};
use proptest::prelude::*;
use verge::policy::date;
use verge::policy::validator::{EntityTag, Precondition, Validators, precondition, validators};

use crate::laws::conditions::{tag_is_read_as_written, written};
use crate::spelling::spelling;
use crate::{config, input};

prop_compose! {
    /// RFC 9110 8.8.3: etagc, a comma and a backslash included.
    fn tag()(weak in any::<bool>(), inside in prop::collection::vec(prop_oneof![Just(0x21u8), 0x23..=0x7eu8, 0x80..=0xffu8], 0..5)) -> EntityTag {
        let opaque = [b"\"", &inside[..], b"\""].concat();
        EntityTag { weak, opaque: opaque.into() }
    }
}

fn outcome(name: &str, value: &[u8], stored: &Validators) -> Precondition {
    let lines = [(name.as_bytes(), value)];
    input::with(&lines, |fields| precondition(fields, true, stored))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn tags(tag in tag(), blank in "[ \t]{0,2}", after in "[!-~]{1,3}", at in any::<prop::sample::Index>(), wrong in "[\0-\x20\"\x7f]") {
        let text = written(&tag);
        prop_assert_eq!(EntityTag::parse(&text), Some(tag.clone()));
        // What is no etagc may stand nowhere between the quotes.
        let mut damaged = text.clone();
        let inside = text.len() - tag.opaque.len() + 1;
        damaged.insert(inside + at.index(tag.opaque.len() - 1), wrong.as_bytes()[0]);
        prop_assert_eq!(EntityTag::parse(&damaged), None, "{}", damaged.escape_ascii());
        prop_assert_eq!(EntityTag::parse(&[blank.as_bytes(), &text, blank.as_bytes()].concat()), Some(tag));
        tag_is_read_as_written(&text);
        for none in [&text[..text.len() - 1], &[&text[..], after.as_bytes()].concat(), &text[1..]] {
            // Without its first letter, `W/"a"` is none either.
            prop_assert_eq!(EntityTag::parse(none), None, "{}", none.escape_ascii());
        }
    }

    #[test]
    fn a_list_names_whom_it_lists(tags in prop::collection::vec(tag(), 0..5), stored in tag(), mut spelling in spelling()) {
        let mut members = tags.clone();
        if spelling.choose(2) == 1 {
            members.push(EntityTag { weak: spelling.choose(2) == 1, ..stored.clone() });
        }
        let members = spelling.shuffled(members);
        let separator = spelling.one_of(&[",", ", ", "\t,, "]).as_bytes();
        let value = members.iter().map(written).collect::<Vec<_>>().join(separator);
        let known = Validators { etag: Some(stored.clone()), ..Validators::default() };
        let weakly = members.iter().any(|tag| tag.opaque == stored.opaque);
        let strongly = members.iter().any(|tag| *tag == stored && !tag.weak);
        let expected = if weakly { Precondition::NotModified } else { Precondition::Proceed };
        prop_assert_eq!(outcome("If-None-Match", &value, &known), expected, "{}", value.escape_ascii());
        let expected = if strongly { Precondition::Proceed } else { Precondition::Failed };
        prop_assert_eq!(outcome("If-Match", &value, &known), expected, "{}", value.escape_ascii());
    }

    #[test]
    fn dates(modified in 0..1_000_000u64, asked in 0..1_000_000u64, near in 0..130u64) {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let others = [asked, modified + 1, modified.saturating_sub(1)].map(|asked| (asked, near));
        for (asked, near) in others.into_iter().chain([near, 59, 60].map(|near| (modified, near))) {
            let mut fields = HeaderMap::new();
            let line = |seconds| HeaderValue::from_str(&date::format(at(seconds))).unwrap();
            fields.insert(header::LAST_MODIFIED, line(modified));
            fields.insert(header::DATE, line(modified + near));
            let stored = validators(&fields);
            prop_assert_eq!((stored.last_modified, stored.date), (Some(at(modified)), Some(at(modified + near))));
            let value = date::format(at(asked));
            let since = outcome("If-Modified-Since", value.as_bytes(), &stored);
            prop_assert_eq!(since == Precondition::NotModified, modified <= asked);
            let unmodified = outcome("If-Unmodified-Since", value.as_bytes(), &stored);
            prop_assert_eq!(unmodified == Precondition::Failed, modified > asked);
            // RFC 9110 8.8.2.2: a date is a strong validator a minute later.
            prop_assert_eq!(stored.if_range_matches(value.as_bytes()), asked == modified && near >= 60);
        }
    }
}
