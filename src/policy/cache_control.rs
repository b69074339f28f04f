//! Cache-Control (RFC 9111 5.2) and Pragma (RFC 9111 5.4).

use http::{HeaderMap, HeaderName, header};
use smallvec::SmallVec;

use super::fields::{Known, RequestFields};
use super::list;

/// The greatest delta-seconds told apart from greater ones, in seconds (RFC 9111 1.2.2).
pub const DELTA_SECONDS_MAX: u64 = 1 << 31;

/// How stale a response a client takes (RFC 9111 5.2.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxStale {
    /// However stale.
    Any,
    /// Stale by at most so many seconds.
    Seconds(u64),
}

impl MaxStale {
    fn or_less(self, other: MaxStale) -> MaxStale {
        match (self, other) {
            (MaxStale::Seconds(a), MaxStale::Seconds(b)) => MaxStale::Seconds(a.min(b)),
            (MaxStale::Any, given) | (given, MaxStale::Any) => given,
        }
    }
}

/// What a request says in Cache-Control (RFC 9111 5.2.1). Times are in seconds, at most [`DELTA_SECONDS_MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestDirectives {
    /// The greatest age wanted (5.2.1.1).
    pub max_age: Option<u64>,
    /// How stale a response is still wanted (5.2.1.2).
    pub max_stale: Option<MaxStale>,
    /// How long the response must still stay fresh (5.2.1.3).
    pub min_fresh: Option<u64>,
    /// Not without validation (5.2.1.4).
    pub no_cache: bool,
    /// Neither the request nor its response is to be stored (5.2.1.5).
    pub no_store: bool,
    /// Only from the cache, or `504` (5.2.1.7).
    pub only_if_cached: bool,
    /// How stale a response is wanted in place of an error (RFC 5861 4).
    pub stale_if_error: Option<u64>,
}

/// What a response says in Cache-Control (RFC 9111 5.2.2). Times are in seconds, at most [`DELTA_SECONDS_MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseDirectives {
    /// Freshness lifetime (5.2.2.1); 0 if it was invalid or given twice with different values (4.2.1).
    pub max_age: Option<u64>,
    /// Freshness lifetime in shared caches (5.2.2.10); 0 as above.
    pub s_maxage: Option<u64>,
    /// How long a stale response may be served while it is revalidated (RFC 5861 3); 0 as above.
    pub stale_while_revalidate: Option<u64>,
    /// How long a stale response may be served in place of an error (RFC 5861 4); 0 as above.
    pub stale_if_error: Option<u64>,
    /// Never without validation (5.2.2.4, unqualified).
    pub no_cache: bool,
    /// Not to be stored (5.2.2.5).
    pub no_store: bool,
    /// Not for shared caches (5.2.2.7, unqualified).
    pub private: bool,
    /// May be stored although something else would forbid it (5.2.2.9).
    pub public: bool,
    /// Never to be served stale (5.2.2.2).
    pub must_revalidate: bool,
    /// Never to be served stale by shared caches (5.2.2.8).
    pub proxy_revalidate: bool,
    /// To be stored only if the status is understood (5.2.2.3).
    pub must_understand: bool,
    /// The content is not to be transformed (5.2.2.6).
    pub no_transform: bool,
    /// Will not change while fresh (RFC 8246 2).
    pub immutable: bool,
    /// Fields to leave out when serving without validation: `no-cache="a, b"` (5.2.2.4).
    pub no_cache_fields: SmallVec<[HeaderName; 2]>,
    /// Fields to leave out of what is stored: `private="a, b"` (5.2.2.7).
    pub private_fields: SmallVec<[HeaderName; 2]>,
    /// They come of a targeted field, so that `Expires` says nothing (RFC 9213 2.2).
    pub targeted: bool,
}

/// What follows a directive's name.
#[derive(Clone, Copy)]
pub(super) enum Argument<'a> {
    /// Nothing.
    None,
    /// A value, without its quotation marks.
    Given(&'a [u8]),
    /// Neither a token nor a whole quoted string, or set off by whitespace.
    Malformed,
}

impl<'a> Argument<'a> {
    /// Reads what follows a directive's name.
    fn read(after_name: &'a [u8]) -> Self {
        let value = match after_name {
            [] => return Argument::None,
            [b'=', value @ ..] => value,
            _ => return Argument::Malformed,
        };
        // RFC 9111 5.2: both the token and the quoted form are accepted.
        match list::quoted_length(value) {
            Some(length) if length == value.len() => Argument::Given(&value[1..length - 1]),
            None if !value.is_empty() && value.iter().all(|b| list::is_token_byte(*b)) => Argument::Given(value),
            _ => Argument::Malformed,
        }
    }

    /// RFC 9111 1.2.2: delta-seconds; too many to tell apart are 2^31.
    fn seconds(self) -> Option<u64> {
        match self {
            Argument::Given(digits) => list::decimal(digits).map(|value| value.min(DELTA_SECONDS_MAX)),
            Argument::None | Argument::Malformed => None,
        }
    }

    /// The field names of a qualified form; none if it is unqualified or cannot be read.
    fn field_names(self) -> Option<SmallVec<[HeaderName; 2]>> {
        let Argument::Given(names) = self else {
            return None;
        };
        let names = list::members(names).map(|name| HeaderName::from_bytes(name).ok());
        let names = names.collect::<Option<SmallVec<_>>>()?;
        (!names.is_empty()).then_some(names)
    }
}

const LONGEST_NAME: usize = "stale-while-revalidate".len();

/// Splits a list member into a lower-case directive name, written to `buffer`, and its argument. Unknown names may come out cut.
fn directive<'a, 'b>(member: &'a [u8], buffer: &'b mut [u8; LONGEST_NAME + 1]) -> (&'b [u8], Argument<'a>) {
    let end = member.iter().position(|byte| !list::is_token_byte(*byte));
    let (name, after) = member.split_at(end.unwrap_or(member.len()));
    let length = name.len().min(buffer.len());
    for (to, from) in buffer.iter_mut().zip(name) {
        *to = from.to_ascii_lowercase();
    }
    (&buffer[..length], Argument::read(after))
}

/// Reads a request's Cache-Control, or without one its `Pragma: no-cache`. Allocates nothing.
pub fn request_directives(fields: &RequestFields) -> RequestDirectives {
    let mut said = RequestDirectives::default();
    let mut buffer = [0; LONGEST_NAME + 1];
    if fields.has(Known::CacheControl) {
        for member in fields.all(Known::CacheControl).flat_map(list::members) {
            let (name, argument) = directive(member, &mut buffer);
            said.apply(name, argument);
        }
    } else if fields.has(Known::Pragma) {
        // RFC 9111 5.4: counts only where there is no Cache-Control.
        let mut pragmas = fields.all(Known::Pragma).flat_map(list::members);
        said.no_cache = pragmas.any(|member| directive(member, &mut buffer).0 == b"no-cache");
    }
    said
}

impl RequestDirectives {
    fn apply(&mut self, name: &[u8], argument: Argument) {
        let seconds = argument.seconds();
        match name {
            b"max-age" => {
                // RFC 9111 4.2.1, applied to requests: what cannot be read, or conflicts, is read as the most restrictive.
                let wanted = seconds.unwrap_or(0);
                self.max_age = Some(self.max_age.map_or(wanted, |before| before.min(wanted)));
            }
            b"max-stale" => {
                // RFC 9111 5.2.1.2: without an argument, however stale; one that cannot be read permits nothing.
                let given = match argument {
                    Argument::None => Some(MaxStale::Any),
                    _ => Some(MaxStale::Seconds(seconds.unwrap_or(0))),
                };
                self.max_stale = self.max_stale.zip(given).map(|(a, b)| a.or_less(b)).or(given);
            }
            b"min-fresh" => self.min_fresh = self.min_fresh.max(seconds),
            b"stale-if-error" => {
                let wanted = seconds.unwrap_or(0);
                self.stale_if_error = Some(self.stale_if_error.map_or(wanted, |before| before.min(wanted)));
            }
            b"no-cache" => self.no_cache = true,
            b"no-store" => self.no_store = true,
            b"only-if-cached" => self.only_if_cached = true,
            // RFC 9111 5.2.3: what is not known is ignored.
            _ => {}
        }
    }
}

/// Reads a response's Cache-Control; several lines count as one list (RFC 9110 5.3).
pub fn response_directives(fields: &HeaderMap) -> ResponseDirectives {
    let mut said = ResponseDirectives::default();
    let mut buffer = [0; LONGEST_NAME + 1];
    for line in fields.get_all(header::CACHE_CONTROL) {
        for member in list::members(line.as_bytes()) {
            let (name, argument) = directive(member, &mut buffer);
            said.apply(name, argument);
        }
    }
    said
}

impl ResponseDirectives {
    /// Takes one directive in; `name` is in lower case.
    pub(super) fn apply(&mut self, name: &[u8], argument: Argument) {
        // What restricts is obeyed in any form; what permits must be well formed.
        let well_formed = !matches!(argument, Argument::Malformed);
        match name {
            b"max-age" => set_seconds(&mut self.max_age, argument),
            b"s-maxage" => set_seconds(&mut self.s_maxage, argument),
            b"stale-while-revalidate" => set_seconds(&mut self.stale_while_revalidate, argument),
            b"stale-if-error" => set_seconds(&mut self.stale_if_error, argument),
            // RFC 9111 5.2.2.4, 5.2.2.7: qualified forms concern the named fields only; caches may take them as unqualified.
            b"no-cache" => qualify(&mut self.no_cache, &mut self.no_cache_fields, argument),
            b"private" => qualify(&mut self.private, &mut self.private_fields, argument),
            b"no-store" => self.no_store = true,
            b"must-revalidate" => self.must_revalidate = true,
            b"proxy-revalidate" => self.proxy_revalidate = true,
            b"no-transform" => self.no_transform = true,
            b"public" => self.public |= well_formed,
            b"must-understand" => self.must_understand |= well_formed,
            b"immutable" => self.immutable |= well_formed,
            // RFC 9111 5.2.3: what is not known is ignored.
            _ => {}
        }
    }
}

/// RFC 9111 4.2.1: a time that is invalid, or given twice with different values, makes the response stale.
fn set_seconds(slot: &mut Option<u64>, argument: Argument) {
    let given = argument.seconds().unwrap_or(0);
    *slot = match *slot {
        Some(before) if before != given => Some(0),
        _ => Some(given),
    };
}

fn qualify(unqualified: &mut bool, fields: &mut SmallVec<[HeaderName; 2]>, argument: Argument) {
    match argument.field_names() {
        Some(names) => fields.extend(names),
        None => *unqualified = true,
    }
}
