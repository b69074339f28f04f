//! What carried a token, to be taken out of the cache key and the origin's request.

use std::borrow::Cow;
use std::ops::Range;

use smallvec::SmallVec;

use super::cookie;
use crate::policy::fields::RequestFields;

/// A field line: name and value.
pub type Line<'f> = (&'f [u8], Cow<'f, [u8]>);

/// A request that is granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant<'p> {
    /// What carried the token.
    pub strip: Strip<'p>,
    /// When the token ends, in seconds since 1970, the allowance for clocks not counted; `u64::MAX` if it never does.
    pub until: u64,
}

/// What carried a token. Ranges are of the request's raw query and of its normalised path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strip<'p> {
    pub(super) query: SmallVec<[Range<u32>; 6]>,
    pub(super) cookies: SmallVec<[&'p str; 2]>,
    pub(super) field: Option<&'p str>,
    pub(super) path: Option<Range<u32>>,
}

impl<'p> Strip<'p> {
    /// The query without the token; `None` if nothing is left. Borrows where the token stands at one end.
    pub fn query<'q>(&self, query: Option<&'q str>) -> Option<Cow<'q, str>> {
        let query = query?;
        if self.query.is_empty() {
            return Some(Cow::Borrowed(query));
        }
        let mut kept = self.kept(query).filter(|piece| !piece.is_empty());
        let first = kept.next()?;
        match kept.next() {
            None => Some(Cow::Borrowed(first)),
            Some(second) => {
                let rest = [first, second].into_iter().chain(kept);
                Some(Cow::Owned(rest.collect::<Vec<_>>().join("&")))
            }
        }
    }

    /// The stretches of a query between the parts that go, without the `&` at their ends.
    fn kept<'q>(&self, query: &'q str) -> impl Iterator<Item = &'q str> {
        let starts = std::iter::once(0).chain(self.query.iter().map(|range| range.end as usize + 1));
        let ends = self.query.iter().map(|range| (range.start as usize).saturating_sub(1));
        let ends = ends.chain(std::iter::once(query.len()));
        starts
            .zip(ends)
            .map(|(start, end)| query.get(start..end).unwrap_or_default())
    }

    /// The normalised path without the token: what is routed anew, keyed and forwarded.
    pub fn path<'q>(&self, path: &'q str) -> Cow<'q, str> {
        let cut = self.path.as_ref().and_then(|range| {
            let (before, after) = (path.get(..range.start as usize)?, path.get(range.end as usize..)?);
            Some((before, after))
        });
        match cut {
            None => Cow::Borrowed(path),
            Some(("", "")) => Cow::Borrowed("/"),
            Some(("", after)) => Cow::Borrowed(after),
            Some((before, "")) => Cow::Borrowed(before),
            Some((before, after)) => Cow::Owned([before, after].concat()),
        }
    }

    /// Whether the path carried it, so that the route has to be found anew.
    pub fn changes_path(&self) -> bool {
        self.path.is_some()
    }

    /// A `Cookie` field's value without the token; `None` if nothing is left.
    fn cookie<'c>(&self, value: &'c [u8]) -> Option<Cow<'c, [u8]>> {
        let goes = |name: &[u8]| self.cookies.iter().any(|cookie| cookie.as_bytes() == name);
        if !cookie::pairs(value).any(|(name, _)| goes(name)) {
            return Some(Cow::Borrowed(value));
        }
        let kept = value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let kept: Vec<&[u8]> = kept
            .filter(|pair| !pair.is_empty() && !cookie::pairs(pair).any(|(name, _)| goes(name)))
            .collect();
        (!kept.is_empty()).then(|| Cow::Owned(kept.join(&b"; "[..])))
    }

    /// The field lines without the token, as names and values; `None` if no field carried it.
    pub fn lines<'f>(&self, fields: &RequestFields<'f>) -> Option<Vec<Line<'f>>> {
        if self.field.is_none() && self.cookies.is_empty() {
            return None;
        }
        let goes = |name: &[u8]| {
            self.field
                .is_some_and(|field| name.eq_ignore_ascii_case(field.as_bytes()))
        };
        let lines = fields.lines().iter().filter(|line| !goes(line.name));
        let kept = lines.filter_map(|line| match line.name.eq_ignore_ascii_case(b"cookie") {
            true => Some((line.name, self.cookie(line.value)?)),
            false => Some((line.name, Cow::Borrowed(line.value))),
        });
        Some(kept.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::query::take;
    use crate::policy::fields::Field;

    #[test]
    fn queries() {
        for (query, left, borrowed) in [
            ("t=1", None, true),
            ("t=1&e=2", None, true),
            ("a=1&t=1&e=2", Some("a=1"), true),
            ("t=1&e=2&a=1", Some("a=1"), true),
            ("t=1&a=1&e=2", Some("a=1"), true),
            ("t=1&a=1&b=2&e=2", Some("a=1&b=2"), true),
            ("a=1&t=1&b=2&e=2&c", Some("a=1&b=2&c"), false),
            ("a=1", Some("a=1"), true),
            ("", Some(""), true),
            ("&t", None, true),
            ("a&&t", Some("a&"), true),
        ] {
            let strip = Strip {
                query: take(Some(query), ["e", "t"]).unwrap().ranges(),
                ..Strip::default()
            };
            let got = strip.query(Some(query));
            assert_eq!(got.as_deref(), left, "{query}");
            assert_eq!(!matches!(got, Some(Cow::Owned(_))), borrowed, "{query}");
        }
        assert_eq!(Strip::default().query(None), None);
    }

    #[test]
    fn paths() {
        for (path, cut, left) in [
            ("/a/b", None, "/a/b"),
            ("/t/a", Some(0..2), "/a"),
            ("/a/t/b", Some(2..4), "/a/b"),
            ("/a;t=1", Some(2..6), "/a"),
            ("/t", Some(0..2), "/"),
            ("/t", Some(0..9), "/t"),
        ] {
            let strip = Strip {
                path: cut,
                ..Strip::default()
            };
            assert_eq!(strip.path(path), left);
        }
    }

    #[test]
    fn cookies() {
        let strip = Strip {
            cookies: ["t", "u"].into_iter().collect(),
            ..Strip::default()
        };
        for (value, left) in [
            ("a=1; t=2; b=3", Some("a=1; b=3")),
            ("t=1;u=2", None),
            ("a=1;b", Some("a=1;b")),
            ("T=1", Some("T=1")),
        ] {
            let got = strip.cookie(value.as_bytes());
            assert_eq!(got.as_deref(), left.map(str::as_bytes), "{value}");
        }
    }

    #[test]
    fn lines() {
        let names = [
            ("Cookie", "t=1; a=1"),
            ("Authorization", "Bearer x"),
            ("cookie", "u=2"),
            ("Accept", "*/*"),
        ];
        let lines = names.map(|(name, value)| Field {
            name: name.as_bytes(),
            value: value.as_bytes(),
        });
        let fields = RequestFields::new(&lines);
        let left = |strip: Strip<'_>| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let lines = strip.lines(&fields)?;
            let lines: Vec<String> = lines
                .iter()
                .map(|(name, value)| text(name) + "=" + &text(value))
                .collect();
            Some(lines.join("|"))
        };
        assert_eq!(left(Strip::default()), None);
        let cookies = Strip {
            cookies: ["t", "u"].into_iter().collect(),
            ..Strip::default()
        };
        assert_eq!(
            left(cookies).as_deref(),
            Some("Cookie=a=1|Authorization=Bearer x|Accept=*/*")
        );
        let field = Strip {
            field: Some("authorization"),
            ..Strip::default()
        };
        assert_eq!(left(field).as_deref(), Some("Cookie=t=1; a=1|cookie=u=2|Accept=*/*"));
    }
}
