//! Does the action belong to the goal? Words are a hint, so they ask; only a declared plan may block, or an
//! agent's own mode `strict` where a value that matters is unproven, too.

use crate::base::code;
use crate::decide::request::{DecisionRequest, Findings, is_strict, is_tainted, understood};
use crate::define::catalogue::flow::Audience;
use crate::define::catalogue::{Reversibility, TypedAction};
use crate::provenance::goal::IntentMatch;
use crate::provenance::proof::{egress, judged};
use crate::read::plan::PlanMatch;

pub(super) fn check(q: &DecisionRequest<'_>, findings: &mut Findings) {
    let Some(typed) = understood(q).filter(|t| t.manifest.effect.changes_something()) else { return };
    let Some(provenance) = q.facts.provenance.as_ref().filter(|_| is_tainted(q)) else { return };
    // What is declared counts, and not the words around it; what still needs people's yes only asks for it.
    let strict = match &provenance.plan {
        None => is_strict(q),
        Some(PlanMatch::Step { .. }) if provenance.unagreed.is_some() => false,
        Some(_) => return,
    };
    let name = &typed.manifest.name;
    match &provenance.asks {
        IntentMatch::No if strict && findings.has_row(8) && !provenance.delegates => {
            let text = format!(
                "the goal does not ask for `{name}`, and a value that matters comes from nobody who is trusted"
            );
            findings.row(code::OFF_INTENT_UNPROVEN, strict, text, Vec::new());
        }
        IntentMatch::No => {
            let text =
                format!("the goal does not ask for `{name}`, and the run has read what strangers wrote");
            if !findings.has_row(8) && is_nuisance(q, typed) {
                return findings.note(code::OFF_INTENT, text);
            }
            findings.row(code::OFF_INTENT, strict, text, Vec::new());
        }
        IntentMatch::Strongly { .. } | IntentMatch::Weakly { .. }
            if strict && provenance.elsewhere && !provenance.delegates =>
        {
            let text = format!("the goal spells out where `{name}` goes, and this goes elsewhere");
            findings.row(code::OFF_INTENT_UNPROVEN, strict, text, Vec::new());
        }
        IntentMatch::Strongly { .. } | IntentMatch::Weakly { .. }
            if provenance.earlier > 0 && !provenance.plural && !names_several(&provenance.asks) =>
        {
            let text =
                format!("the goal asks for one `{name}`, and this is number {}", provenance.earlier + 1);
            findings.row(code::MORE_THAN_ASKED, strict, text, Vec::new());
        }
        IntentMatch::Strongly { .. } | IntentMatch::Weakly { .. } => {}
    }
}

/// From this edition on, what is a nuisance at most and can be taken back is told and not asked about.
const TOLD: u32 = 4;

/// Whether nobody is harmed where the goal does not ask for it: it can be taken back, and reaches nobody else.
fn is_nuisance(q: &DecisionRequest<'_>, typed: &TypedAction) -> bool {
    let manifest = &typed.manifest;
    let back = match manifest.reversibility() {
        Reversibility::Reversible => true,
        Reversibility::Compensatable => manifest.compensation.is_some(),
        Reversibility::Irreversible => false,
    };
    let within = egress(typed, &judged(q.action, typed, q.facts.edition)) == Audience::None;
    q.facts.edition >= TOLD && manifest.severity() <= 1 && back && within
}

/// "Delete the files" asks for several.
fn names_several(asks: &IntentMatch) -> bool {
    match asks {
        IntentMatch::Weakly { object: Some(object), .. } => object.ends_with('s') && !object.ends_with("ss"),
        IntentMatch::Weakly { object: None, .. } | IntentMatch::Strongly { .. } | IntentMatch::No => false,
    }
}
