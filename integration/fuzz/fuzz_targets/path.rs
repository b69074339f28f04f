//! What was made normal is normal, and holds nothing that a server could read as a way up.

#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
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
    }
    if let Ok(host) = normalise_host(text) {
        assert!(
            matches!(normalise_host(&host), Ok(Cow::Borrowed(_))),
            "{text:?} became {host:?}"
        );
    }
});
