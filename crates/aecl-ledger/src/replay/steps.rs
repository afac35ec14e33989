//! A run, step by step: what was proposed, what was known, what was decided and by which policy, who was
//! asked and what they said, what happened.

use super::read;
use crate::error::LedgerError;
use crate::payload::{PayloadKind, payload};
use crate::store::Store;
use aecl_kernel::base::code::Code;
use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::evidence::Evidence;
use aecl_kernel::base::id::{ActionId, ApprovalId, RunId};
use aecl_kernel::base::principal::Principal;
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::base::traffic::Traffic;
use aecl_kernel::read::action::{Mode, ProposalProblem};
use aecl_kernel::record::approval::{ApprovalState, Quorum, Vote};
use aecl_kernel::record::decision::Decision;
use aecl_kernel::record::event::{Entry, Event, OutcomeKind};
use aecl_kernel::record::facts::Facts;
use aecl_kernel::record::goal::Goal;
use serde::Serialize;
use std::sync::Arc;

/// One step of a run.
#[derive(Debug, Serialize)]
pub struct ReplayStep {
    /// The position of its entry.
    pub position: u64,
    /// Its number in the run.
    pub seq: Option<u64>,
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub what: StepKind,
}

/// Kind of a step. Texts that were erased, or are not there, are `None`.
#[derive(Debug, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are those of the entries")]
pub enum StepKind {
    /// The run began.
    Opened {
        principal: Principal,
        goal: Option<Goal>,
        expires_at: Timestamp,
        ancestors: Vec<RunId>,
        by: String,
    },
    /// Something was proposed and decided on.
    Proposed {
        action: ActionId,
        name: String,
        /// The canonical JSON that was judged.
        arguments: Option<String>,
        mode: Mode,
        idempotency_key: Option<String>,
        compensates: Option<ActionId>,
        problems: Vec<ProposalProblem>,
        known: Box<Facts>,
        evidence: Vec<Evidence>,
        bundle: Digest,
        /// `approved`, `blocked`, `escalated`, `replayed` or `asked`.
        outcome: String,
        decision: Arc<Decision>,
    },
    /// People were asked.
    Asked { approval: ApprovalId, action: ActionId, need: Quorum, expires_at: Timestamp },
    /// A person answered.
    Answered { approval: ApprovalId, action: ActionId, vote: Vote, state: ApprovalState },
    /// Nobody answered in time.
    Expired { approval: ApprovalId, action: ActionId },
    /// Nobody has to answer any more.
    Withdrawn {
        approval: ApprovalId,
        action: ActionId,
        /// Why the action is over, if it is.
        code: Option<Code>,
        message: String,
    },
    /// An attempt began.
    Started { action: ActionId, attempt: u32 },
    /// It ended, or its unknown outcome was resolved.
    Happened {
        action: ActionId,
        outcome: OutcomeKind,
        code: Option<String>,
        message: String,
        /// What came back; bytes that are no text are shown as replacement characters.
        output: Option<String>,
        output_bytes: u64,
        latency_ms: u64,
        sandbox: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        traffic: Option<Traffic>,
        resolved_by: Option<String>,
        rollback_token: Option<String>,
    },
    /// A token was given out.
    TokenIssued {
        token: String,
        expires_at: Timestamp,
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<String>,
    },
    /// A token was revoked.
    TokenRevoked { token: String, by: String },
    /// The run ended.
    Closed { reason: String, by: String },
    /// Something that is not about one run.
    Other { kind: String },
}

/// All steps of a run, in order.
pub fn steps(store: &mut dyn Store, run: &RunId) -> Result<Vec<ReplayStep>, LedgerError> {
    let mut steps = Vec::new();
    let mut after = None;
    loop {
        let entries = store.entries_of_run(run.as_str(), after, 256)?;
        let Some((last, _)) = entries.last() else { return Ok(steps) };
        after = Some(*last);
        for (position, bytes) in entries {
            let entry: Entry = read(position, &bytes)?;
            let (seq, at) = (entry.seq, entry.at);
            steps.push(ReplayStep { position, seq, at, what: what(store, entry.event)? });
        }
    }
}

fn what(store: &mut dyn Store, event: Event) -> Result<StepKind, LedgerError> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(match event {
        Event::RunOpened(e) => {
            let stated = payload(store, PayloadKind::Stated, &e.stated)?;
            let goal = stated.map(|json| read(0, &json)).transpose()?;
            StepKind::Opened {
                principal: e.principal,
                goal,
                expires_at: e.expires_at,
                ancestors: e.ancestors,
                by: e.by,
            }
        }
        Event::Ruled(e) => {
            let arguments = payload(store, PayloadKind::Arguments, &e.arguments)?.map(text);
            StepKind::Proposed {
                action: e.action,
                name: e.name,
                arguments,
                mode: e.mode,
                idempotency_key: e.idempotency_key,
                compensates: e.compensates,
                problems: e.problems,
                known: Box::new(e.facts),
                evidence: e.evidence,
                bundle: e.bundle,
                outcome: e.outcome,
                decision: e.decision,
            }
        }
        Event::Asked(e) => {
            StepKind::Asked { approval: e.approval, action: e.action, need: e.need, expires_at: e.expires_at }
        }
        Event::Answered(e) => {
            StepKind::Answered { approval: e.approval, action: e.action, vote: e.vote, state: e.state }
        }
        Event::Expired(e) => StepKind::Expired { approval: e.approval, action: e.action },
        Event::Withdrawn(e) => {
            StepKind::Withdrawn { approval: e.approval, action: e.action, code: e.code, message: e.message }
        }
        Event::Started(e) => StepKind::Started { action: e.action, attempt: e.attempt },
        Event::Concluded(e) => {
            let output = e.output.map(|digest| payload(store, PayloadKind::Output, &digest)).transpose()?;
            StepKind::Happened {
                action: e.action,
                outcome: e.outcome,
                code: e.code,
                message: e.message,
                output: output.flatten().map(text),
                output_bytes: e.output_bytes,
                latency_ms: e.latency_ms,
                sandbox: e.sandbox,
                traffic: e.traffic,
                resolved_by: e.resolved_by,
                rollback_token: e.rollback_token,
            }
        }
        Event::TokenIssued(e) => {
            StepKind::TokenIssued { token: e.token, expires_at: e.expires_at, from: e.from }
        }
        Event::TokenRevoked(e) => StepKind::TokenRevoked { token: e.token, by: e.by },
        Event::RunClosed(e) => StepKind::Closed { reason: e.reason, by: e.by },
        other @ (Event::BundleLoaded(_)
        | Event::SandboxProbed(_)
        | Event::Kill(_)
        | Event::Lift(_)
        | Event::BudgetAdjusted(_)
        | Event::Erased(_)
        | Event::KeyChanged(_)
        | Event::Heartbeat(_)
        | Event::Fault(_)) => StepKind::Other { kind: other.kind().to_owned() },
    })
}
