//! A trace is what was written as one; one wrong digit, and it is none.

use proptest::prelude::*;
use verge::policy::trace::{TRACEPARENT, TRACESTATE, state_is_valid, trace_id};

use crate::spelling::spelling;
use crate::{config, input};

fn id(value: &str) -> Option<Vec<u8>> {
    let lines = [(TRACEPARENT.as_bytes(), value.as_bytes())];
    input::with(&lines, |fields| trace_id(fields).map(<[u8]>::to_vec))
}

fn is_valid(lines: &[String]) -> bool {
    let lines: input::Lines = lines
        .iter()
        .map(|line| (TRACESTATE.as_bytes(), line.as_bytes()))
        .collect();
    input::with(&lines, state_is_valid)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn parents(trace in 1..=u128::MAX, parent in 1..=u64::MAX, flags in any::<u8>(), later in 1..255u8, at in 0..55usize, wrong in "[g-zA-Z :_]", more in "[!-~]{0,4}") {
        let value = format!("00-{trace:032x}-{parent:016x}-{flags:02x}");
        let expected = Some(format!("{trace:032x}").into_bytes());
        prop_assert_eq!(id(&value), expected.clone());
        let newer = format!("{later:02x}{}-{more}", &value[2..]);
        prop_assert_eq!(id(&newer), expected, "{}", newer);
        let mut damaged = value.clone();
        damaged.replace_range(at..=at, &wrong);
        for none in [damaged, value[..at].to_owned(), format!("{value}-{more}"), format!("ff{}", &value[2..])] {
            prop_assert_eq!(id(&none), None, "{}", none);
        }
    }

    #[test]
    fn states(members in prop::collection::vec(("[a-z][a-z0-9_*/-]{0,5}|[0-9a-z]{1,4}@[a-z][a-z0-9]{0,5}", "[ -+.-<>-~]{0,6}[!-+.-<>-~]"), 0..=32), mut spelling in spelling(), wrong in "[A-Z]=1|=1|a|a=|a==|a@b@c=1|@a=1") {
        let written: Vec<String> = members.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let lines = spelling.lines(&written);
        prop_assert!(is_valid(&lines), "{:?}", lines);
        let mut broken = written;
        broken.push(wrong);
        let broken = spelling.shuffled(broken);
        prop_assert!(!is_valid(&spelling.lines(&broken)), "{:?}", broken);
    }
}
