//! What is on the device changes behind everyone's back: never a wrong byte, never a panic, and what is found is counted.

use super::super::checkpoint::Checkpoint;
use super::super::format::SEGMENT_HEADER;
use super::super::segments::file_name;
use super::super::{Part, Settings};
use super::rig::{Rig, record, settings, version_of};
use crate::device::{Device, Faulty, mix};

const KEYS: u64 = 200;

/// A store with sealed segments, one that is not, and a checkpoint half way.
fn stored() -> (Faulty, Settings) {
    let settings = settings(4096, 256);
    let mut rig = Rig::new(1, &settings);
    for key in 0..KEYS {
        let length = if key % 20 == 0 { 100_000 } else { 3000 };
        rig.engine.put(record(key, 1, length)).unwrap();
        if key == KEYS / 2 {
            rig.sync();
            assert!(rig.checkpoint());
        }
    }
    rig.sync();
    (rig.device.kill(), settings)
}

/// Restarts with what the rot left, and reads everything. Gives how many were found, and how much was seen to be damaged.
fn read_all(device: &Faulty, settings: &Settings) -> (u64, u64) {
    let Ok(mut rig) = Rig::open(device, settings) else {
        return (0, 1);
    };
    rig.recover();
    let mut found = 0;
    for key in 0..KEYS {
        for part in [Part::Nothing, Part::Range(1000..70_000), Part::Whole] {
            if let Some(record) = rig.read(key, part) {
                assert_eq!(version_of(key, &record), Some(1), "key {key}");
                found += 1;
            }
        }
    }
    (found / 3, rig.engine.counts.damaged.get())
}

fn spoil(device: &Faulty, random: u64) {
    let names: Vec<_> = device.names().into_iter().filter(|name| name != "lock").collect();
    let name = &names[mix(random) as usize % names.len()];
    let at = mix(random ^ 1);
    device.rot(name, |bytes| {
        let length = bytes.len() as u64;
        if length > 0 {
            bytes[(at % length) as usize] ^= 1 << (at >> 60 & 7);
        }
    });
}

#[test]
fn no_flipped_bit_ever_leaves() {
    let (device, settings) = stored();
    assert_eq!(read_all(&device.kill(), &settings), (KEYS, 0), "nothing is wrong yet");
    let mut seen = 0;
    for round in 0..100 {
        let spoiled = device.kill();
        (0..100).for_each(|flip| spoil(&spoiled, round * 100 + flip));
        let (found, damaged) = read_all(&spoiled, &settings);
        seen += u64::from(found < KEYS && damaged > 0);
    }
    assert_eq!(seen, 100, "a hundred flips are always noticed");
}

#[test]
fn no_byte_of_a_record_can_change_unnoticed() {
    let settings = settings(2048, 256);
    let mut rig = Rig::new(1, &settings);
    rig.engine.put(record(1, 1, 50)).unwrap();
    rig.sync();
    rig.seal();
    let device = rig.device.kill();
    let segment = device
        .names()
        .into_iter()
        .find(|name| name.starts_with("segment"))
        .unwrap();
    let head = record(1, 1, 50).head();
    let length = head.before_body() + head.body;
    for at in 0..length {
        let spoiled = device.kill();
        spoiled.rot(&segment, |bytes| bytes[SEGMENT_HEADER as usize + at] ^= 1 << (at % 8));
        let spoiled = rig.restart(&spoiled);
        assert_eq!(spoiled.read(1, Part::Whole), None, "byte {at}");
        assert_eq!(spoiled.engine.counts.damaged.get(), 1, "byte {at}");
    }
}

#[test]
fn a_single_flip_costs_one_record_at_most() {
    let (device, settings) = stored();
    for flip in 0..150 {
        let spoiled = device.kill();
        let name = spoiled
            .names()
            .into_iter()
            .find(|name| name.starts_with("segment"))
            .unwrap();
        spoiled.rot(&name, |bytes| {
            let at = mix(flip) as usize % bytes.len();
            bytes[at] ^= 0x40;
        });
        let (found, _) = read_all(&spoiled, &settings);
        assert!(found + 1 >= KEYS, "flip {flip}: {found}");
    }
}

/// Something that happens to a whole file.
type Mishap = (&'static str, fn(&mut Vec<u8>, u64));

const MISHAPS: [Mishap; 5] = [
    ("truncated", |bytes, random| {
        bytes.truncate(random as usize % (bytes.len() + 1));
    }),
    ("zeroed", |bytes, random| {
        let from = random as usize % (bytes.len() + 1);
        bytes[from..].fill(0);
    }),
    ("emptied", |bytes, _| bytes.clear()),
    ("grown", |bytes, random| {
        bytes.extend((0..5000).map(|at| mix(random ^ at) as u8))
    }),
    ("shifted", |bytes, random| {
        let by = random as usize % 300;
        bytes.splice(0..0, vec![0; by]);
    }),
];

#[test]
fn files_that_are_not_what_they_were_cost_what_is_in_them() {
    let (device, settings) = stored();
    let names = device.names();
    for (what, mishap) in MISHAPS {
        for (number, name) in names.iter().enumerate() {
            let spoiled = device.kill();
            spoiled.rot(name, |bytes| mishap(bytes, mix(number as u64)));
            let (found, _) = read_all(&spoiled, &settings);
            let lives = name.starts_with("segment") || name == "checkpoint" || name == "lock";
            assert!(found > KEYS / 3 || !lives, "{name} {what}: {found}");
        }
    }
}

#[test]
fn segments_that_changed_places_give_nothing() {
    let (device, settings) = stored();
    let segments: Vec<_> = device
        .names()
        .into_iter()
        .filter(|name| name.starts_with("segment"))
        .collect();
    for pair in segments.windows(2) {
        let swapped = device.kill();
        let mut first = Vec::new();
        swapped.rot(&pair[0], |bytes| first = bytes.clone());
        swapped.rot(&pair[1], |bytes| std::mem::swap(bytes, &mut first));
        swapped.rot(&pair[0], |bytes| *bytes = first);
        let (found, damaged) = read_all(&swapped, &settings);
        assert!(found < KEYS && damaged > 0, "{pair:?}");
    }
}

#[test]
fn the_number_of_a_lost_segment_is_not_used_again() {
    let (device, settings) = stored();
    let segments = |device: &Faulty| -> Vec<_> {
        let names = device.names().into_iter();
        names.filter(|name| name.starts_with("segment")).collect()
    };
    let last = segments(&device).pop().unwrap();
    segments(&device).iter().for_each(|name| device.remove(name).unwrap());
    let mut rig = Rig::open(&device, &settings).unwrap();
    rig.recover();
    rig.engine.put(record(1, 2, 3000)).unwrap();
    rig.sync();
    let noted = Checkpoint::open(&device, rig.engine.id, rig.engine.seed)
        .unwrap()
        .position
        .segment;
    assert!(segments(&device)[0] > file_name(noted) && last >= file_name(noted));
    let again = rig.restart(&device.kill());
    assert_eq!((again.version(1), again.version(2)), (Some(2), None));
}
