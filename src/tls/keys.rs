//! The keys that session tickets are sealed with, as they are kept: never used themselves, others are derived from them.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use parking_lot::Mutex;

use super::files::{Digest, Files};
use super::{Settings, TlsError};
use crate::clock::Clock;

/// How long a key of the edge's own seals; for as long again it still opens.
const PERIOD: Duration = Duration::from_secs(6 * 3600);
/// Less is not enough to derive keys of 256 bits from.
const LEAST: usize = 32;

/// A secret that keys are derived from.
#[derive(Clone)]
pub(super) struct Master(Prk);

impl Master {
    fn new(secret: &[u8]) -> Master {
        Master(Salt::new(HKDF_SHA256, b"verge session tickets").extract(secret))
    }

    fn random() -> Option<Master> {
        let mut secret = [0; 64];
        aws_lc_rs::rand::fill(&mut secret).ok()?;
        Some(Master::new(&secret))
    }

    /// 32 bytes that this secret and these parts of fixed lengths give (HKDF-Expand, RFC 5869 2.3).
    pub(super) fn derive(&self, parts: &[&[u8]]) -> Option<Digest> {
        let mut key = Digest::default();
        self.0.expand(parts, HKDF_SHA256).ok()?.fill(&mut key).ok()?;
        Some(key)
    }
}

/// The secrets in use: the first seals, all open.
#[derive(Clone)]
pub(super) enum Masters {
    /// Those of files.
    Given(Arc<[Master]>),
    /// The edge's own.
    Made(Arc<Rotating>),
}

impl Masters {
    /// Those of the files, else `made`.
    pub(super) fn new(settings: &Settings, files: &Files, made: &Arc<Rotating>, errors: &mut Vec<TlsError>) -> Masters {
        if settings.ticket_keys.is_empty() {
            return Masters::Made(made.clone());
        }
        let mut masters = Vec::new();
        for path in &settings.ticket_keys {
            match files.get(path) {
                Ok(secret) if secret.len() >= LEAST => masters.push(Master::new(secret)),
                Ok(secret) => {
                    let mend = format!("write `openssl rand 80 > {}`", path.display());
                    let what = format!("{} bytes are too few for a ticket key; {mend}", secret.len());
                    errors.push(TlsError::new(path, what));
                }
                Err(error) => errors.push(error),
            }
        }
        Masters::Given(masters.into())
    }

    /// Does `look` with the secrets of this moment.
    pub(super) fn with<T>(&self, look: impl FnOnce(&[Master]) -> T) -> T {
        match self {
            Masters::Given(masters) => look(masters),
            Masters::Made(made) => look(&made.now().masters),
        }
    }
}

/// Secrets of the edge's own, a new one every six hours; what the one before sealed can still be opened.
pub(super) struct Rotating {
    current: ArcSwap<Generation>,
    /// Held while the next generation is made; readers never wait for it otherwise.
    turning: Mutex<()>,
    clock: Arc<dyn Clock>,
}

struct Generation {
    since: Duration,
    masters: Vec<Master>,
}

impl Rotating {
    /// A first secret. None: the system has no random bytes to give.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Option<Rotating> {
        let first = Generation {
            since: clock.monotonic(),
            masters: vec![Master::random()?],
        };
        Some(Rotating {
            current: ArcSwap::from_pointee(first),
            turning: Mutex::new(()),
            clock,
        })
    }

    fn now(&self) -> Guard<Arc<Generation>> {
        let now = self.clock.monotonic();
        let current = self.current.load();
        if !current.is_over(now) {
            return current;
        }
        let _turning = self.turning.lock();
        // Another thread may have made the next one meanwhile.
        let current = self.current.load();
        if current.is_over(now) {
            self.current.store(Arc::new(current.next(now)));
        }
        self.current.load()
    }
}

impl Generation {
    fn is_over(&self, now: Duration) -> bool {
        now.saturating_sub(self.since) >= PERIOD
    }

    fn next(&self, now: Duration) -> Generation {
        let recent = now.saturating_sub(self.since) < PERIOD * 2;
        // Without random bytes no ticket is given until the next generation: sealing on with this secret would keep it
        // for longer than was said.
        let new = Master::random();
        let previous = self.masters.first().filter(|_| recent && new.is_some()).cloned();
        Generation {
            since: now,
            masters: new.into_iter().chain(previous).collect(),
        }
    }
}
