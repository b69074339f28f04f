//! A folder in memory that fails as disks do. Every choice comes from its seed.
//!
//! What was written and not synced is lost, torn or kept, write by write, when the power fails ([`Faulty::power_cut`]);
//! names that were not synced are kept up to some moment. A process that is killed ([`Faulty::kill`]) loses nothing.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Device, File, Listed, mix};

/// What a device writes whole or not at all, in bytes.
const SECTOR: usize = 512;

/// How a device fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Of a hundred reads, how many end early.
    pub short_reads: u64,
    /// Of a hundred reads, how many fail.
    pub failing_reads: u64,
    /// Of a hundred writes and syncs, how many fail.
    pub failing_writes: u64,
    /// Of a hundred reads of what is in memory, how many find nothing there.
    pub cold_reads: u64,
    /// Bytes that all files can have together.
    pub capacity: Option<u64>,
    /// Nothing can be written: the file system has become read-only.
    pub read_only: bool,
    /// After so many writes, syncs and changes of names, the power fails: nothing succeeds any more.
    pub power_fails_after: Option<u64>,
}

/// A folder in memory; clones are the same folder.
#[derive(Clone)]
pub struct Faulty(Arc<Mutex<World>>);

#[derive(Default)]
struct World {
    random: u64,
    faults: Faults,
    names: BTreeMap<String, Content>,
    durable_names: BTreeMap<String, Content>,
    /// What has happened to names since they were last synced.
    unsynced_names: Vec<Change>,
    locked: bool,
    written: u64,
    changes: u64,
}

/// A change of names.
#[derive(Clone)]
enum Change {
    Create(String, Content),
    Rename(String, String),
    Remove(String),
}

type Content = Arc<Mutex<Bytes>>;

/// What is in a file.
#[derive(Clone, Default)]
struct Bytes {
    current: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<(usize, Vec<u8>)>,
}

fn put(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if content.len() < at + bytes.len() {
        content.resize(at + bytes.len(), 0);
    }
    content[at..at + bytes.len()].copy_from_slice(bytes);
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

fn failure() -> io::Error {
    io::Error::other("the device fails")
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, Content>) {
        match self {
            Change::Create(name, content) => {
                names.insert(name.clone(), Arc::clone(content));
            }
            Change::Rename(from, to) => {
                if let Some(content) = names.remove(from) {
                    names.insert(to.clone(), content);
                }
            }
            Change::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

impl World {
    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(1);
        mix(self.random) % bound
    }

    fn chance(&mut self, percent: u64) -> bool {
        percent > 0 && self.below(100) < percent
    }

    /// Whether a change succeeds. One during which the power fails may have been begun.
    fn change(&mut self) -> io::Result<()> {
        self.changes += 1;
        if self.faults.power_fails_after.is_some_and(|after| self.changes > after) {
            return Err(failure());
        }
        if self.faults.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        match self.chance(self.faults.failing_writes) {
            true => Err(failure()),
            false => Ok(()),
        }
    }

    fn alive(&self) -> io::Result<()> {
        match self.faults.power_fails_after {
            Some(after) if self.changes > after => Err(failure()),
            _ => Ok(()),
        }
    }

    fn used(&self) -> u64 {
        self.names
            .values()
            .map(|content| content.lock().current.len() as u64)
            .sum()
    }

    fn name_change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }

    /// What is left of a file when the power fails.
    fn survivor(&mut self, content: &Content) -> Content {
        let mut bytes = content.lock().clone();
        for (at, written) in std::mem::take(&mut bytes.unsynced) {
            match self.below(4) {
                0 => {}
                1 => self.tear(&mut bytes.durable, at, &written),
                _ => put(&mut bytes.durable, at, &written),
            }
        }
        bytes.current = bytes.durable.clone();
        Arc::new(Mutex::new(bytes))
    }

    /// Some of the sectors of a write.
    fn tear(&mut self, durable: &mut Vec<u8>, at: usize, written: &[u8]) {
        let mut from = 0;
        while from < written.len() {
            let to = ((at + from) / SECTOR * SECTOR + SECTOR - at).min(written.len());
            if self.chance(50) {
                put(durable, at + from, &written[from..to]);
            }
            from = to;
        }
    }
}

impl Faulty {
    /// An empty folder, whose choices come from `seed`.
    pub fn new(seed: u64) -> Faulty {
        Faulty(Arc::new(Mutex::new(World {
            random: mix(seed),
            ..World::default()
        })))
    }

    /// From now on it fails like this.
    pub fn set(&self, faults: Faults) {
        let mut world = self.0.lock();
        world.faults = faults;
        world.changes = 0;
    }

    /// The folder as it is found after the power failed. What has it open so far goes on with what there was.
    pub fn power_cut(&self) -> Faulty {
        let mut world = self.0.lock();
        let mut names = world.durable_names.clone();
        let changes = std::mem::take(&mut world.unsynced_names);
        let kept = world.below(changes.len() as u64 + 1) as usize;
        changes[..kept].iter().for_each(|change| change.apply(&mut names));
        let survivors: BTreeMap<_, _> = names
            .into_iter()
            .map(|(name, content)| (name, world.survivor(&content)))
            .collect();
        Faulty(Arc::new(Mutex::new(World {
            random: world.below(u64::MAX),
            names: survivors.clone(),
            durable_names: survivors,
            ..World::default()
        })))
    }

    /// The folder as it is found after the process was killed.
    pub fn kill(&self) -> Faulty {
        let mut world = self.0.lock();
        let copy = |names: &BTreeMap<String, Content>| {
            let copied = names
                .iter()
                .map(|(name, content)| (name.clone(), Arc::new(Mutex::new(content.lock().clone()))));
            copied.collect::<BTreeMap<_, _>>()
        };
        let names = copy(&world.names);
        Faulty(Arc::new(Mutex::new(World {
            random: world.below(u64::MAX),
            durable_names: names.clone(),
            names,
            ..World::default()
        })))
    }

    /// Bytes written to files so far.
    pub fn written(&self) -> u64 {
        self.0.lock().written
    }

    /// The names there are, sorted.
    pub fn names(&self) -> Vec<String> {
        self.0.lock().names.keys().cloned().collect()
    }

    /// Changes what is on the medium behind everyone's back.
    pub fn rot(&self, name: &str, rot: impl FnOnce(&mut Vec<u8>)) {
        if let Some(content) = self.0.lock().names.get(name) {
            let mut bytes = content.lock();
            rot(&mut bytes.current);
            bytes.durable = bytes.current.clone();
            bytes.unsynced.clear();
        }
    }

    fn file(&self, content: &Content) -> Arc<dyn File> {
        Arc::new(InMemory {
            world: Arc::clone(&self.0),
            content: Arc::clone(content),
        })
    }
}

impl Device for Faulty {
    fn lock(&self) -> io::Result<bool> {
        let mut world = self.0.lock();
        world.alive()?;
        Ok(!std::mem::replace(&mut world.locked, true))
    }

    fn list(&self) -> io::Result<Vec<Listed>> {
        let world = self.0.lock();
        world.alive()?;
        let listed = world.names.iter().map(|(name, content)| Listed {
            name: name.clone(),
            size: content.lock().current.len() as u64,
        });
        Ok(listed.collect())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut world = self.0.lock();
        world.change()?;
        if world.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let content = Content::default();
        world.name_change(Change::Create(name.to_owned(), Arc::clone(&content)));
        Ok(self.file(&content))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let world = self.0.lock();
        world.alive()?;
        world
            .names
            .get(name)
            .map(|content| self.file(content))
            .ok_or_else(not_found)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut world = self.0.lock();
        world.change()?;
        if !world.names.contains_key(from) {
            return Err(not_found());
        }
        world.name_change(Change::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut world = self.0.lock();
        world.change()?;
        if !world.names.contains_key(name) {
            return Err(not_found());
        }
        world.name_change(Change::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut world = self.0.lock();
        world.change()?;
        world.durable_names = world.names.clone();
        world.unsynced_names.clear();
        Ok(())
    }
}

struct InMemory {
    world: Arc<Mutex<World>>,
    content: Content,
}

impl InMemory {
    fn read(&self, world: &mut World, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        world.alive()?;
        let Faults {
            failing_reads,
            short_reads,
            ..
        } = world.faults;
        if world.chance(failing_reads) {
            return Err(failure());
        }
        let content = self.content.lock();
        let rest = content.current.get(at as usize..).unwrap_or_default();
        let mut length = rest.len().min(buffer.len());
        if length > 1 && world.chance(short_reads) {
            length = 1 + world.below(length as u64 - 1) as usize;
        }
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}

impl File for InMemory {
    fn size(&self) -> io::Result<u64> {
        self.world.lock().alive()?;
        Ok(self.content.lock().current.len() as u64)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut world = self.world.lock();
        let alive = world.alive().is_ok();
        let permitted = world.change();
        if permitted.is_err() && !(alive && world.alive().is_err()) {
            return permitted;
        }
        let more = (at + bytes.len() as u64).saturating_sub(self.content.lock().current.len() as u64);
        if world
            .faults
            .capacity
            .is_some_and(|capacity| world.used() + more > capacity)
        {
            return Err(io::ErrorKind::StorageFull.into());
        }
        world.written += bytes.len() as u64;
        let mut content = self.content.lock();
        put(&mut content.current, at as usize, bytes);
        content.unsynced.push((at as usize, bytes.to_vec()));
        permitted
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.read(&mut self.world.lock(), at, buffer)
    }

    fn read_now(&self, at: u64, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let mut world = self.world.lock();
        let cold = world.faults.cold_reads;
        match world.chance(cold) {
            true => Ok(None),
            false => self.read(&mut world, at, buffer).map(Some),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.world.lock().change()?;
        let mut content = self.content.lock();
        for (at, written) in std::mem::take(&mut content.unsynced) {
            put(&mut content.durable, at, &written);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{read_fully, read_whole, replace};
    use super::*;

    #[test]
    fn what_is_synced_survives_a_power_cut_and_the_rest_may() {
        let mut seen = [false; 2];
        for seed in 0..40 {
            let device = Faulty::new(seed);
            let file = device.create("a").unwrap();
            file.write_at(0, &[1; 2000]).unwrap();
            file.sync().unwrap();
            device.sync_names().unwrap();
            file.write_at(2000, &[2; 2000]).unwrap();
            let killed = device.kill();
            assert_eq!(read_whole(&killed, "a", 9999).unwrap().len(), 4000);
            let after = device.power_cut();
            let content = read_whole(&after, "a", 9999).unwrap();
            assert_eq!(content[..2000], [1; 2000]);
            let whole = content.len() == 4000 && content[2000..] == [2; 2000];
            seen[usize::from(whole)] = true;
        }
        assert_eq!(
            seen, [true; 2],
            "an unsynced write is lost or torn at times, and kept at others"
        );
    }

    #[test]
    fn a_replacement_is_whole_or_not_there_whenever_the_power_fails() {
        let mut seen = [false; 2];
        for after in 0..12 {
            let device = Faulty::new(after);
            replace(&device, "a", &[1; 3000]).unwrap();
            device.set(Faults {
                power_fails_after: Some(after),
                ..Faults::default()
            });
            let done = replace(&device, "a", &[2; 5000]).is_ok();
            let content = read_whole(&device.power_cut(), "a", 9999).unwrap();
            let new = content == [2; 5000];
            assert!(new || (!done && content == [1; 3000]), "after {after}");
            seen[usize::from(new)] = true;
        }
        assert_eq!(seen, [true; 2]);
    }

    #[test]
    fn it_fails_as_it_is_told() {
        let device = Faulty::new(7);
        assert!(device.lock().unwrap() && !device.lock().unwrap());
        let file = device.create("a").unwrap();
        let faults = |faults| device.set(faults);
        faults(Faults {
            capacity: Some(1000),
            ..Faults::default()
        });
        file.write_at(0, &[1; 1000]).unwrap();
        assert_eq!(
            file.write_at(1000, &[1]).map_err(|error| error.kind()),
            Err(io::ErrorKind::StorageFull)
        );
        faults(Faults {
            read_only: true,
            ..Faults::default()
        });
        assert!(file.write_at(0, &[1]).is_err() && file.sync().is_err() && device.remove("a").is_err());
        faults(Faults {
            short_reads: 100,
            cold_reads: 100,
            ..Faults::default()
        });
        let mut buffer = [0; 1000];
        assert!(file.read_at(0, &mut buffer).unwrap() < 1000);
        assert_eq!(read_fully(&*file, 0, &mut buffer).unwrap(), 1000);
        assert_eq!(file.read_now(0, &mut buffer).unwrap(), None);
        faults(Faults {
            failing_reads: 100,
            ..Faults::default()
        });
        assert!(file.read_at(0, &mut buffer).is_err());
    }
}
