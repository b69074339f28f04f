//! Common Access Tokens: nobody gets in without the key, and who has it does.

#![no_main]

#[path = "../access/mod.rs"]
mod access;

use std::sync::LazyLock;

use aws_lc_rs::hmac;
use coset::{CoseMac0Builder, HeaderBuilder, TaggedCborSerializable, iana};
use libfuzzer_sys::fuzz_target;

const KEYS: &str = r#"
[keys.main]
secret = "open sesame, and not what the seeds have"
"#;

static ROUTE: LazyLock<access::Route> = LazyLock::new(|| {
    let signed = r#"dialect = "cat", keys = ["main"]"#;
    access::Route::new(KEYS, signed)
});

static KEY: LazyLock<hmac::Key> =
    LazyLock::new(|| hmac::Key::new(hmac::HMAC_SHA256, b"open sesame, and not what the seeds have"));

fuzz_target!(|input: &[u8]| {
    if let Ok(text) = std::str::from_utf8(input) {
        ROUTE.ask(text);
    }

    // What a holder of the key may write into a token.
    let protected = HeaderBuilder::new().algorithm(iana::Algorithm::HMAC_256_256).build();
    let token = CoseMac0Builder::new().protected(protected).payload(input.to_vec());
    let token = token
        .create_tag(&[], |message| hmac::sign(&KEY, message).as_ref().to_vec())
        .build();
    let token = token.to_tagged_vec().expect("a token can be written");
    ROUTE.take(&data_encoding::BASE64URL_NOPAD.encode(&token), "CAT");
});
