//! JSON Web Tokens: nobody gets in without the key, and who has it does.

#![no_main]

#[path = "../access/mod.rs"]
mod access;

use std::sync::LazyLock;

use aws_lc_rs::hmac;
use libfuzzer_sys::fuzz_target;

const KEYS: &str = r#"
[keys.main]
secret = "open sesame, and not what the seeds have"
"#;

static ROUTE: LazyLock<access::Route> = LazyLock::new(|| {
    let signed = r#"dialect = "jwt", keys = ["main"], token = ["query:URISigningPackage", "cookie:URISigningPackage", "header:authorization"]"#;
    access::Route::new(KEYS, signed)
});

static KEY: LazyLock<hmac::Key> =
    LazyLock::new(|| hmac::Key::new(hmac::HMAC_SHA256, b"open sesame, and not what the seeds have"));

fuzz_target!(|input: &str| {
    ROUTE.ask(input);

    // What a holder of the key may write into a token.
    let claims = data_encoding::BASE64URL_NOPAD.encode(input.as_bytes());
    let signed = format!("eyJhbGciOiJIUzI1NiJ9.{claims}");
    let tag = hmac::sign(&KEY, signed.as_bytes());
    let signature = data_encoding::BASE64URL_NOPAD.encode(tag.as_ref());
    ROUTE.take(&format!("{signed}.{signature}"), "URISigningPackage");
});
