//! Interim responses on their way to whoever asked.

use std::collections::VecDeque;

use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;

/// More than one exchange and its repetition may have (see `exchange.rs`), so that nothing is lost to a reader who keeps up.
const MOST: usize = 16;

/// Interim responses on their way to whoever asked (RFC 9110 15.2), in order.
///
/// The fetch fills it while it is polled, so who polls the fetch looks here after each poll.
#[derive(Debug, Default)]
pub struct Interims {
    waiting: Mutex<VecDeque<(StatusCode, HeaderMap)>>,
}

impl Interims {
    /// Adds one at the end. With 16 waiting it is dropped: interim responses may be lost, memory may not.
    pub fn push(&self, status: StatusCode, fields: HeaderMap) {
        let mut waiting = self.waiting.lock();
        if waiting.len() < MOST {
            waiting.push_back((status, fields));
        }
    }

    /// Takes the one that has waited the longest.
    pub fn pop(&self) -> Option<(StatusCode, HeaderMap)> {
        self.waiting.lock().pop_front()
    }

    /// Whether none is waiting.
    pub fn is_empty(&self) -> bool {
        self.waiting.lock().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_in_first_out_and_bounded() {
        let interims = Interims::default();
        assert!(interims.is_empty());
        for index in 0..MOST + 3 {
            let fields = HeaderMap::from_iter([(http::header::LINK, index.into())]);
            interims.push(StatusCode::EARLY_HINTS, fields);
        }
        for index in 0..MOST {
            let (_, fields) = interims.pop().unwrap();
            assert_eq!(fields["link"], index.to_string());
        }
        assert!(interims.is_empty() && interims.pop().is_none());
    }
}
