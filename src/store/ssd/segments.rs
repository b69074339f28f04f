//! The segments there are, by the slot that the index knows them by, and from the oldest to the newest.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::index::SEGMENT_SLOTS;
use crate::device::File;

const PREFIX: &str = "segment-";
/// Numbers that no store ever comes to; a file that has one is not its own.
const BEYOND: u64 = 1 << 62;

/// The name of a segment's file.
pub fn file_name(segment: u64) -> String {
    format!("{PREFIX}{segment:016x}")
}

/// The segment whose file has this name.
pub fn segment_of(file_name: &str) -> Option<u64> {
    let digits = file_name.strip_prefix(PREFIX)?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    (digits.len() == 16 && number < BEYOND).then_some(number)
}

/// A file of records, which is written once.
pub struct Segment {
    /// Its number. Numbers grow and are never used twice.
    pub id: u64,
    /// Its file. Who holds it can read on after the segment was reclaimed.
    pub file: Arc<dyn File>,
    size: AtomicU64,
    /// The oldest epoch of any record in it, as far as is known.
    oldest_epoch: AtomicU64,
    /// Held while recovery enters its records, and while it is given up.
    pub entering: Mutex<()>,
    gone: AtomicBool,
    /// Whether what is in it has been entered in the index.
    pub entered: AtomicBool,
}

impl Segment {
    /// A segment of so many bytes. Before it is known better, its oldest epoch is `oldest_epoch`.
    pub fn new(id: u64, file: Arc<dyn File>, size: u64, oldest_epoch: u64) -> Segment {
        Segment {
            id,
            file,
            size: AtomicU64::new(size),
            oldest_epoch: AtomicU64::new(oldest_epoch),
            entering: Mutex::new(()),
            gone: AtomicBool::new(false),
            entered: AtomicBool::new(false),
        }
    }

    /// Where the index knows it.
    pub fn slot(&self) -> u16 {
        (self.id % SEGMENT_SLOTS as u64) as u16
    }

    /// Bytes in its file.
    pub fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }

    /// The oldest epoch of any record in it.
    pub fn oldest_epoch(&self) -> u64 {
        self.oldest_epoch.load(Ordering::Relaxed)
    }

    /// Records of this epoch are in it.
    pub fn has_epoch(&self, epoch: u64) {
        self.oldest_epoch.fetch_min(epoch, Ordering::Relaxed);
    }

    /// It is known now that this is the oldest epoch in it.
    pub fn set_oldest_epoch(&self, epoch: u64) {
        self.oldest_epoch.store(epoch, Ordering::Relaxed);
    }

    /// Whether it was given up.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }
}

/// The segments by their slots. Replaced as a whole when one comes or goes, which is seldom.
type Slots = Vec<Option<Arc<Segment>>>;

/// The segments there are.
pub struct Segments {
    slots: ArcSwap<Slots>,
    order: Mutex<VecDeque<Arc<Segment>>>,
    bytes: AtomicU64,
    next: AtomicU64,
}

impl Segments {
    /// No segment; the first will have the number `next` or one that follows.
    pub fn new(next: u64) -> Segments {
        Segments {
            slots: ArcSwap::default(),
            order: Mutex::default(),
            bytes: AtomicU64::new(0),
            next: AtomicU64::new(next),
        }
    }

    /// A number for a new segment, whose slot is free.
    pub fn next_id(&self) -> u64 {
        loop {
            let id = self.next.fetch_add(1, Ordering::Relaxed);
            if self.get((id % SEGMENT_SLOTS as u64) as u16).is_none() {
                return id;
            }
        }
    }

    /// Adds segments, from the oldest to the newest, that are newer than all there are. Gives those whose slot was free.
    pub fn add(&self, segments: Vec<Arc<Segment>>) -> Vec<Arc<Segment>> {
        let mut order = self.order.lock();
        let mut slots = Slots::clone(&self.slots.load());
        let mut added = Vec::new();
        for segment in segments {
            let slot = usize::from(segment.slot());
            if slots.len() <= slot {
                slots.resize(slot + 1, None);
            }
            if slots[slot].is_none() {
                slots[slot] = Some(Arc::clone(&segment));
                self.bytes.fetch_add(segment.size(), Ordering::Relaxed);
                order.push_back(Arc::clone(&segment));
                added.push(segment);
            }
        }
        self.slots.store(Arc::new(slots));
        added
    }

    /// Notes that the file of a segment has grown.
    pub fn grow(&self, segment: &Segment, more: u64) {
        segment.size.fetch_add(more, Ordering::Relaxed);
        self.bytes.fetch_add(more, Ordering::Relaxed);
    }

    /// Takes a segment out. Its entries in the index are the caller's business.
    pub fn remove(&self, segment: &Segment) {
        segment.gone.store(true, Ordering::SeqCst);
        let mut order = self.order.lock();
        let before = order.len();
        order.retain(|known| known.id != segment.id);
        if order.len() < before {
            let mut slots = Slots::clone(&self.slots.load());
            slots[usize::from(segment.slot())] = None;
            self.slots.store(Arc::new(slots));
            self.bytes.fetch_sub(segment.size(), Ordering::Relaxed);
        }
    }

    /// Which slots have a segment.
    pub fn taken(&self) -> Vec<bool> {
        let slots = self.slots.load();
        let mut taken: Vec<bool> = slots.iter().map(Option::is_some).collect();
        taken.resize(SEGMENT_SLOTS, false);
        taken
    }

    /// The segment in a slot.
    pub fn get(&self, slot: u16) -> Option<Arc<Segment>> {
        self.slots.load().get(usize::from(slot)).cloned().flatten()
    }

    /// The oldest segment but for `open`.
    pub fn oldest(&self, open: Option<u64>) -> Option<Arc<Segment>> {
        let order = self.order.lock();
        order.iter().find(|segment| Some(segment.id) != open).cloned()
    }

    /// All of them, from the oldest to the newest.
    pub fn all(&self) -> Vec<Arc<Segment>> {
        self.order.lock().iter().cloned().collect()
    }

    /// Bytes in all files.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.order.lock().len()
    }

    /// The oldest epoch of any record in any of them; all ones if there is none.
    pub fn oldest_epoch(&self) -> u64 {
        let order = self.order.lock();
        order
            .iter()
            .map(|segment| segment.oldest_epoch())
            .min()
            .unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{Device, Faulty};

    #[test]
    fn names_are_numbers() {
        for id in [0, 1, 0xabc, BEYOND - 1] {
            assert_eq!(segment_of(&file_name(id)), Some(id));
        }
        for other in [
            "segment-1",
            "segment-000000000000000g",
            "checkpoint",
            "segment-00000000000000000",
            "segment-ffffffffffffffff",
            "",
        ] {
            assert_eq!(segment_of(other), None, "{other}");
        }
    }

    #[test]
    fn the_oldest_goes_first_and_no_slot_is_taken_twice() {
        let device = Faulty::new(1);
        let segments = Segments::new(65_534);
        let segment = |id: u64| {
            let file = device.create(&file_name(id)).unwrap();
            Arc::new(Segment::new(id, file, 100, id))
        };
        let ids: Vec<u64> = (0..4).map(|_| segments.next_id()).collect();
        assert_eq!(ids, [65_534, 65_535, 65_536, 65_537]);
        assert_eq!(segments.add(ids.into_iter().map(segment).collect()).len(), 4);
        assert!(segments.add(vec![segment(131_070)]).is_empty(), "its slot is taken");
        assert_eq!(
            (segments.bytes(), segments.len(), segments.oldest_epoch()),
            (400, 4, 65_534)
        );
        let oldest = segments.oldest(None).unwrap();
        assert_eq!((oldest.id, segments.oldest(Some(65_534)).unwrap().id), (65_534, 65_535));
        segments.remove(&oldest);
        segments.remove(&oldest);
        assert!(oldest.is_gone() && segments.get(65_534).is_none());
        assert_eq!((segments.bytes(), segments.oldest_epoch()), (300, 65_535));
    }
}
