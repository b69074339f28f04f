//! Freshness and age (RFC 9111 4.2).

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, header};

use super::cache_control::{DELTA_SECONDS_MAX, ResponseDirectives};
use super::storable::heuristically_cacheable;
use super::{date, list};
use crate::clock::Now;

/// The longest lifetime that is guessed.
const HEURISTIC_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What decides how old a stored response is and until when it is fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// When the response came, on the monotonic clock.
    pub response_time: Duration,
    /// How old it was then (`corrected_initial_age`, RFC 9111 4.2.3).
    pub initial_age: Duration,
    /// `freshness_lifetime` (RFC 9111 4.2.1).
    pub lifetime: Duration,
    /// How long past its lifetime it may be served while it is revalidated, if it says (RFC 5861 3).
    pub stale_while_revalidate: Option<Duration>,
    /// How long past its lifetime it may be served in place of an error, if it says (RFC 5861 4).
    pub stale_if_error: Option<Duration>,
    /// It is never served without validation, fresh or not (RFC 9111 5.2.2.4).
    pub revalidate_always: bool,
    /// It is never served stale (RFC 9111 4.2.4).
    pub never_stale: bool,
    /// The lifetime is a guess (RFC 9111 4.2.2).
    pub heuristic: bool,
}

/// Works out the freshness of a response whose request was sent at `request_time` and whose head came at `response_time`.
///
/// After a `304`, `fields` and `directives` are those of the merged response, and the times those of the validation.
pub fn freshness(
    status: StatusCode,
    fields: &HeaderMap,
    directives: &ResponseDirectives,
    request_time: Now,
    response_time: Now,
    heuristic_allowed: bool,
) -> Freshness {
    // RFC 9110 6.6.1: without a (readable) Date, the time of receipt.
    let date = one_date(fields, &header::DATE).unwrap_or(response_time.wall);
    let explicit = explicit_lifetime(fields, directives, date);
    // RFC 9111 4.2.2: a guess only without explicit lifetime, and only for these statuses or if marked public.
    let may_guess = heuristic_allowed && (heuristically_cacheable(status) || directives.public);
    let guessed = match explicit {
        None if may_guess => heuristic_lifetime(fields, date),
        _ => None,
    };
    Freshness {
        response_time: response_time.monotonic,
        initial_age: initial_age(fields, directives, date, request_time, response_time),
        lifetime: explicit.or(guessed).unwrap_or_default(),
        stale_while_revalidate: directives.stale_while_revalidate.map(Duration::from_secs),
        stale_if_error: directives.stale_if_error.map(Duration::from_secs),
        revalidate_always: directives.no_cache,
        // RFC 9111 4.2.4, 5.2.2.2, 5.2.2.4, 5.2.2.8; 5.2.2.10: s-maxage means proxy-revalidate too.
        never_stale: directives.must_revalidate
            || directives.proxy_revalidate
            || directives.no_cache
            || directives.s_maxage.is_some(),
        heuristic: guessed.is_some(),
    }
}

/// RFC 9111 4.2.1: s-maxage, else max-age, else Expires less Date.
fn explicit_lifetime(fields: &HeaderMap, directives: &ResponseDirectives, date: SystemTime) -> Option<Duration> {
    if let Some(seconds) = directives.s_maxage.or(directives.max_age) {
        return Some(Duration::from_secs(seconds));
    }
    // RFC 9213 2.2: where a targeted field governs, Expires is ignored.
    if directives.targeted {
        return None;
    }
    let mut lines = fields.get_all(header::EXPIRES).iter().peekable();
    lines.peek()?;
    // RFC 9111 5.3: an invalid Expires (such as `0`) is in the past. 4.2.1: of several, the earliest.
    let lifetime = lines.map(|line| {
        let expires = date::parse(line.as_bytes())?;
        expires.duration_since(date).ok()
    });
    let earliest = lifetime.map(Option::unwrap_or_default).min();
    Some(earliest.unwrap_or_default().min(Duration::from_secs(DELTA_SECONDS_MAX)))
}

/// RFC 9111 4.2.2: a tenth of the time since the last modification.
fn heuristic_lifetime(fields: &HeaderMap, date: SystemTime) -> Option<Duration> {
    let modified = one_date(fields, &header::LAST_MODIFIED)?;
    let unchanged = date.duration_since(modified).ok()?;
    Some(Duration::from_secs(unchanged.as_secs() / 10).min(HEURISTIC_MAX))
}

/// RFC 9111 4.2.3: `corrected_initial_age`.
fn initial_age(
    fields: &HeaderMap,
    directives: &ResponseDirectives,
    date: SystemTime,
    request_time: Now,
    response_time: Now,
) -> Duration {
    let response_delay = response_time.monotonic.saturating_sub(request_time.monotonic);
    let corrected_age_value = age_value(fields).saturating_add(response_delay);
    // With a relative lifetime and no HTTP/1.0 on the way the section lets a cache trust Age alone. It does: else an origin
    // whose clock is behind would make all it sends stale on arrival. Expires and guesses are themselves relative to Date.
    let relative = directives.s_maxage.or(directives.max_age).is_some();
    if relative && !http10_on_the_way(fields) {
        return corrected_age_value;
    }
    // Whole seconds, since Date has no finer ones; a Date that is ahead of us counts as now.
    let apparent_age = response_time.wall.duration_since(date).unwrap_or_default();
    let apparent_age = Duration::from_secs(apparent_age.as_secs());
    apparent_age.max(corrected_age_value)
}

/// Whether a recipient that may not know Age has forwarded the response (RFC 9110 7.6.3).
fn http10_on_the_way(fields: &HeaderMap) -> bool {
    let hops = fields.get_all(header::VIA).iter();
    hops.flat_map(|line| list::members(line.as_bytes()))
        .any(|hop| hop.starts_with(b"1.0") || hop.to_ascii_lowercase().starts_with(b"http/1.0"))
}

/// RFC 9111 5.1: the first member of Age counts; if it is no delta-seconds, there is no Age.
fn age_value(fields: &HeaderMap) -> Duration {
    let lines = fields.get_all(header::AGE).iter();
    let first = lines.flat_map(|line| list::members(line.as_bytes())).next();
    let seconds = first.and_then(list::decimal).unwrap_or(0);
    Duration::from_secs(seconds.min(DELTA_SECONDS_MAX))
}

fn one_date(fields: &HeaderMap, name: &http::HeaderName) -> Option<SystemTime> {
    fields.get(name).and_then(|line| date::parse(line.as_bytes()))
}

impl Freshness {
    /// `current_age` (RFC 9111 4.2.3) at `now` on the monotonic clock.
    pub fn age(&self, now: Duration) -> Duration {
        let resident_time = now.saturating_sub(self.response_time);
        self.initial_age.saturating_add(resident_time)
    }

    /// Whether the lifetime exceeds the age (RFC 9111 4.2). Says nothing of whether validation is demanded.
    pub fn is_fresh(&self, now: Duration) -> bool {
        self.lifetime > self.age(now)
    }

    /// How long it has been stale; zero while fresh.
    pub fn staleness(&self, now: Duration) -> Duration {
        self.age(now).saturating_sub(self.lifetime)
    }

    /// The lifetime left, in seconds rounded away from zero: positive exactly while fresh (RFC 9211 2.4).
    pub fn ttl(&self, now: Duration) -> i64 {
        let (left, over) = (self.lifetime.saturating_sub(self.age(now)), self.staleness(now));
        whole_seconds(left) - whole_seconds(over)
    }
}

fn whole_seconds(time: Duration) -> i64 {
    let up = u64::from(time.subsec_nanos() > 0);
    i64::try_from(time.as_secs().saturating_add(up)).unwrap_or(i64::MAX)
}
