//! Fields that belong to one connection (RFC 9110 7.6.1, RFC 9111 3.1), and those that a hop adds.

use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{date, list};

/// What the edge calls itself in `Via`.
const VIA_VERGE: HeaderValue = HeaderValue::from_static("1.1 verge");

/// Adds what a proxy with a clock adds to each response that it forwards: the `Date` that is missing (RFC 9110 6.6.1) and
/// itself to `Via` (RFC 9110 7.6.3).
pub fn complete(fields: &mut HeaderMap, received: SystemTime) {
    if !fields.contains_key(header::DATE)
        && let Ok(value) = HeaderValue::from_str(&date::format(received))
    {
        fields.insert(header::DATE, value);
    }
    fields.append(header::VIA, VIA_VERGE);
}

/// Whether the field (in any case) is never forwarded nor stored.
pub fn is_hop_by_hop(name: &str) -> bool {
    const NAMES: [&str; 10] = [
        // RFC 9110 7.6.1
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
        // RFC 9110 6.6.2: what it announces is not forwarded either.
        "trailer",
        // RFC 9111 3.1, RFC 9110 11.7: between a client and its next proxy.
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
    ];
    NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether Connection may name the field (lower case) and have it removed.
///
/// RFC 9110 7.6.1 forbids naming a field that is meant for every recipient. Who does it anyway wants to strip what routing,
/// access, framing or caching rest on, so these stay.
pub fn is_removable(name: &str) -> bool {
    const KEPT: [&str; 21] = [
        "accept-encoding",
        "age",
        "authorization",
        "cache-control",
        "cookie",
        "date",
        "etag",
        "expires",
        "forwarded",
        "host",
        "last-modified",
        "location",
        "origin",
        "pragma",
        "range",
        "referer",
        "set-cookie",
        "strict-transport-security",
        "vary",
        "via",
        "www-authenticate",
    ];
    const KEPT_PREFIXES: [&str; 6] = ["content-", "access-control-", "if-", "sec-", "x-forwarded-", "x-frame-"];
    !KEPT.contains(&name) && !KEPT_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether the Connection of `fields` names this field, and may.
pub fn is_named(fields: &HeaderMap, name: &HeaderName) -> bool {
    let named = |option: &[u8]| option.eq_ignore_ascii_case(name.as_str().as_bytes());
    options(fields).any(named) && is_removable(name.as_str())
}

/// Removes the fields that belong to the connection, those that Connection names included but for [`is_removable`].
pub fn strip_hop_by_hop(fields: &mut HeaderMap) {
    let named: Vec<HeaderName> = options(fields)
        .filter_map(|option| HeaderName::from_bytes(option).ok())
        .filter(|name| is_removable(name.as_str()))
        .collect();
    let listed = fields.keys().filter(|name| is_hop_by_hop(name.as_str()));
    let listed: Vec<HeaderName> = listed.cloned().collect();
    for name in named.iter().chain(&listed) {
        fields.remove(name);
    }
}

fn options(fields: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let lines = fields.get_all(header::CONNECTION).into_iter();
    lines.flat_map(|line| list::members(line.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn named_fields_go_and_essential_ones_stay() {
        let mut fields = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Hop,"),
            (
                "connection",
                "Cache-Control, content-length, set-cookie, x-forwarded-for",
            ),
            ("x-hop", "1"),
            ("x-hop", "2"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("cache-control", "no-store"),
            ("content-length", "4"),
            ("set-cookie", "a=b"),
            ("x-forwarded-for", "::1"),
            ("x-end", "3"),
        ] {
            fields.append(name, HeaderValue::from_static(value));
        }
        strip_hop_by_hop(&mut fields);
        let mut left: Vec<&str> = fields.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(
            left,
            [
                "cache-control",
                "content-length",
                "set-cookie",
                "x-end",
                "x-forwarded-for"
            ]
        );
    }
}
