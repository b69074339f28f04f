//! The origin's client against scripted servers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bodies;
mod connections;
mod h2;
mod messages;
mod scripts;
mod tls;
mod waits;
