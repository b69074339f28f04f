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
use super::table::{Key, Table, read_root};
use super::value::Reader;

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

/// Reads a text. Where its syntax is so wrong that what it says would be guessed, nothing else is said of it.
fn parse(name: String, text: &str, report: &mut Report) -> Option<File> {
    let file = report.add(name, text.into());
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut clear = true;
    for error in &errors {
        let span = error.span().unwrap_or_default();
        let what = match (error.message(), text.get(span.clone())) {
            ("duplicate key", Some(key)) => format!("`{key}` is given twice; keep one of the two"),
            (message, _) if message.starts_with("string values must be quoted") => "put this in quotes".to_owned(),
            (message, _) => {
                clear = false;
                message.replace('\n', " ")
            }
        };
        let offset = span.start;
        report.wrong(Place { file, offset }, what);
    }
    clear.then(|| read_root(&root, &mut Reader { report, file }))
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
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other("larger than 16 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("not UTF-8"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use crate::config;

    const SITE: &str = "[[sites]]\nhosts = [\"a\"]\norigin = \"app\"\npurge_token = \"file:FOLDER/token\"\n";
    const ORIGIN: &str = "[origins.app]\nservers = [\"http://127.0.0.1:3000\"]\n";

    #[test]
    fn a_configuration_knows_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let write = |name: &str, text: &str| {
            let text = text.replace("FOLDER", folder.to_str().unwrap());
            fs::write(folder.join(name), text).unwrap();
        };
        fs::create_dir(folder.join("sites")).unwrap();
        write("edge.toml", "include = [\"sites/*.toml\", \"origins.toml\"]\n");
        write("sites/a.toml", SITE);
        write("origins.toml", ORIGIN);
        write("token", "open-sesame-open-sesame\n");
        let config = config::read(&folder.join("edge.toml")).unwrap();
        let relative = |path: &Path| path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
        let mut files: Vec<String> = config.files.iter().map(|path| relative(path)).collect();
        files.sort();
        assert_eq!(files, ["edge.toml", "origins.toml", "sites", "sites/a.toml", "token"]);
        let token = config.sites.iter().next().unwrap().purge_token.as_ref().unwrap();
        assert!(token.matches(b"open-sesame-open-sesame"));
    }
}
