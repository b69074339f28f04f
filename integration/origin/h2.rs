//! HTTP/2 toward origins.

mod connections;
mod failures;
mod messages;
mod raw;
mod server;
mod waits;
