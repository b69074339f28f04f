//! Nginx's secure_link: nobody gets in without the key, and who has it does.

#![no_main]

#[path = "../access/mod.rs"]
mod access;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

const KEYS: &str = r#"
[keys.main]
secret = "open sesame, and not what the seeds have"
"#;

static ROUTE: LazyLock<access::Route> = LazyLock::new(|| {
    let signed = r#"dialect = "secure-link", keys = ["main"], weak = ["md5"], expression = "$secure_link_expires$uri$remote_addr $secret""#;
    access::Route::new(KEYS, signed)
});

fuzz_target!(|input: &str| {
    ROUTE.ask(input);
});
