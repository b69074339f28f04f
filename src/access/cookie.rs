//! Cookies (RFC 6265 5.4) as they carry tokens.

use super::Reason;
use crate::policy::fields::{Known, RequestFields};

/// The cookies of one field value: name, value, and the part that both stand in.
pub(super) fn pairs(value: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    value.split(|byte| *byte == b';').map(|pair| {
        let pair = pair.trim_ascii();
        match memchr::memchr(b'=', pair) {
            Some(at) => (pair[..at].trim_ascii(), pair[at + 1..].trim_ascii()),
            None => (pair, &b""[..]),
        }
    })
}

/// The value of the cookie of this name; an error if there are two, or if it is not ASCII.
pub(super) fn find<'a>(fields: &RequestFields<'a>, name: &str) -> Result<Option<&'a str>, Reason> {
    let mut values = fields.all(Known::Cookie).flat_map(pairs);
    let mut named = values.by_ref().filter(|(other, _)| *other == name.as_bytes());
    let Some((_, value)) = named.next() else {
        return Ok(None);
    };
    if named.next().is_some() {
        return Err(Reason::Twice);
    }
    let text = std::str::from_utf8(value).ok().filter(|text| text.is_ascii());
    text.map(Some).ok_or(Reason::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::fields::Field;

    #[test]
    fn finding() {
        for (values, found) in [
            (&["a=1; b=2"][..], Ok(Some("2"))),
            (&["a=1", "b=x=y"], Ok(Some("x=y"))),
            (&["bb=1"], Ok(None)),
            (&[], Ok(None)),
            (&["b=1; b=1"], Err(Reason::Twice)),
            (&["b=1", "b=2"], Err(Reason::Twice)),
            (&["b=\u{e9}"], Err(Reason::Malformed)),
            (&["B=1;b"], Ok(Some(""))),
        ] {
            let lines: Vec<_> = values
                .iter()
                .map(|value| Field {
                    name: b"Cookie",
                    value: value.as_bytes(),
                })
                .collect();
            assert_eq!(find(&RequestFields::new(&lines), "b"), found, "{values:?}");
        }
    }
}
