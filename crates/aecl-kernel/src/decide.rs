//! The one place that says yes.
//!
//! `decide` is a pure function of an action, the facts, the policy, the evidence and the time. All checks
//! that can run do run; the strictest finding decides, and the first of the strictest is the headline.
//! A person's yes is one more fact: it answers findings that ask for a person, and nothing else.

pub mod approvers;
mod beginning;
pub mod checks;
mod completion;
mod cover;
mod doubts;
pub mod gather;
pub mod isolation;
pub mod request;

use crate::base::code::{self, Code};
use crate::base::id::{ActionId, ApprovalId};
use crate::base::time::Timestamp;
use crate::decide::approvers::excluded_from;
use crate::decide::isolation::{held, selection};
use crate::decide::request::{DecisionRequest, Findings, NewIds};
use crate::define::isolation::Selection;
use crate::provenance::proof;
use crate::read::action::Action;
use crate::record::approval::people::{counting, lapsed};
use crate::record::approval::{ApprovalRequest, ApprovalState, Quorum, TypedConfirmation, Vote, Voters};
use crate::record::cover::Cover;
use crate::record::decision::{Decision, Finding, Obligation, Verdict};
use crate::record::facts::{ActionState, EDITION};
use std::collections::BTreeSet;
use std::sync::Arc;

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
    pub ask: ApprovalRequest,
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

/// Ruling that follows from a decision. `P` is what a yes is shown by; the ledger puts in a permit that is on record.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it is made once for a decision and moved a few times")]
pub enum Ruling<P = Permit> {
    /// Act.
    Allowed(P),
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

impl<P> Ruling<P> {
    /// The word for it on record.
    pub fn outcome(&self) -> &'static str {
        match self {
            Ruling::Allowed(_) => "approved",
            Ruling::Blocked(_) => "blocked",
            Ruling::Waiting(_) => "escalated",
            Ruling::Replayed(_) => "replayed",
            Ruling::Answered(_) => "asked",
        }
    }

    /// The same ruling with something else in the place of the permit.
    pub fn map_permit<Q>(self, change: impl FnOnce(P) -> Q) -> Ruling<Q> {
        match self {
            Ruling::Allowed(permit) => Ruling::Allowed(change(permit)),
            Ruling::Blocked(refusal) => Ruling::Blocked(refusal),
            Ruling::Waiting(wait) => Ruling::Waiting(wait),
            Ruling::Replayed(replay) => Ruling::Replayed(replay),
            Ruling::Answered(refusal) => Ruling::Answered(refusal),
        }
    }
}

/// Finds out about an action what depends on nothing else, so that whoever decides one after the other finds it done.
pub fn prepare(action: &Action) {
    if let Some(typed) = action.typed.as_deref().filter(|_| action.problems.is_empty()) {
        drop(proof::judged(action, typed, EDITION));
    }
}

/// Decides what happens with an action.
pub fn decide(question: &DecisionRequest<'_>, action: &Arc<Action>, fresh: NewIds) -> Ruling {
    debug_assert!(std::ptr::eq(question.action, &**action), "the question is about this action");
    let (decision, ask) = judge(question, &fresh);
    let decision = Arc::new(decision);
    let action = action.clone();
    // An identical proposal that waits already is the same action, not a second one.
    let id = ask.as_ref().map_or(fresh.action, |ask| ask.action.clone());
    if let Some(original) = decision.replays.clone() {
        return Ruling::Replayed(Replay { original, action, decision });
    }
    if action.mode == crate::read::action::Mode::DryRun {
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

/// What the checks find.
pub fn found(question: &DecisionRequest<'_>) -> Findings {
    let mut findings = Findings::default();
    for check in checks::ALL {
        findings.check = check.name;
        (check.run)(question, &mut findings);
    }
    findings
}

fn judge(question: &DecisionRequest<'_>, fresh: &NewIds) -> (Decision, Option<ApprovalRequest>) {
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
        completes: None,
        beginning: None,
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
    let is_look = question.action.credential.is_look();
    if is_look && decision.verdict == Verdict::RequireApproval {
        // Nobody is woken for a look-up: what a person would have to agree to is not looked at.
        decision.verdict = Verdict::Block;
        decision.headline = Some(code::RESOURCE_UNREAD);
        let message = "a look-up waits for nobody, and this one would have to".to_owned();
        decision.findings.push(of_approval(code::RESOURCE_UNREAD, message));
    }
    let ask = if decision.verdict == Verdict::RequireApproval {
        answer(question, &mut decision, fresh)
    } else {
        None
    };
    if decision.verdict == Verdict::Allow && decision.replays.is_none() {
        // A call that people were asked about by itself rests on their answer.
        let rests = completion::rests_on(question).filter(|_| decision.approval.is_none());
        decision.completes = rests.map(|begun| begun.action.clone());
        decision.beginning = beginning::beginning(question, &decision);
    }
    if decision.verdict != Verdict::Allow || decision.replays.is_some() {
        decision.holds.clear();
        decision.rates.clear();
        decision.adds.clear();
        decision.obligations.clear();
    }
    (decision, ask)
}

/// The recorded action, if this is the same proposal again and its proposer may still be answered.
fn replayed(question: &DecisionRequest<'_>, decision: &Decision) -> Option<ActionId> {
    let (used, state) = question.facts.used.as_ref()?;
    let bars = |finding: &Finding| checks::ALL.iter().any(|c| c.bars_replay && c.name == finding.check);
    let barred = decision.findings.iter().any(|f| f.verdict == Verdict::Block && bars(f));
    let over = match state {
        ActionState::Started | ActionState::Done | ActionState::Failed | ActionState::Unknown => true,
        ActionState::Blocked | ActionState::Waiting | ActionState::Rejected | ActionState::Asked => false,
    };
    (over && !barred && used.digest == question.action.digest).then(|| used.action.clone())
}

fn obligations(question: &DecisionRequest<'_>) -> Vec<Obligation> {
    let timeout_ms = question.action.typed.as_ref().map_or(30_000, |t| t.manifest.timeout_ms);
    let agent = question.bundle.agent(&question.action.principal.agent);
    let scope = agent.and_then(|manifest| manifest.credential_scope.clone());
    let mut obligations = vec![Obligation::Timeout { timeout_ms }];
    obligations.extend(scope.map(|scope| Obligation::CredentialScope { scope }));
    let counted = crate::base::evidence::counted(question.evidence);
    obligations.extend(counted.map(|rows_max| Obligation::Rows { rows_max }));
    if let Some((_, Selection::Held { tier, instead_of })) = selection(question) {
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
pub fn need_of(question: &DecisionRequest<'_>, findings: &[Finding]) -> Quorum {
    let mut need = Quorum::default();
    for finding in findings.iter().filter(|f| f.verdict == Verdict::RequireApproval) {
        if let (Some(asks), Some(expires_s)) = (&finding.asks, finding.expires_s) {
            need.add(asks.clone(), expires_s);
        }
    }
    // What asks for somebody is content with those whom a rule has named.
    if need.requirements.is_empty() {
        need.add(approvers::approvers(question), 3600);
    }
    need
}

/// Whether a plan that people agreed to answers for this call: the declared one, or one that the agent has proposed. If it
/// was agreed to and does not, that is told.
fn is_covered(question: &DecisionRequest<'_>, decision: &mut Decision, need: &Quorum) -> bool {
    let mut covers = question.facts.cover.iter().chain(&question.facts.proposed);
    covers.any(|cover| covers_it(question, decision, need, cover))
}

fn covers_it(question: &DecisionRequest<'_>, decision: &mut Decision, need: &Quorum, cover: &Cover) -> bool {
    if !cover.is_agreed(question.now) {
        return false;
    }
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
    let which = if cover.proposed { "the plan that the agent proposed" } else { "the plan" };
    let message = format!("{which} was approved, and this is its step {}, but {why}", cover.step + 1);
    let told = of_approval(code::PLAN_DOES_NOT_COVER, message);
    decision.findings.push(Finding { verdict: Verdict::Allow, ..told });
    false
}

/// Sets the request for approval of this digest, and that of the plan, beside what the current policy asks.
fn answer(
    question: &DecisionRequest<'_>,
    decision: &mut Decision,
    fresh: &NewIds,
) -> Option<ApprovalRequest> {
    let need = need_of(question, &decision.findings);
    decision.need = Some(need.clone());
    // A no to exactly this stays a no.
    let same = question.facts.ask.as_ref().filter(|ask| ask.digest == question.action.digest);
    let state = same.map(|ask| ask.state_at(question.now));
    if state != Some(ApprovalState::Rejected) && is_covered(question, decision, &need) {
        let waits = |ask: &&ApprovalRequest| {
            matches!(ask.state_at(question.now), ApprovalState::Pending | ApprovalState::Approved)
        };
        return same.filter(waits).cloned();
    }
    let open = question.facts.ask.as_ref().filter(|ask| ask.digest == question.action.digest);
    // A yes to a stronger cage is none to a weaker one. A no stays a no.
    let weaker = |ask: &&ApprovalRequest| {
        held(question).0 < ask.tier
            && matches!(ask.state_at(question.now), ApprovalState::Approved | ApprovalState::Pending)
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
        Some((ask, ApprovalState::Approved))
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
        Some((ask, ApprovalState::Approved | ApprovalState::Pending)) => {
            // The policy may ask for more people now, or for others, than when the request was made.
            let now = excluded_from(question);
            let excluded = ask.excluded.union(&now).cloned().collect();
            Some(ApprovalRequest { need, excluded, confirm, state: ApprovalState::Pending, ..ask.clone() })
        }
        Some((ask, ApprovalState::Rejected)) if question.now < ask.expires_at => {
            let who = ask.votes.iter().find(|v| !v.yes).map_or("somebody".into(), |v| v.person.to_string());
            decision.verdict = Verdict::Block;
            decision.headline = Some(code::APPROVAL_REJECTED);
            let message = format!("`{who}` has rejected exactly this; do not propose it again");
            decision.findings.push(of_approval(code::APPROVAL_REJECTED, message));
            None
        }
        Some((
            _,
            ApprovalState::Rejected | ApprovalState::Expired | ApprovalState::Used | ApprovalState::Withdrawn,
        ))
        | None => match asked_too_often(question) {
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
        },
    }
}

/// Whether somebody whose yes counts has typed the ends. Before people were asked for, everybody's counted.
fn typed(ask: &ApprovalRequest, votes: &[Vote], voters: Option<&Voters>) -> bool {
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
fn asked_too_often(question: &DecisionRequest<'_>) -> Option<String> {
    if question.action.compensates.is_some() {
        return None;
    }
    let runs = question.facts.run.iter().chain(&question.facts.lineage);
    let (run, most) = approvers::questions_spent(runs, question.bundle)?;
    Some(format!(
        "the run `{}` has asked people {} times already, and `{}` may ask {most} times",
        run.principal.run, run.questions, run.principal.agent
    ))
}

/// The destinations whose ends a person has to type: of severity 3, and named by nobody who is trusted.
fn confirm_for(
    question: &DecisionRequest<'_>,
    findings: &[Finding],
    approval: &ApprovalId,
) -> Vec<TypedConfirmation> {
    let grave = question.action.typed.as_ref().is_some_and(|t| t.manifest.severity() >= 3);
    let doubts = findings
        .iter()
        .filter(|f| grave && matches!(f.code, code::UNPROVEN_DESTINATION | code::PROVENANCE_UNKNOWN))
        .flat_map(|f| &f.about)
        .filter(|doubt| doubt.class.is_destination());
    let typed = doubts.filter_map(|doubt| {
        let value = question.action.arguments.pointer(&doubt.at)?;
        TypedConfirmation::of(approval, &doubt.at, doubt.class, value)
    });
    typed.collect()
}

fn new_ask(
    question: &DecisionRequest<'_>,
    need: Quorum,
    confirm: Vec<TypedConfirmation>,
    fresh: &NewIds,
) -> ApprovalRequest {
    let principal = &question.action.principal;
    let (tier, instead_of) = held(question);
    ApprovalRequest {
        approval: fresh.approval.clone(),
        action: fresh.action.clone(),
        run: principal.run.clone(),
        digest: question.action.digest,
        expires_at: question.now.plus_s(need.expires_s),
        need,
        confirm,
        excluded: excluded_from(question),
        votes: Vec::new(),
        state: ApprovalState::Pending,
        asked_at: question.now,
        rows: crate::base::evidence::counted(question.evidence),
        tier,
        instead_of,
        plan: None,
        completed_by: beginning::shown(question),
    }
}
