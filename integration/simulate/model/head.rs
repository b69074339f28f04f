//! Judging an answer's head: is it of the right resource, variant and client; fresh enough; not purged?

use verge::pipeline::BodyLength;

use super::policy::selects_same;
use super::{Expected, Judged, Seen, broken};
use crate::ledger::{Contact, Given, Ledger, Request, Stamp};
use crate::plan::{Plan, Token, VaryBy};

/// A head to be judged, and all that bears on it.
pub(super) struct Case<'a> {
    pub(super) plan: &'a Plan,
    pub(super) ledger: &'a Ledger,
    pub(super) number: usize,
    pub(super) request: &'a Request,
    pub(super) seen: &'a Seen,
    pub(super) at: Stamp,
}

/// A contact that an answer rests on, and what it brought.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) number: usize,
    pub(super) contact: &'a Contact,
    pub(super) given: &'a Given,
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
    if !plan.admits(&request.ask) {
        case.denied()?;
        return Ok(Expected::anything(at, seen));
    }
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

    /// Who has no good token learns no more than that.
    fn denied(&self) -> Judged<()> {
        let why = self.seen.own.as_deref().unwrap_or_default();
        let expected = match self.request.ask.token {
            Token::None => (403, "token-missing"),
            Token::Old => (410, "token-expired"),
            _ => (403, "token-signature"),
        };
        match (self.seen.status, why) == expected && self.seen.field("cache-control") == Some("no-store") {
            true => Ok(()),
            false => broken(
                "no token",
                format!(
                    "request {} has a token that is {:?}, and got {}",
                    self.number,
                    self.request.ask.token,
                    self.seen.shown()
                ),
            ),
        }
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

    /// RFC 9211 2.1, 2.6: a hit has not been fetched since, but by others while its request waited for a device; and what a request
    /// fetched itself is neither a hit nor collapsed.
    fn told_truly(&self, last: Source<'a>) -> Judged<()> {
        let waits = self.plan.knobs.disk.as_ref().is_some_and(|disk| disk.cold_reads > 0);
        let own = last.contact.request == self.number;
        let hit = self.seen.hit && last.contact.begun.order > self.request.came.order && (own || !waits);
        let collapsed = self.seen.cache_status.contains("collapsed") && own;
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
        // What is known in part is known as a part of the 200 (RFC 9110 15.3.7).
        let given_status = match given.status {
            206 if given.shareable => 200,
            status => status,
        };
        let agrees = match (seen.status, seen.length) {
            (304, _) => {
                let bare = |tag: &str| tag.trim_start_matches("W/").to_owned();
                self.request.if_none_match.as_deref().map(bare) == etag.map(bare)
            }
            (206, BodyLength::Known(_)) => true,
            (status, BodyLength::Known(length)) => status == given_status && length == size,
            (status, BodyLength::NoBody) => {
                status == given_status && seen.number("content-length").is_none_or(|length| length as u64 == size)
            }
            (status, BodyLength::Unknown) => status == given_status && given.chunked,
        };
        match agrees {
            true => Expected::of(self.request, brought.number, given, seen, self.at),
            false => broken(
                "head",
                format!(
                    "request {} got {} for #{}, a {given_status}",
                    self.number,
                    seen.shown(),
                    brought.number
                ),
            ),
        }
    }
}
