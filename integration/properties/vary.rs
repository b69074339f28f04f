//! Preferences select the same variant however they are written, and another one if they weigh otherwise.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderValue, header};
use proptest::prelude::*;
use verge::policy::vary::{ContentOf, Vary, VarySpec, vary};

use crate::laws::vary::selected;
use crate::spelling::{Spelling, spelling};
use crate::{config, input};

const NAMES: [&str; 2] = ["accept-encoding", "accept-language"];

/// Names, and weights in thousandths.
type Preferences = BTreeMap<String, u16>;

fn preferences() -> impl Strategy<Value = Preferences> {
    let weight = prop_oneof![Just(1000), Just(500), Just(0), 0..=1000u16];
    prop::collection::btree_map("[a-z][a-z-]{0,5}|\\*", weight, 0..8)
}

/// RFC 9110 12.4.2: a weight in one of its spellings.
fn weighed(spelling: &mut Spelling, (name, weight): (String, u16)) -> String {
    let name = spelling.case(&name);
    let value = match weight {
        1000 => spelling.one_of(&["", "1", "1.", "1.0", "1.000"]).to_owned(),
        _ => {
            let long = format!("0.{weight:03}");
            let short = long.trim_end_matches('0');
            [short, &long][spelling.choose(2)].to_owned()
        }
    };
    let separator = spelling.one_of(&[";q=", "; q=", " ;\tQ="]);
    match value.is_empty() {
        true => name,
        false => format!("{name}{separator}{value}"),
    }
}

fn lines(spelling: &mut Spelling, preferences: &Preferences) -> Vec<String> {
    let members = spelling.shuffled(preferences.clone().into_iter().collect());
    let members: Vec<String> = members.into_iter().map(|member| weighed(spelling, member)).collect();
    spelling.lines(&members)
}

fn spec(value: &str) -> VarySpec {
    let mut fields = HeaderMap::new();
    fields.insert(header::VARY, HeaderValue::from_str(value).unwrap());
    match vary(&fields) {
        Vary::Fields(spec) => spec,
        other => panic!("{value} is {other:?}"),
    }
}

fn stream(name: &str, lines: &[String]) -> Vec<u8> {
    let lines: input::Lines = lines.iter().map(|line| (name.as_bytes(), line.as_bytes())).collect();
    selected(&spec(name), &lines)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_same_preferences_in_any_spelling(preferences in preferences(), mut one in spelling(), mut other in spelling()) {
        for name in NAMES {
            let (one, other) = (lines(&mut one, &preferences), lines(&mut other, &preferences));
            prop_assert_eq!(stream(name, &one), stream(name, &other), "{:?}, {:?}", one, other);
        }
    }

    #[test]
    fn other_preferences_select_another(a in preferences(), b in preferences(), at in any::<prop::sample::Index>(), weight in 0..=1000u16, mut spelling in spelling()) {
        let mut changed = a.clone();
        if !a.is_empty() {
            let name = a.keys().nth(at.index(a.len())).unwrap();
            changed.insert(name.clone(), weight);
        }
        let mut fewer = a.clone();
        fewer.pop_last();
        for name in NAMES {
            let first = stream(name, &lines(&mut spelling, &a));
            for other in [&b, &changed, &fewer] {
                let written = lines(&mut spelling, other);
                prop_assert_eq!(stream(name, &written) == first, *other == a, "{:?}: {:?}", a, written);
            }
        }
    }

    #[test]
    fn names_in_any_spelling(names in prop::collection::btree_set("x-[a-z]{1,3}", 1..6), mut spelling in spelling()) {
        let sorted: Vec<String> = names.into_iter().collect();
        let twice = [&sorted[..], &sorted[..1]].concat();
        let members: Vec<String> = spelling.shuffled(twice).iter().map(|name| spelling.case(name)).collect();
        let mut fields = HeaderMap::new();
        for line in spelling.lines(&members) {
            fields.append(header::VARY, HeaderValue::from_str(&line).unwrap());
        }
        prop_assert_eq!(vary(&fields), Vary::Fields(spec(&sorted.join(","))), "{:?}", fields);
        fields.append(header::VARY, HeaderValue::from_static("x-a,\t*"));
        prop_assert_eq!(vary(&fields), Vary::Star);
    }

    #[test]
    fn the_best_of_all_is_what_weighs_most(preferences in preferences(), content in "[a-c][a-z]{0,1}", other in "[a-z]{1,3}", mut spelling in spelling()) {
        let mut preferences = preferences;
        let spec = spec("accept-language, x-a");
        let mut is_best = |preferences: &Preferences, stored: &str, asked: &str| {
            let values = selected(&spec, &vec![(b"x-a", stored.as_bytes()), (b"accept-language", b"de, fr")]);
            let written = lines(&mut spelling, preferences);
            let mut request: input::Lines = written.iter().map(|line| (&b"accept-language"[..], line.as_bytes())).collect();
            request.push((b"X-A", asked.as_bytes()));
            let is = ContentOf { language: Some(content.as_bytes()), coding: None };
            input::with(&request, |fields| spec.is_best(fields, &values, is))
        };
        preferences.values_mut().for_each(|weight| *weight = (*weight).min(998));
        preferences.insert(content.clone(), 999);
        prop_assert!(is_best(&preferences, "1", "1"));
        // All else that selects must be the same.
        prop_assert!(!is_best(&preferences, "1", "2"));
        // Whom something else is as good for, or better, does not get this.
        if other != content {
            preferences.insert(other.clone(), 999);
            prop_assert!(!is_best(&preferences, "1", "1"));
            preferences.insert(other.clone(), 1000);
            prop_assert!(!is_best(&preferences, "1", "1"));
            preferences.remove(&other);
        }
        preferences.values_mut().for_each(|weight| *weight = 0);
        prop_assert!(!is_best(&preferences, "1", "1"));
    }
}
