//! A client: asks as the transports do, reads at its pace, may leave at any point, and hands all it gets to the model.

use std::borrow::Cow;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use verge::cache::SchemeClass;
use verge::origin::{FetchError, ReadBody, RequestBody};
use verge::pipeline::{Answer, Begun, BodyLength, Edge, RequestLength, RequestView, begin};
use verge::policy::fields::{Field, RequestFields};

use crate::executor::Ms;
use crate::ledger::{Purge, Request, version_at};
use crate::model::{self, Expected, Seen};
use crate::origin::tag;
use crate::plan::{Ask, Method, Target, Token, VaryBy};
use crate::tokens;
use crate::world::World;

/// Asks, and reads the answer as far as it wants.
pub async fn ask(world: Arc<World>, edge: Arc<Edge>, ask: Ask) {
    let number = arrive(&world, &ask);
    let leaves = ask.leaves_at.map(|after| world.now() + after);
    let visit = visit(&world, &edge, &ask, number);
    let stayed = match leaves {
        None => {
            visit.await;
            Some(())
        }
        Some(leaves) => unless(&world, leaves, visit).await,
    };
    if stayed.is_none() {
        let mut ledger = world.ledger.lock();
        ledger.count("clients that left");
        ledger.note(world.now(), || format!("request {number}: leaves"));
    }
}

/// The future's result, unless it takes until `at`.
async fn unless<T>(world: &World, at: Ms, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut leave = pin!(world.handle.until(at));
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending => leave.as_mut().poll(cx).map(|()| None),
    })
    .await
}

/// Writes down that the request has come.
fn arrive(world: &World, ask: &Ask) -> usize {
    let at = world.now();
    let mut ledger = world.ledger.lock();
    let number = ledger.requests.len();
    let came = ledger.stamp(at);
    let if_none_match = ask.if_none_match.and_then(|before| etag(world, &ledger, ask, before));
    ledger.requests.push(Request {
        ask: ask.clone(),
        came,
        if_none_match,
        reading: None,
    });
    ledger.note(at, || format!("request {number}: {}", shown(world, ask)));
    ledger.count("requests");
    number
}

/// The entity tag that the resource had for this client so many versions ago.
fn etag(world: &World, ledger: &crate::ledger::Ledger, ask: &Ask, before: u32) -> Option<String> {
    let version = version_at(&world.plan, ledger, ask.resource, world.now()).checked_sub(before)?;
    let resource = &world.plan.resources[ask.resource];
    let plan = resource.versions[version as usize % resource.versions.len()];
    let value = |given: Option<u8>| given.map_or(0, |value| u16::from(value) + 1);
    let variant = match resource.policies[0].vary {
        VaryBy::Nothing => 0,
        VaryBy::Lang | VaryBy::Star => 1 + value(ask.lang),
        VaryBy::LangAndMode => 100 + value(ask.lang) * 10 + value(ask.mode),
    };
    tag(plan.etag, ask.resource, variant, version)
}

fn shown(world: &World, ask: &Ask) -> String {
    let mut text = format!("{:?} {}", ask.method, world.plan.resources[ask.resource].text());
    let Ask { secure, lang, mode, .. } = ask;
    text += if *secure { " over TLS" } else { "" };
    if world.plan.resources[ask.resource].guarded && ask.token != Token::Good {
        text += &format!(" with a token that is {:?}", ask.token);
    }
    for (name, value) in [("lang", lang), ("mode", mode)] {
        text += &value.map(|value| format!(" {name}={value}")).unwrap_or_default();
    }
    for (name, is) in [("Authorization", ask.authorization), ("Cookie", ask.cookie)] {
        text += if is { name } else { "" };
    }
    let more = (&ask.cache_control, &ask.range, ask.if_none_match, ask.if_range);
    if more != (&None, &None, None, None) {
        text += &format!(" (Cache-Control, Range, If-None-Match, If-Range) = {more:?}");
    }
    if !ask.is_fast() {
        text += &format!(" slowly: {} ms a piece, stall {:?}", ask.pace, ask.stall);
    }
    text
}

async fn visit(world: &Arc<World>, edge: &Arc<Edge>, ask: &Ask, number: usize) {
    let resource = &world.plan.resources[ask.resource];
    let token = resource.guarded.then(|| tokens::of(world, ask)).flatten();
    let (query, cookie) = match token {
        Some(token) if ask.in_cookie => (resource.query.map(str::to_owned), Some(token)),
        Some(token) => (Some(tokens::with(resource.query, &token)), None),
        None => (resource.query.map(str::to_owned), None),
    };
    let lines = lines(world, ask, number, cookie);
    let lines: Vec<Field<'_>> = lines
        .iter()
        .map(|(name, value)| Field {
            name: name.as_bytes(),
            value: value.as_bytes(),
        })
        .collect();
    let view = RequestView {
        method: match ask.method {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
        },
        scheme: if ask.secure {
            SchemeClass::Secure
        } else {
            SchemeClass::Clear
        },
        host: Cow::Borrowed(resource.host),
        path: Cow::Borrowed(resource.path),
        raw_path: resource.path,
        query: query.as_deref(),
        fields: RequestFields::new(&lines),
        // Each is somebody else: whoever sends many wrong tokens is held off.
        client: IpAddr::V4(Ipv4Addr::from_bits(0xc612_0000 + number as u32)),
        version: "1.1",
        body: if ask.method == Method::Post {
            RequestLength::Known(4)
        } else {
            RequestLength::None
        },
    };
    let mut body = Form(Some(Bytes::from_static(b"a=b\n")));
    let answer = match begin(edge, &view) {
        Begun::Answer(answer) => answer,
        Begun::Work(work) => {
            let wanted: Option<&mut (dyn RequestBody + '_)> = match ask.method {
                Method::Post => Some(&mut body),
                _ => None,
            };
            work.execute(edge, wanted).await
        }
    };
    if let Some(expected) = head(world, ask, number, &answer) {
        read(world, ask, number, answer, expected).await;
    }
}

fn lines(world: &World, ask: &Ask, number: usize, token: Option<String>) -> Vec<(&'static str, String)> {
    let mut lines = vec![("X-Request", number.to_string())];
    let mut say = |name, value: Option<String>| lines.extend(value.map(|value| (name, value)));
    say("X-Lang", ask.lang.map(|lang| lang.to_string()));
    say("X-Mode", ask.mode.map(|mode| mode.to_string()));
    say("Authorization", ask.authorization.then(|| format!("Basic {number}")));
    say("Cookie", ask.cookie.then(|| format!("id={number}")));
    say("Cookie", token);
    say("Cache-Control", ask.cache_control.map(str::to_owned));
    say("Range", ask.range.clone());
    let ledger = world.ledger.lock();
    say("If-None-Match", ledger.requests[number].if_none_match.clone());
    say(
        "If-Range",
        ask.if_range.and_then(|before| etag(world, &ledger, ask, before)),
    );
    lines
}

/// A request body.
struct Form(Option<Bytes>);

impl ReadBody for Form {
    fn poll_piece(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, FetchError>>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}

impl RequestBody for Form {
    fn content_length(&self) -> Option<u64> {
        Some(4)
    }
}

/// Has the model judge the head of an answer; gives what the body must be, unless a rule is broken.
fn head(world: &World, ask: &Ask, number: usize, answer: &Answer<'_>) -> Option<Expected> {
    let seen = Seen::new(answer);
    let at = world.now();
    let mut ledger = world.ledger.lock();
    let stamp = ledger.stamp(at);
    ledger.note(at, || format!("request {number}: {}", seen.shown()));
    ledger.count(seen.kind());
    if ask.method == Method::Post && (200..400).contains(&seen.status) {
        ledger.purges_asked.push(stamp);
        ledger.purges.push(Purge {
            target: Target::Url(ask.resource),
            hard: true,
            asked: stamp,
            done: stamp,
            for_good: false,
        });
    }
    match model::judge_head(&world.plan, &ledger, number, &seen, stamp) {
        Ok(expected) => {
            ledger.requests[number].reading = expected.reading;
            Some(expected)
        }
        Err(violation) => {
            ledger.broken(at, violation);
            None
        }
    }
}

/// Reads the body and has the model judge it.
async fn read(world: &World, ask: &Ask, number: usize, mut answer: Answer<'_>, mut expected: Expected) {
    if answer.length == BodyLength::NoBody {
        return;
    }
    let mut stall = ask.stall;
    loop {
        let next = answer.body.next().await;
        let at = world.now();
        let over = match next {
            Some(Ok(piece)) => model::judge_piece(world, number, &mut expected, &piece).map(|()| false),
            Some(Err(error)) => model::judge_break(world, number, &expected, error).map(|()| true),
            None => model::judge_end(world, number, &expected).map(|()| true),
        };
        match over {
            Ok(false) => {}
            Ok(true) => return,
            Err(violation) => return world.ledger.lock().broken(at, violation),
        }
        if ask.leaves_after.is_some_and(|most| expected.come >= most) {
            let mut ledger = world.ledger.lock();
            ledger.note(at, || format!("request {number}: leaves"));
            return ledger.count("clients that left");
        }
        let rest = match stall {
            Some((after, long)) if expected.come >= after => {
                stall = None;
                ask.pace + long
            }
            _ => ask.pace,
        };
        if rest > 0 {
            world.handle.until(at + rest).await;
        }
    }
}
