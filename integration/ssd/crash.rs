//! A process that stores, removes, hits and reclaims, killed with -9 again and again; after each the folder is opened, and every
//! record is held against what the process had said of it.
//!
//! The content of a record follows from its object and version. The process says on its standard output what is on the
//! device; what it did not come to say may be there or not.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use verge::store::ssd::{CheckedRecord, Found, Part, Record, Settings, Ssd};

use super::load::{MIB, mix, record, wanted};
use super::open;

const KILLS: u64 = 500;
const OBJECTS: u64 = 400;
const LONG: Duration = Duration::from_secs(60);

/// In every second round everything fits, and must be found; in the others segments are given up all the time.
fn settings(round: u64) -> Settings {
    let mut settings = Settings::new(if round.is_multiple_of(2) { 512 * MIB } else { 12 * MIB });
    settings.segment = Some(MIB);
    settings.entries = Some(20_000);
    settings.sync_after = Duration::from_millis(20);
    settings.checkpoint_share = 0.2;
    settings
}

fn body(object: u64, version: u64) -> Bytes {
    let seed = mix(object << 32 ^ version);
    let words = (0..seed % 4000).flat_map(|word| mix(seed ^ word).to_le_bytes());
    words.collect::<Vec<u8>>().into()
}

fn versioned(object: u64, version: u64) -> Record {
    let mut record = record(object, body(object, version), 0);
    record.meta = Bytes::copy_from_slice(&version.to_le_bytes());
    record
}

/// The version that a record says it is; fails if a byte of it is not that version's.
fn version_of(object: u64, record: &CheckedRecord) -> u64 {
    let version = u64::from_le_bytes(record.meta[..].try_into().expect("a version"));
    assert!(
        record.body == body(object, version),
        "object {object}, version {version}"
    );
    version
}

/// Stores and removes until it is killed; versions begin above `from`.
pub fn churn(folder: &Path, round: u64, from: u64) -> ! {
    let ssd = open(folder, settings(round)).expect("a store");
    let mut said = std::io::stdout().lock();
    let mut version = from;
    loop {
        // Said before, so that whatever is found has been said to be possible; and after, so that it must be found.
        let batch: Vec<(u64, u64)> = (0..40)
            .map(|_| {
                version += 1;
                let removal = mix(version).is_multiple_of(8);
                (mix(version ^ 77) % OBJECTS, if removal { 0 } else { version })
            })
            .collect();
        let tell = |said: &mut std::io::StdoutLock, word: char| {
            let lines: String = batch
                .iter()
                .map(|(object, it)| format!("{word} {object} {it} {version}\n"))
                .collect();
            said.write_all(lines.as_bytes())
                .and_then(|()| said.flush())
                .expect("somebody listens");
        };
        tell(&mut said, '?');
        for (object, it) in &batch {
            match it {
                0 => _ = ssd.remove(record(*object, Bytes::new(), 0).name, 0),
                it => _ = ssd.put(versioned(*object, *it)),
            }
            let _ = ssd.try_read(&wanted(mix(version ^ object) % OBJECTS));
        }
        if ssd.flush(LONG) {
            tell(&mut said, '!');
        }
    }
}

/// What is known of an object.
#[derive(Default)]
struct Known {
    /// What it is, if nothing was begun since; 0 if it was removed.
    sure: u64,
    /// What it may be.
    possible: Vec<u64>,
}

fn listen(child: &mut Child, kill_after: Duration, known: &mut HashMap<u64, Known>) -> u64 {
    let heard = BufReader::new(child.stdout.take().expect("it is piped"));
    let id = child.id();
    let killer = std::thread::spawn(move || {
        std::thread::park_timeout(kill_after);
        let _ = Command::new("kill").args(["-9", &id.to_string()]).status();
    });
    let mut last = 0;
    for line in heard.lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split(' ').collect();
        // The last line may have been cut off.
        let [word, object, it, version] = words[..] else {
            continue;
        };
        let (Ok(object), Ok(it), Ok(version)) = (object.parse(), it.parse(), version.parse::<u64>()) else {
            continue;
        };
        last = last.max(version);
        let known: &mut Known = known.entry(object).or_default();
        match word {
            "?" => known.possible.push(it),
            _ => {
                known.sure = it;
                let at = known.possible.iter().rposition(|possible| *possible == it).unwrap_or(0);
                known.possible.drain(..at);
            }
        }
    }
    let _ = child.wait();
    let _ = killer.join();
    last
}

/// Holds what is found against what is known. Gives how many there should be, and how many of them were found.
fn check(ssd: &Ssd, known: &mut HashMap<u64, Known>) -> (u64, u64) {
    let (mut there, mut found) = (0, 0);
    for (object, known) in known {
        let mut wanted = wanted(*object);
        wanted.body = Part::Whole;
        let (told, hears) = std::sync::mpsc::channel();
        assert!(ssd.read(wanted, move |found| _ = told.send(found)));
        let version = match hears.recv() {
            Ok(Found::Record(record)) => version_of(*object, &record),
            _ => 0,
        };
        if version != 0 {
            let possible = known.possible.contains(&version);
            assert!(
                possible,
                "object {object}: {version} of {:?}, {} sure",
                known.possible, known.sure
            );
        }
        if known.possible == [known.sure] && known.sure != 0 {
            there += 1;
            found += u64::from(version == known.sure);
        }
        *known = Known {
            sure: version,
            possible: vec![version],
        };
    }
    (there, found)
}

pub fn measure(folder: &Path) {
    let program = std::env::current_exe().expect("this program");
    let mut known = HashMap::new();
    let (mut there, mut found, mut version, mut damaged) = (0, 0, 0, 0);
    let begun = Instant::now();
    for round in 0..KILLS {
        if round.is_multiple_of(50) {
            let _ = std::fs::remove_dir_all(folder);
            known.clear();
        }
        let regime = round / 50;
        let args = ["churn".to_owned(), regime.to_string(), version.to_string()];
        let mut child = Command::new(&program)
            .arg(folder)
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let life = Duration::from_millis(30 + mix(round) % 300);
        version = version.max(listen(&mut child, life, &mut known));
        let ssd = open(folder, settings(regime)).expect("a store");
        assert!(ssd.wait_until_recovered(LONG));
        let (should, did) = check(&ssd, &mut known);
        damaged += ssd.stats().damaged;
        if regime.is_multiple_of(2) {
            there += should;
            found += did;
        }
    }
    println!(
        "  {KILLS} kills in {:.0} s, {version} versions: no wrong byte, nothing removed or replaced came back; of {there} \
         records that were on the device with room for all, {found} were found; {damaged} damaged",
        begun.elapsed().as_secs_f64()
    );
}
