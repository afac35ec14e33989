//! What people said about the step of a plan that an action is, looked up.

use crate::define::catalogue::flow::is_at_or_above;
use crate::provenance::proof::judged;
use crate::read::action::Action;
use crate::read::plan::{Plan, PlanMatch};
use crate::record::approval::ApprovalRequest;
use crate::record::cover::Cover;
use crate::record::facts::{EDITION, FactStore, RunFact, keys};
use std::collections::BTreeSet;

impl Cover {
    /// Looks up what people said about the step that this action is. Three facts are read, however long the plan.
    pub(crate) fn gather<S: FactStore>(
        action: &Action,
        run: &RunFact,
        standing: Option<PlanMatch>,
        space: &mut S,
    ) -> Result<Option<Self>, S::Error> {
        let (Some(approval), Some(PlanMatch::Step { step })) = (&run.plan_approval, standing) else {
            return Ok(None);
        };
        let Some(ask) = space.find(keys::Approval(approval.clone()))? else {
            return Ok(None);
        };
        let plan = match space.find(keys::Goal(run.principal.run.clone()))? {
            Some(goal) => goal.contract(),
            None => None,
        };
        Ok(plan.and_then(|plan| of_step(action, ask, &plan, step)))
    }

    /// The same of the plan that the agent has proposed last. It counts only if it is what people were asked about, and from
    /// the place on to which the run has come in it.
    pub(crate) fn gather_proposed<S: FactStore>(
        action: &Action,
        run: &RunFact,
        space: &mut S,
    ) -> Result<Option<Self>, S::Error> {
        let Some(proposed) = &run.proposed else { return Ok(None) };
        // An undo is a step of nothing, and what is not understood is blocked.
        if action.compensates.is_some() || !action.problems.is_empty() {
            return Ok(None);
        }
        let Some(ask) = space.find(keys::Approval(proposed.approval.clone()))? else { return Ok(None) };
        let Some(stated) = space.find(keys::Plan(proposed.approval.clone()))? else { return Ok(None) };
        let asked = ask.plan.as_ref().and_then(|asked| asked.proposed);
        let Some(plan) = stated.plan().filter(|_| asked == Some(stated.digest(&run.principal.run))) else {
            return Ok(None);
        };
        Ok(match plan.stands(action, proposed.step) {
            PlanMatch::Step { step } => {
                of_step(action, ask, &plan, step).map(|cover| Self { proposed: true, ..cover })
            }
            PlanMatch::Read | PlanMatch::Unlisted | PlanMatch::Otherwise | PlanMatch::Over => None,
        })
    }
}

/// What a request about this plan says about the step that an action is.
fn of_step(action: &Action, ask: ApprovalRequest, plan: &Plan, step: u32) -> Option<Cover> {
    let at = step as usize;
    let shown = ask.plan.as_ref().and_then(|asked| asked.steps.get(at))?;
    let (said, typed) = (plan.steps.get(at)?, action.typed.as_deref()?);
    let (mut exact, mut limited) = (BTreeSet::new(), BTreeSet::new());
    for leaf in judged(action, typed, EDITION) {
        let mut over = said.arguments.iter().filter(|(pointer, _)| is_at_or_above(pointer, &leaf.pointer));
        // Less than nothing is below every limit, and may be the opposite.
        let positive = || crate::base::amount::decimal(leaf.value).is_some_and(|n| !n.is_sign_negative());
        match over.any(|(_, constraint)| constraint.is_exact()) {
            true => exact.insert(leaf.pointer),
            false if said.arguments.contains_key(&leaf.pointer) && positive() => limited.insert(leaf.pointer),
            false => false,
        };
    }
    Some(Cover {
        approval: ask.approval.clone(),
        step,
        proposed: false,
        state: ask.state,
        expires_at: ask.expires_at,
        definition: shown.definition,
        tier: shown.tier,
        typed: ask.confirm.iter().map(|confirm| confirm.typed).collect(),
        votes: ask.votes,
        need: ask.need,
        exact,
        limited,
    })
}
