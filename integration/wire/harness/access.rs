//! An access log in a folder of its own.

use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

/// Where an edge's access log is.
pub struct Logged {
    folder: TempDir,
}

impl Logged {
    /// Nothing yet.
    pub fn new() -> Logged {
        Logged {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("access.log")
    }

    /// The line of a configuration that asks for it.
    pub fn configuration(&self) -> String {
        format!("log.access = {:?}\n", self.path())
    }

    /// The lines so far; for all of them, the server must be gone.
    pub fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path()).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines().map(str::to_owned).collect()
    }

    /// The same as JSON.
    pub fn values(&self) -> Vec<Value> {
        let parse = |line: &String| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.lines().iter().map(parse).collect()
    }

    /// The same, but of each line only these fields, in words; `-` for one that is not there.
    pub fn words(&self, fields: &str) -> Vec<String> {
        let word = |value: Option<&Value>| match value {
            None => "-".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        let words = |value: &Value| {
            fields
                .split(' ')
                .map(|field| word(value.get(field)))
                .collect::<Vec<_>>()
                .join(" ")
        };
        self.values().iter().map(words).collect()
    }
}
