//! Taking connections: one runtime a thread, each with its own socket on every address (`SO_REUSEPORT`).

mod accept;
mod buffers;
mod deadline;
pub mod h1;
mod server;

pub use server::{Bound, OnThisThread, Server};
