//! What a hit of 16 KiB costs: from memory, and from the device.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use verge::store::ssd::{Found, Settings};

use super::load::{MIB, mix, record, wanted};
use super::{forget_pages, open};

const OBJECTS: u64 = 20_000;
const LONG: Duration = Duration::from_secs(60);

pub fn measure(folder: &Path) {
    let ssd = open(folder, Settings::new(1024 * MIB)).expect("a store");
    let body = Bytes::from(vec![7; 16 * 1024]);
    for object in 0..OBJECTS {
        while ssd.put(record(object, body.clone(), 300)).is_err() {
            ssd.flush(LONG);
        }
    }
    assert!(ssd.flush(LONG));
    for _ in 0..2 {
        let begun = Instant::now();
        let found = (0..10 * OBJECTS).filter(|draw| {
            let found = ssd.try_read(&wanted(mix(*draw) % OBJECTS));
            matches!(found, Found::Record(_))
        });
        let found = found.count() as u64;
        let each = begun.elapsed().as_secs_f64() * 1e6 / (10 * OBJECTS) as f64;
        println!("  in memory: {each:.2} µs each, {found} of {}", 10 * OBJECTS);
    }
    forget_pages(folder);
    let (told, hears) = std::sync::mpsc::channel();
    let begun = Instant::now();
    let mut inline = 0;
    for draw in 0..4000 {
        match ssd.try_read(&wanted(mix(draw) % OBJECTS)) {
            Found::OnDevice => {
                let told = told.clone();
                assert!(ssd.read(wanted(mix(draw) % OBJECTS), move |found| _ = told.send(found)));
                assert!(matches!(hears.recv(), Ok(Found::Record(_))));
            }
            Found::Record(_) => inline += 1,
            other => panic!("{other:?}"),
        }
    }
    let each = begun.elapsed().as_secs_f64() * 1e6 / 4000.0;
    println!("  from the device, one at a time: {each:.0} µs each; {inline} of 4000 were in memory");
}
