//! `PURGE`, for sites that allow it: the URL that is asked for, with all its variants.

use http::{HeaderValue, StatusCode, header};

use super::answer::Answer;
use super::decide::Refused;
use super::edge::Edge;
use super::request::RequestView;
use crate::cache::Purged;
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

/// A purge that is in force, and how it is answered.
pub(super) struct Asked {
    judged: Refused,
    /// What is to be on the device before it is acknowledged.
    purged: Option<Purged>,
}

/// The same, done.
pub(super) fn purge(edge: &Edge, found: Option<Found<'_>>, request: &RequestView<'_>) -> Option<Asked> {
    let judged = judge(found, request)?;
    if judged.status == StatusCode::UNAUTHORIZED {
        return Some(Asked { judged, purged: None });
    }
    let soft = request
        .fields
        .named(MODE)
        .any(|value| value.eq_ignore_ascii_case(b"soft"));
    let mode = if soft { Mode::Soft } else { Mode::Hard };
    let selector = Selector::Url(edge.cache.secret().url(&request.key_parts()));
    Some(Asked {
        judged,
        purged: Some(edge.purge(&selector, mode)),
    })
}

impl Asked {
    /// The answer, once there is nothing to wait for any more.
    pub(super) async fn answer(self) -> Answer<'static> {
        let Some(purged) = self.purged else {
            let challenge = HeaderValue::from_static("Bearer");
            return Answer::refused(self.judged).with(header::WWW_AUTHENTICATE, challenge);
        };
        match purged.acknowledged().await {
            Ok(_) => Answer::refused(self.judged),
            Err(_) => Answer::refused(Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "purge-not-kept")),
        }
    }
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
