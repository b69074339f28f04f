//! Bytes written for a byte taken, while a store is full.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use verge::store::ssd::{Found, Refused, Settings, Stats};

use super::load::{MIB, Zipf, record, size_of, wanted};
use super::open;

const SIZE: u64 = 1024 * MIB;
const OBJECTS: u64 = 300_000;
const LONG: Duration = Duration::from_secs(60);

pub fn measure(folder: &Path) {
    let mut settings = Settings::new(SIZE);
    settings.segment = Some(8 * MIB);
    let ssd = open(folder, settings).expect("a store");
    let body = Bytes::from(vec![7; 256 * 1024]);
    let mut zipf = Zipf::new(OBJECTS, 0.9);
    let mut before = ssd.stats();
    let mut requests = 0u64;
    while ssd.stats().put_bytes < 6 * SIZE {
        if ssd.stats().put_bytes < 2 * SIZE {
            (before, requests) = (ssd.stats(), 0);
        }
        requests += 1;
        let object = zipf.next();
        if matches!(ssd.try_read(&wanted(object)), Found::Record(_)) {
            continue;
        }
        let record = record(object, body.slice(..size_of(object)), 300);
        while ssd.has(record.name, 0) || ssd.put(record.clone()) == Err(Refused::Busy) {
            if ssd.has(record.name, 0) {
                break;
            }
            ssd.flush(LONG);
        }
    }
    ssd.flush(LONG);
    report(&before, &ssd.stats(), requests);
}

fn report(before: &Stats, after: &Stats, requests: u64) {
    let of = |figure: fn(&Stats) -> u64| figure(after) - figure(before);
    let taken = of(|stats| stats.put_bytes);
    let written = of(|stats| stats.written_bytes);
    let hits = of(|stats| stats.hits);
    println!(
        "  taken {} MiB, written {} MiB: {:.3}",
        taken / MIB,
        written / MIB,
        written as f64 / taken as f64
    );
    println!(
        "  kept {} MiB, checkpoints {} MiB, segments given up {}",
        of(|stats| stats.reinserted_bytes) / MIB,
        of(|stats| stats.checkpoint_bytes) / MIB,
        of(|stats| stats.reclaimed)
    );
    println!(
        "  hits {:.2} % of {requests} requests",
        hits as f64 / requests as f64 * 100.0
    );
}
