//! Judging an answer's head by time: not purged, fresh enough, and as old as it says.

use super::head::{Case, Source};
use super::policy::{failed_at, lifetime, staleness_allowed};
use super::{Judged, broken};
use crate::ledger::{Given, Purge};
use crate::plan::Target;

/// How long a failed fetch answers for, in milliseconds.
const REMEMBERED: u64 = 1000;

impl<'a> Case<'a> {
    /// Whether the origin failed for this resource, now or a moment ago.
    pub(super) fn failed_lately(&self) -> bool {
        let of_key = self.ledger.contacts.iter().filter(|contact| {
            contact.resource == self.request.ask.resource && contact.secure == self.request.ask.secure
        });
        let mut failures = of_key.filter_map(failed_at);
        failures.any(|failed| failed + REMEMBERED >= self.at.at)
    }

    /// Invariant 2: nothing that was hard purged before the request came.
    pub(super) fn purged(&self, brought: Source<'a>) -> Judged<()> {
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
        begun < purge.asked.order && named
    }

    /// Invariant 1, time: fetched for this request, or fresh, or as stale as is allowed.
    pub(super) fn fresh_enough(&self, last: Source<'a>) -> Judged<()> {
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
    pub(super) fn age(&self, last: Source<'a>) -> Judged<()> {
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
}
