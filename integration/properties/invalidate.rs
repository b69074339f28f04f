//! What an answer makes invalid is of the target's own origin, however it is written.

use http::{HeaderMap, HeaderValue, header};
use proptest::prelude::*;
use verge::policy::invalidate::{PathAndQuery, Target, also_invalidated, content_location};

use crate::config;
use crate::spelling::spelling;

const TARGET: Target = Target {
    scheme: "https",
    authority: "a.example",
    path: "/folder/file",
};

fn resolved(reference: &str) -> Option<PathAndQuery> {
    let mut fields = HeaderMap::new();
    fields.insert(header::CONTENT_LOCATION, HeaderValue::from_str(reference).ok()?);
    let found = content_location(&fields, &TARGET);
    assert_eq!(
        also_invalidated(&fields, &TARGET).first(),
        found.as_ref(),
        "{reference}"
    );
    found
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_reference_is_a_path_without_dots_or_nothing(reference in "([a-c./:?#@%\\\\ ]|//|\\.\\.|https:|a\\.example|:443){0,12}") {
        if let Some(found) = resolved(&reference) {
            prop_assert!(found.path.starts_with('/'), "{}", found.path);
            prop_assert!(found.path.split('/').all(|segment| segment != "." && segment != ".."), "{}", found.path);
            prop_assert!(!found.path.contains(['?', '#', '\\', ' ']), "{}", found.path);
            prop_assert!(found.query.is_none_or(|query| !query.contains('#')));
        }
    }

    #[test]
    fn the_same_place_in_any_form(segments in prop::collection::vec("[a-z:@%]{1,3}", 1..4), query in prop::option::of("[a-z?/]{0,4}"), mut spelling in spelling()) {
        let path = format!("/{}", segments.join("/"));
        let expected = Some(PathAndQuery { path: path.clone(), query: query.clone() });
        let tail = query.map(|query| format!("?{query}")).unwrap_or_default() + spelling.one_of(&["", "#", "#x?y"]);
        let authority = spelling.case("a.example") + spelling.one_of(&["", ":443", ":"]);
        let scheme = spelling.case("https");
        for reference in [
            format!("{path}{tail}"),
            format!("{scheme}://{authority}{path}{tail}"),
            format!("//{authority}/.{path}{tail}"),
            format!("..{path}{tail}"),
            format!("./../x/..{path}{tail}"),
        ] {
            prop_assert_eq!(resolved(&reference), expected.clone(), "{}", reference);
        }
    }

    #[test]
    fn another_origin_is_left_alone(scheme in "(http|ftp|httpsx)", host in "[a-z.@]{1,9}", port in "(:[1-9][0-9]?)?", path in "(/[a-z]{0,3}){0,2}") {
        for reference in [
            format!("{scheme}://a.example{path}"),
            format!("https://{host}x.example{port}{path}"),
            format!("//{host}@a.example{port}{path}"),
            format!("//a.example{host}{port}{path}"),
            format!("https:{path}"),
        ] {
            // `https:` with `//` in what follows would name an authority.
            if !reference.starts_with("https://") || reference.contains("x.example") {
                prop_assert_eq!(resolved(&reference), None, "{}", reference);
            }
        }
    }
}
