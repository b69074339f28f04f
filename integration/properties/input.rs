//! Any bytes, read as the field lines of requests and responses, so that what was kept of fuzzing can be read by people.
//!
//! A line each: `> Name: value` of a request, `>> Name: value` of another one, `< Name: value` of a response, `<< Name: value` of
//! a `304` to it, `= 1000` a number. The tables of `integration/policy` are written the same way. All else says nothing.

use http::{HeaderMap, HeaderName, HeaderValue};
use verge::policy::{Field, RequestFields};

/// More lines than this are not looked at; a transport takes no more either.
const LINES_MAX: usize = 200;

/// The field lines of a request: names and values.
pub type Lines<'a> = Vec<(&'a [u8], &'a [u8])>;

/// What an input says.
#[derive(Debug, Default)]
pub struct Input<'a> {
    /// A request.
    pub request: Lines<'a>,
    /// Another request.
    pub other: Lines<'a>,
    /// A response.
    pub response: HeaderMap,
    /// A `304` to the request for it.
    pub update: HeaderMap,
    /// The numbers, in their order.
    pub numbers: Vec<u64>,
}

impl<'a> Input<'a> {
    /// Reads any bytes.
    pub fn read(bytes: &'a [u8]) -> Input<'a> {
        let mut input = Input::default();
        for line in bytes.split(|byte| *byte == b'\n').take(LINES_MAX) {
            input.take(line);
        }
        input
    }

    fn take(&mut self, line: &'a [u8]) {
        let Some(space) = line.iter().position(|byte| *byte == b' ') else {
            return;
        };
        let (mark, rest) = (&line[..space], &line[space + 1..]);
        match mark {
            b">" => self.request.extend(field_line(rest)),
            b">>" => self.other.extend(field_line(rest)),
            b"<" => append(&mut self.response, rest),
            b"<<" => append(&mut self.update, rest),
            b"=" => self.numbers.extend(number(rest)),
            _ => {}
        }
    }

    /// The first number, or this one.
    pub fn number_or(&self, default: u64) -> u64 {
        self.numbers.first().copied().unwrap_or(default)
    }
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// RFC 9112 5.1: a value comes without the whitespace around it.
fn field_line(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let value = line[colon + 1..].trim_ascii();
    HeaderName::from_bytes(&line[..colon]).ok()?;
    HeaderValue::from_bytes(value).ok()?;
    Some((&line[..colon], value))
}

fn append(fields: &mut HeaderMap, line: &[u8]) {
    let Some((name, value)) = field_line(line) else {
        return;
    };
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
        fields.append(name, value);
    }
}

/// Lends lines as a request's fields.
pub fn with<T>(lines: &[(&[u8], &[u8])], then: impl FnOnce(&RequestFields) -> T) -> T {
    let lines = lines.iter().map(|&(name, value)| Field { name, value });
    let lines: Vec<Field> = lines.collect();
    then(&RequestFields::new(&lines))
}

/// The values of the lines of this name, in order.
pub fn values<'a>(lines: &[(&[u8], &'a [u8])], name: &str) -> Vec<&'a [u8]> {
    let named = lines
        .iter()
        .filter(|(line, _)| line.eq_ignore_ascii_case(name.as_bytes()));
    named.map(|(_, value)| *value).collect()
}

/// The lines without those of this name.
pub fn without<'a>(lines: &[(&'a [u8], &'a [u8])], name: &str) -> Lines<'a> {
    let others = lines
        .iter()
        .filter(|(line, _)| !line.eq_ignore_ascii_case(name.as_bytes()));
    others.copied().collect()
}

/// Whether every quote in the value is closed, so that what follows in another line is read by itself.
pub fn is_balanced(value: &[u8]) -> bool {
    let mut parts = verge::policy::list::parts(value);
    parts.by_ref().for_each(drop);
    parts.balanced()
}
