//! Configurations and the errors they give: `integration/golden/*.txt`, the input above a line of dashes, below it what
//! `verge check` prints of it. With `VERGE_GOLDEN=write` in the environment what it prints is written there.

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
    let got = printed(input);
    if std::env::var("VERGE_GOLDEN").is_ok_and(|what| what == "write") {
        fs::write(case, format!("{input}{LINE}{got}")).expect("a case can be written");
        return None;
    }
    (got != expected).then(|| format!("{name}: expected\n{expected}got\n{got}"))
}

fn printed(input: &str) -> String {
    match verge::config::load("edge.toml", input) {
        Ok(config) => {
            let warnings = config.warnings.iter().map(|warning| format!("warning: {warning}\n"));
            warnings.chain(["valid\n".to_owned()]).collect()
        }
        Err(errors) => errors.iter().map(|error| format!("{error}\n")).collect(),
    }
}
