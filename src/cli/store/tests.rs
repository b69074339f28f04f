use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::*;
use crate::cache::record::{Stamp, read_head, read_index};
use crate::cache::{KeyParts, SchemeClass, Secret};
use crate::clock::Now;
use crate::device::Disk;
use crate::purge::{Journal, Mode, Reserve, Selector};
use crate::store::ssd::{Kind, Record, Settings, Ssd};

const RANDOM: [u8; 40] = *b"a store's number, secret, and its seed: ";
const URL: &str = "https://shop.example/a.css?v=1";

fn parts() -> KeyParts<'static> {
    KeyParts {
        scheme: SchemeClass::Secure,
        host: "shop.example",
        path: "/a.css",
        query: Some("v=1"),
    }
}

fn settings() -> Settings {
    Settings {
        segment: Some(64 * 1024),
        entries: Some(4096),
        ..Settings::new(1024 * 1024)
    }
}

/// 10:40 on the 22nd of November 2026.
fn now() -> Now {
    Now {
        monotonic: Duration::ZERO,
        wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_344_000),
    }
}

/// The description of a version with one field, of a body in so many bytes of chunks.
fn description(body: u128, length: u64) -> Vec<u8> {
    let wire = b"HTTP/1.1 200 OK\r\ncontent-type: text/css\r\n";
    let mut meta = vec![1, 4, 0];
    meta.extend_from_slice(b"shop");
    meta.extend_from_slice(&[0; 4]);
    meta.extend_from_slice(&body.to_le_bytes());
    meta.extend_from_slice(&length.to_le_bytes());
    meta.extend_from_slice(&200u16.to_le_bytes());
    let came = 1_795_343_900 * 1_000_000_000u64;
    for number in [3, length, came, 5_000_000_000, 60_000_000_000, u64::MAX, u64::MAX] {
        meta.extend_from_slice(&number.to_le_bytes());
    }
    meta.extend_from_slice(&[0; 7]);
    meta.extend_from_slice(&(wire.len() as u32).to_le_bytes());
    meta.extend_from_slice(wire);
    meta
}

/// A folder with a version of three chunks, of which the second is missing, and a purge of another one.
fn stored(folder: &Path) {
    let disk = Arc::new(Disk::open(folder).unwrap());
    let (ssd, mut by_hand) = Ssd::open_by_hand(disk.clone(), settings(), now().wall, RANDOM).unwrap();
    while by_hand.recover() {}
    let secret = Secret::new(ssd.secret());
    let key = parts().to_bytes();
    let record = |kind, name, part, meta: Vec<u8>, body: usize| Record {
        kind,
        name,
        part,
        key: key.clone(),
        meta: meta.into(),
        body: Bytes::from(vec![b'b'; body]),
        epoch: 5,
        generation: 1,
        began: 0,
        expires: 1_795_400_000_000,
    };
    let head = description(99, 600_000);
    ssd.put(record(Kind::Chunk, 99, 0, vec![], 50_000)).unwrap();
    ssd.put(record(Kind::Chunk, 99, 2, vec![], 50_000)).unwrap();
    ssd.put(record(Kind::Head, secret.key(&parts()), 0, head, 0)).unwrap();
    assert!(ssd.remove(1, 0));
    by_hand.write(now(), true);
    let reserve: Arc<dyn Reserve> = Arc::new(ssd);
    let (journal, _) = Journal::open(disk, reserve);
    journal.record(6, &Selector::Site("other".into()), Mode::Hard).unwrap();
    journal.record(7, &Selector::Url(1), Mode::Soft).unwrap();
}

fn list_of(folder: &Path, as_json: bool) -> Result<String, Failure> {
    let mut out = Vec::new();
    let folder = Folder::open(folder)?;
    list::list(&folder, as_json, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

/// What is said, and what comes of it.
fn verify_of(folder: &Path) -> (String, Result<(), Failure>) {
    let mut out = Vec::new();
    let done = Folder::open(folder).and_then(|folder| verify::verify(&folder, &mut out));
    (String::from_utf8(out).unwrap(), done)
}

fn find_in(folder: &Path, url: &str) -> (String, Result<(), Failure>) {
    let mut out = Vec::new();
    let asked = find::Asked::read(url, &[]).unwrap();
    let done = Folder::open(folder).and_then(|folder| find::find(&folder, &asked, now().wall, &mut out));
    (String::from_utf8(out).unwrap(), done)
}

fn without_name(text: &str, folder: &Path) -> String {
    text.replace(&folder.display().to_string(), "FOLDER")
}

#[test]
fn a_folder_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    stored(folder.path());
    let said = without_name(&list_of(folder.path(), false).unwrap(), folder.path());
    assert_eq!(said, include_str!("tests/list.txt"));
    let json: serde_json::Value = serde_json::from_str(&list_of(folder.path(), true).unwrap()).unwrap();
    assert_eq!(json["records"]["chunks"]["count"], 2);
    assert_eq!(json["purges"]["journal"], "right");
    assert_eq!(json["segments"][0]["state"], "sealed");
    assert_eq!(json["in_use"], false);
}

#[test]
fn what_is_stored_for_a_url_is_found() {
    let folder = tempfile::tempdir().unwrap();
    stored(folder.path());
    let (said, done) = find_in(folder.path(), URL);
    assert_eq!(done, Ok(()));
    assert_eq!(without_name(&said, folder.path()), include_str!("tests/find.txt"));
    for other in ["http://shop.example/a.css?v=1", "https://shop.example/a.css"] {
        let (_, done) = find_in(folder.path(), other);
        assert_eq!(
            done,
            Err("nothing is stored for it in this folder".to_owned()),
            "{other}"
        );
    }
    assert!(find::Asked::read("a.css", &[]).is_err() && find::Asked::read(URL, &["no field".to_owned()]).is_err());
}

#[test]
fn a_purge_that_names_it_is_told() {
    for (selector, mode, says) in [
        (
            Selector::Site("shop".into()),
            Mode::Hard,
            "yes; it is not served; epoch 5",
        ),
        (
            Selector::Prefix("shop.example/a".into()),
            Mode::Soft,
            "softly; it is stale; epoch 5",
        ),
        (
            Selector::Tag(1),
            Mode::Hard,
            "no; no purge in the journal names it; epoch 5",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        stored(folder.path());
        let disk = Arc::new(Disk::open(folder.path()).unwrap());
        let (ssd, _) = Ssd::open_by_hand(disk.clone(), settings(), now().wall, RANDOM).unwrap();
        let (journal, _) = Journal::open(disk, Arc::new(ssd));
        journal.record(8, &selector, mode).unwrap();
        let (said, _) = find_in(folder.path(), URL);
        assert!(said.contains(&format!("purged       {says}\n")), "{said}");
    }
}

#[test]
fn damage_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    stored(folder.path());
    let (said, done) = verify_of(folder.path());
    assert!(said.contains("4 records in 2 segments") && done == Ok(()), "{said}");
    let file = folder.path().join("segment-0000000000000001");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[40_000] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let (said, done) = verify_of(folder.path());
    assert!(
        said.starts_with("damaged      segment-0000000000000001 at 183: a block of a body\n"),
        "{said}"
    );
    assert!(done.is_err_and(|why| {
        why.ends_with(": 1 damaged; the edge takes no byte of it and fetches anew: look at the disk")
    }));
}

#[test]
fn what_cannot_be_looked_into_says_what_would_help() {
    let folder = tempfile::tempdir().unwrap();
    let error = |path: &Path| without_name(&list_of(path, false).unwrap_err(), folder.path());
    assert_eq!(
        error(&folder.path().join("none")),
        "FOLDER/none: there is no such folder; name the one that [cache] ssd or --ssd names"
    );
    assert_eq!(
        error(folder.path()),
        "FOLDER: no cache is in this folder: name the one that [cache] ssd or --ssd names"
    );
    stored(folder.path());
    assert_eq!(
        error(&folder.path().join("superblock")),
        "FOLDER/superblock is no folder; name the one that [cache] ssd or --ssd names"
    );
    let superblock = folder.path().join("superblock");
    let right = std::fs::read(&superblock).unwrap();
    let spoil = |at: usize| {
        let mut bytes = right.clone();
        bytes[at] ^= 2;
        bytes[at + 4096] ^= 2;
        std::fs::write(&superblock, bytes).unwrap();
        error(folder.path())
    };
    assert!(spoil(16).starts_with("FOLDER: the folder is of version 3 of the format, and this program knows 1"));
    assert_eq!(
        spoil(100),
        "FOLDER: the superblock is damaged in both its copies: empty the folder"
    );
    let denied = denied("FOLDER", &std::io::ErrorKind::PermissionDenied.into());
    assert_eq!(
        denied,
        "FOLDER: permission denied; run this as the user that runs verge, or as root"
    );
}

#[test]
fn a_store_that_runs_is_looked_into_as_well() {
    let folder = tempfile::tempdir().unwrap();
    stored(folder.path());
    let disk = Arc::new(Disk::open(folder.path()).unwrap());
    let clock = Arc::new(crate::clock::SystemClock);
    let ssd = Ssd::open(disk, settings(), clock).unwrap();
    assert!(ssd.wait_until_recovered(Duration::from_secs(30)));
    let before = ssd.stats();
    assert!(
        list_of(folder.path(), false)
            .unwrap()
            .contains(", in use by a running process")
    );
    assert_eq!(verify_of(folder.path()).1, Ok(()));
    assert_eq!(find_in(folder.path(), URL).1, Ok(()));
    assert_eq!(ssd.stats().device_errors, before.device_errors);
}

#[test]
fn no_secret_is_told() {
    let folder = tempfile::tempdir().unwrap();
    stored(folder.path());
    let json = list_of(folder.path(), true).unwrap();
    let said = [
        list_of(folder.path(), false).unwrap(),
        json,
        verify_of(folder.path()).0,
        find_in(folder.path(), URL).0,
    ];
    let (secret, seed) = (&RANDOM[16..32], &RANDOM[32..]);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let backwards = |bytes: &[u8]| hex(&bytes.iter().rev().copied().collect::<Vec<_>>());
    let number = u64::from_le_bytes(seed.try_into().unwrap()).to_string();
    for said in said {
        for bytes in [secret, seed] {
            assert!(!said.contains(&hex(bytes)) && !said.contains(&backwards(bytes)));
            assert!(!said.contains(std::str::from_utf8(bytes).unwrap()));
        }
        assert!(!said.contains(&number));
    }
}

#[test]
fn no_description_makes_it_panic() {
    let meta = Bytes::from(description(99, 600_000));
    let parts = KeyParts {
        scheme: SchemeClass::Clear,
        host: "a.example",
        path: "/",
        query: None,
    };
    let key = Arc::new(Secret::new([0; 16]).stored_key(&parts));
    let stamp = Stamp {
        epoch: 0,
        generation: 0,
        now: Now {
            monotonic: Duration::ZERO,
            wall: SystemTime::UNIX_EPOCH,
        },
        not_before: SystemTime::UNIX_EPOCH,
    };
    let read = |meta: &Bytes| read_head(Arc::clone(&key), meta, &stamp);
    assert!(read(&meta).is_some());
    for length in 0..meta.len() {
        assert!(read(&meta.slice(..length)).is_none());
        let _ = read_index(&meta.slice(..length));
    }
    for at in 0..meta.len() * 8 {
        let mut changed = meta.to_vec();
        changed[at / 8] ^= 1 << (at % 8);
        let changed = Bytes::from(changed);
        let _ = (read(&changed), read_index(&changed));
    }
}
