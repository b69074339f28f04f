//! Hosts and paths have one spelling, and every other one of the same meaning comes out as that.

use std::borrow::Cow;

use proptest::prelude::*;
use verge::target::{Scheme, Target, is_host, normalise_host, normalise_path, split_absolute, split_port};

use crate::config;
use crate::spelling::{Spelling, spelling};

/// A normal path's segments.
fn segments() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("([a-zA-Z0-9_~!$&'()*+,;=:@-]|%2F|%5C|%C3%A9){0,5}[a-z]", 0..5)
}

/// The path in another spelling of the same meaning (RFC 3986 6.2.2).
fn spelled(spelling: &mut Spelling, segments: &[String]) -> String {
    let mut path = String::new();
    for segment in segments {
        path += spelling.one_of(&["", "", "/.", "/x/..", "/%2e", "/y/.%2E"]);
        path.push('/');
        for letter in segment.chars() {
            match (
                letter.is_ascii_alphanumeric() && !segment.contains('%'),
                spelling.choose(3),
            ) {
                (true, 1) => path += &format!("%{:02x}", letter as u32),
                (true, 2) => path += &format!("%{:02X}", letter as u32),
                _ => path.push(letter),
            }
        }
    }
    path
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9_-]{1,6}(\\.[a-z0-9_-]{1,6}){0,3}",
        any::<std::net::Ipv6Addr>().prop_map(|address| format!("[{address}]")),
        any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string()),
    ]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_text_becomes_normal_or_nothing(text in "(\\PC|[%./a-z0-9?#:\\[\\]]|%2[eE]|%4[0-9a-f]){0,12}") {
        for text in [text.clone(), format!("/{text}")] {
            if let Ok(path) = normalise_path(&text) {
                prop_assert!(matches!(normalise_path(&path), Ok(Cow::Borrowed(_))), "{:?} became {:?}", text, path);
                prop_assert!(path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()), "{:?}", path);
                prop_assert!(!path.split('/').any(|segment| segment == "." || segment == ".."), "{:?}", path);
            }
        }
        let normal = normalise_host(&text);
        prop_assert_eq!(is_host(&text), normal.is_ok(), "{:?}", text);
        if let Ok(host) = normal {
            prop_assert!(matches!(normalise_host(&host), Ok(Cow::Borrowed(_))), "{:?} became {:?}", text, host);
        }
        for method in ["GET", "OPTIONS"] {
            if let Ok(target) = Target::new(method, &text, Some("h")) {
                prop_assert!(target.path.starts_with('/') || target.path == "*" && method == "OPTIONS");
            }
        }
    }

    #[test]
    fn a_path_in_any_spelling(segments in segments(), mut spelling in spelling()) {
        let normal = format!("/{}", segments.join("/"));
        prop_assert_eq!(normalise_path(&normal), Ok(Cow::Borrowed(&*normal)));
        if !segments.is_empty() {
            let path = spelled(&mut spelling, &segments);
            prop_assert_eq!(normalise_path(&path), Ok(Cow::Owned(normal)), "{}", path);
        }
    }

    #[test]
    fn a_host_in_any_spelling(host in host(), port in prop::option::of(1..=u16::MAX), mut spelling in spelling()) {
        let normal = port.map_or(host.clone(), |port| format!("{host}:{port}"));
        prop_assert_eq!(normalise_host(&normal), Ok(Cow::Borrowed(&*normal)));
        prop_assert_eq!(split_port(&normal), (&*host, port));
        let dot = if host.starts_with('[') { "" } else { spelling.one_of(&["", "."]) };
        let zeros = spelling.one_of(&["", "0", "000"]);
        let port = port.map_or(spelling.one_of(&["", ":"]).to_owned(), |port| format!(":{zeros}{port}"));
        let text = format!("{}{dot}{port}", spelling.case(&host));
        prop_assert_eq!(normalise_host(&text), Ok(Cow::Owned(normal)), "{}", text);
    }

    #[test]
    fn a_target_in_absolute_form_is_the_one_in_origin_form(host in host(), segments in segments(), query in prop::option::of("[!-\"$-~]{0,6}"), mut spelling in spelling()) {
        let path = format!("/{}", segments.join("/"));
        let local = format!("{path}{}", query.as_ref().map(|query| format!("?{query}")).unwrap_or_default());
        let (scheme, name) = [(Scheme::Http, "http"), (Scheme::Https, "https")][spelling.choose(2)];
        let absolute = format!("{}://{}{local}", spelling.case(name), spelling.case(&host));
        prop_assert_eq!(split_absolute(&absolute).map(|(scheme, _, rest)| (scheme, rest)), Some((scheme, &*local)));
        let here = Target::new("GET", &local, Some(&host)).unwrap();
        let there = Target::new("GET", &absolute, Some("other")).unwrap();
        prop_assert_eq!(&*here.path, &*path);
        prop_assert_eq!(here.query, query.as_deref());
        prop_assert_eq!(&there, &Target { scheme: Some(scheme), ..here });
        // RFC 3986 6.2.3: without a path it is for the root, query or not.
        if segments.is_empty() {
            let bare = format!("{}://{host}{}", spelling.case(name), &local[1..]);
            prop_assert_eq!(Target::new("GET", &bare, Some("other")), Ok(there), "{}", bare);
        }
    }
}
