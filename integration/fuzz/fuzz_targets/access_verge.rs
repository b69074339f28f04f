//! Verge's own tokens: nobody gets in without the key, and who has it does.

#![no_main]

#[path = "../access/mod.rs"]
mod access;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

const KEYS: &str = r#"
[keys.main]
secret = "open sesame, and not what the seeds have"
[keys.ed]
public_key = "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="
"#;

static ROUTE: LazyLock<access::Route> = LazyLock::new(|| {
    let signed =
        r#"dialect = "verge", keys = ["main", "ed"], token = ["query:verge", "cookie:verge", "header:authorization"]"#;
    access::Route::new(KEYS, signed)
});

fuzz_target!(|input: &str| {
    ROUTE.ask(input);
});
