//! A request that speaks against a claim, made whole and judged by all checks.

use super::Against;
use super::ProofOutcome;
use super::Question;
use super::Solver;
use super::only;
use crate::examples;
use crate::situation::AssumedSituation;
use aecl_kernel::base::code::Code;
use aecl_kernel::base::id::{ActionName, BadId, Environment, ProjectId, TenantId, UserId};
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::define::catalogue::TypedAction;
use aecl_kernel::define::isolation::HostIsolation;
use aecl_kernel::define::manifest::AgentManifest;
use aecl_kernel::define::resource::SELF;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::policy::property::Never;
use aecl_kernel::provenance::labels::Labels;
use aecl_kernel::record::decision::{Decision, Verdict};
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A request and its decision.
#[derive(Debug, Clone, Serialize)]
pub struct Case {
    /// The arguments. What rules do not see is filled in from the schema and the examples.
    pub arguments: Value,
    /// For which tenant.
    pub tenant: String,
    /// In which environment.
    pub environment: String,
    /// In which project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// For which user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What the run has read.
    pub labels: Labels,
    /// How many calls it has made.
    pub calls: i64,
    /// It undoes another.
    pub compensating: bool,
    /// A person has agreed.
    pub approved: bool,
    /// What the things are like that it is about.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub resources: BTreeMap<String, Map<String, Value>>,
    /// When, where the age of something matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The decision of all checks on it, without a person's yes. An undo is judged with what it undoes, so that it
    /// has none here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// The headline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// The same in words.
    pub reason: String,
    /// The policies that decided.
    pub policies: Vec<String>,
}

/// Asks, and judges what is found. Of several requests the most ordinary one that speaks against the claim is
/// told.
pub(super) fn settle(
    bundle: &Bundle,
    agent: &AgentManifest,
    typed: &TypedAction,
    question: &dyn Fn(&[Value]) -> Question,
    against: Against<'_>,
    by: String,
    ask: Solver<'_>,
) -> ProofOutcome {
    let judge = |context: &Value| Case::judged(bundle, agent, typed, context).map(|(case, _)| case);
    let speaks = |case: &Case| against(case);
    find(bundle, agent, typed, question, &judge, &speaks, by, ask)
}

/// The same where it is about who has to agree.
#[expect(clippy::too_many_arguments, reason = "as `settle`, and whom the claim names")]
pub(super) fn settle_people(
    bundle: &Bundle,
    agent: &AgentManifest,
    typed: &TypedAction,
    question: &dyn Fn(&[Value]) -> Question,
    against: Against<'_>,
    never: &Never,
    by: String,
    ask: Solver<'_>,
) -> ProofOutcome {
    let fewer = std::cell::Cell::new(false);
    let judge = |context: &Value| {
        let (case, decision) = Case::judged(bundle, agent, typed, context)?;
        let asked = decision.need.iter().flat_map(|need| &need.requirements);
        let enough = asked.into_iter().any(|r| {
            never.people.is_none_or(|people| r.count >= people)
                && (never.of.is_empty() || r.groups.is_subset(&never.of))
        });
        fewer.set(!enough);
        Ok(case)
    };
    let speaks = |case: &Case| against(case) && fewer.get();
    find(bundle, agent, typed, question, &judge, &speaks, by, ask)
}

#[expect(clippy::too_many_arguments, reason = "what both ways to settle have in common")]
fn find(
    bundle: &Bundle,
    agent: &AgentManifest,
    typed: &TypedAction,
    question: &dyn Fn(&[Value]) -> Question,
    judge: &dyn Fn(&Value) -> Result<Case, BadId>,
    speaks: &dyn Fn(&Case) -> bool,
    by: String,
    ask: Solver<'_>,
) -> ProofOutcome {
    let any = match ask(&question(&[])).found() {
        Ok(None) => return ProofOutcome::Proven { by },
        Ok(Some(context)) => context,
        Err(why) => return ProofOutcome::Unknown { why },
    };
    let mut first = None;
    let ordinary = ordinary(bundle, agent, typed, &limits(&question(&[])));
    for narrower in &ordinary {
        let more: Vec<Value> = narrower.iter().filter_map(|condition| only(condition)).collect();
        let Ok(Some(context)) = ask(&question(&more)).found() else { continue };
        if let Ok(case) = judge(&context) {
            if speaks(&case) {
                return ProofOutcome::Refuted { case: Box::new(case) };
            }
            first.get_or_insert(case);
        }
    }
    match (judge(&any), first) {
        (Ok(case), _) if speaks(&case) => ProofOutcome::Refuted { case: Box::new(case) },
        (_, Some(case)) | (Ok(case), None) => ProofOutcome::Unproven { case: Box::new(case) },
        (Err(e), None) => {
            ProofOutcome::Unknown { why: format!("the request that was found makes no sense: {e}") }
        }
    }
}

/// Conditions that make a request an ordinary one, the most ordinary first.
fn ordinary(
    bundle: &Bundle,
    agent: &AgentManifest,
    typed: &TypedAction,
    limits: &[Decimal],
) -> Vec<Vec<String>> {
    let first = |set: Option<String>, usual: &str| set.unwrap_or_else(|| usual.to_owned());
    let environments = agent.scopes.environments.iter();
    let here = &typed.manifest.environments;
    let environment = environments
        .filter(|e| here.is_empty() || here.contains(*e))
        .chain(here)
        .map(ToString::to_string)
        .next();
    let tenant = agent.scopes.tenants.iter().next().map(ToString::to_string);
    let mut who = vec![
        format!("context.tenant == \"{}\"", first(tenant, "default")),
        "!context.compensating".into(),
        "context.run.calls == 0".into(),
    ];
    match agent.scopes.projects.iter().next() {
        Some(project) => who.push(format!("context has project && context.project == \"{project}\"")),
        None => who.push("!(context has project)".into()),
    }
    match agent.on_behalf_of.iter().next() {
        Some(user) => who.push(format!("context has user && context.user == \"{user}\"")),
        None => who.push("!(context has user)".into()),
    }
    // Elsewhere than in production less is at stake, so that less is asked about.
    let scoped = environment.is_some();
    let place = format!("context.environment == \"{}\"", first(environment, "production"));
    let elsewhere = "context.environment == \"staging\"".to_owned();
    let fresh = ["!context.run.untrusted".to_owned(), "!context.run.private".to_owned()];
    let mut known: Vec<Vec<String>> = texts_of_examples(bundle, typed);
    known.push(plain_texts(typed));
    known.push(goes_there(typed));
    if typed.manifest.fields.amount.is_some() {
        // Amounts at the limits that policies name: first whole ones, then with a fraction.
        let one_of = |step: Decimal| {
            let near = limits.iter().flat_map(|limit| [*limit, limit + step, limit - step]);
            let all = near.chain([Decimal::ONE, Decimal::TEN]).filter(|n| n.is_sign_positive());
            let all: Vec<String> = all.map(|n| format!("decimal(\"{:.4}\")", n.normalize())).collect();
            format!("[{}].contains(context.amount)", all.join(", "))
        };
        let steps = [Decimal::ONE, Decimal::new(1, 2)].map(one_of);
        let with = |step: &String| {
            known.iter().map(|k| k.iter().chain([step]).cloned().collect()).collect::<Vec<_>>()
        };
        known = steps.iter().flat_map(with).chain(known.clone()).collect();
    }
    let mut out = Vec::new();
    for arguments in &known {
        out.push(who.iter().chain([&place]).chain(&fresh).chain(arguments).cloned().collect());
    }
    for arguments in &known {
        out.push(who.iter().chain([&place]).chain(arguments).cloned().collect());
    }
    for arguments in known.iter().filter(|_| !scoped) {
        out.push(who.iter().chain([&elsewhere]).chain(&fresh).chain(arguments).cloned().collect());
    }
    out.push(who.clone());
    let undo = "!context.compensating";
    out.push(who.iter().filter(|condition| *condition != undo).chain([&place]).cloned().collect());
    out
}

/// The numbers with which policies compare, as far as they fit.
fn limits(question: &Question) -> Vec<Decimal> {
    fn walk(value: &Value, out: &mut Vec<Decimal>) {
        match value {
            Value::Object(members) => {
                let number = members.get("decimal").and_then(|d| d.pointer("/0/Value"));
                out.extend(number.and_then(aecl_kernel::base::amount::decimal));
                members.values().for_each(|v| walk(v, out));
            }
            Value::Array(items) => items.iter().for_each(|v| walk(v, out)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut out = Vec::new();
    if let Question::Allows { allows, but_not, .. } = question {
        allows.iter().chain(but_not.iter().flatten()).for_each(|policy| walk(policy, &mut out));
    }
    let fits = |n: &Decimal| n.abs() < Decimal::new(900_000_000_000_000, 0) && n.normalize().scale() <= 4;
    out.retain(fits);
    out.sort();
    out.dedup();
    out.truncate(32);
    out
}

/// Texts as the examples of the bundle have them; everything else is left open.
fn texts_of_examples(bundle: &Bundle, typed: &TypedAction) -> Vec<Vec<String>> {
    let mut out: Vec<Vec<String>> = Vec::new();
    let action = &typed.manifest.name;
    let types = aecl_kernel::policy::argument_types(&typed.schema);
    for example in examples::of(bundle).iter().filter(|e| e.action == action.as_str()) {
        let texts = example.arguments.iter().filter_map(|(name, value)| {
            let (kind, needed) = types.get(name.as_str())?;
            let plain = |t: &str| t.chars().all(|c| (' '..='~').contains(&c) && !matches!(c, '"' | '\\'));
            let text = value.as_str().filter(|t| *kind == "text" && plain(t) && plain(name))?;
            let has = if *needed { String::new() } else { format!("context.args has \"{name}\" && ") };
            Some(format!("{has}context.args[\"{name}\"] == \"{text}\""))
        });
        let mut texts: Vec<String> = texts.collect();
        texts.extend(goes_there(typed));
        if !out.contains(&texts) {
            out.push(texts);
        }
    }
    out.truncate(3);
    out
}

/// Texts that their schemas take, and nothing that may be left out.
fn plain_texts(typed: &TypedAction) -> Vec<String> {
    let mut out = goes_there(typed);
    for (name, (kind, needed)) in aecl_kernel::policy::argument_types(&typed.schema) {
        let plain = |t: &str| t.chars().all(|c| (' '..='~').contains(&c) && !matches!(c, '"' | '\\'));
        if !plain(&name) {
            continue;
        }
        if !needed {
            out.push(format!("!(context.args has \"{name}\")"));
            continue;
        }
        let schema = typed.schema.pointer(&format!("/properties/{name}"));
        let is_open =
            |schema: &&Value| kind == "text" && schema.get("enum").or(schema.get("const")).is_none();
        let sample = schema.filter(is_open).and_then(|schema| {
            super::super::residual::choices(typed, &format!("/{name}"), schema).into_iter().next()
        });
        if let Some(text) = sample.as_ref().and_then(Value::as_str).filter(|t| plain(t)) {
            out.push(format!("context.args[\"{name}\"] == \"{text}\""));
        }
    }
    out
}

/// The destination that rules see is the one in the arguments.
fn goes_there(typed: &TypedAction) -> Vec<String> {
    let destination = typed.manifest.fields.destination.as_ref();
    let name = destination.and_then(|field| field.value.strip_prefix('/')).filter(|pointer| {
        let types = aecl_kernel::policy::argument_types(&typed.schema);
        types.get(*pointer) == Some(&("text", true))
    });
    name.map(|name| format!("context.destinations == [context.args[\"{name}\"]]")).into_iter().collect()
}

impl Case {
    /// Makes a request whole and lets all checks judge it.
    pub(super) fn judged(
        bundle: &Bundle,
        agent: &AgentManifest,
        typed: &TypedAction,
        context: &Value,
    ) -> Result<(Self, Decision), BadId> {
        let text = |key: &str| context.get(key).and_then(Value::as_str).map(str::to_owned);
        let flag = |at: &str| context.pointer(at).and_then(Value::as_bool).unwrap_or_default();
        let labels =
            Labels { untrusted: flag("/run/untrusted"), private: flag("/run/private"), ..Labels::default() };
        let arguments = arguments(bundle, typed, context);
        let (tenant, environment) =
            (text("tenant").unwrap_or_default(), text("environment").unwrap_or_default());
        let mut case = Self {
            arguments,
            tenant,
            environment,
            project: text("project"),
            user: text("user"),
            labels,
            calls: context.pointer("/run/calls").and_then(Value::as_i64).unwrap_or_default(),
            compensating: flag("/compensating"),
            approved: flag("/approval/granted"),
            resources: things(typed, context),
            at: context.get("now").and_then(Value::as_i64).map(|s| Timestamp(s.saturating_mul(1000))),
            verdict: None,
            code: None,
            reason: String::new(),
            policies: Vec::new(),
        };
        let (judged, ruling) = case.situation(agent, &typed.manifest.name)?.rule(bundle)?;
        let decision = ruling.decision();
        // What rules do not see may have made it a call of another case, which speaks for and against nothing here.
        let is_one = judged.typed.as_ref().is_some_and(|judged| judged.variant == typed.variant);
        if is_one && !case.compensating {
            case.verdict = Some(decision.verdict);
            case.code = decision.headline;
            case.reason = decision.reason().to_owned();
            case.policies = decision.policies.clone();
        }
        Ok((case, (**decision).clone()))
    }

    /// The same as a situation that any bundle can judge.
    pub(super) fn situation(
        &self,
        agent: &AgentManifest,
        action: &ActionName,
    ) -> Result<AssumedSituation, BadId> {
        Ok(AssumedSituation {
            agent: agent.agent_id.clone(),
            action: action.to_string(),
            arguments: self.arguments.to_string().into_bytes(),
            tenant: TenantId::new(self.tenant.as_str())?,
            project: self.project.as_deref().map(ProjectId::new).transpose()?,
            environment: Environment::new(self.environment.as_str())?,
            user: self.user.as_deref().map(UserId::new).transpose()?,
            labels: self.labels.clone(),
            goal: None,
            // What a host lacks is no promise of the policy.
            cages: HostIsolation::every(),
            resources: self.resources.clone(),
            completes: None,
            at: self.at.unwrap_or_else(|| inside(agent)),
        })
    }
}

/// What the things are like, as the solver has them.
fn things(typed: &TypedAction, context: &Value) -> BTreeMap<String, Map<String, Value>> {
    let plain = |value: &Value| match value.pointer("/__extn/arg") {
        Some(decimal) => decimal.clone(),
        None => value.clone(),
    };
    let looks = typed.manifest.resource.iter().flat_map(|declared| declared.looks());
    let each = looks.filter_map(|look| {
        let thing = match look.name == SELF {
            true => context.get("resource"),
            false => context.pointer(&format!("/related/{}", look.name)),
        };
        let known = look.attributes.keys().filter_map(|name| Some((name.clone(), plain(thing?.get(name)?))));
        thing.map(|_| (look.name.to_owned(), known.collect()))
    });
    each.collect()
}

/// A time at which the agent acts: the hours of a week, from a Monday on.
fn inside(agent: &AgentManifest) -> Timestamp {
    let monday = Timestamp(1_767_571_200_000);
    let hours = agent.hours.as_ref();
    let works = |at: &Timestamp| {
        hours.is_none_or(|hours| {
            let (minute, weekday) = at.minute_and_weekday();
            let day = aecl_kernel::define::manifest::DAYS.get(weekday as usize).copied().unwrap_or_default();
            let on = hours.days.is_empty() || hours.days.contains(day);
            on && hours.minutes().is_ok_and(|(from, to)| {
                if from <= to { (from..to).contains(&minute) } else { minute >= from || minute < to }
            })
        })
    };
    (0..24 * 7 * 4).map(|quarter| monday.plus_s(quarter * 900)).find(works).unwrap_or(monday)
}

/// The arguments of a request: what rules see, and what they do not from schema and examples.
fn arguments(bundle: &Bundle, typed: &TypedAction, context: &Value) -> Value {
    let mut out = context.get("args").map(plain).and_then(|v| v.as_object().cloned()).unwrap_or_default();
    let action = &typed.manifest.name;
    let fields = &typed.manifest.fields;
    if let Some(field) = &fields.amount {
        let amount = context.get("amount").map(plain).unwrap_or_default();
        set(&mut out, typed, &field.value, amount);
        if let Some(at) = &field.unit_at {
            set(&mut out, typed, at, context.get("unit").cloned().unwrap_or_default());
        }
    }
    if let Some(field) = &fields.destination
        && let Some(first) = context.pointer("/destinations/0")
    {
        set(&mut out, typed, &field.value, first.clone());
    }
    let known = examples::of(bundle);
    let required = typed.schema.get("required").and_then(Value::as_array).into_iter().flatten();
    for name in required.filter_map(Value::as_str) {
        if out.contains_key(name) {
            continue;
        }
        let used = known.iter().filter(|e| e.action == action.as_str()).find_map(|e| e.arguments.get(name));
        let schema = typed.schema.pointer(&format!("/properties/{name}"));
        let made = schema.and_then(|schema| {
            super::super::residual::choices(typed, &format!("/{name}"), schema).into_iter().next()
        });
        out.insert(name.to_owned(), used.cloned().or(made).unwrap_or_default());
    }
    Value::Object(out)
}

/// Sets a member of the arguments, as text or number, whichever its schema takes.
fn set(out: &mut Map<String, Value>, typed: &TypedAction, pointer: &str, value: Value) {
    let Some(name) = pointer.strip_prefix('/').filter(|n| !n.contains('/')) else { return };
    let schema = typed.schema.pointer(&format!("/properties/{name}/type"));
    let takes = |kind: &str| {
        schema.is_some_and(|s| {
            s.as_str() == Some(kind) || s.as_array().is_some_and(|a| a.iter().any(|k| k == kind))
        })
    };
    let value = match value {
        Value::Number(n) if takes("string") => json!(n.to_string()),
        other if takes("array") => json!([other]),
        other => other,
    };
    out.insert(name.to_owned(), value);
}

/// A value of Cedar as one of JSON: decimals are numbers again.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            match members.get("__extn").and_then(|e| e.get("arg")).and_then(Value::as_str) {
                Some(number) => {
                    let short = number.trim_end_matches('0').trim_end_matches('.');
                    serde_json::from_str(if short.is_empty() || short == "-" { "0" } else { short })
                        .unwrap_or_default()
                }
                None => members.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
            }
        }
        Value::Array(items) => items.iter().map(plain).collect(),
        other => other.clone(),
    }
}
