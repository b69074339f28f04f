//! Where the chunks of a body on its way go: to RAM and below as they become whole or, where RAM cannot hold the body, to the
//! SSD tier alone.

use bytes::{Bytes, BytesMut};

use super::Fill;
use crate::cache::Cache;
use crate::cache::below::Keeper;
use crate::store::CHUNK;

/// The chunks of one body, or of a part of it, in order.
pub(super) struct Chunks<'a> {
    cache: &'a Cache,
    fill: &'a Fill,
    keeper: Option<Keeper>,
    /// The hash that names the body.
    name: u128,
    /// Index of the next chunk.
    index: u32,
    /// What has come of the next chunk, where RAM does not keep the body.
    spilt: Option<BytesMut>,
}

impl<'a> Chunks<'a> {
    /// The chunks from `index` on of the body called `name`. `kept`: RAM keeps it; `keeper`: so does the SSD tier.
    pub(super) fn new(
        cache: &'a Cache,
        fill: &'a Fill,
        keeper: Option<Keeper>,
        kept: bool,
        name: u128,
        index: u32,
    ) -> Self {
        let spills = !kept && keeper.is_some();
        fill.set_spills(spills);
        Chunks {
            cache,
            fill,
            keeper,
            name,
            index,
            spilt: spills.then(BytesMut::new),
        }
    }

    /// Whether the SSD tier gets them.
    pub(super) fn go_below(&self) -> bool {
        self.keeper.is_some()
    }

    /// Whether they are stored although RAM does not keep them.
    pub(super) fn spill(&self) -> bool {
        self.spilt.is_some() && self.keeper.is_some()
    }

    /// The next piece.
    pub(super) fn push(&mut self, piece: Bytes) {
        if let Some(spilt) = &mut self.spilt {
            spilt.extend_from_slice(&piece);
        }
        for chunk in self.fill.push(piece) {
            self.cache
                .store_chunk(self.keeper.as_ref(), self.name, self.index, chunk);
            self.index += 1;
        }
        while let Some(spilt) = self.spilt.as_mut().filter(|spilt| spilt.len() >= CHUNK) {
            let chunk = spilt.split_to(CHUNK).freeze();
            self.put_below(chunk);
        }
    }

    fn put_below(&mut self, chunk: Bytes) {
        if !self.cache.can_spill((u64::from(self.index) + 1) * CHUNK as u64) {
            self.keeper = None;
            self.spilt = None;
            self.fill.set_spills(false);
        }
        if let Some(keeper) = &self.keeper {
            keeper.keep(self.index, chunk);
        }
        self.index += 1;
    }

    /// RAM has no room for what comes next.
    pub(super) fn stop_keeping(&mut self) {
        let tail = self.fill.body().map(|(_, tail)| tail);
        if let (Some(tail), Some(_)) = (tail, &self.keeper) {
            self.spilt = Some(BytesMut::from(&tail[..]));
            self.fill.set_spills(true);
        }
        self.fill.stop_keeping();
    }

    /// The end of the body: what has come of the last chunk is stored as that.
    pub(super) fn end(&mut self, tail: Option<Bytes>) {
        let spilt = self.spilt.as_mut().map(|spilt| spilt.split().freeze());
        let is_spilt = spilt.is_some();
        match spilt.or(tail).filter(|tail| !tail.is_empty()) {
            Some(tail) if is_spilt => self.put_below(tail),
            Some(tail) => self
                .cache
                .store_chunk(self.keeper.as_ref(), self.name, self.index, tail),
            None => {}
        }
    }
}
