//! What a call begins that another may complete: whether the goal has asked for it or people have agreed to it, found out when it
//! is allowed, and what those read who are asked about it.

use crate::decide::checks::{data_flow, intent};
use crate::decide::completion::COMPLETING;
use crate::decide::request::{DecisionRequest, Findings, understood};
use crate::define::catalogue::TypedAction;
use crate::define::manifest::AgentManifest;
use crate::provenance::goal::IntentMatch;
use crate::read::action::Mode;
use crate::read::plan::PlanMatch;
use crate::record::approval::CompletedBy;
use crate::record::begun::Beginning;
use crate::record::decision::{Decision, Verdict};

/// What stands behind a call that is allowed, where something may complete it.
pub(crate) fn beginning(q: &DecisionRequest<'_>, decision: &Decision) -> Option<Beginning> {
    let typed = understood(q).filter(|_| q.facts.edition >= COMPLETING)?;
    // What an agent reports of itself has issued nothing.
    let acts = q.action.mode == Mode::Execute && q.action.compensates.is_none();
    let allowed = acts && decision.verdict == Verdict::Allow && decision.replays.is_none();
    if !allowed || q.bundle.catalogue().completers(&q.action.name).is_empty() {
        return None;
    }
    // What stays here was not looked at as what is sent, by nobody.
    if q.facts.provenance.as_ref().is_none_or(|provenance| provenance.unsendable) {
        return None;
    }
    if let Some(approval) = &decision.approval {
        let ask = q.facts.ask.as_ref().filter(|ask| ask.approval == *approval);
        return Some(Beginning::Agreed { shown: ask.map_or_else(Vec::new, |ask| ask.completed_by.clone()) });
    }
    is_asked_for(q, typed).then_some(Beginning::Asked)
}

/// Whether the goal or the plan asks for it and nothing in it is doubtful, looked at as if the run had read a stranger's text.
fn is_asked_for(q: &DecisionRequest<'_>, typed: &TypedAction) -> bool {
    let Some(provenance) = &q.facts.provenance else { return false };
    let asked = match &provenance.plan {
        Some(PlanMatch::Step { .. }) => provenance.unagreed.is_none(),
        Some(PlanMatch::Read | PlanMatch::Unlisted | PlanMatch::Otherwise | PlanMatch::Over) => false,
        None => provenance.asks != IntentMatch::No && !provenance.unread,
    };
    let mut doubts = Findings::default();
    data_flow::doubted(q, typed, provenance, &mut doubts);
    intent::doubted(q, typed, provenance, &mut doubts);
    asked && doubts.list.is_empty()
}

/// What whoever is asked about a call agrees to with it: what may complete it, of what its agent may do.
pub(crate) fn shown(q: &DecisionRequest<'_>) -> Vec<CompletedBy> {
    let Some(agent) = q.bundle.agent(&q.action.principal.agent) else { return Vec::new() };
    if q.action.mode != Mode::Execute || q.action.compensates.is_some() {
        return Vec::new();
    }
    let may = |name: &str| {
        (AgentManifest::lists(&agent.allowed_actions, name) || agent.context_rules.contains_key(name))
            && !AgentManifest::lists(&agent.blocked_actions, name)
    };
    let completers = q.bundle.catalogue().completers(&q.action.name).iter();
    // What asks anyhow follows from nobody's yes.
    let completers = completers.filter(|completer| !completer.asks && may(completer.action.as_str()));
    completers.map(|c| CompletedBy { action: c.action.clone(), definition: c.definition }).collect()
}
