//! A configuration is valid or wrong, and nothing else.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // What is read from files is not up to the text alone.
    if text.contains("file:") {
        return;
    }
    if let Err(errors) = verge::config::load("edge.toml", text) {
        assert!(!errors.is_empty(), "{text:?} is wrong, and nobody says why");
    }
});
