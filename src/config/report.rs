//! What is wrong with a configuration, and where it stands.

use std::fmt;
use std::rc::Rc;

/// Something wrong in a configuration: where, what, and the mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file's name as given.
    pub file: String,
    /// Line and column, from 1; `None` where it is of the file as a whole.
    pub at: Option<(usize, usize)>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some((line, column)) => write!(f, "{}:{line}:{column}: {}", self.file, self.what),
            None => write!(f, "{}: {}", self.file, self.what),
        }
    }
}

/// Where something stands: in which of the files read, and how many bytes from its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) file: usize,
    pub(super) offset: usize,
}

/// A value and where it stands.
#[derive(Clone, Debug, Default)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// Errors and warnings as they are found.
#[derive(Debug, Default)]
pub(super) struct Report {
    files: Vec<Source>,
    errors: Vec<Remark>,
    warnings: Vec<Remark>,
}

#[derive(Debug)]
struct Source {
    name: String,
    text: Rc<str>,
}

/// Where, and what; those of the configuration as a whole come first.
type Remark = (Option<Place>, String);

impl Report {
    /// Adds a file that is read; [`Place::file`] is what this returns.
    pub(super) fn add(&mut self, name: String, text: Rc<str>) -> usize {
        self.files.push(Source { name, text });
        self.files.len() - 1
    }

    /// Notes what must be mended.
    pub(super) fn wrong(&mut self, place: impl Into<Option<Place>>, what: impl Into<String>) {
        self.errors.push((place.into(), what.into()));
    }

    /// Notes what is legal but probably not meant.
    pub(super) fn warn(&mut self, place: impl Into<Option<Place>>, what: impl Into<String>) {
        self.warnings.push((place.into(), what.into()));
    }

    /// Whether something must be mended.
    pub(super) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// `file:line:column` of a place.
    pub(super) fn position(&self, place: Place) -> String {
        let error = self.error((Some(place), String::new()));
        match error.at {
            Some((line, column)) => format!("{}:{line}:{column}", error.file),
            None => error.file,
        }
    }

    /// All errors, and all warnings: by file and position, each said once, however often it was found.
    pub(super) fn finish(mut self) -> (Vec<ConfigError>, Vec<ConfigError>) {
        let mut said = |remarks: fn(&mut Report) -> &mut Vec<Remark>| {
            let mut remarks = std::mem::take(remarks(&mut self));
            remarks.sort();
            remarks.dedup();
            remarks.into_iter().map(|remark| self.error(remark)).collect()
        };
        (said(|report| &mut report.errors), said(|report| &mut report.warnings))
    }

    fn error(&self, (place, what): Remark) -> ConfigError {
        let source = self.files.get(place.unwrap_or_default().file);
        ConfigError {
            file: source.map(|source| source.name.clone()).unwrap_or_default(),
            at: source.and_then(|source| Some(line_and_column(&source.text, place?.offset))),
            what: on_one_line(what),
        }
    }
}

/// Words of the file are quoted in what is said of them, and may be anything.
fn on_one_line(what: String) -> String {
    if !what.contains(char::is_control) {
        return what;
    }
    let shown = |letter: char| match letter.is_control() {
        true => letter.escape_default().to_string(),
        false => letter.to_string(),
    };
    what.chars().map(shown).collect()
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (
        memchr::memchr_iter(b'\n', before.as_bytes()).count() + 1,
        before[line_start..].chars().count() + 1,
    )
}
