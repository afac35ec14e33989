//! Can it be taken back? What cannot, or names no way, always waits for a person. An undo is judged here,
//! too: only what is known to have happened is undone, and only once.

use super::data_flow;
use crate::base::code;
use crate::decide::completion;
use crate::decide::doubts::unproven;
use crate::decide::request::{DecisionRequest, Findings, UNREAD_GOAL};
use crate::define::catalogue::{Reversibility, TypedAction};
use crate::provenance::goal::IntentMatch;
use crate::provenance::proof::judged;
use crate::read::plan::PlanMatch;
use crate::record::decision::UnprovenArgument;
use crate::record::facts::{ActionState, Undo};

pub(super) fn check(q: &DecisionRequest<'_>, findings: &mut Findings) {
    if q.action.compensates.is_some() {
        return undo(q, findings);
    }
    let Some(typed) = &q.action.typed else { return };
    let manifest = &typed.manifest;
    if !manifest.effect.changes_something() {
        return;
    }
    match (manifest.reversibility(), &manifest.compensation) {
        (Reversibility::Irreversible, _) => irreversible(q, typed, findings),
        (Reversibility::Compensatable, None) => {
            findings.ask_somebody(code::UNCOMPENSATED, format!("`{}` names no compensation", q.action.name));
        }
        (Reversibility::Compensatable | Reversibility::Reversible, _) => {}
    }
}

/// From this edition on, who is asked is told what is missing.
const SAID: u32 = 4;

/// It passes where everything that matters is what somebody who is trusted has named, and the goal or the plan asks for
/// the action. Also before the run has read what strangers wrote: a model can be wrong all by itself.
fn irreversible(q: &DecisionRequest<'_>, typed: &TypedAction, findings: &mut Findings) {
    let name = &q.action.name;
    let Some(missing) = Missing::of(q, typed) else {
        return findings.ask_somebody(code::IRREVERSIBLE, format!("`{name}` cannot be undone"));
    };
    if missing.is_nothing() {
        return;
    }
    if q.facts.edition < SAID {
        return findings.ask_somebody(code::IRREVERSIBLE, format!("`{name}` cannot be undone"));
    }
    let Missing { is_asked, is_unread, about } = missing;
    let why = match (is_asked, about.is_empty()) {
        _ if is_unread && !is_asked => UNREAD_GOAL.to_owned(),
        (true, _) => format!("nobody who is trusted has named {}", data_flow::names(&about)),
        (false, true) => "the goal does not ask for it".to_owned(),
        (false, false) => {
            format!(
                "the goal does not ask for it, and nobody who is trusted has named {}",
                data_flow::names(&about)
            )
        }
    };
    findings.ask_somebody(code::IRREVERSIBLE, format!("`{name}` cannot be undone, and {why}"));
    findings.about(about);
}

/// What is missing to a call that cannot be undone, of an action that passes where nothing is.
struct Missing {
    /// The goal or the plan asks for it.
    is_asked: bool,
    /// Its words count, and nobody here can read them.
    is_unread: bool,
    /// What nobody who is trusted has named.
    about: Vec<UnprovenArgument>,
}

impl Missing {
    fn of(q: &DecisionRequest<'_>, typed: &TypedAction) -> Option<Self> {
        let edition = q.facts.edition;
        let provenance = q.facts.provenance.as_ref().filter(|_| typed.manifest.unless_proven())?;
        let planned = match &provenance.plan {
            Some(standing) => matches!(standing, PlanMatch::Step { .. } | PlanMatch::Read),
            None => true,
        };
        let by_words = provenance.plan.is_none() || provenance.unagreed.is_some();
        // What completes a call is wanted as that was, and everything that matters in it is proven or the same.
        let rests = completion::rests_on(q).is_some();
        let is_asked = planned && (!by_words || provenance.asks != IntentMatch::No || rests);
        let unproven = match rests {
            true => Vec::new(),
            false => unproven(&judged(q.action, typed, edition), typed, edition, provenance),
        };
        let is_unread = by_words && provenance.unread;
        Some(Self { is_asked, is_unread, about: unproven.into_iter().map(|(_, doubt)| doubt).collect() })
    }

    fn is_nothing(&self) -> bool {
        self.is_asked && self.about.is_empty()
    }
}

/// Whether somebody who is trusted wants exactly this, of an action that passes where that is so.
pub(super) fn is_wanted(q: &DecisionRequest<'_>, typed: &TypedAction) -> bool {
    Missing::of(q, typed).is_some_and(|missing| missing.is_nothing())
}

fn undo(q: &DecisionRequest<'_>, findings: &mut Findings) {
    let Some(original) = &q.facts.original else {
        findings.block(code::UNDO_REFUSED, "there is no such action to undo");
        return;
    };
    if original.agent != q.action.principal.agent {
        findings.block(code::UNDO_REFUSED, "the action to undo belongs to another agent");
    }
    match original.state {
        ActionState::Done => {}
        ActionState::Unknown | ActionState::Started => {
            findings.block(
                code::UNDO_REFUSED,
                format!(
                    "the action to undo is {}; find out first whether it happened",
                    original.state.name()
                ),
            );
        }
        ActionState::Blocked
        | ActionState::Waiting
        | ActionState::Rejected
        | ActionState::Failed
        | ActionState::Asked => {
            findings.block(
                code::UNDO_REFUSED,
                format!("the action to undo is {}; there is nothing to undo", original.state.name()),
            );
        }
    }
    if original.reported {
        let aimed: Vec<_> = original.compensation.iter().flat_map(|c| c.from_result()).collect();
        let why = match aimed.as_slice() {
            [] => "that it happened is the agent's own report".to_owned(),
            names => format!(
                "the agent itself has reported {} to undo",
                names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
            ),
        };
        findings.ask_somebody(
            code::UNDO_OF_REPORT,
            format!("{why}; look at the target whether this is what the agent did"),
        );
    }
    match &original.undo {
        Undo::No | Undo::Failed(_) => {}
        Undo::Underway(by) => findings.block(code::UNDO_REFUSED, format!("`{by}` is undoing it")),
        Undo::Done(by) => findings.block(code::UNDO_REFUSED, format!("`{by}` has undone it")),
    }
    match &original.compensation {
        None => findings.block(code::UNDO_REFUSED, "the action to undo names no compensation"),
        Some(c) if c.action.as_str() != q.action.name => {
            findings.block(code::UNDO_REFUSED, format!("the action to undo is undone by `{}`", c.action));
        }
        Some(c) => {
            if let Some(window_s) = c.window_s
                && q.now >= original.changed_at.plus_s(window_s)
            {
                findings.block(
                    code::UNDO_REFUSED,
                    format!("the target undoes only within {window_s} s, which have passed"),
                );
            }
        }
    }
}
