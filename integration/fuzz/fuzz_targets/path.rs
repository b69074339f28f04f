//! What was made normal is normal, and holds nothing that a server could read as a way up.

#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use verge::access::path::other_readings;
use verge::target::{normalise_host, normalise_path};

fuzz_target!(|text: &str| {
    if let Ok(path) = normalise_path(text) {
        assert!(
            matches!(normalise_path(&path), Ok(Cow::Borrowed(_))),
            "{text:?} became {path:?}"
        );
        assert!(
            path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()),
            "{text:?} became {path:?}"
        );
        assert!(
            !path.split('/').any(|segment| segment == "." || segment == ".."),
            "{text:?} became {path:?}"
        );
        for reading in other_readings(&path) {
            assert!(is_plain(&reading), "{text:?} is read as {reading:?}");
        }
    }
    if let Ok(host) = normalise_host(text) {
        assert!(
            matches!(normalise_host(&host), Ok(Cow::Borrowed(_))),
            "{text:?} became {host:?}"
        );
    }
});

/// Nothing is left that a server could read in another way without decoding it again.
fn is_plain(path: &str) -> bool {
    let inner = path
        .strip_prefix('/')
        .map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    let odd = |segment: &str| matches!(segment, "" | "." | "..") || segment.contains([';', '\\']);
    inner.is_some_and(|inner| inner.is_empty() || !inner.split('/').any(odd))
}
