//! How long it takes until what is stored is on the device, without anybody asking for it.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use verge::store::ssd::Settings;

use super::load::{MIB, mix, record};
use super::open;

const RECORDS: u64 = 40;

pub fn measure(folder: &Path) {
    let ssd = open(folder, Settings::new(1024 * MIB)).expect("a store");
    let body = Bytes::from(vec![7; 16 * 1024]);
    let one = |object| {
        std::thread::park_timeout(Duration::from_millis(mix(object) % 300));
        let begun = Instant::now();
        let ticket = ssd.put(record(object, body.clone(), 300)).expect("it is taken");
        while !ssd.is_on_device(ticket) {
            std::thread::park_timeout(Duration::from_millis(2));
        }
        begun.elapsed()
    };
    let mut took: Vec<Duration> = (0..RECORDS).map(one).collect();
    took.sort();
    let longest = took.last().copied().unwrap_or_default();
    println!(
        "  median {:.0?}, longest {longest:.0?} of {RECORDS}",
        took[took.len() / 2]
    );
}
