//! What waits ends with its run: in the commit that ends the run, as far as one commit goes, and right after it; what a
//! process that has ended left behind, at the next start.

use crate::error::GateError;
use crate::gate::Gate;
use aecl_kernel::base::id::RunId;
use aecl_ledger::{Queue, Waiting};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Gate {
    /// Ends a run and what waits in it, and in those that were delegated from it.
    pub(crate) async fn end_run(&self, run: &RunId, reason: String, by: String) -> Result<(), GateError> {
        let ends = self.0.ledger.close_run(run.clone(), reason, by, self.now()).await?;
        self.ring_all(&ends);
        self.end_what_waits_in(run).await
    }

    /// Withdraws what waits in a run that has ended, a commit at a time. Nothing new comes to wait there.
    pub(crate) async fn end_what_waits_in(&self, run: &RunId) -> Result<(), GateError> {
        loop {
            let ends = self.0.ledger.ending_with(run);
            let requests = ends.iter().map(|waiting| waiting.ask.approval.clone()).collect();
            let more = !ends.is_empty() && self.0.ledger.withdraw_ended(requests, self.now()).await? > 0;
            self.ring_all(&ends);
            if !more {
                return Ok(());
            }
        }
    }

    /// Withdraws what waits in runs that have ended: the last process ended before it could.
    pub(crate) async fn end_what_waits_in_ended_runs(&self) -> Result<(), GateError> {
        let runs = |queue: &Queue| -> BTreeSet<RunId> {
            let of =
                |waiting: &Arc<Waiting>| [vec![waiting.ask.run.clone()], waiting.ancestors.clone()].concat();
            queue.by_end(None).flat_map(of).collect()
        };
        for run in self.0.ledger.queue(runs) {
            if self.0.ledger.run(&run).await?.is_some_and(|fact| fact.closed.is_some()) {
                self.end_what_waits_in(&run).await?;
            }
        }
        Ok(())
    }

    /// Tells everybody who listens to these that something about them is on record.
    pub(crate) fn ring_all(&self, ended: &[Arc<Waiting>]) {
        ended.iter().for_each(|waiting| self.0.waits.ring(&waiting.ask.action));
    }
}
