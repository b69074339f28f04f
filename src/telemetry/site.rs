//! What is counted for each request, by site.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::StatusCode;

use super::counts::Count;
use super::histogram::{Histogram, Observed};
use super::metrics::{METHODS, OUTCOMES, PROTOCOLS, STATUSES};
use super::record::{MethodClass, Outcome, Protocol};
use crate::access::Reason;

const KINDS: usize = METHODS.len() * STATUSES.len() * PROTOCOLS.len() * OUTCOMES.len();

thread_local! {
    /// This thread's shard of everything that is sharded; 0 is shared by all that do not serve.
    static SHARD: Cell<usize> = const { Cell::new(0) };
}

/// Has this thread count in a shard of its own; serving threads take 1 and up.
pub fn use_shard(shard: usize) {
    SHARD.set(shard);
}

/// The shard of this thread.
pub(super) fn shard() -> usize {
    SHARD.get()
}

/// What is counted for one site.
#[derive(Debug)]
pub struct SiteCounts {
    /// Its name.
    pub name: Arc<str>,
    /// Made when first used: most sites of a long configuration are quiet, on most threads.
    shards: Vec<OnceLock<Box<Shard>>>,
    /// Requests without a good token, in the order of [`Reason::ALL`].
    denied: [Count; Reason::ALL.len()],
}

/// What one thread counts of a site. Boxed apart, so that no two threads write to one line of memory.
#[derive(Debug)]
#[repr(align(128))]
struct Shard {
    requests: [AtomicU64; KINDS],
    request_bytes: AtomicU64,
    response_bytes: AtomicU64,
    aborted: AtomicU64,
    duration: [Histogram; OUTCOMES.len()],
    first_byte: [Histogram; OUTCOMES.len()],
}

/// One answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answered {
    pub method: MethodClass,
    pub status: StatusCode,
    pub protocol: Protocol,
    pub outcome: Outcome,
    pub bytes: u64,
    pub duration: Duration,
    pub first_byte: Duration,
    pub aborted: bool,
}

/// The sums over all shards of a site.
#[derive(Debug, Default)]
pub(super) struct SiteSums {
    /// Method, status, protocol, outcome, and how many; those that occurred.
    pub requests: Vec<([&'static str; 4], u64)>,
    pub request_bytes: u64,
    pub response_bytes: u64,
    pub aborted: u64,
    pub duration: [Observed; OUTCOMES.len()],
    pub first_byte: [Observed; OUTCOMES.len()],
}

impl SiteCounts {
    pub(super) fn new(name: &str, shards: usize) -> Self {
        SiteCounts {
            name: name.into(),
            shards: (0..shards).map(|_| OnceLock::new()).collect(),
            denied: Default::default(),
        }
    }

    fn shard(&self) -> &Shard {
        let at = SHARD.get() % self.shards.len();
        self.shards[at].get_or_init(Box::default)
    }

    pub(super) fn answered(&self, answered: &Answered) {
        let shard = self.shard();
        shard.requests[kind(answered)].fetch_add(1, Ordering::Relaxed);
        shard.response_bytes.fetch_add(answered.bytes, Ordering::Relaxed);
        let outcome = answered.outcome as usize;
        shard.duration[outcome].observe(answered.duration);
        shard.first_byte[outcome].observe(answered.first_byte);
        if answered.aborted {
            shard.aborted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// So many bytes of a request's body came.
    pub fn received(&self, bytes: u64) {
        self.shard().request_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A request had no good token.
    pub fn denied(&self, reason: Reason) {
        self.denied[reason as usize].up();
    }

    /// Why requests had none, and how many.
    pub(super) fn denials(&self) -> impl Iterator<Item = (Reason, u64)> {
        let counts = self.denied.iter().map(Count::get);
        Reason::ALL.iter().copied().zip(counts)
    }

    pub(super) fn sums(&self) -> SiteSums {
        let mut sums = SiteSums::default();
        let mut requests = vec![0; KINDS];
        for shard in self.shards.iter().filter_map(OnceLock::get) {
            for (sum, count) in requests.iter_mut().zip(&shard.requests) {
                *sum += count.load(Ordering::Relaxed);
            }
            sums.request_bytes += shard.request_bytes.load(Ordering::Relaxed);
            sums.response_bytes += shard.response_bytes.load(Ordering::Relaxed);
            sums.aborted += shard.aborted.load(Ordering::Relaxed);
            for at in 0..OUTCOMES.len() {
                shard.duration[at].add_to(&mut sums.duration[at]);
                shard.first_byte[at].add_to(&mut sums.first_byte[at]);
            }
        }
        let occurred = requests.into_iter().enumerate().filter(|(_, count)| *count > 0);
        sums.requests = occurred.map(|(kind, count)| (labels(kind), count)).collect();
        sums
    }
}

impl Default for Shard {
    fn default() -> Self {
        Shard {
            requests: [const { AtomicU64::new(0) }; KINDS],
            request_bytes: AtomicU64::new(0),
            response_bytes: AtomicU64::new(0),
            aborted: AtomicU64::new(0),
            duration: Default::default(),
            first_byte: Default::default(),
        }
    }
}

fn kind(answered: &Answered) -> usize {
    let mut kind = answered.method as usize;
    kind = kind * STATUSES.len() + class(answered.status);
    kind = kind * PROTOCOLS.len() + answered.protocol as usize;
    kind * OUTCOMES.len() + answered.outcome as usize
}

fn labels(kind: usize) -> [&'static str; 4] {
    let (rest, outcome) = (kind / OUTCOMES.len(), kind % OUTCOMES.len());
    let (rest, protocol) = (rest / PROTOCOLS.len(), rest % PROTOCOLS.len());
    let (method, status) = (rest / STATUSES.len(), rest % STATUSES.len());
    [
        METHODS[method],
        STATUSES[status],
        PROTOCOLS[protocol],
        OUTCOMES[outcome],
    ]
}

/// A status' place among [`STATUSES`]; those that no RFC knows are counted as errors of a server.
pub(super) fn class(status: StatusCode) -> usize {
    match status.as_u16() / 100 {
        digit @ 1..=5 => usize::from(digit) - 1,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_add_up() {
        let site = SiteCounts::new("a", 3);
        let answered = Answered {
            method: MethodClass::Head,
            status: StatusCode::NOT_FOUND,
            protocol: Protocol::H2,
            outcome: Outcome::Collapsed,
            bytes: 10,
            duration: Duration::from_secs(2),
            first_byte: Duration::from_secs(1),
            aborted: true,
        };
        std::thread::scope(|scope| {
            for shard in 0..3 {
                let site = &site;
                scope.spawn(move || {
                    use_shard(shard);
                    site.answered(&answered);
                    site.received(5);
                });
            }
        });
        let sums = site.sums();
        assert_eq!(sums.requests, [(["HEAD", "4xx", "h2", "collapsed"], 3)]);
        assert_eq!((sums.request_bytes, sums.response_bytes, sums.aborted), (15, 30, 3));
        assert_eq!(sums.duration[Outcome::Collapsed as usize].seconds, 6.0);
        assert_eq!(sums.first_byte[Outcome::Collapsed as usize].count(), 3);
    }
}
