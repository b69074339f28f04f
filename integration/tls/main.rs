//! TLS with clients: real handshakes through memory.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod choice;
mod client;
mod harness;
mod hostile;
mod proofs;
mod reload;
mod resumption;
mod voice;
