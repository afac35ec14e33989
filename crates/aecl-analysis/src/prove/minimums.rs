//! What other checks say about every request alike, as policies: what an argument may be, where an agent may
//! act, what it may spend in one call, what always asks. Each says which check it stands for, and must never
//! say more than that check does: a proof rests on it.

use super::only;
use aecl_kernel::define::catalogue::cases::CallCase;
use aecl_kernel::define::catalogue::{Reversibility, TypedAction};
use aecl_kernel::define::manifest::AgentManifest;
use aecl_kernel::define::resource::{AttributeKind, DECIMAL_MAX, SELF, TIME_MAX_S};
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::read::resource::age_of;
use rust_decimal::Decimal;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

/// A condition that every request meets which is not blocked, or not asked about.
#[derive(Debug)]
pub(super) struct Minimum {
    /// The check that sees to it.
    pub check: &'static str,
    /// It asks for a person; otherwise it blocks.
    pub asks: bool,
    /// In Cedar.
    pub condition: String,
}

impl Minimum {
    pub(super) fn policy(&self) -> Option<Value> {
        only(&self.condition)
    }
}

pub(super) fn of(agent: &AgentManifest, typed: &TypedAction, bundle: &Bundle) -> Vec<Minimum> {
    let mut out = Vec::new();
    let mut block = |check, condition: String| out.push(Minimum { check, asks: false, condition });
    // Names are never empty.
    for name in ["tenant", "environment"] {
        block("arguments", format!("context.{name} != \"\""));
    }
    for name in ["project", "user"] {
        block("arguments", format!("if context has {name} then context.{name} != \"\" else true"));
    }
    for condition in calls(typed, bundle) {
        block("arguments", condition);
    }
    for condition in readings(typed) {
        block("resource", condition);
    }
    arguments(typed, &mut block);
    places(agent, typed, &mut block);
    spending(agent, typed, &mut block);
    if typed.manifest.uses_credentials() && typed.manifest.credential_scope != agent.credential_scope {
        block("scope", "false".into());
    }
    let manifest = &typed.manifest;
    let undoes =
        |other: &TypedAction| other.manifest.compensation.as_ref().is_some_and(|c| c.action == manifest.name);
    if !bundle.catalogue().iter().flat_map(|(_, other)| other.variants()).any(|other| undoes(other)) {
        block("reversibility", "!context.compensating".into());
    }
    // What completes another call is no way around these: it answers what `unless_proven` asks, and nothing that always asks.
    let asks = match (manifest.reversibility(), &manifest.compensation) {
        (Reversibility::Irreversible, _) => !manifest.unless_proven(),
        (Reversibility::Compensatable, None) => true,
        (Reversibility::Compensatable | Reversibility::Reversible, _) => false,
    };
    if asks && manifest.effect.changes_something() {
        let condition = "context.compensating || context.approval.granted".into();
        out.push(Minimum { check: "reversibility", asks: true, condition });
    }
    // A condition that does not fit takes part in nothing, which makes proofs harder and none wrong.
    out.retain(|floor| bundle.policies().condition(&typed.manifest.name, &floor.condition).is_ok());
    out
}

/// What a reading may be: moments and decimals within limits, and an age that is the time less the moment.
fn readings(typed: &TypedAction) -> Vec<String> {
    let mut out = Vec::new();
    for look in typed.manifest.resource.iter().flat_map(|declared| declared.looks()) {
        let thing = match look.name == SELF {
            true => SELF.to_owned(),
            false => format!("context.related.{}", look.name),
        };
        for (name, attribute) in look.attributes {
            let (at, age) = (format!("{thing}.{name}"), age_of(name));
            let (always, absent) = match attribute.kind {
                AttributeKind::Time => (
                    format!(
                        "{at} > -{TIME_MAX_S} && {at} < {TIME_MAX_S} && context.now > 0 && context.now < {TIME_MAX_S} \
                         && {thing}.{age} == context.now - {at}"
                    ),
                    format!("!({thing} has {age})"),
                ),
                AttributeKind::Decimal => {
                    let most = format!("decimal(\"{DECIMAL_MAX}.0\")");
                    let least = format!("decimal(\"-{DECIMAL_MAX}.0\")");
                    (format!("{at}.lessThan({most}) && {at}.greaterThan({least})"), "true".to_owned())
                }
                AttributeKind::Text
                | AttributeKind::Long
                | AttributeKind::Bool
                | AttributeKind::Texts
                | AttributeKind::Longs => continue,
            };
            let has_age = match attribute.kind == AttributeKind::Time {
                true => format!("{thing} has {age} && "),
                false => String::new(),
            };
            out.push(match attribute.optional {
                true => format!("if {thing} has {name} then {has_age}{always} else {absent}"),
                false => always,
            });
        }
    }
    out
}

/// Which calls a variant of an action is for: those that its case describes and no case before it. What Cedar does not see
/// says nothing here.
pub(super) fn calls(typed: &TypedAction, bundle: &Bundle) -> Vec<String> {
    let Some(entry) = bundle.catalogue().find(typed.manifest.name.as_str()) else { return Vec::new() };
    let types = aecl_kernel::policy::argument_types(&typed.schema);
    let each = entry.manifest.cases.iter().map(|case| described(case, &types)).collect::<Vec<_>>();
    let (before, own) = match typed.variant.checked_sub(1) {
        Some(case) => (each.get(..case).unwrap_or_default(), each.get(case)),
        None => (each.as_slice(), None),
    };
    // Half of a condition would take away too much where it is denied, and too little is what it may be otherwise.
    let not = before.iter().filter(|case| case.whole).map(|case| format!("!({})", case.condition));
    not.chain(own.into_iter().map(|case| case.condition.clone())).collect()
}

/// What a case says of the arguments, as far as Cedar sees them.
struct Described {
    condition: String,
    /// It is all that the case says.
    whole: bool,
}

fn described(case: &CallCase, types: &BTreeMap<String, (&'static str, bool)>) -> Described {
    let one = |name: &str, wanted: &[Value]| {
        let name = CallCase::argument(name)?;
        let ((kind, needed), quoted) = (types.get(&name)?, text(&name)?);
        let path = format!("context.args[{quoted}]");
        let written = |value: &Value| match (*kind, value) {
            ("text", Value::String(value)) => text(value),
            ("long", Value::Number(n)) => n.as_i64().map(|n| format!("({n})")),
            ("bool", Value::Bool(value)) => Some(value.to_string()),
            _ => None,
        };
        let (missing, there): (Vec<_>, Vec<_>) = wanted.iter().partition(|value| value.is_null());
        let there = there.into_iter().map(written).collect::<Option<Vec<_>>>()?;
        let is_one = match there.is_empty() {
            true => "false".to_owned(),
            false => format!("[{}].contains({path})", there.join(", ")),
        };
        Some(match *needed {
            true => is_one,
            false => {
                format!("(if context.args has {quoted} then {is_one} else {})", !missing.is_empty())
            }
        })
    };
    let all: Vec<_> = case.when.iter().map(|(name, wanted)| one(name, wanted.values())).collect();
    let whole = all.iter().all(Option::is_some);
    let all: Vec<String> = all.into_iter().flatten().collect();
    Described { condition: if all.is_empty() { "true".into() } else { all.join(" && ") }, whole }
}

/// Single steps of the arguments whose values Cedar sees.
fn arguments(typed: &TypedAction, block: &mut dyn FnMut(&'static str, String)) {
    let required: BTreeSet<&str> = typed
        .schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let types = aecl_kernel::policy::argument_types(&typed.schema);
    for (name, schema) in typed.schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let Some((kind, needed)) = types.get(name.as_str()) else { continue };
        let Some(quoted) = text(name) else { continue };
        let path = format!("context.args[{quoted}]");
        for condition in values(&path, kind, schema) {
            let needed = *needed && required.contains(name.as_str());
            let condition = if needed {
                condition
            } else {
                format!("if context.args has {quoted} then {condition} else true")
            };
            block("arguments", condition);
        }
    }
    let fields = &typed.manifest.fields;
    if let Some(field) = &fields.amount {
        block("arguments", r#"context.amount.greaterThanOrEqual(decimal("0.0"))"#.into());
        let listed = field
            .unit_at
            .as_deref()
            .and_then(|at| listed(typed.schema.pointer(&format!("/properties{at}"))?));
        let units: Option<Vec<String>> = match (&field.unit, listed) {
            (Some(unit), _) => Some(vec![unit.clone()]),
            (None, Some(units)) => Some(units.iter().map(|u| u.to_ascii_uppercase()).collect()),
            (None, None) => None,
        };
        block("arguments", units.and_then(|u| one_of("context.unit", u)).unwrap_or_else(|| "true".into()));
        // A number that Cedar sees is the amount itself.
        let name = field.value.strip_prefix('/').filter(|n| !n.contains('/'));
        if let Some((name, quoted)) = name.and_then(|n| Some((n, text(n)?)))
            && types.get(name) == Some(&("decimal", true))
        {
            block("arguments", format!("context.amount == context.args[{quoted}]"));
        }
    }
    if fields.rows.is_some() {
        block("arguments", "if context has rows then context.rows >= 0 else true".into());
    }
    block("arguments", "context.run.calls >= 0".into());
}

/// What a schema says about one value.
fn values(path: &str, kind: &str, schema: &Value) -> Vec<String> {
    let bound = |key: &str| schema.get(key).and_then(aecl_kernel::base::amount::decimal);
    let mut out = Vec::new();
    match kind {
        "text" => {
            out.extend(listed(schema).and_then(|all| one_of(path, all)));
            if schema.get("minLength").and_then(Value::as_u64).is_some_and(|least| least > 0) {
                out.push(format!("{path} != \"\""));
            }
        }
        "long" => {
            for (key, sign) in
                [("minimum", ">="), ("maximum", "<="), ("exclusiveMinimum", ">"), ("exclusiveMaximum", "<")]
            {
                let whole = bound(key).filter(|n| n.fract().is_zero()).and_then(|n| i64::try_from(n).ok());
                out.extend(whole.map(|n| format!("{path} {sign} ({n})")));
            }
        }
        "decimal" => {
            for (key, method) in [
                ("minimum", "greaterThanOrEqual"),
                ("maximum", "lessThanOrEqual"),
                ("exclusiveMinimum", "greaterThan"),
                ("exclusiveMaximum", "lessThan"),
            ] {
                out.extend(bound(key).and_then(decimal).map(|n| format!("{path}.{method}({n})")));
            }
        }
        _ => {}
    }
    out
}

/// The texts that a schema lists.
fn listed(schema: &Value) -> Option<Vec<String>> {
    let all = match (schema.get("const"), schema.get("enum").and_then(Value::as_array)) {
        (Some(constant), _) => std::slice::from_ref(constant),
        (None, Some(all)) => all.as_slice(),
        (None, None) => return None,
    };
    // `null` is the same as absent, which the caller allows for.
    let texts = all.iter().filter(|v| !v.is_null());
    texts.map(|v| v.as_str().map(str::to_owned)).collect()
}

/// Where an agent may act.
fn places(agent: &AgentManifest, typed: &TypedAction, block: &mut dyn FnMut(&'static str, String)) {
    let scopes = &agent.scopes;
    for list in [&scopes.environments, &typed.manifest.environments].into_iter().filter(|l| !l.is_empty()) {
        if let Some(condition) = one_of("context.environment", list) {
            block("environment", condition);
        }
    }
    if !scopes.tenants.is_empty()
        && let Some(condition) = one_of("context.tenant", &scopes.tenants)
    {
        block("scope", condition);
    }
    if !scopes.projects.is_empty()
        && let Some(condition) = one_of("context.project", &scopes.projects)
    {
        block("scope", format!("context has project && {condition}"));
    }
    if !agent.on_behalf_of.is_empty()
        && let Some(condition) = one_of("context.user", &agent.on_behalf_of)
    {
        block("scope", format!("context has user && {condition}"));
    }
    let allowed = typed.manifest.fields.destination.as_ref().and_then(|d| d.allowed.as_ref());
    // A list with patterns, and an empty one, have no short form here.
    if let Some(allowed) = allowed.filter(|a| !a.iter().any(|e| e.starts_with(['*', '@'])))
        && let Some(list) = set(allowed)
    {
        block("destination", format!("{list}.containsAll(context.destinations)"));
    }
}

/// What one call may cost. An undo is never starved by a budget.
fn spending(agent: &AgentManifest, typed: &TypedAction, block: &mut dyn FnMut(&'static str, String)) {
    if let Some(most) = agent.max_tool_calls_per_run.and_then(|most| i64::try_from(most).ok()) {
        block("budget", format!("context.compensating || context.run.calls < {most}"));
    }
    if typed.manifest.fields.amount.is_none() {
        return;
    }
    let applies = |b: &&aecl_kernel::define::manifest::Budget| {
        aecl_kernel::define::manifest::applies(&b.actions, typed.manifest.name.as_str())
    };
    let money = |unit: &str| !matches!(unit, "calls" | "rows" | "bytes" | "recipients");
    let budgets: Vec<_> = agent.budgets.iter().filter(applies).filter(|b| money(&b.unit)).collect();
    if let Some(condition) = one_of("context.unit", budgets.iter().map(|b| &b.unit)) {
        block("budget", format!("context.compensating || {condition}"));
    }
    for budget in budgets {
        if let (Some(unit), Some(limit)) = (text(&budget.unit), decimal(budget.limit)) {
            block(
                "budget",
                format!(
                    "context.compensating || context.unit != {unit} || context.amount.lessThanOrEqual({limit})"
                ),
            );
        }
    }
}

/// A text as Cedar writes it, if it needs no escapes.
fn text(plain: &str) -> Option<String> {
    let simple = plain.chars().all(|c| (' '..='~').contains(&c) && !matches!(c, '"' | '\\'));
    simple.then(|| format!("\"{plain}\""))
}

/// A set of texts, if it has any.
fn set<T: Display>(all: impl IntoIterator<Item = T>) -> Option<String> {
    let all: Vec<String> = all.into_iter().map(|one| text(&one.to_string())).collect::<Option<_>>()?;
    (!all.is_empty()).then(|| format!("[{}]", all.join(", ")))
}

/// That a value is one of these.
fn one_of<T: Display>(path: &str, all: impl IntoIterator<Item = T>) -> Option<String> {
    set(all).map(|set| format!("{set}.contains({path})"))
}

/// A number as Cedar's decimal, if it has the digits for it.
fn decimal(n: Decimal) -> Option<String> {
    let n = n.normalize();
    let fits = n.scale() <= 4 && n.abs() < Decimal::new(922_337_203_685_477, 0);
    fits.then(|| format!("decimal(\"{n:.4}\")"))
}
