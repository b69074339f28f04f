//! `verge store list`: what a cache folder is.

use serde_json::{Map, Value, json};

use super::{Failure, Folder, line, moment, unusable};
use crate::cli::stats::bytes;
use crate::purge::{Mode, Replay};
use crate::store::ssd::inspect::{Hint, Overview, Seen, Tally};

/// What the kinds of records are called, in the order of [`Overview::KINDS`].
const KINDS: [&str; 4] = ["heads", "indexes", "chunks", "tombstones"];

pub(super) fn list(folder: &Folder, as_json: bool, out: &mut Vec<u8>) -> Result<(), Failure> {
    let overview = folder.inspector.overview();
    let overview = overview.map_err(|error| unusable(&folder.name, error))?;
    match as_json {
        true => out.extend_from_slice(format!("{:#}\n", json_of(folder, &overview)).as_bytes()),
        false => text_of(folder, &overview, out),
    }
    Ok(())
}

fn text_of(folder: &Folder, overview: &Overview, out: &mut Vec<u8>) {
    let Overview {
        version, id, starts, ..
    } = overview;
    line(out, "folder", &format!("{}, {}", folder.name, folder.use_of()));
    line(
        out,
        "store",
        &format!("{id:032x}, version {version} of the format, starts: {starts}"),
    );
    line(out, "noted", &format!("{} at the latest", moment(overview.latest)));
    let taken = overview.segments.iter().map(|seen| seen.bytes).sum::<u64>();
    line(
        out,
        "size",
        &format!("{} of {}", bytes(taken as f64), bytes(overview.size as f64)),
    );
    for (name, tally) in KINDS.iter().zip(overview.records()) {
        line(out, name, &tally_text(tally));
    }
    line(out, "epochs", &epochs(overview));
    line(out, "purges", &purges_text(overview.purges.as_ref()));
    line(out, "checkpoint", hint(overview.checkpoint));
    for seen in &overview.segments {
        line(out, "segment", &segment_text(seen));
    }
}

fn tally_text(tally: Tally) -> String {
    format!("{}, {}", tally.count, bytes(tally.bytes as f64))
}

fn epochs(overview: &Overview) -> String {
    let reserved = overview.epochs_reserved;
    match overview.oldest_epoch() {
        Some(oldest) => format!("the oldest is {oldest}; given out up to {reserved} at most"),
        None => format!("no record has one; given out up to {reserved} at most"),
    }
}

fn purges_text(purges: Option<&Replay>) -> String {
    let Some(replay) = purges else {
        return "no journal is here; it is in the first folder of [cache] ssd".to_owned();
    };
    if let Some(why) = replay.damaged {
        return format!("{why}: everything that is stored counts as purged");
    }
    let [hard, soft] = [Mode::Hard, Mode::Soft].map(|mode| purges_of(replay, mode));
    format!("{hard} hard, {soft} soft; forgotten up to {}", replay.forgotten)
}

fn purges_of(replay: &Replay, mode: Mode) -> usize {
    replay.purges.iter().filter(|(_, _, of)| *of == mode).count()
}

fn hint(checkpoint: Hint) -> &'static str {
    match checkpoint {
        Hint::Missing => "missing",
        Hint::Right => "right",
        Hint::Damaged => "damaged",
    }
}

fn segment_text(seen: &Seen) -> String {
    let records: u64 = seen.records.iter().map(|tally| tally.count).sum();
    let begun = seen.begun.map_or("its header is damaged".to_owned(), |begun| {
        format!("begun {}", moment(begun))
    });
    let mut text = format!(
        "{}, {}, {}, records: {records}, {begun}",
        seen.file,
        state(seen),
        bytes(seen.bytes as f64)
    );
    if let Some(epoch) = seen.oldest_epoch {
        text += &format!(", from epoch {epoch} on");
    }
    if seen.passed_over > 0 {
        text += &format!(", {} bytes are no record", seen.passed_over);
    }
    text
}

fn state(seen: &Seen) -> &'static str {
    match seen.sealed {
        true => "sealed",
        false => "open",
    }
}

fn json_of(folder: &Folder, overview: &Overview) -> Value {
    json!({
        "format": overview.version,
        "store": format!("{:032x}", overview.id),
        "in_use": folder.in_use,
        "size_bytes": overview.size,
        "starts": overview.starts,
        "latest_milliseconds": overview.latest,
        "epochs_reserved": overview.epochs_reserved,
        "oldest_epoch": overview.oldest_epoch(),
        "records": tallies(&overview.records()),
        "purges": purges_json(overview.purges.as_ref()),
        "checkpoint": hint(overview.checkpoint),
        "segments": overview.segments.iter().map(segment_json).collect::<Vec<_>>(),
    })
}

fn tallies(tallies: &[Tally; 4]) -> Value {
    let of = |tally: &Tally| json!({ "count": tally.count, "bytes": tally.bytes });
    let each = KINDS.iter().zip(tallies);
    Value::Object(
        each.map(|(name, tally)| ((*name).to_owned(), of(tally)))
            .collect::<Map<_, _>>(),
    )
}

fn purges_json(purges: Option<&Replay>) -> Value {
    match purges {
        None => json!({ "journal": "missing" }),
        Some(replay) if replay.damaged.is_some() => json!({ "journal": "damaged" }),
        Some(replay) => json!({
            "journal": "right",
            "hard": purges_of(replay, Mode::Hard),
            "soft": purges_of(replay, Mode::Soft),
            "forgotten": replay.forgotten,
        }),
    }
}

fn segment_json(seen: &Seen) -> Value {
    json!({
        "file": seen.file,
        "state": state(seen),
        "bytes": seen.bytes,
        "begun_milliseconds": seen.begun,
        "records": tallies(&seen.records),
        "oldest_epoch": seen.oldest_epoch,
        "bytes_that_are_no_record": seen.passed_over,
    })
}
