//! What is below RAM, for a request that RAM could not answer.

use super::OwnedRequest;
use crate::cache::Brought;
use crate::pipeline::admit::Admitted;
use crate::pipeline::decide::{Decision, Own, UNKNOWN_HOST, decide_on, find};
use crate::pipeline::edge::Edge;
use crate::store::ssd::Wanted;

/// A request that waits for a device.
pub struct Waiting {
    /// The hash of its key.
    pub hash: u128,
    /// What was brought up without waiting.
    pub brought: Brought,
    /// What is on the device.
    pub wanted: Wanted,
}

impl Waiting {
    /// Waits, and decides again with what it finds.
    pub async fn decide(self, edge: &Edge, request: &OwnedRequest) -> Decision {
        let Waiting { hash, brought, wanted } = self;
        let (cache, parts) = (&edge.cache, request.key_parts());
        let clock = || edge.clock.now();
        let next = |brought: &mut Brought| {
            request
                .fields
                .with(|fields| cache.bring_up(hash, &parts, fields, brought, &clock))
        };
        let brought = cache.bring_all(Some(wanted), brought, &parts, &clock, next).await;
        let now = edge.clock.monotonic();
        request.with_view(|view| match find(edge, view) {
            Some(found) => decide_on(edge, &Admitted::before(view, found), &brought, now),
            None => Decision::Own(Own::Refuse(UNKNOWN_HOST)),
        })
    }
}
