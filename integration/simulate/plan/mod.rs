//! What a simulation is to do: plain data, drawn from a seed or written by hand, so that it can be shrunk and replayed.

mod ops;
mod resource;

pub use ops::{Ask, Method, Op, Target, Token, What};
pub use resource::{Behaviour, Outcome, Policy, Resource, Tag, VaryBy, Version};

/// A whole simulation.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decides which ready task runs next.
    pub schedule: u64,
    /// Sizes and limits of the edge.
    pub knobs: Knobs,
    /// What the origin has.
    pub resources: Vec<Resource>,
    /// What happens, in any order.
    pub ops: Vec<Op>,
}

impl Plan {
    /// Whether whoever asks this may have it.
    pub fn admits(&self, ask: &Ask) -> bool {
        !self.resources[ask.resource].guarded || ask.token == Token::Good
    }
}

/// Sizes and limits of the edge.
#[derive(Clone, Debug)]
pub struct Knobs {
    /// Bytes of RAM.
    pub ram: u64,
    /// Share of them for chunks.
    pub chunk_share: f64,
    /// Bytes that a windowed fill runs ahead.
    pub window: u64,
    /// The same for what one client reads.
    pub pass_window: u64,
    /// An unread fill is finished if no more than this is missing.
    pub finish_bytes: u64,
    /// An unread fill is finished if this share has come.
    pub finish_share: f64,
    /// Fills at a time.
    pub max_fills: usize,
    /// Readers of one fill.
    pub max_readers: usize,
    /// Whether clients may demand validation.
    pub client_may_revalidate: bool,
    /// The site's stale-while-revalidate, in seconds.
    pub swr: u64,
    /// The site's stale-if-error, in seconds.
    pub sie: u64,
    /// Whether tasks are polled now and then though nobody woke them.
    pub spurious: bool,
    /// Whether clients differ more than a key may have variants.
    pub many_variants: bool,
    /// Polls between two turns of the RAM tier's housekeeping.
    pub housekeeping: u32,
    /// The tier below RAM, if there is one.
    pub disk: Option<Disk>,
}

/// The tier below RAM.
#[derive(Clone, Debug)]
pub struct Disk {
    /// Decides what of unsynced writes is left, and the like.
    pub seed: u64,
    /// Bytes of its files.
    pub size: u64,
    /// Bytes of a segment.
    pub segment: u64,
    /// Of a hundred reads, how many have to wait for the device.
    pub cold_reads: u64,
    /// Whether only what is asked for twice is written.
    pub second_hit: bool,
}

impl Disk {
    /// Whether nothing ever has to make room.
    pub fn is_roomy(&self) -> bool {
        self.size >= 64 << 20 && !self.second_hit
    }
}

impl Default for Knobs {
    fn default() -> Self {
        Knobs {
            ram: 64 << 20,
            chunk_share: 0.5,
            window: 16 << 10,
            pass_window: 8 << 10,
            finish_bytes: 4 << 10,
            finish_share: 0.5,
            max_fills: 10_000,
            max_readers: 10_000,
            client_may_revalidate: false,
            swr: 0,
            sie: 0,
            spurious: false,
            many_variants: false,
            housekeeping: 8,
            disk: None,
        }
    }
}

impl Knobs {
    /// Whether nothing is ever evicted, and every body kept.
    pub fn is_roomy(&self) -> bool {
        self.ram >= 64 << 20
    }

    /// Whether no request is turned away for there being too many.
    pub fn is_generous(&self) -> bool {
        self.max_fills >= 1000 && self.max_readers >= 1000 && !self.many_variants
    }
}
