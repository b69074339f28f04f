//! A folder of the machine's own that is only looked at, maybe beside the process that uses it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::disk::{LOCK, OnDisk, list};
use super::{Device, File, Listed};

/// A folder of which nothing is ever changed. What would change it fails.
#[derive(Debug)]
pub struct ReadOnly {
    path: PathBuf,
}

impl ReadOnly {
    /// The folder at `path`. Fails with [`io::ErrorKind::NotFound`] if there is none.
    pub fn open(path: &Path) -> io::Result<ReadOnly> {
        fs::read_dir(path)?;
        Ok(ReadOnly { path: path.to_owned() })
    }

    /// Whether a process has the folder. The lock is held for a moment, which [`super::Disk`] knows from being used.
    pub fn is_in_use(&self) -> io::Result<bool> {
        let file = match fs::File::open(self.path.join(LOCK)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            opened => opened?,
        };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(false),
            Err(Errno::WOULDBLOCK) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }
}

fn refused<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl Device for ReadOnly {
    fn lock(&self) -> io::Result<bool> {
        refused()
    }

    fn list(&self) -> io::Result<Vec<Listed>> {
        list(&self.path)
    }

    fn create(&self, _: &str) -> io::Result<Arc<dyn File>> {
        refused()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(OnDisk(fs::File::open(self.path.join(name))?)))
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        refused()
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        refused()
    }

    fn sync_names(&self) -> io::Result<()> {
        refused()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Disk;
    use super::*;

    #[test]
    fn it_is_known_whether_a_process_has_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let looked_at = ReadOnly::open(folder.path()).unwrap();
        assert!(!looked_at.is_in_use().unwrap(), "it was never used");
        let disk = Disk::open(folder.path()).unwrap();
        assert!(disk.lock().unwrap() && looked_at.is_in_use().unwrap());
        drop(disk);
        assert!(!looked_at.is_in_use().unwrap());
    }

    #[test]
    fn a_look_keeps_nobody_from_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        Disk::open(folder.path()).unwrap().lock().unwrap();
        let (looked_at, path) = (ReadOnly::open(folder.path()).unwrap(), folder.path());
        std::thread::scope(|scope| {
            let looks = scope.spawn(|| (0..20_000).for_each(|_| _ = looked_at.is_in_use().unwrap()));
            while !looks.is_finished() {
                assert!(Disk::open(path).unwrap().lock().unwrap());
            }
        });
    }

    #[test]
    fn nothing_can_be_changed() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::open(folder.path()).unwrap();
        disk.create("a").unwrap().write_at(0, b"content").unwrap();
        let device = ReadOnly::open(folder.path()).unwrap();
        let file = device.open("a").unwrap();
        assert!(file.write_at(0, b"C").is_err() && device.create("b").is_err() && device.lock().is_err());
        assert!(device.rename("a", "b").is_err() && device.remove("a").is_err() && device.sync_names().is_err());
        assert_eq!(super::super::read_whole(&device, "a", 100).unwrap(), b"content");
        assert!(ReadOnly::open(&folder.path().join("b")).is_err());
        assert_eq!(device.list().unwrap().len(), 1);
    }
}
