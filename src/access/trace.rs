//! What was looked at, field by field, for `verge explain`. Never for strangers, and never a secret.

/// The fields of a token that were looked at, in order, each with what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    steps: Vec<Step>,
}

/// One field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which: `expires`, `key`, `signature`…
    pub what: &'static str,
    /// What it says, and how that was judged.
    pub says: String,
}

impl Trace {
    /// What was looked at.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(super) fn note(&mut self, what: &'static str, says: String) {
        self.steps.push(Step { what, says });
    }
}
