//! What of a stored response a request gets: all of it, its head, some ranges, or word that it has not changed.

use smallvec::SmallVec;

use super::request::RequestView;
use crate::cache::object::Head;
use crate::policy::range::{ByteRange, Ranges, select};
use crate::policy::validator::{Precondition, precondition};

/// The part of a version that answers a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The status and body as they are.
    Whole,
    /// The head of [`Shape::Whole`], for `HEAD`.
    HeadOnly,
    /// `304`
    NotModified,
    /// `412`
    PreconditionFailed,
    /// `206` with one range or several.
    Parts(SmallVec<[ByteRange; 2]>),
    /// `416`
    Unsatisfiable,
}

/// What of the version with this head `request` gets. Does not allocate for up to two ranges.
///
/// `any_order` says whether several ranges can be read in whatever order they were asked for.
pub fn shape(request: &RequestView<'_>, head: &Head, any_order: bool) -> Shape {
    // RFC 9110 13.2.1: preconditions count only where the answer would else be a 2xx.
    if head.status.is_success() {
        match precondition(&request.fields, request.is_get_or_head(), &head.validators) {
            Precondition::Proceed => {}
            Precondition::NotModified => return Shape::NotModified,
            Precondition::Failed => return Shape::PreconditionFailed,
        }
    }
    if request.method == "HEAD" {
        return Shape::HeadOnly;
    }
    // RFC 9110 14.2: Range is defined for GET, and this for what would else be a 200.
    let Some(length) = head.content_length.filter(|_| head.status == http::StatusCode::OK) else {
        return Shape::Whole;
    };
    match select(&request.fields, &head.validators, length) {
        Ranges::Whole => Shape::Whole,
        Ranges::Parts(parts) if any_order || in_order(&parts) => Shape::Parts(parts),
        Ranges::Parts(_) => Shape::Whole,
        Ranges::Unsatisfiable => Shape::Unsatisfiable,
    }
}

fn in_order(parts: &[ByteRange]) -> bool {
    parts.windows(2).all(|pair| pair[0].end <= pair[1].start)
}
