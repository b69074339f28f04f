//! What RFC 9110, 9111, 5861 and 9211 make of a request and a stored response.
//!
//! Pure: no I/O, no clock, no sockets. Time comes in, a value comes out, and no input panics.

/// Cache-Control and Pragma, read.
pub mod cache_control;
/// What our Cache-Status says, and its writer.
pub mod cache_status;
/// Requests that come back.
pub mod cdn_loop;
/// HTTP dates, read and written.
pub mod date;
/// The field lines of a request, borrowed.
pub mod fields;
/// How long a response stays fresh, and how old it is.
pub mod freshness;
/// Fields that belong to one connection only.
pub mod hop;
/// What an unsafe request makes invalid.
pub mod invalidate;
/// Comma-separated field values, split with regard to quoted strings.
pub mod list;
/// A `304` and the stored response it confirms.
pub mod merge;
/// Which bytes of a representation were asked for.
pub mod range;
/// Whether a stored response may answer a request.
pub mod reuse;
/// Whether a response may be stored.
pub mod storable;
/// Cache control for some caches only.
pub mod targeted;
/// The trace that a request belongs to.
pub mod trace;
/// Entity tags, dates and the preconditions made of them.
pub mod validator;
/// Which request fields select a variant.
pub mod vary;

pub use cache_control::{MaxStale, RequestDirectives, ResponseDirectives, request_directives, response_directives};
pub use cache_status::{CacheStatus, Fwd};
pub use fields::{Field, Known, OwnedFields, RequestFields};
pub use freshness::{Freshness, freshness};
pub use merge::{merge_not_modified, selects};
pub use range::{ByteRange, Ranges};
pub use reuse::{Reuse, Stale, Terms, is_error_for_stale, reuse, usable_on_error};
pub use storable::{Asked, StorableResponse, Unstorable, storable};
pub use targeted::{Targets, governing};
pub use validator::{EntityTag, Precondition, Validators, precondition, validators};
pub use vary::{Vary, VarySpec, vary};
