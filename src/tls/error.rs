//! What is wrong with a file, or with a key of `[tls]`.

use std::fmt;
use std::path::Path;

/// A fault, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError {
    /// The file, or the key of `[tls]`.
    pub file: String,
    /// What is wrong; the mend.
    pub what: String,
}

impl TlsError {
    pub(super) fn new(file: &Path, what: impl Into<String>) -> TlsError {
        TlsError {
            file: file.display().to_string(),
            what: what.into(),
        }
    }

    /// A fault that no file is to blame for.
    pub(super) fn of_key(key: &str, what: impl Into<String>) -> TlsError {
        TlsError {
            file: key.to_owned(),
            what: what.into(),
        }
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.file, self.what)
    }
}

impl std::error::Error for TlsError {}
