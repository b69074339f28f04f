//! The store with its own threads, on the machine's disk.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use super::super::{Found, Part, Settings, Ssd};
use super::rig::{KIB, record, settings, version_of, wanted};
use crate::clock::SystemClock;
use crate::device::Disk;

const LONG: Duration = Duration::from_secs(30);

fn open(folder: &std::path::Path, settings: Settings) -> Ssd {
    let disk = Arc::new(Disk::open(folder).unwrap());
    let ssd = Ssd::open(disk, settings, Arc::new(SystemClock)).unwrap();
    assert!(ssd.wait_until_recovered(LONG));
    ssd
}

/// The version that is found, inline if it can be.
fn version(ssd: &Ssd, key: u64) -> Option<u64> {
    let found = match ssd.try_read(&wanted(key, Part::Whole)) {
        Found::OnDevice => {
            let (told, hears) = mpsc::channel();
            assert!(ssd.read(wanted(key, Part::Whole), move |found| told.send(found).unwrap()));
            hears.recv_timeout(LONG).unwrap()
        }
        found => found,
    };
    match found {
        Found::Record(record) => Some(version_of(key, &record).expect("every byte is right")),
        _ => None,
    }
}

#[test]
fn what_was_stored_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let ssd = open(folder.path(), settings(8192, 512));
    let tickets: Vec<_> = (0..300).map(|key| ssd.put(record(key, 1, 5000)).unwrap()).collect();
    assert!(ssd.flush(LONG));
    assert!(tickets.iter().all(|ticket| ssd.is_on_device(*ticket)));
    assert!((0..300).all(|key| version(&ssd, key) == Some(1)));
    let removed = record(5, 0, 0);
    assert!(ssd.has(removed.name, removed.part) && ssd.remove(removed.name, removed.part));
    assert_eq!(version(&ssd, 5), None);
    let secret = ssd.secret();
    ssd.reserve_epochs(77).unwrap();
    drop(ssd);

    let ssd = open(folder.path(), settings(8192, 512));
    assert_eq!((ssd.secret(), ssd.epochs_reserved()), (secret, 77));
    assert!(ssd.recovered().by_checkpoint);
    assert_eq!(version(&ssd, 5), None);
    assert!((6..300).all(|key| version(&ssd, key) == Some(1)));
    assert_eq!(ssd.stats().hits, 294);
}

#[test]
fn it_is_on_the_device_soon_without_being_asked() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(8192, 512);
    settings.sync_after = Duration::from_millis(20);
    let ssd = open(folder.path(), settings);
    let ticket = ssd.put(record(1, 1, 100)).unwrap();
    let (done, hears) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let ssd = &ssd;
        scope.spawn(move || {
            while !ssd.is_on_device(ticket) {
                std::thread::yield_now();
            }
            drop(done);
        });
        assert_eq!(hears.recv_timeout(LONG), Err(mpsc::RecvTimeoutError::Disconnected));
    });
}

#[test]
fn many_threads_store_remove_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let ssd = open(folder.path(), settings(4096, 256));
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let ssd = &ssd;
            scope.spawn(move || {
                for step in 0..600 {
                    let key = thread * 1000 + step % 50;
                    let _ = ssd.put(record(key, step, 3000));
                    if let Some(found) = version(ssd, key) {
                        assert_eq!(found % 50, step % 50);
                    }
                    if step % 50 == 0 {
                        ssd.flush(LONG);
                    }
                    if step % 7 == 0 {
                        let removed = record(key, 0, 0);
                        ssd.remove(removed.name, removed.part);
                        assert_eq!(version(ssd, key), None);
                    }
                    let _ = version(ssd, (thread + 1) % 4 * 1000 + step % 50);
                }
            });
        }
    });
    assert!(ssd.flush(LONG));
    let stats = ssd.stats();
    assert!(stats.bytes <= 4096 * KIB && stats.damaged == 0, "{stats:?}");
    assert!(stats.hits > 100 && stats.reclaimed > 5, "{stats:?}");
}
