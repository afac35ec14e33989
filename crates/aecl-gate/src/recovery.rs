//! What was started and has no conclusion: it is looked up at its target or marked unknown, never done again blindly.
//! Its agent reports it, or a person finds out.

use crate::answer::Answer;
use crate::error::GateError;
use crate::gate::Gate;
use crate::identity::{Identity, Session};
use crate::proxies::is_proxied;
use aecl_executor::{Outcome, Reconciled};
use aecl_kernel::base::code;
use aecl_kernel::base::id::ActionId;
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::define::catalogue::Idempotency;
use aecl_kernel::read::action::{Action, Mode, Proposal};
use aecl_kernel::record::event::{Event, OutcomeKind};
use aecl_kernel::record::facts::{ActionFact, ActionState};
use aecl_ledger::{LedgerError, PayloadKind, Stage};
use std::sync::Arc;

/// Most open things that are looked at in one sweep.
pub(crate) const SWEEP_MAX: usize = 10_000;

impl Gate {
    /// After a start: concludes what the last process left open, withdraws what waits in runs that have ended, and carries
    /// on what was approved meanwhile.
    pub(crate) async fn recover(&self) -> Result<(), GateError> {
        for id in self.0.ledger.in_flight_since(Stage::Running, Timestamp(i64::MAX)) {
            let fact = self.action_fact(&id).await?;
            if fact.state == ActionState::Started && fact.mode == Mode::Execute {
                let mut outcome = self.look_up(&id, &fact).await?;
                if outcome.kind == OutcomeKind::Failed && outcome.code.as_deref() == Some("not_done") {
                    // The request may still be on its way to the target.
                    outcome.kind = OutcomeKind::Unknown;
                    outcome.code = Some("interrupted".into());
                }
                tracing::warn!(action = %id, outcome = outcome.kind.name(), "an action was interrupted by the end of the last process");
                self.conclude(&id, outcome, fact.changed_at, None).await?;
            }
        }
        self.end_what_waits_in_ended_runs().await?;
        self.carry_on_agreed().await
    }

    /// Looks up at their targets what is unknown and can be looked up. An attempt may still be travelling
    /// until its time-out has passed, so a "not there" counts only after that. Gives how many were resolved.
    pub async fn reconcile(&self) -> Result<usize, GateError> {
        let mut resolved = 0;
        for id in self.0.ledger.in_flight_since(Stage::Unknown, self.now()) {
            let fact = self.action_fact(&id).await?;
            let bundle = self.bundle();
            let catalogue = bundle.catalogue();
            let typed = catalogue.judged(&fact.name, fact.definition).or_else(|| catalogue.find(&fact.name));
            let manifest = typed.map(|typed| &typed.manifest);
            // What no target can be asked about is for people, however much of it there is.
            if manifest.is_some_and(|manifest| manifest.idempotency == Idempotency::Opaque) {
                continue;
            }
            let timeout_ms = manifest.map_or(0, |manifest| manifest.timeout_ms);
            let late = self.now() >= fact.changed_at.plus_s(timeout_ms.div_ceil(1000));
            if fact.state != ActionState::Unknown || fact.mode != Mode::Execute || !late {
                continue;
            }
            let outcome = self.look_up(&id, &fact).await?;
            if outcome.kind != OutcomeKind::Unknown {
                let by = Some("reconciler".into());
                resolved += usize::from(self.conclude_late(&id, outcome, fact.changed_at, by).await?);
            }
        }
        Ok(resolved)
    }

    /// Puts on record what was found out afterwards. False where somebody else was faster, who knows better.
    pub(crate) async fn conclude_late(
        &self,
        id: &ActionId,
        outcome: Outcome,
        since: Timestamp,
        resolved_by: Option<String>,
    ) -> Result<bool, GateError> {
        match self.conclude(id, outcome, since, resolved_by).await {
            Ok(_) => Ok(true),
            Err(GateError::Ledger(LedgerError::WrongState { .. })) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What became of an attempt whose end nobody saw.
    async fn look_up(&self, id: &ActionId, fact: &ActionFact) -> Result<Outcome, GateError> {
        let ruled = self.last_ruling(id).await?;
        let arguments =
            self.0.ledger.payload(PayloadKind::Arguments, &ruled.arguments).await?.unwrap_or_default();
        let session = self.own_session(&ruled.principal, "recover");
        let proposal = Proposal {
            principal: session.principal,
            credential: session.credential,
            name: ruled.name,
            arguments,
            mode: ruled.mode,
            idempotency_key: None,
            offered: ruled.offered,
            compensates: ruled.compensates,
            resume: false,
        };
        let action = Arc::new(Action::parse(proposal, self.bundle().catalogue(), &self.limits()));
        // Only the definition that was judged says how it was carried out.
        let same = action.typed.as_ref().filter(|t| Some(t.digest) == fact.definition);
        let outcome = |kind, code: &str, message: String, output: Option<Vec<u8>>| Outcome {
            kind,
            code: Some(code.to_owned()).filter(|_| kind != OutcomeKind::Done),
            message,
            output,
            may_have_acted: false,
            sandbox: "none".into(),
            traffic: None,
        };
        let unknown = |message: &str| outcome(OutcomeKind::Unknown, "interrupted", message.to_owned(), None);
        let Some(typed) = same else {
            return Ok(unknown(
                "the process ended during the attempt, and the action's definition has changed since",
            ));
        };
        Ok(match typed.manifest.idempotency {
            Idempotency::Pure => outcome(
                OutcomeKind::Failed,
                "interrupted",
                "the process ended during the attempt; it has no effect and can be repeated".into(),
                None,
            ),
            Idempotency::Keyed | Idempotency::Verifiable => {
                let key = self.started_key(id).await?;
                match self
                    .0
                    .executor
                    .reconcile(id.as_str(), &action, key, self.config().limits.output_bytes_max)
                    .await
                {
                    Reconciled::Done { output } => {
                        outcome(OutcomeKind::Done, "", String::new(), Some(output))
                    }
                    Reconciled::NotDone => outcome(
                        OutcomeKind::Failed,
                        "not_done",
                        "nobody saw the end of the attempt; the target says that it did not happen".into(),
                        None,
                    ),
                    Reconciled::StillUnknown { message } => unknown(&message),
                }
            }
            Idempotency::Opaque => unknown(
                "the process ended during the attempt; find out at the target whether it happened, then `aecl resolve`",
            ),
        })
    }

    async fn started_key(&self, id: &ActionId) -> Result<String, GateError> {
        let entries = self.0.ledger.entries_of_action(id).await?;
        let key = entries.into_iter().rev().find_map(|e| match e.event {
            Event::Started(started) => Some(started.key),
            _ => None,
        });
        Ok(key.ok_or_else(|| LedgerError::NoAction(id.clone()))?)
    }

    /// Takes the report of an agent that acted by itself.
    pub async fn report(
        &self,
        session: &Session,
        id: &ActionId,
        outcome: Outcome,
    ) -> Result<Answer, GateError> {
        let fact = self.action_fact(id).await?;
        // What belongs to another run is not there.
        if fact.run != session.principal.run {
            return Err(LedgerError::NoAction(id.clone()).into());
        }
        if fact.mode != Mode::Authorize {
            return Err(GateError::refused(code::FORBIDDEN, format!("`{id}` is no permit of this run")));
        }
        if is_proxied(&fact) {
            let why = format!("what came of `{id}` is reported by the proxy that let it through");
            return Err(GateError::refused(code::FORBIDDEN, why));
        }
        self.conclude(id, outcome, fact.changed_at, None).await?;
        self.recorded_answer(id, None, false).await
    }

    /// Records what an unknown outcome turned out to be, as a person has found out.
    pub async fn resolve(
        &self,
        by: &Identity,
        id: &ActionId,
        done: bool,
        note: String,
    ) -> Result<Answer, GateError> {
        let fact = self.operator_of_action(by, id, "resolve unknown outcomes").await?;
        let kind = if done { OutcomeKind::Done } else { OutcomeKind::Failed };
        let outcome = Outcome {
            kind,
            code: (!done).then(|| "resolved_not_done".to_owned()),
            message: note,
            output: None,
            may_have_acted: false,
            sandbox: "none".into(),
            traffic: None,
        };
        self.conclude(id, outcome, fact.changed_at, Some(by.name())).await?;
        self.recorded_answer(id, None, false).await
    }
}
