//! Who is written down in CDN-Loop is found there, and nobody else; what Connection names goes no further.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use proptest::prelude::*;
use verge::policy::cdn_loop::has_passed;
use verge::policy::hop;

use crate::spelling::spelling;
use crate::{config, input};

/// Names that are not ours, often about as many as there may be.
fn others() -> impl Strategy<Value = Vec<String>> {
    let name = "[a-z]{1,4}(; ?[a-z]=(\"verge, verge\"|verge))?";
    prop_oneof![prop::collection::vec(name, 0..40), prop::collection::vec(name, 31..35)]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn who_has_passed(others in others(), own in any::<bool>(), mut spelling in spelling()) {
        let count = others.len() + usize::from(own);
        let name = spelling.case("verge") + spelling.one_of(&["", ";x=y", " ; a=\"b,c\""]);
        let members: Vec<String> = others.into_iter().chain(own.then_some(name)).collect();
        let members = spelling.shuffled(members);
        let lines = spelling.lines(&members);
        let lines: input::Lines = lines.iter().map(|line| (&b"Cdn-Loop"[..], line.as_bytes())).collect();
        let passed = input::with(&lines, |fields| has_passed(fields, "Verge"));
        prop_assert_eq!(passed, own || count > 32, "{:?}", members);
    }

    #[test]
    fn what_connection_names_is_stripped(named in prop::sample::subsequence(vec!["x-a", "x-b", "close", "vary", "content-type", "date"], 0..=6), mut spelling in spelling()) {
        let mut fields = HeaderMap::new();
        let members: Vec<String> = spelling.shuffled(named.clone()).into_iter().map(|name| spelling.case(name)).collect();
        for line in spelling.lines(&members) {
            fields.append(header::CONNECTION, HeaderValue::from_str(&line).unwrap());
        }
        for name in ["x-a", "x-a", "x-b", "x-c", "vary", "content-type", "date", "te", "keep-alive"] {
            fields.append(name, HeaderValue::from_static("1"));
        }
        hop::strip_hop_by_hop(&mut fields);
        let mut left: Vec<&str> = fields.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        let kept = ["content-type", "date", "vary", "x-a", "x-b", "x-c"];
        let kept = kept.into_iter().filter(|name| !name.starts_with("x-") || !named.contains(name));
        prop_assert_eq!(left, kept.collect::<Vec<_>>());
    }
}
