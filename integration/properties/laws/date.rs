//! What holds of every date: it is read the same in any case, and as it is written.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use verge::policy::date::{format, parse};

/// 9999-12-31 23:59:59, in seconds since 1970.
const LAST_SECOND: u64 = 253_402_300_799;

/// Of any bytes as a date, and of their first eight as a time to write.
pub fn hold(bytes: &[u8]) {
    if let Some(time) = parse(bytes) {
        let seconds = time.duration_since(UNIX_EPOCH).expect("no date before 1970 is read");
        assert!(seconds.subsec_nanos() == 0 && seconds.as_secs() <= LAST_SECOND);
        assert_eq!(parse(format(time).as_bytes()), Some(time), "{}", bytes.escape_ascii());
        for other in [bytes.to_ascii_lowercase(), bytes.to_ascii_uppercase()] {
            assert_eq!(parse(&other), Some(time), "{}", other.escape_ascii());
        }
        says_its_parts(bytes, time);
    }
    if let Some(first) = bytes.first_chunk() {
        written(u64::from_le_bytes(*first) & (i64::MAX as u64));
        written(u64::from_le_bytes(*first) % (LAST_SECOND + 1));
    }
}

/// What is read has the second, minute and hour that the text has.
fn says_its_parts(bytes: &[u8], time: SystemTime) {
    let colon = bytes.iter().position(|byte| *byte == b':').expect("a time of day");
    assert_eq!(bytes[colon - 3], b' ', "{}", bytes.escape_ascii());
    let digits = |from: usize| u64::from(bytes[from] - b'0') * 10 + u64::from(bytes[from + 1] - b'0');
    let of_day = digits(colon - 2) * 3600 + digits(colon + 1) * 60 + digits(colon + 4);
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    assert_eq!(seconds % 86_400, of_day % 86_400, "{}", bytes.escape_ascii());
}

/// A time of so many seconds since 1970 is written as it is read.
pub fn written(seconds: u64) {
    let Some(time) = UNIX_EPOCH.checked_add(Duration::from_secs(seconds)) else {
        return;
    };
    let text = format(time);
    assert_eq!(text.len(), "Sun, 06 Nov 1994 08:49:37 GMT".len(), "{text}");
    let expected = UNIX_EPOCH + Duration::from_secs(seconds.min(LAST_SECOND));
    assert_eq!(parse(text.as_bytes()), Some(expected), "{text}");
}
