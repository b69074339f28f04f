//! How much of a request's body may come.

use std::sync::Arc;

use bytes::Bytes;

use crate::origin::FetchError;
use crate::telemetry::SiteCounts;

/// Bytes that may still come of one request's body; what comes is counted.
pub struct Allowance {
    left: u64,
    counts: Option<Arc<SiteCounts>>,
}

impl Allowance {
    /// So many, counted for this site.
    pub fn new(left: u64, counts: Option<Arc<SiteCounts>>) -> Self {
        Allowance { left, counts }
    }

    /// Takes a piece in, unless that is more than may come.
    pub fn take(&mut self, piece: Bytes) -> Result<Bytes, FetchError> {
        let length = piece.len() as u64;
        self.left = self.left.checked_sub(length).ok_or(FetchError::RequestTooLarge)?;
        if let Some(counts) = &self.counts {
            counts.received(length);
        }
        Ok(piece)
    }
}
