//! What is below RAM, for a request that RAM could not answer.

use super::OwnedRequest;
use crate::cache::Brought;
use crate::pipeline::admit::Admitted;
use crate::pipeline::decide::{Decision, Own, UNKNOWN_HOST, decide_on, find};
use crate::pipeline::edge::Edge;
use crate::store::ssd::Wanted;

/// What was brought up from below RAM for a request, and what it has to wait for.
#[derive(Default)]
pub struct FromBelow {
    /// What was brought.
    pub brought: Brought,
    /// What is on a device, if something is.
    pub wanted: Option<Wanted>,
}

/// Waits for what is on a device, and decides again with what it finds.
pub(super) async fn decide_again(edge: &Edge, request: &OwnedRequest, below: FromBelow) -> Decision {
    let FromBelow { mut brought, wanted } = below;
    let (cache, parts) = (&edge.cache, request.key_parts());
    let hash = cache.secret().key(&parts);
    let clock = || edge.clock.now();
    let mut next = wanted;
    while let Some(wanted) = next {
        let record = cache.read_below(&wanted).await;
        cache.take_up(&wanted, record, &parts, &mut brought, &clock);
        next = request
            .fields
            .with(|fields| cache.bring_up(hash, &parts, fields, &mut brought, &clock));
    }
    let now = edge.clock.monotonic();
    request.with_view(|view| match find(edge, view) {
        Some(found) => decide_on(edge, &Admitted::before(view, found), &brought, now),
        None => Decision::Own(Own::Refuse(UNKNOWN_HOST)),
    })
}
