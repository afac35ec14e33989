//! Workers: who may take what, the leave that is handed over, and the reports that come back.
//!
//! A call is handed over when its worker accepts it, on a permit that is on record, and not before. A report that comes
//! after the attempt was given up says what an unknown outcome was; it never changes one that is known.

use crate::error::GateError;
use crate::gate::Gate;
use crate::identity::WorkerIdentity;
use aecl_executor::Outcome;
use aecl_executor::connectors::worker::desk::Desk;
use aecl_executor::connectors::worker::words::{
    NotConnected, Notice, Registration, WorkEnded, WorkReport, WorkerId,
};
use aecl_kernel::base::code;
use aecl_kernel::base::id::ActionId;
use aecl_kernel::read::action::Mode;
use aecl_kernel::record::event::OutcomeKind;
use aecl_kernel::record::facts::{ActionFact, ActionState, KillScope};
use aecl_ledger::LedgerError;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

/// How long a report waits until what it says is on record.
const RECORDED: Duration = Duration::from_secs(20);
/// Longest name that a worker gives itself, and longest nonce, in bytes.
const NAME_MAX: usize = 64;
/// Most calls of one worker at once.
const SLOTS_MAX: usize = 256;

/// Call that was handed over: the signed leave, and the bytes that it is for.
#[derive(Debug, Clone)]
pub struct HandedOver {
    /// The leave, signed.
    pub permit: String,
    /// The arguments, as they were judged.
    pub arguments: Arc<[u8]>,
}

/// Standing of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportTaken {
    /// The state of the action on record; nothing for a look-up or a dry run, which is on no record.
    pub state: Option<ActionState>,
    /// It came after the attempt was given up.
    pub late: bool,
}

impl Gate {
    /// Where calls wait for workers.
    pub fn desk(&self) -> &Desk {
        &self.0.executor.connectors().worker.desk
    }

    /// Connects a worker that serves these actions. Gives a signed greeting, its line and what is told over it.
    pub fn connect_worker(
        &self,
        who: &WorkerIdentity,
        instance: &str,
        nonce: &str,
        registration: Registration,
    ) -> Result<(String, u64, UnboundedReceiver<Notice>), GateError> {
        let refused = |why: String| GateError::refused(code::REQUEST_INVALID, why);
        named("instance", instance)?;
        named("nonce", nonce)?;
        if !(1..=SLOTS_MAX).contains(&registration.slots) {
            return Err(refused(format!("`slots` is {}; it must be 1 to {SLOTS_MAX}", registration.slots)));
        }
        if registration.serves.is_empty()
            || registration.serves.values().any(|functions| functions.is_empty())
        {
            return Err(refused("`serves` names no action, or one without a function".into()));
        }
        if let Some(other) = registration.serves.keys().find(|action| !who.actions.contains(*action)) {
            let why = format!(
                "the key of worker `{}` is not for `{other}`; `actions` of its entry in aecl.yaml lists what it may serve",
                who.id
            );
            return Err(GateError::refused(code::FORBIDDEN, why));
        }
        let id = WorkerId { worker: who.id.clone(), instance: instance.to_owned() };
        let greeting = self.0.tokens.greeting(&id, nonce, self.now())?;
        let (line, notices) = self.desk().connect(&id, registration).map_err(|error| match error {
            NotConnected::Full(_) => GateError::refused(code::OVERLOADED, error.to_string()),
            NotConnected::Closed => GateError::refused(code::LEDGER_UNAVAILABLE, error.to_string()),
        })?;
        Ok((greeting, line, notices))
    }

    /// Hands a call over to the worker to which it was offered. What was stopped meanwhile is not handed over.
    pub async fn hand_over(
        &self,
        who: &WorkerIdentity,
        instance: &str,
        delivery: &str,
        nonce: &str,
    ) -> Result<HandedOver, GateError> {
        named("nonce", nonce)?;
        let id = WorkerId { worker: who.id.clone(), instance: instance.to_owned() };
        let work = self.desk().offered(&id, delivery).ok_or_else(|| gone(delivery))?;
        if !who.actions.contains(&work.serves) {
            let why = format!("the key of worker `{}` is not for `{}` any more", who.id, work.serves);
            return Err(GateError::refused(code::FORBIDDEN, why));
        }
        if work.function.acts() {
            let fact = self.action_fact(&ActionId::new(&work.action_id)?).await?;
            if let Some(scope) = self.stopped(&fact).await? {
                let why = format!("a person has stopped this ({scope})");
                self.desk().stop(&id, delivery, why.clone());
                return Err(GateError::refused(code::KILLED, why));
            }
        }
        // Signed first: what cannot be signed is not handed over.
        let permit = self.0.tokens.work(&id, delivery, nonce, &work, self.now())?;
        let work = self.desk().accept(&id, delivery).map_err(|_| gone(delivery))?;
        Ok(HandedOver { permit, arguments: work.arguments.clone() })
    }

    /// The kill switch that stops an action which was allowed before, if there is one.
    async fn stopped(&self, fact: &ActionFact) -> Result<Option<KillScope>, GateError> {
        let run = self.run_fact(&fact.run).await?;
        let mut scopes = KillScope::around(&run.principal);
        for ancestor in &run.ancestors {
            if let Some(fact) = self.0.ledger.run(ancestor).await? {
                scopes.push(KillScope::Agent(fact.principal.agent));
            }
            scopes.push(KillScope::Run(ancestor.clone()));
        }
        Ok(self.0.ledger.killed(&scopes).await?)
    }

    /// Takes the report of the worker that was handed this permit. What it says is on record when this returns.
    pub async fn take_report(
        &self,
        who: &WorkerIdentity,
        instance: &str,
        permit: &str,
        report: WorkReport,
        until: &CancellationToken,
    ) -> Result<ReportTaken, GateError> {
        let claims = self.0.tokens.read_work(permit)?;
        if claims.sub != who.id || claims.instance != instance {
            return Err(gone(&claims.jti));
        }
        let id = WorkerId { worker: who.id.clone(), instance: instance.to_owned() };
        let in_time = self.desk().report(&id, &claims.jti, report.clone()).is_ok();
        if !claims.function.acts() {
            return match in_time {
                true => Ok(ReportTaken { state: None, late: false }),
                false => Err(gone(&claims.jti)),
            };
        }
        let action = ActionId::new(&claims.call)?;
        // Whoever waited for it records it; also that nobody waited any more.
        let (fact, _) = self.status(&action, RECORDED, until).await?;
        if fact.state == ActionState::Started {
            let why = "what was reported is not on record yet; report it again";
            return Err(GateError::refused(code::LEDGER_UNAVAILABLE, why));
        }
        if in_time {
            return Ok(ReportTaken { state: Some(fact.state), late: false });
        }
        self.take_late(&action, &fact, &claims.jti, &who.id, report).await
    }

    /// A report of what was given up: it settles what is unknown, and is noted where the record says otherwise.
    async fn take_late(
        &self,
        action: &ActionId,
        fact: &ActionFact,
        delivery: &str,
        worker: &str,
        report: WorkReport,
    ) -> Result<ReportTaken, GateError> {
        let said = match report.ended {
            WorkEnded::Done => OutcomeKind::Done,
            WorkEnded::Failed | WorkEnded::Refused => OutcomeKind::Failed,
            WorkEnded::Unknown => OutcomeKind::Unknown,
        };
        let mut state = fact.state;
        if state == ActionState::Unknown && fact.mode == Mode::Execute && said != OutcomeKind::Unknown {
            let most = self.config().limits.output_bytes_max;
            let outcome = Outcome {
                kind: said,
                code: (said == OutcomeKind::Failed).then(|| "worker_failed".to_owned()),
                message: report.message.clone(),
                output: report.output.clone().filter(|output| output.len() <= most),
                may_have_acted: false,
                sandbox: "none".into(),
                traffic: None,
            };
            let by = Some(format!("worker:{worker}"));
            match self.conclude(action, outcome, fact.changed_at, by).await {
                Ok(_) | Err(GateError::Ledger(LedgerError::WrongState { .. })) => {}
                Err(error) => return Err(error),
            }
            state = self.action_fact(action).await?.state;
        }
        let is_so = match said {
            OutcomeKind::Done => state == ActionState::Done,
            OutcomeKind::Failed => state == ActionState::Failed,
            OutcomeKind::Unknown => true,
        };
        if is_so {
            return Ok(ReportTaken { state: Some(state), late: true });
        }
        let message = format!(
            "worker `{worker}` says late that `{action}` is {}; the record says otherwise, and stays",
            said.name()
        );
        if self.desk().is_first_late(delivery) {
            self.0.ledger.fault("worker_late", message.clone(), self.now()).await?;
        }
        Err(GateError::refused(code::WORK_ANSWERED, message))
    }
}

fn gone(delivery: &str) -> GateError {
    let shown: String = delivery.chars().take(NAME_MAX).collect();
    let why = format!("`{shown}` is not there for this worker, or not any more; nothing of it may be done");
    GateError::refused(code::WORK_GONE, why)
}

/// Names that workers make up: visible ASCII, of some length, so that nobody guesses them.
fn named(what: &str, name: &str) -> Result<(), GateError> {
    if (16..=NAME_MAX).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    let why = format!("`{what}` must be 16 to {NAME_MAX} visible ASCII characters that nobody guesses");
    Err(GateError::refused(code::REQUEST_INVALID, why))
}
