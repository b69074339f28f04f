//! Judging an answer's body: every byte, its end, and when it ended.

use std::sync::Arc;

use verge::origin::FetchError;
use verge::pipeline::BodyLength;

use super::ranges::{content_range, parts_are_right, single};
use super::{Judged, Seen, broken};
use crate::ledger::{Content, Given, Ledger, Request, Stamp};
use crate::world::World;

/// What a body must be, and what has come of it.
#[derive(Debug)]
pub struct Expected {
    /// The content that it is of, and the contact that brought it; none if any text will do.
    of: Option<(usize, Arc<Content>)>,
    shape: Shape,
    /// Bytes that the head promises.
    promised: Option<u64>,
    head: Stamp,
    /// Bytes that have come.
    pub come: u64,
    /// The contact that brings them, and where in its content they begin.
    pub reading: Option<(usize, u64)>,
    gathered: Vec<u8>,
}

#[derive(Debug)]
enum Shape {
    /// These bytes of the content.
    Stretch(u64, u64),
    /// Several parts, between lines that begin with this boundary.
    Parts(String),
}

impl Expected {
    /// Any body, as long as its length is the promised one.
    pub fn anything(head: Stamp, seen: &Seen) -> Self {
        Expected {
            of: None,
            shape: Shape::Stretch(0, 0),
            promised: promised(seen),
            head,
            come: 0,
            reading: None,
            gathered: Vec::new(),
        }
    }

    /// The content that the contact of this number brought, or a part of it.
    pub fn of(request: &Request, contact: usize, given: &Given, seen: &Seen, head: Stamp) -> Judged<Self> {
        let size = given.content.bytes.len() as u64;
        let boundary = seen
            .field("content-type")
            .and_then(|kind| kind.strip_prefix("multipart/byteranges; boundary="));
        let shape = match (seen.status, boundary) {
            (206, Some(boundary)) => Shape::Parts(boundary.to_owned()),
            (206, None) => part(request, size, seen, given)?,
            _ => Shape::Stretch(0, size),
        };
        let from = match shape {
            Shape::Stretch(from, _) => from,
            Shape::Parts(_) => 0,
        };
        Ok(Expected {
            reading: Some((contact, from)),
            of: Some((contact, Arc::clone(&given.content))),
            shape,
            ..Expected::anything(head, seen)
        })
    }
}

fn promised(seen: &Seen) -> Option<u64> {
    match seen.length {
        BodyLength::Known(length) => Some(length),
        BodyLength::NoBody | BodyLength::Unknown => None,
    }
}

/// The one part that a `206` has: the one that was asked for.
fn part(request: &Request, size: u64, seen: &Seen, given: &Given) -> Judged<Shape> {
    let said = seen.field("content-range").unwrap_or_default();
    let Some((from, to, of)) = content_range(said) else {
        return broken("head", format!("the Content-Range {said:?} cannot be read"));
    };
    let asked = request.ask.range.as_deref().and_then(|range| single(range, size));
    let is_origins = given.status == 206 && given.from == from;
    let length = promised(seen);
    match of == size && length == Some(to - from) && (is_origins || asked == Some((from, to))) {
        true => Ok(Shape::Stretch(from, to)),
        false => broken(
            "head",
            format!("{said} of {size} bytes, {length:?} long, for {:?}", request.ask.range),
        ),
    }
}

/// Invariant 1, bytes: what has come is what the content has at that place.
pub fn judge_piece(world: &World, number: usize, expected: &mut Expected, piece: &[u8]) -> Judged<()> {
    let mut ledger = world.ledger.lock();
    let (at, length) = (expected.come, piece.len() as u64);
    expected.come += length;
    if expected.promised.is_some_and(|promised| expected.come > promised) {
        return broken(
            "long",
            format!("request {number} got more than {:?} bytes", expected.promised),
        );
    }
    let Some((contact, content)) = &expected.of else {
        return Ok(());
    };
    let Shape::Stretch(from, to) = expected.shape else {
        // Parts may lie anywhere in the content.
        ledger.requests[number].reading = Some((*contact, content.bytes.len() as u64));
        expected.gathered.extend_from_slice(piece);
        return Ok(());
    };
    let offset = from + at;
    ledger.requests[number].reading = Some((*contact, offset + length));
    if offset + length > to {
        return broken("long", format!("request {number} got bytes beyond {to}"));
    }
    let wanted = content.bytes.get(offset as usize..(offset + length) as usize);
    match wanted == Some(piece) || resumed_by_a_lie(&ledger, number, *contact, offset, piece) {
        true => Ok(()),
        false => broken(
            "wrong bytes",
            format!(
                "request {number} got at {offset} not {} but {}",
                content.name,
                ledger.whose(piece, offset)
            ),
        ),
    }
}

/// A reader that fell behind asked for the rest, and the origin gave it that of another version under the same strong ETag.
fn resumed_by_a_lie(ledger: &Ledger, number: usize, contact: usize, offset: u64, piece: &[u8]) -> bool {
    let holds = |given: &Given| {
        given
            .content
            .bytes
            .get(offset as usize..)
            .is_some_and(|rest| rest.starts_with(piece))
    };
    lying_rests(ledger, number, contact).any(holds)
}

/// What was given to this request as the rest of what `contact` brought, under a tag that other contents have too.
fn lying_rests(ledger: &Ledger, number: usize, contact: usize) -> impl Iterator<Item = &Given> {
    let etag = ledger.contacts[contact]
        .given
        .as_ref()
        .and_then(|given| given.etag.as_deref());
    // What another request fetched of a body that is known in part is everybody's.
    let resource = ledger.requests[number].ask.resource;
    let rests = ledger
        .contacts
        .iter()
        .filter(move |contact| contact.resource == resource && contact.range);
    let given = rests.filter_map(|contact| contact.given.as_ref());
    given.filter(move |given| given.lying && given.status == 206 && given.etag.as_deref() == etag)
}

/// Invariant 3: an answer that ends without an error is as long as it says, and whole.
pub fn judge_end(world: &World, number: usize, expected: &Expected) -> Judged<()> {
    let ledger = world.ledger.lock();
    if let Some(promised) = expected.promised
        && expected.come != promised
    {
        return broken(
            "short",
            format!(
                "request {number} got {} of {promised} bytes and no error",
                expected.come
            ),
        );
    }
    let Some((contact, content)) = &expected.of else {
        return Ok(());
    };
    match &expected.shape {
        // Under a lying tag of an unknown length, the rest may be that of a shorter or longer content.
        Shape::Stretch(from, to)
            if expected.come != to - from
                && !lying_rests(&ledger, number, *contact)
                    .any(|given| given.content.bytes.len() as u64 == expected.come) =>
        {
            broken(
                "short",
                format!(
                    "request {number} got {} of {} bytes and no error",
                    expected.come,
                    to - from
                ),
            )
        }
        Shape::Parts(boundary)
            if lying_rests(&ledger, number, *contact).next().is_none()
                && !parts_are_right(&expected.gathered, boundary, content) =>
        {
            broken(
                "wrong bytes",
                format!("request {number} got a multipart body that is not of {}", content.name),
            )
        }
        _ => in_time(world, &ledger, number, expected, *contact),
    }
}

/// A body may break off only for a reason.
pub fn judge_break(world: &World, number: usize, expected: &Expected, error: FetchError) -> Judged<()> {
    let mut ledger = world.ledger.lock();
    let at = world.now();
    ledger.note(at, || format!("request {number}: the body breaks off: {error:?}"));
    ledger.count("bodies that broke off");
    let Some((contact, _)) = &expected.of else {
        return Ok(());
    };
    let source = &ledger.contacts[*contact];
    let brought_whole = source.given.as_ref().is_some_and(|given| !given.cut);
    let resource = ledger.requests[number].ask.resource;
    let mut own = ledger
        .contacts
        .iter()
        .filter(|contact| contact.request == number || contact.range && contact.resource == resource);
    let own_failed =
        own.any(|contact| contact.failed.is_some() || contact.given.as_ref().is_some_and(|given| given.cut));
    let fell_behind = error == FetchError::FellBehind
        && !(world.plan.knobs.is_roomy() && source.given.as_ref().is_some_and(|given| given.shareable));
    match brought_whole && !own_failed && !fell_behind {
        true => broken(
            "needless break",
            format!("request {number} got {error:?} though #{contact} came whole"),
        ),
        false => in_time(world, &ledger, number, expected, *contact),
    }
}

/// Invariant 5: who takes what comes as soon as it comes has it when the origin has given it.
fn in_time(world: &World, ledger: &Ledger, number: usize, expected: &Expected, contact: usize) -> Judged<()> {
    if !ledger.requests[number].ask.is_fast() {
        return Ok(());
    }
    let resource = ledger.requests[number].ask.resource;
    let own = ledger
        .contacts
        .iter()
        .filter(|other| other.resource == resource && other.range);
    let sources = own
        .chain([&ledger.contacts[contact]])
        .filter_map(|contact| contact.given.as_ref());
    let scheduled = sources
        .map(|given| given.schedule_end)
        .max()
        .unwrap_or(0)
        .max(expected.head.at);
    match world.now() <= scheduled {
        true => Ok(()),
        false => broken(
            "held up",
            format!(
                "request {number} had its body at {} ms, but the origin had given it by {scheduled} ms",
                world.now()
            ),
        ),
    }
}
