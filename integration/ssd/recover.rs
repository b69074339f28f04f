//! How long a start takes after a kill -9, with many entries.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use verge::store::ssd::{Found, Part, Refused, Settings, Ssd};

use super::load::{MIB, mix, record, wanted};
use super::{forget_pages, open};

const LONG: Duration = Duration::from_secs(600);
const BODY: usize = 400;

fn settings(entries: u64) -> Settings {
    let mut settings = Settings::new(entries * 1024 + 1024 * MIB);
    settings.segment = Some(64 * MIB);
    settings.entries = Some(entries);
    settings
}

/// Stores so many records, and is killed once they are on the device.
pub fn fill_and_die(folder: &Path, entries: u64) -> ! {
    let ssd = open(folder, settings(entries)).expect("a store");
    assert!(ssd.wait_until_recovered(LONG));
    let body = Bytes::from(vec![7; BODY]);
    for object in 0..entries {
        let record = record(object, body.clone(), 100);
        while ssd.put(record.clone()) == Err(Refused::Busy) {
            ssd.flush(LONG);
        }
    }
    assert!(ssd.flush(LONG));
    std::process::abort();
}

pub fn measure(folder: &Path) {
    for millions in [1, 3, 10] {
        let entries = millions * 1_000_000;
        let program = std::env::current_exe().expect("this program");
        let begun = Instant::now();
        let _ = Command::new(program)
            .arg(folder)
            .args(["fill", &entries.to_string()])
            .output();
        println!("  {millions} million, stored in {:.1} s", begun.elapsed().as_secs_f64());
        start(folder, entries, "killed, pages in memory");
        start(folder, entries, "ended, checkpoint, pages in memory");
        forget_pages(folder);
        start(folder, entries, "ended, checkpoint, no pages in memory");
        forget_pages(folder);
        let _ = std::fs::remove_file(folder.join("checkpoint"));
        start(folder, entries, "no checkpoint, no pages in memory");
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// Starts, and says how long it took until the store could be used and until it was recovered.
pub fn start(folder: &Path, entries: u64, how: &str) {
    let (begun, before) = (Instant::now(), processor_seconds());
    let ssd = open(folder, settings(entries)).expect("a store");
    let ready = begun.elapsed();
    assert!(ssd.wait_until_recovered(LONG));
    let (recovered, processor) = (begun.elapsed(), processor_seconds() - before);
    let stats = ssd.stats();
    let found = found(&ssd, entries);
    println!(
        "    {how}: ready {:.3} s, recovered {:.2} s ({processor:.2} s of processor), by checkpoint {}; {} entries of {:.2} bytes; {found:.3} % found",
        ready.as_secs_f64(),
        recovered.as_secs_f64(),
        stats.recovered.by_checkpoint,
        stats.entries,
        stats.index_bytes as f64 / stats.entries.max(1) as f64,
    );
}

/// Processor time that this process has had: on a busy machine the fairer measure.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks = after_name
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

/// Of a sample, how many are found.
fn found(ssd: &Ssd, entries: u64) -> f64 {
    const SAMPLE: u64 = 20_000;
    let (told, hears) = std::sync::mpsc::channel();
    let mut found = 0;
    for draw in 0..SAMPLE {
        let mut wanted = wanted(mix(draw) % entries);
        wanted.body = Part::Nothing;
        match ssd.try_read(&wanted) {
            Found::Record(_) => found += 1,
            Found::OnDevice => {
                let told = told.clone();
                assert!(ssd.read(wanted, move |found| _ = told.send(found)));
                let read = hears.recv().expect("it is told");
                found += u64::from(matches!(read, Found::Record(_)));
            }
            Found::Absent | Found::NotYet => {}
        }
    }
    found as f64 / SAMPLE as f64 * 100.0
}
