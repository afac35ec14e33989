//! What rules see of an action, as values of Cedar's own. Expressions would mean the same, and to make values of them takes
//! Cedar longer than to evaluate a small policy.

use super::code_arguments;
use super::request::PolicyRequest;
use super::resource;
use super::typing::{ArgumentType, MadeDecimal, long, texts};
use crate::base::evidence;
use crate::base::id::{ActionName, AgentId};
use crate::define::resource::SELF;
use crate::provenance::{proof, spelling};
use crate::read::action::Action;
use crate::record::facts::RunFact;
use cedar_policy::{Entities, Entity, EntityId, EntityTypeName, EntityUid, Request};
use cedar_policy_core::ast::{Context, Value, ValueKind};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

/// An action as policy sees it, whoever is asked about it.
pub(super) struct Situation {
    action: EntityUid,
    resource: EntityUid,
    /// The resource with its attributes, where the action declares it.
    thing: Option<Entity>,
    before_yes: Context,
}

impl Situation {
    /// The action as policy sees it, or why it cannot be asked about.
    pub(super) fn of(
        q: PolicyRequest<'_>,
        types: &BTreeMap<ActionName, ArgumentType>,
    ) -> Result<Self, String> {
        let action = q.action;
        let resource = match resource::declared(q) {
            None => uid("Resource", action.resource.as_deref().unwrap_or("none"))?,
            Some(declared) => {
                let kind = EntityTypeName::from_str(&declared.kind).map_err(|e| e.to_string())?;
                let read = evidence::reading(q.evidence, SELF).map(|reading| reading.id.as_str());
                let id = read.or(action.resource.as_deref()).unwrap_or("none");
                EntityUid::from_type_name_and_id(kind, EntityId::new(id))
            }
        };
        Ok(Self {
            action: uid("Action", &action.name)?,
            thing: resource::entity(q, resource.clone())?,
            resource,
            before_yes: context(q, types)?,
        })
    }

    /// The request to Cedar about one agent, before a person's yes or after it.
    pub(super) fn request(&self, agent: &AgentId, granted: bool) -> Result<Request, String> {
        let context = if granted { self.after_yes() } else { self.before_yes.clone() };
        let agent = uid("Agent", agent.as_str())?;
        Request::new(agent, self.action.clone(), self.resource.clone(), context.into(), None)
            .map_err(|e| format!("the request cannot be built: {e}"))
    }

    /// What Cedar knows of things: the groups of actions, and the resource.
    pub(super) fn entities<'a>(&self, groups: &'a Entities) -> Result<Cow<'a, Entities>, String> {
        let Some(thing) = self.thing.clone() else { return Ok(Cow::Borrowed(groups)) };
        let with = groups.clone().add_entities([thing], None);
        with.map(Cow::Owned).map_err(|e| format!("the resource cannot be shown to rules: {e}"))
    }

    fn after_yes(&self) -> Context {
        match &self.before_yes {
            Context::Value(fields) => {
                let mut fields = fields.as_ref().clone();
                fields.insert("approval".into(), approval(true));
                Context::Value(Arc::new(fields))
            }
            residual @ Context::RestrictedResidual(_) => residual.clone(),
        }
    }
}

fn context(q: PolicyRequest<'_>, types: &BTreeMap<ActionName, ArgumentType>) -> Result<Context, String> {
    let (action, principal) = (q.action, &q.action.principal);
    let mut fields: Vec<(&str, Value)> = Vec::with_capacity(13);
    let amount = action.amount.as_ref().map(|a| MadeDecimal::of(a.value)).transpose()?;
    if let Some(argument_type) = types.get(action.name.as_str()) {
        let arguments = argument_type.value(action.arguments.value(), amount.as_ref())?;
        fields.push(("args", arguments.ok_or("the arguments are no record")?));
    }
    fields.push(("tenant", principal.tenant.as_str().into()));
    fields.push(("environment", principal.environment.as_str().into()));
    fields.extend(principal.project.as_ref().map(|project| ("project", project.as_str().into())));
    fields.extend(principal.user.as_ref().map(|user| ("user", user.as_str().into())));
    if let (Some(made), Some(amount)) = (amount, &action.amount) {
        fields.push(("amount", made.in_cedar));
        fields.push(("unit", amount.unit.as_str().into()));
    }
    fields.extend(action.rows.map(|rows| ("rows", long(rows))));
    fields.push(("destinations", texts(action.destinations.iter().map(String::as_str))));
    fields.push(("reaches", texts(reached(action, q.facts.edition))));
    fields.push(("compensating", action.compensates.is_some().into()));
    if let Some(typed) = &action.typed {
        code_arguments::values(typed, &action.code_arguments, &mut fields);
    }
    if resource::declared(q).is_some() {
        fields.push(("now", q.now.0.div_euclid(1000).into()));
        fields.extend(resource::related(q)?.map(|related| ("related", related)));
    }
    fields.push(("run", run(q.facts.run.as_ref())));
    fields.push(("approval", approval(false)));
    match Value::record(fields, None).value {
        ValueKind::Record(fields) => Ok(Context::Value(fields)),
        _ => Err("the context is no record".into()),
    }
}

fn run(run: Option<&RunFact>) -> Value {
    let fields = [
        ("untrusted", Value::from(run.is_some_and(|r| r.labels.untrusted))),
        ("private", run.is_some_and(|r| r.labels.private).into()),
        ("calls", long(run.map_or(0, |r| r.calls))),
    ];
    Value::record(fields, None)
}

fn approval(granted: bool) -> Value {
    Value::record([("granted", granted)], None)
}

/// Where an action goes, by the arguments that are destinations or lead outside, each in the form in which allowances
/// count it: a rule that names one account means it however it is written.
fn reached(action: &Action, edition: u32) -> impl Iterator<Item = String> {
    let leaves = action.typed.as_deref().map(|typed| proof::judged(action, typed, edition));
    let to = leaves.into_iter().flatten().filter(|leaf| leaf.class.is_destination());
    to.filter_map(|leaf| spelling::counted(leaf.class, leaf.value))
}

/// A name in Cedar.
pub(super) fn uid(kind: &str, id: &str) -> Result<EntityUid, String> {
    // Reading the name of a type is as much work as evaluating a small policy, and there are three of them.
    static KINDS: LazyLock<[(&str, Option<EntityTypeName>); 3]> = LazyLock::new(|| {
        ["Agent", "Action", "Resource"].map(|kind| (kind, EntityTypeName::from_str(kind).ok()))
    });
    let known = KINDS.iter().find(|(name, _)| *name == kind).and_then(|(_, name)| name.clone());
    let kind = known.ok_or_else(|| format!("`{kind}` is no type of the schema"))?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::{Environment, RunId, TenantId};
    use crate::base::json::Limits;
    use crate::base::principal::Principal;
    use crate::base::time::Timestamp;
    use crate::policy::bundle::Bundle;
    use crate::policy::problem::Source;
    use crate::read::action::{Credential, Mode, Proposal};
    use crate::record::facts::Facts;
    use proptest::prelude::*;
    use serde_json::json;
    use std::sync::LazyLock;

    static BUNDLE: LazyLock<Bundle> = LazyLock::new(|| {
        let actions = json!([{
            "name": "do", "effect": "pay", "reversibility": "reversible", "description": "Does it all",
            "arguments": {"type": "object", "required": ["amount", "sure", "to"], "properties": {
                "amount": {"type": "number", "multipleOf": 0.01}, "sure": {"type": "boolean"},
                "to": {"type": "string"}, "note": {"type": ["string", "null"]}, "count": {"type": "integer"},
                "tags": {"type": "array", "items": {"type": "string"}},
                "rates": {"type": "array", "items": {"type": "number", "multipleOf": 0.0001}},
                "deep": {"type": "object", "properties": {
                    "n": {"type": "integer"}, "flags": {"type": "array", "items": {"type": "boolean"}}}},
                "sql": {"type": "string"}, "line": {"type": "string"}}},
            "args": {"to": {"class": "dest_account"}, "sql": {"class": "query_sql"}, "line": {"class": "command"}},
            "fields": {"amount": {"value": "/amount", "unit": "EUR"}, "resource": "/to"},
        }]);
        let agent = json!({"agent_id": "a", "allowed_actions": ["do"]});
        let source = |path: &str, text: String| Source { path: path.into(), text };
        let sources =
            vec![source("actions/all.json", actions.to_string()), source("agents/a.json", agent.to_string())];
        Bundle::assemble(sources).unwrap_or_else(|problems| panic!("{problems:#?}")).bundle
    });

    fn action(arguments: &serde_json::Value) -> Action {
        let (agent, run) = (AgentId::new("a").unwrap(), RunId::new("run_1").unwrap());
        let principal = Principal {
            agent: agent.clone(),
            user: None,
            tenant: TenantId::new("acme").unwrap(),
            project: None,
            environment: Environment::new("test").unwrap(),
            run: run.clone(),
        };
        let proposal = Proposal {
            principal,
            credential: Credential { id: "tok".into(), run, agent, expires_at: Timestamp(1) },
            name: "do".into(),
            arguments: arguments.to_string().into_bytes(),
            mode: Mode::Execute,
            idempotency_key: None,
            offered: None,
            compensates: None,
            resume: false,
        };
        Action::parse(proposal, BUNDLE.catalogue(), &Limits::default())
    }

    fn arguments() -> impl Strategy<Value = serde_json::Value> {
        let cents = -100_000_000i64..100_000_000;
        let texts = proptest::collection::vec(".{0,6}", 0..5);
        let rates = proptest::collection::vec(0u32..100_000, 0..4);
        let deep = proptest::option::of((any::<i64>(), proptest::collection::vec(any::<bool>(), 0..4)));
        let code = proptest::option::of(prop_oneof![
            "SELECT a FROM [a-d]; DELETE FROM t",
            "ls -l | sort",
            ".{0,20}"
        ]);
        (cents, any::<bool>(), ".{0,12}", proptest::option::of(".{0,12}"), texts, rates, deep, code).prop_map(
            |(cents, sure, to, note, tags, rates, deep, code)| {
                let rates: Vec<f64> = rates.iter().map(|rate| f64::from(*rate) / 10_000.0).collect();
                let mut all = json!({
                    "amount": cents as f64 / 100.0, "sure": sure, "to": to, "note": note, "tags": tags, "rates": rates,
                });
                if let Some((n, flags)) = deep {
                    all["count"] = json!(n / 2);
                    all["deep"] = json!({"n": n, "flags": flags});
                }
                if let Some(code) = code {
                    all["sql"] = json!(code);
                    all["line"] = json!(code);
                }
                all
            },
        )
    }

    proptest! {
        #[test]
        fn what_rules_see_is_what_cedar_would_make_of_it(arguments in arguments()) {
            let action = action(&arguments);
            prop_assume!(action.problems.is_empty());
            let facts = Facts::default();
            let situation = Situation::of(PolicyRequest { action: &action, facts: &facts, evidence: &[], now: Timestamp(0) }, &BUNDLE.policies().types).unwrap();
            for granted in [false, true] {
                let request = situation.request(&action.principal.agent, granted).unwrap();
                let context = request.context().unwrap();
                // Cedar's own reader makes the same values of the same text,
                let json = context.to_json_value().unwrap();
                prop_assert_eq!(&json["approval"]["granted"], &json!(granted));
                let read = cedar_policy::Context::from_json_value(json, None).unwrap();
                prop_assert_eq!(&read, context);
                // and they are of the types that rules were checked against.
                let schema = Some(BUNDLE.policies().schema());
                let (principal, action, resource) = (request.principal(), request.action(), request.resource());
                let asked = (principal.cloned().unwrap(), action.cloned().unwrap(), resource.cloned().unwrap());
                let checked = Request::new(asked.0, asked.1, asked.2, context.clone(), schema);
                prop_assert!(checked.is_ok(), "{:?}", checked.err());
            }
        }
    }
}
