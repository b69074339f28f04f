//! What is stored for a URL.

use std::sync::Arc;

use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::routes::{Call, Reply};
use super::url::Url;
use crate::cache::object::{Body, Version};
use crate::cache::{Brought, KeyParts};
use crate::http1::MAX_FIELDS;
use crate::node::Node;
use crate::pipeline::Edge;
use crate::policy::fields::{Field, RequestFields};
use crate::purge::Verdict;

pub(super) fn reply(node: &Arc<Node>, call: &Call) -> Reply {
    let Some(url) = call.first("url") else {
        return Reply::bad("name the URL: /api/object?url=https://www.example.com/a");
    };
    let url = match Url::parse(&url) {
        Ok(url) => url,
        Err(why) => return Reply::bad(why),
    };
    let edge = node.server.edge();
    let parts = url.key_parts();
    let now = edge.clock.monotonic();
    let lines = match header_lines(call) {
        Ok(lines) => lines,
        Err(why) => return Reply::bad(why),
    };
    let lines: Vec<Field<'_>> = lines.iter().map(|(name, value)| Field { name, value }).collect();
    let fields = RequestFields::new(&lines);
    let hash = edge.cache.secret().key(&parts);
    let looked = edge
        .cache
        .lookup_with(hash, &parts, &fields, &brought(&edge, &parts, &fields));
    match looked.version {
        Some(version) => {
            let mut shown = shown(&version, now);
            let verdict = version.verdict(edge.cache.purges());
            shown["soft_purged"] = json!(verdict == Verdict::Soft);
            Reply::json(&shown)
        }
        None => Reply::error(
            StatusCode::NOT_FOUND,
            format!("nothing usable is stored for it ({})", looked.miss.token()),
        ),
    }
}

/// What a request would find below RAM. Not for threads that serve.
pub(super) fn brought(edge: &Edge, parts: &KeyParts<'_>, fields: &RequestFields<'_>) -> Brought {
    let hash = edge.cache.secret().key(parts);
    let now = || edge.clock.now();
    let next = |brought: &mut Brought| edge.cache.bring_up(hash, parts, fields, brought, &now);
    let mut brought = Brought::default();
    let wanted = next(&mut brought);
    Handle::current().block_on(edge.cache.bring_all(wanted, brought, parts, &now, next))
}

/// A field's name and value.
pub(super) type Line = (Vec<u8>, Vec<u8>);

/// The field lines that a call gives as `header=Name: value`.
pub(super) fn header_lines(call: &Call) -> Result<Vec<Line>, String> {
    let split = |line: String| match line.split_once(':') {
        Some((name, value)) if http::HeaderName::from_bytes(name.as_bytes()).is_ok() => {
            Ok((name.to_owned().into_bytes(), value.trim().to_owned().into_bytes()))
        }
        _ => Err(format!("`{line}` is not a field; write Name: value")),
    };
    let lines = call.all("header");
    if lines.len() > MAX_FIELDS {
        return Err(format!("{} fields are too many; at most {MAX_FIELDS}", lines.len()));
    }
    lines.into_iter().map(split).collect()
}

fn shown(version: &Version, now: std::time::Duration) -> Value {
    let head = &version.head;
    let fields: Vec<_> = head
        .fields
        .iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect();
    let (tier, length) = match &version.body {
        Body::Whole(bytes) => ("ram", Some(bytes.len() as u64)),
        Body::Chunked { length, .. } => ("ram, in chunks", Some(*length)),
        Body::Filling(_) => ("on its way", head.content_length),
    };
    json!({
        "key": head.key.text(),
        "status": head.status.as_u16(),
        "site": &*head.site,
        "fields": fields,
        "bytes": length,
        "stored": tier,
        "on_ssd": version.is_below(),
        "age_seconds": head.freshness.age(now).as_secs(),
        "lifetime_seconds": head.freshness.lifetime.as_secs(),
        "heuristic": head.freshness.heuristic,
        "ttl_seconds": head.freshness.ttl(now),
        "fresh": head.freshness.is_fresh(now) && !head.freshness.revalidate_always,
        "tags": head.tags.len(),
        "epoch": head.epoch,
    })
}
