//! `PURGE`, for sites that allow it: the URL that is asked for, with all its variants.

use http::{HeaderValue, StatusCode, header};

use super::answer::Answer;
use super::decide::Refused;
use super::edge::Edge;
use super::request::RequestView;
use crate::config::{Found, SecretText};
use crate::policy::fields::Known;
use crate::purge::{Mode, Selector};

/// The request's field that asks for a soft purge, with the value `soft`.
const MODE: &str = "verge-purge";

/// What `PURGE` is answered; `None` if this is another method, or the site knows no `PURGE`.
pub(super) fn judge(found: Option<Found<'_>>, request: &RequestView<'_>) -> Option<Refused> {
    let token = found?.site.purge_token.as_ref()?;
    if request.method != "PURGE" {
        return None;
    }
    Some(match is_allowed(request, token) {
        true => Refused::new(StatusCode::OK, "purged"),
        false => Refused::new(StatusCode::UNAUTHORIZED, "purge-token"),
    })
}

/// The same, done.
pub(super) fn answer(edge: &Edge, found: Option<Found<'_>>, request: &RequestView<'_>) -> Option<Answer<'static>> {
    let judged = judge(found, request)?;
    if judged.status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Bearer");
        return Some(Answer::refused(judged).with(header::WWW_AUTHENTICATE, challenge));
    }
    let soft = request
        .fields
        .named(MODE)
        .any(|value| value.eq_ignore_ascii_case(b"soft"));
    let mode = if soft { Mode::Soft } else { Mode::Hard };
    edge.purge(&Selector::Url(edge.cache.secret().url(&request.key_parts())), mode);
    Some(Answer::refused(judged))
}

/// RFC 6750 2.1
fn is_allowed(request: &RequestView<'_>, token: &SecretText) -> bool {
    let given = request.fields.only(Known::Authorization);
    given.and_then(bearer).is_some_and(|given| token.matches(given))
}

/// The token of a value of `Authorization`.
pub fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token.trim_ascii())
}
