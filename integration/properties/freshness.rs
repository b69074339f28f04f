//! Nothing grows younger, and nothing that restricts makes more servable than there was without it.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use proptest::prelude::*;
use verge::clock::Now;
use verge::policy::cache_control::RequestDirectives;
use verge::policy::storable::{Asked, StorableResponse};
use verge::policy::{self, Freshness, MaxStale, Reuse, Terms, date};

use crate::{config, input};

/// When the responses come, in seconds since 1970.
const RECEIVED: u64 = 784_111_777;

/// Some time up to a minute, to the millisecond, or one far beyond all.
fn time() -> impl Strategy<Value = Duration> {
    prop_oneof![
        8 => (0..60_000u64).prop_map(Duration::from_millis),
        1 => Just(Duration::from_secs(1 << 32)),
        1 => Just(Duration::MAX),
    ]
}

fn cache_control() -> impl Strategy<Value = Vec<String>> {
    let directive = prop::sample::select(
        &[
            "max-age=20",
            "max-age=40",
            "max-age=0",
            "max-age=x",
            "s-maxage=30",
            "stale-while-revalidate=10",
            "stale-if-error=15",
            "public",
            "must-revalidate",
            "proxy-revalidate",
            "must-understand",
            "no-cache",
            "no-store",
            "private",
            "private=\"x-a\"",
        ][..],
    );
    prop::collection::vec(directive.prop_map(str::to_owned), 0..4)
}

/// A date so many seconds after the response came, or before.
fn a_date() -> impl Strategy<Value = Option<String>> {
    let near = (0..120u64).prop_map(|after| date::format(UNIX_EPOCH + Duration::from_secs(RECEIVED - 60 + after)));
    let old = (0..100_000u64).prop_map(|before| date::format(UNIX_EPOCH + Duration::from_secs(RECEIVED - before)));
    prop::option::of(prop_oneof![near, old, Just("0".to_owned())])
}

prop_compose! {
    /// A response's fields.
    fn response()(
        directives in cache_control(),
        dates in [a_date(), a_date(), a_date()],
        age in prop::option::of("[0-9]{1,2}|x|-1"),
        etag in prop::option::of(Just("\"a\"".to_owned())),
        via in prop::option::of(Just("1.0 old".to_owned())),
    ) -> HeaderMap {
        let [date, expires, modified] = dates;
        let mut fields = HeaderMap::new();
        let lines = [
            (header::DATE, date), (header::EXPIRES, expires), (header::LAST_MODIFIED, modified), (header::AGE, age), (header::ETAG, etag),
            (header::VIA, via),
        ];
        let directives = directives.into_iter().map(|line| (header::CACHE_CONTROL, Some(line)));
        for (name, value) in lines.into_iter().chain(directives) {
            if let Some(value) = value {
                fields.append(name, HeaderValue::from_str(&value).unwrap());
            }
        }
        fields
    }
}

fn moment(monotonic: Duration) -> Now {
    let wall = UNIX_EPOCH + Duration::from_secs(RECEIVED);
    Now { monotonic, wall }
}

fn known(fields: &HeaderMap, delay: Duration, received: Duration) -> Freshness {
    let directives = policy::response_directives(fields);
    let sent = moment(received.saturating_sub(delay));
    policy::freshness(StatusCode::OK, fields, &directives, sent, moment(received), true)
}

fn terms() -> impl Strategy<Value = Terms> {
    let seconds = || (0..20u64).prop_map(Duration::from_secs);
    (seconds(), seconds(), any::<bool>()).prop_map(|(stale_while_revalidate, stale_if_error, client_may_revalidate)| {
        Terms {
            stale_while_revalidate,
            stale_if_error,
            client_may_revalidate,
        }
    })
}

fn asked() -> impl Strategy<Value = Asked> {
    any::<[bool; 5]>().prop_map(|[head_only, authorization, cookie, no_store, range]| Asked {
        head_only: head_only && range,
        authorization,
        cookie,
        no_store: no_store && range,
        range,
    })
}

fn requested() -> impl Strategy<Value = RequestDirectives> {
    let seconds = || prop::option::of(0..40u64);
    let stale = prop::option::of(prop_oneof![Just(MaxStale::Any), (0..40u64).prop_map(MaxStale::Seconds)]);
    (seconds(), stale, seconds(), any::<[bool; 3]>()).prop_map(|(max_age, max_stale, min_fresh, flags)| {
        RequestDirectives {
            max_age,
            max_stale,
            min_fresh,
            no_cache: flags[0] && flags[1],
            only_if_cached: flags[2],
            ..RequestDirectives::default()
        }
    })
}

/// What is stored and served at `now` without asking the origin.
#[derive(Clone, Debug)]
struct Question {
    asked: Asked,
    request: RequestDirectives,
    terms: Terms,
    soft: bool,
    now: Duration,
}

prop_compose! {
    fn question()(asked in asked(), request in requested(), terms in terms(), soft in any::<bool>(), now in time()) -> Question {
        Question { asked, request, terms, soft: soft && now.subsec_millis() % 2 == 0, now }
    }
}

impl Question {
    fn reuse(&self, known: &Freshness) -> Reuse {
        policy::reuse(&self.request, known, self.soft, &self.terms, self.now)
    }

    fn stored(&self, fields: &HeaderMap) -> Option<StorableResponse> {
        let said = policy::response_directives(fields);
        policy::storable(&self.asked, StatusCode::OK, fields, said).ok()
    }

    /// 2: as fresh; 1: stale, and refreshed behind; 0: only once the origin was asked.
    fn served(&self, fields: &HeaderMap, received: Duration) -> u8 {
        let Some(response) = self.stored(fields) else {
            return 0;
        };
        let (guess, now) = (response.heuristic_allowed(), moment(received));
        let known = policy::freshness(StatusCode::OK, fields, response.directives(), now, now, guess);
        worth(self.reuse(&known))
    }
}

/// How much of a hit it is.
fn worth(how: Reuse) -> u8 {
    match how {
        Reuse::Fresh => 2,
        Reuse::StaleWhileRevalidate => 1,
        Reuse::Revalidate(_) | Reuse::OnlyIfCached => 0,
    }
}

fn with_line(fields: &HeaderMap, name: HeaderName, value: &'static str) -> HeaderMap {
    let mut more = fields.clone();
    more.append(name, HeaderValue::from_static(value));
    more
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nothing_grows_younger(fields in response(), delay in time(), received in time(), times in [time(), time()]) {
        let known = known(&fields, delay, received);
        let (now, later) = (times[0].min(times[1]), times[0].max(times[1]));
        prop_assert!(known.age(now) <= known.age(later));
        prop_assert!(known.age(now) >= known.initial_age);
        prop_assert!(known.is_fresh(now) || !known.is_fresh(later));
        for time in times {
            prop_assert_eq!(known.is_fresh(time), known.ttl(time) > 0, "{:?}", known);
            prop_assert!(!known.is_fresh(time) || known.staleness(time).is_zero());
            // What it says of itself in Age is never less than what was said to us.
            let age = fields.get(header::AGE).and_then(|age| age.to_str().ok()?.parse().ok()).unwrap_or(0);
            prop_assert!(known.age(time) >= Duration::from_secs(age) + delay.min(received), "{:?}", known);
        }
    }

    #[test]
    fn what_time_has_taken_it_does_not_give_back(fields in response(), question in question(), wait in time(), received in time()) {
        let known = known(&fields, Duration::ZERO, received);
        let later = Question { now: question.now.saturating_add(wait), ..question.clone() };
        prop_assert!(worth(later.reuse(&known)) <= worth(question.reuse(&known)), "{:?} {:?}", known, question);
        let on_error = |now| policy::usable_on_error(&known, question.soft, &question.terms, now);
        prop_assert!(on_error(question.now) || !on_error(later.now), "{:?} {:?}", known, question);
        if question.reuse(&known) == Reuse::Fresh {
            prop_assert!(known.is_fresh(question.now) && !known.revalidate_always && !question.soft);
        }
        if known.never_stale && !known.is_fresh(question.now) {
            prop_assert_eq!(worth(question.reuse(&known)), 0, "{:?}", known);
            prop_assert!(!on_error(question.now), "{:?}", known);
        }
    }

    #[test]
    fn a_response_that_restricts_more_is_served_no_more(fields in response(), question in question(), received in time()) {
        let less = question.served(&fields, received);
        for line in ["no-store", "private", "no-cache", "PRIVATE=\"\"", "no-cache=\""] {
            let more = with_line(&fields, header::CACHE_CONTROL, line);
            let said = policy::response_directives(&more);
            prop_assert!(question.served(&more, received) <= less, "{}: {:?} {:?}", line, fields, question);
            let for_nobody = said.private || said.no_store && !said.must_understand;
            prop_assert!(!for_nobody || question.stored(&more).is_none(), "{}: {:?}", line, fields);
        }
        // What says that it is stale may be kept, and served as far as a site allows it, but never as fresh.
        for line in ["max-age=0", "s-maxage=0", "must-revalidate", "proxy-revalidate"] {
            let more = with_line(&fields, header::CACHE_CONTROL, line);
            let fresh = question.served(&more, received) == 2;
            // RFC 9111 3.5: must-revalidate also says that credentials do not matter.
            let for_everyone = question.asked.authorization && line == "must-revalidate";
            prop_assert!(!fresh || less == 2 || for_everyone, "{}: {:?} {:?}", line, fields, question);
        }
        let known = known(&with_line(&fields, header::CACHE_CONTROL, "no-cache"), Duration::ZERO, received);
        prop_assert!(question.reuse(&known) != Reuse::Fresh && !policy::usable_on_error(&known, question.soft, &question.terms, question.now));
        let known = known_never_stale(&fields, received);
        prop_assert!(known.iter().all(|known| known.is_fresh(question.now) || question.reuse(known) != Reuse::StaleWhileRevalidate));
    }

    #[test]
    fn what_one_users_credentials_may_have_shaped_is_not_fresh_by_guess(question in question(), cookie in any::<bool>(), sets in any::<bool>(), received in time()) {
        let mut fields = HeaderMap::new();
        let modified = date::format(UNIX_EPOCH + Duration::from_secs(RECEIVED - 100_000));
        fields.insert(header::LAST_MODIFIED, HeaderValue::from_str(&modified).unwrap());
        let anyone = Asked::default();
        let now = received;
        let plain = Question { asked: anyone, request: RequestDirectives::default(), soft: false, now, ..question };
        prop_assert_eq!(plain.served(&fields, received), 2);
        let asked = match sets {
            true => anyone,
            false => Asked { cookie, authorization: !cookie, ..anyone },
        };
        if sets {
            fields.insert(header::SET_COOKIE, HeaderValue::from_static("a=b"));
        }
        let shaped = Question { asked, ..plain };
        for line in ["foo", "public", "must-revalidate", "proxy-revalidate", "no-cache", "immutable"] {
            let fields = with_line(&fields, header::CACHE_CONTROL, line);
            prop_assert!(shaped.served(&fields, received) < 2, "{}: {:?}", line, shaped);
        }
    }

    #[test]
    fn a_request_that_restricts_more_is_served_no_more(fields in response(), question in question(), received in time(), seconds in 0..40u64) {
        let known = known(&fields, Duration::ZERO, received);
        let served = |request| worth(Question { request, ..question.clone() }.reuse(&known));
        let less = question.request;
        let restricted = [
            RequestDirectives { no_cache: true, ..less },
            RequestDirectives { max_age: Some(less.max_age.map_or(seconds, |most| most.min(seconds))), ..less },
            RequestDirectives { min_fresh: Some(less.min_fresh.map_or(seconds, |least| least.max(seconds))), ..less },
            RequestDirectives { max_stale: None, ..less },
        ];
        for more in restricted {
            prop_assert!(served(more) <= served(less), "{:?} {:?} {:?}", known, question, more);
            if !question.terms.client_may_revalidate {
                prop_assert_eq!(served(more), served(less));
            }
        }
        // What is only in the cache is never fetched.
        let from_here = RequestDirectives { only_if_cached: true, ..less };
        let reuse = Question { request: from_here, ..question.clone() }.reuse(&known);
        prop_assert!(!matches!(reuse, Reuse::Revalidate(_)));
    }
}

/// What is known of a response that must never be served stale, said in each of the ways to say it.
fn known_never_stale(fields: &HeaderMap, received: Duration) -> Vec<Freshness> {
    let lines = ["must-revalidate", "proxy-revalidate", "s-maxage=30", "no-cache"];
    let known = lines.map(|line| {
        known(
            &with_line(fields, header::CACHE_CONTROL, line),
            Duration::ZERO,
            received,
        )
    });
    known.to_vec()
}

#[test]
fn the_questions_are_not_all_answered_alike() {
    let none: input::Lines = Vec::new();
    let request = input::with(&none, policy::request_directives);
    let question = |seconds| Question {
        asked: Asked::default(),
        request,
        terms: Terms::default(),
        soft: false,
        now: Duration::from_secs(seconds),
    };
    let fields = with_line(
        &HeaderMap::new(),
        header::CACHE_CONTROL,
        "max-age=20, stale-while-revalidate=10",
    );
    let served = [19, 20, 29, 30].map(|seconds| question(seconds).served(&fields, Duration::ZERO));
    assert_eq!(served, [2, 1, 1, 0]);
}
