//! HTTP/1.1 on the wire: the one strict reading of heads and bodies, for clients' requests and origins' responses. It works on bytes that
//! somebody else has read and does no I/O. What two servers could read differently is refused (RFC 9112 11).

/// A message body of any framing.
pub mod body;
/// The chunked transfer coding.
pub mod chunked;
/// What the heads of both kinds of message share.
mod head;
/// What a request's lines mean together.
mod judge;
/// Why a request is refused.
mod refusal;
/// A client's request head.
pub mod request;
/// An origin's response head.
pub mod response;
/// Room for a request's field lines.
mod storage;
/// The trailer section of a chunked body.
mod trailers;
/// Hosts and the forms of a request target.
pub mod uri;

pub use body::{BodyDecoder, BodyFault, BodyPiece};
pub use head::{MAX_FIELDS, Version};
pub use judge::expectation;
pub use request::{Framing, HeadStorage, MAX_HEAD, Refusal, RequestHead, find_head_end, parse_request};
pub use response::{ResponseFault, ResponseFraming, ResponseHead, content_length, parse_response};
pub use trailers::usable_trailers;
