//! What is told of a URL in logs, explanations and redirects: never a token, good or not.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::{Dialect, Policy, query};

/// Path and query of a request, as they are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told<'t> {
    /// The path.
    pub path: Cow<'t, str>,
    /// What follows `?`; none if nothing is left of it.
    pub query: Option<Cow<'t, str>>,
}

impl<'t> Told<'t> {
    /// As they are.
    pub fn new(path: &'t str, query: Option<&'t str>) -> Self {
        Told {
            path: Cow::Borrowed(path),
            query: query.map(Cow::Borrowed),
        }
    }

    /// Without what would carry a token for this policy.
    pub fn without_token_of(self, policy: &Policy) -> Self {
        let dialect = &*policy.dialect;
        Told {
            path: match self.path {
                Cow::Borrowed(path) => self::path(dialect, path),
                Cow::Owned(path) => Cow::Owned(self::path(dialect, &path).into_owned()),
            },
            query: match self.query {
                None => None,
                Some(Cow::Borrowed(query)) => self::query(dialect, query),
                Some(Cow::Owned(query)) => self::query(dialect, &query).map(|left| Cow::Owned(left.into_owned())),
            },
        }
    }
}

/// A path without what carries a token in it, or seems to.
fn path<'t>(dialect: &dyn Dialect, path: &'t str) -> Cow<'t, str> {
    let carries = |piece: &str| dialect.carries_in_path(&percent_decode_str(piece).decode_utf8_lossy());
    let carried = |segment: &str| carries(segment) || segment.split(';').skip(1).any(carries);
    if !path.contains('=') && !path.contains('%') || !path.split('/').any(carried) {
        return Cow::Borrowed(path);
    }
    let segments = path.split('/').filter(|segment| !carries(segment)).map(|segment| {
        let mut pieces = segment.split(';');
        let first = pieces.next().unwrap_or_default();
        let kept = pieces.filter(|piece| !carries(piece));
        kept.fold(first.to_owned(), |segment, piece| segment + ";" + piece)
    });
    let left = segments.collect::<Vec<_>>().join("/");
    if left.is_empty() {
        Cow::Borrowed("/")
    } else {
        Cow::Owned(left)
    }
}

/// A query without what carries a token in it, or seems to; none if nothing is left.
fn query<'t>(dialect: &dyn Dialect, query: &'t str) -> Option<Cow<'t, str>> {
    let carries = |name: &str| match name.contains('%') {
        true => dialect.carries(&percent_decode_str(name).decode_utf8_lossy()),
        false => dialect.carries(name),
    };
    if !query::parts(query).any(|part| carries(part.name)) {
        return Some(Cow::Borrowed(query));
    }
    let kept = query::parts(query).filter(|part| !carries(part.name));
    let kept: Vec<&str> = kept.map(|part| part.text).collect();
    (!kept.is_empty()).then(|| Cow::Owned(kept.join("&")))
}

/// As much of a target as can be told where it is not known for whom it is: all tokens stand behind a name and `=`.
pub fn unread(target: &str) -> &str {
    let path = target.split('?').next().unwrap_or_default();
    let equals = ["=", "%3d", "%3D"].iter().filter_map(|equals| path.find(equals)).min();
    match equals {
        None => path,
        Some(at) => path[..at].rfind(['/', ';']).map_or("", |end| &path[..end.max(1)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::bunny::Bunny;
    use crate::access::gcp::Gcp;
    use crate::access::token::Place;
    use crate::access::verge::Verge;

    fn verge() -> Verge {
        Verge::new(vec![Place::Query("t".into()), Place::Path("t".into())])
    }

    #[test]
    fn paths() {
        for (dialect, given, left) in [
            (&verge() as &dyn Dialect, "/a/b", "/a/b"),
            (&verge(), "/a;t=x/b;u=1", "/a/b;u=1"),
            (&verge(), "/a;%74=x;t=y;v", "/a;v"),
            (&verge(), "/a=b;u=t=", "/a=b;u=t="),
            (&verge(), "/t=1/a", "/a"),
            (&Bunny, "/bcdn_token=x&expires=1/a", "/a"),
            (&Bunny, "/%62cdn_token=x/a", "/a"),
            (&Bunny, "/bcdn_token=x", "/"),
            (&Gcp, "/a/edge-cache-token=Expires=1&x/b", "/a/b"),
        ] {
            assert_eq!(path(dialect, given), left, "{given}");
        }
    }

    #[test]
    fn queries() {
        for (given, left) in [
            ("", Some("")),
            ("a=t&b", Some("a=t&b")),
            ("t=1", None),
            ("a=1&t=1&t=2&%74=3&b", Some("a=1&b")),
        ] {
            assert_eq!(query(&verge(), given).as_deref(), left, "{given:?}");
        }
    }

    #[test]
    fn what_was_not_read() {
        for (target, left) in [
            ("/a/b?t=1", "/a/b"),
            ("/a;t=1/b", "/a"),
            ("/a/t=1", "/a"),
            ("/t=1/a", "/"),
            ("/a/t%3D1", "/a"),
            ("https://example.com/a?t=1", "https://example.com/a"),
            ("t=1", ""),
            ("", ""),
        ] {
            assert_eq!(unread(target), left, "{target}");
        }
    }
}
