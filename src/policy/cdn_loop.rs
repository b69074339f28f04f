//! Requests that come back to the CDN that forwarded them (RFC 8586).

use super::fields::{Known, RequestFields};
use super::list;

/// Members of `CDN-Loop` beyond which a request goes in circles, whoever they are.
const MOST: usize = 32;

/// Whether a request has passed the edge called `id` already.
pub fn has_passed(fields: &RequestFields, id: &str) -> bool {
    if !fields.has(Known::CdnLoop) {
        return false;
    }
    let mut passed = 0;
    fields.all(Known::CdnLoop).flat_map(list::members).any(|member| {
        passed += 1;
        // RFC 8586 2: what follows a semicolon are parameters.
        let end = member.iter().position(|byte| *byte == b';');
        let name = list::trim(&member[..end.unwrap_or(member.len())]);
        passed > MOST || name.eq_ignore_ascii_case(id.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::fields::Field;

    fn passed(lines: &[&str]) -> bool {
        let lines: Vec<Field> = lines
            .iter()
            .map(|value| Field {
                name: b"CDN-Loop",
                value: value.as_bytes(),
            })
            .collect();
        has_passed(&RequestFields::new(&lines), "verge-1")
    }

    #[test]
    fn only_ones_own_name_is_a_loop() {
        for (lines, expected) in [
            (&[][..], false),
            (&["verge-2, other.example"], false),
            (&["other.example; a=\"verge-1\""], false),
            (&["xverge-1"], false),
            (&["verge-1"], true),
            (&["other.example", "a, VERGE-1 ;x=y"], true),
            (&["a,,verge-1"], true),
        ] {
            assert_eq!(passed(lines), expected, "{lines:?}");
        }
        assert!(!passed(&[&["a"; MOST].join(",")]));
        assert!(passed(&[&["a"; MOST + 1].join(",")]));
    }
}
