//! Reading a configuration's file and those that it includes.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use toml::de::DeTable;

use super::Glob;
use super::file::File;
use super::report::{At, Place, Report};
use super::table::{Key, Reader, Table, read_root};

/// Bytes that a file may have.
const LARGEST: u64 = 16 << 20;

/// All that the files say.
pub(super) struct Contents {
    pub(super) file: File,
    /// The files read, and the folders in which some were looked for.
    pub(super) paths: Vec<PathBuf>,
}

/// Reads the file at `path` and those that it includes. `None` where one cannot be read at all.
pub(super) fn read(path: &Path, report: &mut Report) -> Option<Contents> {
    let name = path.display().to_string();
    let text = match text_of(path) {
        Ok(text) => text,
        Err(error) => {
            report.add(name, Rc::from(""));
            report.wrong(None, format!("it cannot be read: {error}"));
            return None;
        }
    };
    let mut file = parse(name, &text, report)?;
    let mut reading = Reading {
        folder: path.parent().unwrap_or(Path::new("")),
        paths: vec![path.to_owned()],
        seen: HashSet::from([identity(path)]),
        report,
    };
    let mut whole = true;
    let include = std::mem::take(&mut file.include);
    for pattern in include.value().into_iter().flatten() {
        for path in reading.matching(pattern) {
            match reading.included(&path, pattern.place) {
                Some(included) => file.merge_keys(included, reading.report),
                None => whole = false,
            }
        }
    }
    let paths = reading.paths;
    whole.then_some(Contents { file, paths })
}

/// Reads a text that came from no file, and so can include none.
pub(super) fn read_text(name: &str, text: &str, report: &mut Report) -> Option<Contents> {
    let file = parse(name.to_owned(), text, report)?;
    if let Some(include) = file.include.get() {
        report.wrong(include.place, "only a file can include others");
    }
    Some(Contents {
        file,
        paths: Vec::new(),
    })
}

/// Errors of syntax are reported alone: what such a file says otherwise would be guessed.
fn parse(name: String, text: &str, report: &mut Report) -> Option<File> {
    let file = report.add(name, text.into());
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let span = error.span().unwrap_or_default();
        let what = match (error.message(), text.get(span.clone())) {
            ("duplicate key", Some(key)) => format!("`{key}` is given twice; keep one of the two"),
            (message, _) if message.starts_with("string values must be quoted") => "put this in quotes".to_owned(),
            (message, _) => message.replace('\n', " "),
        };
        let offset = span.start;
        report.wrong(Place { file, offset }, what);
    }
    errors
        .is_empty()
        .then(|| read_root(&root, &mut Reader { report, file }))
}

struct Reading<'a> {
    /// That of the file which includes.
    folder: &'a Path,
    paths: Vec<PathBuf>,
    seen: HashSet<PathBuf>,
    report: &'a mut Report,
}

impl Reading<'_> {
    /// The files that a pattern means and that were not read yet, by name.
    fn matching(&mut self, pattern: &At<String>) -> Vec<PathBuf> {
        let path = self.folder.join(&pattern.value);
        let last = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let folder = path.parent().unwrap_or(Path::new(""));
        if folder.to_string_lossy().contains('*') {
            let what = format!("`{}`: `*` may stand in the last part of a path only", pattern.value);
            self.report.wrong(pattern.place, what);
            return Vec::new();
        }
        if !last.contains('*') {
            let new = self.seen.insert(identity(&path));
            return Vec::from_iter(new.then_some(path));
        }
        let mut paths = files_like(folder, &Glob::new(last));
        if paths.is_empty() {
            let what = format!("`{}` matches no file", pattern.value);
            self.report.warn(pattern.place, what);
        }
        self.paths.push(here(folder));
        paths.retain(|path| self.seen.insert(identity(path)));
        paths
    }

    /// Reads a file that is included.
    fn included(&mut self, path: &Path, place: Place) -> Option<File> {
        let text = text_of(path).map_err(|error| {
            let what = format!("`{}` cannot be read: {error}", path.display());
            self.report.wrong(place, what);
        });
        let mut file = parse(path.display().to_string(), &text.ok()?, self.report)?;
        self.paths.push(path.to_owned());
        if let Key::Is(include) = std::mem::take(&mut file.include) {
            let what = "an included file includes no others; name them in the file that includes this one";
            self.report.wrong(include.place, what);
        }
        Some(file)
    }
}

/// The files in a folder whose names match, sorted. As in a shell, `*` does not mean a dot at the beginning.
fn files_like(folder: &Path, pattern: &Glob) -> Vec<PathBuf> {
    let hidden_too = pattern.as_str().starts_with('.');
    let entries = fs::read_dir(here(folder)).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.file_name())
        .filter_map(|name| name.into_string().ok())
        .filter(|name| pattern.matches(name) && (hidden_too || !name.starts_with('.')))
        .map(|name| folder.join(name))
        .filter(|path| path.is_file())
        .collect();
    paths.sort();
    paths
}

/// A folder as the system wants it: the one we are in has a name.
fn here(folder: &Path) -> PathBuf {
    match folder.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => folder.to_owned(),
    }
}

/// The same for all names of one file.
fn identity(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn text_of(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(LARGEST + 1).read_to_string(&mut text)?;
    match text.len() as u64 > LARGEST {
        true => Err(io::Error::other("it is larger than 16 MiB")),
        false => Ok(text),
    }
}
