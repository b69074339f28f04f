//! How much of the tier a site may have.
//!
//! What is written goes round: a byte is there until about as many have come after it as the tier has room for. So what a site
//! has is what was written for it within the last round. It is counted from the start of the process.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

/// A round is counted in so many steps.
const STEPS: u64 = 256;

/// The quotas of sites, and what they have.
pub struct Quotas {
    capacity: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    quotas: HashMap<Arc<str>, u64>,
    /// Bytes written for all.
    written: u64,
    shares: HashMap<Arc<str>, Share>,
}

#[derive(Default)]
struct Share {
    bytes: u64,
    /// What was written for it in a step, by the number of the step.
    steps: VecDeque<(u64, u64)>,
}

impl Share {
    /// What was written before the step `first` is not there any more.
    fn forget_before(&mut self, first: u64) {
        while let Some((_, bytes)) = self.steps.front().filter(|(step, _)| *step < first) {
            self.bytes -= bytes;
            self.steps.pop_front();
        }
    }

    fn add(&mut self, step: u64, bytes: u64) {
        self.bytes += bytes;
        match self.steps.back_mut() {
            Some((last, so_far)) if *last == step => *so_far += bytes,
            _ => self.steps.push_back((step, bytes)),
        }
    }
}

impl Quotas {
    /// None yet, of a tier of so many bytes.
    pub fn new(capacity: u64) -> Quotas {
        Quotas {
            capacity: capacity.max(STEPS),
            state: Mutex::default(),
        }
    }

    /// From now on these sites may have so many bytes each; the others as many as there are.
    pub fn set(&self, quotas: HashMap<Arc<str>, u64>) {
        let mut state = self.state.lock();
        state.shares.retain(|site, _| quotas.contains_key(site));
        state.quotas = quotas;
    }

    /// Whether a site has room for `bytes` more.
    pub fn have_room(&self, site: &str, bytes: u64) -> bool {
        let mut state = self.state.lock();
        let Some(quota) = state.quotas.get(site).copied() else {
            return true;
        };
        let first = self.step(state.written).saturating_sub(STEPS - 1);
        let has = state.shares.get_mut(site).map_or(0, |share| {
            share.forget_before(first);
            share.bytes
        });
        has.saturating_add(bytes) <= quota
    }

    /// So many bytes were written for a site.
    pub fn wrote(&self, site: &str, bytes: u64) {
        let mut state = self.state.lock();
        state.written += bytes;
        let step = self.step(state.written);
        let Some((site, _)) = state.quotas.get_key_value(site) else {
            return;
        };
        let site = Arc::clone(site);
        state.shares.entry(site).or_default().add(step, bytes);
    }

    fn step(&self, written: u64) -> u64 {
        written / (self.capacity / STEPS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_has_no_more_than_its_share_of_a_round() {
        let quotas = Quotas::new(256_000);
        quotas.set([(Arc::from("a"), 50_000)].into());
        let (mut of_a, mut refused) = (VecDeque::new(), 0);
        for turn in 0..5_000u64 {
            let site = if turn % 2 == 0 { "a" } else { "b" };
            match quotas.have_room(site, 1000) {
                true => {
                    quotas.wrote(site, 1000);
                    of_a.push_back(site == "a");
                }
                false => refused += 1,
            }
            if of_a.len() > 256 {
                of_a.pop_front();
            }
            let has = of_a.iter().filter(|is| **is).count();
            assert!(has <= 51, "{has} of a round are the site's");
        }
        assert!(of_a.iter().filter(|is| **is).count() >= 45, "it has what it may have");
        assert!(refused > 1_000);
        quotas.set(HashMap::new());
        assert!(quotas.have_room("a", 1 << 40));
    }
}
