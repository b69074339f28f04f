//! `verge store verify`: whether all that is in a cache folder is what was written.

use super::{Failure, Folder, line, unusable};
use crate::cli::stats::bytes;
use crate::store::ssd::inspect::{Damage, Verified};

pub(super) fn verify(folder: &Folder, out: &mut Vec<u8>) -> Result<(), Failure> {
    let mut told = |damage: &Damage| {
        let Damage { file, at, what } = damage;
        line(out, "damaged", &format!("{file} at {at}: {what}"));
    };
    let verified = folder.inspector.verify(&mut told);
    let verified = verified.map_err(|error| unusable(&folder.name, error))?;
    say(&verified, folder, out);
    match verified.damaged {
        0 => Ok(()),
        damaged => Err(format!(
            "{}: {damaged} damaged; the edge takes no byte of it and fetches anew: look at the disk",
            folder.name
        )),
    }
}

fn say(verified: &Verified, folder: &Folder, out: &mut Vec<u8>) {
    let Verified {
        segments,
        records,
        damaged,
        ..
    } = verified;
    line(out, "folder", &format!("{}, {}", folder.name, folder.use_of()));
    let read = bytes(verified.bytes as f64);
    line(
        out,
        "checked",
        &format!("{records} records in {segments} segments, {read}; damaged: {damaged}"),
    );
    if verified.unfinished > 0 {
        let text = format!(
            "the newest segment ends with {} bytes that are no whole record yet",
            verified.unfinished
        );
        line(out, "unfinished", &text);
    }
    if verified.given_up > 0 {
        let text = format!(
            "{} bytes were no record when their segment was sealed",
            verified.given_up
        );
        line(out, "given up", &text);
    }
}
