//! A folder in memory that keeps no pages of zeros, so that bodies of zeros take no room: as large as a disk.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use verge::device::{Device, File, Listed};

const PAGE: usize = 4096;
static ZEROS: [u8; PAGE] = [0; PAGE];

#[derive(Default)]
pub struct Sparse(Mutex<HashMap<String, Arc<Pages>>>);

#[derive(Default)]
struct Pages(Mutex<Content>);

#[derive(Default)]
struct Content {
    size: u64,
    pages: HashMap<u64, Box<[u8; PAGE]>>,
}

impl Content {
    fn page(&mut self, number: u64) -> &mut [u8; PAGE] {
        self.pages.entry(number).or_insert_with(|| Box::new(ZEROS))
    }
}

/// The parts of `length` bytes from `at` on, by pages: the page, where in it, and where in the whole.
fn parts(at: u64, length: usize) -> impl Iterator<Item = (u64, std::ops::Range<usize>, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let from = (at as usize + done) % PAGE;
        let page = (at as usize + done) / PAGE;
        let more = (PAGE - from).min(length - done);
        done += more;
        (more > 0).then(|| (page as u64, from..from + more, done - more))
    })
}

impl File for Pages {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().size)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut content = self.0.lock().unwrap();
        content.size = content.size.max(at + bytes.len() as u64);
        for (page, within, from) in parts(at, bytes.len()) {
            let piece = &bytes[from..from + within.len()];
            if piece != &ZEROS[..piece.len()] || content.pages.contains_key(&page) {
                content.page(page)[within].copy_from_slice(piece);
            }
        }
        Ok(())
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let content = self.0.lock().unwrap();
        let length = buffer.len().min(content.size.saturating_sub(at) as usize);
        for (page, within, from) in parts(at, length) {
            let page = content.pages.get(&page).map_or(&ZEROS, |page| &**page);
            buffer[from..from + within.len()].copy_from_slice(&page[within]);
        }
        Ok(length)
    }

    fn read_now(&self, at: u64, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        self.read_at(at, buffer).map(Some)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Device for Sparse {
    fn lock(&self) -> io::Result<bool> {
        Ok(true)
    }

    fn list(&self) -> io::Result<Vec<Listed>> {
        let files = self.0.lock().unwrap();
        let listed = files.iter().map(|(name, file)| Listed {
            name: name.clone(),
            size: file.0.lock().unwrap().size,
        });
        Ok(listed.collect())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let file = Arc::<Pages>::default();
        self.0.lock().unwrap().insert(name.to_owned(), Arc::clone(&file));
        Ok(file)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let files = self.0.lock().unwrap();
        let file = files.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::clone(file) as Arc<dyn File>)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.0.lock().unwrap();
        let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let removed = self.0.lock().unwrap().remove(name);
        removed.map(|_| ()).ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync_names(&self) -> io::Result<()> {
        Ok(())
    }
}
