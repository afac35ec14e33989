//! Is it a step of the declared plan? A plan is a contract: what it does not have waits for a person, and is
//! blocked if a value that matters is unproven, too. An agent's manifest may want people to agree to the plan first.

use crate::base::code;
use crate::decide::request::{DecisionRequest, Findings, is_strict, understood};
use crate::define::catalogue::TypedAction;
use crate::define::manifest::Plans;
use crate::provenance::proof::Provenance;
use crate::read::plan::PlanMatch;
use crate::record::decision::Finding;

pub(super) fn check(q: &DecisionRequest<'_>, findings: &mut Findings) {
    // What the gate looks up by itself is none of the agent's calls.
    if q.action.credential.is_look() {
        return;
    }
    let Some(typed) = understood(q) else { return };
    if typed.manifest.effect.changes_something() && q.action.compensates.is_none() {
        agreed(q, typed, findings);
    }
    let name = &q.action.name;
    let known = q.facts.provenance.as_ref();
    let Some((provenance, standing)) = known.and_then(|p| Some((p, p.plan?))) else {
        // It was erased with the goal. What it said is not known, so nothing is a step of it.
        if q.facts.run.as_ref().is_some_and(|run| run.planned) && q.action.compensates.is_none() {
            let text = format!("a plan was declared and is not known any more, so `{name}` is no step of it");
            findings.row(code::OFF_PLAN, is_strict(q), text, Vec::new());
        }
        return;
    };
    let why = match standing {
        PlanMatch::Step { .. } | PlanMatch::Read => return,
        PlanMatch::Unlisted => format!("the declared plan has no step `{name}`"),
        PlanMatch::Otherwise => format!("the declared plan has `{name}` with other arguments"),
        PlanMatch::Over => format!("the step `{name}` of the declared plan is over"),
    };
    let unproven = is_unproven(findings, provenance);
    let (code, why) = match unproven {
        true => {
            (code::PLAN_VIOLATED, format!("{why}, and a value that matters comes from nobody who is trusted"))
        }
        false => (code::OFF_PLAN, why),
    };
    findings.row(code, is_strict(q), why, Vec::new());
}

/// Whether a value that matters is unproven, and not because the plan that has it waits: a yes to a plan turns no block.
fn is_unproven(findings: &Findings, provenance: &Provenance) -> bool {
    let planned = |at: &String| provenance.unagreed.as_ref().is_some_and(|values| values.contains(at));
    let waits = |f: &Finding| !f.about.is_empty() && f.about.iter().all(|doubt| planned(&doubt.at));
    [8, 11].into_iter().any(|row| findings.of_row(row).any(|f| !waits(f)))
}

/// Whether people have agreed to the plan, where the agent or one that it acts for needs that.
fn agreed(q: &DecisionRequest<'_>, typed: &TypedAction, findings: &mut Findings) {
    let wants = |agent| q.bundle.agent(agent).is_some_and(|m| m.plans == Plans::Approve);
    let Some(holder) = q.facts.holders(&q.action.principal).find(|holder| wants(&holder.agent)) else {
        return;
    };
    let mut covers = q.facts.cover.iter().chain(&q.facts.proposed);
    if covers.any(|cover| cover.is_agreed_still(q) && cover.reaches(q.action, typed, q.facts.edition)) {
        return;
    }
    let text = format!(
        "`{}` changes things only as people have agreed to in a plan, and this is none",
        holder.agent
    );
    findings.ask_somebody(code::PLAN_NOT_APPROVED, text);
}
