//! Verge: a caching reverse proxy and CDN edge node. The modules, in the order a request meets them.

#![warn(clippy::print_stdout, clippy::print_stderr, reason = "they panic when nobody reads")]

/// Signed URLs: who may have what.
pub mod access;
/// Health, metrics and the JSON API.
pub mod admin;
/// Keys, versions, look-up, and fills that many clients share.
pub mod cache;
/// The commands of the program.
pub mod cli;
/// The only place that reads time.
pub mod clock;
/// What the operator wants: the file, checked and made into what the program runs on.
pub mod config;
/// Files in one folder, and a folder that fails as disks do.
pub mod device;
/// HTTP/1.1 on the wire, for both sides.
pub mod http1;
/// Taking connections, and HTTP as clients speak it.
pub mod listen;
/// A running edge as its operator knows it.
pub mod node;
/// Fetching one response from an origin.
pub mod origin;
/// What happens to a request: decide, then execute.
pub mod pipeline;
/// Bugs planted on purpose, for the simulator.
pub mod planted;
/// RFC 9111 and its relatives as pure functions.
pub mod policy;
/// What a purge names, and the epochs that make it take effect.
pub mod purge;
/// Where stored responses are kept.
pub mod store;
/// What a request is for: its host and normalised path.
pub mod target;
/// What the edge counts and tells.
pub mod telemetry;
/// TLS with clients: certificates, tickets, proofs.
pub mod tls;
