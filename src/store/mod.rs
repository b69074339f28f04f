//! Where stored responses are kept. Knows entries by hash and weight, and nothing of HTTP.

mod gauge;
mod ram;
mod seen;
pub mod ssd;
pub mod tiered;

pub use gauge::Gauge;
pub use ram::{CHUNK, Pool, Ram, Reservation, Weigh};
