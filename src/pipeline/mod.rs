//! The way of a request: decide, then execute, then decide again with what came.
//!
//! ```text
//! listen ─▶ route ─▶ guard ─▶ admit ─▶ key ─▶ look-up ─▶ judge ─▶ answer          (decide: no I/O, no allocation on a hit)
//!                                                         │
//!                                                         └▶ fetch or pass ─▶ judge ─▶ answer   (execute)
//! ```

mod admit;
mod allowance;
mod answer;
mod begin;
mod body;
mod decide;
pub mod details;
mod edge;
mod execute;
mod explain;
mod forward;
mod pass;
mod posted;
mod purge_method;
mod request;
mod shape;

pub use admit::Denied;
pub use allowance::Allowance;
pub use answer::{Answer, AnswerHead, BodyLength, FieldValue};
pub use begin::{Begun, Work, begin};
pub use body::AnswerBody;
pub use decide::{Decision, Fetch, Own, Refused, Serve, decide};
pub use edge::{Edge, OriginSlot, Spawn};
pub use execute::{execute, refresh};
pub use explain::{Explanation, explain};
pub use purge_method::bearer;
pub use request::{OwnedRequest, RequestLength, RequestView, key_host};
pub use shape::Shape;
