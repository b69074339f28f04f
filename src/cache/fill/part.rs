//! The task of a fill that brings what is missing of a stored body (RFC 9111 3.4).

use std::sync::Arc;

use bytes::Bytes;
use http::header::ETAG;
use http::{HeaderMap, StatusCode};

use super::run::{Ending, fetch, next_piece};
use super::{Fill, Phase};
use crate::cache::object::{Body, Head, Version};
use crate::cache::{Cache, Permit};
use crate::origin::{Fetch, FetchError, FetchRequest, Fetched, ReadBody};
use crate::policy::range::{ByteRange, content_range};
use crate::policy::validator::{EntityTag, validators};
use crate::store::CHUNK;

/// What is missing of which version, and where to fetch it.
pub struct PartOrder {
    /// The fill, new, with its part.
    pub fill: Arc<Fill>,
    /// Its place among those under way.
    pub permit: Permit,
    /// Where to fetch.
    pub fetch: Arc<dyn Fetch>,
    /// What to ask for: the part, if the body is still the same.
    pub request: FetchRequest,
    /// The version that is known in part.
    pub version: Arc<Version>,
}

/// Runs a fill of a part to its end.
pub async fn run_part(cache: Arc<Cache>, order: PartOrder) {
    let PartOrder {
        fill,
        permit: _permit,
        fetch: origin,
        request,
        version,
    } = order;
    let _ending = Ending {
        cache: &cache,
        fill: &fill,
    };
    let (Some(part), Body::Chunked { name, length }) = (fill.part, &version.body) else {
        return;
    };
    let result = match fetch(&fill, &origin, request).await {
        Err(error) => {
            fill.publish(Phase::Failed(error), false);
            Err(error)
        }
        Ok(fetched) if is_part(&fetched, part, *length, &version.head) => {
            return bring(&cache, &fill, Arc::clone(&version.head), fetched.body, (*name, part)).await;
        }
        Ok(fetched) => {
            cache.ended.unstored.up();
            fill.publish(Phase::Refused(fetched.status), false);
            Ok(())
        }
    };
    if let Err(error) = result {
        cache.ended.failed(error);
    }
    cache.fills.remove(&fill);
    fill.finish(result);
}

/// Publishes `head` and brings what follows it: the stretch `part` of the body called `name`.
pub(super) async fn bring(
    cache: &Cache,
    fill: &Arc<Fill>,
    head: Arc<Head>,
    body: Box<dyn ReadBody + '_>,
    (name, part): (u128, ByteRange),
) {
    let reservation = cache.ram.reserve(part.length());
    let result = match fill.publish(Phase::Filling(head), reservation.is_some()) {
        true => read(cache, fill, body, name, part).await,
        false => Err(FetchError::Abandoned),
    };
    match result {
        Ok(()) => cache.ended.completed.up(),
        Err(error) => cache.ended.failed(error),
    }
    cache.fills.remove(fill);
    fill.finish(result);
}

/// RFC 9110 15.3.7.3, RFC 9111 3.4: whether it is what was asked for, of a body with the same strong validator.
fn is_part(fetched: &Fetched<'_>, part: ByteRange, length: u64, head: &Head) -> bool {
    part_as_asked(fetched, part) == Some((part, length)) && same_body(&fetched.fields, head)
}

/// What of which length came, if it is what was asked for, of a body that can be told apart from others (RFC 9110 15.3.7.3).
pub(super) fn part_as_asked(fetched: &Fetched<'_>, part: ByteRange) -> Option<(ByteRange, u64)> {
    let (span, length) = content_range(&fetched.fields)?;
    let length = length?;
    let as_asked = span.start == part.start && span.end == part.end.min(length);
    let whole = fetched.content_length.is_none_or(|come| come == span.length());
    let tagged = validators(&fetched.fields).strong_etag().is_some();
    (fetched.status == StatusCode::PARTIAL_CONTENT && as_asked && whole && tagged).then_some((span, length))
}

fn same_body(fields: &HeaderMap, head: &Head) -> bool {
    let mut tags = fields.get_all(ETAG).iter();
    let only = tags.next().filter(|_| tags.next().is_none());
    let tag = only.and_then(|tag| EntityTag::parse(tag.as_bytes()));
    let stored = head.validators.etag.as_ref();
    tag.zip(stored).is_some_and(|(tag, stored)| tag.strong_eq(stored))
}

/// Reads the part to its end; whole chunks are stored as they come.
async fn read(
    cache: &Cache,
    fill: &Fill,
    mut body: Box<dyn ReadBody + '_>,
    name: u128,
    part: ByteRange,
) -> Result<(), FetchError> {
    let mut index = (part.start / CHUNK as u64) as u32;
    let mut come = 0;
    while let Some(piece) = next_piece(fill, &mut *body).await {
        let piece: Bytes = piece?;
        come += piece.len() as u64;
        if come > part.length() {
            return Err(FetchError::Protocol);
        }
        for chunk in fill.push(piece) {
            cache.ram.insert_chunk(name, index, chunk);
            index += 1;
        }
    }
    if come < part.length() {
        return Err(FetchError::Incomplete);
    }
    // What does not end with a chunk ends with the body.
    if let Some((_, tail)) = fill.body().filter(|(_, tail)| !tail.is_empty()) {
        cache.ram.insert_chunk(name, index, tail);
    }
    Ok(())
}
