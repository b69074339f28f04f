//! Targeted fields are read as the structured fields that they are, or not at all. `integration/properties/input.rs` says how the input is read.

#![no_main]

#[allow(dead_code, reason = "each target needs a part of it")]
#[path = "../../properties/input.rs"]
mod input;
#[path = "../../properties/laws/structured.rs"]
mod law;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| law::hold(&input::Input::read(bytes)));
