//! HTTP dates (RFC 9110 5.6.7).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::list;

/// The last second that has a four-digit year: 9999-12-31 23:59:59, in seconds since 1970.
const LAST_SECOND: u64 = 253_402_300_799;

/// Reads an HTTP date in any of its three forms; anything that is not exactly one of them, but for the spaces and tabs around it, is
/// none.
///
/// Case does not count (RFC 9111 4.2), nor does a day of the week that is not the date's: it says nothing that the rest does
/// not. Two-digit years from 70 on are in the twentieth century. Dates before 1970 are not read.
pub fn parse(text: &[u8]) -> Option<SystemTime> {
    let text = std::str::from_utf8(list::trim(text)).ok()?;
    // The crate takes whitespace of any kind and length around a date.
    let is_bare = text.len() <= LONGEST && text.trim().len() == text.len();
    let read = |text| parse_exactly(text).or_else(|| parse_liberally(text));
    is_bare.then(|| read(text)).flatten()
}

/// One of the three forms, letter by letter.
fn parse_exactly(text: &str) -> Option<SystemTime> {
    // The crate takes any byte for the space before the time of day in RFC 850's form.
    let before_time = text.find(':')?.checked_sub("x08".len())?;
    let has_space = text.as_bytes()[before_time] == b' ';
    httpdate::parse_http_date(text).ok().filter(|_| has_space)
}

/// The longest form there is.
const LONGEST: usize = "Wednesday, 06-Nov-94 08:49:37 GMT".len();

const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

fn parse_liberally(text: &str) -> Option<SystemTime> {
    let text = text.to_ascii_lowercase();
    let day = text.find(|byte: char| !byte.is_ascii_alphabetic())?;
    let is_named = |name: &str| text[..day].eq_ignore_ascii_case(name);
    let is_short = DAYS.iter().any(|name| is_named(&name[..3]));
    if !is_short && !DAYS.iter().any(|name| is_named(name)) {
        return None;
    }
    let rest = cased(&text[day..]);
    DAYS.iter().find_map(|name| {
        let name = if is_short { &name[..3] } else { name };
        parse_exactly(&format!("{name}{rest}"))
    })
}

/// Months with a capital letter, and the zone in capitals.
fn cased(text: &str) -> String {
    let mut before = ' ';
    let cased = text.chars().map(|letter| {
        let first = !before.is_ascii_alphabetic();
        before = letter;
        if first { letter.to_ascii_uppercase() } else { letter }
    });
    let cased: String = cased.collect();
    match cased.strip_suffix(" Gmt") {
        Some(rest) => format!("{rest} GMT"),
        None => cased,
    }
}

/// Writes `time` in the form that is sent (IMF-fixdate), brought into the years 1970 to 9999.
pub fn format(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds.min(LAST_SECOND)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_three_forms_and_nothing_else() {
        let expected = Some(UNIX_EPOCH + Duration::from_secs(784_111_777));
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "SUN, 06 nov 1994 08:49:37 gMT",
            "sunday, 06-NOV-94 08:49:37 Gmt",
            "sun nov  6 08:49:37 1994",
            // Whitespace around a value is no part of it.
            " \t \t \t \t \tsun, 06 nov 1994 08:49:37 gmt\t",
            // It was a Sunday.
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Monday, 06-Nov-94 08:49:37 GMT",
            "Thu Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse(text.as_bytes()), expected, "{text}");
        }
        for text in [
            "",
            "0",
            "-1",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Son, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06-Nov-94 08:49:37 GMT",
            "\u{c}Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT\n",
            "Sun, 06 Nov 1994 08:49:37 GMT\u{a0}",
            "Sunday, 06-Nov-94x08:49:37 GMT",
            "sunday, 06-nov-94:08:49:37 gmt",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun 06 Nov 1994 08:49:37 GMT",
            "Sun, 06  Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Sun, 06 Nov 1994 08.49.37 GMT",
            "Sun, 06 Nov 1994 08:49:37 EST",
            "Sun, 06 Nov 1994 08:49:37 GMT GMT",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 25:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GM\u{e9}",
            "Thu, 01 Jan 0000 00:00:00 GMT",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse(b"Sun, 06 Nov 1994 08:49:37 \xff\xff\xff"), None);
    }

    #[test]
    fn any_bytes_and_any_time_are_safe() {
        let date = b"Sun, 06 Nov 1994 08:49:37 GMT";
        for at in 0..date.len() {
            for byte in 0..=255 {
                let mut changed = date.to_vec();
                changed[at] = byte;
                let _ = parse(&changed);
                let _ = parse(&changed[at..]);
                let _ = parse(&changed[..at]);
            }
        }
        assert_eq!(
            format(UNIX_EPOCH - Duration::from_secs(9)),
            "Thu, 01 Jan 1970 00:00:00 GMT"
        );
        let far = UNIX_EPOCH + Duration::from_secs(LAST_SECOND + 1000);
        assert_eq!(format(far), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
