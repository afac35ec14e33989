//! The one place that says yes.
//!
//! `decide` is a pure function of an action, the facts, the policy, the evidence and the time. All checks
//! that can run do run; the strictest finding decides, and the first of the strictest is the headline.
//! A person's yes is one more fact: it answers findings that ask for a person, and nothing else.

use crate::action::Action;
use crate::approval::people::{counting, lapsed};
use crate::approval::{Ask, AskState, Confirm, Need, Requirement, Vote, Voters};
use crate::bundle::Bundle;
use crate::cage::{Choice, Tier, chosen};
use crate::catalogue::flow::Class;
use crate::checks;
use crate::code::{self, Code};
use crate::evidence::Evidence;
use crate::facts::{ActionState, Facts};
use crate::id::{ActionId, ApprovalId};
use crate::past::Added;
use crate::principal::Principal;
use crate::risk::Risk;
use crate::time::Timestamp;
use crate::usage::{Hold, Rate};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a finding or a decision says. Later is stricter.
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

/// What one check says.
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
    pub asks: Option<Requirement>,
    /// Seconds until that request expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_s: Option<u64>,
    /// The arguments that it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub about: Vec<Doubt>,
}

/// An argument that nobody who is trusted stands behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// Where it stands, as a JSON pointer into the arguments. The value itself is personal and stays there.
    pub at: String,
    /// Its role.
    pub class: Class,
}

/// What comes with an allow.
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
        tier: Tier,
        /// The tier that was asked for, where the operator accepts less.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instead_of: Option<Tier>,
    },
    /// End the attempt with the run.
    Task {
        /// What is left of it, in milliseconds.
        left_ms: u64,
    },
}

/// What was decided, and everything that follows from it.
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
    pub need: Option<Need>,
    /// The yes that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalId>,
    /// That yes was to the plan of the run, of which this is the step, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_step: Option<u32>,
    /// What is taken from budgets until the outcome is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Hold>,
    /// How the rates stand afterwards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rates: Vec<(String, Rate)>,
    /// What is added to what is known of the agent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adds: Vec<Added>,
    /// The action whose recorded outcome is the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replays: Option<ActionId>,
}

impl Decision {
    /// Whether it was refused for who proposes, or because there is no such action: a dead token, a stopped run, a name
    /// that nobody knows. Its arguments have played no part, and nobody will ever carry it out.
    pub fn is_turned_away(&self) -> bool {
        let at_the_door = |check: &str| matches!(check, "token" | "kill_switch" | "catalogue");
        self.verdict == Verdict::Block
            && self.findings.iter().any(|f| f.verdict == Verdict::Block && at_the_door(&f.check))
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
    pub fn tier(&self) -> Option<(Tier, Option<Tier>)> {
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

/// A question to the kernel.
#[derive(Debug)]
pub struct Question<'a> {
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

/// Names for what a decision may create. Randomness comes from outside.
#[derive(Debug, Clone)]
pub struct Fresh {
    /// For a new action.
    pub action: ActionId,
    /// For a new request for approval.
    pub approval: ApprovalId,
}

/// Leave to act once, for exactly this action.
///
/// Only [`decide`] makes one, and whoever holds one may look at it and give it away:
///
/// ```
/// use aecl_kernel::decide::Permit;
/// fn look(p: &Permit) { let _ = (p.id(), p.action(), p.decision(), p.at()); }
/// fn spend(p: Permit) { drop(p); }
/// ```
///
/// There is no `Clone`, no constructor, and spending it moves it:
///
/// ```compile_fail,E0599
/// use aecl_kernel::decide::Permit;
/// fn twice(p: Permit) { let a = p.clone(); }
/// ```
/// ```compile_fail,E0451
/// use aecl_kernel::decide::Permit;
/// let forged = Permit { id: todo!(), action: todo!(), decision: todo!(), at: todo!() };
/// ```
/// ```compile_fail,E0382
/// use aecl_kernel::decide::Permit;
/// fn spend(p: Permit) { drop(p); drop(p); }
/// ```
#[derive(Debug)]
pub struct Permit {
    id: ActionId,
    action: Arc<Action>,
    decision: Arc<Decision>,
    at: Timestamp,
}

impl Permit {
    /// The action's name on record.
    pub fn id(&self) -> &ActionId {
        &self.id
    }
    /// What may be done: exactly this.
    pub fn action(&self) -> &Arc<Action> {
        &self.action
    }
    /// Why.
    pub fn decision(&self) -> &Arc<Decision> {
        &self.decision
    }
    /// When it was given.
    pub fn at(&self) -> Timestamp {
        self.at
    }
}

/// A no, with its reasons.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The action's name on record.
    pub id: ActionId,
    /// What was refused.
    pub action: Arc<Action>,
    /// Why.
    pub decision: Arc<Decision>,
    /// What had waited for people and is over with this, once it is on record.
    pub ends: Vec<ActionId>,
}

/// A wait for a person.
#[derive(Debug, Clone)]
pub struct Wait {
    /// The action's name on record.
    pub id: ActionId,
    /// What waits.
    pub action: Arc<Action>,
    /// Why.
    pub decision: Arc<Decision>,
    /// The request, new or the one that is already open for this digest.
    pub ask: Ask,
}

/// The recorded outcome, again.
#[derive(Debug, Clone)]
pub struct Replay {
    /// The action that was recorded then.
    pub original: ActionId,
    /// What was proposed again.
    pub action: Arc<Action>,
    /// Why nothing is executed.
    pub decision: Arc<Decision>,
}

/// What follows from a decision.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it is made once for a decision and moved a few times")]
pub enum Ruling {
    /// Act.
    Allowed(Permit),
    /// Do not.
    Blocked(Refusal),
    /// Ask a person first.
    Waiting(Wait),
    /// Nothing more to do: it was done before.
    Replayed(Replay),
    /// A dry run: only the decision was wanted.
    Answered(Refusal),
}

impl Ruling {
    /// The decision.
    pub fn decision(&self) -> &Arc<Decision> {
        match self {
            Ruling::Allowed(permit) => &permit.decision,
            Ruling::Blocked(refusal) | Ruling::Answered(refusal) => &refusal.decision,
            Ruling::Waiting(wait) => &wait.decision,
            Ruling::Replayed(replay) => &replay.decision,
        }
    }
}

/// Decides what happens with an action.
pub fn decide(question: &Question<'_>, action: &Arc<Action>, fresh: Fresh) -> Ruling {
    debug_assert!(std::ptr::eq(question.action, &**action), "the question is about this action");
    let (decision, ask) = judge(question, &fresh);
    let decision = Arc::new(decision);
    let action = action.clone();
    // An identical proposal that waits already is the same action, not a second one.
    let id = ask.as_ref().map_or(fresh.action, |ask| ask.action.clone());
    if let Some(original) = decision.replays.clone() {
        return Ruling::Replayed(Replay { original, action, decision });
    }
    if action.mode == crate::action::Mode::DryRun {
        return Ruling::Answered(Refusal { id, action, decision, ends: Vec::new() });
    }
    match (decision.verdict, ask) {
        (Verdict::Allow, _) => Ruling::Allowed(Permit { id, action, decision, at: question.now }),
        (Verdict::RequireApproval, Some(ask)) => Ruling::Waiting(Wait { id, action, decision, ask }),
        // A wait without a request for approval cannot end, so it is a no.
        (Verdict::Block | Verdict::RequireApproval, _) => {
            Ruling::Blocked(Refusal { id, action, decision, ends: Vec::new() })
        }
    }
}

/// What the checks have found so far.
#[derive(Debug, Default)]
pub struct Findings {
    /// The findings, in order.
    pub list: Vec<Finding>,
    /// The policies that decided.
    pub policies: Vec<String>,
    /// The risk.
    pub risk: Risk,
    /// What an allow takes from budgets.
    pub holds: Vec<Hold>,
    /// How an allow leaves the rates.
    pub rates: Vec<(String, Rate)>,
    /// What an allow adds to what is known of the agent.
    pub adds: Vec<Added>,
    check: &'static str,
}

impl Findings {
    /// It does not happen.
    pub fn block(&mut self, code: Code, message: impl Into<String>) {
        self.add(code, Verdict::Block, message.into(), None, None);
    }

    /// A person has to agree.
    pub fn ask(&mut self, code: Code, message: impl Into<String>, asks: Requirement, expires_s: u64) {
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
    pub(crate) fn row(&mut self, code: Code, strict: bool, message: impl Into<String>, about: Vec<Doubt>) {
        self.add(code, checks::table::verdict(code, strict), message.into(), None, None);
        if let Some(finding) = self.list.last_mut() {
            finding.about = about;
        }
    }

    /// Whether a row of this number has spoken.
    pub(crate) fn has_row(&self, number: u8) -> bool {
        self.list.iter().any(|f| checks::table::row(f.code).is_some_and(|row| row.number == number))
    }

    fn add(
        &mut self,
        code: Code,
        verdict: Verdict,
        message: String,
        asks: Option<Requirement>,
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

/// What the checks find.
pub(crate) fn found(question: &Question<'_>) -> Findings {
    let mut findings = Findings::default();
    for check in checks::ALL {
        findings.check = check.name;
        (check.run)(question, &mut findings);
    }
    findings
}

fn judge(question: &Question<'_>, fresh: &Fresh) -> (Decision, Option<Ask>) {
    let Findings { list, policies, risk, holds, rates, adds, .. } = found(question);
    let verdict = list.iter().map(|f| f.verdict).max().unwrap_or(Verdict::Allow);
    let mut decision = Decision {
        verdict,
        headline: list.iter().find(|f| f.verdict == verdict && verdict != Verdict::Allow).map(|f| f.code),
        findings: list,
        risk,
        policies,
        obligations: obligations(question),
        need: None,
        approval: None,
        plan_step: None,
        holds,
        rates,
        adds,
        replays: None,
    };
    if let Some(original) = replayed(question, &decision) {
        decision.verdict = Verdict::Allow;
        decision.headline = Some(code::REPLAYED);
        decision.replays = Some(original);
    }
    let ask = if decision.verdict == Verdict::RequireApproval {
        answer(question, &mut decision, fresh)
    } else {
        None
    };
    if decision.verdict != Verdict::Allow || decision.replays.is_some() {
        decision.holds.clear();
        decision.rates.clear();
        decision.adds.clear();
        decision.obligations.clear();
    }
    (decision, ask)
}

/// The recorded action, if this is the same proposal again and its proposer may still be answered.
fn replayed(question: &Question<'_>, decision: &Decision) -> Option<ActionId> {
    let (used, state) = question.facts.used.as_ref()?;
    let barred = decision.findings.iter().any(|f| {
        f.verdict == Verdict::Block
            && matches!(f.check.as_str(), "token" | "kill_switch" | "catalogue" | "arguments" | "replay")
    });
    let over = match state {
        ActionState::Started | ActionState::Done | ActionState::Failed | ActionState::Unknown => true,
        ActionState::Blocked | ActionState::Waiting | ActionState::Rejected | ActionState::Asked => false,
    };
    (over && !barred && used.digest == question.action.digest).then(|| used.action.clone())
}

fn obligations(question: &Question<'_>) -> Vec<Obligation> {
    let timeout_ms = question.action.typed.as_ref().map_or(30_000, |t| t.manifest.timeout_ms);
    let agent = question.bundle.agent(&question.action.principal.agent);
    let scope = agent.and_then(|manifest| manifest.credential_scope.clone());
    let mut obligations = vec![Obligation::Timeout { timeout_ms }];
    obligations.extend(scope.map(|scope| Obligation::CredentialScope { scope }));
    let counted = crate::evidence::counted(question.evidence);
    obligations.extend(counted.map(|rows_max| Obligation::Rows { rows_max }));
    if let Some((_, Choice::Held { tier, instead_of })) = chosen(question) {
        obligations.push(Obligation::Tier { tier, instead_of });
        // What people have agreed to after the end of the run has the time of its own call.
        let left_ms = question.facts.run.as_ref().map(|run| run.expires_at.since_ms(question.now));
        obligations.extend(left_ms.filter(|ms| *ms > 0).map(|left_ms| Obligation::Task { left_ms }));
    }
    obligations
}

/// People agreed to the number that they were shown; what is counted now may only be stricter.
fn as_shown(obligations: &mut Vec<Obligation>, shown: Option<u64>) {
    let Some(shown) = shown else { return };
    let counted = obligations.iter_mut().find_map(|obligation| match obligation {
        Obligation::Rows { rows_max } => Some(rows_max),
        Obligation::Timeout { .. }
        | Obligation::Tier { .. }
        | Obligation::Task { .. }
        | Obligation::CredentialScope { .. } => None,
    });
    match counted {
        Some(rows_max) => *rows_max = shown.min(*rows_max),
        None => obligations.push(Obligation::Rows { rows_max: shown }),
    }
}

/// Who must agree, as these findings ask.
pub(crate) fn need_of(question: &Question<'_>, findings: &[Finding]) -> Need {
    let mut need = Need::default();
    for finding in findings.iter().filter(|f| f.verdict == Verdict::RequireApproval) {
        if let (Some(asks), Some(expires_s)) = (&finding.asks, finding.expires_s) {
            need.add(asks.clone(), expires_s);
        }
    }
    // What asks for somebody is content with those whom a rule has named.
    if need.requirements.is_empty() {
        need.add(checks::approvers(question), 3600);
    }
    need
}

/// Whether the plan that people agreed to answers for this call. If it was agreed to and does not, that is told.
fn is_covered(question: &Question<'_>, decision: &mut Decision, need: &Need) -> bool {
    let agreed = question.facts.cover.as_ref().filter(|cover| cover.is_agreed(question.now));
    let Some(cover) = agreed else { return false };
    let confirm = confirm_for(question, &decision.findings, &cover.approval);
    let excluded = excluded_from(question);
    let votes = counting(&cover.votes, question.facts.voters.as_ref(), &excluded);
    let Some(why) = cover.lacks(question, &decision.findings, need, &confirm, &votes) else {
        // INVARIANT: like the yes to a single call, it answers findings that ask, and every other was an allow.
        decision.verdict = Verdict::Allow;
        decision.headline = None;
        decision.approval = Some(cover.approval.clone());
        decision.plan_step = Some(cover.step);
        return true;
    };
    let message = format!("the plan was approved, and this is its step {}, but {why}", cover.step + 1);
    let told = of_approval(code::PLAN_DOES_NOT_COVER, message);
    decision.findings.push(Finding { verdict: Verdict::Allow, ..told });
    false
}

/// Sets the request for approval of this digest, and that of the plan, beside what the current policy asks.
fn answer(question: &Question<'_>, decision: &mut Decision, fresh: &Fresh) -> Option<Ask> {
    let need = need_of(question, &decision.findings);
    decision.need = Some(need.clone());
    // A no to exactly this stays a no.
    let same = question.facts.ask.as_ref().filter(|ask| ask.digest == question.action.digest);
    let state = same.map(|ask| ask.state_at(question.now));
    if state != Some(AskState::Rejected) && is_covered(question, decision, &need) {
        let waits = |ask: &&Ask| matches!(ask.state_at(question.now), AskState::Pending | AskState::Approved);
        return same.filter(waits).cloned();
    }
    let open = question.facts.ask.as_ref().filter(|ask| ask.digest == question.action.digest);
    // A yes to a stronger cage is none to a weaker one. A no stays a no.
    let weaker = |ask: &&Ask| {
        held(question).0 < ask.tier
            && matches!(ask.state_at(question.now), AskState::Approved | AskState::Pending)
    };
    let open = open.filter(|ask| !weaker(ask));
    let confirm =
        confirm_for(question, &decision.findings, open.map_or(&fresh.approval, |ask| &ask.approval));
    let voters = question.facts.voters.as_ref();
    // What nobody has answered needs no second look at who may.
    let answered = open.filter(|ask| !ask.votes.is_empty() && ask.is_open(question.now));
    let votes = answered.map_or_else(Vec::new, |ask| {
        let excluded = excluded_from(question);
        tell_lapsed(decision, &ask.votes, voters, &excluded);
        ask.counting(voters, &excluded)
    });
    match open.map(|ask| (ask, ask.state_at(question.now))) {
        Some((ask, AskState::Approved))
            if need.met_by(&votes)
                && (confirm.is_empty() || need.people() > 1 || typed(ask, &votes, voters)) =>
        {
            // INVARIANT: the only way from a person's yes to an allow. Every other finding was an allow.
            decision.verdict = Verdict::Allow;
            decision.headline = None;
            decision.approval = Some(ask.approval.clone());
            as_shown(&mut decision.obligations, ask.rows);
            Some(ask.clone())
        }
        Some((ask, AskState::Approved | AskState::Pending)) => {
            // The policy may ask for more people now, or for others, than when the request was made.
            let now = excluded_from(question);
            let excluded = ask.excluded.union(&now).cloned().collect();
            Some(Ask { need, excluded, confirm, state: AskState::Pending, ..ask.clone() })
        }
        Some((ask, AskState::Rejected)) if question.now < ask.expires_at => {
            let who = ask.votes.iter().find(|v| !v.yes).map_or("somebody".into(), |v| v.person.to_string());
            decision.verdict = Verdict::Block;
            decision.headline = Some(code::APPROVAL_REJECTED);
            let message = format!("`{who}` has rejected exactly this; do not propose it again");
            decision.findings.push(of_approval(code::APPROVAL_REJECTED, message));
            None
        }
        Some((_, AskState::Rejected | AskState::Expired | AskState::Used | AskState::Withdrawn)) | None => {
            match asked_too_often(question) {
                Some(message) => {
                    decision.verdict = Verdict::Block;
                    decision.headline = Some(code::QUESTIONS_EXHAUSTED);
                    decision.findings.push(of_approval(code::QUESTIONS_EXHAUSTED, message));
                    None
                }
                None => {
                    let confirm = confirm_for(question, &decision.findings, &fresh.approval);
                    Some(new_ask(question, need, confirm, fresh))
                }
            }
        }
    }
}

/// Whether somebody whose yes counts has typed the ends. Before people were asked for, everybody's counted.
fn typed(ask: &Ask, votes: &[Vote], voters: Option<&Voters>) -> bool {
    let votes = if voters.is_some() { votes } else { &ask.votes };
    votes.iter().any(|vote| vote.yes && vote.confirmed)
}

/// Says whose yes does not count any more.
fn tell_lapsed(
    decision: &mut Decision,
    votes: &[Vote],
    voters: Option<&Voters>,
    excluded: &BTreeSet<String>,
) {
    if voters.is_none() {
        return;
    }
    let barred = votes.iter().filter(|vote| vote.yes && excluded.contains(vote.person.as_str()));
    let barred =
        barred.map(|vote| (vote.person.clone(), "it is their own request, or they are excluded from it"));
    for (person, why) in lapsed(votes, voters).into_iter().chain(barred) {
        let message = format!("`{person}` has said yes, which does not count any more: {why}");
        let told = of_approval(code::APPROVAL_LAPSED, message);
        decision.findings.push(Finding { verdict: Verdict::Allow, ..told });
    }
}

/// A no that comes from the request for approval, not from a check.
fn of_approval(code: Code, message: String) -> Finding {
    Finding {
        check: "approval".into(),
        code,
        verdict: Verdict::Block,
        message,
        asks: None,
        expires_s: None,
        about: Vec::new(),
    }
}

/// Why nobody is asked any more: who is asked over and over says yes in the end. An undo may always ask.
fn asked_too_often(question: &Question<'_>) -> Option<String> {
    if question.action.compensates.is_some() {
        return None;
    }
    question.facts.run.iter().chain(&question.facts.lineage).find_map(|run| {
        let most = question.bundle.agent(&run.principal.agent)?.max_questions_per_run;
        (run.questions >= most).then(|| {
            format!(
                "the run `{}` has asked people {} times already, and `{}` may ask {most} times",
                run.principal.run, run.questions, run.principal.agent
            )
        })
    })
}

/// The destinations whose ends a person has to type: of severity 3, and named by nobody who is trusted.
fn confirm_for(question: &Question<'_>, findings: &[Finding], approval: &ApprovalId) -> Vec<Confirm> {
    let grave = question.action.typed.as_ref().is_some_and(|t| t.manifest.severity() >= 3);
    let doubts = findings
        .iter()
        .filter(|f| grave && matches!(f.code, code::UNPROVEN_DESTINATION | code::PROVENANCE_UNKNOWN))
        .flat_map(|f| &f.about)
        .filter(|doubt| doubt.class.is_destination());
    let typed = doubts.filter_map(|doubt| {
        let value = question.action.arguments.pointer(&doubt.at)?;
        Confirm::of(approval, &doubt.at, doubt.class, value)
    });
    typed.collect()
}

/// Who may not answer, as the policy is now: whoever opened the run, or one that it was delegated from, has proposed
/// what is asked about as much as the agent has.
pub(crate) fn excluded_from(question: &Question<'_>) -> BTreeSet<String> {
    let principal = &question.action.principal;
    let mut excluded = excluded(principal, question.bundle);
    if !question.bundle.agent(&principal.agent).is_some_and(|m| m.self_approval) {
        let runs = question.facts.run.iter().chain(&question.facts.lineage);
        excluded.extend(runs.flat_map(|run| &run.barred).map(ToString::to_string));
        let voters = question.facts.voters.iter();
        excluded.extend(voters.flat_map(Voters::own).map(ToString::to_string));
    }
    excluded
}

/// Who may not answer whatever run it is, as the policy is now.
pub(crate) fn excluded(principal: &Principal, bundle: &Bundle) -> BTreeSet<String> {
    let manifest = bundle.agent(&principal.agent);
    let mut excluded: BTreeSet<String> =
        manifest.iter().flat_map(|m| m.excluded_approvers.iter().map(|p| p.to_string())).collect();
    // The proposer never answers its own request.
    excluded.insert(principal.agent.to_string());
    if let Some(user) = &principal.user
        && !manifest.is_some_and(|m| m.self_approval)
    {
        excluded.insert(user.to_string());
    }
    excluded
}

/// How strongly the program would be held, and what was asked for if that is more.
pub(crate) fn held(question: &Question<'_>) -> (Option<Tier>, Option<Tier>) {
    match chosen(question) {
        Some((_, Choice::Held { tier, instead_of })) => (Some(tier), instead_of),
        Some((_, Choice::Nothing | Choice::Unable | Choice::NoWorker)) | None => (None, None),
    }
}

fn new_ask(question: &Question<'_>, need: Need, confirm: Vec<Confirm>, fresh: &Fresh) -> Ask {
    let principal = &question.action.principal;
    let (tier, instead_of) = held(question);
    Ask {
        approval: fresh.approval.clone(),
        action: fresh.action.clone(),
        run: principal.run.clone(),
        digest: question.action.digest,
        expires_at: question.now.plus_s(need.expires_s),
        need,
        confirm,
        excluded: excluded_from(question),
        votes: Vec::new(),
        state: AskState::Pending,
        asked_at: question.now,
        rows: crate::evidence::counted(question.evidence),
        tier,
        instead_of,
        plan: None,
    }
}
