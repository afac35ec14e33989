//! A decision as it is recorded: the verdict, the findings that led to it, and what comes with an allow.
//! How one comes about stands in `decide`.

use crate::base::code::{self, Code};
use crate::base::id::{ActionId, ApprovalId};
use crate::define::catalogue::flow::Class;
use crate::define::isolation::IsolationTier;
use crate::define::risk::Risk;
use crate::record::approval::{ApproverRule, Quorum};
use crate::record::begun::Beginning;
use crate::record::history::HistoryDelta;
use crate::record::usage::{BudgetHold, Rate};
use serde::{Deserialize, Serialize};

/// Verdict of a finding or a decision. Later is stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It may happen.
    Allow,
    /// A person has to agree first.
    RequireApproval,
    /// It does not happen.
    Block,
}

impl Verdict {
    /// The name in records and answers.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Allow => "allow",
            Verdict::RequireApproval => "require_approval",
            Verdict::Block => "block",
        }
    }
}

// Checks that refuse at the door, before anything of a proposal is looked at. Their names are on record.
pub(crate) const TOKEN: &str = "token";
pub(crate) const KILL_SWITCH: &str = "kill_switch";
pub(crate) const CATALOGUE: &str = "catalogue";

/// Finding of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which check.
    pub check: String,
    /// The stable code.
    pub code: Code,
    /// How strict.
    pub verdict: Verdict,
    /// In words, for the person who has to understand it.
    pub message: String,
    /// Who must agree, if the finding asks for somebody in particular.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asks: Option<ApproverRule>,
    /// Seconds until that request expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_s: Option<u64>,
    /// The arguments that it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub about: Vec<UnprovenArgument>,
}

/// Argument that nobody who is trusted stands behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnprovenArgument {
    /// Where it stands, as a JSON pointer into the arguments. The value itself is personal and stays there.
    pub at: String,
    /// Its role.
    pub class: Class,
}

/// Obligation that comes with an allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Obligation {
    /// End the attempt after this time.
    Timeout {
        /// In milliseconds.
        timeout_ms: u64,
    },
    /// Use credentials of this scope only. Without it, only those of no scope.
    CredentialScope {
        /// The scope of the agent.
        scope: String,
    },
    /// Undo it at once if it touches more rows than this.
    Rows {
        /// As many as were counted before, and shown to whoever agreed.
        rows_max: u64,
    },
    /// Carry it out at least this isolated.
    Tier {
        /// The tier.
        tier: IsolationTier,
        /// The tier that was asked for, where the operator accepts less.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instead_of: Option<IsolationTier>,
    },
    /// End the attempt with the run.
    Task {
        /// What is left of it, in milliseconds.
        left_ms: u64,
    },
}

/// Decision, and everything that follows from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Allow, require approval or block.
    pub verdict: Verdict,
    /// The first of the strictest findings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headline: Option<Code>,
    /// All findings, in the order of the checks.
    pub findings: Vec<Finding>,
    /// The risk.
    pub risk: Risk,
    /// The policies that decided.
    pub policies: Vec<String>,
    /// What comes with an allow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obligations: Vec<Obligation>,
    /// Who must agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub need: Option<Quorum>,
    /// The yes that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalId>,
    /// That yes was to the plan of the run, of which this is the step, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_step: Option<u32>,
    /// The call that it completes, which it rests on: nobody was asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completes: Option<ActionId>,
    /// What stands behind it, where something may complete it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beginning: Option<Beginning>,
    /// What is taken from budgets until the outcome is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<BudgetHold>,
    /// How the rates stand afterwards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rates: Vec<(String, Rate)>,
    /// What is added to what is known of the agent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adds: Vec<HistoryDelta>,
    /// The action whose recorded outcome is the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replays: Option<ActionId>,
}

impl Decision {
    /// Whether it was refused for who proposes, or because there is no such action: a dead token, a stopped run, a name
    /// that nobody knows. Its arguments have played no part, and nobody will ever carry it out.
    pub fn is_turned_away(&self) -> bool {
        let at_the_door = |f: &Finding| [TOKEN, KILL_SWITCH, CATALOGUE].contains(&f.check.as_str());
        self.verdict == Verdict::Block
            && self.findings.iter().any(|f| f.verdict == Verdict::Block && at_the_door(f))
    }

    /// What speaks against it for good: time, another token, or whoever stopped it can take the rest away.
    pub fn lasting(&self) -> Option<&Finding> {
        self.findings.iter().find(|f| f.verdict == Verdict::Block && !passes(f.code))
    }

    /// What speaks against it, unless it is stopped only until somebody lets it go on.
    pub fn against(&self) -> Option<&Finding> {
        self.findings.iter().find(|f| f.verdict == Verdict::Block && f.code != code::KILLED)
    }

    /// The headline in words.
    pub fn reason(&self) -> &str {
        self.findings
            .iter()
            .find(|f| f.verdict == self.verdict && Some(f.code) == self.headline)
            .map_or("nothing speaks against it", |f| f.message.as_str())
    }

    /// The scope whose credentials an allow opens; `None` is the scope of those that name none.
    pub fn credential_scope(&self) -> Option<&str> {
        self.obligations.iter().find_map(|obligation| match obligation {
            Obligation::CredentialScope { scope } => Some(scope.as_str()),
            Obligation::Timeout { .. }
            | Obligation::Tier { .. }
            | Obligation::Task { .. }
            | Obligation::Rows { .. } => None,
        })
    }

    /// How strongly the program is held at least that carries it out, and what was asked for if that is more.
    pub fn tier(&self) -> Option<(IsolationTier, Option<IsolationTier>)> {
        self.obligations.iter().find_map(|obligation| match obligation {
            Obligation::Tier { tier, instead_of } => Some((*tier, *instead_of)),
            Obligation::Timeout { .. }
            | Obligation::Task { .. }
            | Obligation::Rows { .. }
            | Obligation::CredentialScope { .. } => None,
        })
    }

    /// What is left of the run in which a program may go on, in milliseconds.
    pub fn task_left_ms(&self) -> Option<u64> {
        self.obligations.iter().find_map(|obligation| match obligation {
            Obligation::Task { left_ms } => Some(*left_ms),
            Obligation::Timeout { .. }
            | Obligation::Tier { .. }
            | Obligation::Rows { .. }
            | Obligation::CredentialScope { .. } => None,
        })
    }

    /// The most rows that it may touch, if they were counted before.
    pub fn rows_max(&self) -> Option<u64> {
        self.obligations.iter().find_map(|obligation| match obligation {
            Obligation::Rows { rows_max } => Some(*rows_max),
            Obligation::Timeout { .. }
            | Obligation::Tier { .. }
            | Obligation::Task { .. }
            | Obligation::CredentialScope { .. } => None,
        })
    }
}

/// Whether the same action may go through later, or for whoever proposes it otherwise.
fn passes(code: Code) -> bool {
    matches!(
        code,
        code::KILLED
            | code::TOKEN_FOREIGN
            | code::TOKEN_REVOKED
            | code::TOKEN_EXPIRED
            | code::REPLAY_CONFLICT
            | code::BUDGET_EXCEEDED
            | code::RATE_LIMITED
            | code::TOO_MANY_AT_ONCE
            | code::BREAKER_OPEN
            | code::OUT_OF_HOURS
            | code::SANDBOX_UNAVAILABLE
            | code::SANDBOX_UNENFORCEABLE
    )
}
