//! Can it be taken back? What cannot, or names no way, always waits for a person. An undo is judged here,
//! too: only what is known to have happened is undone, and only once.

use crate::catalogue::Reversibility;
use crate::code;
use crate::decide::{Findings, Question};
use crate::facts::{ActionState, Undo};

pub(super) fn check(q: &Question<'_>, findings: &mut Findings) {
    if q.action.compensates.is_some() {
        return undo(q, findings);
    }
    let Some(typed) = &q.action.typed else { return };
    let manifest = &typed.manifest;
    if !manifest.effect.changes_something() {
        return;
    }
    match (manifest.reversibility(), &manifest.compensation) {
        (Reversibility::Irreversible, _) => {
            findings.ask_somebody(code::IRREVERSIBLE, format!("`{}` cannot be undone", q.action.name));
        }
        (Reversibility::Compensatable, None) => {
            findings.ask_somebody(code::UNCOMPENSATED, format!("`{}` names no compensation", q.action.name));
        }
        (Reversibility::Compensatable | Reversibility::Reversible, _) => {}
    }
}

fn undo(q: &Question<'_>, findings: &mut Findings) {
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
