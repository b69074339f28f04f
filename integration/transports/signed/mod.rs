//! Signed URLs over every transport: who has a token gets it, from the cache as well, and nobody else gets anything.

#[path = "../../access/dialects.rs"]
#[allow(dead_code, reason = "shared with the tests of signing")]
mod dialects;
mod dialects_served;
mod guarded;
mod holders;
mod rig;
