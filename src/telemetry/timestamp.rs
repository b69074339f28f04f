//! Points in time, as logs write them; in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

/// The last second that has a four-digit year; later ones are written as this one.
const LAST_SECOND: u64 = 253_402_300_799;

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// Appends `time` as RFC 3339 has it, with milliseconds: `2026-11-22T04:51:00.123Z`.
pub fn rfc3339(out: &mut Vec<u8>, time: SystemTime) {
    let (seconds, millis) = since_1970(time);
    rfc3339_seconds(out, seconds);
    out.extend_from_slice(&rfc3339_end(millis));
}

/// Whole seconds since 1970, and the milliseconds beyond.
pub fn since_1970(time: SystemTime) -> (u64, u32) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs(), since.subsec_millis())
}

/// Appends what comes before the fraction: `2026-11-22T04:51:00`.
pub fn rfc3339_seconds(out: &mut Vec<u8>, seconds: u64) {
    let seconds = seconds.min(LAST_SECOND);
    let Civil { year, month, day } = civil(seconds);
    digits(out, year, 4);
    out.push(b'-');
    digits(out, month, 2);
    out.push(b'-');
    digits(out, day, 2);
    out.push(b'T');
    time_of_day(out, seconds);
}

/// The fraction and the zone: `.123Z`.
pub fn rfc3339_end(millis: u32) -> [u8; 5] {
    let digit = |place: u32| b'0' + (millis / place % 10) as u8;
    [b'.', digit(100), digit(10), digit(1), b'Z']
}

/// Appends the time as the combined log format has it: `22/Nov/2026:04:51:00 +0000`.
pub fn common(out: &mut Vec<u8>, seconds: u64) {
    let seconds = seconds.min(LAST_SECOND);
    let Civil { year, month, day } = civil(seconds);
    digits(out, day, 2);
    out.push(b'/');
    out.extend_from_slice(MONTHS[month as usize - 1]);
    out.push(b'/');
    digits(out, year, 4);
    out.push(b':');
    time_of_day(out, seconds);
    out.extend_from_slice(b" +0000");
}

fn time_of_day(out: &mut Vec<u8>, seconds: u64) {
    digits(out, seconds / 3_600 % 24, 2);
    out.push(b':');
    digits(out, seconds / 60 % 60, 2);
    out.push(b':');
    digits(out, seconds % 60, 2);
}

fn digits(out: &mut Vec<u8>, number: u64, width: u32) {
    for place in (0..width).rev() {
        out.push(b'0' + (number / 10_u64.pow(place) % 10) as u8);
    }
}

/// A day of the Gregorian calendar; month and day begin with 1.
struct Civil {
    year: u64,
    month: u64,
    day: u64,
}

/// The day of this second. Years are counted from March, so that a leap day is the last of its year, in eras of 400 years,
/// which all have the same length.
fn civil(seconds: u64) -> Civil {
    const ERA: u64 = 146_097;
    let days = seconds / 86_400 + 719_468;
    let of_era = days % ERA;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    Civil {
        year: days / ERA * 400 + year_of_era + u64::from(month <= 2),
        month,
        day: of_year - (153 * from_march + 2) / 5 + 1,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn shown(millis: u64) -> String {
        let mut out = Vec::new();
        rfc3339(&mut out, UNIX_EPOCH + Duration::from_millis(millis));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn known_times() {
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_001, "2000-03-01T00:00:00.001Z"),
            (1_709_251_199_012, "2024-02-29T23:59:59.012Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (LAST_SECOND * 1_000 + 5_000, "9999-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(shown(millis), expected);
        }
        let mut out = Vec::new();
        common(&mut out, 971_186_136);
        assert_eq!(out, b"10/Oct/2000:13:55:36 +0000");
    }

    /// Held against the crate that formats HTTP dates.
    #[test]
    fn all_days() {
        for day in 0..4_000 {
            let time = UNIX_EPOCH + Duration::from_secs(day * 86_400 * 7 + 3_600);
            let expected = httpdate::fmt_http_date(time);
            let words: Vec<&str> = expected.split(' ').collect();
            let mut out = Vec::new();
            common(&mut out, since_1970(time).0);
            let ours = String::from_utf8(out).unwrap();
            assert_eq!(
                ours,
                format!("{}/{}/{}:{} +0000", words[1], words[2], words[3], words[4])
            );
        }
    }
}
