//! Proposals and what came of them.

use super::{Approval, Verbatim};
use aecl_gate::submit::{Answer, End};
use aecl_kernel::action::Mode;
use aecl_kernel::decide;
use aecl_kernel::facts::{ActionFact, ActionState, Undo};
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

/// One reason of a decision.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Finding {
    /// Which check.
    pub check: String,
    /// The stable code.
    pub code: String,
    /// `allow`, `require_approval` or `block`.
    pub verdict: &'static str,
    /// In words.
    pub message: String,
}

/// One reason why an action is risky.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Factor {
    /// Its name.
    pub name: String,
    /// Its points.
    pub points: u32,
    /// What was seen.
    pub value: String,
    /// Where that came from.
    pub source: String,
}

/// How risky an action is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Risk {
    /// 0 to 100.
    pub points: u32,
    /// The same as 0.00 to 1.00.
    pub score: String,
    /// Why.
    pub factors: Vec<Factor>,
}

/// Who must agree for one reason.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Requirement {
    /// Members of these groups.
    pub groups: Vec<String>,
    /// How many different people.
    pub count: u32,
}

/// What was decided, and why.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Decision {
    /// `allow`, `require_approval` or `block`.
    pub verdict: &'static str,
    /// The code of the first of the strictest findings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headline: Option<String>,
    /// The same in words.
    pub reason: String,
    /// All findings, in the order of the checks.
    pub findings: Vec<Finding>,
    /// The risk.
    pub risk: Risk,
    /// The policies that decided.
    pub policies: Vec<String>,
    /// Who must agree.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub need: Vec<Requirement>,
    /// The approval that was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
}

/// Who must agree, on the wire.
pub fn requirements(need: &aecl_kernel::approval::Need) -> Vec<Requirement> {
    need.requirements
        .iter()
        .map(|r| Requirement { groups: r.groups.iter().cloned().collect(), count: r.count })
        .collect()
}

impl From<&decide::Decision> for Decision {
    fn from(d: &decide::Decision) -> Self {
        let finding = |f: &decide::Finding| Finding {
            check: f.check.clone(),
            code: f.code.to_string(),
            verdict: f.verdict.name(),
            message: f.message.clone(),
        };
        let factor = |f: &aecl_kernel::risk::Factor| Factor {
            name: f.name.clone(),
            points: f.points,
            value: f.value.clone(),
            source: f.source.clone(),
        };
        Self {
            verdict: d.verdict.name(),
            headline: d.headline.map(|c| c.to_string()),
            reason: d.reason().to_owned(),
            findings: d.findings.iter().map(finding).collect(),
            risk: Risk {
                points: d.risk.points,
                score: d.risk.score(),
                factors: d.risk.factors.iter().map(factor).collect(),
            },
            policies: d.policies.clone(),
            need: d.need.as_ref().map(requirements).unwrap_or_default(),
            approval: d.approval.as_ref().map(ToString::to_string),
        }
    }
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
                action.approval = Some(Approval::of(&ask, ask.state, url));
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
