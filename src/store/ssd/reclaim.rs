//! Making room: the oldest segment goes, and what was hit in it is written again.
//!
//! Always the oldest. What replaced or removed something lies behind it in the log, so it can only go after it, and
//! nothing that was replaced or removed is ever found again; were a colder segment taken out of turn, it would be. The
//! share of what is written again is bounded, and with it the wear of the device. Measured under a Zipf load, this
//! keeps nearly all of what choosing the coldest segment would keep; `integration/ssd.rs` shows both.

use std::cmp::Reverse;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::format::{FOOTER, Footer, Head, Kind, Summarised, body_is_right, summary};
use super::index::Entry;
use super::segments::{Segment, file_name};
use super::writer::Writer;
use crate::clock::Now;
use crate::device::{File, read_fully};

impl Writer {
    /// Gives up segments until a new one fits beside those there are.
    pub(super) fn make_room(&mut self, now: Now) -> io::Result<()> {
        let size = self.engine().settings.segment();
        while self.engine().room() < size {
            let Some(oldest) = self.engine().segments.oldest(self.open_id()) else {
                return Ok(());
            };
            self.reclaim(&oldest, now)?;
        }
        Ok(())
    }

    fn reclaim(&mut self, segment: &Arc<Segment>, now: Now) -> io::Result<()> {
        let entered = segment.entered.load(Ordering::SeqCst);
        let summary = read_summary(&*segment.file, segment.id, self.engine().seed).filter(|_| entered);
        let Some((records, _)) = summary else {
            // Its records are not known yet, or not any more.
            self.drop_segment(segment);
            return Ok(());
        };
        self.keep_what_was_hit(segment, &records, now)?;
        // Before the only other copy of it goes.
        self.flush_and_sync(now)?;
        for (record, entry) in self.here(segment, &records) {
            let engine = self.engine();
            engine
                .index
                .remove_entry(engine.index.place(record.name, record.part), entry);
        }
        self.remove_segment(segment);
        Ok(())
    }

    /// Gives a segment up with all that is in it.
    pub(super) fn drop_segment(&mut self, segment: &Arc<Segment>) {
        self.remove_segment(segment);
        let slot = segment.slot();
        self.engine().index.sweep(|entry| entry.slot() == slot);
    }

    fn remove_segment(&mut self, segment: &Arc<Segment>) {
        let engine = self.engine();
        {
            let _entering = segment.entering.lock();
            engine.segments.remove(segment);
        }
        engine.counts.reclaimed.up();
        if engine.device.remove(&file_name(segment.id)).is_err() {
            // Its name may be gone already, and what cannot be removed is in nobody's way but the file system's.
            engine.counts.device_errors.up();
        }
    }

    fn keep_what_was_hit(&mut self, segment: &Arc<Segment>, records: &[Summarised], now: Now) -> io::Result<()> {
        let engine = Arc::clone(self.engine());
        let mut room = (engine.settings.segment() as f64 * engine.settings.reinserted) as u64;
        let mut hit: Vec<_> = self
            .here(segment, records)
            .filter(|(_, entry)| entry.hits() > 0)
            .collect();
        hit.sort_by_key(|(record, entry)| (Reverse(entry.hits()), record.at));
        for (record, entry) in hit {
            if record.length > room {
                continue;
            }
            let Some((head, bytes, epoch)) = self.worth_keeping(segment, record) else {
                continue;
            };
            if self.keep(&head, bytes, entry, epoch, now)? {
                room -= record.length;
                engine.counts.reinserted[0].up();
                engine.counts.reinserted[1].add(record.length);
            }
        }
        Ok(())
    }

    /// What the index still has in a segment.
    fn here<'a>(&self, segment: &Segment, records: &'a [Summarised]) -> impl Iterator<Item = (&'a Summarised, Entry)> {
        let engine = Arc::clone(self.engine());
        let slot = segment.slot();
        let stored = records.iter().filter(|record| record.kind != Kind::Tombstone);
        stored.filter_map(move |record| {
            let entry = engine.index.find(engine.index.place(record.name, record.part))?;
            (entry.slot() == slot && entry.at() == record.at).then_some((record, entry))
        })
    }

    /// A record, if all of it is right and the judge has a use for it; and its epoch from now on.
    fn worth_keeping(&self, segment: &Segment, record: &Summarised) -> Option<(Head, Vec<u8>, u64)> {
        let engine = self.engine();
        let mut bytes = vec![0; record.length as usize];
        let come = read_fully(&*segment.file, record.at, &mut bytes).unwrap_or(0);
        let head = Head::read(&bytes).filter(|head| {
            let named = (head.name, head.part, head.length()) == (record.name, record.part, record.length);
            named && come == bytes.len() && head.is_right(&bytes, engine.seed, segment.id, record.at)
        });
        let right = head.filter(|head| {
            let body = &bytes[head.before_body()..][..head.body];
            body_is_right(head, &bytes, engine.seed, 0, body)
        });
        let Some(head) = right else {
            engine.counts.damaged.up();
            return None;
        };
        let (key, meta) = (
            &bytes[head.key_at()..][..head.key],
            &bytes[head.meta_at()..][..head.meta],
        );
        let epoch = (engine.settings.judge)(&head, key, meta)?;
        Some((head, bytes, epoch))
    }
}

/// What the summary of a sealed segment tells, and the oldest epoch in it.
pub(super) fn read_summary(file: &dyn File, segment: u64, seed: u64) -> Option<(Vec<Summarised>, u64)> {
    let size = file.size().ok()?;
    let mut end = [0; FOOTER as usize];
    let at = size.checked_sub(FOOTER)?;
    if read_fully(file, at, &mut end).ok()? != end.len() {
        return None;
    }
    let footer = Footer::read(&end, seed, segment, size)?;
    let mut bytes = vec![0; (at - footer.summary_at) as usize];
    read_fully(file, footer.summary_at, &mut bytes).ok()?;
    let records = summary(&bytes, &footer, seed, segment)?;
    Some((records, footer.oldest_epoch))
}
