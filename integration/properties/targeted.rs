//! A targeted field that was written as a structured field is read as what was put in; anything else is not there.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use proptest::prelude::*;
use sfv::{BareItem, Dictionary, FieldType, Item, Key, ListEntry};
use verge::policy::targeted::{SURROGATE_CONTROL, governing};
use verge::policy::{ResponseDirectives, response_directives};

use crate::cache_control::{self, Directive};
use crate::config;
use crate::laws::structured::CDN;
use crate::spelling::{Spelling, spelling};

/// Larger whole numbers are none of a structured field's (RFC 9651 3.3.1).
const INTEGER_MAX: u64 = 999_999_999_999_999;

/// The members in some order, as the specification's own types have them, some that nobody knows, and some that are taken back.
fn dictionary(spelling: &mut Spelling, directives: Vec<Directive>) -> Dictionary {
    let unknown = [("foo", Some("7".to_owned())), ("a*b", None)];
    let said = |name: &str| directives.iter().any(|(directive, _)| *directive == name);
    let unsaid = ["no-store", "max-age", "private", "public"]
        .into_iter()
        .filter(|name| !said(name));
    let unsaid: Vec<Directive> = unsaid.map(|name| (name, Some("?0".to_owned()))).collect();
    let members = directives.into_iter().chain(unknown).chain(unsaid);
    let members = spelling.shuffled(members.collect());
    let member = |(name, argument): Directive| {
        let value = match argument {
            None => BareItem::Boolean(true),
            Some(text) if text == "?0" => BareItem::Boolean(false),
            Some(text) => match text.parse::<u64>() {
                Ok(number) => BareItem::Integer((number.min(INTEGER_MAX) as i64).try_into().unwrap()),
                Err(_) => BareItem::String(text.try_into().unwrap()),
            },
        };
        (
            Key::from_string(name.to_owned()).unwrap(),
            ListEntry::Item(Item::new(value)),
        )
    };
    members.into_iter().map(member).collect()
}

fn fields(name: HeaderName, value: &str) -> HeaderMap {
    let mut fields = HeaderMap::new();
    fields.append(
        header::CACHE_CONTROL,
        HeaderValue::from_static("max-age=11, no-transform"),
    );
    fields.append(name, HeaderValue::from_str(value).unwrap());
    fields
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_was_put_in_is_read((mut said, mut directives) in cache_control::response(), mut spelling in spelling()) {
        // A dictionary has each name once.
        directives.retain(|(name, argument)| argument.is_some() || !matches!(*name, "no-cache" | "private"));
        (said.no_cache, said.private) = (false, false);
        let text = dictionary(&mut spelling, directives).serialize().unwrap();
        let expected = ResponseDirectives { targeted: true, ..said };
        prop_assert_eq!(governing(&fields(CDN, &text), &[CDN]), expected.clone(), "{}", text);
        // Parameters say nothing, nor does the whitespace around a comma.
        let spaced = text.replace(", foo=7", ";q=\"no-store, private\"\t,  foo=7");
        prop_assert_eq!(governing(&fields(CDN, &spaced), &[CDN]), expected, "{}", spaced);
    }

    #[test]
    fn what_is_no_structured_field_is_not_there((_, directives) in cache_control::response(), mut spelling in spelling(), broken in 0..6usize) {
        let text = dictionary(&mut spelling, directives).serialize().unwrap();
        let text = match broken {
            0 => format!("{text},"),
            1 => format!("&, {text}"),
            2 => format!("{text}, Max-Age=5"),
            3 => format!("{text}, max-age =5"),
            4 => format!("{text}, x=\"a"),
            _ => format!("{text},, max-age=5"),
        };
        let fields = fields(CDN, &text);
        prop_assert_eq!(governing(&fields, &[CDN]), response_directives(&fields), "{}", text);
        // The next of the list governs in its place.
        let next = HeaderName::from_static("next-cache-control");
        let mut fields = fields;
        fields.append(&next, HeaderValue::from_static("max-age=13"));
        prop_assert_eq!(governing(&fields, &[CDN, next]).max_age, Some(13), "{}", text);
    }

    #[test]
    fn surrogates(age in any::<u32>(), past in prop::option::of(any::<u32>()), for_all in 0..100u32, mut spelling in spelling()) {
        let time = past.map_or(age.to_string(), |past| format!("{age}+{past}"));
        let members = vec![
            format!("{}={time};verge", spelling.case("max-age")),
            format!("max-age={for_all}"),
            "max-age=3;others".to_owned(),
            "content=\"ESI/1.0\"".to_owned(),
        ];
        let members = spelling.shuffled(members);
        let mut fields = HeaderMap::new();
        for line in spelling.lines(&members) {
            fields.append(SURROGATE_CONTROL, HeaderValue::from_str(&line).unwrap());
        }
        let said = governing(&fields, &[SURROGATE_CONTROL]);
        let told_apart = |seconds: u32| u64::from(seconds).min(1 << 31);
        prop_assert_eq!(said.max_age, Some(told_apart(age)), "{:?}", fields);
        prop_assert_eq!(said.stale_while_revalidate, past.map(told_apart), "{:?}", fields);
    }
}
