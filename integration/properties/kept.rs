//! The laws, on what fuzzing has kept.

use std::path::PathBuf;

use crate::input::Input;
use crate::laws;

#[test]
fn what_fuzzing_kept() {
    each("cache_control", |bytes| laws::cache_control::hold(&Input::read(bytes)));
    each("conditions", |bytes| laws::conditions::hold(&Input::read(bytes)));
    each("date", laws::date::hold);
    each("hops", |bytes| laws::hops::hold(&Input::read(bytes)));
    each("range", |bytes| laws::range::hold(&Input::read(bytes)));
    each("structured", |bytes| laws::structured::hold(&Input::read(bytes)));
    each("vary", |bytes| laws::vary::hold(&Input::read(bytes)));
}

/// Every file of the target's corpus; there must be some.
fn each(target: &str, hold: impl Fn(&[u8])) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("integration/fuzz/corpus")
        .join(target);
    let files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in files {
        // What a failure prints is what was printed last.
        println!("{}", file.display());
        hold(&std::fs::read(&file).unwrap());
    }
}
