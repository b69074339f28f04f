//! Files in one folder, as the store and the journal of purges use them.
//!
//! All that is kept goes through [`Device`], so that [`Faulty`] can stand in for a disk: what a power failure, a full
//! disk or a flipped bit does is then tried by seeds.

mod checksum;
mod disk;
mod faulty;
mod read_only;

use std::io;
use std::sync::Arc;

pub use checksum::{checksum, mix};
pub use disk::Disk;
pub use faulty::{Faults, Faulty};
pub use read_only::ReadOnly;

/// A folder of files. Names are plain: no separators.
pub trait Device: Send + Sync {
    /// Takes the folder for this process. `false`: another one has it.
    fn lock(&self) -> io::Result<bool>;

    /// The files there are, in no order.
    fn list(&self) -> io::Result<Vec<Listed>>;

    /// A new file. Fails with [`io::ErrorKind::AlreadyExists`] if there is one of this name.
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// A file that exists.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Gives a file another name, at once and in place of what had it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a name. Who has the file open keeps it.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Puts creations, renamings and removals on the device.
    fn sync_names(&self) -> io::Result<()>;
}

/// A file that is open for reading and writing.
pub trait File: Send + Sync {
    /// Bytes in it.
    fn size(&self) -> io::Result<u64>;

    /// Writes all of `bytes` at the offset `at`.
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Reads at the offset `at`; says how much, which is less than asked for at the file's end, and may be elsewhere.
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Reads what is in memory, without waiting for the device; `None` if nothing of it is.
    fn read_now(&self, at: u64, buffer: &mut [u8]) -> io::Result<Option<usize>>;

    /// Puts what was written on the device.
    fn sync(&self) -> io::Result<()>;
}

/// A file as [`Device::list`] tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Bytes in it.
    pub size: u64,
}

/// Reads until `buffer` is full or the file ends; says how much.
pub fn read_fully(file: &dyn File, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut come = 0;
    while come < buffer.len() {
        match file.read_at(at + come as u64, &mut buffer[come..])? {
            0 => break,
            more => come += more,
        }
    }
    Ok(come)
}

/// All of a file, which is refused if it is larger than `most` bytes.
pub fn read_whole(device: &dyn Device, name: &str, most: u64) -> io::Result<Vec<u8>> {
    let file = device.open(name)?;
    let size = file.size()?;
    if size > most {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "larger than such a file can be",
        ));
    }
    let mut content = vec![0; size as usize];
    let come = read_fully(&*file, 0, &mut content)?;
    content.truncate(come);
    Ok(content)
}

/// Puts a file of this content in place of what has the name, on the device when this returns. A crash on the way leaves
/// the old one or the new one.
pub fn replace(device: &dyn Device, name: &str, content: &[u8]) -> io::Result<Arc<dyn File>> {
    let temporary = format!("{name}.new");
    if device
        .remove(&temporary)
        .is_err_and(|error| error.kind() != io::ErrorKind::NotFound)
    {
        return Err(io::Error::other("what an earlier attempt left cannot be removed"));
    }
    let file = device.create(&temporary)?;
    file.write_at(0, content)?;
    file.sync()?;
    device.rename(&temporary, name)?;
    device.sync_names()?;
    Ok(file)
}
