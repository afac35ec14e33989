//! What can be wrong with a rule by which an action completes another: one that leads nowhere would ask forever, and one that
//! rests on what anybody could have written would not ask at all.

use super::actions::leads_somewhere;
use super::problem::{BundleProblem, Homes, did_you_mean};
use crate::define::catalogue::flow::CompletionRule;
use crate::define::catalogue::{Catalogue, Reversibility, TypedAction, pointer_of};
use crate::provenance::issued::vouching;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Says what is wrong with the rules of all actions.
pub(super) fn check(catalogue: &Catalogue, homes: &Homes, problems: &mut Vec<BundleProblem>) {
    for (name, typed) in catalogue.iter() {
        let (mut said, mut told) = (BTreeSet::new(), BTreeSet::new());
        for variant in typed.variants() {
            let Some(rule) = &variant.manifest.completes else { continue };
            said.extend(of_rule(rule, variant, catalogue));
            told.extend(asks_anyway(variant));
        }
        if !said.is_empty() || !told.is_empty() {
            let at = homes.action(name);
            let text = |message: String| format!("`{name}`: `completes`: {message}");
            problems.extend(said.into_iter().map(|message| BundleProblem::error(&at, text(message))));
            problems
                .extend(told.into_iter().map(|message| BundleProblem::warning(&at, text(message.into()))));
        }
    }
}

fn of_rule(rule: &CompletionRule, typed: &TypedAction, catalogue: &Catalogue) -> Vec<String> {
    let mut out = Vec::new();
    if !typed.manifest.effect.changes_something() {
        out.push("it is a read, which completes nothing".to_owned());
    }
    let pointer = pointer_of(&rule.argument);
    let of_list = |step: &str| step == "*" || step == "-" || step.parse::<u64>().is_ok();
    if pointer.split('/').any(of_list) {
        out.push(format!(
            "`argument` names `{}`; what was issued is one value, without `*` and not in a list",
            rule.argument
        ));
    } else if let Err(hint) = leads_somewhere(&pointer, &typed.schema) {
        out.push(format!("`argument` names `{}`, which `arguments` does not list{hint}", rule.argument));
    } else if !typed.roles.of_pointer(&pointer).is_some_and(|argument| argument.class.is_target()) {
        let class = typed.roles.of_pointer(&pointer).map_or("nothing", |argument| argument.class.name());
        out.push(format!(
            "`{}` is a `{class}`; what was begun is what this is done to: a `target_id`, `target_name` or `target_path`",
            rule.argument
        ));
    }
    if !rule.issued.starts_with('/') || rule.issued.split('/').any(|step| step == "*" || step == "**") {
        out.push(format!(
            "`issued` is `{}`; it must be a JSON pointer such as `/id`, without `*`",
            rule.issued
        ));
        return out;
    }
    let begun = rule.action.as_str();
    if begun == typed.manifest.name.as_str() {
        out.push("it names itself".to_owned());
        return out;
    }
    let Some(found) = catalogue.find(begun) else {
        let hint = did_you_mean(begun, catalogue.iter().map(|(name, _)| name));
        out.push(format!("`{begun}` is not in the catalogue{hint}"));
        return out;
    };
    let begins = |variant: &Arc<TypedAction>| variant.manifest.effect.changes_something();
    if !found.variants().any(begins) {
        out.push(format!("`{begun}` is a read, which begins nothing"));
    } else if !found
        .variants()
        .filter(|v| begins(v))
        .any(|v| vouching(&v.manifest.outputs, &rule.issued).is_some())
    {
        out.push(format!(
            "`{begun}` issues no `{0}`; say in its `outputs` who stands behind it: {{ path: {0}, endorses: agent, taints: false, type: id }}",
            rule.issued
        ));
    }
    if let Some(round) = round(typed.manifest.name.as_str(), begun, catalogue) {
        out.push(format!("it goes round: {round}"));
    }
    out
}

/// The actions that complete each other in a circle, from this one on.
fn round(name: &str, begun: &str, catalogue: &Catalogue) -> Option<String> {
    let (mut ways, mut seen) = (vec![vec![begun.to_owned()]], BTreeSet::new());
    while let Some(way) = ways.pop() {
        let last = way.last().filter(|last| seen.insert((*last).clone()));
        let Some(found) = last.and_then(|last| catalogue.find(last)) else { continue };
        for next in found.variants().filter_map(|variant| variant.manifest.completes.as_ref()) {
            if next.action.as_str() == name {
                let steps = std::iter::once(name).chain(way.iter().map(String::as_str));
                let shown: Vec<String> = steps.map(|step| format!("`{step}`")).collect();
                return Some(format!("{}, which completes `{name}`", shown.join(" completes ")));
            }
            ways.push(way.iter().cloned().chain([next.action.to_string()]).collect());
        }
    }
    None
}

/// What asks every time, whatever was begun.
fn asks_anyway(typed: &TypedAction) -> Option<&'static str> {
    let manifest = &typed.manifest;
    if manifest.always_approval().is_some() {
        return Some("a person is asked every time all the same, since `approval` says `always`");
    }
    match (manifest.reversibility(), &manifest.compensation) {
        (Reversibility::Irreversible, _) if !manifest.unless_proven() => Some(
            "it cannot be undone, so a person is asked every time all the same; `approval: { always: false, unless_proven: true }` changes that",
        ),
        (Reversibility::Compensatable, None) => {
            Some("it names no compensation, so a person is asked every time all the same")
        }
        (Reversibility::Irreversible | Reversibility::Compensatable | Reversibility::Reversible, _) => None,
    }
}
