//! Manifests and rules become one Cedar policy set, checked against the schema, then sliced.

use super::Policies;
use super::Reason;
use super::Slice;
use super::code_arguments;
use super::context::uid;
use super::nesting;
use super::resource;
use super::typing::ArgumentType;
use crate::base::id::{ActionName, AgentId};
use crate::define::catalogue::flow::Class;
use crate::define::catalogue::{self, ActionManifest, Catalogue, Reversibility, TypedAction};
use crate::define::manifest::{AgentManifest, Consent, DATA_OWNERS};
use crate::policy::actions::COUNT_MAX;
use crate::policy::compile;
use crate::policy::own_rule::OwnRule;
use crate::policy::problem::BundleProblem;
use cedar_policy::{
    ActionConstraint, Authorizer, Effect, Entities, Entity, EntityUid, Policy, PolicyId, PolicySet,
    PrincipalConstraint, Schema, ValidationMode, Validator,
};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A file of Cedar rules.
#[derive(Debug)]
pub(crate) struct RuleText<'a> {
    /// Where it came from, for errors and ids.
    pub path: &'a str,
    /// The rules.
    pub text: &'a str,
}

impl Policies {
    /// Compiles everything, or says everything that is wrong.
    pub(crate) fn compile(
        catalogue: &Catalogue,
        agents: &BTreeMap<AgentId, Arc<AgentManifest>>,
        rules: &[RuleText<'_>],
        problems: &mut Vec<BundleProblem>,
    ) -> Option<Self> {
        let types = types(catalogue);
        let schema = match Schema::from_json_value(schema(catalogue, &types)) {
            Ok(schema) => schema,
            Err(e) => {
                problems
                    .push(BundleProblem::error("actions", format!("the policy schema cannot be built: {e}")));
                return None;
            }
        };
        let entities = match schema.action_entities() {
            Ok(entities) => entities,
            Err(e) => {
                problems
                    .push(BundleProblem::error("actions", format!("the policy schema cannot be built: {e}")));
                return None;
            }
        };
        let grouped = match grouped(catalogue) {
            Ok(grouped) => grouped,
            Err(e) => {
                problems.push(BundleProblem::error(
                    "actions",
                    format!("the groups of cases cannot be built: {e}"),
                ));
                return None;
            }
        };
        let validator = Validator::new(schema.clone());
        let written = read_rules(rules, &validator, problems);
        let mut own: BTreeMap<String, OwnRule> = written.iter().map(Rule::told).collect();
        let mut slices = BTreeMap::new();
        for (agent, manifest) in agents {
            // Rules that cannot match the agent are left out once, not once for each action.
            let for_agent: Vec<&Rule> =
                written.iter().filter(|r| may_match_principal(&r.policy, agent)).collect();
            let mut by_action = BTreeMap::new();
            for (name, typed) in catalogue.iter() {
                let mut slices = Vec::new();
                for variant in typed.variants() {
                    let mut policies = generated(manifest, variant, catalogue, problems);
                    // Nothing permits: the answer is `NotAllowed` without asking.
                    if policies.is_empty() {
                        break;
                    }
                    let groups = groups(variant);
                    for rule in for_agent.iter().filter(|rule| may_match_action(&rule.policy, name, &groups))
                    {
                        if !typed.cases.is_empty() && rule.looks_at_action() {
                            let message = format!(
                                "`{}` looks at `action` in a condition, and what `{name}` is differs from case to case; name actions and groups in the head, as in `action in Action::\"effect:pay\"`",
                                rule.reason.id
                            );
                            let problem = BundleProblem::error("rules", message);
                            if !problems.contains(&problem) {
                                problems.push(problem);
                            }
                        }
                        let told = own.get_mut(&rule.reason.id).map(|told| &mut told.pairs);
                        let pair = (agent.clone(), name.clone());
                        // The same action stands there once, however many of its variants it is about.
                        if let Some(pairs) = told.filter(|pairs| pairs.last() != Some(&pair)) {
                            pairs.push(pair);
                        }
                        policies.push((rule.policy.clone(), rule.reason.clone()));
                    }
                    // Where there is nothing to look at, nothing is told apart.
                    let looks: BTreeSet<String> = match variant.manifest.resource {
                        None => BTreeSet::new(),
                        Some(_) => policies
                            .iter()
                            .filter(|(p, _)| looks_at_resource(p))
                            .map(|(_, r)| r.id.clone())
                            .collect(),
                    };
                    let blind =
                        policies.iter().filter(|(_, r)| !looks.contains(&r.id)).map(|(p, _)| p.clone());
                    let blind = set_of(blind).map(|set| variant.manifest.resource.as_ref().map(|_| set));
                    let reasons = policies.iter().map(|(_, r)| (r.id.clone(), r.clone())).collect();
                    let entities = grouped.get(name).and_then(|each| each.get(variant.variant)).cloned();
                    let set = set_of(policies.into_iter().map(|(p, _)| p));
                    match set.and_then(|set| Ok((set, blind?))) {
                        Ok((set, blind)) => slices.push(Slice { set, blind, looks, reasons, entities }),
                        Err(e) => {
                            problems.push(BundleProblem::error(format!("agents ({agent})"), e));
                        }
                    }
                }
                if !slices.is_empty() {
                    by_action.insert(name.clone(), slices);
                }
            }
            slices.insert(agent.clone(), by_action);
        }
        Some(Self { authorizer: Authorizer::new(), entities, schema, slices, types, own })
    }
}

struct Rule {
    policy: Policy,
    reason: Reason,
}

impl Rule {
    /// Whether one of its conditions does.
    fn looks_at_action(&self) -> bool {
        let json = self.policy.to_json().unwrap_or_default();
        json.get("conditions")
            .is_some_and(|conditions| conditions.to_string().contains(r#"{"Var":"action"}"#))
    }

    fn told(&self) -> (String, OwnRule) {
        let (says, text) = (self.reason.text.clone(), self.policy.to_string());
        (self.reason.id.clone(), OwnRule { says, text, pairs: Vec::new() })
    }
}

fn set_of(policies: impl Iterator<Item = Policy>) -> Result<PolicySet, String> {
    PolicySet::from_policies(policies).map_err(|e| e.to_string())
}

/// Whether a condition looks at the thing that the action is about, or at what is related to it.
fn looks_at_resource(policy: &Policy) -> bool {
    let json = policy.to_json().unwrap_or_default();
    let conditions = json.get("conditions").map(Value::to_string).unwrap_or_default();
    conditions.contains(r#"{"Var":"resource"}"#) || conditions.contains(r#""attr":"related""#)
}

fn read_rules(rules: &[RuleText<'_>], validator: &Validator, problems: &mut Vec<BundleProblem>) -> Vec<Rule> {
    let mut all = Vec::new();
    let mut ids = BTreeSet::new();
    for file in rules {
        if let Err(e) = nesting::look(file.text) {
            problems.push(BundleProblem::error(file.path, format!("the rules cannot be read: {e}")));
            continue;
        }
        let set: PolicySet = match file.text.parse() {
            Ok(set) => set,
            Err(e) => {
                problems.push(BundleProblem::error(file.path, format!("the rules cannot be read: {e}")));
                continue;
            }
        };
        if set.templates().next().is_some() {
            problems.push(BundleProblem::error(
                file.path,
                "templates are not supported; write the policy out".to_owned(),
            ));
            continue;
        }
        let result = validator.validate(&set, ValidationMode::Strict);
        for e in result.validation_errors() {
            problems.push(BundleProblem::error(file.path, by_its_name(e.policy_id(), &set, e.to_string())));
        }
        for w in result.validation_warnings() {
            problems.push(BundleProblem::warning(file.path, by_its_name(w.policy_id(), &set, w.to_string())));
        }
        for policy in set.policies() {
            let name = policy.annotation("id").map_or_else(|| policy.id().to_string(), str::to_owned);
            let id = format!("{}#{name}", file.path);
            if !ids.insert(id.clone()) {
                problems.push(BundleProblem::error(file.path, format!("the id `{name}` stands twice")));
                continue;
            }
            if policy.effect() == Effect::Permit {
                // A second way to permit would be a second door beside the manifests.
                problems.push(BundleProblem::warning(
                    file.path,
                    format!("`{name}` has no effect: only an agent's manifest permits, rules forbid"),
                ));
                continue;
            }
            if let Some(reason) = reason_of(policy, &id, file.path, problems) {
                all.push(Rule { policy: policy.new_id(PolicyId::new(id)), reason });
            }
        }
    }
    all
}

/// What Cedar says about a policy, with the name that its author gave it.
fn by_its_name(id: &PolicyId, set: &PolicySet, message: String) -> String {
    match set.policy(id).and_then(|policy| policy.annotation("id")) {
        Some(name) => message.replace(&format!("policy `{id}`"), &format!("policy `{name}`")),
        None => message,
    }
}

fn reason_of(policy: &Policy, id: &str, path: &str, problems: &mut Vec<BundleProblem>) -> Option<Reason> {
    for (key, _) in policy.annotations() {
        if !["id", "reason", "approvers", "count", "expires_s"].contains(&key) {
            problems.push(BundleProblem::error(
                path,
                format!(
                    "`{id}`: unknown annotation `@{key}`; known are @id @reason @approvers @count @expires_s"
                ),
            ));
        }
    }
    let number = |key: &str, default: u64| match policy
        .annotation(key)
        .map(|t| t.parse::<u64>().ok().filter(|n| *n > 0))
    {
        None => Ok(default),
        Some(Some(n)) => Ok(n),
        Some(None) => Err(format!("`{id}`: `@{key}` must be a whole number above 0")),
    };
    let count = number("count", 1).and_then(|n| match u32::try_from(n) {
        Ok(count) if count <= COUNT_MAX => Ok(count),
        _ => Err(format!("`{id}`: `@count` is at most {COUNT_MAX}")),
    });
    match (count, number("expires_s", 3600)) {
        (Ok(count), Ok(expires_s)) => Some(Reason {
            id: id.to_owned(),
            text: policy.annotation("reason").unwrap_or("a rule forbids it").to_owned(),
            approvers: policy.annotation("approvers").into_iter().flat_map(words).collect(),
            count,
            expires_s,
        }),
        (count, expires) => {
            problems.extend(
                [count.err(), expires.err()].into_iter().flatten().map(|e| BundleProblem::error(path, e)),
            );
            None
        }
    }
}

fn words(list: &str) -> impl Iterator<Item = String> + '_ {
    list.split([',', ' ']).filter(|w| !w.is_empty()).map(str::to_owned)
}

/// The policies that a manifest means for one variant of an action.
fn generated(
    manifest: &AgentManifest,
    variant: &TypedAction,
    catalogue: &Catalogue,
    problems: &mut Vec<BundleProblem>,
) -> Vec<(Policy, Reason)> {
    let agent = &manifest.agent_id;
    let action = &variant.manifest.name;
    let name = action.as_str();
    let rule = manifest.context_rules.get(name);
    let blocked = AgentManifest::lists(&manifest.blocked_actions, name);
    let listed = AgentManifest::lists(&manifest.allowed_actions, name) || rule.is_some();
    // What undoes an action that the agent may do may be done, too, but only to undo.
    let undoes = catalogue.iter().any(|(other, typed)| {
        typed.variants().filter_map(|v| v.manifest.compensation.as_ref()).any(|c| c.action == *action)
            && (AgentManifest::lists(&manifest.allowed_actions, other.as_str())
                || manifest.context_rules.contains_key(other.as_str()))
            && !AgentManifest::lists(&manifest.blocked_actions, other.as_str())
    });
    let mut out = Vec::new();
    if !listed && !blocked && !undoes {
        return out;
    }
    let principal = format!("principal == Agent::{}", quote(agent.as_str()));
    let head = format!("{principal}, action == Action::{}, resource", quote(name));
    let mut add = |id: &str, text: String, body: String, approval: Option<(&BTreeSet<String>, u32, u64)>| {
        let id = format!("agents/{agent}/{name}/{id}");
        let (approvers, count, expires_s) =
            approval.map_or((BTreeSet::new(), 1, 3600), |(g, c, e)| (g.clone(), c, e));
        let reason = Reason { id: id.clone(), text, approvers, count, expires_s };
        match Policy::parse(Some(PolicyId::new(&id)), body) {
            Ok(policy) => out.push((policy, reason)),
            Err(e) => {
                problems.push(BundleProblem::error(format!("agents ({agent})"), format!("`{id}`: {e}")))
            }
        }
    };
    if listed {
        add("allowed", format!("`{agent}` may do `{name}`"), format!("permit({head});"), None);
    } else if undoes {
        add(
            "undo",
            format!("`{agent}` may undo with `{name}`"),
            format!("permit({head}) when {{ context.compensating }};"),
            None,
        );
    }
    if blocked {
        add(
            "blocked",
            format!("the manifest of `{agent}` blocks `{name}`"),
            format!("forbid({head});"),
            None,
        );
    }
    let unless = "unless { context.approval.granted }";
    if let Some(rule) = rule {
        let owners = BTreeSet::from([DATA_OWNERS.to_owned()]);
        let (text, groups) = match rule.requires {
            Consent::HumanApproval => (format!("`{name}` requires a person's approval"), &rule.approvers),
            Consent::DataOwnerConsent if rule.approvers.is_empty() => {
                (format!("`{name}` requires the data owner's consent"), &owners)
            }
            Consent::DataOwnerConsent => {
                (format!("`{name}` requires the data owner's consent"), &rule.approvers)
            }
        };
        add(
            "context_rule",
            text,
            format!("forbid({head}) {unless};"),
            Some((groups, rule.count, rule.expires_s)),
        );
    }
    // Undoing is what a person has asked for or agreed to with the original.
    if let Some(rule) = variant.manifest.always_approval() {
        let text = format!("`{name}` always requires approval");
        let body = format!("forbid({head}) {unless};");
        add("always_approval", text, body, Some((&rule.approvers, rule.count, rule.expires_s)));
    }
    out
}

fn quote(text: &str) -> String {
    // Names are ASCII letters, digits and a few signs, so nothing needs escaping; JSON quoting is the same.
    Value::String(text.to_owned()).to_string()
}

/// The groups of actions that rules can name: `Action::"effect:pay"`, `Action::"reversibility:irreversible"`.
/// Calls that no case describes may be any of them, so the entry is in the groups of all.
fn groups(typed: &TypedAction) -> BTreeSet<String> {
    let own = |manifest: &ActionManifest| {
        let (effect, reversibility) = (manifest.effect.name(), manifest.reversibility().name());
        [format!("effect:{effect}"), format!("reversibility:{reversibility}")]
    };
    let cases = typed.cases.iter().flat_map(|case| own(&case.manifest));
    cases.chain(own(&typed.manifest)).collect()
}

/// For each action with cases, or with a resource, the action as each of its variants sees it: in the groups of that variant. A rule names the
/// action in the same way for all of them.
fn grouped(catalogue: &Catalogue) -> Result<BTreeMap<ActionName, Vec<Arc<Entities>>>, String> {
    let mut out = BTreeMap::new();
    for (name, typed) in
        catalogue.iter().filter(|(_, typed)| !typed.cases.is_empty() || typed.manifest.resource.is_some())
    {
        let each = typed.variants().map(|variant| {
            let groups = groups(variant);
            let parents = groups.iter().map(|group| uid("Action", group)).collect::<Result<Vec<_>, _>>()?;
            let bare = parents.iter().cloned().map(|group| Entity::new_no_attrs(group, Default::default()));
            let bare: Vec<Entity> = bare.collect();
            let action = Entity::new_no_attrs(uid("Action", name.as_str())?, parents.into_iter().collect());
            let entities = Entities::from_entities(bare.into_iter().chain([action]), None);
            entities.map(Arc::new).map_err(|e| e.to_string())
        });
        out.insert(name.clone(), each.collect::<Result<_, String>>()?);
    }
    Ok(out)
}

fn types(catalogue: &Catalogue) -> BTreeMap<ActionName, ArgumentType> {
    catalogue.iter().map(|(name, typed)| (name.clone(), ArgumentType::record(&typed.schema))).collect()
}

pub(super) fn schema_of(catalogue: &Catalogue) -> Value {
    schema(catalogue, &types(catalogue))
}

fn schema(catalogue: &Catalogue, types: &BTreeMap<ActionName, ArgumentType>) -> Value {
    // Every group can be named, also before it has a member.
    let effects = catalogue::Effect::ALL.iter().map(|e| format!("effect:{}", e.name()));
    let reversibilities = Reversibility::ALL.iter().map(|r| format!("reversibility:{}", r.name()));
    let mut actions: Map<String, Value> =
        effects.chain(reversibilities).map(|group| (group, json!({}))).collect();
    for (name, typed) in catalogue.iter() {
        // Whatever one of its variants is in; which of them it is, the arguments of a call say.
        let groups = groups(typed);
        let optional = |kind: &str| json!({"type": kind, "required": false});
        let args =
            types.get(name).map_or_else(|| json!({"type": "Record", "attributes": {}}), ArgumentType::schema);
        let mut context = json!({
            "args": args,
            "tenant": {"type": "String"},
            "environment": {"type": "String"},
            "project": optional("String"),
            "user": optional("String"),
            "destinations": {"type": "Set", "element": {"type": "String"}},
            "reaches": {"type": "Set", "element": {"type": "String"}},
            "compensating": {"type": "Boolean"},
            "run": {"type": "Record", "attributes": {
                "untrusted": {"type": "Boolean"}, "private": {"type": "Boolean"}, "calls": {"type": "Long"},
            }},
            "approval": {"type": "Record", "attributes": {"granted": {"type": "Boolean"}}},
        });
        if let Some(context) = context.as_object_mut() {
            // An action with an amount always has one when rules are asked: without it, it is blocked before.
            let amount = || json!({"type": "Extension", "name": "decimal"});
            declare(context, typed, "amount", |v| v.manifest.fields.amount.is_some(), amount());
            declare(
                context,
                typed,
                "unit",
                |v| v.manifest.fields.amount.is_some(),
                json!({"type": "String"}),
            );
            declare(context, typed, "sql", |v| v.roles.has(Class::QuerySql), code_arguments::sql_type());
            declare(
                context,
                typed,
                "command",
                |v| v.roles.has(Class::Command),
                code_arguments::command_type(),
            );
            declare(context, typed, "now", |v| v.manifest.resource.is_some(), json!({"type": "Long"}));
            let has_related =
                |v: &TypedAction| v.manifest.resource.as_ref().is_some_and(|r| !r.related.is_empty());
            if let Some(related) = resource::related_type(typed) {
                declare(context, typed, "related", has_related, related);
            }
            if typed.variants().any(|v| v.manifest.fields.rows.is_some()) {
                context.insert("rows".into(), optional("Long"));
            }
        }
        actions.insert(
            name.to_string(),
            json!({
                "memberOf": groups.iter().map(|g| json!({"id": g})).collect::<Vec<_>>(),
                "appliesTo": {
                    "principalTypes": ["Agent"],
                    "resourceTypes": resource::types_of(typed),
                    "context": {"type": "Record", "attributes": context},
                },
            }),
        );
    }
    let mut kinds = resource::types(catalogue);
    kinds.extend([("Agent".to_owned(), json!({})), ("Resource".to_owned(), json!({}))]);
    json!({"": {"entityTypes": kinds, "actions": actions}})
}

/// Declares what the requests about some variants of an action have: optional, unless all of them have it.
fn declare(
    context: &mut Map<String, Value>,
    typed: &Arc<TypedAction>,
    name: &str,
    has: impl Fn(&TypedAction) -> bool,
    mut what: Value,
) {
    if !typed.variants().any(|variant| has(variant)) {
        return;
    }
    if let Some(what) = what.as_object_mut().filter(|_| !typed.variants().all(|variant| has(variant))) {
        what.insert("required".into(), false.into());
    }
    context.insert(name.into(), what);
}

fn may_match_principal(policy: &Policy, agent: &AgentId) -> bool {
    let is = |uid: &EntityUid| uid.id().unescaped() == agent.as_str();
    match policy.principal_constraint() {
        PrincipalConstraint::Any | PrincipalConstraint::Is(_) => true,
        PrincipalConstraint::Eq(uid) | PrincipalConstraint::In(uid) | PrincipalConstraint::IsIn(_, uid) => {
            is(&uid)
        }
    }
}

fn may_match_action(policy: &Policy, action: &ActionName, groups: &BTreeSet<String>) -> bool {
    let is = |uid: &EntityUid| {
        let id = uid.id().unescaped();
        id == action.as_str() || groups.iter().any(|g| g == id)
    };
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => uid_is(&uid, action),
        ActionConstraint::In(uids) => uids.iter().any(is),
    }
}

fn uid_is(given: &EntityUid, action: &ActionName) -> bool {
    uid("Action", action.as_str()).is_ok_and(|own| own == *given)
}

impl Policies {
    /// The schema of the rules in Cedar's JSON format, for whoever analyses them elsewhere.
    pub fn schema_json(catalogue: &Catalogue) -> Value {
        compile::schema_of(catalogue)
    }
}
