//! What the edge would do with a request, and why.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use serde_json::json;

use super::object::{brought, header_lines};
use super::routes::{Call, Reply};
use super::url::Url;
use crate::node::Node;
use crate::pipeline::{RequestLength, RequestView, explain};
use crate::policy::fields::{Field, RequestFields};

pub(super) fn reply(node: &Arc<Node>, call: &Call) -> Reply {
    let Some(url) = call.first("url") else {
        return Reply::bad("name the URL: /api/explain?url=https://www.example.com/a");
    };
    let read = Url::parse(&url).and_then(|url| Ok((url, header_lines(call)?)));
    let (url, lines) = match read {
        Ok(read) => read,
        Err(why) => return Reply::bad(why),
    };
    let method = call.first("method").unwrap_or_else(|| "GET".to_owned());
    if http::Method::from_bytes(method.as_bytes()).is_err() {
        return Reply::bad(format!(
            "`{method}` is not a method; write GET or HEAD, or another in capitals"
        ));
    }
    let client = match call.first("client").map(|client| client.parse::<IpAddr>()) {
        None => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Some(Ok(client)) => client,
        Some(Err(_)) => return Reply::bad("client is not an IP address; write ?client=192.0.2.1"),
    };
    let lines: Vec<Field<'_>> = lines.iter().map(|(name, value)| Field { name, value }).collect();
    let body = lines
        .iter()
        .find(|line| line.name.eq_ignore_ascii_case(b"content-length"));
    let view = RequestView {
        method: &method,
        scheme: url.scheme,
        host: Cow::Borrowed(&url.host),
        path: Cow::Borrowed(&url.path),
        raw_path: &url.raw_path,
        query: url.query.as_deref(),
        fields: RequestFields::new(&lines),
        client,
        version: "1.1",
        body: match body.map(|line| {
            std::str::from_utf8(line.value)
                .ok()
                .and_then(|value| value.parse().ok())
        }) {
            None | Some(Some(0)) => RequestLength::None,
            Some(Some(length)) => RequestLength::Known(length),
            Some(None) => RequestLength::Unknown,
        },
    };
    let edge = node.server.edge();
    let explained = explain(&edge, &view, |view| brought(&edge, &view.key_parts(), &view.fields));
    let steps = explained
        .steps
        .iter()
        .map(|(what, says)| json!({ "what": what, "says": says }));
    Reply::json(&json!({
        "steps": steps.collect::<Vec<_>>(),
        "verdict": explained.verdict,
        "status": explained.status.map(|status| status.as_u16()),
        "cache_status": explained.cache_status,
        "detail": explained.detail,
        "means": explained.means,
    }))
}
