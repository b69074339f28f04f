//! What the scripted origin says in fields.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use verge::policy::date;

use super::{State, Visit};
use crate::executor::beginning;
use crate::plan::{Policy, Tag, VaryBy};

impl Visit {
    /// The fields of an answer.
    pub(super) fn fields(&self, status: u16, state: &State, part: Option<(u64, u64)>) -> HeaderMap {
        let mut fields = HeaderMap::new();
        let mut say = |name: HeaderName, value: String| {
            if let Ok(value) = HeaderValue::from_str(&value) {
                fields.insert(name, value);
            }
        };
        let mark = if status == 304 { "x-validated" } else { "x-fetch" };
        say(HeaderName::from_static(mark), self.contact.to_string());
        if let Some(etag) = &state.etag {
            say(header::ETAG, etag.clone());
        }
        if let Some(modified) = state.modified {
            say(header::LAST_MODIFIED, date::format(wall(modified)));
        }
        if self.behaviour.date {
            say(header::DATE, date::format(wall((self.world.now() / 1000) as i64)));
        }
        if let Some(age) = self.behaviour.age {
            say(header::AGE, age.to_string());
        }
        if let Some((from, to)) = part {
            say(
                header::CONTENT_RANGE,
                format!("bytes {from}-{}/{}", to - 1, state.content.bytes.len()),
            );
        }
        if self.request.method == Method::HEAD && status != 304 {
            say(header::CONTENT_LENGTH, state.content.bytes.len().to_string());
        }
        let control = cache_control(&state.policy);
        if !control.is_empty() {
            say(header::CACHE_CONTROL, control);
        }
        match state.policy.vary {
            VaryBy::Nothing => {}
            VaryBy::Lang => say(header::VARY, "X-Lang".to_owned()),
            VaryBy::LangAndMode => say(header::VARY, "x-mode, x-lang".to_owned()),
            VaryBy::Star => say(header::VARY, "*".to_owned()),
        }
        let tags: Vec<String> = state.policy.tags.iter().map(|tag| format!("t{tag}")).collect();
        say(
            HeaderName::from_static("surrogate-key"),
            format!("none {}", tags.join(" ")),
        );
        fields
    }
}

/// A moment so many seconds after the simulation began.
pub(super) fn wall(seconds: i64) -> std::time::SystemTime {
    match u64::try_from(seconds) {
        Ok(after) => beginning() + Duration::from_secs(after),
        Err(_) => beginning() - Duration::from_secs(seconds.unsigned_abs()),
    }
}

/// The entity tag of a version.
pub fn tag(kind: Tag, resource: usize, variant: u16, version: u32) -> Option<String> {
    match kind {
        Tag::None => None,
        Tag::Strong => Some(format!("\"r{resource}-{variant}-{version}\"")),
        Tag::Weak => Some(format!("W/\"r{resource}-{variant}-{version}\"")),
        Tag::OfAllVariants => Some(format!("\"r{resource}-{version}\"")),
        Tag::Always => Some(format!("\"r{resource}\"")),
    }
}

fn cache_control(policy: &Policy) -> String {
    let seconds = |name: &str, value: Option<u64>| value.map(|value| format!("{name}={value}"));
    let flag = |name: &str, is: bool| is.then(|| name.to_owned());
    let said = [
        seconds("max-age", policy.max_age),
        seconds("s-maxage", policy.s_maxage),
        seconds("stale-while-revalidate", policy.swr),
        seconds("stale-if-error", policy.sie),
        flag("no-cache", policy.no_cache),
        flag("no-store", policy.no_store),
        flag("private", policy.private),
        flag("public", policy.public),
        flag("must-revalidate", policy.must_revalidate),
    ];
    said.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
