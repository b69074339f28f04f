//! CloudFront's signed URLs and cookies: nobody gets in without the key, and who has it does.

#![no_main]

#[path = "../access/mod.rs"]
mod access;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

const KEYS: &str = r#"
[keys.KP256]
public_key = '''
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEV5cuLlqUSgqEnOtlfMDy4Tjl8eOc
Kw/Zk23QBVczkRmtKTcapgEB0WK0I/UttCDRqJkJiy+OB6tCoIEC9aktGg==
-----END PUBLIC KEY-----'''
private_key = '''
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg8Se3jNKWQ1s5hmoV
5/FQuwVzfPkqxOWt1xL/pWm0QdGhRANCAARXly4uWpRKCoSc62V8wPLhOOXx45wr
D9mTbdAFVzORGa0pNxqmAQHRYrQj9S20INGomQmLL44Hq0KggQL1qS0a
-----END PRIVATE KEY-----'''
"#;

static ROUTE: LazyLock<access::Route> = LazyLock::new(|| {
    let signed = r#"dialect = "cloudfront", keys = ["KP256"], weak = ["sha1"]"#;
    access::Route::new(KEYS, signed)
});

fuzz_target!(|input: &str| {
    ROUTE.ask(input);
});
