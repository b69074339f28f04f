//! Where an edge may give another answer than its origin, and what it must be then.

use hyper::HeaderMap;
use hyper::header::HeaderValue;

use crate::cases::Case;
use crate::client::Got;
use crate::compare::{Stage, against};
use crate::multipart::{self, Part};
use crate::origin::{self, Reply};
use crate::resource::{ASKED, Dates};

/// The section that allows `got` in place of what the origin said, if one does.
pub fn instead(case: &Case, dates: &Dates, stage: Stage, direct: &Got, got: &Got) -> Option<&'static str> {
    let is = |other: Option<Got>| other.is_some_and(|other| against(case, stage, &other, got).is_empty());
    if is(unmodified_since_date(case, dates, direct)) {
        Some("RFC 9111 4.3.2: Date stands in for Last-Modified")
    } else if is(whole_that_goes_by(case, dates, direct, got)) {
        Some("RFC 9110 14.2: Range may be ignored; the response goes by, without a length or in another order")
    } else if case.directive() == "only-if-cached" && case.reads() && got.status == 504 {
        Some("RFC 9111 5.2.1.7: not stored")
    } else if has_same_bytes_in_other_parts(direct, got) {
        Some("RFC 9110 15.3.7.2: ranges that overlap, or are many, are joined")
    } else {
        None
    }
}

/// RFC 9111 4.3.2: without Last-Modified, a cache holds If-Modified-Since against Date. The origin ignores it (RFC 9110 13.1.3).
fn unmodified_since_date(case: &Case, dates: &Dates, direct: &Got) -> Option<Got> {
    let resource = case.resource();
    let dated = case.asks_since_the_future() && !case.has_condition("if-none-match");
    let conditional = case.reads() && resource.is_success() && direct.status != 412;
    let alone = resource.last_modified(dates).is_none();
    (dated && conditional && alone).then(|| received(origin::not_modified(&resource, dates, ASKED)))
}

/// RFC 9110 14.2: a server may ignore Range. There is no other way while a body comes whose length is not known, nor where it goes
/// by without being stored and a later part is wanted first.
fn whole_that_goes_by(case: &Case, dates: &Dates, direct: &Got, got: &Got) -> Option<Got> {
    let resource = case.resource();
    let without_length = !resource.length_is_said() && matches!(direct.status, 206 | 416);
    let goes_by = !got.is_hit() && (without_length || (!got.is_stored() && !is_in_order(direct)));
    let ranged = case.method() == "GET" && !case.range().is_empty();
    (goes_by && ranged).then(|| received(origin::representation(&resource, None, dates, ASKED)))
}

fn is_in_order(direct: &Got) -> bool {
    let parts = multipart::parts(direct).unwrap_or_default();
    parts.windows(2).all(|pair| pair[0].end() <= pair[1].first)
}

/// An answer of the origin as its client would have it.
pub fn received(reply: Reply) -> Got {
    let mut fields = HeaderMap::new();
    for (name, value) in &reply.fields {
        fields.append(*name, HeaderValue::from_str(value).expect("all fields are valid"));
    }
    Got {
        status: reply.status,
        fields,
        body: reply.body,
    }
}

/// RFC 9110 14.2, 15.3.7.2: ranges that overlap, or are many, may be joined or answered with the whole; every byte that was asked
/// for is there, and is right.
pub fn has_same_bytes_in_other_parts(direct: &Got, got: &Got) -> bool {
    let (Some(asked), true) = (multipart::parts(direct), direct.status == 206) else {
        return false;
    };
    let meets = |one: &Part, other: &Part| one.first < other.end() && other.first < one.end();
    let unusual = asked.len() > 16
        || asked
            .iter()
            .enumerate()
            .any(|(at, part)| asked[..at].iter().any(|earlier| meets(earlier, part)));
    let given = match got.status {
        206 => multipart::parts(got).or_else(|| multipart::single(got).map(|part| vec![part])),
        200 => Some(vec![Part {
            first: 0,
            complete: got.body.len(),
            body: got.body.clone(),
        }]),
        _ => None,
    };
    let given = given.unwrap_or_default();
    let holds = |part: &Part, asked: &Part| {
        part.first <= asked.first
            && asked.end() <= part.end()
            && part.body[asked.first - part.first..asked.end() - part.first] == asked.body
    };
    unusual
        && asked.iter().all(|asked| {
            given
                .iter()
                .any(|part| part.complete == asked.complete && holds(part, asked))
        })
}
