//! What is asked of the kernel, and what the checks have found so far.

use crate::base::code::Code;
use crate::base::evidence::Evidence;
use crate::base::id::{ActionId, ApprovalId};
use crate::base::time::Timestamp;
use crate::decide::checks::table;
use crate::define::catalogue::TypedAction;
use crate::define::manifest::Strictness;
use crate::define::risk::Risk;
use crate::policy::bundle::Bundle;
use crate::policy::request::PolicyRequest;
use crate::read::action::Action;
use crate::record::approval::ApproverRule;
use crate::record::decision::{Finding, UnprovenArgument, Verdict};
use crate::record::facts::Facts;
use crate::record::history::HistoryDelta;
use crate::record::usage::{BudgetHold, Rate};

/// Request for a decision: everything that it may rest on.
#[derive(Debug)]
pub struct DecisionRequest<'a> {
    /// What is proposed.
    pub action: &'a Action,
    /// What is known.
    pub facts: &'a Facts,
    /// The policy in force.
    pub bundle: &'a Bundle,
    /// What outside judges said.
    pub evidence: &'a [Evidence],
    /// The time: the later of the wall clock and the last recorded time.
    pub now: Timestamp,
}

impl<'a> DecisionRequest<'a> {
    /// What of it policy is asked.
    pub fn of_policy(&self) -> PolicyRequest<'a> {
        PolicyRequest { action: self.action, facts: self.facts, evidence: self.evidence, now: self.now }
    }
}

/// Names for what a decision may create. Randomness comes from outside.
#[derive(Debug, Clone)]
pub struct NewIds {
    /// For a new action.
    pub action: ActionId,
    /// For a new request for approval.
    pub approval: ApprovalId,
}

/// Findings of the checks so far.
#[derive(Debug, Default)]
pub struct Findings {
    /// The findings, in order.
    pub list: Vec<Finding>,
    /// The policies that decided.
    pub policies: Vec<String>,
    /// The risk.
    pub risk: Risk,
    /// What an allow takes from budgets.
    pub holds: Vec<BudgetHold>,
    /// How an allow leaves the rates.
    pub rates: Vec<(String, Rate)>,
    /// What an allow adds to what is known of the agent.
    pub adds: Vec<HistoryDelta>,
    pub(crate) check: &'static str,
}

/// What is said where a goal was not read.
pub(crate) const UNREAD_GOAL: &str = "the goal is not in English, which is the only language that is read";

impl Findings {
    /// It does not happen.
    pub fn block(&mut self, code: Code, message: impl Into<String>) {
        self.add(code, Verdict::Block, message.into(), None, None);
    }

    /// A person has to agree.
    pub fn ask(&mut self, code: Code, message: impl Into<String>, asks: ApproverRule, expires_s: u64) {
        self.add(code, Verdict::RequireApproval, message.into(), Some(asks), Some(expires_s));
    }

    /// A person has to agree, whoever that is: those whom a rule names, or else the agent's approvers.
    pub fn ask_somebody(&mut self, code: Code, message: impl Into<String>) {
        self.add(code, Verdict::RequireApproval, message.into(), None, None);
    }

    /// Worth knowing; changes nothing.
    pub fn note(&mut self, code: Code, message: impl Into<String>) {
        self.add(code, Verdict::Allow, message.into(), None, None);
    }

    /// What a row of the decision table says about arguments.
    pub(crate) fn row(
        &mut self,
        code: Code,
        strict: bool,
        message: impl Into<String>,
        about: Vec<UnprovenArgument>,
    ) {
        self.add(code, table::verdict(code, strict), message.into(), None, None);
        self.about(about);
    }

    /// What the last finding is about.
    pub(crate) fn about(&mut self, about: Vec<UnprovenArgument>) {
        if let Some(finding) = self.list.last_mut() {
            finding.about = about;
        }
    }

    /// Whether a row of this number has spoken.
    pub(crate) fn has_row(&self, number: u8) -> bool {
        self.of_row(number).next().is_some()
    }

    /// What the row of this number has said.
    pub(crate) fn of_row(&self, number: u8) -> impl Iterator<Item = &Finding> {
        self.list.iter().filter(move |f| table::row(f.code).is_some_and(|row| row.number == number))
    }

    pub(crate) fn add(
        &mut self,
        code: Code,
        verdict: Verdict,
        message: String,
        asks: Option<ApproverRule>,
        expires_s: Option<u64>,
    ) {
        self.list.push(Finding {
            check: self.check.into(),
            code,
            verdict,
            message,
            asks,
            expires_s,
            about: Vec::new(),
        });
    }
}

/// The definition of an action that was understood. What was not is blocked by others.
pub(crate) fn understood<'a>(question: &DecisionRequest<'a>) -> Option<&'a TypedAction> {
    question.action.typed.as_deref().filter(|_| question.action.problems.is_empty())
}

/// Whether the agent, or one that it acts for, is strict.
pub fn is_strict(question: &DecisionRequest<'_>) -> bool {
    let holders = question.facts.holders(&question.action.principal);
    let mut manifests = holders.filter_map(|holder| question.bundle.agent(&holder.agent));
    manifests.any(|manifest| manifest.mode == Strictness::Strict)
}

/// Whether the run has read what strangers may have written.
pub(crate) fn is_tainted(question: &DecisionRequest<'_>) -> bool {
    question.facts.run.as_ref().is_some_and(|run| run.labels.untrusted)
}
