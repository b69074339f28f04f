//! Lists are taken apart where they were put together.

use proptest::prelude::*;
use verge::policy::list::{decimal, members, parts, quoted_length, trim};

use crate::config;
use crate::input::is_balanced;
use crate::spelling::spelling;

/// A quoted string that means the text.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn members_come_out_as_they_went_in(texts in prop::collection::vec(("[a-z=;]{1,4}=", "[a-z,\"\\\\ ]{0,6}"), 0..6), mut spelling in spelling()) {
        let written: Vec<String> = texts.iter().map(|(name, text)| format!("{name}{}", quoted(text))).collect();
        let lines = spelling.lines(&written);
        let read: Vec<&[u8]> = lines.iter().flat_map(|line| members(line.as_bytes())).collect();
        let expected: Vec<&[u8]> = written.iter().map(String::as_bytes).collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn parts_put_together_are_the_same_parts(value in prop::collection::vec(prop::sample::select(&b"ab,\"\\ \t="[..]), 0..16)) {
        let first: Vec<&[u8]> = parts(&value).collect();
        prop_assert!(first.iter().all(|part| trim(part) == *part));
        prop_assert_eq!(members(&value).count(), first.iter().filter(|part| !part.is_empty()).count());
        if is_balanced(&value) {
            let joined = first.join(&b","[..]);
            prop_assert_eq!(&parts(&joined).collect::<Vec<_>>(), &first);
        }
        // Not a byte goes unseen but commas and the whitespace beside them.
        let seen: usize = first.iter().map(|part| part.len()).sum();
        let blank = value.iter().filter(|byte| b" \t,".contains(byte)).count();
        prop_assert!(seen + blank >= value.len());
    }

    #[test]
    fn quoted_strings_end_at_their_quote(text in "[a-z\"\\\\, ]{0,12}", after in "[a-z\"\\\\,]{0,6}") {
        let string = quoted(&text);
        prop_assert_eq!(quoted_length(format!("{string}{after}").as_bytes()), Some(string.len()));
        let twice = format!("a={string}, {string}");
        prop_assert!(is_balanced(twice.as_bytes()), "{}", twice);
        for end in 0..string.len() {
            prop_assert_eq!(quoted_length(&string.as_bytes()[..end]), None);
            let open = format!("a={}", &string[..end]);
            prop_assert!(end == 0 || !is_balanced(open.as_bytes()), "{}", open);
        }
    }

    #[test]
    fn numbers(number in any::<u64>(), zeros in 0..30usize, other in "[^0-9]") {
        let text = format!("{}{number}", "0".repeat(zeros));
        prop_assert_eq!(decimal(text.as_bytes()), Some(number));
        prop_assert_eq!(decimal(format!("{}{number}", u64::MAX).as_bytes()), Some(u64::MAX));
        for wrong in [format!("{text}{other}"), format!("{other}{text}"), other] {
            prop_assert_eq!(decimal(wrong.as_bytes()), None, "{}", wrong);
        }
    }
}
