//! Presigned URLs of S3: nobody gets in without the key, and who has it does.

#![no_main]

#[path = "../access/mod.rs"]
mod access;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

const KEYS: &str = r#"
[keys.main]
id = "AKIDEXAMPLE"
secret = "open sesame, and not what the seeds have"
"#;

static ROUTE: LazyLock<access::Route> = LazyLock::new(|| {
    let signed = r#"dialect = "s3", keys = ["main"]"#;
    access::Route::new(KEYS, signed)
});

fuzz_target!(|input: &str| {
    ROUTE.ask(input);
});
