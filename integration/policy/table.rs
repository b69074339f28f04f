//! Reads tables of cases.
//!
//! A case is one line, `column | column | … => expected ## RFC section`. A column is
//! - `> Name: value`, a field line of the request;
//! - `< Name: value`, a field line of the (stored) response;
//! - `<< Name: value`, a field line of a `304` to it;
//! - else words, each a flag or `name=value`, that the table explains.
//!
//! `\xHH` in a value is that byte. Empty lines and those that begin with `#` are not cases. Expected text is compared as it is.

use std::collections::HashSet;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use verge::policy::{Field, RequestFields};

/// One line of a table.
#[derive(Default)]
pub struct Case {
    words: Vec<String>,
    /// Field lines of the request: names and values.
    pub request: Vec<(Vec<u8>, Vec<u8>)>,
    /// Field lines of the response.
    pub response: HeaderMap,
    /// Field lines of a `304`.
    pub update: HeaderMap,
    expected: String,
}

impl Case {
    /// Whether the flag is there.
    pub fn has(&self, flag: &str) -> bool {
        self.words.iter().any(|word| word == flag)
    }

    fn value(&self, name: &str) -> Option<&str> {
        let values = self.words.iter().filter_map(|word| word.split_once('='));
        values.filter(|(word, _)| *word == name).map(|(_, value)| value).next()
    }

    /// The whole number that `name` is given.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.value(name).map(|value| value.parse().unwrap())
    }

    /// The time that `name` is given, in seconds.
    pub fn time(&self, name: &str) -> Option<Duration> {
        let value = self.value(name)?;
        Some(Duration::from_secs_f64(value.parse().unwrap()))
    }

    /// Whether the expected text gives `name` a value.
    pub fn expects(&self, name: &str) -> bool {
        let mut words = self.expected.split(' ').filter_map(|word| word.split_once('='));
        words.any(|(word, _)| word == name)
    }

    /// Lends the request's fields.
    pub fn with_request<T>(&self, then: impl FnOnce(&RequestFields) -> T) -> T {
        let lines = self.request.iter().map(|(name, value)| Field { name, value });
        let lines: Vec<Field> = lines.collect();
        then(&RequestFields::new(&lines))
    }

    fn parse(line: &str, known: &[&str]) -> Result<Case, String> {
        let (line, section) = line.rsplit_once(" ## ").ok_or("no `##`")?;
        if !section.contains("RFC ") {
            return Err("no RFC section".to_owned());
        }
        let (input, expected) = line.rsplit_once(" => ").ok_or("no `=>`")?;
        let mut case = Case {
            expected: expected.trim().to_owned(),
            ..Case::default()
        };
        for column in input.split(" | ").map(str::trim) {
            case.column(column, known)?;
        }
        Ok(case)
    }

    fn column(&mut self, column: &str, known: &[&str]) -> Result<(), String> {
        if let Some(line) = column.strip_prefix("> ") {
            let (name, value) = field_line(line)?;
            self.request.push((name.into_bytes(), value));
        } else if let Some(line) = column.strip_prefix("<< ") {
            append(&mut self.update, line)?;
        } else if let Some(line) = column.strip_prefix("< ") {
            append(&mut self.response, line)?;
        } else {
            for word in column.split_whitespace().filter(|word| *word != "-") {
                let name = word.split('=').next().unwrap_or_default();
                if !known.contains(&name) {
                    return Err(format!("unknown word `{word}`"));
                }
                self.words.push(word.to_owned());
            }
        }
        Ok(())
    }
}

fn field_line(line: &str) -> Result<(String, Vec<u8>), String> {
    let (name, value) = line.split_once(':').ok_or("a field line without colon")?;
    Ok((name.to_owned(), unescape(value.trim())))
}

fn unescape(text: &str) -> Vec<u8> {
    let mut pieces = text.split("\\x");
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        bytes.push(u8::from_str_radix(&piece[..2], 16).unwrap());
        bytes.extend_from_slice(&piece.as_bytes()[2..]);
    }
    bytes
}

fn append(fields: &mut HeaderMap, line: &str) -> Result<(), String> {
    let (name, value) = field_line(line)?;
    let name = HeaderName::try_from(name).map_err(|error| error.to_string())?;
    let value = HeaderValue::from_bytes(&value).map_err(|error| error.to_string())?;
    fields.append(name, value);
    Ok(())
}

/// Checks every case of `integration/policy/{table}.txt`: `outcome` makes the text that is compared with what is expected;
/// `known` are the words that its columns may use. Fails with all lines that are wrong, or if there are none at all.
pub fn run(table: &str, known: &[&str], outcome: impl Fn(&Case) -> String) {
    let file = format!("integration/policy/{table}.txt");
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(&file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut cases, mut failures, mut seen) = (0, String::new(), HashSet::new());
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        cases += 1;
        let fault = match Case::parse(line, known) {
            Err(fault) => Some(fault),
            Ok(_) if !seen.insert(line) => Some("the same case again".to_owned()),
            Ok(case) => difference(&case, outcome(&case)),
        };
        if let Some(fault) = fault {
            let _ = write!(failures, "\n{file}:{}: {fault}\n    {line}", at + 1);
        }
    }
    assert!(cases > 0, "{file} has no cases");
    assert!(failures.is_empty(), "{failures}");
}

fn difference(case: &Case, found: String) -> Option<String> {
    (case.expected != found).then(|| format!("expected `{}`, found `{found}`", case.expected))
}

/// As in the tables: whatever is not printable ASCII as `\xHH`.
pub fn shown(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        match byte {
            0x20..=0x7e => text.push(char::from(*byte)),
            _ => write!(text, "\\x{byte:02x}").unwrap(),
        }
        text
    })
}

/// The words that are there, or `-`.
pub fn words<const N: usize>(words: [Option<String>; N]) -> String {
    let words: Vec<String> = words.into_iter().flatten().collect();
    match words.is_empty() {
        true => "-".to_owned(),
        false => words.join(" "),
    }
}

/// `name=value`.
pub fn seconds(name: &str, value: Option<u64>) -> Option<String> {
    value.map(|value| format!("{name}={value}"))
}

/// `name`.
pub fn flag(name: &str, on: bool) -> Option<String> {
    on.then(|| name.to_owned())
}
