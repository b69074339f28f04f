//! Directives are read as they were meant, in whatever order, case, quotes and lines they are written.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use proptest::prelude::*;
use verge::policy::cache_control::{DELTA_SECONDS_MAX, MaxStale, RequestDirectives, ResponseDirectives};
use verge::policy::{request_directives, response_directives};

use crate::spelling::{Spelling, spelling};
use crate::{config, input};

/// A directive's name, and its argument.
pub type Directive = (&'static str, Option<String>);

/// Seconds, some of them more than are told apart.
pub fn seconds() -> impl Strategy<Value = Option<u64>> {
    prop::option::of(prop_oneof![0..100u64, any::<u64>()])
}

fn told_apart(seconds: Option<u64>) -> Option<u64> {
    seconds.map(|seconds| seconds.min(DELTA_SECONDS_MAX))
}

fn names() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(vec!["x-a", "set-cookie", "x-b"], 0..=3)
}

prop_compose! {
    /// What a response may say, and the directives that say it.
    pub fn response()(
        times in [seconds(), seconds(), seconds(), seconds()],
        flags in any::<[bool; 9]>(),
        fields in [names(), names()],
    ) -> (ResponseDirectives, Vec<Directive>) {
        let names = ["max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"];
        let times_said = names.into_iter().zip(times).filter_map(|(name, time)| Some((name, Some(time?.to_string()))));
        let names = [
            "no-cache", "no-store", "private", "public", "must-revalidate", "proxy-revalidate", "must-understand", "no-transform", "immutable",
        ];
        let flags_said = names.into_iter().zip(flags).filter_map(|(name, on)| on.then_some((name, None)));
        let fields_said = ["no-cache", "private"].into_iter().zip(&fields);
        let fields_said = fields_said.filter(|(_, fields)| !fields.is_empty());
        let fields_said = fields_said.map(|(name, fields)| (name, Some(fields.join(", "))));
        let directives = times_said.chain(flags_said).chain(fields_said).collect();
        let [max_age, s_maxage, stale_while_revalidate, stale_if_error] = times.map(told_apart);
        let [no_cache, no_store, private, public, must_revalidate, proxy_revalidate, must_understand, no_transform, immutable] = flags;
        let [no_cache_fields, private_fields] = fields.map(|names| names.into_iter().map(HeaderName::from_static).collect());
        let said = ResponseDirectives {
            max_age, s_maxage, stale_while_revalidate, stale_if_error, no_cache, no_store, private, public, must_revalidate,
            proxy_revalidate, must_understand, no_transform, immutable, no_cache_fields, private_fields, targeted: false,
        };
        (said, directives)
    }
}

prop_compose! {
    fn request()(
        times in [seconds(), seconds(), seconds()],
        stale in prop::option::of(seconds()),
        flags in any::<[bool; 3]>(),
    ) -> (RequestDirectives, Vec<Directive>) {
        let times_said = ["max-age", "min-fresh", "stale-if-error"].into_iter().zip(times);
        let times_said = times_said.filter_map(|(name, time)| Some((name, Some(time?.to_string()))));
        let stale_said = stale.map(|seconds| ("max-stale", seconds.map(|seconds| seconds.to_string())));
        let flags_said = ["no-cache", "no-store", "only-if-cached"].into_iter().zip(flags);
        let flags_said = flags_said.filter_map(|(name, on)| on.then_some((name, None)));
        let directives = times_said.chain(stale_said).chain(flags_said).collect();
        let [max_age, min_fresh, stale_if_error] = times.map(told_apart);
        let max_stale = stale.map(|seconds| told_apart(seconds).map_or(MaxStale::Any, MaxStale::Seconds));
        let [no_cache, no_store, only_if_cached] = flags;
        (RequestDirectives { max_age, max_stale, min_fresh, no_cache, no_store, only_if_cached, stale_if_error }, directives)
    }
}

/// One directive, and now and then one that nobody knows before it.
fn spelled(spelling: &mut Spelling, (name, argument): Directive) -> Vec<String> {
    let name = spelling.case(name);
    let directive = match argument {
        None => name,
        Some(text) if text.contains(',') || spelling.choose(2) == 1 => format!("{name}=\"{}\"", spelling.case(&text)),
        Some(text) => format!("{name}={text}"),
    };
    let unknown = spelling.one_of(&[
        "",
        "",
        "foo",
        "x=\"no-store, max-age=0\"",
        "max-agee=1",
        "community=UCI",
    ]);
    [unknown, &directive].map(str::to_owned).to_vec()
}

/// The lines of these directives.
pub fn lines(spelling: &mut Spelling, directives: Vec<Directive>) -> Vec<String> {
    let directives = spelling.shuffled(directives);
    let members: Vec<String> = directives
        .into_iter()
        .flat_map(|directive| spelled(spelling, directive))
        .collect();
    spelling.lines(&members)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn responses((said, directives) in response(), mut spelling in spelling()) {
        let mut fields = HeaderMap::new();
        for line in lines(&mut spelling, directives) {
            fields.append(header::CACHE_CONTROL, HeaderValue::from_str(&line).unwrap());
        }
        prop_assert_eq!(response_directives(&fields), said, "{:?}", fields);
    }

    /// RFC 9111 4.2.1: what conflicts is stale; of a request's wishes the strictest counts.
    #[test]
    fn what_is_said_twice(times in [0..100u64, 0..100u64], again in any::<bool>(), mut spelling in spelling()) {
        let [a, b] = if again { [times[0]; 2] } else { times };
        let (least, most) = (Some(a.min(b)), Some(a.max(b)));
        let agreed = if a == b { a } else { 0 };
        let mut write = |name| lines(&mut spelling, [a, b].map(|time| (name, Some(time.to_string()))).to_vec());
        for name in ["max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"] {
            let lines = write(name).into_iter().map(|line| (header::CACHE_CONTROL, HeaderValue::from_str(&line).unwrap()));
            let said = response_directives(&lines.collect());
            let read = [said.max_age, said.s_maxage, said.stale_while_revalidate, said.stale_if_error];
            prop_assert_eq!(read.into_iter().flatten().collect::<Vec<_>>(), vec![agreed], "{}", name);
        }
        let mut read = |name| {
            let written = write(name);
            let lines: input::Lines = written.iter().map(|line| (&b"cache-control"[..], line.as_bytes())).collect();
            input::with(&lines, request_directives)
        };
        prop_assert_eq!(read("max-age").max_age, least);
        prop_assert_eq!(read("min-fresh").min_fresh, most);
        prop_assert_eq!(read("stale-if-error").stale_if_error, least);
        prop_assert_eq!(read("max-stale").max_stale, least.map(MaxStale::Seconds));
    }

    #[test]
    fn requests((said, directives) in request(), mut spelling in spelling()) {
        let written = lines(&mut spelling, directives);
        let read = |name: &str| {
            let lines: input::Lines = written.iter().map(|line| (name.as_bytes(), line.as_bytes())).collect();
            input::with(&lines, request_directives)
        };
        prop_assert_eq!(read("CACHE-control"), said, "{:?}", written);
        let pragma = RequestDirectives { no_cache: said.no_cache, ..RequestDirectives::default() };
        prop_assert_eq!(read("Pragma"), pragma, "{:?}", written);
    }
}
