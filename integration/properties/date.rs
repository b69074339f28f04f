//! Dates are read as they are written, in each of the three forms and in any case.

use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;
use verge::policy::date::{format, parse};

use crate::spelling::spelling;
use crate::{config, laws};

const DAYS: [&str; 7] = [
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
/// 9999-12-31 23:59:59
const LAST_SECOND: u64 = 253_402_300_799;
/// 2069-12-31 23:59:59, the last that two digits of a year can say.
const LAST_SHORT: u64 = 3_155_759_999;

/// Year, month from 0, and day of month, so many days after 1970-01-01: counted year by year, and month by month.
fn calendar(mut days: u64) -> (u64, usize, u64) {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    (year, month, days + 1)
}

/// IMF-fixdate, RFC 850's form and asctime's (RFC 9110 5.6.7).
fn forms(seconds: u64) -> [String; 3] {
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = calendar(days);
    let (name, month) = (DAYS[(days % 7) as usize], MONTHS[month]);
    let (short, time) = (
        &name[..3],
        format!("{:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60),
    );
    [
        format!("{short}, {day:02} {month} {year:04} {time} GMT"),
        format!("{name}, {day:02}-{month}-{:02} {time} GMT", year % 100),
        format!("{short} {month} {day:2} {time} {year:04}"),
    ]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_time_is_read_as_it_was_written(seconds in prop_oneof![0..=LAST_SECOND, any::<u64>().prop_map(|seconds| seconds >> 1)]) {
        laws::date::written(seconds);
    }

    #[test]
    fn each_form_in_any_case(seconds in prop_oneof![0..=LAST_SECOND, 0..=LAST_SHORT], mut spelling in spelling(), blank in "[ \t]{0,50}", other in "[\n\r\x0b\x0c\u{85}\u{a0}]") {
        let time = UNIX_EPOCH + Duration::from_secs(seconds);
        let [imf, rfc850, asctime] = forms(seconds);
        prop_assert_eq!(&format(time), &imf);
        for text in [&imf, &asctime] {
            let text = format!("{blank}{}{blank}", spelling.case(text));
            prop_assert_eq!(parse(text.as_bytes()), Some(time), "{}", text);
            for text in [format!("{other}{text}"), format!("{text}{other}")] {
                prop_assert_eq!(parse(text.as_bytes()), None, "{:?}", text);
            }
        }
        if seconds <= LAST_SHORT {
            let text = spelling.case(&rfc850);
            prop_assert_eq!(parse(text.as_bytes()), Some(time), "{}", text);
        }
    }

    #[test]
    fn what_is_cut_or_goes_on_is_no_date(seconds in 0..=LAST_SECOND, cut in 1..29usize, more in "[!-~]{1,6}") {
        for text in forms(seconds) {
            prop_assert_eq!(parse(&text.as_bytes()[..text.len().saturating_sub(cut)]), None);
            let longer = text.clone() + &more;
            prop_assert_eq!(parse(longer.as_bytes()), None, "{}", longer);
        }
    }

    #[test]
    fn what_is_not_kept_apart_is_no_date(seconds in 0..=LAST_SHORT, at in any::<prop::sample::Index>(), other in "[!-+./:;-@_~]", mut spelling in spelling()) {
        for text in forms(seconds) {
            let marks: Vec<usize> = text.char_indices().filter(|(_, mark)| !mark.is_alphanumeric()).map(|(at, _)| at).collect();
            let at = marks[at.index(marks.len())];
            let mut damaged = spelling.case(&text);
            damaged.replace_range(at..=at, &other);
            if damaged.as_bytes()[at] != text.as_bytes()[at] {
                prop_assert_eq!(parse(damaged.as_bytes()), None, "{}", damaged);
            }
        }
    }
}
