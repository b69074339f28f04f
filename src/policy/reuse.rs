//! Whether a stored response may answer (RFC 9111 4, RFC 5861).

use std::time::Duration;

use http::StatusCode;

use super::cache_control::{MaxStale, RequestDirectives};
use super::freshness::Freshness;

/// What a site adds to what responses and requests say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Used where a response has no stale-while-revalidate.
    pub stale_while_revalidate: Duration,
    /// Used where a response has no stale-if-error.
    pub stale_if_error: Duration,
    /// Whether clients' no-cache, max-age, min-fresh and max-stale are honoured. Else strangers could switch the cache off.
    pub client_may_revalidate: bool,
}

/// How a stored response that matches a request may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// It answers.
    Fresh,
    /// It answers, and is refreshed behind the answer.
    StaleWhileRevalidate,
    /// It answers only after the origin has confirmed it.
    Revalidate(Stale),
    /// The client wants it from here or not at all, and it must not be served: `504`.
    OnlyIfCached,
}

/// Why a stored response is not served as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stale {
    /// Its lifetime is over.
    Expired,
    /// It says that it must always be validated.
    NoCache,
    /// The client wants a newer one.
    ClientDemand,
    /// It was purged softly.
    SoftPurged,
}

impl Stale {
    /// A token for Cache-Status' `detail`.
    pub fn detail(self) -> &'static str {
        match self {
            Stale::Expired => "expired",
            Stale::NoCache => "no-cache",
            Stale::ClientDemand => "client-demand",
            Stale::SoftPurged => "soft-purged",
        }
    }
}

/// Whether a stored response may answer `request` at `now` (monotonic).
///
/// A request's no-store changes nothing here: a response already stored may answer it (RFC 9111 5.2.1.5); what is fetched for
/// it must not be stored.
pub fn reuse(
    request: &RequestDirectives,
    freshness: &Freshness,
    soft_purged: bool,
    terms: &Terms,
    now: Duration,
) -> Reuse {
    let demanded = terms.client_may_revalidate && client_demands(request, freshness, now);
    let Some(why) = stale(freshness, soft_purged, demanded, now) else {
        return Reuse::Fresh;
    };
    let window = freshness.stale_while_revalidate.unwrap_or(terms.stale_while_revalidate);
    // RFC 5861 3, unless RFC 9111 4.2.4 forbids it.
    let within = !freshness.never_stale && freshness.staleness(now) < window;
    let accepted = terms.client_may_revalidate && !soft_purged && client_accepts(request, freshness, now);
    if !demanded && (within || accepted) {
        return Reuse::StaleWhileRevalidate;
    }
    // RFC 9111 5.2.1.7: nothing is fetched for only-if-cached.
    if request.only_if_cached {
        return Reuse::OnlyIfCached;
    }
    Reuse::Revalidate(why)
}

/// Why it may not be served as fresh, if it may not.
fn stale(freshness: &Freshness, soft_purged: bool, demanded: bool, now: Duration) -> Option<Stale> {
    if freshness.revalidate_always {
        // RFC 9111 5.2.2.4: no-cache in the response.
        Some(Stale::NoCache)
    } else if soft_purged {
        Some(Stale::SoftPurged)
    } else if !freshness.is_fresh(now) {
        // RFC 9111 4.2: freshness_lifetime > current_age.
        Some(Stale::Expired)
    } else {
        demanded.then_some(Stale::ClientDemand)
    }
}

/// Whether the client will not have this response without validation.
fn client_demands(request: &RequestDirectives, freshness: &Freshness, now: Duration) -> bool {
    let age = freshness.age(now);
    // RFC 9111 5.2.1.4
    request.no_cache
        // RFC 9111 5.2.1.1: an age of at most so many seconds, and not stale unless max-stale is there too.
        || request.max_age.is_some_and(|most| {
            age > Duration::from_secs(most) || request.max_stale.is_none() && !freshness.is_fresh(now)
        })
        // RFC 9111 5.2.1.3: fresh for at least so long.
        || request.min_fresh.is_some_and(|least| freshness.lifetime < age.saturating_add(Duration::from_secs(least)))
}

/// RFC 9111 5.2.1.2: max-stale, which never overrides what the response forbids (4.2.4).
fn client_accepts(request: &RequestDirectives, freshness: &Freshness, now: Duration) -> bool {
    !freshness.never_stale
        && match request.max_stale {
            None => false,
            Some(MaxStale::Any) => true,
            Some(MaxStale::Seconds(most)) => freshness.staleness(now) <= Duration::from_secs(most),
        }
}

/// Whether a stored response may stand in for an error of the origin at `now` (RFC 5861 4, RFC 9111 4.2.4).
pub fn usable_on_error(freshness: &Freshness, soft_purged: bool, terms: &Terms, now: Duration) -> bool {
    // RFC 9111 5.2.2.4: no-cache means never without validation.
    if freshness.revalidate_always {
        return false;
    }
    // RFC 9111 4.2: still fresh; only the client had wanted it validated.
    if freshness.is_fresh(now) && !soft_purged {
        return true;
    }
    let window = freshness.stale_if_error.unwrap_or(terms.stale_if_error);
    !freshness.never_stale && freshness.staleness(now) < window
}

/// Whether a stale response may stand in for an answer of this status (RFC 5861 4).
pub fn is_error_for_stale(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}
