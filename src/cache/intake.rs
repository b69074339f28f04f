//! Taking a response in: from what an origin sent to the head of a version.

use std::sync::Arc;

use http::header::{AGE, CONTENT_LENGTH, VIA};
use http::{HeaderMap, StatusCode};

use super::fill::Fill;
use super::key::Secret;
use super::object::{Head, Selected, wire_head};
use crate::clock::Now;
use crate::policy::cache_control::ResponseDirectives;
use crate::policy::fields::OwnedFields;
use crate::policy::freshness::freshness;
use crate::policy::storable::{Asked, StorableResponse, Unstorable, storable};
use crate::policy::targeted::{Targets, governing};
use crate::policy::validator::{merge_not_modified, validators};
use crate::policy::vary::{Vary, vary};
use crate::policy::{hop, list};

/// The field lines that name tags, and what separates tags in them.
const TAG_FIELDS: [(&str, u8); 2] = [("surrogate-key", b' '), ("cache-tag", b',')];

/// RFC 9875 2: a list of strings, each a tag.
const GROUPS: &str = "cache-groups";

/// The strings of a list of strings (RFC 9651 3.1, 3.3.3), without their parameters; members that are none are left out.
fn group_names(value: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    list::members(value).filter_map(|member| {
        let quoted = list::quoted_length(member)?;
        let inner = member.get(1..quoted.checked_sub(1)?)?;
        let mut name = Vec::with_capacity(inner.len());
        let mut bytes = inner.iter();
        while let Some(byte) = bytes.next() {
            name.push(if *byte == b'\\' { *bytes.next()? } else { *byte });
        }
        (!name.is_empty()).then_some(name)
    })
}

/// The request that a response answers.
pub struct Request<'a> {
    /// What policy must know of it.
    pub asked: Asked,
    /// Its fields, from which `Vary` selects.
    pub fields: &'a OwnedFields,
    /// Which targeted fields govern the response.
    pub targets: &'a Targets,
}

/// A response head as it came, and when.
pub struct Arrived {
    /// The status.
    pub status: StatusCode,
    /// End-to-end fields.
    pub fields: HeaderMap,
    /// Bytes of the body in all, if known.
    pub content_length: Option<u64>,
    /// When the request was sent.
    pub requested: Now,
    /// When the head was there.
    pub received: Now,
}

/// A response taken in.
pub struct Taken {
    /// The head that everyone reads and that is stored.
    pub head: Head,
    /// The head for the client whose request it is the answer to, if that differs: RFC 9111 5.2.2.4 and 5.2.2.7 let a
    /// response name fields that are not for others.
    pub own: Option<Head>,
    /// Whether it may be stored.
    pub verdict: Result<StorableResponse, Unstorable>,
}

/// Makes the head of a version, and says whether it may be stored.
pub fn take_in(secret: &Secret, fill: &Fill, generation: u64, request: &Request<'_>, mut arrived: Arrived) -> Taken {
    let content_length = length_to_state(&request.asked, &arrived);
    complete_fields(&mut arrived.fields, arrived.received);
    let directives = governing(&arrived.fields, &request.targets.names);
    let verdict = storable(&request.asked, arrived.status, &arrived.fields, directives.clone());
    let heuristics = verdict.as_ref().is_ok_and(StorableResponse::heuristic_allowed);
    let selected = match vary(&arrived.fields) {
        Vary::Fields(spec) => Some(request.fields.with(|fields| Selected::new(spec, fields))),
        Vary::None | Vary::Star => None,
    };
    let freshness = freshness(
        arrived.status,
        &arrived.fields,
        &directives,
        arrived.requested,
        arrived.received,
        heuristics,
    );
    let validators = validators(&arrived.fields);
    let tags = tags(secret, &arrived.fields);
    let consumed = request.targets.consume(&mut arrived.fields).into();
    let unshared = verdict
        .is_ok()
        .then(|| strip_for_sharing(&mut arrived.fields, &directives))
        .flatten();
    let (wire, fields) = wire_head(arrived.status, &arrived.fields, content_length);
    let head = Head {
        key: Arc::clone(&fill.key),
        vary: selected,
        status: arrived.status,
        wire,
        fields,
        freshness,
        consumed,
        validators,
        tags,
        site: Arc::clone(&fill.site),
        epoch: fill.epoch,
        began: fill.began,
        generation,
        content_length,
    };
    let own = unshared.map(|fields| {
        let (wire, fields) = wire_head(arrived.status, &fields, content_length);
        Head {
            wire,
            fields,
            ..head.clone()
        }
    });
    Taken { head, own, verdict }
}

/// Takes out what is not stored. Gives the fields as they were but for `Age`, if some were for one client only.
fn strip_for_sharing(fields: &mut HeaderMap, directives: &ResponseDirectives) -> Option<HeaderMap> {
    // RFC 9111 5.1: a stored response gets its Age anew each time.
    fields.remove(AGE);
    let named = || directives.private_fields.iter().chain(&directives.no_cache_fields);
    let all = named().any(|name| fields.contains_key(name)).then(|| fields.clone());
    named().for_each(|name| while fields.remove(name).is_some() {});
    all
}

/// The `Content-Length` that the head is to have.
fn length_to_state(asked: &Asked, arrived: &Arrived) -> Option<u64> {
    match arrived.status {
        // RFC 9110 8.6: neither has a body, and what a 304 says of the length is of another response.
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => None,
        // RFC 9110 9.3.2: the answer to a HEAD may say how long the answer to a GET would be.
        _ if asked.head_only => arrived.fields.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok(),
        _ => arrived.content_length,
    }
}

/// Completes what came. `Content-Length` is left out: what is sent is counted from the body itself.
fn complete_fields(fields: &mut HeaderMap, received: Now) {
    hop::complete(fields, received.wall);
    fields.remove(CONTENT_LENGTH);
}

/// RFC 9111 4.3.4: a stored head with the fields of the `304` that confirmed it, and as fresh as they say; and why it may not
/// stay stored, if they forbid that.
pub fn confirmed(
    secret: &Secret,
    fill: &Fill,
    request: &Request<'_>,
    stored: &Head,
    update: &HeaderMap,
    (requested, received): (Now, Now),
) -> (Head, Option<Unstorable>) {
    let mut update = update.clone();
    let has_via = update.contains_key(VIA);
    complete_fields(&mut update, received);
    if !has_via {
        // It would replace all that the stored head says of its way.
        update.remove(VIA);
    }
    let mut before = stored.field_map();
    for (name, value) in &stored.consumed {
        before.append(name.clone(), value.clone());
    }
    let mut fields = merge_not_modified(&before, &update);
    let directives = governing(&fields, &request.targets.names);
    let asked = &request.asked;
    let forbidden = storable(asked, stored.status, &fields, directives.clone())
        .err()
        .filter(|reason| reason.says_response());
    let heuristics = !asked.authorization && !asked.cookie && !fields.contains_key(http::header::SET_COOKIE);
    let mut freshness = freshness(stored.status, &fields, &directives, requested, received, heuristics);
    // What may not stay stored answers nobody who did not ask for just this validation.
    freshness.revalidate_always |= forbidden.is_some();
    let consumed = request.targets.consume(&mut fields).into();
    strip_for_sharing(&mut fields, &directives);
    let (wire, lines) = wire_head(stored.status, &fields, stored.content_length);
    let head = Head {
        wire,
        fields: lines,
        consumed,
        freshness,
        validators: validators(&fields),
        tags: tags(secret, &fields),
        epoch: fill.epoch,
        began: fill.began,
        ..stored.clone()
    };
    (head, forbidden)
}

/// The hashes of the tags that the fields name, sorted.
fn tags(secret: &Secret, fields: &HeaderMap) -> Box<[u128]> {
    let groups = fields
        .get_all(GROUPS)
        .iter()
        .flat_map(|value| group_names(value.as_bytes()));
    let mut tags: Vec<u128> = TAG_FIELDS
        .iter()
        .flat_map(|(name, separator)| {
            fields
                .get_all(*name)
                .iter()
                .map(move |value| (value.as_bytes(), *separator))
        })
        .flat_map(|(value, separator)| value.split(move |byte| *byte == separator))
        .map(<[u8]>::trim_ascii)
        .filter(|tag| !tag.is_empty())
        .map(|tag| secret.tag(tag))
        .chain(groups.map(|group| secret.tag(&group)))
        .collect();
    tags.sort_unstable();
    tags.dedup();
    tags.into()
}

/// The same head over a body whose length has become known.
pub fn with_length(head: &Head, length: u64) -> Head {
    let (wire, fields) = wire_head(head.status, &head.field_map(), Some(length));
    Head {
        wire,
        fields,
        content_length: Some(length),
        ..head.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_the_strings_of_a_list() {
        for (value, names) in [
            (r#""a", "b c";x="y" , "d\"e""#, &["a", "b c", "d\"e"][..]),
            (r#""a,b""#, &["a,b"]),
            (r#"token, 7, ("a"), "", "whole""#, &["whole"]),
            (r#""unclosed"#, &[]),
            ("", &[]),
        ] {
            let got: Vec<_> = group_names(value.as_bytes()).collect();
            let names: Vec<Vec<u8>> = names.iter().map(|name| name.as_bytes().to_vec()).collect();
            assert_eq!(got, names, "{value}");
        }
    }
}
