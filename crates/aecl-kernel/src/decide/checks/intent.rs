//! Does the action belong to the goal? Words are a hint, so they ask; only a declared plan may block, or an
//! agent's own mode `strict` where a value that matters is unproven, too.

use crate::base::code::{self, Code};
use crate::base::evidence::is_told;
use crate::decide::completion;
use crate::decide::request::{DecisionRequest, Findings, UNREAD_GOAL, is_strict, is_tainted, understood};
use crate::define::catalogue::flow::Audience;
use crate::define::catalogue::{Reversibility, TypedAction};
use crate::provenance::goal::IntentMatch;
use crate::provenance::proof::{Provenance, egress, judged};
use crate::read::plan::PlanMatch;
use crate::record::begun::Beginning;

pub(super) fn check(q: &DecisionRequest<'_>, findings: &mut Findings) {
    let Some(typed) = understood(q) else { return };
    let Some(provenance) = q.facts.provenance.as_ref().filter(|_| is_tainted(q)) else { return };
    let rests = completion::rests_on(q).and_then(|begun| begun.beginning.as_ref());
    look(q, typed, (provenance, rests), findings);
}

/// What would be doubted of a call in a run that has read a stranger's text, whatever this run has read.
pub(crate) fn doubted(
    q: &DecisionRequest<'_>,
    typed: &TypedAction,
    provenance: &Provenance,
    findings: &mut Findings,
) {
    look(q, typed, (provenance, None), findings);
}

/// `rests`: what stands behind the call that this one completes, where it rests on one.
fn look(
    q: &DecisionRequest<'_>,
    typed: &TypedAction,
    (provenance, rests): (&Provenance, Option<&Beginning>),
    findings: &mut Findings,
) {
    // What is declared counts, and not the words around it; what still needs people's yes only asks for it.
    let strict = match &provenance.plan {
        None => is_strict(q),
        Some(PlanMatch::Step { .. }) if provenance.unagreed.is_some() => false,
        Some(_) => return,
    };
    let name = &typed.manifest.name;
    if provenance.unread && provenance.asks == IntentMatch::No && rests.is_none() {
        return unread(name.as_str(), typed, strict, findings);
    }
    let told = strict && !provenance.delegates && leads_where_told(q, findings);
    if !typed.manifest.effect.changes_something() && !told {
        return;
    }
    match &provenance.asks {
        IntentMatch::No
            if typed.manifest.effect.changes_something()
                && strict
                && !provenance.delegates
                && is_a_strangers(q, findings) =>
        {
            let text = match q.facts.edition {
                0..TOLD_BY => format!(
                    "the goal does not ask for `{name}`, and a value that matters comes from nobody who is trusted"
                ),
                TOLD_BY.. => format!("the goal does not ask for `{name}`, and a stranger's sentence does"),
            };
            findings.row(code::OFF_INTENT_UNPROVEN, strict, text, Vec::new());
        }
        _ if told => {
            let text =
                format!("a stranger's sentence says where `{name}` goes, and nobody who is trusted does");
            findings.row(code::TOLD_BY_STRANGER, strict, text, Vec::new());
        }
        IntentMatch::No => {
            let text =
                format!("the goal does not ask for `{name}`, and the run has read what strangers wrote");
            if rests.is_some() || (!findings.has_row(8) && is_nuisance(q, typed)) {
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
            if provenance.earlier > 0
                && !provenance.plural
                && !names_several(&provenance.asks)
                && !is_another_thing(q, provenance)
                && !matches!(rests, Some(Beginning::Agreed { .. })) =>
        {
            let text =
                format!("the goal asks for one `{name}`, and this is number {}", provenance.earlier + 1);
            findings.row(code::MORE_THAN_ASKED, strict, text, Vec::new());
        }
        IntentMatch::Strongly { .. } | IntentMatch::Weakly { .. } => {}
    }
}

/// What a goal asks for that nobody could read is not known, also of what harms nobody; it may forbid that.
fn unread(name: &str, typed: &TypedAction, strict: bool, findings: &mut Findings) {
    let changes = typed.manifest.effect.changes_something();
    // A read is asked about where it goes only, and whoever is asked is told why nothing in the goal proves that.
    if changes || findings.has_row(8) || findings.has_row(11) {
        let text = format!("{UNREAD_GOAL}; whether it asks for `{name}` is not known");
        findings.row(code::GOAL_UNREAD, strict, text, Vec::new());
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

/// From this edition on, `strict` refuses what a stranger's sentence says, and asks about what nobody has said.
const TOLD_BY: u32 = 5;

/// Whether a value that matters and that nobody who is trusted has named is a stranger's word.
fn is_a_strangers(q: &DecisionRequest<'_>, findings: &Findings) -> bool {
    match q.facts.edition {
        0..TOLD_BY => findings.has_row(8),
        TOLD_BY.. => doubts(findings).any(|(_, at)| is_told(q.evidence, at)),
    }
}

/// Whether what a stranger's sentence says is where it goes, what it leads to, or a password.
fn leads_where_told(q: &DecisionRequest<'_>, findings: &Findings) -> bool {
    let leads = [
        code::UNPROVEN_DESTINATION,
        code::UNPROVEN_FETCH,
        code::UNPROVEN_LINK,
        code::UNPROVEN_CREDENTIAL,
        code::UNPROVEN_COMMAND,
    ];
    q.facts.edition >= TOLD_BY
        && doubts(findings).any(|(code, at)| leads.contains(&code) && is_told(q.evidence, at))
}

/// The arguments that nobody who is trusted has named, each with what is doubted.
fn doubts(findings: &Findings) -> impl Iterator<Item = (Code, &str)> {
    let rows = findings.of_row(8).chain(findings.of_row(11));
    rows.flat_map(|finding| finding.about.iter().map(|doubt| (finding.code, doubt.at.as_str())))
}

/// From this edition on, each thing that the goal names may be acted on once.
const EACH: u32 = 5;

/// "Restart web and checkout" asks for two, each of which it names. Done to one of them again it is more than asked.
fn is_another_thing(q: &DecisionRequest<'_>, provenance: &Provenance) -> bool {
    q.facts.edition >= EACH && provenance.named.as_ref().is_some_and(|named| named.earlier == 0)
}

/// "Delete the files" asks for several.
fn names_several(asks: &IntentMatch) -> bool {
    match asks {
        IntentMatch::Weakly { object: Some(object), .. } => object.ends_with('s') && !object.ends_with("ss"),
        IntentMatch::Weakly { object: None, .. } | IntentMatch::Strongly { .. } | IntentMatch::No => false,
    }
}
