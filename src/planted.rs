//! Bugs planted on purpose, to prove that the simulator finds them. Without the feature `planted-bugs` there are none:
//! [`is`] is then constantly false and the compiler removes what it guards.

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A chunk of a large body is named without its generation, so that another version's chunk may be read for it.
    AnotherVersionsChunk,
    /// What a fill stores is served although a purge came while it was under way.
    IgnoredPurge,
    /// A body that ended early is stored and sent as if it were whole.
    ShortAsWhole,
    /// A fill waits for its slowest reader.
    SlowReaderHoldsFill,
    /// A reader that waits while the last piece arrives is not woken.
    LostWakeUp,
    /// After a restart nobody knows what was purged before.
    ForgottenPurges,
    /// What came before a restart is as old as the process.
    YoungerAfterRestart,
    /// What comes from the SSD tier is not checked.
    UncheckedBody,
    /// A wrong signature is taken for a good one.
    AnySignature,
    /// The token stays in the request that goes on.
    KeptToken,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 10] = [
        Bug::AnotherVersionsChunk,
        Bug::IgnoredPurge,
        Bug::ShortAsWhole,
        Bug::SlowReaderHoldsFill,
        Bug::LostWakeUp,
        Bug::ForgottenPurges,
        Bug::YoungerAfterRestart,
        Bug::UncheckedBody,
        Bug::AnySignature,
        Bug::KeptToken,
    ];
}

#[cfg(feature = "planted-bugs")]
mod switch {
    use super::Bug;
    use std::cell::Cell;

    thread_local!(static ACTIVE: Cell<Option<Bug>> = const { Cell::new(None) });

    /// Switches one bug on, or all off, for the calling thread.
    pub fn plant(bug: Option<Bug>) {
        ACTIVE.set(bug);
    }

    /// Whether `bug` is switched on.
    pub fn is(bug: Bug) -> bool {
        ACTIVE.get() == Some(bug)
    }
}

#[cfg(feature = "planted-bugs")]
pub use switch::{is, plant};

/// Whether `bug` is switched on.
#[cfg(not(feature = "planted-bugs"))]
#[inline(always)]
pub const fn is(_: Bug) -> bool {
    false
}
