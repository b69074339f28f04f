//! The trace that a request belongs to (W3C Trace Context, level 1). The edge starts none; it passes on what is valid.

use super::fields::RequestFields;

/// The field that names trace and parent.
pub const TRACEPARENT: &str = "traceparent";
/// The field with what each tracing system keeps.
pub const TRACESTATE: &str = "tracestate";

/// Members that a `tracestate` has at most (3.3.1.1).
const MAX_MEMBERS: usize = 32;

/// The trace's identity, 32 hexadecimal digits, if the request names one validly.
pub fn trace_id<'a>(fields: &RequestFields<'a>) -> Option<&'a [u8]> {
    let mut lines = fields.named(TRACEPARENT);
    let line = lines.next()?;
    // 3.2: a request has one parent.
    if lines.next().is_some() {
        return None;
    }
    parse(line)
}

/// Whether `tracestate` may be passed on beside a valid `traceparent` (3.3.1): several lines are one list.
pub fn state_is_valid(fields: &RequestFields<'_>) -> bool {
    let members = fields
        .named(TRACESTATE)
        .flat_map(|line| line.split(|byte| *byte == b','));
    let mut count = 0;
    for member in members.map(<[u8]>::trim_ascii).filter(|member| !member.is_empty()) {
        count += 1;
        if count > MAX_MEMBERS || !is_member(member) {
            return false;
        }
    }
    true
}

/// 3.2.2: version, trace, parent and flags; a version to come may have more behind them (4.3).
fn parse(value: &[u8]) -> Option<&[u8]> {
    let (known, more) = value.split_at_checked(55)?;
    let [a, b, b'-', rest @ ..] = known else { return None };
    let (trace, rest) = rest.split_at(32);
    let [b'-', rest @ ..] = rest else { return None };
    let (parent, rest) = rest.split_at(16);
    let [b'-', c, d] = rest else { return None };
    let version = [*a, *b];
    let valid = is_hex(&version)
        && is_hex(&[*c, *d])
        && version != *b"ff"
        && is_id(trace)
        && is_id(parent)
        && match more {
            [] => true,
            [first, ..] => version != *b"00" && *first == b'-',
        };
    valid.then_some(trace)
}

/// Lower case alone (3.2.2), and not only zeros (3.2.2.3, 3.2.2.4).
fn is_id(digits: &[u8]) -> bool {
    is_hex(digits) && digits.iter().any(|digit| *digit != b'0')
}

fn is_hex(digits: &[u8]) -> bool {
    digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// 3.3.1.3
fn is_member(member: &[u8]) -> bool {
    let Some(at) = member.iter().position(|byte| *byte == b'=') else {
        return false;
    };
    let (key, value) = (&member[..at], &member[at + 1..]);
    is_key(key)
        && (1..=256).contains(&value.len())
        && value.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'=')
}

/// 3.3.1.3.1: a name, or a tenant and a system with `@` between them.
fn is_key(key: &[u8]) -> bool {
    let is_part = |part: &[u8], first: fn(&u8) -> bool, longest: usize| {
        part.len() <= longest && part.first().is_some_and(first) && part.iter().all(is_key_byte)
    };
    match key.iter().position(|byte| *byte == b'@') {
        None => is_part(key, u8::is_ascii_lowercase, 256),
        Some(at) => {
            let (tenant, system) = (&key[..at], &key[at + 1..]);
            let begins = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            is_part(tenant, begins, 241) && is_part(system, u8::is_ascii_lowercase, 14)
        }
    }
}

fn is_key_byte(byte: &u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/')
}

#[cfg(test)]
mod tests {
    use super::super::fields::Field;
    use super::*;

    fn fields<'a>(name: &'a str, values: &[&'a str]) -> Vec<Field<'a>> {
        let field = |value: &&'a str| Field {
            name: name.as_bytes(),
            value: value.as_bytes(),
        };
        values.iter().map(field).collect()
    }

    #[test]
    fn parents() {
        const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
        for (value, valid) in [
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff", true),
            ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true),
            ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", true),
            ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.more", false),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-", false),
            ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false),
            ("0g-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false),
            ("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", false),
            ("00-00000000000000000000000000000000-b7ad6b7169203331-01", false),
            ("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x", false),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1", false),
            ("00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false),
            ("00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01", false),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331_01", false),
            ("", false),
        ] {
            let lines = fields("TraceParent", &[value]);
            let expected = valid.then_some(TRACE.as_bytes());
            assert_eq!(trace_id(&RequestFields::new(&lines)), expected, "{value}");
            let twice = fields("traceparent", &[value, value]);
            assert_eq!(trace_id(&RequestFields::new(&twice)), None);
        }
        assert_eq!(trace_id(&RequestFields::new(&[])), None);
    }

    #[test]
    fn states() {
        let long = format!("a={}", "v".repeat(256));
        let too_long = format!("a={}", "v".repeat(257));
        let many = vec!["a=1"; 32].join(",");
        for (values, valid) in [
            (&["congo=t61rcWkgMzE"][..], true),
            (&["a=1,b=2 3", "1tenant@sys=4"], true),
            (&["a=1, ,", ""], true),
            (&[&long, "a/b*c_d-e=1"], true),
            (&[&too_long], false),
            (&[&many], true),
            (&[&many, "b=1"], false),
            (&["A=1"], false),
            (&["1a=1"], false),
            (&["a@=1"], false),
            (&["a@b@c=1"], false),
            (&["a"], false),
            (&["a="], false),
            (&["a=b=c"], false),
            (&["a=\u{e9}"], false),
        ] {
            let lines = fields(TRACESTATE, values);
            assert_eq!(state_is_valid(&RequestFields::new(&lines)), valid, "{values:?}");
        }
    }
}
