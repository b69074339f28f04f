//! Where a request carries its token, for dialects that leave it to the site.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::path::Oddities;
use super::{Reason, Request, Strip, cookie, query};

/// The longest token that is read.
pub(super) const LONGEST: usize = 8 * 1024;

/// A place where a token may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A parameter of the query.
    Query(Arc<str>),
    /// A cookie.
    Cookie(Arc<str>),
    /// A field, in lower case; `Bearer` before the token is left out in `authorization`.
    Field(Arc<str>),
    /// A parameter of one of the path's segments, `;NAME=TOKEN` (RFC 3986 3.3).
    Path(Arc<str>),
}

impl Place {
    /// Reads `query:NAME`, `cookie:NAME`, `header:NAME` or `path:NAME`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no place of a token; write \"query:NAME\", \"cookie:NAME\", \"header:NAME\" or \"path:NAME\""
            )
        };
        let (kind, name) = text.split_once(':').ok_or_else(wrong)?;
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) {
            return Err(wrong());
        }
        match kind {
            "query" => Ok(Place::Query(name.into())),
            "cookie" => Ok(Place::Cookie(name.into())),
            "header" => Ok(Place::Field(name.to_ascii_lowercase().into())),
            "path" => Ok(Place::Path(name.into())),
            _ => Err(wrong()),
        }
    }
}

/// Whether a parameter of the query of this name is one of the places.
pub(super) fn are_in_query(places: &[Place], name: &str) -> bool {
    let is = |place: &Place| matches!(place, Place::Query(query) if **query == *name);
    places.iter().any(is)
}

/// Whether a parameter of a path's segment is one of the places.
pub(super) fn are_in_path(places: &[Place], piece: &str) -> bool {
    let is = |name: &str| piece.strip_prefix(name).is_some_and(|rest| rest.starts_with('='));
    places
        .iter()
        .any(|place| matches!(place, Place::Path(name) if is(name)))
}

/// A token as an operator is shown it: up to the mark behind which its signature stands. Whoever sees it has no token.
pub(super) fn shown(text: &str, mark: &str) -> String {
    match text.rfind(mark) {
        Some(at) => format!("{}…", &text[..at + mark.len()]),
        None => format!("{} letters", text.len()),
    }
}

/// A token as it came, and what of the request carried it.
#[derive(Clone, Debug)]
pub(super) struct Found<'a, 'p> {
    pub(super) text: &'a str,
    pub(super) strip: Strip<'p>,
}

impl Found<'_, '_> {
    /// The path without the token, if the token is in it.
    pub(super) fn path<'q>(&self, request: &Request<'q>) -> Cow<'q, str> {
        self.strip.path(request.path)
    }

    /// The request for that path: what is verified.
    pub(super) fn request<'q>(&self, request: &Request<'q>, path: &'q str) -> Request<'q> {
        if self.strip.changes_path() {
            request.at(path)
        } else {
            *request
        }
    }
}

/// The token in the first of the places that has one.
pub(super) fn find<'a, 'p>(request: &Request<'a>, places: &'p [Place]) -> Result<Found<'a, 'p>, Reason> {
    for place in places {
        let Some(found) = at(request, place)? else { continue };
        return match found.text.len() {
            0 => Err(Reason::Missing),
            len if len > LONGEST => Err(Reason::Malformed),
            _ => Ok(found),
        };
    }
    Err(Reason::Missing)
}

fn at<'a, 'p>(request: &Request<'a>, place: &'p Place) -> Result<Option<Found<'a, 'p>>, Reason> {
    let mut strip = Strip::default();
    let text = match place {
        Place::Query(name) => {
            let taken = query::take(request.query, [name])?;
            strip.query = taken.ranges();
            taken.value(0)
        }
        Place::Cookie(name) => {
            strip.cookies.push(name);
            cookie::find(request.fields, name)?
        }
        Place::Field(name) => {
            strip.field = Some(name);
            in_field(request, name)?
        }
        Place::Path(name) => in_path(request, name)?.map(|(text, range)| {
            strip.path = Some(range);
            text
        }),
    };
    Ok(text.map(|text| Found { text, strip }))
}

/// The token in the path, and where it stands with its `;` and name.
fn in_path<'a>(request: &Request<'a>, name: &str) -> Result<Option<(&'a str, Range<u32>)>, Reason> {
    let path = request.path;
    let begins = |at: usize| path[at..].strip_prefix(';')?.strip_prefix(name)?.strip_prefix('=');
    let mut found = memchr::memchr_iter(b';', path.as_bytes()).filter_map(|at| Some((at, begins(at)?)));
    let Some((at, rest)) = found.next() else {
        return Ok(None);
    };
    if found.next().is_some() {
        return Err(Reason::Twice);
    }
    // What was escaped could be read in two ways; and what a segment of dots is without its parameter goes up.
    if request.raw_path != path {
        return Err(Reason::Ambiguous);
    }
    Oddities::of(request).exact()?;
    let len = rest.find([';', '/']).unwrap_or(rest.len());
    let end = path.len() - rest.len() + len;
    Ok(Some((&rest[..len], at as u32..end as u32)))
}

fn in_field<'a>(request: &Request<'a>, name: &str) -> Result<Option<&'a str>, Reason> {
    let lines = request.fields.lines().iter();
    let mut values = lines.filter(|line| line.name.eq_ignore_ascii_case(name.as_bytes()));
    let Some(line) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Reason::Twice);
    }
    let value = std::str::from_utf8(line.value).map_err(|_| Reason::Malformed)?;
    if name != "authorization" {
        return Ok(Some(value));
    }
    // RFC 6750 2.1; what is under another scheme is no token of ours.
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    Ok(scheme.eq_ignore_ascii_case("bearer").then_some(token.trim_start()))
}
