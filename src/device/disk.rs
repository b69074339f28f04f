//! A folder of the machine's own.

use std::fs::{self, OpenOptions};
use std::io::{self, IoSliceMut};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use super::{Device, File, Listed};

/// The file that says which process has the folder.
pub(super) const LOCK: &str = "lock";
/// How often the lock is tried while somebody only looks at it, and the pause before each further try.
const TRIES: usize = 1000;
const PAUSE: Duration = Duration::from_millis(1);

/// A folder of the machine's own. Only its owner may read what is in it.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
    /// Open as long as this process has the folder.
    lock: Mutex<Option<fs::File>>,
}

impl Disk {
    /// The folder at `path`, which is made if there is none.
    pub fn open(path: &Path) -> io::Result<Disk> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        Ok(Disk {
            path: path.to_owned(),
            lock: Mutex::new(None),
        })
    }

    fn options() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600);
        options
    }
}

impl Device for Disk {
    fn lock(&self) -> io::Result<bool> {
        let file = Disk::options()
            .create(true)
            .truncate(false)
            .open(self.path.join(LOCK))?;
        for _ in 0..TRIES {
            if holds(&file, FlockOperation::NonBlockingLockExclusive)? {
                *self.lock.lock() = Some(file);
                return Ok(true);
            }
            // A process that uses the folder shares its lock with nobody; one that looks whether it is used, with all who look.
            if !holds(&file, FlockOperation::NonBlockingLockShared)? {
                return Ok(false);
            }
            // Who looks may have lost its processor while it holds the lock: a spin would be over before it goes on.
            flock(&file, FlockOperation::Unlock)?;
            thread::sleep(PAUSE);
        }
        Ok(false)
    }

    fn list(&self) -> io::Result<Vec<Listed>> {
        list(&self.path)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let file = Disk::options().create_new(true).open(self.path.join(name))?;
        Ok(Arc::new(OnDisk(file)))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        // What lies on a medium that has become read-only can still be read.
        let path = self.path.join(name);
        let file = Disk::options().open(&path).or_else(|_| fs::File::open(&path))?;
        Ok(Arc::new(OnDisk(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        fs::File::open(&self.path)?.sync_all()
    }
}

fn holds(lock: &fs::File, how: FlockOperation) -> io::Result<bool> {
    match flock(lock, how) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The files of the folder at `path`.
pub(super) fn list(path: &Path) -> io::Result<Vec<Listed>> {
    let mut listed = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let metadata = match entry.metadata() {
            // It went in between.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        if let (true, Ok(name)) = (metadata.is_file(), entry.file_name().into_string()) {
            listed.push(Listed {
                name,
                size: metadata.len(),
            });
        }
    }
    Ok(listed)
}

/// An open file of the machine's own.
pub(super) struct OnDisk(pub(super) fs::File);

impl File for OnDisk {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, at)
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read_at(buffer, at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn read_now(&self, at: u64, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match preadv2(&self.0, &mut [IoSliceMut::new(buffer)], at, ReadWriteFlags::NOWAIT) {
            Ok(come) => Ok(Some(come)),
            // Not in memory, or a file system that cannot say.
            Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{read_whole, replace};
    use super::*;

    #[test]
    fn a_folder_belongs_to_one() {
        let folder = tempfile::tempdir().unwrap();
        let first = Disk::open(folder.path()).unwrap();
        let second = Disk::open(folder.path()).unwrap();
        assert!(first.lock().unwrap());
        assert!(!second.lock().unwrap());
        drop(first);
        assert!(second.lock().unwrap());
    }

    #[test]
    fn what_was_just_written_is_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::open(folder.path()).unwrap();
        let file = disk.create("a").unwrap();
        assert_eq!(
            disk.create("a").err().map(|error| error.kind()),
            Some(io::ErrorKind::AlreadyExists)
        );
        file.write_at(3, b"content").unwrap();
        file.sync().unwrap();
        let mut buffer = [0; 16];
        // A file system that cannot say gives `None`, which is right as well.
        assert!(matches!(file.read_now(3, &mut buffer).unwrap(), None | Some(7)));
        assert_eq!(file.read_at(3, &mut buffer).unwrap(), 7);
        assert_eq!(&buffer[..7], b"content");
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::open(folder.path()).unwrap();
        for content in [&b"first"[..], b"second, longer", b""] {
            replace(&disk, "a", content).unwrap();
            assert_eq!(read_whole(&disk, "a", 100).unwrap(), content);
        }
        assert!(read_whole(&disk, "b", 100).is_err());
        replace(&disk, "a", &[0; 101]).unwrap();
        assert!(read_whole(&disk, "a", 100).is_err(), "too large");
        assert_eq!(disk.list().unwrap().len(), 1);
    }
}
