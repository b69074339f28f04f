//! Invariant 4: with many readers and one storable version, one fetch.

use super::policy::{lifetime, selects_same};
use super::{Judged, broken};
use crate::executor::Ms;
use crate::ledger::{Contact, Ledger};
use crate::plan::{Disk, Plan, VaryBy};

/// How long an answer that may not be stored keeps its key from being collapsed, in milliseconds.
const UNCACHEABLE: Ms = 120_000;

/// What can be judged only when all is over.
pub fn at_the_end(plan: &Plan, ledger: &mut Ledger, at: Ms) {
    let fetches: Vec<usize> = (0..ledger.contacts.len()).collect();
    let needless = fetches.iter().find_map(|second| {
        let first = (0..*second).find(|first| is_needless(plan, ledger, *first, *second))?;
        Some((first, *second))
    });
    if let Some((first, second)) = needless {
        let judged: Judged<()> = broken(
            "needless fetch",
            format!("#{second} fetched what #{first} had brought, or was bringing"),
        );
        judged
            .err()
            .into_iter()
            .for_each(|violation| ledger.broken(at, violation));
    }
}

/// Whether the request behind `second` could have had what `first` brought. Says no wherever there may be a reason.
fn is_needless(plan: &Plan, ledger: &Ledger, first: usize, second: usize) -> bool {
    let (one, two) = (&ledger.contacts[first], &ledger.contacts[second]);
    let same = one.resource == two.resource && one.secure == two.secure && one.request != two.request;
    same && plan.knobs.is_roomy()
        && plan.knobs.is_generous()
        && is_for_all(plan, ledger, one)
        && is_for_all(plan, ledger, two)
        && was_good(one)
        && is_fresh_for(one, two)
        && varies_alike(plan, one, two)
        && nothing_between(plan, ledger, first, second)
}

fn is_for_all(plan: &Plan, ledger: &Ledger, contact: &Contact) -> bool {
    let Some(request) = ledger.requests.get(contact.request) else {
        return false;
    };
    let demands = plan.knobs.client_may_revalidate && request.ask.cache_control.is_some();
    request.ask.may_join() && !contact.range && !contact.unsafe_method && !demands
}

/// It brought, or confirmed, a version that may be stored, and all of it.
fn was_good(contact: &Contact) -> bool {
    let Some(given) = &contact.given else { return false };
    given.shareable
        && !given.cut
        && !given.error
        && contact.dropped.is_none()
        && !given.policy.no_cache
        && given.policy.max_age.is_some()
}

/// The second began when what the first brought was still fresh, however its age is reckoned.
fn is_fresh_for(one: &Contact, two: &Contact) -> bool {
    let Some(given) = &one.given else { return false };
    let age = two.begun.at.saturating_sub(one.begun.at) + given.age * 1000 + 1000;
    age < lifetime(given)
}

fn varies_alike(plan: &Plan, one: &Contact, two: &Contact) -> bool {
    let policies = &plan.resources[one.resource].policies;
    let vary = policies[0].vary;
    vary != VaryBy::Star
        && policies.iter().all(|policy| policy.vary == vary)
        && selects_same(vary, one.selecting, two.selecting)
}

/// Within this time what has come is on the device, in milliseconds.
const ON_DEVICE: Ms = 2_000;

/// Invariant 6: whether a process ended between the two, and not all that the first brought was on the device, or stayed right.
fn lost(plan: &Plan, ledger: &Ledger, first: usize, before: u64) -> bool {
    let one = &ledger.contacts[first];
    let roomy = plan.knobs.disk.as_ref().is_some_and(Disk::is_roomy);
    let since = ledger
        .crashes
        .iter()
        .filter(|crash| (one.begun.order..before).contains(&crash.at.order));
    since.into_iter().any(|crash| {
        let ended = one.ended.map(|ended| ended.at);
        !roomy || crash.rot || ended.is_none_or(|ended| ended + ON_DEVICE > crash.at.at)
    })
}

/// Nothing was purged, changed by a `POST`, uncacheable, or on its way at the same time.
fn nothing_between(plan: &Plan, ledger: &Ledger, first: usize, second: usize) -> bool {
    let (one, two) = (&ledger.contacts[first], &ledger.contacts[second]);
    let since = [one, two]
        .map(|contact| ledger.requests[contact.request].came.order)
        .into_iter()
        .min()
        .unwrap_or(0);
    let purged = ledger
        .purges
        .iter()
        .any(|purge| purge.asked.order < two.begun.order && purge.done.order >= since)
        || ledger
            .purges_asked
            .iter()
            .any(|asked| (since..two.begun.order).contains(&asked.order));
    let of_key = |contact: &&Contact| contact.resource == one.resource && contact.secure == one.secure;
    let others = ledger
        .contacts
        .iter()
        .enumerate()
        .filter(|(number, _)| *number != first && *number != second);
    let mut disturbing = others
        .map(|(_, contact)| contact)
        .filter(of_key)
        .filter(|other| other.begun.order < two.begun.order)
        .filter(|other| {
            let over = other.ended.or(other.dropped).or(other.failed);
            let good = was_good(other);
            let together = over.is_none_or(|over| over.order > one.begun.order);
            let remembered = over.is_none_or(|over| over.at + UNCACHEABLE >= two.begun.at);
            other.unsafe_method || together || !good && remembered
        });
    !purged && !lost(plan, ledger, first, two.begun.order) && disturbing.next().is_none()
}
