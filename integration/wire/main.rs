//! The edge over real sockets: scripted clients before it, a scripted origin behind it.

#![allow(clippy::unwrap_used)]

mod harness;

mod admin;
mod caching;
mod collapse;
mod explain;
mod explain_tokens;
mod failures;
mod forward;
mod hostile;
mod http1;
mod ipv6;
mod log;
mod operate;
mod partial;
mod pass;
mod posted;
mod purge;
mod ranges;
mod ssd;
mod stale;
mod store;
mod targeted;
mod timeouts;
mod validation;
mod vary;
