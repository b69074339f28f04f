//! What restricts in Cache-Control is never lost, in requests and in responses. `integration/properties/input.rs` says how the input is read.

#![no_main]

#[allow(dead_code, reason = "each target needs a part of it")]
#[path = "../../properties/input.rs"]
mod input;
#[path = "../../properties/laws/cache_control.rs"]
mod law;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| law::hold(&input::Input::read(bytes)));
