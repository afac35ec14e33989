//! What can be wrong with an action beyond its form: a field that points to nothing is never checked, and
//! an entry of a list that is not written as it is compared never matches.

use super::problem::{BundleProblem, Homes, did_you_mean};
use crate::define::catalogue::cases;
use crate::define::catalogue::flow::{Argument, Class, Endorses};
use crate::define::catalogue::{
    ActionManifest, ApprovalRule, Catalogue, DestinationField, DestinationKind, Reversibility, TypedAction,
    nearest, pointer_of,
};
use crate::read::action::destination;
use serde_json::Value;
use std::sync::Arc;

/// Most people that a request can ask for.
pub(crate) const COUNT_MAX: u32 = 64;

/// Most values of one argument that an operator vouches for.
const KNOWN_MAX: usize = 256;

/// Adds an action to the catalogue, or says everything that is wrong with it.
pub(super) fn add(
    path: &str,
    manifest: ActionManifest,
    catalogue: &mut Catalogue,
    problems: &mut Vec<BundleProblem>,
) {
    let name = manifest.name.clone();
    let mut error =
        |message: String| problems.push(BundleProblem::error(path, format!("`{name}`: {message}")));
    if name.as_str().starts_with("effect:") || name.as_str().starts_with("reversibility:") {
        error("names that begin with `effect:` and `reversibility:` are groups of actions".into());
        return;
    }
    let mut wrong = form_problems(&manifest);
    for (i, case) in manifest.cases.iter().enumerate() {
        let its = form_problems(&case.manifest(&manifest));
        // What is wrong with the entry is said once.
        let its: Vec<_> = its.into_iter().filter(|message| !wrong.contains(message)).collect();
        wrong.extend(its.into_iter().map(|message| format!("`cases[{i}]`: {message}")));
    }
    wrong.into_iter().for_each(&mut error);
    match TypedAction::compile(manifest).map(Arc::new) {
        Ok(typed) => {
            let mut wrong = schema_problems(&typed);
            for case in &typed.cases {
                let its = schema_problems(case);
                let its: Vec<_> = its.into_iter().filter(|message| !wrong.contains(message)).collect();
                wrong.extend(its.into_iter().map(|message| format!("{}: {message}", case.called())));
            }
            wrong.extend(when_problems(&typed));
            wrong.extend(cases::problems(&typed));
            wrong.into_iter().for_each(&mut error);
            if let Err(e) = catalogue.add(typed) {
                error(e);
            }
        }
        Err(e) => error(e),
    }
}

/// What is wrong with a manifest before anybody looks at its schema.
fn form_problems(manifest: &ActionManifest) -> Vec<String> {
    let mut out = Vec::new();
    for (what, pointer) in pointers(manifest) {
        if !pointer.starts_with('/') {
            out.push(format!("`{what}` must be a JSON pointer such as `/{pointer}`"));
        }
    }
    if let Some(amount) = &manifest.fields.amount
        && amount.unit.is_some() == amount.unit_at.is_some()
    {
        out.push("`fields.amount` needs either `unit` or `unit_at`".into());
    }
    if !(1..=3_600_000).contains(&manifest.timeout_ms) {
        out.push("`timeout_ms` must be between 1 and 3,600,000".into());
    }
    if let Some(ApprovalRule { count, expires_s, .. }) = manifest.approval
        && (!(1..=COUNT_MAX).contains(&count) || expires_s == 0)
    {
        out.push(format!("`approval` needs a `count` from 1 to {COUNT_MAX} and an `expires_s` above 0"));
    }
    if manifest.unless_proven() && manifest.always_approval().is_some() {
        out.push("`approval` has `unless_proven` and asks always; say `always: false`, or leave `unless_proven` out".into());
    }
    if let Some(cost) = &manifest.cost
        && cost.value.is_sign_negative()
    {
        out.push(format!("the cost {cost} is negative: it would refund the budget that it should use"));
    }
    out.extend(manifest.fields.destination.iter().flat_map(unlike_compared));
    out.extend(flow_problems(manifest));
    out
}

/// What is wrong with a manifest beside its schema: a name that leads nowhere is never looked at.
fn schema_problems(typed: &TypedAction) -> Vec<String> {
    let mut out = Vec::new();
    if typed.manifest.min_tier.is_some() && typed.cage.is_none() {
        out.push("`min_tier` says how a program is held, and only a `process` connector runs one".into());
    }
    let pointers = pointers(&typed.manifest);
    for (what, pointer) in pointers.into_iter().filter(|(_, pointer)| pointer.starts_with('/')) {
        if let Err(hint) = leads_somewhere(pointer, &typed.schema) {
            out.push(format!("`{what}` points to `{pointer}`, which `arguments` does not list{hint}"));
        }
    }
    for name in typed.manifest.args.keys() {
        if let Err(hint) = leads_somewhere(&pointer_of(name), &typed.schema) {
            out.push(format!("`args` names `{name}`, which `arguments` does not list{hint}"));
        }
    }
    out
}

/// What is wrong with the calls that cases say they are for.
fn when_problems(typed: &TypedAction) -> Vec<String> {
    let mut out = Vec::new();
    for (i, case) in typed.manifest.cases.iter().enumerate() {
        for (name, wanted) in &case.when {
            let pointer = pointer_of(name);
            // One entry of a list says nothing about the others.
            let of_list = |step: &str| step == "*" || step == "-" || step.parse::<u64>().is_ok();
            if pointer.split('/').any(of_list) {
                out.push(format!(
                    "`cases[{i}].when` names `{name}`; a case looks at one value, without `*` and not in a list"
                ));
                continue;
            }
            if let Err(hint) = leads_somewhere(&pointer, &typed.schema) {
                out.push(format!("`cases[{i}].when` names `{name}`, which `arguments` does not list{hint}"));
                continue;
            }
            let property = pointer.replace('/', "/properties/");
            let listed = typed.schema.pointer(&property).and_then(|schema| schema.get("enum")?.as_array());
            for value in wanted.values().iter().filter(|value| !value.is_null()) {
                let Some(listed) = listed.filter(|listed| !listed.contains(value)) else { continue };
                let hint = value.as_str().map_or_else(String::new, |text| {
                    did_you_mean(text, listed.iter().filter_map(Value::as_str))
                });
                out.push(format!("`cases[{i}].when`: `{name}` is never {value}{hint}"));
            }
        }
        for (name, _) in case.args.iter().filter(|(_, argument)| argument.default.is_some()) {
            out.push(format!(
                "`cases[{i}].args.{name}` has a `default`; which case a call is, is found with all defaults filled in, so say it in the entry's `args`"
            ));
        }
    }
    out
}

fn pointers(manifest: &ActionManifest) -> Vec<(&'static str, &str)> {
    let fields = &manifest.fields;
    let mut out = Vec::new();
    out.extend(fields.resource.as_deref().map(|p| ("fields.resource", p)));
    out.extend(fields.rows.as_deref().map(|p| ("fields.rows", p)));
    out.extend(fields.tenant.as_deref().map(|p| ("fields.tenant", p)));
    out.extend(fields.destination.as_ref().map(|d| ("fields.destination.value", d.value.as_str())));
    out.extend(fields.amount.as_ref().map(|a| ("fields.amount.value", a.value.as_str())));
    out.extend(
        fields.amount.as_ref().and_then(|a| a.unit_at.as_deref()).map(|p| ("fields.amount.unit_at", p)),
    );
    out
}

/// What is wrong with severity, roles and labels.
fn flow_problems(manifest: &ActionManifest) -> Vec<String> {
    let mut out = Vec::new();
    if let Some(severity) = manifest.severity.filter(|s| *s > 3) {
        out.push(format!("`severity` is {severity}; it goes from 0 to 3"));
    }
    for (name, argument) in &manifest.args {
        let sized = argument.limit.is_some() || !argument.low_value.is_zero();
        if sized && argument.class != Class::Magnitude {
            let class = argument.class.name();
            out.push(format!(
                "`args.{name}`: `low_value` and `limit` are for a `magnitude`; this is a `{class}`"
            ));
        }
        if argument.low_value.is_sign_negative() || argument.limit.is_some_and(|l| l < argument.low_value) {
            out.push(format!("`args.{name}`: `low_value` must be at least 0 and at most `limit`"));
        }
        out.extend(known_problems(name, argument));
    }
    for (i, label) in manifest.outputs.iter().enumerate() {
        if !label.path.is_empty() && !label.path.starts_with('/') {
            out.push(format!(
                "`outputs[{i}].path` must be empty or a JSON pointer such as `/{}`",
                label.path
            ));
        }
        let proves = label.endorses < Endorses::Made;
        if proves && manifest.effect.changes_something() && label.form.is_none() && label.pattern.is_none() {
            out.push(format!(
                "`outputs[{i}]`: what a change answers may repeat what a stranger wrote; with `endorses: {}` it needs a `type` or a `pattern`",
                label.endorses.name()
            ));
        }
    }
    out
}

/// What is wrong with the values that the operator vouches for.
fn known_problems(name: &str, argument: &Argument) -> Vec<String> {
    let mut out = Vec::new();
    if argument.class == Class::Credential && !argument.known.is_empty() {
        out.push(format!(
            "`args.{name}.known` lists values of a `credential`; a secret in a policy is none: leave it out"
        ));
    }
    if argument.known.len() > KNOWN_MAX {
        let many = argument.known.len();
        out.push(format!("`args.{name}.known` lists {many} values; at most {KNOWN_MAX}"));
    }
    let names_one = |value: &&Value| match value {
        Value::String(text) => !text.trim().is_empty(),
        other => other.is_number(),
    };
    if let Some(value) = argument.known.iter().find(|value| !names_one(value)) {
        out.push(format!("`args.{name}.known` lists {value}; it takes numbers and texts that say something"));
    }
    out
}

/// Whether arguments that fit the schema can have something there. What cannot be followed may.
pub(super) fn leads_somewhere(pointer: &str, schema: &Value) -> Result<(), String> {
    let mut here = schema;
    let mut walked = String::new();
    for step in pointer.split('/').skip(1) {
        let follows_others = [
            "$ref",
            "$dynamicRef",
            "allOf",
            "anyOf",
            "oneOf",
            "then",
            "else",
            "dependentSchemas",
            "patternProperties",
            "prefixItems",
            "items",
        ];
        if follows_others.iter().any(|key| here.get(*key).is_some()) {
            return Ok(());
        }
        if step == "*" {
            return Ok(());
        }
        let name = step.replace("~1", "/").replace("~0", "~");
        let properties = here.get("properties").and_then(Value::as_object);
        match properties.and_then(|p| p.get(&name)) {
            Some(next) => here = next,
            None => {
                let scalar = matches!(
                    here.get("type").and_then(Value::as_str),
                    Some("string" | "number" | "integer" | "boolean" | "null")
                );
                let closed = ["additionalProperties", "unevaluatedProperties"]
                    .iter()
                    .any(|k| here.get(*k) == Some(&Value::Bool(false)));
                if !scalar && !closed {
                    return Ok(());
                }
                let near = properties.and_then(|p| nearest(&name, p.keys()));
                return Err(
                    near.map_or_else(String::new, |near| format!("; did you mean `{walked}/{near}`?"))
                );
            }
        }
        walked = format!("{walked}/{step}");
    }
    Ok(())
}

/// Entries of the list that would never match, because destinations are compared in another form.
fn unlike_compared(field: &DestinationField) -> Vec<String> {
    let kind = field.kind;
    let form = match kind {
        DestinationKind::Name => return Vec::new(),
        DestinationKind::Email => "`ann@example.com` or `@example.com`",
        DestinationKind::Host => "`example.com` or `*.example.com`",
        DestinationKind::Url => "`example.com`, `example.com:8443` or `*.example.com`, without the scheme",
    };
    let compared = |entry: &str| match (kind, entry.strip_prefix('@'), entry.strip_prefix("*.")) {
        (DestinationKind::Email, Some(domain), _) => destination(DestinationKind::Host, domain)
            .ok()
            .filter(|d| !d.contains('*'))
            .map(|d| format!("@{d}")),
        (DestinationKind::Host | DestinationKind::Url, _, Some(suffix)) => {
            destination(DestinationKind::Host, suffix)
                .ok()
                .filter(|d| !d.contains('*'))
                .map(|d| format!("*.{d}"))
        }
        (DestinationKind::Url, _, None) if !entry.contains("://") => {
            destination(kind, &format!("https://{entry}")).ok().filter(|d| !d.contains('*'))
        }
        _ => destination(kind, entry).ok().filter(|d| !d.contains('*')),
    };
    let listed = field.allowed.iter().flatten();
    listed
        .filter_map(|entry| match compared(entry) {
            Some(same) if same == *entry => None,
            Some(other) => {
                Some(format!("`{entry}` in `fields.destination.allowed` never matches; write `{other}`"))
            }
            None => Some(format!("`{entry}` in `fields.destination.allowed` never matches; write {form}")),
        })
        .collect()
}

/// Whether every look-up exists, and only looks.
pub(super) fn check_resolvers(catalogue: &Catalogue, homes: &Homes, problems: &mut Vec<BundleProblem>) {
    for (name, typed) in catalogue.iter() {
        let Some(resolver) = &typed.manifest.resolver else { continue };
        let message = match catalogue.find(resolver.as_str()) {
            None => {
                let hint = did_you_mean(resolver.as_str(), catalogue.iter().map(|(name, _)| name));
                format!("`{name}`: its `resolver` `{resolver}` is not in the catalogue{hint}")
            }
            Some(found) if found.manifest.effect.changes_something() => {
                format!("`{name}`: its `resolver` `{resolver}` is no read")
            }
            Some(_) => continue,
        };
        problems.push(BundleProblem::error(homes.action(name), message));
    }
}

/// Whether every compensation exists and can be fed.
pub(super) fn check_compensations(catalogue: &Catalogue, homes: &Homes, problems: &mut Vec<BundleProblem>) {
    for (name, typed) in catalogue.iter() {
        let path = homes.action(name);
        for variant in typed.variants() {
            check_compensation(variant, catalogue, &path, problems);
        }
    }
}

fn check_compensation(
    typed: &TypedAction,
    catalogue: &Catalogue,
    path: &str,
    problems: &mut Vec<BundleProblem>,
) {
    let manifest = &typed.manifest;
    let name = typed.called();
    if let Some(compensation) = &manifest.compensation {
        let action = compensation.action.as_str();
        if catalogue.find(action).is_none() {
            let hint = did_you_mean(action, catalogue.iter().map(|(name, _)| name));
            problems.push(BundleProblem::error(
                path,
                format!("{name}: its compensation `{action}` is not in the catalogue{hint}"),
            ));
        }
        if let Err(e) = compensation.check() {
            problems.push(BundleProblem::error(path, format!("{name}: {e}")));
        }
    } else if manifest.effect.changes_something() && manifest.reversibility() != Reversibility::Reversible {
        let when = match manifest.unless_proven() && manifest.reversibility() == Reversibility::Irreversible {
            true => "waits for a person unless everything that matters is proven",
            false => "always waits for a person",
        };
        problems.push(BundleProblem::warning(path, format!("{name} names no compensation, so it {when}")));
    }
}
