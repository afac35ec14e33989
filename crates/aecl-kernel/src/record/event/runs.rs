//! A run begins and ends, as facts.

use super::{Entry, RunClosed, RunOpened};
use crate::read::plan::PlanProgress;
use crate::record::begun::Beginnings;
use crate::record::facts::{FactStore, RunFact, keys};
use std::collections::BTreeMap;

impl Entry {
    pub(super) fn run_opened<S: FactStore>(&self, e: &RunOpened, space: &mut S) {
        let Some(run) = &self.run else { return };
        let fact = RunFact {
            principal: e.principal.clone(),
            goal: e.goal,
            opened_at: self.at,
            expires_at: e.expires_at,
            closed: None,
            ancestors: e.ancestors.clone(),
            follows: e.follows.clone(),
            calls: 0,
            labels: e.labels.clone(),
            failing: None,
            failures: 0,
            next_seq: self.seq.map_or(0, |s| s + 1),
            late: e.late,
            planned: e.planned,
            step: PlanProgress::default(),
            plan_approval: None,
            proposed: None,
            questions: 0,
            trusted_bytes: 0,
            barred: e.barred.clone(),
            endorsers: BTreeMap::new(),
            beginnings: Beginnings::default(),
        };
        space.put(keys::Run(run.clone()), fact);
    }

    /// With the run ends what people said about its plans.
    pub(super) fn run_closed<S: FactStore>(&self, e: &RunClosed, space: &mut S) -> Result<(), S::Error> {
        let mut plans = Vec::new();
        self.change_run(space, |run| {
            run.closed = Some(e.reason.clone());
            plans.extend(run.plan_approval.clone());
            plans.extend(run.proposed.as_ref().map(|proposed| proposed.approval.clone()));
        })?;
        plans.iter().try_for_each(|approval| self.withdraw(approval, space))
    }
}
