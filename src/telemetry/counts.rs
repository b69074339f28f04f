//! Counters of what happens less often than requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::Histogram;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// One more.
    pub fn up(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// How many there have been.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Clients' connections.
#[derive(Debug, Default)]
pub struct ConnectionCounts {
    /// Taken in clear text.
    pub clear: Count,
    /// Taken where TLS is spoken.
    pub tls: Count,
    /// Refused because there were too many.
    pub too_many: Count,
    /// Refused because too many from a suspect address were waiting.
    pub suspect: Count,
    /// Refused because too many handshakes were under way.
    pub too_many_handshakes: Count,
    /// Handshakes: in TLS 1.2 and 1.3, of new sessions and of resumed ones.
    pub handshakes: [[Count; 2]; 2],
    /// Handshakes that failed or took too long.
    pub failed_handshakes: Count,
}

/// What one origin was asked.
#[derive(Debug)]
pub struct OriginCounts {
    /// Its name.
    pub name: Arc<str>,
    /// Responses by the first digit of their status, from 1 to 5.
    pub responses: [Count; 5],
    /// No response, by RFC 9209 error type.
    pub errors: Mutex<Vec<(&'static str, u64)>>,
    /// Connections that were opened for a request, and kept ones that were used again.
    pub opened: Count,
    /// Kept ones that were used again.
    pub reused: Count,
    /// To the end of the response's head.
    pub first_byte: Histogram,
}

impl OriginCounts {
    /// Nothing counted yet.
    pub fn new(name: &str) -> Self {
        OriginCounts {
            name: name.into(),
            responses: Default::default(),
            errors: Mutex::default(),
            opened: Count::default(),
            reused: Count::default(),
            first_byte: Histogram::default(),
        }
    }

    /// There was no response, for this reason.
    pub fn failed(&self, error: &'static str) {
        let mut errors = self.errors.lock();
        match errors.iter_mut().find(|(known, _)| *known == error) {
            Some((_, count)) => *count += 1,
            None => errors.push((error, 1)),
        }
    }

    /// There was a response of this status, after so long.
    pub fn answered(&self, status: http::StatusCode, after: std::time::Duration) {
        self.responses[super::site::class(status)].up();
        self.first_byte.observe(after);
    }
}
