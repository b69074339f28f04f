//! The model: which answers the invariants of ARCHITECTURE.md allow, judged from the ledger alone. Written for clarity, not for speed, and sharing
//! no rule with the code it judges.

mod body;
mod contact;
mod fetches;
mod head;
mod policy;
mod ranges;
mod seen;
mod times;

pub use body::{Expected, judge_break, judge_end, judge_piece};
pub use contact::judge_contact;
pub use fetches::at_the_end;
pub use head::judge_head;
pub use policy::{Asked, is_shareable, modified};
pub use seen::Seen;

use verge::pipeline::Edge;

use crate::ledger::{Contact, Ledger, Violation};
use crate::plan::Knobs;
use crate::world::World;

/// A judgement: what was wanted to be known, or the rule that is broken.
pub type Judged<T> = Result<T, Violation>;

/// A broken rule.
fn broken<T>(rule: &'static str, what: String) -> Judged<T> {
    Err(Violation { rule, what })
}

/// Invariant 5, memory: body bytes alive stay under what RAM holds, is on its way, and readers may pin.
pub fn watch(world: &World, edge: &Edge, knobs: &Knobs) {
    let bound = 2 * knobs.ram + (8 << 20);
    let live = edge.cache.ram().gauge().live();
    if live > bound {
        let what = format!("{live} body bytes are alive with {} of RAM", knobs.ram);
        world
            .ledger
            .lock()
            .broken(world.now(), Violation { rule: "memory", what });
    }
}

/// Invariant 5, windows: what has come of a body that is not kept is at most a window ahead of its fastest reader.
///
/// Asked before another piece is given.
pub fn judge_window(ledger: &Ledger, knobs: &Knobs, number: usize) -> Judged<()> {
    let contact = &ledger.contacts[number];
    let Some(given) = &contact.given else { return Ok(()) };
    let window = match given.shareable {
        _ if contact.range || contact.unsafe_method => return Ok(()),
        false => knobs.window.max(knobs.pass_window),
        // It goes to the disk whoever reads it.
        true if knobs.disk.is_some() => return Ok(()),
        true if is_too_large(knobs, contact) => knobs.window,
        true => return Ok(()),
    };
    let readers = ledger
        .requests
        .iter()
        .filter(|request| request.reading.is_some_and(|(of, _)| of == number));
    let fastest = readers
        .filter_map(|request| Some(request.reading?.1))
        .max()
        .unwrap_or(0);
    match contact.bytes_given < fastest + window.max(1) {
        true => Ok(()),
        false => broken(
            "window",
            format!(
                "#{number} has brought {} bytes, its fastest reader has had {fastest}, the window is {window}",
                contact.bytes_given
            ),
        ),
    }
}

/// Whether a body is larger than the RAM tier takes, so that its fill is windowed.
fn is_too_large(knobs: &Knobs, contact: &Contact) -> bool {
    let most = ((knobs.ram as f64 * knobs.chunk_share) as u64 / 2).max(verge::store::CHUNK as u64);
    contact
        .given
        .as_ref()
        .is_some_and(|given| !given.chunked && given.content.bytes.len() as u64 > most)
}
