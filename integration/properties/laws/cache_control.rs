//! What holds of every Cache-Control: what restricts is never lost, whatever else is said.

use http::{HeaderMap, HeaderValue, header};
use verge::policy::cache_control::{DELTA_SECONDS_MAX, MaxStale, RequestDirectives, ResponseDirectives};
use verge::policy::{request_directives, response_directives};

use crate::input::{self, Input, Lines};

/// Of the request's and of the response's lines.
pub fn hold(input: &Input) {
    of_response(&input.response);
    of_request(&input.request);
}

fn of_response(fields: &HeaderMap) {
    let said = response_directives(fields);
    let lines: Vec<&HeaderValue> = fields.get_all(header::CACHE_CONTROL).iter().collect();
    for seconds in times(&said).into_iter().flatten() {
        assert!(seconds <= DELTA_SECONDS_MAX, "{said:?}");
    }
    // Neither the order of lines nor the case of anything counts.
    let backwards = lines.iter().rev().map(|line| line.as_bytes().to_vec());
    assert_eq!(sorted(read(backwards)), sorted(said.clone()), "backwards: {lines:?}");
    let capitals = lines.iter().map(|line| line.as_bytes().to_ascii_uppercase());
    assert_eq!(read(capitals), said, "in capitals: {lines:?}");
    if lines.iter().all(|line| input::is_balanced(line.as_bytes())) {
        let bytes: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        assert_eq!(read([bytes.join(&b", "[..])].into_iter()), said, "as one: {lines:?}");
    }
    for count in 0..lines.len() {
        let fewer = read(lines[..count].iter().map(|line| line.as_bytes().to_vec()));
        restricts_no_less(&fewer, &said);
    }
    one_more_line_adds_itself(&lines, &said);
}

fn one_more_line_adds_itself(lines: &[&HeaderValue], said: &ResponseDirectives) {
    let with = |line: &str| {
        let lines = lines.iter().map(|line| line.as_bytes().to_vec());
        read(lines.chain([line.as_bytes().to_vec()]))
    };
    let mut expected = said.clone();
    expected.no_store = true;
    assert_eq!(with("no-store"), expected, "{lines:?}");
    let mut expected = said.clone();
    expected.private = true;
    assert_eq!(with(" PRIVATE\t,, foo=\"no-store, public\""), expected, "{lines:?}");
    let mut expected = said.clone();
    // RFC 9111 4.2.1: what conflicts is stale.
    expected.max_age = match said.max_age {
        None | Some(7) => Some(7),
        Some(_) => Some(0),
    };
    assert_eq!(with("max-age=\"07\""), expected, "{lines:?}");
}

fn read(lines: impl Iterator<Item = Vec<u8>>) -> ResponseDirectives {
    let mut fields = HeaderMap::new();
    for line in lines {
        if let Ok(value) = HeaderValue::from_bytes(&line) {
            fields.append(header::CACHE_CONTROL, value);
        }
    }
    response_directives(&fields)
}

fn times(said: &ResponseDirectives) -> [Option<u64>; 4] {
    [
        said.max_age,
        said.s_maxage,
        said.stale_while_revalidate,
        said.stale_if_error,
    ]
}

/// The order of fields in qualified forms says nothing.
fn sorted(mut said: ResponseDirectives) -> ResponseDirectives {
    for names in [&mut said.no_cache_fields, &mut said.private_fields] {
        names.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
    }
    said
}

/// Whether `more` forbids all that `less` does.
pub fn restricts_no_less(less: &ResponseDirectives, more: &ResponseDirectives) {
    let flags = |said: &ResponseDirectives| {
        [
            said.no_cache,
            said.no_store,
            said.private,
            said.must_revalidate,
            said.proxy_revalidate,
        ]
    };
    let lost = flags(less)
        .iter()
        .zip(flags(more))
        .any(|(before, after)| *before && !after);
    assert!(!lost, "{less:?} became {more:?}");
    for (before, after) in times(less).into_iter().zip(times(more)) {
        let kept = before.is_none() || after == before || after == Some(0);
        assert!(kept, "{less:?} became {more:?}");
    }
    assert!(
        more.no_cache_fields.starts_with(&less.no_cache_fields)
            && more.private_fields.starts_with(&less.private_fields),
        "{less:?} became {more:?}"
    );
}

fn of_request(lines: &Lines) {
    let said = input::with(lines, request_directives);
    let seconds = said.max_stale.map(|stale| match stale {
        MaxStale::Any => 0,
        MaxStale::Seconds(seconds) => seconds,
    });
    for seconds in [said.max_age, said.min_fresh, said.stale_if_error, seconds] {
        assert!(seconds.unwrap_or(0) <= DELTA_SECONDS_MAX, "{said:?}");
    }
    let backwards: Lines = lines.iter().rev().copied().collect();
    assert_eq!(
        input::with(&backwards, request_directives),
        said,
        "backwards: {lines:?}"
    );
    let capitals: Vec<_> = lines
        .iter()
        .map(|(name, value)| (name.to_ascii_uppercase(), value.to_ascii_uppercase()))
        .collect();
    let capitals: Lines = capitals.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(
        input::with(&capitals, request_directives),
        said,
        "in capitals: {lines:?}"
    );
    pragma_counts_alone(lines, &said);
}

/// RFC 9111 5.4: Pragma says nothing beside Cache-Control, and without it nothing but no-cache.
fn pragma_counts_alone(lines: &Lines, said: &RequestDirectives) {
    let has_cache_control = !input::values(lines, "cache-control").is_empty();
    if has_cache_control {
        let rest = input::without(lines, "pragma");
        assert_eq!(input::with(&rest, request_directives), *said, "{lines:?}");
    } else {
        let expected = RequestDirectives {
            no_cache: said.no_cache,
            ..RequestDirectives::default()
        };
        assert_eq!(*said, expected, "{lines:?}");
    }
}
