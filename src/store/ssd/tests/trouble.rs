//! A device that does not do what is asked of it, and folders that are not what they should be.

use std::time::Duration;

use super::super::health::State;
use super::super::open::OpenError;
use super::super::reader::Via;
use super::super::{Found, Part, Refused, Wanted};
use super::rig::{KIB, Rig, record, settings, wanted};
use crate::device::{Device, Faults, Faulty};

fn open_error(device: &Faulty, size: u64) -> OpenError {
    Rig::open(device, &settings(size, 256)).err().expect("it is refused")
}

#[test]
fn a_folder_that_cannot_be_used_is_refused_with_what_would_help() {
    let device = Faulty::new(1);
    let rig = Rig::open(&device, &settings(2048, 256)).unwrap();
    assert!(matches!(open_error(&device, 2048), OpenError::Locked));
    let free = || rig.device.kill();
    let small = open_error(&free(), 512);
    assert!(
        matches!(small, OpenError::TooSmall { least } if least == 1024 * KIB),
        "{small}"
    );

    let other = free();
    other.rot("superblock", |bytes| {
        bytes.chunks_mut(4096).for_each(|copy| copy[16] = 2)
    });
    assert!(open_error(&other, 2048).to_string().contains("version 2"));
    let damaged = free();
    damaged.rot("superblock", |bytes| bytes.fill(1));
    assert!(open_error(&damaged, 2048).to_string().contains("empty the folder"));
    let dead = free();
    dead.set(Faults {
        power_fails_after: Some(0),
        ..Faults::default()
    });
    dead.remove("lock").unwrap_err();
    assert!(matches!(open_error(&dead, 2048), OpenError::Device { .. }));
}

#[test]
fn a_full_disk_keeps_what_fits() {
    let mut rig = Rig::new(1, &settings(4096, 256));
    rig.device.set(Faults {
        capacity: Some(1200 * KIB),
        ..Faults::default()
    });
    let mut read_only = 0;
    for key in 0..2000 {
        let taken = rig.engine.put(record(key, 1, 4000));
        read_only += u64::from(taken == Err(Refused::ReadOnly));
        rig.turn();
        rig.pass(Duration::from_millis(100));
    }
    rig.sync();
    assert!(read_only > 0, "it was full at times");
    let found = (0..2000).filter(|key| rig.version(*key).is_some()).count();
    assert!(found > 100, "{found} of about 250 that fit");
    assert!(rig.engine.segments.bytes() <= 1200 * KIB);
}

#[test]
fn what_is_stored_is_served_while_nothing_can_be_written() {
    let mut rig = Rig::new(1, &settings(4096, 256));
    (0..100).for_each(|key| _ = rig.engine.put(record(key, 1, 4000)));
    rig.sync();
    rig.device.set(Faults {
        read_only: true,
        ..Faults::default()
    });
    rig.engine.put(record(7, 2, 100)).unwrap();
    rig.engine.put(record(200, 1, 100)).unwrap();
    let removed = record(8, 0, 0);
    rig.engine.remove(removed.name, removed.part);
    rig.sync();
    assert!(matches!(rig.engine.health.state(), State::ReadOnly { why } if why.contains("read-only")));
    assert_eq!(rig.engine.put(record(9, 2, 100)), Err(Refused::ReadOnly));
    for (key, expected) in [(6, Some(1)), (7, None), (8, None), (9, None), (200, None)] {
        assert_eq!(rig.version(key), expected, "key {key}");
    }

    rig.device.set(Faults::default());
    rig.turn();
    assert!(!rig.engine.health.can_write(), "not tried again at once");
    rig.pass(Duration::from_secs(3));
    rig.sync();
    assert_eq!(rig.engine.health.state(), State::Healthy);
    rig.engine.put(record(9, 3, 100)).unwrap();
    rig.sync();
    let again = rig.restart(&rig.device.power_cut());
    assert_eq!(
        (again.version(8), again.version(9)),
        (None, Some(3)),
        "the removal was made up for"
    );
}

#[test]
fn a_device_whose_reads_fail_is_left_alone_until_they_do_not() {
    let mut rig = Rig::new(1, &settings(4096, 256));
    (0..50).for_each(|key| _ = rig.engine.put(record(key, 1, 4000)));
    rig.sync();
    rig.device.set(Faults {
        failing_reads: 100,
        ..Faults::default()
    });
    assert!((0..50).all(|key| rig.version(key).is_none()));
    assert!(matches!(rig.engine.health.state(), State::Failed { .. }));
    let errors = rig.engine.counts.device_errors.get();
    assert!(errors < 20, "not asked again and again: {errors}");
    rig.engine.try_reading();
    assert!(!rig.engine.health.can_read());
    rig.device.set(Faults::default());
    rig.engine.try_reading();
    assert!((0..50).all(|key| rig.version(key) == Some(1)));
}

#[test]
fn a_folder_that_has_gone_leaves_what_is_open() {
    let mut rig = Rig::new(1, &settings(4096, 256));
    (0..100).for_each(|key| _ = rig.engine.put(record(key, 1, 4000)));
    rig.sync();
    rig.device
        .names()
        .iter()
        .for_each(|name| rig.device.remove(name).unwrap());
    assert!((0..100).all(|key| rig.version(key) == Some(1)));
    (100..2000).for_each(|key| {
        let _ = rig.engine.put(record(key, 1, 4000));
        rig.turn();
    });
    assert_eq!(rig.version(1999), Some(1));
}

#[test]
fn a_smaller_size_costs_the_oldest() {
    let mut rig = Rig::new(1, &settings(4096, 256));
    (0..600).for_each(|key| _ = rig.engine.put(record(key, 1, 4000)));
    rig.sync();
    let device = rig.device.kill();
    let mut small = Rig::open(&device, &settings(1500, 256)).unwrap();
    small.recover();
    assert!(small.engine.segments.bytes() <= 1500 * KIB);
    assert_eq!((small.version(0), small.version(599)), (None, Some(1)));
}

#[test]
fn what_is_hit_outlives_its_segment_and_what_is_removed_does_not() {
    let mut rig = Rig::new(1, &settings(2048, 256));
    for key in 0..4000 {
        rig.engine.put(record(key, 1, 4000)).unwrap();
        rig.turn();
        for kept in 0..5 {
            let _ = rig.read(kept, Part::Nothing);
        }
        if key == 500 {
            let removed = record(4, 0, 0);
            rig.engine.remove(removed.name, removed.part);
        }
    }
    assert!(rig.engine.counts.reclaimed.get() > 40);
    let found: Vec<_> = (0..6).map(|key| rig.version(key)).collect();
    assert_eq!(found, [Some(1), Some(1), Some(1), Some(1), None, None]);
    assert!(rig.engine.segments.bytes() <= 2048 * KIB);
    rig.sync();
    let again = rig.restart(&rig.device.kill());
    let found: Vec<_> = (0..6).map(|key| again.version(key)).collect();
    assert_eq!(found, [Some(1), Some(1), Some(1), Some(1), None, None]);
    let read = again.read(0, Part::Nothing).unwrap();
    assert_eq!(read.epoch, 101, "the judge's");
}

#[test]
fn too_much_at_once_is_refused() {
    let mut settings = settings(2048, 256);
    settings.queue = 10_000;
    let mut rig = Rig::new(1, &settings);
    rig.engine.put(record(1, 1, 9000)).unwrap();
    assert_eq!(rig.engine.put(record(2, 1, 9000)), Err(Refused::Busy));
    assert_eq!(rig.engine.put(record(2, 1, 3_000_000)), Err(Refused::TooLarge));
    rig.turn();
    rig.engine.put(record(2, 1, 9000)).unwrap();
}

#[test]
fn what_is_stored_under_another_key_is_not_found() {
    let mut rig = Rig::new(1, &settings(2048, 256));
    rig.engine.put(record(1, 2, 100)).unwrap();
    rig.sync();
    let look_up = |wanted: &Wanted| rig.engine.look_up(wanted, Via::Device);
    let right = wanted(1, Part::Whole);
    assert!(matches!(look_up(&right), Found::Record(_)));
    let other_key = Wanted {
        key: "host.example/path/2".into(),
        ..right.clone()
    };
    assert_eq!(look_up(&other_key), Found::Absent);
    assert!(matches!(look_up(&right), Found::Record(_)), "it is still there");
    assert_eq!(rig.engine.counts.damaged.get(), 0);
}
