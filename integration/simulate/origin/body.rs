//! A body on its way from the scripted origin.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use verge::origin::{FetchError, ReadBody};

use crate::executor::Ms;
use crate::model;
use crate::world::World;

/// A body on its way. Each piece is there at its own time, whenever it is asked for.
pub(super) struct ScriptedBody {
    pub(super) world: Arc<World>,
    pub(super) contact: usize,
    pub(super) left: Bytes,
    pub(super) piece: usize,
    pub(super) pause: Ms,
    pub(super) next_at: Ms,
    pub(super) timer_set: bool,
    pub(super) cut: bool,
    pub(super) bodiless: bool,
    pub(super) over: bool,
}

impl ReadBody for ScriptedBody {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, FetchError>>> {
        if self.left.is_empty() {
            return Poll::Ready(self.end());
        }
        if self.world.now() < self.next_at {
            if !std::mem::replace(&mut self.timer_set, true) {
                return self.world.handle.poll_until(self.next_at, cx).map(|()| None);
            }
            return Poll::Pending;
        }
        self.timer_set = false;
        self.next_at += self.pause;
        let piece = self.left.split_to(self.piece.min(self.left.len()));
        let mut ledger = self.world.ledger.lock();
        if let Err(violation) = model::judge_window(&ledger, &self.world.plan.knobs, self.contact) {
            ledger.broken(self.world.now(), violation);
        }
        ledger.contacts[self.contact].bytes_given += piece.len() as u64;
        drop(ledger);
        Poll::Ready(Some(Ok(piece)))
    }
}

impl ScriptedBody {
    fn end(&mut self) -> Option<Result<Bytes, FetchError>> {
        self.over = true;
        let at = self.world.now();
        let mut ledger = self.world.ledger.lock();
        let stamp = ledger.stamp(at);
        let contact = self.contact;
        ledger.contacts[contact].ended = Some(stamp);
        let cut = self.cut;
        ledger.note(at, || {
            format!("origin #{contact}: body {}", if cut { "breaks off" } else { "ends" })
        });
        cut.then(|| Err([FetchError::Incomplete, FetchError::ConnectionTerminated][contact % 2]))
    }
}

impl Drop for ScriptedBody {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let mut ledger = self.world.ledger.lock();
        let at = self.world.now();
        let stamp = ledger.stamp(at);
        let contact = self.contact;
        // Where there is none it need not be read.
        match self.bodiless {
            true => ledger.contacts[contact].ended = Some(stamp),
            false => ledger.contacts[contact].dropped = Some(stamp),
        }
        ledger.note(at, || format!("origin #{contact}: the edge reads no further"));
    }
}
