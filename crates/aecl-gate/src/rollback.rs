//! Undoing: a rollback is a proposal like any other, made from what was recorded, through the same door. A
//! whole run is undone action by action, the latest first, and no further than what cannot be undone.

use crate::answer::{Answer, End};
use crate::error::GateError;
use crate::gate::Gate;
use crate::identity::Identity;
use crate::runs::RunRequest;
use crate::submit::Submission;
use aecl_kernel::base::code;
use aecl_kernel::base::id::{ActionId, RunId};
use aecl_kernel::read::action::Mode;
use aecl_kernel::record::event::{Event, OutcomeKind};
use aecl_kernel::record::facts::{ActionFact, ActionState, Undo};
use aecl_ledger::{PayloadKind, Waiting};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Entries of a run that are read at once.
const PAGE: usize = 512;
/// Most actions of one run that are undone in one go.
const ACTIONS_MAX: usize = 10_000;

/// Rollback of a run, as far as it has come.
#[derive(Debug, Clone)]
pub struct RunRollback {
    /// The actions that were looked at, the latest first. The last one is where it stopped, if it did.
    pub steps: Vec<Undoing>,
    /// Actions further back that had an effect, or may have had one, and are as they were. Latest first.
    pub left: Vec<ActionId>,
}

impl RunRollback {
    /// Whether nothing is left to undo.
    pub fn is_complete(&self) -> bool {
        self.left.is_empty() && self.steps.last().is_none_or(|step| !step.result.stops())
    }
}

/// One action of the run, and what came of undoing it.
#[derive(Debug, Clone)]
pub struct Undoing {
    /// The action.
    pub action: ActionId,
    /// Its name.
    pub name: String,
    /// What came of it.
    pub result: UndoResult,
}

/// Result of undoing one action of a run.
#[derive(Debug, Clone)]
pub enum UndoResult {
    /// It is undone now.
    Undone(Box<Answer>),
    /// It was undone before, by this action.
    UndoneBefore(ActionId),
    /// A person has to agree to the undo first.
    Waits(Box<Answer>),
    /// The undo was refused, failed, or its outcome is unknown.
    Stopped(Box<Answer>),
    /// It cannot be undone, as things are: the code and why.
    CannotBe {
        /// The stable code.
        code: &'static str,
        /// Why.
        message: String,
    },
}

impl UndoResult {
    /// Whether what lies further back must stay as it is for now.
    pub fn stops(&self) -> bool {
        match self {
            UndoResult::Undone(_) | UndoResult::UndoneBefore(_) => false,
            UndoResult::Waits(_) | UndoResult::Stopped(_) | UndoResult::CannotBe { .. } => true,
        }
    }
}

impl Gate {
    /// Undoes everything that a run has done, the latest first. Stops at the first action that cannot be
    /// undone, that waits for a person, or whose outcome nobody knows: what came before it may be what it
    /// stands on. Called again, it goes on from there; what is undone stays undone.
    ///
    /// What only reads, what never happened, and undos themselves are no part of it. Neither are runs that
    /// were delegated from this one.
    pub async fn rollback_run(
        &self,
        by: &Identity,
        run: &RunId,
        reason: String,
        wait: Duration,
    ) -> Result<RunRollback, GateError> {
        self.operator_of(by, run, "roll back").await?;
        let deadline = tokio::time::Instant::now() + wait;
        let mut actions = self.effects_of(run).await?.into_iter();
        let mut steps = Vec::new();
        for (action, fact) in actions.by_ref() {
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            let result = self.undo_step(by, &action, &fact, &reason, left).await?;
            let stops = result.stops();
            steps.push(Undoing { action, name: fact.name, result });
            if stops {
                break;
            }
        }
        let left =
            actions.filter(|(_, fact)| !matches!(fact.undo, Undo::Done(_))).map(|(id, _)| id).collect();
        Ok(RunRollback { steps, left })
    }

    async fn undo_step(
        &self,
        by: &Identity,
        id: &ActionId,
        fact: &ActionFact,
        reason: &str,
        wait: Duration,
    ) -> Result<UndoResult, GateError> {
        if let Undo::Done(by) = &fact.undo {
            return Ok(UndoResult::UndoneBefore(by.clone()));
        }
        let answer = match self.rollback(by, id, reason.to_owned(), wait).await {
            Ok(answer) => Box::new(answer),
            Err(GateError::Refused { code, message }) if code == code::UNDO_REFUSED => {
                return Ok(UndoResult::CannotBe { code: code.as_str(), message });
            }
            Err(error) => return Err(error),
        };
        Ok(match &answer.end {
            End::Concluded { outcome: OutcomeKind::Done, .. } => UndoResult::Undone(answer),
            End::Pending(_) | End::Underway => UndoResult::Waits(answer),
            End::Concluded { .. } | End::Blocked { .. } | End::Permitted { .. } | End::Asked { .. } => {
                UndoResult::Stopped(answer)
            }
        })
    }

    /// What a run has done to the world, or may have, the latest first: in the order in which it began.
    async fn effects_of(&self, run: &RunId) -> Result<Vec<(ActionId, ActionFact)>, GateError> {
        let (mut begun, mut after) = (Vec::new(), None);
        loop {
            let entries = self.0.ledger.entries_of_run(run, after, PAGE).await?;
            let Some(last) = entries.last() else { break };
            after = Some(last.position);
            begun.extend(entries.into_iter().filter_map(|entry| match entry.event {
                Event::Started(started) => Some(started.action),
                _ => None,
            }));
            if begun.len() > ACTIONS_MAX {
                let message =
                    format!("`{run}` has more than {ACTIONS_MAX} actions; roll them back one by one");
                return Err(GateError::refused(code::UNDO_REFUSED, message));
            }
        }
        let (mut effects, mut seen) = (Vec::new(), BTreeSet::new());
        for id in begun.into_iter().rev() {
            let fact = self.action_fact(&id).await?;
            if seen.insert(id.clone()) && self.had_effect(&fact) {
                effects.push((id, fact));
            }
        }
        Ok(effects)
    }

    /// Whether an action changed something, or may have. One whose definition is gone may have.
    fn had_effect(&self, fact: &ActionFact) -> bool {
        let happened = match fact.state {
            ActionState::Done | ActionState::Unknown | ActionState::Started => fact.mode != Mode::DryRun,
            // That it failed is only what the agent says.
            ActionState::Failed => fact.reported,
            ActionState::Blocked | ActionState::Waiting | ActionState::Rejected | ActionState::Asked => false,
        };
        let bundle = self.bundle();
        // What has changed since and had cases may have been any of them.
        let catalogue = bundle.catalogue();
        let typed = catalogue.judged(&fact.name, fact.definition).or_else(|| catalogue.find(&fact.name));
        let only_reads = typed.is_some_and(|typed| !typed.manifest.effect.changes_something());
        happened && !only_reads && fact.compensates.is_none()
    }

    /// The undo of this action that waits for people, if there is one.
    fn waiting_undo(&self, id: &ActionId) -> Option<ActionId> {
        let undo = |waiting: &Waiting| waiting.summary.undoes.as_ref() == Some(id);
        self.open_requests(undo).first().map(|waiting| waiting.ask.action.clone())
    }

    /// Proposes the compensation of an action that is done.
    pub async fn rollback(
        &self,
        by: &Identity,
        id: &ActionId,
        reason: String,
        wait: Duration,
    ) -> Result<Answer, GateError> {
        let fact = self.operator_of_action(by, id, "roll back").await?;
        let Some(compensation) = &fact.compensation else {
            let message =
                format!("`{}` names no compensation; a person has to put it right at the target", fact.name);
            return Err(GateError::refused(code::UNDO_REFUSED, message));
        };
        if fact.reported {
            let message = format!(
                "only its agent says that `{id}` has failed; find out at the target, then `aecl resolve {id}`"
            );
            return Err(GateError::refused(code::UNDO_REFUSED, message));
        }
        if fact.state != ActionState::Done {
            let message = format!("`{id}` is {}; only what is done can be undone", fact.state.name());
            return Err(GateError::refused(code::UNDO_REFUSED, message));
        }
        // Asked for twice, it is one undo, and one person is asked.
        if let Some(waiting) = self.waiting_undo(id) {
            return Ok(self.status(&waiting, wait, &CancellationToken::new()).await?.1);
        }
        let ruled = self.last_ruling(id).await?;
        let arguments = self.arguments(&ruled.arguments).await?.unwrap_or(Value::Null);
        let result = match &fact.output {
            Some(digest) => self.0.ledger.payload(PayloadKind::Output, digest).await?,
            None => None,
        };
        let result = result.and_then(|r| serde_json::from_slice::<Value>(&r).ok()).unwrap_or(Value::Null);
        let filled = compensation
            .arguments(&arguments, &result)
            .map_err(|e| GateError::refused(code::UNDO_REFUSED, format!("`{id}` cannot be undone: {e}")))?;
        let principal = &ruled.principal;
        let request = RunRequest {
            agent: principal.agent.clone(),
            goal: format!("Undo {id} ({}): {reason}", fact.name),
            plan: None,
            user: principal.user.clone(),
            tenant: Some(principal.tenant.clone()),
            project: principal.project.clone(),
            environment: Some(principal.environment.clone()),
            ttl_s: None,
            parent: None,
            approve_plan: false,
        };
        // Whoever asks for an undo has written nothing of it: it follows from the record. So they may agree to it, too.
        let run = self.open_run_barring(by, request, BTreeSet::new()).await?;
        let submission = Submission {
            name: compensation.action.to_string(),
            arguments: Value::Object(filled).to_string().into_bytes(),
            compensates: Some(id.clone()),
            offered: self
                .bundle()
                .catalogue()
                .find(compensation.action.as_str())
                .and_then(|t| t.manifest.pin),
            resume: true,
            wait,
            ..Submission::default()
        };
        let session = self.own_session(&run.session.principal, "rollback");
        self.submit(&session, submission).await
    }
}
