//! Taking connections: one runtime a thread, each with its own socket on every address (`SO_REUSEPORT`).

mod accept;
mod ask;
mod buffers;
mod deadline;
pub mod h1;
mod h2;
mod live;
mod server;
mod suspects;
mod tls;
mod transport;

pub use ask::Peer;
pub use server::{Bound, OnThisThread, Server};
pub use transport::Transport;
