//! Carrying on: after a person's yes, after a crash, and when nobody has answered in time. What was started
//! and has no conclusion is looked up at its target or marked unknown; never done again blindly.

use crate::error::GateError;
use crate::gate::Gate;
use crate::identity::{Identity, Session};
use crate::standing::Said;
use crate::submit::{Answer, End, Held, PERMIT_TTL_S, Submission};
use crate::wait::Turn;
use aecl_executor::{Carry, Outcome, Reconciled};
use aecl_kernel::base::code;
use aecl_kernel::base::id::ActionId;
use aecl_kernel::define::catalogue::Idempotency;
use aecl_kernel::read::action::{Action, Credential, Mode, Proposal};
use aecl_kernel::record::approval::AskState;
use aecl_kernel::record::event::{Event, OutcomeKind};
use aecl_kernel::record::facts::{ActionFact, ActionState};
use aecl_ledger::{Again, LedgerError, PayloadKind};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Most open things that are looked at in one sweep.
const SWEEP_MAX: usize = 10_000;
/// How often unknown outcomes are looked up at their targets, in seconds.
const RECONCILE_S: u64 = 15;

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
        let answer = self.propose_again(id, Carry::default(), true, turn).await?;
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
        carry: Carry,
        until: &CancellationToken,
    ) -> Result<Answer, GateError> {
        let fact = self.action_fact(id).await?;
        let mut planned = false;
        loop {
            match self.hold(id, &fact.digest, planned, None, [&carry.cancel, until]).await? {
                Held::AskAgain(turn) => {
                    planned = self.is_plan_agreed(&fact.run).await?;
                    let answer = self.propose_again(id, carry.clone(), false, turn).await?;
                    // The policy of now may want somebody else, too: then it waits on.
                    if !matches!(answer.end, End::Pending(_)) {
                        return Ok(answer);
                    }
                }
                Held::Over(answer) => return Ok(answer),
                Held::NoLonger(ask) => {
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
        carry: Carry,
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
            carry,
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

    /// Looks up at their targets what is unknown and can be looked up. An attempt may still be travelling
    /// until its time-out has passed, so a "not there" counts only after that. Gives how many were resolved.
    pub async fn reconcile(&self) -> Result<usize, GateError> {
        let mut resolved = 0;
        for id in self.0.ledger.in_flight(SWEEP_MAX).await? {
            let fact = self.action_fact(&id).await?;
            let timeout_ms = self.bundle().catalogue().find(&fact.name).map_or(0, |t| t.manifest.timeout_ms);
            let late = self.now() >= fact.changed_at.plus_s(timeout_ms.div_ceil(1000));
            if fact.state != ActionState::Unknown || fact.mode != Mode::Execute || !late {
                continue;
            }
            let outcome = self.look_up(&id, &fact).await?;
            if outcome.kind != OutcomeKind::Unknown {
                self.conclude(&id, outcome, fact.changed_at, Some("reconciler".into())).await?;
                resolved += 1;
            }
        }
        Ok(resolved)
    }

    /// After a start: concludes what the last process left open, withdraws what waits in runs that have ended, and carries
    /// on what was approved meanwhile.
    pub(crate) async fn recover(&self) -> Result<(), GateError> {
        for id in self.0.ledger.in_flight(SWEEP_MAX).await? {
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

    /// Carries on what people have agreed to and nobody has carried out yet.
    pub(crate) async fn carry_on_agreed(&self) -> Result<(), GateError> {
        let mut planned = BTreeSet::new();
        let agreed = |w: &aecl_ledger::Waiting| w.ask.state == AskState::Approved;
        for waiting in self.open_requests(agreed) {
            match waiting.ask.plan {
                None => self.carry_on(&waiting.ask.action).await?,
                Some(_) => drop(planned.insert(waiting.ask.run.clone())),
            }
        }
        self.go_on_with(&planned).await
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
        if fact.run != session.principal.run || fact.mode != Mode::Authorize {
            return Err(GateError::refused(code::FORBIDDEN, format!("`{id}` is no permit of this run")));
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
        self.operator(by, "resolve unknown outcomes")?;
        let fact = self.action_fact(id).await?;
        self.operator_of(by, &fact.run, "resolve unknown outcomes").await?;
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

    /// One round of housekeeping: what nobody has answered in time is rejected, permits without a report
    /// become unknown. Gives how much was done.
    pub async fn sweep(&self) -> Result<usize, GateError> {
        let now = self.now();
        let mut done = 0;
        for waiting in self.overdue(SWEEP_MAX) {
            if self.0.ledger.expire(waiting.ask.approval.clone(), now).await? {
                self.0.waits.ring(&waiting.ask.action);
                done += 1;
            }
        }
        for id in self.0.ledger.in_flight(SWEEP_MAX).await? {
            let fact = self.action_fact(&id).await?;
            let late = now >= fact.changed_at.plus_s(PERMIT_TTL_S + 30);
            if fact.mode == Mode::Authorize && fact.state == ActionState::Started && late {
                let outcome = Outcome {
                    kind: OutcomeKind::Unknown,
                    code: Some("no_report".into()),
                    message: "a permit was given out and nobody has reported what came of it".into(),
                    output: None,
                    may_have_acted: false,
                    sandbox: "agent".into(),
                    traffic: None,
                };
                self.conclude(&id, outcome, fact.changed_at, None).await?;
                done += 1;
            }
        }
        Ok(done)
    }

    /// Housekeeping until the gate is shut: sweeps, and shows that the ledger is alive when nothing else does.
    pub async fn keep_house(&self) {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        let (mut size, mut silent_s, mut seconds) = (0, 0, 0u64);
        let mut said = Said::default();
        loop {
            ticks.tick().await;
            seconds += 1;
            if let Err(error) = self.note_clock(&mut said).await {
                tracing::error!(%error, "what the clock does cannot be recorded");
            }
            if seconds % RECONCILE_S == 0
                && let Err(error) = self.reconcile().await
            {
                tracing::error!(%error, "unknown outcomes could not be looked up");
            }
            if let Err(error) = self.sweep().await {
                tracing::error!(%error, "housekeeping failed");
            }
            let Ok(head) = self.0.ledger.head().await else { continue };
            silent_s = if head.size == size { silent_s + 1 } else { 0 };
            size = head.size;
            if silent_s >= self.config().limits.heartbeat_s {
                let in_flight = self.0.ledger.in_flight(SWEEP_MAX).await.map_or(0, |f| f.len() as u64);
                if let Err(error) = self.0.ledger.heartbeat(in_flight, self.now()).await {
                    tracing::error!(%error, "the heartbeat cannot be recorded");
                }
            }
        }
    }

    /// Waits until nothing is underway, at most this long. Gives what still is; that becomes unknown at the
    /// next start.
    pub async fn drain(&self, at_most: Duration) -> usize {
        let deadline = tokio::time::Instant::now() + at_most;
        while self.underway() > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.underway()
    }
}
