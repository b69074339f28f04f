//! Verge: a caching reverse proxy and CDN edge node. The modules, in the order a request meets them.

/// The commands of the program.
pub mod cli;
/// What the operator wants: the file, checked and made into what the program runs on.
pub mod config;
/// Taking connections, and HTTP as clients speak it.
pub mod listen;
/// What happens to a request: decide, then execute.
pub mod pipeline;
/// RFC 9111 and its relatives as pure functions.
pub mod policy;
/// Keys, versions, look-up, and fills that many clients share.
pub mod cache;
/// Where stored responses are kept.
pub mod store;
/// Fetching one response from an origin.
pub mod origin;
/// What a purge names, and the epochs that make it take effect.
pub mod purge;
/// HTTP/1.1 on the wire, for both sides.
pub mod http1;
/// What a request is for: its host and normalised path.
pub mod target;
/// The only place that reads time.
pub mod clock;
/// Bugs planted on purpose, for the simulator.
pub mod planted;
