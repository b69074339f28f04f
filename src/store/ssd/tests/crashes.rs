//! Random histories with crashes anywhere in them, beside a model that says which versions may be found.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::reader::Via;
use super::super::{Found, Part, Settings};
use super::rig::{KIB, Rig, record, settings, version_of, wanted};
use crate::device::{Faults, Faulty, mix};

/// What happened to a key: a version was stored, or what there was removed; and the ticket of that.
type Event = (u64, Option<u64>);

/// What may be found.
#[derive(Default)]
struct Model {
    /// Since the last of which it is sure that it is on the device, or since the crash.
    keys: BTreeMap<u64, Key>,
    versions: u64,
}

#[derive(Default)]
struct Key {
    /// What may be found as long as nothing more happens.
    allowed: Vec<u64>,
    /// What was found of it before, and what has happened to it since.
    before: Vec<u64>,
    since: Vec<Event>,
}

impl Model {
    fn happened(&mut self, key: u64, event: Event) {
        let key = self.keys.entry(key).or_default();
        key.since.push(event);
        key.allowed = event.1.into_iter().collect();
    }

    /// After a crash the last of which it was sure, or whatever came after it, may be found.
    fn crashed(&mut self, sure: impl Fn(u64) -> bool) {
        for key in self.keys.values_mut() {
            let base = key.since.iter().rposition(|(ticket, _)| sure(*ticket));
            let mut allowed = match base {
                Some(at) => key.since[at].1.into_iter().collect(),
                None => std::mem::take(&mut key.before),
            };
            let later = key.since[base.map_or(0, |at| at + 1)..].iter();
            allowed.extend(later.filter_map(|(_, version)| *version));
            key.before = allowed.clone();
            key.allowed = allowed;
            key.since.clear();
        }
    }
}

/// One history.
struct History {
    rig: Rig,
    model: Model,
    random: u64,
    settings: Settings,
    /// Look-ups that gave something, and that did not though something was allowed.
    hits: u64,
    misses: u64,
}

const KEYS: u64 = 60;

impl History {
    fn new(seed: u64, settings: Settings) -> History {
        History {
            rig: Rig::new(seed, &settings),
            model: Model::default(),
            random: mix(seed),
            settings,
            hits: 0,
            misses: 0,
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(1);
        mix(self.random) % bound
    }

    fn put(&mut self) {
        let key = self.below(KEYS);
        self.model.versions += 1;
        let version = self.model.versions;
        let length = match self.below(20) {
            0 => 60_000 + self.below(80_000),
            1 => 0,
            _ => self.below(6_000),
        };
        let record = record(key, version, length as usize);
        let event = match self.rig.engine.put(record) {
            Ok(ticket) => (ticket, Some(version)),
            // Refused: what was there is removed.
            Err(_) => (self.rig.engine.queue.last_ticket(), None),
        };
        self.model.happened(key, event);
    }

    fn remove(&mut self) {
        let key = self.below(KEYS);
        let record = record(key, 0, 0);
        self.rig.engine.remove(record.name, record.part);
        let ticket = self.rig.engine.queue.last_ticket();
        self.model.happened(key, (ticket, None));
    }

    fn read(&mut self) {
        let key = self.below(KEYS);
        let part = match self.below(3) {
            0 => Part::Whole,
            1 => Part::Nothing,
            _ => {
                let from = self.below(70_000) as usize;
                Part::Range(from..from + self.below(70_000) as usize)
            }
        };
        let allowed = self
            .model
            .keys
            .get(&key)
            .map(|key| key.allowed.clone())
            .unwrap_or_default();
        match self.rig.read(key, part) {
            Some(record) => {
                let version = version_of(key, &record).expect("every byte is right");
                assert!(allowed.contains(&version), "key {key}: {version}, not of {allowed:?}");
                self.hits += 1;
            }
            None => self.misses += u64::from(!allowed.is_empty()),
        }
    }

    fn step(&mut self) {
        match self.below(100) {
            0..=34 => self.put(),
            35..=39 => self.remove(),
            40..=74 => self.read(),
            75..=86 => self.rig.turn(),
            87..=91 => self.rig.sync(),
            92 => self.rig.seal(),
            93 => _ = self.rig.checkpoint(),
            94..=97 => self.rig.recover_a_little(),
            _ => self.rig.pass(Duration::from_millis(700)),
        }
    }

    /// Restarts with what a crash left.
    fn restart(&mut self, left: Faulty) {
        let queue = &self.rig.engine.queue;
        self.model.crashed(|ticket| queue.is_on_device(ticket));
        self.rig = Rig::open(&left, &self.settings).unwrap();
        if self.below(2) == 0 {
            self.rig.recover();
        }
    }

    fn run(&mut self, steps: u64) {
        for _ in 0..steps {
            self.step();
        }
    }
}

fn faults(history: &mut History) -> Faults {
    let mut faults = Faults {
        short_reads: history.below(30),
        ..Faults::default()
    };
    match history.below(6) {
        0 => faults.failing_reads = history.below(20),
        1 => faults.failing_writes = history.below(20),
        2 => faults.capacity = Some(300 * KIB + history.below(1200 * KIB)),
        _ => faults.power_fails_after = Some(history.below(80)),
    }
    faults
}

#[test]
fn whatever_fails_only_what_was_stored_is_found() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("VERGE_SSD_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("VERGE_SSD_SEEDS").unwrap_or(30),
    };
    let mut found = [0; 2];
    for seed in seeds {
        let told = std::panic::catch_unwind(|| {
            let mut history = History::new(seed, settings(2048, 256));
            for _ in 0..6 {
                history.run(120);
                let faults = faults(&mut history);
                history.rig.device.set(faults);
                history.run(80);
                let left = match history.below(3) {
                    0 if faults.power_fails_after.is_none() => history.rig.device.kill(),
                    _ => history.rig.device.power_cut(),
                };
                history.restart(left);
            }
            (history.hits, history.misses)
        });
        match told {
            Ok((hits, misses)) => found = [found[0] + hits, found[1] + misses],
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                panic!("VERGE_SSD_SEED={seed} replays this: {}", text.unwrap_or_default());
            }
        }
    }
    assert!(found[0] > found[1], "hits and misses: {found:?}");
}

#[test]
fn a_killed_process_loses_only_what_it_had_not_written() {
    for seed in 0..40 {
        let mut history = History::new(seed, settings(16 * 1024, 1024));
        let (mut there, mut found) = (0, 0);
        for round in 0..5 {
            history.run(150);
            history.rig.recover();
            if round % 2 == 0 {
                history.rig.turn();
                history.rig.checkpoint();
                history.run(30);
            }
            history.rig.sync();
            let before: Vec<_> = (0..KEYS).map(|key| history.rig.version(key)).collect();
            let left = history.rig.device.kill();
            history.restart(left);
            history.rig.recover();
            for (key, before) in (0..KEYS).zip(before).filter(|(_, before)| before.is_some()) {
                there += 1;
                found += u64::from(history.rig.version(key) == before);
            }
        }
        assert_eq!(found, there, "seed {seed}");
    }
}

#[test]
fn a_checkpoint_stands_for_the_summaries() {
    let settings = settings(16 * 1024, 1024);
    let mut rig = Rig::new(1, &settings);
    for key in 0..500 {
        rig.engine.put(record(key, 1, 4000)).unwrap();
    }
    rig.sync();
    assert!(rig.checkpoint());
    for key in 0..50 {
        rig.engine.put(record(key, 2, 4000)).unwrap();
        let removed = record(key + 100, 0, 0);
        rig.engine.remove(removed.name, removed.part);
    }
    rig.sync();
    let again = rig.restart(&rig.device.kill());
    assert!(again.engine.recovered().by_checkpoint);
    for key in 0..500 {
        let expected = match key {
            0..50 => Some(2),
            100..150 => None,
            _ => Some(1),
        };
        assert_eq!(again.version(key), expected, "key {key}");
    }
    assert_eq!(again.engine.segments.oldest_epoch(), 101);
}

#[test]
fn what_is_stored_or_removed_during_recovery_wins() {
    let settings = settings(16 * 1024, 1024);
    let mut rig = Rig::new(1, &settings);
    for key in 0..300 {
        rig.engine.put(record(key, 1, 4000)).unwrap();
    }
    rig.sync();
    let mut again = Rig::open(&rig.device.kill(), &settings).unwrap();
    for key in 0..100 {
        again.engine.put(record(key, 2, 100)).unwrap();
        let removed = record(key + 100, 0, 0);
        again.engine.remove(removed.name, removed.part);
    }
    let look_up = |again: &Rig, key| again.engine.look_up(&wanted(key, Part::Nothing), Via::Memory);
    assert_eq!(look_up(&again, 999), Found::NotYet);
    again.recover_a_little();
    again.turn();
    again.recover();
    assert_eq!(look_up(&again, 999), Found::Absent);
    for key in 0..300 {
        let expected = [Some(2), None, Some(1)][key as usize / 100];
        assert_eq!(again.version(key), expected, "key {key}");
    }
}
