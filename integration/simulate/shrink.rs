//! Making a failing plan as small as it can be while it still breaks the same rule.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::ledger::{Ledger, Violation};
use crate::plan::{Behaviour, Plan, Policy};
use crate::world;

/// Runs that one shrinking may take.
const MOST_RUNS: usize = 1500;

/// Runs a plan; a panic breaks a rule too.
pub fn judge(plan: &Plan, keep: bool) -> (Ledger, Option<Violation>) {
    let ran = catch_unwind(AssertUnwindSafe(|| world::run(plan, keep)));
    match ran {
        Ok(mut ledger) => {
            let first = (!ledger.violations.is_empty()).then(|| ledger.violations.remove(0));
            (ledger, first)
        }
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let what = text
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                .unwrap_or_default();
            (Ledger::default(), Some(Violation { rule: "panic", what }))
        }
    }
}

/// The smallest plan found that breaks `rule` as `plan` does.
pub fn shrink(plan: Plan, rule: &'static str) -> Plan {
    let mut shrinking = Shrinking { plan, rule, runs: 0 };
    loop {
        let before = shrinking.runs;
        let smaller = shrinking.drop_ops() | shrinking.simplify_asks() | shrinking.simplify_origin();
        if !smaller || shrinking.runs >= MOST_RUNS || shrinking.runs == before {
            return shrinking.plan;
        }
    }
}

struct Shrinking {
    plan: Plan,
    rule: &'static str,
    runs: usize,
}

impl Shrinking {
    /// Keeps `plan` if it still fails.
    fn attempt(&mut self, plan: Plan) -> bool {
        if self.runs >= MOST_RUNS {
            return false;
        }
        self.runs += 1;
        let fails = judge(&plan, false)
            .1
            .is_some_and(|violation| violation.rule == self.rule);
        if fails {
            self.plan = plan;
        }
        fails
    }

    /// Changes a copy of the plan, and keeps it if it still fails.
    fn with(&mut self, change: impl FnOnce(&mut Plan)) -> bool {
        let mut plan = self.plan.clone();
        change(&mut plan);
        self.attempt(plan)
    }

    /// Drops halves, quarters, … of what happens, and at last one by one.
    fn drop_ops(&mut self) -> bool {
        let mut smaller = false;
        let mut size = (self.plan.ops.len() / 2).max(1);
        loop {
            let mut from = 0;
            while from < self.plan.ops.len() {
                let to = (from + size).min(self.plan.ops.len());
                match self.with(|plan| drop(plan.ops.drain(from..to))) {
                    true => smaller = true,
                    false => from = to,
                }
            }
            if size == 1 {
                return smaller;
            }
            size /= 2;
        }
    }

    fn simplify_asks(&mut self) -> bool {
        use crate::plan::{Ask, What};
        let simpler: [fn(&mut Ask) -> bool; 13] = [
            |ask| ask.leaves_at.take().is_some(),
            |ask| ask.leaves_after.take().is_some(),
            |ask| ask.stall.take().is_some(),
            |ask| std::mem::take(&mut ask.pace) > 0,
            |ask| ask.range.take().is_some(),
            |ask| ask.if_range.take().is_some(),
            |ask| ask.if_none_match.take().is_some(),
            |ask| ask.cache_control.take().is_some(),
            |ask| std::mem::take(&mut ask.cookie),
            |ask| std::mem::take(&mut ask.in_cookie),
            |ask| std::mem::take(&mut ask.authorization),
            |ask| ask.mode.take().is_some(),
            |ask| ask.lang.take().is_some(),
        ];
        let mut smaller = false;
        for place in 0..self.plan.ops.len() {
            for simplify in simpler {
                let mut plan = self.plan.clone();
                let What::Ask(ask) = &mut plan.ops[place].what else {
                    break;
                };
                smaller |= simplify(ask) && self.attempt(plan);
            }
        }
        smaller
    }

    fn simplify_origin(&mut self) -> bool {
        let mut smaller = false;
        for place in 0..self.plan.resources.len() {
            let resource = &self.plan.resources[place];
            let (changes, policies, behaviours) = (
                resource.changes.len(),
                resource.policies.len(),
                resource.behaviours.len(),
            );
            for change in (0..changes).rev() {
                smaller |= self.with(|plan| plan.resources[place].changes.truncate(change));
            }
            if policies > 1 {
                smaller |= self.with(|plan| plan.resources[place].policies.truncate(1));
            }
            for behaviour in 0..behaviours {
                let is_plain = format!("{:?}", self.plan.resources[place].behaviours[behaviour])
                    == format!("{:?}", Behaviour::default());
                smaller |=
                    !is_plain && self.with(|plan| plan.resources[place].behaviours[behaviour] = Behaviour::default());
            }
            let policy = &self.plan.resources[place].policies[0];
            let plain = Policy {
                max_age: Some(600),
                ..Policy::default()
            };
            if format!("{policy:?}") != format!("{plain:?}") {
                smaller |= self.with(|plan| plan.resources[place].policies[0] = plain);
            }
        }
        smaller
    }
}
