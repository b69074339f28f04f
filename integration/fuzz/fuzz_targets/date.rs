//! Dates are read in any case, and as they are written.

#![no_main]

#[path = "../../properties/laws/date.rs"]
mod law;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| law::hold(bytes));
