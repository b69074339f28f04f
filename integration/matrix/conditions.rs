//! Preconditions as RFC 9110 13 has them, for the origin. Written from the text, to be held against what Verge makes of it.

use std::time::SystemTime;

use hyper::HeaderMap;

/// What the conditions of a request come to (13.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Perform,
    NotModified,
    Failed,
}

/// What conditions are held against.
pub struct Current<'a> {
    /// As it is sent, if there is one.
    pub etag: Option<&'a str>,
    pub last_modified: Option<SystemTime>,
    pub date: SystemTime,
}

/// 13.2.2, step by step.
pub fn evaluate(method: &str, fields: &HeaderMap, current: &Current) -> Verdict {
    let reads = method == "GET" || method == "HEAD";
    let modified = current.last_modified;
    // Steps 1 and 2
    let unchanged = match list(fields, "if-match") {
        Some(tags) => {
            tags.any()
                || tags
                    .0
                    .iter()
                    .any(|tag| current.etag.is_some_and(|etag| strong(tag, etag)))
        }
        None => match (date(fields, "if-unmodified-since"), modified) {
            (Some(since), Some(modified)) => modified <= since,
            _ => true,
        },
    };
    if !unchanged {
        return Verdict::Failed;
    }
    // Steps 3 and 4
    let known = match list(fields, "if-none-match") {
        Some(tags) => {
            tags.any()
                || tags
                    .0
                    .iter()
                    .any(|tag| current.etag.is_some_and(|etag| weak(tag, etag)))
        }
        None => match (date(fields, "if-modified-since"), modified) {
            (Some(since), Some(modified)) => reads && modified <= since,
            _ => false,
        },
    };
    match (known, reads) {
        (false, _) => Verdict::Perform,
        (true, true) => Verdict::NotModified,
        (true, false) => Verdict::Failed,
    }
}

/// 13.1.5: whether a `Range` counts.
pub fn range_counts(fields: &HeaderMap, current: &Current) -> bool {
    let Some(value) = fields.get("if-range") else {
        return true;
    };
    let Ok(value) = value.to_str() else {
        return false;
    };
    match (httpdate::parse_http_date(value), current.last_modified) {
        // 8.8.2.2: a minute between the two is enough.
        (Ok(since), Some(modified)) => {
            since == modified
                && current
                    .date
                    .duration_since(modified)
                    .is_ok_and(|age| age.as_secs() >= 60)
        }
        (Ok(_), None) => false,
        (Err(_), _) => current.etag.is_some_and(|etag| strong(value, etag)),
    }
}

/// The members of a list of entity tags; `*` is one.
struct Tags(Vec<String>);

impl Tags {
    fn any(&self) -> bool {
        self.0 == ["*"]
    }
}

/// All lines of a field, taken apart at the commas that are in no tag (8.8.3).
fn list(fields: &HeaderMap, name: &str) -> Option<Tags> {
    let lines: Vec<&str> = fields
        .get_all(name)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .collect();
    if lines.is_empty() {
        return None;
    }
    let (mut members, mut quoted) = (vec![String::new()], false);
    for letter in lines.join(",").chars() {
        quoted ^= letter == '"';
        match (letter, quoted) {
            (',', false) => members.push(String::new()),
            _ => members.last_mut().expect("there is one").push(letter),
        }
    }
    let members = members.iter().map(|member| member.trim().to_owned());
    Some(Tags(members.filter(|member| !member.is_empty()).collect()))
}

/// 8.8.3.2
fn strong(one: &str, other: &str) -> bool {
    one == other && one.starts_with('"')
}

/// 8.8.3.2
fn weak(one: &str, other: &str) -> bool {
    one.trim_start_matches("W/") == other.trim_start_matches("W/")
}

/// 13.1.3, 13.1.4: what is no date is ignored, and so are several.
fn date(fields: &HeaderMap, name: &str) -> Option<SystemTime> {
    let mut lines = fields.get_all(name).iter();
    let line = lines.next()?.to_str().ok()?;
    if lines.next().is_some() {
        return None;
    }
    httpdate::parse_http_date(line).ok()
}
