//! Comma-separated field values (RFC 9110 5.6.1).

use memchr::memchr2;

/// The members of one field line in order, empty ones included, without the whitespace around them.
///
/// A comma inside a quoted string does not split. A quote that is never closed is taken as an ordinary character, so that
/// nothing after it goes unseen.
pub fn parts(value: &[u8]) -> Parts<'_> {
    Parts {
        rest: Some(value),
        quotes: true,
    }
}

/// As [`parts`], without the empty members, which recipients ignore (RFC 9110 5.6.1.2).
pub fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    parts(value).filter(|member| !member.is_empty())
}

/// See [`parts`].
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    rest: Option<&'a [u8]>,
    quotes: bool,
}

impl Parts<'_> {
    /// Whether every quote seen so far was closed.
    pub fn balanced(&self) -> bool {
        self.quotes
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let mut at = 0;
        while let Some(found) = memchr2(b',', b'"', &rest[at..]) {
            let here = at + found;
            if rest[here] == b',' {
                self.rest = Some(&rest[here + 1..]);
                return Some(trim(&rest[..here]));
            }
            at = here + 1;
            // A quote within a word (`6" screen`) opens nothing.
            let opens = here == 0 || !rest[here - 1].is_ascii_alphanumeric();
            if opens && self.quotes {
                match quoted_length(&rest[here..]) {
                    Some(length) => at = here + length,
                    // Looked for once: a value is read in linear time whatever it holds.
                    None => self.quotes = false,
                }
            }
        }
        self.rest = None;
        Some(trim(rest))
    }
}

/// The length of the quoted string that `value` begins with, quotes included (RFC 9110 5.6.4).
pub fn quoted_length(value: &[u8]) -> Option<usize> {
    if value.first() != Some(&b'"') {
        return None;
    }
    let mut at = 1;
    while let Some(found) = memchr2(b'"', b'\\', value.get(at..)?) {
        at += found;
        if value[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
    None
}

/// `value` without spaces and tabs at its ends (OWS, RFC 9110 5.6.3).
pub fn trim(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let Some(first) = value.iter().position(|byte| !blank(byte)) else {
        return &[];
    };
    let last = value.iter().rposition(|byte| !blank(byte));
    &value[first..last.map_or(first, |last| last + 1)]
}

/// A non-negative decimal number of any length, saturating; nothing but digits is accepted.
pub fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0u64, |sum, digit| {
        sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
    }))
}

/// Whether `byte` may stand in a token (RFC 9110 5.6.2).
pub fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(value: &[u8]) -> Vec<&[u8]> {
        parts(value).collect()
    }

    #[test]
    fn splits_outside_quotes_only() {
        assert_eq!(split(br#"a="x, \", y" ,b"#), [&br#"a="x, \", y""#[..], b"b"]);
        assert_eq!(split(br#"a="x, b"#), [&br#"a="x"#[..], b"b"]);
        assert_eq!(split(br#"6" a, 7" b"#), [&br#"6" a"#[..], br#"7" b"#]);
        assert_eq!(split(b",,"), [&b""[..]; 3]);
        assert_eq!(split(b"\"\\"), [&b"\"\\"[..]]);
    }

    #[test]
    fn long_hostile_values_take_linear_time() {
        let hostile = br#" "\"#.repeat(200_000);
        assert_eq!(split(&hostile).len(), 1);
    }
}
