//! Policy: manifests and rules as Cedar, typed against the catalogue, sliced by agent and action.
//!
//! "Needs approval" is not a third answer. The request is asked with `context.approval.granted` false; if
//! that is refused it is asked once more with true, and what only the second allows needs a person.
//! Slicing happens when a bundle loads, so a decision costs the same with ten rules and ten thousand.

mod actions;
pub mod bundle;
mod code_arguments;
pub(crate) mod compile;
mod completions;
pub mod context;
pub mod example;
mod manifests;
mod nesting;
pub mod own_rule;
mod people;
pub mod problem;
pub mod property;
pub mod request;
mod resource;
mod resource_problems;
mod typing;

use crate::base::id::{ActionName, AgentId};
use crate::policy::context::Situation;
use crate::policy::own_rule::OwnRule;
use crate::policy::request::PolicyRequest;
use crate::policy::resource::Known;
use crate::read::action::Action;
use cedar_policy::{
    AuthorizationError, Authorizer, Decision, Effect, Entities, Policy, PolicySet, Schema, ValidationMode,
    Validator,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::Arc;
use typing::ArgumentType;

/// Most operators of a rule that is looked through for lints.
const SHORT_OPERATORS_MAX: usize = 200;

/// Reason of a policy to forbid, or to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The policy.
    pub id: String,
    /// In words.
    pub text: String,
    /// Groups whose members may agree; empty means the agent's own.
    pub approvers: BTreeSet<String>,
    /// How many distinct people.
    pub count: u32,
    /// Seconds until the request expires.
    pub expires_s: u64,
}

/// Answer of policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyAnswer {
    /// Something permits and nothing forbids.
    Allow,
    /// Nothing permits.
    NotAllowed,
    /// Something forbids, whoever agrees.
    Forbid(Vec<Reason>),
    /// Allowed once people have agreed.
    NeedsApproval(Vec<Reason>),
    /// It could not be evaluated, so it is a no.
    Error(String),
}

/// A policy, for whoever analyses it.
#[derive(Debug, Clone)]
pub struct PolicyView {
    /// In Cedar's JSON.
    pub json: Value,
    /// What it asks for.
    pub reason: Reason,
    /// It says something else once somebody has agreed.
    pub asks: bool,
    /// It forbids; otherwise it permits.
    pub forbids: bool,
}

/// The arguments of a schema that rules see: `text`, `long`, `decimal` or another kind, and whether they are
/// always there.
pub fn argument_types(schema: &Value) -> BTreeMap<String, (&'static str, bool)> {
    let ArgumentType::Record(fields) = ArgumentType::record(schema) else { return BTreeMap::new() };
    fields.into_iter().map(|(name, (kind, always))| (name, (kind.word(), always))).collect()
}

/// The policies that can matter for one agent and one variant of an action.
struct Slice {
    set: PolicySet,
    /// Those that do not look at the thing that the action is about, where it declares one.
    blind: Option<PolicySet>,
    /// Those that do.
    looks: BTreeSet<String>,
    reasons: BTreeMap<String, Reason>,
    /// The action in the groups of this variant, where it has several.
    entities: Option<Arc<Entities>>,
}

/// All policies of a bundle.
pub struct Policies {
    authorizer: Authorizer,
    entities: Entities,
    schema: Schema,
    /// By agent and action; for each of its variants one.
    slices: BTreeMap<AgentId, BTreeMap<ActionName, Vec<Slice>>>,
    types: BTreeMap<ActionName, ArgumentType>,
    own: BTreeMap<String, OwnRule>,
}

impl std::fmt::Debug for Policies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Policies({} agents)", self.slices.len())
    }
}

impl Policies {
    /// The schema that rules are checked against: one action for each in the catalogue, with typed arguments.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// How many policies can matter for this agent and a variant of this action.
    pub fn slice_len(&self, agent: &AgentId, action: &str, variant: usize) -> usize {
        self.slice(agent, action, variant).map_or(0, |s| s.set.policies().count())
    }

    /// The rules that people wrote, by id, with the agents and actions for which each can matter.
    pub fn own_rules(&self) -> &BTreeMap<String, OwnRule> {
        &self.own
    }

    /// The policies that manifests became: agent, action, id, and what it says.
    pub fn generated(&self) -> impl Iterator<Item = (&AgentId, &ActionName, &str, &str)> {
        self.slices.iter().flat_map(|(agent, actions)| {
            actions.iter().flat_map(move |(action, slices)| {
                let reasons = slices.iter().flat_map(|slice| slice.reasons.values());
                let made = reasons.filter(|r| r.id.starts_with("agents/")).map(|r| (&r.id, &r.text));
                let once: BTreeMap<_, _> = made.collect();
                once.into_iter().map(move |(id, text)| (agent, action, id.as_str(), text.as_str()))
            })
        })
    }

    /// The policies that can matter for this agent and a variant of this action, for whoever analyses them elsewhere.
    pub fn of(&self, agent: &AgentId, action: &str, variant: usize) -> Vec<PolicyView> {
        let Some(slice) = self.slice(agent, action, variant) else { return Vec::new() };
        let told = |policy: &Policy| {
            let mut json = policy.to_json().ok()?;
            // In which groups it is differs from variant to variant; that the policy is about this one is known.
            if let Some(members) = json.as_object_mut().filter(|_| slice.entities.is_some()) {
                members.insert("action".into(), json!({"op": "All"}));
            }
            let id: &str = policy.id().as_ref();
            Some(PolicyView {
                reason: slice.reasons.get(id)?.clone(),
                asks: json.to_string().contains(r#""attr":"granted""#),
                forbids: policy.effect() == Effect::Forbid,
                json,
            })
        };
        slice.set.policies().filter_map(told).collect()
    }

    /// One policy, written in Cedar, as Cedar's JSON; or why it is none.
    pub fn json(text: &str) -> Result<Value, String> {
        nesting::look(text)?;
        let policy = Policy::parse(None, text).map_err(|e| e.to_string())?;
        policy.to_json().map_err(|e| e.to_string())
    }

    /// The same for a rule with few operators. Cedar makes the JSON by calling itself for each, with some kilobytes of the
    /// stack.
    pub fn json_of_short(text: &str) -> Result<Value, String> {
        nesting::look_for(text, SHORT_OPERATORS_MAX)?;
        Self::json(text)
    }

    /// Says whether a condition can be asked about requests for an action.
    pub fn condition(&self, action: &ActionName, condition: &str) -> Result<(), String> {
        nesting::look(condition)?;
        let name = Value::String(action.to_string());
        let text = format!("forbid(principal, action == Action::{name}, resource) unless {{ {condition} }};");
        let set = PolicySet::from_str(&text).map_err(|e| e.to_string())?;
        if set.policies().count() != 1 {
            return Err("it is more than one condition".into());
        }
        let result = Validator::new(self.schema.clone()).validate(&set, ValidationMode::Strict);
        result.validation_errors().next().map_or(Ok(()), |e| Err(e.to_string()))
    }

    fn slice(&self, agent: &AgentId, action: &str, variant: usize) -> Option<&Slice> {
        self.slices.get(agent)?.get(action)?.get(variant)
    }

    fn slice_of(&self, agent: &AgentId, action: &Action) -> Option<&Slice> {
        self.slice(agent, &action.name, action.typed.as_ref().map_or(0, |typed| typed.variant))
    }

    fn entities<'a>(&'a self, slice: &'a Slice) -> &'a Entities {
        slice.entities.as_deref().unwrap_or(&self.entities)
    }

    /// Asks about an action that was understood. Also gives the ids of the policies that decided.
    /// `agent` is the principal's, or that of a run it was delegated from.
    pub fn ask(&self, q: PolicyRequest<'_>, agent: &AgentId) -> (PolicyAnswer, Vec<String>) {
        let Some(slice) = self.slice_of(agent, q.action) else {
            return (PolicyAnswer::NotAllowed, Vec::new());
        };
        let situation = match Situation::of(q, &self.types) {
            Ok(situation) => situation,
            Err(message) => return (PolicyAnswer::Error(message), Vec::new()),
        };
        let known = Known::of(q);
        let first = match self.evaluate(slice, &situation, known, agent, false) {
            Ok(response) => response,
            Err(message) => return (PolicyAnswer::Error(message), Vec::new()),
        };
        if first.allowed {
            return (PolicyAnswer::Allow, first.policies);
        }
        if first.policies.is_empty() {
            return (PolicyAnswer::NotAllowed, Vec::new());
        }
        let second = match self.evaluate(slice, &situation, known, agent, true) {
            Ok(response) => response,
            Err(message) => return (PolicyAnswer::Error(message), Vec::new()),
        };
        let reasons =
            |ids: &[String]| ids.iter().filter_map(|id| slice.reasons.get(id)).cloned().collect::<Vec<_>>();
        if second.allowed {
            return (PolicyAnswer::NeedsApproval(reasons(&first.policies)), first.policies);
        }
        if second.policies.is_empty() {
            return (PolicyAnswer::NotAllowed, first.policies);
        }
        (PolicyAnswer::Forbid(reasons(&second.policies)), second.policies)
    }

    /// One evaluation of the slice, without anything else around it: the unit of the speed promise.
    #[doc(hidden)]
    pub fn evaluate_bare(&self, q: PolicyRequest<'_>) -> Option<impl Fn() -> bool + '_> {
        let slice = self.slice_of(&q.action.principal.agent, q.action)?;
        let situation = Situation::of(q, &self.types).ok()?;
        let request = situation.request(&q.action.principal.agent, false).ok()?;
        let entities = situation.entities(self.entities(slice)).ok()?.into_owned();
        Some(move || {
            self.authorizer.is_authorized(&request, &slice.set, &entities).decision() == Decision::Allow
        })
    }

    fn evaluate(
        &self,
        slice: &Slice,
        situation: &Situation,
        known: Known,
        agent: &AgentId,
        granted: bool,
    ) -> Result<Response, String> {
        let request = situation.request(agent, granted)?;
        let set = match known {
            Known::Nothing => slice.blind.as_ref().unwrap_or(&slice.set),
            Known::Partly | Known::Whole => &slice.set,
        };
        let entities = situation.entities(self.entities(slice))?;
        let response = self.authorizer.is_authorized(&request, set, &entities);
        // An error makes Cedar skip the policy. A forbid that is skipped is a deny gone quiet, so any
        // error is a no. What fails for what is not known of the resource is answered by the check of that name.
        let lacks = |error: &AuthorizationError| match error {
            AuthorizationError::PolicyEvaluationError(error) => {
                known == Known::Partly && slice.looks.contains(AsRef::<str>::as_ref(error.policy_id()))
            }
        };
        if let Some(error) = response.diagnostics().errors().find(|error| !lacks(error)) {
            return Err(format!("a policy could not be evaluated: {error}"));
        }
        let mut policies: Vec<String> = response.diagnostics().reason().map(ToString::to_string).collect();
        policies.sort();
        Ok(Response { allowed: response.decision() == Decision::Allow, policies })
    }
}

struct Response {
    allowed: bool,
    policies: Vec<String>,
}
