//! Waiting for people: who proposed, or whoever polls for it, is held until they have answered.

use crate::answer::Answer;
use crate::error::GateError;
use crate::gate::Gate;
use crate::wait::Turn;
use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::id::{ActionId, ApprovalId};
use aecl_kernel::record::approval::{ApprovalRequest, ApprovalState};
use aecl_kernel::record::facts::ActionState;
use aecl_ledger::LedgerError;
use std::collections::BTreeSet;
use tokio_util::sync::CancellationToken;

/// Why a wait for people ended.
pub(crate) enum WaitEnd {
    /// They have answered. Who waited has the turn to ask again.
    AskAgain(Turn),
    /// It is over: somebody else has carried the action on, or it may not happen.
    Over(Answer),
    /// Time is up, or nobody wants it any longer. A yes that comes at the same moment is for the identical
    /// call.
    NoLonger(Box<ApprovalRequest>),
}

impl Gate {
    /// Waits until people have answered about an action, or somebody has carried it on; at most until the
    /// deadline, and until either token fires. `looked`: the plans whose yes was looked at when it was last decided about.
    pub(crate) async fn hold(
        &self,
        id: &ActionId,
        digest: &Digest,
        looked: &BTreeSet<ApprovalId>,
        deadline: Option<tokio::time::Instant>,
        ends: [&CancellationToken; 2],
    ) -> Result<WaitEnd, GateError> {
        let [one, other] = ends;
        let listening = self.0.waits.listen_waiting(id, digest);
        loop {
            let ring = listening.next();
            tokio::pin!(ring);
            ring.as_mut().enable();
            // Nothing will be told any more.
            self.0.ledger.ensure_running()?;
            let turn = listening.again().turn().await;
            let fact = self.action_fact(id).await?;
            let (ActionState::Waiting | ActionState::Started, Some(approval)) = (fact.state, fact.approval)
            else {
                return Ok(WaitEnd::Over(self.recorded_answer(id, None, true).await?));
            };
            let ask = self.0.ledger.approval(&approval).await?;
            let ask = self.as_it_stands(ask.ok_or(LedgerError::NoApproval(approval))?).await?;
            let is_wanted = !one.is_cancelled() && !other.is_cancelled();
            // Whoever comes first after a yes carries the action on; the others get how it ended.
            let agreed = ask.state_at(self.now()) == ApprovalState::Approved && !fact.resume;
            // A plan that was agreed to meanwhile may cover it.
            let covered = !fact.resume && !self.agreed_plans(&fact.run).await?.is_subset(looked);
            if is_wanted && fact.state == ActionState::Waiting && (agreed || covered) {
                return Ok(WaitEnd::AskAgain(turn));
            }
            drop(turn);
            if !is_wanted || deadline.is_some_and(|deadline| tokio::time::Instant::now() >= deadline) {
                // What somebody else carries out waits for nobody.
                return Ok(match fact.state {
                    ActionState::Started => WaitEnd::Over(self.recorded_answer(id, None, true).await?),
                    _ => WaitEnd::NoLonger(Box::new(ask)),
                });
            }
            tokio::select! {
                () = &mut ring => {}
                () = at(deadline) => {}
                () = one.cancelled() => {}
                () = other.cancelled() => {}
            }
        }
    }

    /// Waits while an action is underway; at most until the deadline, and until either token fires.
    pub(crate) async fn until_ended(
        &self,
        id: &ActionId,
        deadline: tokio::time::Instant,
        ends: [&CancellationToken; 2],
    ) -> Result<(), GateError> {
        let [one, other] = ends;
        let listening = self.0.waits.listen(id);
        loop {
            let ring = listening.next();
            tokio::pin!(ring);
            ring.as_mut().enable();
            // Nothing will be told any more.
            self.0.ledger.ensure_running()?;
            if self.action_fact(id).await?.state != ActionState::Started {
                return Ok(());
            }
            tokio::select! {
                () = &mut ring => {}
                () = at(Some(deadline)) => return Ok(()),
                () = one.cancelled() => return Ok(()),
                () = other.cancelled() => return Ok(()),
            }
        }
    }
}

/// Comes at the deadline, or never.
async fn at(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
