//! Conditions and ranges, as the scripted origin understands them.

use http::{Method, header};
use verge::policy::date;

use super::words::wall;
use super::{State, Visit};
use crate::model;

impl Visit {
    /// RFC 9110 13.2.2
    pub(super) fn is_unchanged(&self, state: &State) -> bool {
        if self.behaviour.unconditional || self.request.method == Method::POST {
            return false;
        }
        if let Some(known) = self.request.fields.get(header::IF_NONE_MATCH) {
            let bare = |tag: &str| tag.trim_start_matches("W/").to_owned();
            return state
                .etag
                .as_deref()
                .is_some_and(|etag| known.to_str().is_ok_and(|known| bare(known) == bare(etag)));
        }
        let since = self
            .request
            .fields
            .get(header::IF_MODIFIED_SINCE)
            .and_then(|value| date::parse(value.as_bytes()));
        state
            .modified
            .is_some_and(|modified| since.is_some_and(|since| since >= wall(modified)))
    }

    /// RFC 9110 14.2, 13.1.5: only `a-b` and `a-` are understood.
    pub(super) fn part(&self, state: &State) -> Option<(u64, u64)> {
        let fields = &self.request.fields;
        let size = state.content.bytes.len() as u64;
        if self.behaviour.no_ranges || state.plan.status != 200 || self.request.method != Method::GET {
            return None;
        }
        if let Some(condition) = fields.get(header::IF_RANGE)
            && !self.behaviour.no_if_range
            && !state
                .etag
                .as_deref()
                .is_some_and(|etag| condition == etag && !etag.starts_with('W'))
        {
            return None;
        }
        let (first, last) = fields
            .get(header::RANGE)?
            .to_str()
            .ok()?
            .strip_prefix("bytes=")?
            .split_once('-')?;
        let from = first.parse::<u64>().ok().filter(|from| *from < size)?;
        let to = match last {
            "" => size,
            last => last.parse::<u64>().ok()?.saturating_add(1).min(size),
        };
        let to = self.behaviour.short_range.map_or(to, |most| to.min(from + most));
        (from < to).then_some((from, to))
    }

    pub(super) fn asked(&self) -> model::Asked {
        let fields = &self.request.fields;
        model::Asked {
            authorization: fields.contains_key(header::AUTHORIZATION),
            cookie: fields.contains_key(header::COOKIE),
            no_store: fields
                .get(header::CACHE_CONTROL)
                .is_some_and(|value| value == "no-store"),
        }
    }
}
