//! What a call rests on that completes another: "send the draft" is no second decision where "write the draft" was one. The id
//! that it carries is proven by the call that has issued it, and nothing else is: whatever else matters is proven by itself or
//! the same as in that call. It answers what asks because the goal does not name or ask for it, and no other question.

use crate::decide::approvers::{approvers, excluded_from};
use crate::decide::doubts::unproven;
use crate::decide::request::{DecisionRequest, is_strict, understood};
use crate::define::catalogue::TypedAction;
use crate::define::catalogue::flow::{Class, CompletionRule};
use crate::define::catalogue::pointer_of;
use crate::provenance::proof::{Leaf, judged};
use crate::read::plan::PlanMatch;
use crate::record::approval::people::counting;
use crate::record::approval::{CompletedBy, Quorum};
use crate::record::begun::{Beginning, Beginnings, BegunFlaw};
use crate::record::facts::{ActionState, BegunCall};

/// From this edition on, what completes a call that was asked for or agreed to is no question of its own.
pub(crate) const COMPLETING: u32 = 7;

/// The call that this one completes, if it rests on it.
pub(crate) fn rests_on<'a>(q: &DecisionRequest<'a>) -> Option<&'a BegunCall> {
    found(q)?.ok()
}

/// The same, or why this call is a question of its own. Nothing, if its action completes nothing.
pub(crate) fn found<'a>(q: &DecisionRequest<'a>) -> Option<Result<&'a BegunCall, String>> {
    let typed = understood(q).filter(|_| q.facts.edition >= COMPLETING && q.action.compensates.is_none())?;
    let rule = typed.manifest.completes.as_ref()?;
    Some(rests(q, typed, rule))
}

fn rests<'a>(
    q: &DecisionRequest<'a>,
    typed: &TypedAction,
    rule: &CompletionRule,
) -> Result<&'a BegunCall, String> {
    let begun = q.facts.begun.as_ref().ok_or_else(|| {
        format!("no call of `{}` in this run has issued its `{}`", rule.action, name_of(&rule.argument))
    })?;
    stands(begun, rule)?;
    if q.facts.run.as_ref().is_none_or(|run| run.beginnings == Beginnings::Lost) {
        return Err("a call has carried too many values to tell whether it has changed what was begun".into());
    }
    let id = &begun.action;
    match &begun.beginning {
        None => return Err(format!("neither did the goal ask for `{id}` nor has anybody agreed to it")),
        Some(Beginning::Asked) if typed.manifest.severity() >= 3 => {
            return Err(format!("it is grave, and nobody has agreed to `{id}`"));
        }
        Some(Beginning::Asked) => {}
        Some(Beginning::Agreed { shown }) => {
            let told = CompletedBy { action: typed.manifest.name.clone(), definition: typed.digest };
            if typed.manifest.severity() >= 3 && !shown.contains(&told) {
                return Err(format!("it is grave, and who agreed to `{id}` was not told that it follows"));
            }
            let mut need = Quorum::default();
            need.add(approvers(q), 1);
            if !need.met_by(&counting(&begun.votes, q.facts.voters.as_ref(), &excluded_from(q))) {
                return Err(format!("who agreed to `{id}` could not agree to this now"));
            }
        }
    }
    if let Some(at) = other(q, typed, rule, begun) {
        return Err(format!("its `{}` is neither proven nor what it is in `{id}`", name_of(&at)));
    }
    Ok(begun)
}

/// Whether a call is one that can be completed at all: done, once, and left as it was.
fn stands(begun: &BegunCall, rule: &CompletionRule) -> Result<(), String> {
    let id = &begun.action;
    match begun.flaw {
        Some(BegunFlaw::Several) => {
            return Err(format!("several calls of `{}` have issued the same", rule.action));
        }
        Some(BegunFlaw::Elsewhere) => return Err(format!("`{id}` was begun in another run")),
        Some(BegunFlaw::Writing) => return Err(format!("`{id}` has issued it in another writing")),
        None => {}
    }
    if begun.state != ActionState::Done {
        return Err(format!("`{id}` is {}", begun.state.name()));
    }
    if begun.undone {
        return Err(format!("`{id}` was undone, or somebody has tried"));
    }
    if let Some(by) = &begun.completed {
        return Err(format!("`{by}` has completed `{id}` already"));
    }
    match &begun.touched {
        Some(by) => Err(format!("`{by}` may have changed what `{id}` has begun")),
        None => Ok(()),
    }
}

/// An argument that speaks against it: one that matters and is unproven, or a text, and another than in the call that began.
fn other(
    q: &DecisionRequest<'_>,
    typed: &TypedAction,
    rule: &CompletionRule,
    begun: &BegunCall,
) -> Option<String> {
    let Some(provenance) = &q.facts.provenance else { return Some(rule.argument.clone()) };
    // What is declared is a contract: what is no step of it completes nothing.
    if !matches!(provenance.plan, None | Some(PlanMatch::Step { .. })) {
        return Some(rule.argument.clone());
    }
    let (edition, id) = (q.facts.edition, pointer_of(&rule.argument));
    let leaves = judged(q.action, typed, edition);
    let doubts = unproven(&leaves, typed, edition, provenance).into_iter();
    let proven = |at: &str, class: Class| at == id && class.is_target();
    // A stranger's sentence may say what is the same as before, and `strict` looks at each by itself.
    let same = |at: &str| begun.same.contains(at) && !is_strict(q);
    let mut doubts = doubts.map(|(_, doubt)| doubt).filter(|doubt| !proven(&doubt.at, doubt.class));
    if let Some(doubt) = doubts.find(|doubt| !same(&doubt.at)) {
        return Some(doubt.at);
    }
    let is_said = |leaf: &Leaf<'_>| {
        let blank = leaf.value.as_str().is_some_and(|text| text.trim().is_empty());
        blank || leaf.argument.knows(leaf.value) || leaf.argument.default.as_ref() == Some(leaf.value)
    };
    let texts = leaves.into_iter().filter(|leaf| leaf.argument.class == Class::Content);
    let mut new = texts.filter(|leaf| !leaf.value.is_boolean() && !is_said(leaf));
    new.find(|leaf| !begun.same.contains(&leaf.pointer)).map(|leaf| leaf.pointer)
}

fn name_of(pointer: &str) -> &str {
    pointer.trim_start_matches('/')
}
