//! The scripted origin: what it has changes over virtual time, and it answers as badly as the plan says.

mod body;
mod conditions;
mod words;

pub use words::tag;

use std::sync::Arc;

use http::{HeaderName, Method, StatusCode, header};
use verge::origin::{BoxFuture, Fetch, FetchError, FetchRequest, Fetched, RequestBody};
use verge::store::CHUNK;

use body::ScriptedBody;

use crate::ledger::{Contact, Content, Given, version_at};
use crate::model;
use crate::plan::{Behaviour, Outcome, Policy, Tag, VaryBy};
use crate::world::World;

/// The origin of a world.
pub struct Origin(pub Arc<World>);

impl Fetch for Origin {
    fn fetch<'a>(
        self: Arc<Self>,
        request: FetchRequest,
        body: Option<&'a mut (dyn RequestBody + 'a)>,
    ) -> BoxFuture<'a, Result<Fetched<'a>, FetchError>> {
        let visit = Visit::new(Arc::clone(&self.0), request);
        Box::pin(visit.answer(body))
    }
}

/// One request at the origin.
struct Visit {
    world: Arc<World>,
    request: FetchRequest,
    contact: usize,
    behaviour: Behaviour,
    /// Whether an answer, or none, has been given.
    settled: bool,
}

impl Drop for Visit {
    fn drop(&mut self) {
        if !self.settled {
            let mut ledger = self.world.ledger.lock();
            let stamp = ledger.stamp(self.world.now());
            ledger.contacts[self.contact].dropped = Some(stamp);
            let contact = self.contact;
            ledger.note(stamp.at, || format!("origin #{contact}: the edge gave up waiting"));
        }
    }
}

/// What the origin says of the present state of a resource.
struct State {
    plan: crate::plan::Version,
    policy: Policy,
    content: Arc<Content>,
    etag: Option<String>,
    /// Seconds since the simulation began.
    modified: Option<i64>,
}

impl Visit {
    fn new(world: Arc<World>, request: FetchRequest) -> Self {
        let at = world.now();
        let number = |name: &str| {
            request
                .fields
                .get(name)
                .and_then(|value| value.to_str().ok()?.parse().ok())
        };
        let resource = world.resource(&request.host, &request.target);
        let mut ledger = world.ledger.lock();
        let contact = ledger.contacts.len();
        let nth = ledger
            .contacts
            .iter()
            .filter(|contact| contact.resource == resource)
            .count();
        let behaviours = &world.plan.resources[resource].behaviours;
        let behaviour = behaviours[nth % behaviours.len()].clone();
        let begun = ledger.stamp(at);
        let selecting = (
            number("x-lang").map(|n: usize| n as u8),
            number("x-mode").map(|n: usize| n as u8),
        );
        let request_number = number("x-request").unwrap_or(usize::MAX);
        ledger.contacts.push(Contact {
            resource,
            secure: request
                .fields
                .get("x-forwarded-proto")
                .is_some_and(|value| value == "https"),
            request: request_number,
            selecting,
            range: request.fields.contains_key(header::RANGE),
            unsafe_method: request.method == Method::POST,
            begun,
            given: None,
            failed: None,
            ended: None,
            dropped: None,
            bytes_given: 0,
        });
        ledger.note(at, || {
            let asked = |name: HeaderName| {
                request
                    .fields
                    .get(&name)
                    .map(|value| format!(" {name}: {value:?}"))
                    .unwrap_or_default()
            };
            let conditions = [
                header::IF_NONE_MATCH,
                header::IF_MODIFIED_SINCE,
                header::RANGE,
                header::IF_RANGE,
            ]
            .map(asked)
            .concat();
            format!(
                "origin #{contact}: {} {} for request {request_number}{conditions}",
                request.method, request.target
            )
        });
        model::judge_contact(&world.plan, &mut ledger, contact, &request, at);
        drop(ledger);
        Visit {
            world,
            request,
            contact,
            behaviour,
            settled: false,
        }
    }

    async fn answer<'a>(mut self, body: Option<&'a mut (dyn RequestBody + 'a)>) -> Result<Fetched<'a>, FetchError> {
        if let Some(body) = body {
            while let Some(piece) = std::future::poll_fn(|cx| body.poll_piece(cx)).await {
                piece?;
            }
        }
        let early = self.state();
        self.world.handle.until(self.world.now() + self.behaviour.delay).await;
        let state = match self.behaviour.late {
            true => self.state(),
            false => early,
        };
        self.settled = true;
        match self.behaviour.outcome {
            Outcome::NoHead => Err(self.no_head()),
            Outcome::Error(status, with_policy) => Ok(self.error(status, with_policy, state)),
            Outcome::Response => Ok(self.response(state)),
        }
    }

    fn state(&self) -> State {
        let at = self.world.now();
        let mut ledger = self.world.ledger.lock();
        let contact = &ledger.contacts[self.contact];
        let (place, (lang, mode)) = (contact.resource, contact.selecting);
        let resource = &self.world.plan.resources[place];
        let version = version_at(&self.world.plan, &ledger, place, at);
        let plan = resource.versions[version as usize % resource.versions.len()];
        let stage = resource.policy_changes.iter().filter(|change| **change <= at).count();
        let policy = resource.policies[stage % resource.policies.len()].clone();
        let value = |given: Option<u8>| given.map_or(0, |value| u16::from(value) + 1);
        let variant = match policy.vary {
            VaryBy::Nothing => 0,
            VaryBy::Lang | VaryBy::Star => 1 + value(lang),
            VaryBy::LangAndMode => 100 + value(lang) * 10 + value(mode),
        };
        State {
            plan,
            content: ledger.content((place, variant, version), plan.size),
            etag: tag(plan.etag, place, variant, version),
            modified: plan.last_modified.then(|| model::modified(version)),
            policy,
        }
    }

    fn no_head(&self) -> FetchError {
        let at = self.world.now();
        let mut ledger = self.world.ledger.lock();
        let stamp = ledger.stamp(at);
        let contact = self.contact;
        ledger.contacts[contact].failed = Some(stamp);
        ledger.note(at, || format!("origin #{contact}: fails"));
        [
            FetchError::ConnectionRefused,
            FetchError::ReadTimeout,
            FetchError::ConnectionTerminated,
        ][contact % 3]
    }

    fn error(self, status: u16, with_policy: bool, state: State) -> Fetched<'static> {
        let policy = match with_policy {
            true => state.policy,
            false => Policy::default(),
        };
        let id = (0x4000 + self.contact, 0, u32::from(status));
        let content = self.world.ledger.lock().content(id, 40);
        let state = State {
            etag: None,
            modified: None,
            content,
            policy,
            ..state
        };
        self.give(status, state, None)
    }

    fn response(self, state: State) -> Fetched<'static> {
        if self.request.method == Method::POST {
            let mut ledger = self.world.ledger.lock();
            let resource = ledger.contacts[self.contact].resource;
            ledger.posts[resource] += 1;
        }
        if self.is_unchanged(&state) {
            return self.give(304, state, None);
        }
        let part = self.part(&state);
        let status = if part.is_some() { 206 } else { state.plan.status };
        self.give(status, state, part)
    }

    /// A part that was asked for in whole chunks, of a body with a strong tag, is as much for others as the whole is.
    fn is_shareable(&self, state: &State, status: u16) -> bool {
        let range = self
            .request
            .fields
            .get(header::RANGE)
            .and_then(|range| range.to_str().ok());
        let first = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')?.0.parse::<u64>().ok());
        let in_chunks = first.is_some_and(|first| first % CHUNK as u64 == 0);
        let strong = state.etag.as_deref().is_some_and(|etag| etag.starts_with('"'));
        let as_status = if status == 206 && in_chunks && strong {
            200
        } else {
            status
        };
        model::is_shareable(&state.policy, as_status, &self.asked())
    }

    fn give(self, status: u16, state: State, part: Option<(u64, u64)>) -> Fetched<'static> {
        let at = self.world.now();
        let size = state.content.bytes.len() as u64;
        let (from, to) = part.unwrap_or((0, size));
        let bodiless = status == 304 || self.request.method == Method::HEAD;
        let sent = if bodiless { 0 } else { to - from };
        let cut = self.behaviour.cut.filter(|_| sent > 0).map(|share| sent * share / 1000);
        let comes = cut.unwrap_or(sent);
        // Not so many pieces that a run takes for ever.
        let piece = self.behaviour.piece.max(comes as usize / 100).max(1);
        let pieces = comes.div_ceil(piece as u64);
        let chunked = self.behaviour.chunked && part.is_none() && !bodiless;
        let fields = self.fields(status, &state, part);
        let given = Given {
            head: self.world.ledger.lock().stamp(at),
            status,
            shareable: self.is_shareable(&state, status),
            policy: state.policy,
            content: Arc::clone(&state.content),
            from,
            lying: matches!(state.plan.etag, Tag::Always | Tag::OfAllVariants),
            etag: state.etag,
            modified: state.modified,
            age: self.behaviour.age.unwrap_or(0),
            chunked,
            cut: cut.is_some(),
            schedule_end: at + pieces * self.behaviour.pause,
            error: status >= 500,
        };
        let contact = self.contact;
        let mut ledger = self.world.ledger.lock();
        ledger.note(at, || {
            let how = match (cut, chunked) {
                (Some(cut), _) => format!(", ending after {cut}"),
                (None, true) => ", of unknown length".to_owned(),
                (None, false) => String::new(),
            };
            let control = fields
                .get(header::CACHE_CONTROL)
                .map(|value| format!(" {value:?}"))
                .unwrap_or_default();
            let vary = fields
                .get(header::VARY)
                .map(|value| format!(" Vary: {value:?}"))
                .unwrap_or_default();
            let etag = given.etag.as_deref().unwrap_or("no ETag");
            format!(
                "origin #{contact}: {status} {} {etag}{control}{vary}, {from}..{to} of {size} bytes{how}",
                given.content.name
            )
        });
        ledger.contacts[contact].given = Some(given);
        drop(ledger);
        let body = ScriptedBody {
            world: Arc::clone(&self.world),
            contact,
            left: state.content.bytes.slice(from as usize..(from + comes) as usize),
            piece,
            pause: self.behaviour.pause,
            next_at: at + self.behaviour.pause,
            timer_set: false,
            cut: cut.is_some(),
            bodiless,
            over: false,
        };
        Fetched {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::OK),
            fields,
            content_length: (!chunked && !bodiless).then_some(sent),
            body: Box::new(body),
            upgraded: None,
        }
    }
}
