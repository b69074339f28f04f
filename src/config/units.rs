//! Sizes and durations as people write them.

use std::time::Duration;

/// Parses a size such as `512MiB`, `10GB` or `65536`, into bytes.
pub fn parse_size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 9] = [
        ("TiB", 1 << 40),
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
        ("TB", 1_000_000_000_000),
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
        ("KB", 1_000),
        ("B", 1),
    ];
    let (number, unit) = UNITS
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))
        .unwrap_or((text, 1));
    whole(number)
        .and_then(|number| number.checked_mul(unit))
        .ok_or_else(|| format!("`{text}` is not a size; write a whole number and a unit, such as \"512MiB\" (B, KiB, MiB, GiB, TiB, KB, MB, GB, TB)"))
}

/// A hundred years: sums of some of these never overflow.
const LONGEST: Duration = Duration::from_secs(36_500 * 86_400);

/// A size as it may be written: in the largest binary unit of which it is a whole number.
pub fn write_size(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let unit = units
        .into_iter()
        .find(|(shift, _)| bytes > 0 && bytes.trailing_zeros() >= *shift);
    match unit {
        Some((shift, name)) => format!("{}{name}", bytes >> shift),
        None => format!("{bytes}B"),
    }
}

/// Parses a duration such as `500ms`, `10s`, `5m`, `2h` or `7d`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, u64); 5] = [
        ("ms", 1),
        ("s", 1_000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
    ];
    let duration = UNITS
        .iter()
        .find_map(|(name, unit)| whole(text.strip_suffix(name)?)?.checked_mul(*unit))
        .map(Duration::from_millis)
        .ok_or_else(|| {
            format!("`{text}` is not a duration; write a whole number and a unit, such as \"10s\" (ms, s, m, h, d)")
        })?;
    match duration > LONGEST {
        true => Err(format!(
            "`{text}` is longer than anything lasts here; at most \"36500d\""
        )),
        false => Ok(duration),
    }
}

fn whole(text: &str) -> Option<u64> {
    let text = text.trim_end();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_size("65536"), Ok(65_536));
        assert_eq!(parse_size("512MiB"), Ok(512 << 20));
        assert_eq!(parse_size("1 GB"), Ok(1_000_000_000));
        for bad in ["", "MiB", "-1", "1.5GiB", "12 parsecs", "99999999999TiB"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("2h"), Ok(Duration::from_secs(7200)));
        for bad in ["", "10", "s", "-5s", "1.5s", "9999999999999999d"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
