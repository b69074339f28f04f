//! Judging an answer's head: is it of the right resource, variant and client; fresh enough; not purged?

use verge::pipeline::BodyLength;

use super::policy::{failed_at, lifetime, selects_same, staleness_allowed};
use super::{Expected, Judged, Seen, broken};
use crate::ledger::{Contact, Given, Ledger, Purge, Request, Stamp};
use crate::plan::{Plan, Target, VaryBy};

/// How long a failed fetch answers for, in milliseconds.
const REMEMBERED: u64 = 1000;

/// A head to be judged, and all that bears on it.
struct Case<'a> {
    plan: &'a Plan,
    ledger: &'a Ledger,
    number: usize,
    request: &'a Request,
    seen: &'a Seen,
    at: Stamp,
}

/// A contact that an answer rests on, and what it brought.
#[derive(Clone, Copy)]
struct Source<'a> {
    number: usize,
    contact: &'a Contact,
    given: &'a Given,
}

/// Judges the head that the client of request `number` got at `at`; gives what the body must be.
pub fn judge_head(plan: &Plan, ledger: &Ledger, number: usize, seen: &Seen, at: Stamp) -> Judged<Expected> {
    let request = &ledger.requests[number];
    let case = Case {
        plan,
        ledger,
        number,
        request,
        seen,
        at,
    };
    case.answered_in_time()?;
    if let Some(why) = &seen.own {
        case.own(why)?;
        return Ok(Expected::anything(at, seen));
    }
    if matches!(seen.status, 412 | 416) {
        return case.not_of_the_representation();
    }
    let fetched = case.source("x-fetch")?;
    let validated = case.source("x-validated")?;
    let (Some(brought), last) = (fetched, validated.or(fetched)) else {
        return case.passed_not_modified(validated);
    };
    let last = last.unwrap_or(brought);
    for source in [brought, last] {
        case.of_the_resource(source)?;
        case.for_this_client(source)?;
    }
    case.told_truly(last)?;
    case.variant(brought, last)?;
    case.purged(brought)?;
    case.fresh_enough(last)?;
    case.age(last)?;
    case.body(brought, last)
}

impl<'a> Case<'a> {
    /// The contact that a field names.
    fn source(&self, name: &str) -> Judged<Option<Source<'a>>> {
        let Some(number) = self.seen.number(name) else {
            return Ok(None);
        };
        let contact = self.ledger.contacts.get(number);
        match contact.and_then(|contact| {
            Some(Source {
                number,
                contact,
                given: contact.given.as_ref()?,
            })
        }) {
            Some(source) => Ok(Some(source)),
            None => broken(
                "head",
                format!("request {} got {name} {number}, which never was", self.number),
            ),
        }
    }

    /// Invariant 5: what a request waits for is the origin, never another reader.
    fn answered_in_time(&self) -> Judged<()> {
        let of_resource = self
            .ledger
            .contacts
            .iter()
            .filter(|contact| contact.resource == self.request.ask.resource);
        let mut moments = of_resource.flat_map(|contact| {
            let head = contact.given.as_ref().map(|given| given.head.at);
            [head, contact.failed.map(|failed| failed.at)]
        });
        match self.at.at == self.request.came.at || moments.any(|moment| moment == Some(self.at.at)) {
            true => Ok(()),
            false => broken(
                "late head",
                format!("request {} was answered when nothing came from the origin", self.number),
            ),
        }
    }

    /// Whether the origin failed for this resource, now or a moment ago.
    fn failed_lately(&self) -> bool {
        let of_key = self.ledger.contacts.iter().filter(|contact| {
            contact.resource == self.request.ask.resource && contact.secure == self.request.ask.secure
        });
        let mut failures = of_key.filter_map(failed_at);
        failures.any(|failed| failed + REMEMBERED >= self.at.at)
    }

    /// An answer of the edge's own must have a reason.
    fn own(&self, why: &str) -> Judged<()> {
        let ask = &self.request.ask;
        let justified = match (self.seen.status, why) {
            (504, "only-if-cached") => ask.cache_control == Some("only-if-cached"),
            (503, "too-many-fetches") => !self.plan.knobs.is_generous(),
            (502, "origin-keeps-changing") => false,
            (502 | 504, _) => self.failed_lately(),
            _ => false,
        };
        match justified {
            true => Ok(()),
            false => broken(
                "needless error",
                format!("request {} got {} for {why}", self.number, self.seen.status),
            ),
        }
    }

    fn not_of_the_representation(&self) -> Judged<Expected> {
        match self.seen.status == 416 && self.request.ask.range.is_some() {
            true => Ok(Expected::anything(self.at, self.seen)),
            false => broken(
                "head",
                format!(
                    "request {} got {} without having asked for it",
                    self.number, self.seen.status
                ),
            ),
        }
    }

    /// A `304` that is the origin's own answer to this client.
    fn passed_not_modified(&self, validated: Option<Source<'a>>) -> Judged<Expected> {
        match validated {
            Some(source) if self.seen.status == 304 && source.contact.request == self.number => {
                Ok(Expected::anything(self.at, self.seen))
            }
            _ => broken(
                "head",
                format!("request {} got a head of no fetch: {}", self.number, self.seen.shown()),
            ),
        }
    }

    fn of_the_resource(&self, source: Source<'a>) -> Judged<()> {
        let ask = &self.request.ask;
        match source.contact.resource == ask.resource && source.contact.secure == ask.secure {
            true => Ok(()),
            false => broken(
                "another URL",
                format!("request {} got what #{} brought", self.number, source.number),
            ),
        }
    }

    /// What is one client's is not given to another.
    fn for_this_client(&self, source: Source<'a>) -> Judged<()> {
        match source.given.shareable || source.contact.request == self.number {
            true => Ok(()),
            false => broken(
                "another client's",
                format!(
                    "request {} got what #{} brought for request {}",
                    self.number, source.number, source.contact.request
                ),
            ),
        }
    }

    /// RFC 9211 2.1, 2.6: a hit has not been fetched since, and what a request fetched itself is not collapsed.
    fn told_truly(&self, last: Source<'a>) -> Judged<()> {
        let hit = self.seen.hit && last.contact.begun.order > self.request.came.order;
        let collapsed = self.seen.cache_status.contains("collapsed") && last.contact.request == self.number;
        match hit || collapsed {
            true => broken(
                "cache-status",
                format!(
                    "request {} got {} from #{}",
                    self.number, self.seen.cache_status, last.number
                ),
            ),
            false => Ok(()),
        }
    }

    fn variant(&self, brought: Source<'a>, last: Source<'a>) -> Judged<()> {
        let own = (self.request.ask.lang, self.request.ask.mode);
        let source = match last.given.policy.vary {
            // A 304 without Vary leaves the stored one as it is.
            VaryBy::Nothing => brought,
            _ => last,
        };
        let is_own = source.contact.request == self.number;
        match is_own || selects_same(source.given.policy.vary, own, source.contact.selecting) {
            true => Ok(()),
            false => broken(
                "another variant",
                format!(
                    "request {} with {own:?} got what #{} brought for {:?}",
                    self.number, source.number, source.contact.selecting
                ),
            ),
        }
    }

    /// Invariant 2: nothing that was hard purged before the request came.
    fn purged(&self, brought: Source<'a>) -> Judged<()> {
        let came = self.request.came.order;
        let names = |purge: &&Purge| purge.done.order < came && purge.hard && self.names(purge, brought);
        match self.ledger.purges.iter().rfind(names) {
            None => Ok(()),
            Some(purge) => broken(
                "purged",
                format!(
                    "request {} got what #{} brought before {:?} was purged",
                    self.number, brought.number, purge.target
                ),
            ),
        }
    }

    /// Whether a purge came after the fetch began and names what it brought.
    fn names(&self, purge: &Purge, source: Source<'a>) -> bool {
        let resource = &self.plan.resources[source.contact.resource];
        let begun = source.contact.begun.order;
        let named = match &purge.target {
            Target::All => true,
            Target::Url(place) => *place == source.contact.resource,
            Target::Site(site) => *site == resource.host,
            Target::Prefix(prefix) => resource.text().starts_with(prefix),
            // A 304 may have taken the tag away: only what surely had it until then is judged.
            Target::Tag(tag) => {
                let has = |given: &Given| given.policy.tags.contains(tag);
                let mut between = self
                    .ledger
                    .contacts
                    .iter()
                    .filter(|contact| contact.resource == source.contact.resource);
                has(source.given)
                    && between.all(|contact| contact.begun.order < begun || contact.given.as_ref().is_none_or(has))
            }
        };
        begun < purge.done.order && named
    }

    /// Invariant 1, time: fetched for this request, or fresh, or as stale as is allowed.
    fn fresh_enough(&self, last: Source<'a>) -> Judged<()> {
        let (knobs, came) = (&self.plan.knobs, self.request.came.order);
        if last.contact.begun.order > came {
            return Ok(());
        }
        let policy = &last.given.policy;
        let soft = self
            .ledger
            .purges
            .iter()
            .any(|purge| !purge.hard && purge.done.order < came && self.names(purge, last));
        let age = self.at.at - last.given.head.at + last.given.age * 1000;
        let lifetime = lifetime(last.given);
        let fresh = age < lifetime && !policy.no_cache && !soft;
        let stale = age.saturating_sub(lifetime);
        let (revalidating, on_error) = staleness_allowed(policy, knobs);
        let excused = self.failed_lately() || !knobs.is_generous();
        let accepted = knobs.client_may_revalidate && self.request.ask.cache_control == Some("max-stale") && !soft;
        let may_be_stale = !policy.no_cache && !policy.must_revalidate && policy.s_maxage.is_none();
        if fresh || stale < revalidating || excused && stale < on_error || accepted && may_be_stale {
            return Ok(());
        }
        broken(
            "stale",
            format!(
                "request {} got what #{} brought {age} ms ago, which lives {lifetime} ms{}{}",
                self.number,
                last.number,
                if soft { ", soft purged" } else { "" },
                if policy.no_cache { ", no-cache" } else { "" },
            ),
        )
    }

    /// RFC 9111 5.1: `Age` says how long ago the response was made or confirmed.
    fn age(&self, last: Source<'a>) -> Judged<()> {
        let Some(age) = self.seen.number("age").map(|age| age as u64) else {
            return match self.seen.hit {
                true => broken("head", format!("request {} got a hit without Age", self.number)),
                false => Ok(()),
            };
        };
        let least = (self.at.at - last.given.head.at) / 1000 + last.given.age;
        let most = (self.at.at - last.contact.begun.at) / 1000 + last.given.age + 2;
        match (least..=most).contains(&age) {
            true => Ok(()),
            false => broken(
                "age",
                format!("request {} got Age {age}, which is not {least} to {most}", self.number),
            ),
        }
    }

    /// What the body must be, and whether the head agrees with it.
    fn body(&self, brought: Source<'a>, last: Source<'a>) -> Judged<Expected> {
        let (seen, given) = (self.seen, brought.given);
        let size = given.content.bytes.len() as u64;
        let etag = last.given.etag.as_deref().or(given.etag.as_deref());
        if seen.field("etag") != etag {
            return broken(
                "head",
                format!(
                    "request {} got the ETag {:?} instead of {etag:?}",
                    self.number,
                    seen.field("etag")
                ),
            );
        }
        let agrees = match (seen.status, seen.length) {
            (304, _) => {
                let bare = |tag: &str| tag.trim_start_matches("W/").to_owned();
                self.request.if_none_match.as_deref().map(bare) == etag.map(bare)
            }
            (206, BodyLength::Known(_)) => true,
            (status, BodyLength::Known(length)) => status == given.status && length == size,
            (status, BodyLength::NoBody) => {
                status == given.status && seen.number("content-length").is_none_or(|length| length as u64 == size)
            }
            (status, BodyLength::Unknown) => status == given.status && given.chunked,
        };
        match agrees {
            true => Expected::of(self.request, brought.number, given, seen, self.at),
            false => broken(
                "head",
                format!(
                    "request {} got {} for #{}: {given:?}",
                    self.number,
                    seen.shown(),
                    brought.number
                ),
            ),
        }
    }
}
