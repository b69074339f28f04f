//! Looking into a folder: all that is in it is seen, all that is wrong is told, and nothing is changed.

use std::sync::Arc;

use super::super::inspect::{Damage, Hint, Inspector, Overview, Verified};
use super::super::segments::file_name;
use super::super::{Kind, Settings};
use super::rig::{Rig, name, record, settings};
use crate::device::{Device, Faulty, mix};

const KEYS: u64 = 200;

/// A store with sealed segments, one that is not, something replaced, something removed, and a checkpoint.
fn stored() -> (Faulty, Settings) {
    let settings = settings(4096, 256);
    let mut rig = Rig::new(1, &settings);
    for key in 0..KEYS {
        let length = if key % 20 == 0 { 100_000 } else { 3000 };
        rig.engine.put(record(key, 1, length)).unwrap();
    }
    rig.sync();
    assert!(rig.checkpoint());
    rig.engine.put(record(6, 2, 500)).unwrap();
    assert!(rig.engine.remove(name(7), 2));
    rig.sync();
    (rig.device.kill(), settings)
}

fn look_at(device: &Faulty) -> Inspector {
    Inspector::open(Arc::new(device.clone())).unwrap()
}

fn verify(device: &Faulty) -> (Verified, Vec<Damage>) {
    let mut damages = Vec::new();
    let verified = look_at(device).verify(&mut |damage| damages.push(damage.clone()));
    (verified.unwrap(), damages)
}

fn segments(device: &Faulty) -> Vec<String> {
    let names = device.names().into_iter();
    names.filter(|name| name.starts_with("segment-")).collect()
}

#[test]
fn all_is_seen_and_nothing_changed() {
    let (device, settings) = stored();
    let (names, written) = (device.names(), device.written());
    let overview = look_at(&device).overview().unwrap();
    assert_eq!(
        (overview.size, overview.starts, overview.version),
        (settings.size, 1, 1)
    );
    assert_eq!(overview.records().map(|tally| tally.count), [0, 1, KEYS, 1]);
    assert_eq!((overview.oldest_epoch(), overview.checkpoint), (Some(101), Hint::Right));
    assert!(overview.purges.is_none(), "this folder has no journal");
    let sealed: Vec<bool> = overview.segments.iter().map(|seen| seen.sealed).collect();
    let (last, others) = sealed.split_last().unwrap();
    assert!(
        !last && others.len() > 3 && others.iter().all(|sealed| *sealed),
        "{sealed:?}"
    );
    assert!(
        overview
            .segments
            .iter()
            .all(|seen| seen.passed_over == 0 && seen.begun == Some(0))
    );

    let (verified, damages) = verify(&device);
    assert_eq!((verified.records, verified.damaged, damages), (KEYS + 2, 0, vec![]));
    assert_eq!((verified.unfinished, verified.given_up), (0, 0));
    assert_eq!((device.names(), device.written()), (names, written));
}

#[test]
fn what_is_later_counts() {
    let (device, _) = stored();
    let inspector = look_at(&device);
    let asked = [name(5), name(6), name(7)];
    let places = inspector.locate(&|name| asked.contains(&name)).unwrap();
    let kinds = [(5, 0), (6, 1), (7, 2)].map(|(key, part)| places[&(name(key), part)].kind);
    assert_eq!(kinds, [Kind::Chunk, Kind::Index, Kind::Tombstone]);
    let opened = inspector.read(&places[&(name(6), 1)]).unwrap();
    assert_eq!((&opened.meta[..], opened.body_is_right), (&b"2 500"[..], true));
}

#[test]
fn no_flipped_bit_goes_unnoticed() {
    let (device, _) = stored();
    let files = segments(&device);
    let (_, sealed) = files.split_last().unwrap();
    let mut noticed = 0;
    for random in 0..300u64 {
        let file = match random % 10 {
            0 => "superblock",
            1 => "checkpoint",
            _ => &sealed[mix(random) as usize % sealed.len()],
        };
        let spoilt = device.kill();
        let mut was_zero = false;
        spoilt.rot(file, |bytes| {
            let at = (mix(random ^ 99) % bytes.len() as u64) as usize;
            was_zero = bytes[at] == 0;
            bytes[at] ^= 1 << (random % 8);
        });
        let (verified, damages) = verify(&spoilt);
        // What fills up to the next record has no checksum.
        assert!(verified.damaged > 0 || was_zero, "{file}: {random}");
        assert!(damages.iter().all(|damage| damage.file == file), "{damages:?}");
        noticed += usize::from(verified.damaged > 0);
    }
    assert!(noticed > 250, "{noticed}");
}

#[test]
fn damage_is_told_where_it_is() {
    let (device, settings) = stored();
    let place = look_at(&device).locate(&|of| of == name(20)).unwrap()[&(name(20), 0)].clone();
    let block = place.at + place.length - 100_000 % 65_536;
    for (at, what, where_it_is) in [
        (0, "the segment's header", 0),
        (place.at + 9, "the head of a record", place.at),
        (block, "a block of a body", block / 65_536 * 65_536),
    ] {
        let spoilt = device.kill();
        spoilt.rot(&place.file(), |bytes| bytes[at as usize] ^= 4);
        let (_, damages) = verify(&spoilt);
        assert_eq!(damages.len(), 1);
        assert_eq!((&*damages[0].file, damages[0].what), (&*place.file(), what));
        assert!(damages[0].at >= where_it_is && damages[0].at <= at, "{damages:?}");
    }
    let footer = device.kill();
    footer.rot(&place.file(), |bytes| *bytes.last_mut().unwrap() ^= 1);
    assert_eq!(verify(&footer).1[0].what, "the segment's footer");
    // A start without a checkpoint reads such a segment record by record, and seals it anew.
    footer.remove("checkpoint").unwrap();
    Rig::new(1, &settings).restart(&footer);
    assert_eq!(verify(&footer).0.damaged, 0);
}

#[test]
fn an_unfinished_end_is_no_damage() {
    let (device, settings) = stored();
    let newest = segments(&device).pop().unwrap();
    device.rot(&newest, |bytes| bytes.truncate(bytes.len() - 100));
    let (verified, damages) = verify(&device);
    assert!(verified.unfinished > 0 && damages.is_empty(), "{verified:?}");
    Rig::new(1, &settings).restart(&device);
    let (verified, damages) = verify(&device);
    assert!(
        verified.given_up > 0 && verified.unfinished == 0 && damages.is_empty(),
        "{verified:?}"
    );
    device.create(&file_name(1000)).unwrap();
    assert_eq!(verify(&device).0.damaged, 0, "one that is begun at this moment");
    let older = segments(&device).remove(0);
    device.rot(&older, |bytes| bytes.truncate(bytes.len() - 10_000));
    assert_eq!(verify(&device).1[0].what, "the end of a segment that was not sealed");
}

#[test]
fn what_goes_meanwhile_is_no_damage() {
    let (device, _) = stored();
    let inspector = look_at(&device);
    let oldest = segments(&device).remove(0);
    device.remove(&oldest).unwrap();
    let Overview { segments: seen, .. } = inspector.overview().unwrap();
    assert!(seen.iter().all(|seen| seen.file != oldest) && !seen.is_empty());
    assert_eq!(inspector.verify(&mut |_| ()).unwrap().damaged, 0);
    assert!(oldest == file_name(1) && inspector.locate(&|_| true).unwrap().len() > 100);
}
