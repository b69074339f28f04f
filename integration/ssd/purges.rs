//! How long it takes until a purge is on the device.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use verge::device::Disk;
use verge::purge::{Epoch, Journal, Mode, Purges, Reserve, Selector};

const PURGES: u64 = 2000;

#[derive(Default)]
struct InMemory(AtomicU64);

impl Reserve for InMemory {
    fn reserved(&self) -> Epoch {
        self.0.load(Ordering::SeqCst)
    }

    fn reserve(&self, through: Epoch) -> std::io::Result<()> {
        self.0.store(through, Ordering::SeqCst);
        Ok(())
    }
}

pub fn measure(folder: &Path) {
    let disk = Arc::new(Disk::open(folder).expect("a folder"));
    let (journal, replay) = Journal::open(disk, Arc::new(InMemory::default()));
    let purges = Purges::restored(&replay);
    for threads in [1, 8] {
        let each = || {
            let one = |_| {
                let begun = Instant::now();
                let selector = Selector::Url(u128::from(purges.latest()));
                let epoch = purges.purge(&selector, Mode::Hard);
                journal.record(epoch, &selector, Mode::Hard).expect("it is written");
                begun.elapsed()
            };
            (0..PURGES / threads).map(one).collect::<Vec<Duration>>()
        };
        let mut took: Vec<Duration> = std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(each)).collect();
            let taken = running.into_iter().flat_map(|thread| thread.join().expect("it ends"));
            taken.collect()
        });
        took.sort();
        let at = |share: f64| took[(took.len() as f64 * share) as usize].as_secs_f64() * 1e3;
        println!(
            "  {threads} at a time: median {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms",
            at(0.5),
            at(0.99),
            at(0.999)
        );
    }
}
