//! Whether all that is in a folder is what was written.

use std::ops::Range;

use super::super::checkpoint;
use super::super::format::{BLOCK, FOOTER, Footer, Head, SEGMENT_HEADER, Summarised, body_is_right};
use super::super::open::{OpenError, SUPERBLOCK};
use super::super::segments::file_name;
use super::{Hint, Inspector, Look};
use crate::device::read_fully;
use crate::purge::JOURNAL_FILE;

/// Something that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file that it is in.
    pub file: String,
    /// Where it begins in the file, in bytes.
    pub at: u64,
    /// What it is.
    pub what: &'static str,
}

/// What was checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Segments.
    pub segments: u64,
    /// Records.
    pub records: u64,
    /// Bytes in those records.
    pub bytes: u64,
    /// Bytes that were damaged before their segment was sealed, and which no summary tells of.
    pub given_up: u64,
    /// Bytes at the end of the newest segment that are no whole record yet.
    pub unfinished: u64,
    /// How much is damaged.
    pub damaged: u64,
}

/// Is told of damage.
type Told<'a> = &'a mut dyn FnMut(&Damage);

impl Inspector {
    /// Reads every record of every segment, and all else, and checks every checksum.
    ///
    /// # Errors
    /// A segment cannot be opened.
    pub fn verify(&self, told: Told<'_>) -> Result<Verified, OpenError> {
        let mut verified = Verified::default();
        let mut damaged = 0;
        let mut counting = |file: &str, at: u64, what: &'static str| {
            damaged += 1;
            told(&Damage {
                file: file.to_owned(),
                at,
                what,
            });
        };
        for (copy, right) in self.copies.iter().enumerate() {
            if !right {
                counting(SUPERBLOCK, copy as u64 * 4096, "a copy of the superblock");
            }
        }
        for number in &self.segments {
            if let Some(look) = self.look(*number)? {
                let file = file_name(*number);
                self.verify_segment(&look, &mut verified, &mut |at, what| counting(&file, at, what));
            }
        }
        if self.checkpoint() == Hint::Damaged {
            counting(checkpoint::FILE, 0, "the checkpoint");
        }
        if self.purges().is_some_and(|purges| purges.damaged.is_some()) {
            counting(JOURNAL_FILE, 0, "the journal of purges");
        }
        verified.damaged = damaged;
        Ok(verified)
    }

    fn verify_segment(&self, look: &Look, verified: &mut Verified, told: &mut dyn FnMut(u64, &'static str)) {
        verified.segments += 1;
        if look.size < SEGMENT_HEADER && self.is_newest(look) {
            verified.unfinished += look.size;
            return;
        }
        if self.begun(look).is_none() {
            told(0, "the segment's header");
        }
        let mut passed_over = look.passed_over.clone();
        if let Some((at, what)) = self.seal_fault(look) {
            told(at, what);
            // It is what the end of the segment is taken up by.
            passed_over.retain(|range| range.end < look.size);
        }
        self.judge_passed_over(look, &passed_over, verified, told);
        for record in &look.records {
            verified.records += 1;
            verified.bytes += record.length;
            self.verify_record(look, record, told);
        }
    }

    /// Whether it may be written to at this moment, or was when the process ended.
    fn is_newest(&self, look: &Look) -> bool {
        self.segments.last() == Some(&look.number)
    }

    /// What is wrong with the end of a segment that was sealed, as far as that can be told.
    fn seal_fault(&self, look: &Look) -> Option<(u64, &'static str)> {
        if look.sealed {
            return None;
        }
        let at = look.size.checked_sub(FOOTER)?;
        let mut end = [0; FOOTER as usize];
        read_fully(&*look.file, at, &mut end).ok()?;
        match Footer::read(&end, self.store.seed, look.number, look.size) {
            Some(footer) => Some((footer.summary_at, "the segment's summary")),
            None => Footer::stands_in(&end).then_some((at, "the segment's footer")),
        }
    }

    /// What is no record is damage, unless it was known for that, or may be on its way.
    fn judge_passed_over(
        &self,
        look: &Look,
        passed_over: &[Range<u64>],
        verified: &mut Verified,
        told: &mut dyn FnMut(u64, &'static str),
    ) {
        for range in passed_over {
            let bytes = range.end.min(look.size) - range.start;
            match range.end >= look.size {
                _ if look.sealed => verified.given_up += bytes,
                true if self.is_newest(look) => verified.unfinished += bytes,
                true => told(range.start, "the end of a segment that was not sealed"),
                false => told(range.start, "what should be a record"),
            }
        }
    }

    fn verify_record(&self, look: &Look, record: &Summarised, told: &mut dyn FnMut(u64, &'static str)) {
        let read = self.record(&*look.file, look.number, record.at, record.length);
        let is_it = |head: &Head| (head.name, head.part, head.kind) == (record.name, record.part, record.kind);
        let Some((head, bytes)) = read.filter(|(head, _)| is_it(head)) else {
            return told(record.at, "the head of a record");
        };
        let before = head.before_body();
        let body = &bytes[before..before + head.body];
        for (number, block) in body.chunks(BLOCK).enumerate() {
            if !body_is_right(&head, &bytes, self.store.seed, number, block) {
                told(record.at + (before + number * BLOCK) as u64, "a block of a body");
            }
        }
    }
}
