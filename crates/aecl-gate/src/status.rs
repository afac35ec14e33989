//! Where an action stands, for whoever polls for it.

use crate::answer::Answer;
use crate::error::GateError;
use crate::gate::Gate;
use aecl_kernel::base::id::ActionId;
use aecl_kernel::read::action::Mode;
use aecl_kernel::record::facts::{ActionFact, ActionState};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

impl Gate {
    /// Where an action stands. Waits at most `wait` for it to be over, or until `until` fires.
    pub async fn status(
        &self,
        id: &ActionId,
        wait: Duration,
        until: &CancellationToken,
    ) -> Result<(ActionFact, Answer), GateError> {
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            let bell = self.0.waits.listen(id);
            let ring = bell.next();
            tokio::pin!(ring);
            ring.as_mut().enable();
            let fact = self.action_fact(id).await?;
            let over = match (fact.state, fact.mode) {
                (ActionState::Waiting, _) | (ActionState::Started, Mode::Execute) => false,
                (ActionState::Started, Mode::Authorize | Mode::DryRun) => true,
                (
                    ActionState::Blocked
                    | ActionState::Rejected
                    | ActionState::Done
                    | ActionState::Failed
                    | ActionState::Unknown
                    | ActionState::Asked,
                    _,
                ) => true,
            };
            let timed_out = over
                || tokio::select! {
                    () = &mut ring => false,
                    () = tokio::time::sleep_until(deadline) => true,
                    () = until.cancelled() => true,
                };
            if timed_out {
                let decision = self.last_ruling(id).await?.decision;
                let answer = self.recorded_answer(id, Some(decision), false).await?;
                return Ok((fact, answer));
            }
        }
    }
}
