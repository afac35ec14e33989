//! Approvals: what people see, and what their answer sets off. The answer is one more fact; the current
//! policy is asked again before anything happens.

use crate::error::GateError;
use crate::gate::Gate;
use crate::identity::Identity;
use aecl_kernel::approval::{Ask, AskState, Vote};
use aecl_kernel::code;
use aecl_kernel::digest::Digest;
use aecl_kernel::event::{Event, Ruled};
use aecl_kernel::facts::{ActionFact, Goal};
use aecl_kernel::id::{ActionId, ApprovalId};
use aecl_ledger::{LedgerError, PayloadKind};
use serde_json::Value;

/// Everything that an approver needs to know, untruncated.
#[derive(Debug, Clone)]
pub struct Request {
    /// The request.
    pub ask: Ask,
    /// Where it stands now.
    pub state: AskState,
    /// The action that waits.
    pub action: ActionFact,
    /// The decision that asks, with principal, findings and risk.
    pub ruled: Ruled,
    /// The arguments, exactly.
    pub arguments: Value,
    /// What the run is for.
    pub goal: Option<Goal>,
    /// What the run has done so far, oldest first.
    pub history: Vec<Step>,
}

/// One earlier action of the run, for the approver.
#[derive(Debug, Clone)]
pub struct Step {
    /// The action.
    pub action: ActionId,
    /// Its name.
    pub name: String,
    /// Its arguments.
    pub arguments: Option<Value>,
    /// How it ended.
    pub state: &'static str,
    /// Its output, shortened to what a card can show. It may be a stranger's text: show it as inert.
    pub output: Option<String>,
}

/// Most earlier actions on a card.
const HISTORY_MAX: usize = 50;
/// Longest excerpt of an output on a card, in characters.
pub const EXCERPT_MAX: usize = 16_000;

impl Gate {
    /// Requests that are open, oldest first.
    pub async fn approvals(&self, limit: usize) -> Result<Vec<Ask>, GateError> {
        let mut asks = self.0.ledger.open_approvals(limit).await?;
        let now = self.now();
        asks.retain(|ask| matches!(ask.state_at(now), AskState::Pending | AskState::Approved));
        asks.sort_by_key(|ask| ask.asked_at);
        Ok(asks)
    }

    /// One request with everything around it.
    pub async fn request(&self, id: &ApprovalId) -> Result<Request, GateError> {
        let ledger = &self.0.ledger;
        let ask = ledger.approval(id).await?.ok_or_else(|| LedgerError::NoApproval(id.clone()))?;
        let action = self.action_fact(&ask.action).await?;
        let ruled = self.last_ruling(&ask.action).await?;
        let arguments = self.arguments(&ruled.arguments).await?.unwrap_or(Value::Null);
        let goal = ledger.goal(&ask.run).await?;
        let history = self.history(&ask).await?;
        Ok(Request { state: ask.state_at(self.now()), ask, action, ruled, arguments, goal, history })
    }

    pub(crate) async fn last_ruling(&self, action: &ActionId) -> Result<Ruled, GateError> {
        let entries = self.0.ledger.entries_of_action(action).await?;
        let last = entries.into_iter().rev().find_map(|e| match e.event {
            Event::Ruled(ruled) => Some(*ruled),
            _ => None,
        });
        Ok(last.ok_or_else(|| LedgerError::NoAction(action.clone()))?)
    }

    pub(crate) async fn arguments(&self, digest: &Digest) -> Result<Option<Value>, GateError> {
        let bytes = self.0.ledger.payload(PayloadKind::Arguments, digest).await?;
        Ok(bytes.and_then(|b| serde_json::from_slice(&b).ok()))
    }

    async fn history(&self, ask: &Ask) -> Result<Vec<Step>, GateError> {
        let mut ids: Vec<ActionId> = Vec::new();
        let mut after = None;
        loop {
            let entries = self.0.ledger.entries_of_run(&ask.run, after, 512).await?;
            let Some(last) = entries.last() else { break };
            after = Some(last.position);
            for entry in entries {
                if let Event::Ruled(ruled) = entry.event
                    && ruled.action != ask.action
                    && !ids.contains(&ruled.action)
                {
                    ids.push(ruled.action);
                    // Only the latest are shown; older ones are in the ledger.
                    if ids.len() > HISTORY_MAX {
                        ids.remove(0);
                    }
                }
            }
        }
        let mut steps = Vec::new();
        for id in ids {
            let Some(fact) = self.0.ledger.action(&id).await? else { continue };
            let output = match &fact.output {
                Some(digest) => self.0.ledger.payload(PayloadKind::Output, digest).await?,
                None => None,
            };
            let excerpt = output.map(|o| String::from_utf8_lossy(&o).chars().take(EXCERPT_MAX).collect());
            let arguments = self.arguments(&fact.arguments).await?;
            steps.push(Step {
                action: id,
                name: fact.name,
                arguments,
                state: fact.state.name(),
                output: excerpt,
            });
        }
        Ok(steps)
    }

    /// Takes a person's answer. If that was the last one needed, and somebody polls for the result, the
    /// action is carried on; whoever waits for it is told.
    pub async fn answer(
        &self,
        by: &Identity,
        id: &ApprovalId,
        yes: bool,
        reason: String,
        view: Option<Digest>,
    ) -> Result<Ask, GateError> {
        let Identity::Person { id: person, groups } = by else {
            let message = format!(
                "{} is no person; approvals are answered by people with a key of their own",
                by.name()
            );
            return Err(GateError::refused(code::APPROVER_REFUSED, message));
        };
        let vote = Vote { person: person.clone(), groups: groups.clone(), yes, at: self.now(), reason };
        let answered = self.0.ledger.answer(id.clone(), vote, view).await?;
        let (state, action) = (answered.get().state, answered.get().action.clone());
        self.0.waits.ring(&action);
        if state == AskState::Approved {
            self.carry_on(&action).await?;
        }
        Ok(self.0.ledger.approval(id).await?.ok_or_else(|| LedgerError::NoApproval(id.clone()))?)
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
}
