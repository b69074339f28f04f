//! How many bytes of bodies are alive, wherever they are held: in the store, by a fill, or pinned by a reader.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

/// A count of live body bytes. Clones share the count.
#[derive(Clone, Debug, Default)]
pub struct Gauge {
    live: Arc<AtomicU64>,
}

struct Held {
    bytes: Bytes,
    live: Arc<AtomicU64>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.live.fetch_sub(self.bytes.len() as u64, Ordering::Relaxed);
    }
}

impl Gauge {
    /// The same bytes, counted until the last clone or slice of them is gone.
    pub fn hold(&self, bytes: Bytes) -> Bytes {
        self.live.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Bytes::from_owner(Held {
            bytes,
            live: Arc::clone(&self.live),
        })
    }

    /// Bytes alive now.
    pub fn live(&self) -> u64 {
        self.live.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_count_while_any_slice_lives() {
        let gauge = Gauge::default();
        let held = gauge.hold(Bytes::from_static(b"hello"));
        let slice = held.slice(1..2);
        drop(held);
        assert_eq!(gauge.live(), 5);
        drop(slice);
        assert_eq!(gauge.live(), 0);
    }
}
