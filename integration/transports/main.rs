//! The transports: what HTTP/2 and TLS do with real connections, and that all of them answer alike.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../wire/harness/mod.rs"]
#[allow(dead_code, reason = "shared with the tests of the wire")]
mod harness;

mod certificates;
mod edge;
mod multiplexed;
mod origin2;

mod h2_bodies;
mod h2_cancel;
mod h2_messages;
mod h2_origin;
mod log;
mod matrix;
mod signed;
mod tls_endings;
mod tls_handshake;
mod tls_reload;
mod tls_sites;
