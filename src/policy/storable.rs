//! Whether a response may be stored (RFC 9111 3).

use http::{HeaderMap, StatusCode, header};

use super::cache_control::ResponseDirectives;
use super::validator;
use super::vary::{Vary, vary};

/// What of a request bears on whether its response may be stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// What went to the origin was a `HEAD`, so there is no content to store.
    pub head_only: bool,
    /// It had `Authorization`.
    pub authorization: bool,
    /// It had `Cookie`.
    pub cookie: bool,
    /// It had `Cache-Control: no-store`.
    pub no_store: bool,
    /// What went to the origin had `Range`.
    pub range: bool,
}

/// Why a response is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unstorable {
    /// The request forbade it.
    RequestNoStore,
    /// The request was a `HEAD`.
    Head,
    /// The response forbade it.
    NoStore,
    /// It is for one user.
    Private,
    /// The request had credentials, and the response does not say that others may have it.
    Authorization,
    /// The request had cookies, and the response says nothing of its freshness.
    Cookie,
    /// It sets cookies and says nothing of its freshness.
    SetCookie,
    /// Nothing says how long it is fresh, nor can it be revalidated.
    NoFreshness,
    /// It must always be revalidated, and cannot be.
    NoValidator,
    /// It is a part.
    PartialContent,
    /// Its status is never stored, or is not understood.
    Status,
    /// Nothing selects it again.
    VaryStar,
    /// It is not final.
    Interim,
}

impl Unstorable {
    /// A token for Cache-Status' `detail`.
    pub fn detail(self) -> &'static str {
        match self {
            Unstorable::RequestNoStore => "request-no-store",
            Unstorable::Head => "head",
            Unstorable::NoStore => "no-store",
            Unstorable::Private => "private",
            Unstorable::Authorization => "authorization",
            Unstorable::Cookie => "cookie",
            Unstorable::SetCookie => "set-cookie",
            Unstorable::NoFreshness => "no-freshness",
            Unstorable::NoValidator => "no-validator",
            Unstorable::PartialContent => "partial-content",
            Unstorable::Status => "status",
            Unstorable::VaryStar => "vary-star",
            Unstorable::Interim => "interim",
        }
    }

    /// Whether the response forbids it whoever asks. Only then may it be remembered that the URL is not worth waiting for;
    /// that errors are not remembered so is the caller's rule.
    pub fn says_response(self) -> bool {
        match self {
            Unstorable::RequestNoStore
            | Unstorable::Head
            | Unstorable::Authorization
            | Unstorable::Cookie
            | Unstorable::PartialContent
            | Unstorable::Interim => false,
            Unstorable::NoStore
            | Unstorable::Private
            | Unstorable::SetCookie
            | Unstorable::NoFreshness
            | Unstorable::NoValidator
            | Unstorable::Status
            | Unstorable::VaryStar => true,
        }
    }
}

/// Proof that a response may be stored; only [`storable`] makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorableResponse {
    /// What the response says in Cache-Control.
    pub directives: ResponseDirectives,
    heuristic_allowed: bool,
}

impl StorableResponse {
    /// What the response says in Cache-Control.
    pub fn directives(&self) -> &ResponseDirectives {
        &self.directives
    }

    /// Whether its freshness may be guessed, for [`freshness`](super::freshness::freshness): not where one user's credentials
    /// or cookies, sent or set, may have shaped it.
    pub fn heuristic_allowed(&self) -> bool {
        self.heuristic_allowed
    }
}

/// Whether this response, whose caching `directives` govern, may be stored. What the response itself forbids is found before what the request forbids.
///
/// Of a storable response the caller leaves out `directives.private_fields` and what [`hop`](super::hop) names.
pub fn storable(
    asked: &Asked,
    status: StatusCode,
    fields: &HeaderMap,
    directives: ResponseDirectives,
) -> Result<StorableResponse, Unstorable> {
    check_status(asked, status, &directives)?;
    check_response(status, fields, &directives)?;
    check_request(asked, fields, &directives)?;
    Ok(StorableResponse {
        heuristic_allowed: !asked.cookie && !asked.authorization && !fields.contains_key(header::SET_COOKIE),
        directives,
    })
}

fn check_status(asked: &Asked, status: StatusCode, directives: &ResponseDirectives) -> Result<(), Unstorable> {
    // RFC 9111 3: the status must be final.
    if status.is_informational() {
        return Err(Unstorable::Interim);
    }
    // RFC 9111 3.3: parts may be stored; this release does not. RFC 9110 15.3.7: one that nobody asked for is a fault.
    if status == StatusCode::PARTIAL_CONTENT {
        return Err(match asked.range {
            true => Unstorable::PartialContent,
            false => Unstorable::Status,
        });
    }
    if never_stored(status) {
        return Err(Unstorable::Status);
    }
    // RFC 9111 5.2.2.3: must-understand.
    if directives.must_understand && !understood(status) {
        return Err(Unstorable::Status);
    }
    Ok(())
}

/// What the response forbids by itself.
fn check_response(status: StatusCode, fields: &HeaderMap, directives: &ResponseDirectives) -> Result<(), Unstorable> {
    // RFC 9111 5.2.2.3, 5.2.2.5: must-understand (and understood, as checked before) overrides no-store.
    if directives.no_store && !directives.must_understand {
        return Err(Unstorable::NoStore);
    }
    // RFC 9111 3, 5.2.2.7: private is not for shared caches.
    if directives.private {
        return Err(Unstorable::Private);
    }
    // RFC 9111 4.1: a Vary of `*` never matches again.
    if vary(fields) == Vary::Star {
        return Err(Unstorable::VaryStar);
    }
    let validators = validator::validators(fields);
    // RFC 9111 5.2.2.4: it could never be served, since it cannot be validated.
    if directives.no_cache && validators.is_empty() {
        return Err(Unstorable::NoValidator);
    }
    if explicit_freshness(fields, directives) {
        return Ok(());
    }
    // RFC 9111 3: without explicit freshness the status must be heuristically cacheable, or the response public.
    if !directives.public && !heuristically_cacheable(status) {
        return Err(Unstorable::NoFreshness);
    }
    // Stored without a way to revalidate it, it would only take up room.
    if validators.is_empty() {
        return Err(Unstorable::NoFreshness);
    }
    // RFC 9111 7.3: cookies set for one user must not reach another by mere guess.
    if fields.contains_key(header::SET_COOKIE) && !directives.public {
        return Err(Unstorable::SetCookie);
    }
    Ok(())
}

/// What the request forbids, unless the response allows it.
fn check_request(asked: &Asked, fields: &HeaderMap, directives: &ResponseDirectives) -> Result<(), Unstorable> {
    // RFC 9111 5.2.1.5: no-store in the request.
    if asked.no_store {
        return Err(Unstorable::RequestNoStore);
    }
    // RFC 9111 3: a HEAD could be stored for HEADs only; a whole response is worth more.
    if asked.head_only {
        return Err(Unstorable::Head);
    }
    // RFC 9111 3.5: with credentials only what is marked as for everyone.
    let for_everyone = directives.must_revalidate || directives.public || directives.s_maxage.is_some();
    if asked.authorization && !for_everyone {
        return Err(Unstorable::Authorization);
    }
    // RFC 9111 4.2.2, and caution: what cookies may have shaped is stored if the origin says so, or lets it be served only
    // once it has confirmed it.
    let confirmed = directives.no_cache || directives.must_revalidate || directives.proxy_revalidate;
    if asked.cookie && !explicit_freshness(fields, directives) && !directives.public && !confirmed {
        return Err(Unstorable::Cookie);
    }
    Ok(())
}

/// RFC 9111 4.2.1: max-age, s-maxage or Expires, even one that cannot be read (it then says "stale").
fn explicit_freshness(fields: &HeaderMap, directives: &ResponseDirectives) -> bool {
    // RFC 9213 2.2: where a targeted field governs, Expires is ignored.
    let expires = !directives.targeted && fields.contains_key(header::EXPIRES);
    directives.max_age.is_some() || directives.s_maxage.is_some() || expires
}

/// Whether freshness may be guessed for this status (RFC 9110 15.1; 206 left out, since it is not stored).
pub fn heuristically_cacheable(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501
    )
}

/// Statuses that must not, or cannot sensibly, answer another request.
fn never_stored(status: StatusCode) -> bool {
    match status.as_u16() {
        // RFC 9111 3: a 304 updates what is stored and is nothing by itself.
        304 => true,
        // RFC 9110 15.5.8, 15.5.9, 15.5.13, 15.5.17, 15.5.18, 15.5.20, 15.5.22: about one request's connection, preconditions,
        // range or expectation, none of which is part of a key.
        407 | 408 | 412 | 416 | 417 | 421 | 426 => true,
        // RFC 8470 5.2: about early data.
        425 => true,
        // RFC 6585 3 to 6: must not be stored by a cache.
        428 | 429 | 431 | 511 => true,
        _ => false,
    }
}

/// Whether the caching requirements of this status are known here: those that RFC 9110 15 defines, but for 206 and 304.
fn understood(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200..=205 | 300..=303 | 305 | 307 | 308 | 400..=411 | 413..=415 | 422 | 500..=505
    )
}
