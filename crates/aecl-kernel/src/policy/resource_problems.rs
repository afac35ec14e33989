//! What can be wrong with the resource that an action declares: a read that is none, an argument that is never given, an
//! attribute that no rule could name. A look-up that fails at every call would leave every rule about it to a person.

use super::problem::{BundleProblem, Homes, did_you_mean};
use crate::define::catalogue::{Catalogue, TypedAction};
use crate::define::resource::{
    ATTRIBUTES_MAX, AttributeDeclaration, AttributeKind, CACHE_MAX_S, Look, Origin, RELATED_MAX,
    ResourceDeclaration, SELF, Take,
};
use crate::read::resource::{age_of, offset_s};
use serde_json::Value;
use std::collections::BTreeMap;

/// Words that Cedar keeps for itself, and types that requests have already.
const TAKEN: [&str; 22] = [
    "true",
    "false",
    "if",
    "then",
    "else",
    "in",
    "is",
    "like",
    "has",
    "__cedar",
    "Agent",
    "Action",
    "Resource",
    "Bool",
    "Boolean",
    "Long",
    "String",
    "Set",
    "Record",
    "Entity",
    "Extension",
    "decimal",
];

/// Says what is wrong with the resources of all actions.
pub(super) fn check(catalogue: &Catalogue, homes: &Homes, problems: &mut Vec<BundleProblem>) {
    let mut kinds: BTreeMap<(&str, &str), (&str, AttributeKind)> = BTreeMap::new();
    for (name, typed) in catalogue.iter() {
        let mut said = Vec::new();
        for variant in typed.variants() {
            let Some(declared) = variant.manifest.resource.as_deref() else { continue };
            let wrong = of_declaration(declared, variant, catalogue);
            said.extend(
                wrong.into_iter().map(|message| format!("{}: `resource`: {message}", variant.called())),
            );
            for (attribute, told) in &declared.attributes {
                let known = *kinds.entry((&declared.kind, attribute)).or_insert((name.as_str(), told.kind));
                if known.1 != told.kind {
                    said.push(format!(
                        "`{name}`: `resource`: `{attribute}` of `{}` is a {}, and for `{}` a {}; one type has one meaning",
                        declared.kind, told.kind.name(), known.0, known.1.name()
                    ));
                }
            }
        }
        // What an entry and its cases have in common is said once.
        said.dedup();
        problems.extend(said.into_iter().map(|message| BundleProblem::error(homes.action(name), message)));
    }
}

fn of_declaration(declared: &ResourceDeclaration, typed: &TypedAction, catalogue: &Catalogue) -> Vec<String> {
    let mut out = Vec::new();
    if !is_name(&declared.kind) {
        out.push(format!("`type: {}` is no name of a type; write one like `Order`", declared.kind));
    }
    if declared.related.len() > RELATED_MAX {
        out.push(format!("`related` has {}; at most {RELATED_MAX}", declared.related.len()));
    }
    let mut before: Vec<Look<'_>> = Vec::new();
    for look in declared.looks() {
        let at = if look.name == SELF { String::new() } else { format!("`related` `{}`: ", look.name) };
        if look.name != SELF && (!is_name(look.name) || ["arguments", "user"].contains(&look.name)) {
            out.push(format!("{at}the name is none that a rule can say; write letters, digits and `_`"));
        }
        if before.iter().any(|earlier| earlier.name == look.name) {
            out.push(format!("{at}the name is taken"));
        }
        out.extend(
            of_look(&look, &before, typed, catalogue).into_iter().map(|message| format!("{at}{message}")),
        );
        before.push(look);
    }
    out
}

fn of_look(look: &Look<'_>, before: &[Look<'_>], typed: &TypedAction, catalogue: &Catalogue) -> Vec<String> {
    let mut out = Vec::new();
    if look.cache_s > CACHE_MAX_S {
        out.push(format!("`cache_s` is {}; at most {CACHE_MAX_S}", look.cache_s));
    }
    if look.attributes.is_empty() || look.attributes.len() > ATTRIBUTES_MAX {
        out.push(format!("`attributes` has {}; name 1 to {ATTRIBUTES_MAX}", look.attributes.len()));
    }
    match catalogue.find(look.read.as_str()) {
        None => {
            let hint = did_you_mean(look.read.as_str(), catalogue.iter().map(|(name, _)| name));
            out.push(format!("its `read` `{}` is not in the catalogue{hint}", look.read));
        }
        Some(read) => {
            if read.variants().any(|variant| variant.manifest.effect.changes_something()) {
                out.push(format!("its `read` `{}` may change something; only a read looks", look.read));
            }
            if read.variants().any(|variant| variant.manifest.resource.is_some()) {
                out.push(format!("its `read` `{}` has a `resource` itself; a look-up has none", look.read));
            }
            if read.manifest.connector.is_null() {
                out.push(format!("its `read` `{}` has no `connector`, so nobody here can look", look.read));
            }
            out.extend(of_arguments(look, read));
        }
    }
    for (name, template) in look.arguments {
        match Origin::of(name, template) {
            Err(message) => out.push(message),
            Ok(Origin::Attribute(of, attribute)) => match before.iter().find(|earlier| earlier.name == of) {
                None => out.push(format!(
                    "the argument `{name}` is to come from `{of}`, which is not looked up before it"
                )),
                Some(earlier) if !earlier.attributes.contains_key(attribute) => {
                    let hint = did_you_mean(attribute, earlier.attributes.keys());
                    out.push(format!("the argument `{name}` is to come from `{attribute}`, which `{of}` does not have{hint}"));
                }
                Some(_) => {}
            },
            Ok(Origin::Arguments(at)) => {
                if let Err(hint) = super::actions::leads_somewhere(at, &typed.schema) {
                    out.push(format!(
                        "the argument `{name}` points to `{at}`, which `arguments` does not list{hint}"
                    ));
                }
            }
            Ok(Origin::Constant(_) | Origin::User) => {}
        }
    }
    for (name, attribute) in look.attributes {
        out.extend(of_attribute(name, attribute, look, typed));
    }
    out
}

/// Whether the read takes what it is given, and is given what it needs.
fn of_arguments(look: &Look<'_>, read: &TypedAction) -> Vec<String> {
    let mut out = Vec::new();
    let properties = read.schema.get("properties").and_then(Value::as_object);
    for name in look.arguments.keys().filter(|name| properties.is_none_or(|p| !p.contains_key(*name))) {
        let hint = did_you_mean(name, properties.into_iter().flat_map(|p| p.keys()));
        out.push(format!("`{}` takes no argument `{name}`{hint}", look.read));
    }
    let required = read.schema.get("required").and_then(Value::as_array).into_iter().flatten();
    for name in required.filter_map(Value::as_str) {
        let by_default = read.manifest.args.get(name).is_some_and(|argument| argument.default.is_some());
        if !look.arguments.contains_key(name) && !by_default {
            out.push(format!(
                "`{}` needs `{name}`, which `arguments` of the look-up does not give",
                look.read
            ));
        }
    }
    out
}

fn of_attribute(
    name: &str,
    attribute: &AttributeDeclaration,
    look: &Look<'_>,
    typed: &TypedAction,
) -> Vec<String> {
    let mut out = Vec::new();
    if !is_name(name) {
        out.push(format!("`attributes` has `{name}`, which no rule can say; write letters, digits and `_`"));
    }
    if !attribute.at.is_empty() && !attribute.at.starts_with('/') {
        out.push(format!("`{name}`: `at` must be a JSON pointer such as `/{}`", attribute.at));
    }
    for step in attribute.at.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}')) {
        if let Err(hint) =
            super::actions::leads_somewhere(&crate::define::catalogue::pointer_of(step), &typed.schema)
        {
            out.push(format!(
                "`{name}`: `at` names the argument `{step}`, which `arguments` does not list{hint}"
            ));
        }
    }
    let fitting = match attribute.take {
        Take::Value => true,
        Take::Count => attribute.kind == AttributeKind::Long,
        Take::Names => attribute.kind == AttributeKind::Texts,
        Take::Sum => matches!(attribute.kind, AttributeKind::Long | AttributeKind::Decimal),
        Take::Least | Take::Most => {
            matches!(attribute.kind, AttributeKind::Long | AttributeKind::Decimal | AttributeKind::Time)
        }
    };
    if !fitting {
        out.push(format!(
            "`{name}`: what `take` says is no {}; a count is a long, names are a set of text, a sum is a long or a decimal, \
             and least and most also a time",
            attribute.kind.name()
        ));
    }
    if attribute.kind == AttributeKind::Time && look.attributes.contains_key(&age_of(name)) {
        out.push(format!("`{}` is the age of `{name}` already", age_of(name)));
    }
    match &attribute.zone {
        Some(zone) if offset_s(zone).is_none() => {
            out.push(format!("`{name}`: `zone: {zone}` is none; write `Z` or an offset like `-05:00`"));
        }
        Some(_) if attribute.kind != AttributeKind::Time => {
            out.push(format!("`{name}`: `zone` is for a time"));
        }
        Some(_) | None => {}
    }
    out
}

/// Whether rules can say it as it is.
fn is_name(text: &str) -> bool {
    let first = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    first
        && text.len() <= 64
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !TAKEN.contains(&text)
}
