//! A `304` and the stored response it confirms (RFC 9111 3.2, 4.3.4).

use http::{HeaderMap, HeaderName, header};

use super::hop;
use super::validator::{Validators, validators};

/// Whether a `304` with the fields `update` confirms the stored response it was asked about (RFC 9111 4.3.4).
///
/// The conditional request must have been made from this stored response alone.
pub fn selects(stored: &Validators, update: &HeaderMap) -> bool {
    let update = validators(update);
    match (&update.etag, &stored.etag) {
        // RFC 9111 4.3.4: a strong validator identifies only what has the same strong one.
        (Some(new), Some(old)) if !new.weak => new.strong_eq(old),
        // RFC 9111 4.3.4: a weak one identifies what it corresponds to.
        (Some(new), Some(old)) => new.weak_eq(old),
        (Some(new), None) if !new.weak => false,
        // RFC 9110 8.8.2.2: Last-Modified is weak unless shown to be strong.
        _ => match (update.last_modified, stored.last_modified) {
            (Some(new), old) => old == Some(new),
            // RFC 9111 4.3.4 foresees no validator only for a stored response without one. An origin that answers 304 and
            // forgets RFC 9110 15.4.5 can still mean nothing but the one version that it was asked about.
            (None, _) => update.etag.is_none(),
        },
    }
}

/// The fields of a stored response after a `304` with the fields `update` confirmed it (RFC 9111 3.2).
pub fn merge_not_modified(stored: &HeaderMap, update: &HeaderMap) -> HeaderMap {
    let mut merged = stored.clone();
    // RFC 9111 4.2.3: an Age counted up to the stored response; the confirmed one has that of the 304, if any.
    merged.remove(header::AGE);
    for name in update.keys() {
        if describes_stored_bytes(name) || hop::is_hop_by_hop(name.as_str()) || hop::is_named(update, name) {
            continue;
        }
        // RFC 9111 3.2: the 304's lines replace all those of the same name.
        merged.remove(name);
        for value in update.get_all(name) {
            // Fails only beyond the map's limit of 32768 fields, which no head reaches.
            let _ = merged.try_append(name.clone(), value.clone());
        }
    }
    merged
}

/// RFC 9111 3.2: Content-Length is never updated, nor are fields that the integrity of the stored bytes depends on. Content-Type
/// is updated: bytes are kept as received, whatever their type is said to be.
fn describes_stored_bytes(name: &HeaderName) -> bool {
    *name == header::CONTENT_LENGTH || *name == header::CONTENT_ENCODING || *name == header::CONTENT_RANGE
}
