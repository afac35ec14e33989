//! Puts a plan on record that an agent has proposed in the middle of its run. What may have changed since it was looked at
//! is looked at again here, where nothing changes in between.

use super::{Abort, AskPlan, Written, ask_beside};
use crate::batch::OpenBatch;
use crate::error::LedgerError;
use crate::recorded::Recorded;
use crate::withdraw::replaced;
use aecl_kernel::base::code::{self, Code};
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::decide::approvers::questions_spent;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::read::action::Credential;
use aecl_kernel::record::approval::plan::PlanAsked;
use aecl_kernel::record::approval::{ApprovalRequest, ApprovalState, Summary};
use aecl_kernel::record::facts::{FactStore, KillScope, RunFact, keys};
use aecl_kernel::record::goal::{Goal, ProposedPlan};
use std::collections::BTreeMap;

pub(super) fn write(asking: AskPlan, now: Timestamp, batch: &mut OpenBatch) -> Written<Recorded<()>> {
    let AskPlan { ask, plan, credential, bundle } = asking;
    let now = batch.time(now)?;
    batch.bundle(&bundle, now)?;
    let run = &ask.run.clone();
    let Some(fact) = batch.group.find(keys::Run(run.clone()))? else {
        return Err(LedgerError::NoRun(run.clone()).into());
    };
    let lineage = alive(&fact, &credential, now, batch)?;
    let goal = batch.group.find(keys::Goal(run.clone()))?;
    let goal = goal.ok_or_else(|| refused(code::PLAN_REFUSED, "the goal of the run was erased".into()))?;
    bound(&ask, &plan, &fact, &goal, &bundle)?;
    may_ask(&ask, &plan, &fact, now, batch)?;
    counted(&fact, &lineage, &bundle)?;
    if let Some(before) = &fact.proposed {
        replaced(&before.approval, &ask.approval, now, batch)?;
    }
    let steps = ask.plan.as_ref().map_or(0, |plan| plan.steps.len());
    let summary = Summary::of_proposed_plan(batch.position(), &fact.principal, &goal, steps);
    let mut beside = BTreeMap::new();
    beside.put(keys::Plan(ask.approval.clone()), plan);
    let index = ask_beside(run, now, ask, summary, beside, batch)?;
    Ok((index, Box::new(|receipt| Recorded::new((), receipt))))
}

fn refused(code: Code, message: String) -> Abort {
    Abort::Refuse(LedgerError::AnswerRefused { code, message })
}

/// The runs that it was delegated from, if nothing has ended or stopped it, nor whoever proposes.
fn alive(
    fact: &RunFact,
    credential: &Credential,
    now: Timestamp,
    batch: &mut OpenBatch,
) -> Result<Vec<RunFact>, Abort> {
    let run = &fact.principal.run;
    if credential.run != *run {
        return Err(refused(
            code::TOKEN_FOREIGN,
            format!("the token is for `{}`, not `{run}`", credential.run),
        ));
    }
    if now >= credential.expires_at {
        return Err(refused(
            code::TOKEN_EXPIRED,
            "the token has expired; ask the orchestrator for a new one".into(),
        ));
    }
    if batch.group.has(keys::Revoked(credential.id.clone()))? {
        return Err(refused(code::TOKEN_REVOKED, "the token was revoked".into()));
    }
    let (mut lineage, mut scopes) = (Vec::new(), KillScope::around(&fact.principal));
    for id in &fact.ancestors {
        if let Some(parent) = batch.group.find(keys::Run(id.clone()))? {
            scopes.push(KillScope::Agent(parent.principal.agent.clone()));
            lineage.push(parent);
        }
        scopes.push(KillScope::Run(id.clone()));
    }
    let ended = |run: &&RunFact| run.closed.is_some() || now >= run.expires_at;
    if let Some(ended) = std::iter::once(fact).chain(&lineage).find(ended) {
        return Err(LedgerError::RunClosed(ended.principal.run.clone()).into());
    }
    for scope in scopes {
        if batch.group.has(keys::Kill(scope.clone()))? {
            let message = format!("a kill switch is on for {scope}, so nobody is asked about a plan");
            return Err(refused(code::KILLED, message));
        }
    }
    Ok(lineage)
}

/// What people would be asked about is this plan of this run, by this policy.
fn bound(
    ask: &ApprovalRequest,
    plan: &ProposedPlan,
    fact: &RunFact,
    goal: &Goal,
    bundle: &Bundle,
) -> Result<(), Abort> {
    let (run, until) = (&fact.principal.run, ask.expires_at);
    let stated = PlanAsked::digest_of_proposed(goal, plan, &fact.principal, bundle.hash(), until);
    let asked = ask.plan.as_ref();
    let same = asked.is_some_and(|p| p.bundle == bundle.hash() && p.proposed == Some(plan.digest(run)));
    if same && ask.digest == stated && until <= fact.expires_at && ask.state == ApprovalState::Pending {
        return Ok(());
    }
    let message = format!("what people would be asked about is not the plan that was proposed in `{run}`");
    Err(refused(code::INTERNAL, message))
}

/// Whether people may be asked about it: not what they have rejected, nor what they are asked about already.
fn may_ask(
    ask: &ApprovalRequest,
    plan: &ProposedPlan,
    fact: &RunFact,
    now: Timestamp,
    batch: &mut OpenBatch,
) -> Result<(), Abort> {
    if let Some(steps) = ask.plan.as_ref().and_then(|plan| plan.proposed)
        && let Some(id) = batch.group.find(keys::AskOf(steps))?
        && let Some(before) = batch.group.find(keys::Approval(id))?
    {
        match before.state_at(now) {
            ApprovalState::Rejected => return Err(refused(code::PLAN_REJECTED, rejected(&before))),
            // Two at once: one of them is asked about.
            ApprovalState::Pending | ApprovalState::Approved if is_underway(plan, fact, &before) => {
                let message = format!("`{}` asks about exactly this plan already", before.approval);
                return Err(refused(code::REPLAYED, message));
            }
            ApprovalState::Pending
            | ApprovalState::Approved
            | ApprovalState::Expired
            | ApprovalState::Used
            | ApprovalState::Withdrawn => {}
        }
    }
    Ok(())
}

/// Whether its agent, and those that it acts for, may ask once more.
fn counted(fact: &RunFact, lineage: &[RunFact], bundle: &Bundle) -> Result<(), Abort> {
    let runs = std::iter::once(fact).chain(lineage);
    questions_spent(runs, bundle).map_or(Ok(()), |(run, most)| {
        let RunFact { principal, questions, .. } = run;
        let message = format!(
            "the run `{}` has asked people {questions} times already, and `{}` may ask {most} times; nobody is asked about \
             the plan",
            principal.run, principal.agent
        );
        Err(refused(code::QUESTIONS_EXHAUSTED, message))
    })
}

fn is_underway(plan: &ProposedPlan, fact: &RunFact, ask: &ApprovalRequest) -> bool {
    let latest = fact.proposed.as_ref().filter(|proposed| proposed.approval == ask.approval);
    latest.is_some_and(|proposed| !plan.is_used_up(proposed.step))
}

fn rejected(before: &ApprovalRequest) -> String {
    let no = before.votes.iter().find(|vote| !vote.yes);
    let (who, why) = no.map_or(("somebody", ""), |vote| (vote.person.as_str(), vote.reason.as_str()));
    let message = format!("`{who}` has said no to exactly this plan: {why}");
    format!("{}. Do not propose it again", message.trim_end_matches(": "))
}
