//! Reading a segment record by record, where there is no summary to go by.

use std::ops::Range;

use super::format::{ALIGN, Head, SEGMENT_HEADER, Summarised};
use crate::device::{File, read_fully};

/// Bytes that are read at a time.
const STEP: usize = 64 * 1024;
/// Bytes that a head may be before its record is read for it alone.
const HEAD_AT_ONCE: usize = 4096;

/// A segment's file, as far as it is read.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The file.
    pub file: &'a dyn File,
    /// The seed of the store's checksums.
    pub seed: u64,
    /// The segment's number.
    pub segment: u64,
    /// Bytes in it.
    pub size: u64,
}

/// What a segment holds.
#[derive(Debug, Default)]
pub struct Scanned {
    /// Its records, in the order in which they stand.
    pub records: Vec<Summarised>,
    /// The oldest epoch of any of them; all ones if there is none.
    pub oldest_epoch: u64,
    /// What is no record, between two or behind the last.
    pub passed_over: Vec<Range<u64>>,
}

/// Reads a segment. What is damaged is passed over until a record is right again.
pub fn scan(source: Source<'_>) -> Scanned {
    let mut scanner = Scanner::new(source);
    let mut scanned = Scanned {
        oldest_epoch: u64::MAX,
        ..Scanned::default()
    };
    let mut at = SEGMENT_HEADER;
    while at < source.size {
        match scanner.head(at) {
            Some(head) => {
                scanned.oldest_epoch = scanned.oldest_epoch.min(head.epoch);
                scanned.records.push(Summarised {
                    name: head.name,
                    part: head.part,
                    kind: head.kind,
                    at,
                    length: head.length(),
                });
                at += head.length();
            }
            None => {
                match scanned.passed_over.last_mut().filter(|last| last.end == at) {
                    Some(last) => last.end += ALIGN,
                    None => scanned.passed_over.push(at..at + ALIGN),
                }
                at += ALIGN;
            }
        }
    }
    scanned
}

/// Reads heads of records, a stretch of the file at a time.
struct Scanner<'a> {
    source: Source<'a>,
    window: Vec<u8>,
    window_at: u64,
}

impl<'a> Scanner<'a> {
    fn new(source: Source<'a>) -> Scanner<'a> {
        Scanner {
            source,
            window: Vec::new(),
            window_at: 0,
        }
    }

    /// The head of the record that begins at `at`, if one does.
    fn head(&mut self, at: u64) -> Option<Head> {
        let Source {
            seed, segment, size, ..
        } = self.source;
        let head = Head::read(self.bytes(at, Head::LEAST)?)?;
        let bytes = self.bytes(at, head.before_body())?;
        let whole = at + (head.before_body() + head.body) as u64 <= size;
        (whole && head.is_right(bytes, seed, segment, at)).then_some(head)
    }

    /// Bytes of the segment from `at` on.
    fn bytes(&mut self, at: u64, length: usize) -> Option<&[u8]> {
        let end = self.window_at + self.window.len() as u64;
        if at < self.window_at || at + length as u64 > end {
            // After a large record only its head is of interest; among small ones the next is likely to be near.
            let near = at < end + STEP as u64;
            self.window
                .resize(length.max(if near { STEP } else { HEAD_AT_ONCE }), 0);
            let come = read_fully(self.source.file, at, &mut self.window).unwrap_or(0);
            self.window.truncate(come);
            self.window_at = at;
        }
        let from = (at - self.window_at) as usize;
        self.window.get(from..from + length)
    }
}
