//! What is worth writing to a disk, which wears.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::store::seen::Seen;

/// One response is remembered as seen once for so many bytes of the disks. Who is remembered for longer than what is stored is
/// kept asks for room that it will not use: measured (`integration/ratios`), sixteen times as many places let in twice as much, and
/// less of it is hit.
const BYTES_A_PLACE: u64 = 64 * 1024;
/// No fewer responses are remembered.
const LEAST_SEEN: u64 = 1 << 14;

const DAY: f64 = 24.0 * 60.0 * 60.0;

/// What is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rule {
    /// All that is stored.
    #[default]
    Always,
    /// While there is room, all; then what was asked for a second time.
    SecondHit,
}

impl Rule {
    /// What the configuration calls it.
    pub fn name(self) -> &'static str {
        match self {
            Rule::Always => "always",
            Rule::SecondHit => "second-hit",
        }
    }
}

/// Which responses are written to a disk, and how much a day.
pub struct Admission {
    rule: Rule,
    /// Responses that were asked for once.
    seen: Seen,
    budget: Option<Budget>,
}

impl Admission {
    /// By this rule, and with so many bytes a day.
    pub fn new(rule: Rule, bytes_a_day: Option<u64>) -> Admission {
        Admission {
            rule,
            seen: places(rule, 0),
            budget: bytes_a_day.map(Budget::new),
        }
    }

    /// The same for disks of so many bytes together.
    pub fn sized(self, capacity: u64) -> Admission {
        Admission {
            seen: places(self.rule, capacity),
            ..self
        }
    }

    /// Whether what would be stored under `id` is written as it comes, at the monotonic time `now`; `has_room`: nothing has to go
    /// for it.
    pub fn admits(&self, id: u128, has_room: bool, now: Duration) -> bool {
        let wanted = match self.rule {
            Rule::Always => true,
            Rule::SecondHit => self.seen.again(id) || has_room,
        };
        wanted && self.can_afford(now)
    }

    /// Whether what is in RAM alone is written because it was asked for again.
    pub fn admits_on_a_hit(&self, now: Duration) -> bool {
        self.rule == Rule::SecondHit && self.can_afford(now)
    }

    /// So many bytes were given to be written.
    pub fn wrote(&self, bytes: u64) {
        if let Some(budget) = &self.budget {
            budget.spent.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    fn can_afford(&self, now: Duration) -> bool {
        self.budget.as_ref().is_none_or(|budget| budget.has_some_left(now))
    }
}

/// Room to remember what was seen, for disks of so many bytes together.
fn places(rule: Rule, capacity: u64) -> Seen {
    Seen::new(match rule {
        Rule::Always => 0,
        Rule::SecondHit => (capacity / BYTES_A_PLACE).max(LEAST_SEEN),
    })
}

/// Bytes a day: what was not spent is there later, but no more than an hour's worth.
struct Budget {
    a_second: f64,
    spent: AtomicU64,
    /// What is left, and when that was worked out.
    left: Mutex<(f64, Duration)>,
}

impl Budget {
    fn new(bytes_a_day: u64) -> Budget {
        let a_second = bytes_a_day as f64 / DAY;
        Budget {
            a_second,
            spent: AtomicU64::new(0),
            left: Mutex::new((a_second * 3600.0, Duration::ZERO)),
        }
    }

    fn has_some_left(&self, now: Duration) -> bool {
        let mut left = self.left.lock();
        let elapsed = now.saturating_sub(left.1).as_secs_f64();
        let spent = self.spent.swap(0, Ordering::Relaxed) as f64;
        let most = self.a_second * 3600.0;
        *left = ((left.0 - spent + elapsed * self.a_second).min(most), now.max(left.1));
        left.0 > 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_time_counts() {
        let now = Duration::ZERO;
        let admission = Admission::new(Rule::SecondHit, None);
        let ids: Vec<u128> = (1..1000u128).map(|id| id << 64 | id << 32 | id).collect();
        assert!(!ids.iter().any(|id| admission.admits(*id, false, now)));
        assert!(ids.iter().all(|id| admission.admits(*id, false, now)));
        assert!(admission.admits_on_a_hit(now));
        let always = Admission::new(Rule::Always, None);
        assert!(always.admits(1, false, now) && !always.admits_on_a_hit(now));
    }

    #[test]
    fn as_much_is_remembered_as_the_disks_have_room_for() {
        let now = Duration::ZERO;
        let ids: Vec<u128> = (1..100_000u128).map(|id| id << 64 | id << 32 | id).collect();
        for (capacity, remembered) in [(1 << 30, 0), (100_000 * BYTES_A_PLACE, ids.len())] {
            let admission = Admission::new(Rule::SecondHit, None).sized(capacity);
            assert!(ids.iter().all(|id| !admission.admits(*id, false, now)));
            let admitted = ids.iter().filter(|id| admission.admits(**id, false, now)).count();
            assert_eq!(admitted, remembered);
            assert!(admission.admits(0, true, now), "there is room for all");
        }
    }

    #[test]
    fn no_more_is_written_than_the_budget_has() {
        const A_DAY: u64 = 24 * 60 * 60 * 1000;
        let admission = Admission::new(Rule::Always, Some(A_DAY));
        let (mut written, hours) = (0, 240);
        for minute in 0..hours * 60 {
            let now = Duration::from_secs(minute * 60);
            for _ in 0..10 {
                if admission.admits(7, false, now) {
                    admission.wrote(50_000);
                    written += 50_000;
                }
            }
        }
        let allowed = A_DAY / 24 * (hours + 1);
        assert!(written <= allowed + 50_000 && written > allowed * 9 / 10, "{written}");
    }
}
