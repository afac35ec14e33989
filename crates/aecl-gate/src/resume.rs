//! Carrying on after a person's yes: the walk once more, with what is on record about an action that waits.

use crate::answer::{Answer, End};
use crate::error::GateError;
use crate::gate::Gate;
use crate::hold::WaitEnd;
use crate::identity::Session;
use crate::submit::Submission;
use crate::wait::Turn;
use aecl_executor::CallContext;
use aecl_kernel::base::code;
use aecl_kernel::base::id::{ActionId, RunId};
use aecl_kernel::read::action::Credential;
use aecl_kernel::record::approval::ApprovalState;
use aecl_kernel::record::facts::ActionState;
use aecl_ledger::{Again, PayloadKind};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

impl Gate {
    /// Proposes an approved action again, as itself. The current policy is asked; the yes is one more fact.
    pub(crate) async fn resume(&self, id: &ActionId) -> Result<Answer, GateError> {
        let digest = self.action_fact(id).await?.digest;
        let turn = self.0.waits.listen_waiting(id, &digest).turn().await;
        // Its proposer may have come back first and used the yes.
        if self.action_fact(id).await?.state != ActionState::Waiting {
            return self.recorded_answer(id, None, true).await;
        }
        // It was asked for once already; a second request is not made here.
        let answer = self.propose_again(id, CallContext::default(), true, turn).await?;
        self.0.waits.ring(id);
        Ok(answer)
    }

    /// Waits until people have answered about an action, and carries it on then, for a proposer that has
    /// gone on meanwhile and polls. Gives how it ended; still pending, if `until` fires first. Whoever else
    /// proposes the same and is faster carries it on instead; the answer is the same.
    ///
    /// What has begun must be concluded, so this is to be awaited to its end, in a task of its own.
    pub async fn carry_on_for(
        &self,
        id: &ActionId,
        context: CallContext,
        until: &CancellationToken,
    ) -> Result<Answer, GateError> {
        let fact = self.action_fact(id).await?;
        let mut looked = BTreeSet::new();
        loop {
            match self.hold(id, &fact.digest, &looked, None, [&context.cancel, until]).await? {
                WaitEnd::AskAgain(turn) => {
                    looked = self.agreed_plans(&fact.run).await?;
                    let answer = self.propose_again(id, context.clone(), false, turn).await?;
                    // The policy of now may want somebody else, too: then it waits on.
                    if !matches!(answer.end, End::Pending(_)) {
                        return Ok(answer);
                    }
                }
                WaitEnd::Over(answer) => return Ok(answer),
                WaitEnd::NoLonger(ask) => {
                    let end = End::Pending(ask);
                    return Ok(Answer { action: id.clone(), end, decision: None, receipt: None });
                }
            }
        }
    }

    /// The walk once more, with what is on record about an action that waits.
    async fn propose_again(
        &self,
        id: &ActionId,
        context: CallContext,
        resume: bool,
        turn: Turn,
    ) -> Result<Answer, GateError> {
        let ruled = self.last_ruling(id).await?;
        let arguments = self.0.ledger.payload(PayloadKind::Arguments, &ruled.arguments).await?;
        let arguments = arguments.ok_or_else(|| {
            GateError::refused(code::RECORD_UNKNOWN, format!("the arguments of `{id}` were erased"))
        })?;
        let mut session = self.own_session(&ruled.principal, "resume");
        // Its age does not matter to a yes, but whoever has revoked the token has taken back what it asked for.
        session.credential.id.clone_from(&ruled.credential.id);
        let submission = Submission {
            name: ruled.name,
            arguments,
            mode: ruled.mode,
            idempotency_key: ruled.idempotency_key,
            offered: ruled.offered,
            compensates: ruled.compensates,
            resume,
            wait: Duration::ZERO,
            context,
            until: CancellationToken::default(),
        };
        // Nobody in front has to be told that it waits.
        let (tell, _) = tokio::sync::mpsc::unbounded_channel();
        let again = Again { action: id.clone(), unattended: resume };
        self.walk(&session, submission, &CancellationToken::default(), &tell, Some((turn, again))).await
    }

    /// A session of our own for what people have asked for: it carries no token that could leak, and every
    /// check but the token's age judges it like any other.
    pub(crate) fn own_session(
        &self,
        principal: &aecl_kernel::base::principal::Principal,
        why: &str,
    ) -> Session {
        let credential = Credential {
            id: format!("gate:{why}"),
            run: principal.run.clone(),
            agent: principal.agent.clone(),
            expires_at: self.now().plus_s(60),
        };
        Session { principal: principal.clone(), credential }
    }

    /// Carries on what people have agreed to and nobody has carried out yet.
    pub(crate) async fn carry_on_agreed(&self) -> Result<(), GateError> {
        let mut planned = BTreeSet::new();
        let agreed = |w: &aecl_ledger::Waiting| w.ask.state == ApprovalState::Approved;
        for waiting in self.open_requests(agreed) {
            match waiting.ask.plan {
                None => self.carry_on(&waiting.ask.action).await?,
                Some(_) => drop(planned.insert(waiting.ask.run.clone())),
            }
        }
        self.go_on_with(&planned).await
    }

    /// Carries an approved action on, if its proposer asked for that.
    pub(crate) async fn carry_on(&self, action: &ActionId) -> Result<(), GateError> {
        if !self.action_fact(action).await?.resume {
            return Ok(());
        }
        let (gate, action) = (self.clone(), action.clone());
        tokio::spawn(async move {
            if let Err(error) = gate.resume(&action).await {
                tracing::error!(%action, %error, "an approved action could not be carried on; it stays waiting");
            }
        });
        Ok(())
    }

    /// What waited for people in runs whose plan they have agreed to is asked about again: the plan may cover it.
    pub(crate) async fn go_on_with(&self, runs: &BTreeSet<RunId>) -> Result<(), GateError> {
        if runs.is_empty() {
            return Ok(());
        }
        for waiting in runs.iter().flat_map(|run| self.open_in(run)) {
            if waiting.ask.plan.is_none() && waiting.ask.state == ApprovalState::Pending {
                self.0.waits.ring(&waiting.ask.action);
                self.carry_on(&waiting.ask.action).await?;
            }
        }
        Ok(())
    }
}
