//! A request's fields are found again, whatever else stands between them, and by their copy as well.

use proptest::prelude::*;
use verge::policy::{Field, Known, OwnedFields, RequestFields};

use crate::config;

const KNOWN: [Known; 5] = [
    Known::AcceptEncoding,
    Known::CacheControl,
    Known::Te,
    Known::Via,
    Known::Range,
];
const NAMES: [&str; 9] = [
    "accept-encoding",
    "Accept-Encoding",
    "CACHE-CONTROL",
    "cache-control",
    "te",
    "Via",
    "rangE",
    "x",
    "",
];

proptest! {
    #![proptest_config(config())]

    #[test]
    fn all_are_found_in_their_order(lines in prop::collection::vec((prop::sample::select(&NAMES[..]), any::<[u8; 2]>()), 0..60)) {
        let lines: Vec<Field> = lines
            .iter()
            .map(|(name, value)| Field { name: name.as_bytes(), value })
            .collect();
        let fields = RequestFields::new(&lines);
        for known in KNOWN {
            let of_name = lines.iter().filter(|line| line.name.to_ascii_lowercase() == known.name().as_bytes());
            let expected: Vec<&[u8]> = of_name.map(|line| line.value).collect();
            prop_assert_eq!(fields.all(known).collect::<Vec<_>>(), expected.clone());
            prop_assert_eq!(fields.named(known.name()).collect::<Vec<_>>(), expected.clone());
            prop_assert_eq!(fields.has(known), !expected.is_empty());
            prop_assert_eq!(fields.only(known), expected.first().copied().filter(|_| expected.len() == 1));
        }
        let copy = OwnedFields::new(&fields);
        copy.with(|copied| {
            prop_assert_eq!(copied.lines(), &lines[..]);
            prop_assert_eq!(copied.only(Known::Te), fields.only(Known::Te));
            Ok(())
        })?;
    }

    #[test]
    fn names_are_known_in_any_case(name in "[A-Za-z-]{0,20}") {
        for text in [name.as_str(), "IF-none-MATCH", "Max-Forwards"] {
            if let Some(known) = Known::of(text.as_bytes()) {
                prop_assert!(known.name().eq_ignore_ascii_case(text));
            }
        }
        for known in KNOWN {
            prop_assert_eq!(Known::of(known.name().to_ascii_uppercase().as_bytes()), Some(known));
            prop_assert_eq!(Known::of(format!("{}{name}x", known.name()).as_bytes()), None);
        }
    }
}
