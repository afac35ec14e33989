//! Proposals and what came of them.

use super::{Approval, Decision, Verbatim};
use aecl_gate::submit::{Answer, End};
use aecl_gate::votes::Tally;
use aecl_kernel::read::action::Mode;
use aecl_kernel::record::facts::{ActionFact, ActionState, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// Proposes an action.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Propose<'a> {
    /// Its name in the catalogue.
    #[schema(value_type = String)]
    pub action: std::borrow::Cow<'a, str>,
    /// Its arguments. They are judged as they were sent, byte for byte.
    #[serde(borrow)]
    #[schema(value_type = Object)]
    pub arguments: &'a RawValue,
    /// `execute` (AECL does it), `authorize` (the agent does it, with a permit) or `dry_run`.
    #[serde(default)]
    pub mode: Wanted,
    /// The same key with the same arguments gives the recorded outcome again. Also as header.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub idempotency_key: Option<String>,
    /// For how many seconds to wait for people before answering `pending`.
    #[serde(default)]
    pub wait_s: u64,
    /// Carry on without the proposer once people have agreed; poll for the result.
    #[serde(default)]
    pub resume: bool,
}

/// What the proposer wants.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// AECL carries it out.
    #[default]
    Execute,
    /// The agent carries it out with a permit, and reports.
    Authorize,
    /// Nothing is changed: what would be decided, and what would happen.
    DryRun,
}

impl From<Wanted> for Mode {
    fn from(wanted: Wanted) -> Self {
        match wanted {
            Wanted::Execute => Mode::Execute,
            Wanted::Authorize => Mode::Authorize,
            Wanted::DryRun => Mode::DryRun,
        }
    }
}

/// Reports what came of a permit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// How it ended.
    pub outcome: Reported,
    /// What went wrong, as a code.
    #[serde(default)]
    pub code: Option<String>,
    /// What went wrong, in words.
    #[serde(default)]
    pub message: String,
    /// What the target answered.
    #[serde(default)]
    pub output: Option<Value>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reported {
    /// It happened.
    Done,
    /// It did not happen.
    Failed,
    /// Nobody knows.
    Unknown,
}

/// Undoes an action.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rollback {
    /// Why.
    pub reason: String,
    /// For how many seconds to wait for people before answering `pending`.
    pub wait_s: u64,
}

/// Says what an unknown outcome turned out to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Resolve {
    /// It happened.
    pub done: bool,
    /// How that was found out.
    pub note: String,
}

/// Where an entry stands, and the signed head that covers it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Receipt {
    /// The ledger.
    pub origin: String,
    /// The position of the entry.
    pub position: u64,
    /// The leaf hash of the entry.
    pub leaf: String,
    /// When it was recorded.
    pub at: String,
    /// The signed checkpoint.
    pub checkpoint: String,
}

impl From<aecl_ledger::Receipt> for Receipt {
    fn from(r: aecl_ledger::Receipt) -> Self {
        Self {
            origin: r.origin.to_string(),
            position: r.position,
            leaf: r.leaf.to_string(),
            at: r.at.to_string(),
            checkpoint: r.checkpoint.to_string(),
        }
    }
}

/// What came of a proposal, or where it stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct Action {
    /// The action on record.
    pub action: String,
    /// `done`, `failed`, `unknown`, `blocked`, `rejected`, `pending`, `permitted`, `started` or `asked`.
    pub state: &'static str,
    /// Its name, where it was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its run, where it was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Why it was refused, or how it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The same in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// What the target answered, or would do.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value)]
    pub output: Option<Verbatim>,
    /// The outcome was on record already; nothing was executed now.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
    /// The request that it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// What else the agent could do, where it asks people often: one plan for all that is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Leave for the agent to do exactly this, once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permit: Option<String>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permit_expires_at: Option<String>,
    /// The action that undoes this one, and how far that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo: Option<Undone>,
    /// The action that this one undoes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compensates: Option<String>,
    /// Where it is on record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
}

/// How far an undo is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Undone {
    /// `underway`, `done` or `failed`.
    pub state: &'static str,
    /// The action that undoes.
    pub by: String,
}

impl Action {
    /// An answer on the wire; `url` is where people answer.
    pub fn of(answer: Answer, url: &str) -> Self {
        let mut action = Self {
            action: answer.action.to_string(),
            state: "done",
            name: None,
            run: None,
            code: None,
            message: String::new(),
            decision: answer.decision.as_deref().map(Decision::from),
            output: None,
            replayed: false,
            approval: None,
            hint: None,
            permit: None,
            permit_expires_at: None,
            undo: None,
            compensates: None,
            receipt: answer.receipt.map(Receipt::from),
        };
        match answer.end {
            End::Concluded { outcome, code, message, output, replayed } => {
                action.state = outcome.name();
                (action.code, action.message, action.replayed) = (code, message, replayed);
                action.output = output.as_deref().map(Verbatim::of);
            }
            End::Underway => {
                action.state = "started";
                action.message = "it is underway; ask again, or wait with `wait_s`".into();
            }
            End::Blocked { code, message } => {
                action.state = match code {
                    "approval_rejected" | "approval_expired" => "rejected",
                    _ => "blocked",
                };
                (action.code, action.message) = (Some(code.to_owned()), message);
            }
            End::Pending(ask) => {
                action.state = "pending";
                action.code = Some("approval_pending".into());
                action.message = "waiting for a person; nothing was executed".into();
                action.approval = Some(Approval::of(&ask, &Tally::decided(&ask), url));
            }
            End::Permitted { permit, expires_at } => {
                action.state = "permitted";
                (action.permit, action.permit_expires_at) = (Some(permit), Some(expires_at.to_string()));
            }
            End::Asked { would } => {
                action.state = "asked";
                action.output = would.as_deref().map(Verbatim::of);
            }
        }
        action
    }

    /// The same for an action on record, which knows more about itself.
    pub fn on_record(fact: &ActionFact, answer: Answer, url: &str) -> Self {
        let mut action = Self::of(answer, url);
        action.state = match (fact.state, fact.mode) {
            (ActionState::Blocked, _) => "blocked",
            (ActionState::Waiting, _) => "pending",
            (ActionState::Rejected, _) => "rejected",
            (ActionState::Started, Mode::Authorize) => "permitted",
            (ActionState::Started, Mode::Execute | Mode::DryRun) => "started",
            (ActionState::Done, _) => "done",
            (ActionState::Failed, _) => "failed",
            (ActionState::Unknown, _) => "unknown",
            (ActionState::Asked, _) => "asked",
        };
        if fact.state == ActionState::Asked {
            (action.code, action.message) = (None, String::new());
        }
        action.name = Some(fact.name.clone());
        action.run = Some(fact.run.to_string());
        action.compensates = fact.compensates.as_ref().map(ToString::to_string);
        action.undo = match &fact.undo {
            Undo::No => None,
            Undo::Underway(by) => Some(Undone { state: "underway", by: by.to_string() }),
            Undo::Done(by) => Some(Undone { state: "done", by: by.to_string() }),
            Undo::Failed(by) => Some(Undone { state: "failed", by: by.to_string() }),
        };
        action
    }
}
