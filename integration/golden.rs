//! Configurations and what `verge check` prints of them: `integration/golden/*.txt`, the input above a line of dashes, the
//! output below. A case of several files has `---- file: NAME` above each but the first, which is `edge.toml`. With
//! `VERGE_GOLDEN=write` in the environment what is printed now is written there.

use std::fs;
use std::path::Path;

use verge::config::{self, Config, ConfigError};

const LINE: &str = "\n----\n";
const FILE: &str = "\n---- file: ";

/// Cases that must be errors, at least.
const INVALID: usize = 60;

#[test]
fn golden() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/golden");
    let mut cases: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    let wrong: Vec<String> = cases.iter().filter_map(|case| difference(case)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let invalid = cases.iter().filter(|case| {
        let text = fs::read_to_string(case).unwrap();
        !text.ends_with("\nvalid\n")
    });
    let invalid = invalid.count();
    assert!(invalid >= INVALID, "{} has {invalid} errors only", folder.display());
}

fn difference(case: &Path) -> Option<String> {
    let text = fs::read_to_string(case).expect("a case is text");
    let name = case.file_name().unwrap_or_default().to_string_lossy();
    let (input, expected) = text
        .split_once(LINE)
        .unwrap_or_else(|| panic!("{name} has no line of four dashes"));
    let got = printed(input);
    if std::env::var("VERGE_GOLDEN").is_ok_and(|what| what == "write") {
        fs::write(case, format!("{input}{LINE}{got}")).expect("a case can be written");
        return None;
    }
    (got != expected).then(|| format!("{name}: expected\n{expected}got\n{got}"))
}

fn printed(input: &str) -> String {
    match read(input) {
        Ok(config) => {
            let warnings = config.warnings.iter().map(|warning| format!("warning: {warning}\n"));
            warnings.chain(["valid\n".to_owned()]).collect()
        }
        Err(errors) => errors.iter().map(|error| format!("{error}\n")).collect(),
    }
}

/// Reads a case; in what is said of it, its files are where they are in the case.
fn read(input: &str) -> Result<Config, Vec<ConfigError>> {
    let mut files = input.split(FILE);
    let main = files.next().unwrap_or_default();
    let others: Vec<_> = files.map(|file| file.split_once('\n').unwrap_or((file, ""))).collect();
    if others.is_empty() {
        return config::load("edge.toml", main);
    }
    let folder = tempfile::tempdir().expect("there is room for a folder");
    for (name, text) in others.into_iter().chain([("edge.toml", main)]) {
        let path = folder.path().join(name);
        let within = path.parent().map_or(Ok(()), fs::create_dir_all);
        within
            .and_then(|()| fs::write(path, format!("{text}\n")))
            .expect("a file can be written");
    }
    let here = format!("{}/", folder.path().display());
    let shorten = |error: ConfigError| ConfigError {
        file: error.file.replace(&here, ""),
        what: error.what.replace(&here, ""),
        ..error
    };
    match config::read(&folder.path().join("edge.toml")) {
        Ok(config) => Ok(Config {
            warnings: config.warnings.into_iter().map(shorten).collect(),
            ..config
        }),
        Err(errors) => Err(errors.into_iter().map(shorten).collect()),
    }
}

/// No beginning of a configuration, nor one with a piece cut out, is more than an error.
#[test]
fn nothing_panics() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/golden");
    for case in fs::read_dir(&folder).unwrap() {
        let text = fs::read_to_string(case.unwrap().path()).unwrap();
        let ends = text.char_indices().map(|(at, _)| at).step_by(11);
        for end in ends {
            let rest = text.char_indices().map(|(at, _)| at).find(|at| *at >= end + 7);
            let _ = config::load("edge.toml", &text[..end]);
            let _ = config::load(
                "edge.toml",
                &[&text[..end], &text[rest.unwrap_or(text.len())..]].concat(),
            );
        }
    }
}
