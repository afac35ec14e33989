//! What people said about the step of a plan that an action is, looked up.

use crate::define::catalogue::flow::is_at_or_above;
use crate::provenance::proof::judged;
use crate::read::action::Action;
use crate::read::plan::PlanMatch;
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
        let at = step as usize;
        let shown = ask.plan.as_ref().and_then(|asked| asked.steps.get(at));
        let said = plan.as_ref().and_then(|plan| plan.steps.get(at));
        let (Some(shown), Some(said), Some(typed)) = (shown, said, &action.typed) else { return Ok(None) };
        let (mut exact, mut limited) = (BTreeSet::new(), BTreeSet::new());
        for leaf in judged(action, typed, EDITION) {
            let mut over =
                said.arguments.iter().filter(|(pointer, _)| is_at_or_above(pointer, &leaf.pointer));
            // Less than nothing is below every limit, and may be the opposite.
            let positive = || crate::base::amount::decimal(leaf.value).is_some_and(|n| !n.is_sign_negative());
            match over.any(|(_, constraint)| constraint.is_exact()) {
                true => exact.insert(leaf.pointer),
                false if said.arguments.contains_key(&leaf.pointer) && positive() => {
                    limited.insert(leaf.pointer)
                }
                false => false,
            };
        }
        Ok(Some(Self {
            approval: approval.clone(),
            step,
            state: ask.state,
            expires_at: ask.expires_at,
            definition: shown.definition,
            tier: shown.tier,
            typed: ask.confirm.iter().map(|confirm| confirm.typed).collect(),
            votes: ask.votes,
            need: ask.need,
            exact,
            limited,
        }))
    }
}
