//! Configurations and the errors they give: `integration/golden/*.txt`, the input above a line of dashes, below it what
//! `verge check` prints of it.

use std::fs;
use std::path::Path;

const LINE: &str = "\n----\n";

#[test]
fn golden() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/golden");
    let mut cases: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    assert!(cases.len() >= 12, "{} has {} cases only", folder.display(), cases.len());
    let wrong: Vec<String> = cases.iter().filter_map(|case| difference(case)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn difference(case: &Path) -> Option<String> {
    let text = fs::read_to_string(case).expect("a case is text");
    let name = case.file_name().unwrap_or_default().to_string_lossy();
    let (input, expected) = text
        .split_once(LINE)
        .unwrap_or_else(|| panic!("{name} has no line of four dashes"));
    let got = match verge::config::load("edge.toml", input) {
        Ok(_) => "valid\n".to_owned(),
        Err(errors) => errors.iter().map(|error| format!("{error}\n")).collect(),
    };
    (got != expected).then(|| format!("{name}: expected\n{expected}got\n{got}"))
}
