//! What the origin's words allow, from the plan and not from the fields.

use crate::ledger::{Contact, Given};
use crate::plan::{Knobs, Policy, VaryBy};

/// What of a request bears on who may have its response.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// It had `Authorization`.
    pub authorization: bool,
    /// It had `Cookie`.
    pub cookie: bool,
    /// It had `Cache-Control: no-store`.
    pub no_store: bool,
}

/// Whether others than the client that asked may have a response (RFC 9111 3, 3.5).
pub fn is_shareable(policy: &Policy, status: u16, asked: &Asked) -> bool {
    let explicit = policy.max_age.is_some() || policy.s_maxage.is_some();
    let confirmed = policy.no_cache || policy.must_revalidate;
    let forbidden = policy.private || policy.no_store || asked.no_store || policy.vary == VaryBy::Star;
    let credentials = asked.authorization && !policy.public && policy.s_maxage.is_none() && !policy.must_revalidate;
    // A 304 says nothing that cookies could have shaped but of what is stored already.
    let guessed = asked.cookie && status != 304 && !explicit && !policy.public && !confirmed;
    let error = status >= 500 && !explicit;
    !(forbidden || credentials || guessed || error || status == 206)
}

/// When a version was modified, in seconds since the simulation began.
pub fn modified(version: u32) -> i64 {
    -10_000 + 10 * i64::from(version)
}

/// The longest lifetime that a response may be thought to have, in milliseconds (RFC 9111 4.2.1, 4.2.2).
pub fn lifetime(given: &Given) -> u64 {
    let policy = &given.policy;
    match (policy.s_maxage.or(policy.max_age), given.modified) {
        (Some(seconds), _) => seconds * 1000,
        // A tenth of the time since, rounded up.
        (None, Some(modified)) => (given.head.at as i64 / 1000 - modified).max(0) as u64 * 100 + 1000,
        (None, None) => 0,
    }
}

/// How stale it may be served while it is revalidated, and how stale for an error, in milliseconds (RFC 5861, RFC 9111 4.2.4).
pub fn staleness_allowed(policy: &Policy, knobs: &Knobs) -> (u64, u64) {
    if policy.no_cache || policy.must_revalidate || policy.s_maxage.is_some() {
        return (0, 0);
    }
    (
        policy.swr.unwrap_or(knobs.swr) * 1000,
        policy.sie.unwrap_or(knobs.sie) * 1000,
    )
}

/// Whether two requests select the same variant (RFC 9111 4.1).
pub fn selects_same(vary: VaryBy, a: (Option<u8>, Option<u8>), b: (Option<u8>, Option<u8>)) -> bool {
    match vary {
        VaryBy::Nothing => true,
        VaryBy::Lang => a.0 == b.0,
        VaryBy::LangAndMode => a == b,
        VaryBy::Star => false,
    }
}

/// Whether a contact brought an error, or nothing.
pub fn failed_at(contact: &Contact) -> Option<u64> {
    match (&contact.failed, &contact.given) {
        (Some(failed), _) => Some(failed.at),
        (None, Some(given)) if given.error => Some(given.head.at),
        _ => None,
    }
}
