//! The scripted origin: what it has changes over virtual time, and it answers as badly as the plan says.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use verge::origin::{BoxFuture, Fetch, FetchError, FetchRequest, Fetched, ReadBody, RequestBody};
use verge::policy::date;

use crate::executor::{Ms, beginning};
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

    /// RFC 9110 13.2.2
    fn is_unchanged(&self, state: &State) -> bool {
        if self.behaviour.unconditional || self.request.method == Method::POST {
            return false;
        }
        if let Some(known) = self.request.fields.get(header::IF_NONE_MATCH) {
            let bare = |tag: &str| tag.trim_start_matches("W/").to_owned();
            return state
                .etag
                .as_deref()
                .is_some_and(|etag| known.to_str().is_ok_and(|known| bare(known) == bare(etag)));
        }
        let since = self
            .request
            .fields
            .get(header::IF_MODIFIED_SINCE)
            .and_then(|value| date::parse(value.as_bytes()));
        state
            .modified
            .is_some_and(|modified| since.is_some_and(|since| since >= wall(modified)))
    }

    /// RFC 9110 14.2, 13.1.5: only `a-b` and `a-` are understood.
    fn part(&self, state: &State) -> Option<(u64, u64)> {
        let fields = &self.request.fields;
        let size = state.content.bytes.len() as u64;
        if self.behaviour.no_ranges || state.plan.status != 200 || self.request.method != Method::GET {
            return None;
        }
        if let Some(condition) = fields.get(header::IF_RANGE)
            && !self.behaviour.no_if_range
            && !state
                .etag
                .as_deref()
                .is_some_and(|etag| condition == etag && !etag.starts_with('W'))
        {
            return None;
        }
        let (first, last) = fields
            .get(header::RANGE)?
            .to_str()
            .ok()?
            .strip_prefix("bytes=")?
            .split_once('-')?;
        let from = first.parse::<u64>().ok().filter(|from| *from < size)?;
        let to = match last {
            "" => size,
            last => last.parse::<u64>().ok()?.saturating_add(1).min(size),
        };
        let to = self.behaviour.short_range.map_or(to, |most| to.min(from + most));
        (from < to).then_some((from, to))
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
            shareable: model::is_shareable(&state.policy, status, &self.asked()),
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

    fn asked(&self) -> model::Asked {
        let fields = &self.request.fields;
        model::Asked {
            authorization: fields.contains_key(header::AUTHORIZATION),
            cookie: fields.contains_key(header::COOKIE),
            no_store: fields
                .get(header::CACHE_CONTROL)
                .is_some_and(|value| value == "no-store"),
        }
    }

    fn fields(&self, status: u16, state: &State, part: Option<(u64, u64)>) -> HeaderMap {
        let mut fields = HeaderMap::new();
        let mut say = |name: HeaderName, value: String| {
            if let Ok(value) = HeaderValue::from_str(&value) {
                fields.insert(name, value);
            }
        };
        let mark = if status == 304 { "x-validated" } else { "x-fetch" };
        say(HeaderName::from_static(mark), self.contact.to_string());
        if let Some(etag) = &state.etag {
            say(header::ETAG, etag.clone());
        }
        if let Some(modified) = state.modified {
            say(header::LAST_MODIFIED, date::format(wall(modified)));
        }
        if self.behaviour.date {
            say(header::DATE, date::format(wall((self.world.now() / 1000) as i64)));
        }
        if let Some(age) = self.behaviour.age {
            say(header::AGE, age.to_string());
        }
        if let Some((from, to)) = part {
            say(
                header::CONTENT_RANGE,
                format!("bytes {from}-{}/{}", to - 1, state.content.bytes.len()),
            );
        }
        if self.request.method == Method::HEAD && status != 304 {
            say(header::CONTENT_LENGTH, state.content.bytes.len().to_string());
        }
        let control = cache_control(&state.policy);
        if !control.is_empty() {
            say(header::CACHE_CONTROL, control);
        }
        match state.policy.vary {
            VaryBy::Nothing => {}
            VaryBy::Lang => say(header::VARY, "X-Lang".to_owned()),
            VaryBy::LangAndMode => say(header::VARY, "x-mode, x-lang".to_owned()),
            VaryBy::Star => say(header::VARY, "*".to_owned()),
        }
        let tags: Vec<String> = state.policy.tags.iter().map(|tag| format!("t{tag}")).collect();
        say(
            HeaderName::from_static("surrogate-key"),
            format!("none {}", tags.join(" ")),
        );
        fields
    }
}

fn wall(seconds: i64) -> std::time::SystemTime {
    match u64::try_from(seconds) {
        Ok(after) => beginning() + Duration::from_secs(after),
        Err(_) => beginning() - Duration::from_secs(seconds.unsigned_abs()),
    }
}

/// The entity tag of a version.
pub fn tag(kind: Tag, resource: usize, variant: u16, version: u32) -> Option<String> {
    match kind {
        Tag::None => None,
        Tag::Strong => Some(format!("\"r{resource}-{variant}-{version}\"")),
        Tag::Weak => Some(format!("W/\"r{resource}-{variant}-{version}\"")),
        Tag::OfAllVariants => Some(format!("\"r{resource}-{version}\"")),
        Tag::Always => Some(format!("\"r{resource}\"")),
    }
}

fn cache_control(policy: &Policy) -> String {
    let seconds = |name: &str, value: Option<u64>| value.map(|value| format!("{name}={value}"));
    let flag = |name: &str, is: bool| is.then(|| name.to_owned());
    let said = [
        seconds("max-age", policy.max_age),
        seconds("s-maxage", policy.s_maxage),
        seconds("stale-while-revalidate", policy.swr),
        seconds("stale-if-error", policy.sie),
        flag("no-cache", policy.no_cache),
        flag("no-store", policy.no_store),
        flag("private", policy.private),
        flag("public", policy.public),
        flag("must-revalidate", policy.must_revalidate),
    ];
    said.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// A body on its way. Each piece is there at its own time, whenever it is asked for.
struct ScriptedBody {
    world: Arc<World>,
    contact: usize,
    left: Bytes,
    piece: usize,
    pause: Ms,
    next_at: Ms,
    timer_set: bool,
    cut: bool,
    over: bool,
}

impl ReadBody for ScriptedBody {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, FetchError>>> {
        if self.left.is_empty() {
            return Poll::Ready(self.end());
        }
        if self.world.now() < self.next_at {
            if !std::mem::replace(&mut self.timer_set, true) {
                return self.world.handle.poll_until(self.next_at, cx).map(|()| None);
            }
            return Poll::Pending;
        }
        self.timer_set = false;
        self.next_at += self.pause;
        let piece = self.left.split_to(self.piece.min(self.left.len()));
        let mut ledger = self.world.ledger.lock();
        if let Err(violation) = model::judge_window(&ledger, &self.world.plan.knobs, self.contact) {
            ledger.broken(self.world.now(), violation);
        }
        ledger.contacts[self.contact].bytes_given += piece.len() as u64;
        drop(ledger);
        Poll::Ready(Some(Ok(piece)))
    }
}

impl ScriptedBody {
    fn end(&mut self) -> Option<Result<Bytes, FetchError>> {
        self.over = true;
        let at = self.world.now();
        let mut ledger = self.world.ledger.lock();
        let stamp = ledger.stamp(at);
        let contact = self.contact;
        ledger.contacts[contact].ended = Some(stamp);
        let cut = self.cut;
        ledger.note(at, || {
            format!("origin #{contact}: body {}", if cut { "breaks off" } else { "ends" })
        });
        cut.then(|| Err([FetchError::Incomplete, FetchError::ConnectionTerminated][contact % 2]))
    }
}

impl Drop for ScriptedBody {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let mut ledger = self.world.ledger.lock();
        let at = self.world.now();
        let stamp = ledger.stamp(at);
        let contact = self.contact;
        // A body of no bytes need not be read.
        match self.left.is_empty() && !self.cut {
            true => ledger.contacts[contact].ended = Some(stamp),
            false => ledger.contacts[contact].dropped = Some(stamp),
        }
        ledger.note(at, || format!("origin #{contact}: the edge reads no further"));
    }
}
