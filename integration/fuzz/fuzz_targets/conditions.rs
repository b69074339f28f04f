//! Validators are read as they are written, preconditions decide in their order, and a `304` changes what it may. `integration/properties/input.rs` says how the input is read.

#![no_main]

#[allow(dead_code, reason = "each target needs a part of it")]
#[path = "../../properties/input.rs"]
mod input;
#[path = "../../properties/laws/conditions.rs"]
mod law;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| law::hold(&input::Input::read(bytes)));
