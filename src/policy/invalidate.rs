//! What an unsafe request makes invalid (RFC 9111 4.4).

use http::{HeaderMap, Method, StatusCode, header};
use smallvec::SmallVec;

/// Whether an answer of this status to this method invalidates what is stored for the target.
pub fn invalidates(method: &Method, status: StatusCode) -> bool {
    // RFC 9111 4.4: also methods whose safety is unknown. RFC 9110 9.2.1 names the safe ones.
    let is_safe = [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE].contains(method);
    // RFC 9111 4.4: a non-error answer is a 2xx or 3xx.
    !is_safe && (status.is_success() || status.is_redirection())
}

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// `http` or `https`.
    pub scheme: &'a str,
    /// The host, and the port if it was given.
    pub authority: &'a str,
    /// The absolute path, without the query.
    pub path: &'a str,
}

/// A path and a query of the target's origin, not yet normalised as a key's are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathAndQuery {
    /// The absolute path without dot segments.
    pub path: String,
    /// What follows `?`, if there is one.
    pub query: Option<String>,
}

/// The URIs in Location and Content-Location that are of the target's origin; others must not be invalidated (RFC 9111 4.4).
pub fn also_invalidated(fields: &HeaderMap, target: &Target) -> SmallVec<[PathAndQuery; 2]> {
    [header::LOCATION, header::CONTENT_LOCATION]
        .iter()
        .filter_map(|name| fields.get(name)?.to_str().ok())
        .filter_map(|reference| resolve(reference, target))
        .collect()
}

/// Where `Content-Location` says that the answer is to be had, if that is of the target's origin.
pub fn content_location(fields: &HeaderMap, target: &Target) -> Option<PathAndQuery> {
    let mut lines = fields.get_all(header::CONTENT_LOCATION).iter();
    let only = lines.next().filter(|_| lines.next().is_none())?;
    resolve(only.to_str().ok()?, target)
}

/// RFC 3986 5.2, as far as the result can be of the same origin.
fn resolve(reference: &str, target: &Target) -> Option<PathAndQuery> {
    // RFC 3986 2: neither may stand in a URI; some read a backslash as a slash, so an origin could be mistaken.
    if reference.contains(['\\', ' ', '\t']) {
        return None;
    }
    let reference = before(reference, '#').0;
    let (scheme, rest) = split_scheme(reference);
    // RFC 9110 4.3.1: the origin is scheme, host and port.
    if scheme.is_some_and(|scheme| !scheme.eq_ignore_ascii_case(target.scheme)) {
        return None;
    }
    let local = match rest.strip_prefix("//") {
        Some(rest) => {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (authority, local) = rest.split_at(end);
            if !same_authority(authority, target) {
                return None;
            }
            // RFC 9110 4.2.3: an empty path is `/`.
            return Some(absolute(local, "/"));
        }
        // RFC 3986 4.3: an absolute URI without authority is of no origin of ours.
        None if scheme.is_some() => return None,
        None => rest,
    };
    Some(absolute(local, target.path))
}

/// Resolves a path and query against the path `base`.
fn absolute(local: &str, base: &str) -> PathAndQuery {
    let (path, query) = before(local, '?');
    let path = match path {
        "" => base.to_owned(),
        path if path.starts_with('/') => without_dots(path),
        // RFC 3986 5.2.3: merged with all but the last segment of the base.
        path => {
            let folder = base.rfind('/').map_or("/", |slash| &base[..=slash]);
            without_dots(&format!("{folder}{path}"))
        }
    };
    PathAndQuery {
        path,
        query: query.map(str::to_owned),
    }
}

fn before(text: &str, mark: char) -> (&str, Option<&str>) {
    match text.split_once(mark) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

/// RFC 3986 3.1: a scheme ends at a colon that comes before any `/` or `?`.
fn split_scheme(reference: &str) -> (Option<&str>, &str) {
    match reference.find([':', '/', '?']) {
        Some(at) if reference.as_bytes()[at] == b':' => (Some(&reference[..at]), &reference[at + 1..]),
        _ => (None, reference),
    }
}

fn same_authority(authority: &str, target: &Target) -> bool {
    // RFC 9110 4.2.1, 4.2.2: a default port may be left out. User information makes it another text, so another authority.
    let default_port = match target.scheme.eq_ignore_ascii_case("https") {
        true => ":443",
        false => ":80",
    };
    let bare = |text: &str| {
        let text = text.strip_suffix(default_port).unwrap_or(text);
        text.strip_suffix(':').unwrap_or(text).to_ascii_lowercase()
    };
    bare(authority) == bare(target.authority)
}

/// RFC 3986 5.2.4.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            segment => {
                kept.push(segment);
                continue;
            }
        }
        if is_last {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const TARGET: Target = Target {
        scheme: "https",
        authority: "Example.com",
        path: "/a/b",
    };

    #[test]
    fn unsafe_and_unknown_methods_invalidate_unless_they_fail() {
        let purge = Method::from_bytes(b"PUBLISH").unwrap();
        for (method, status, expected) in [
            (&Method::POST, 200, true),
            (&Method::PUT, 303, true),
            (&purge, 204, true),
            (&Method::DELETE, 404, false),
            (&Method::POST, 500, false),
            (&Method::GET, 200, false),
            (&Method::OPTIONS, 200, false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(invalidates(method, status), expected, "{method} {status}");
        }
    }

    #[test]
    fn only_the_same_origin_is_invalidated() {
        for (reference, expected) in [
            ("/x?y#z", Some("/x?y")),
            ("c", Some("/a/c")),
            ("../../../c/.", Some("/c/")),
            ("?q", Some("/a/b?q")),
            ("", Some("/a/b")),
            ("https://EXAMPLE.com:443", Some("/")),
            ("https://example.com?q", Some("/?q")),
            ("//example.com/d//e", Some("/d//e")),
            ("http://example.com/x", None),
            ("https://example.com:444/x", None),
            ("https://user@example.com/x", None),
            ("https://example.com.evil/x", None),
            ("https:/x", None),
            ("/\\evil", None),
            ("mailto:a@example.com", None),
            ("/a:b", Some("/a:b")),
        ] {
            let mut fields = HeaderMap::new();
            fields.insert(header::LOCATION, HeaderValue::from_static(reference));
            let found = also_invalidated(&fields, &TARGET);
            let found = found.first().map(|uri| match &uri.query {
                Some(query) => format!("{}?{query}", uri.path),
                None => uri.path.clone(),
            });
            assert_eq!(found.as_deref(), expected, "{reference}");
        }
    }
}
