//! Secrets: where the file says they are, and a text that nobody prints.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;

/// Bytes that a secret may have.
const LONGEST: u64 = 64 * 1024;

/// A text that only those who must know it may see: `Debug` does not print it.
#[derive(Clone)]
pub struct SecretText(Arc<str>);

impl SecretText {
    /// The secret of this text.
    pub fn new(text: &str) -> Self {
        SecretText(text.into())
    }

    /// Whether `given` is this text. How long it takes tells of the text no more than its length.
    pub fn matches(&self, given: &[u8]) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), given).is_ok()
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(..)")
    }
}

/// Where a configuration says that a secret is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source<'a> {
    /// `env:NAME`: in a variable of the environment.
    Variable(&'a str),
    /// `file:PATH`: in a file.
    File(&'a str),
    /// In the configuration itself.
    Here,
}

impl<'a> Source<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        match text.split_once(':') {
            Some(("env", name)) => Source::Variable(name),
            Some(("file", path)) => Source::File(path),
            _ => Source::Here,
        }
    }
}

/// Reads what a configuration says of a secret: `env:NAME`, `file:PATH`, or the secret itself.
pub(super) fn read(text: &str) -> Result<SecretText, String> {
    let secret = match Source::of(text) {
        Source::Variable(name) => variable(name)?,
        Source::File(path) => file(path)?,
        Source::Here => text.to_owned(),
    };
    match secret.is_empty() {
        true => Err(empty(text)),
        false => Ok(SecretText::new(&secret)),
    }
}

fn empty(text: &str) -> String {
    match Source::of(text) {
        Source::Here => "the secret is empty; write \"env:NAME\" or \"file:PATH\"".to_owned(),
        Source::Variable(name) => format!("the variable `{name}` is empty; put the secret into it"),
        Source::File(path) => format!("the file `{path}` is empty; put the secret into it"),
    }
}

fn variable(name: &str) -> Result<String, String> {
    use std::env::VarError;
    let impossible = name.is_empty() || name.contains(['=', '\0']);
    let value = if impossible {
        Err(VarError::NotPresent)
    } else {
        std::env::var(name)
    };
    value.map_err(|error| match error {
        VarError::NotPresent => format!("there is no variable `{name}` in the environment; set it, or name another"),
        VarError::NotUnicode(_) => format!("the variable `{name}` is not UTF-8; put a text into it"),
    })
}

fn file(path: &str) -> Result<String, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot read the secret in `{path}`: {error}"))?;
    if bytes.len() as u64 > LONGEST {
        return Err(format!("the file `{path}` is too long for a secret; at most 64 KiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("the file `{path}` is not UTF-8; put a text into it"))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_prints_it() {
        let secret = SecretText::new("open sesame");
        assert!(!format!("{secret:?} {secret:#?}").contains("sesame"));
    }

    #[test]
    fn only_the_same_matches() {
        let secret = SecretText::new("open sesame");
        for (given, same) in [
            ("open sesame", true),
            ("open sesamE", false),
            ("open", false),
            ("", false),
        ] {
            assert_eq!(secret.matches(given.as_bytes()), same, "{given}");
        }
    }

    #[test]
    fn one_newline_at_a_files_end_is_not_the_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        for (content, secret) in [
            ("a", Some("a")),
            ("a\n", Some("a")),
            ("a\r\n", Some("a")),
            ("a\n\n", Some("a\n")),
            ("\n", None),
        ] {
            std::fs::write(&path, content).unwrap();
            let read = read(&format!("file:{}", path.display()));
            assert_eq!(read.ok().as_ref().map(SecretText::expose), secret, "{content:?}");
        }
    }

    #[test]
    fn what_is_no_secret_is_an_error() {
        for text in [
            "",
            "env:",
            "env:VERGE_NO_SUCH_VARIABLE",
            "env:a=b",
            "env:a\0b",
            "file:",
            "file:/",
            "file:/dev/zero",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
