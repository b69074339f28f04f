//! Who has been passed is found again, and fields of one connection go no further. `integration/properties/input.rs` says how the input is read.

#![no_main]

#[allow(dead_code, reason = "each target needs a part of it")]
#[path = "../../properties/input.rs"]
mod input;
#[path = "../../properties/laws/hops.rs"]
mod law;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| law::hold(&input::Input::read(bytes)));
