//! What holds for all requests, not only for those that were tried.
//!
//! A claim becomes questions of one form: is there a request that these policies allow and those do not? Who
//! answers them (`aecl policy prove` asks an SMT solver) stands outside; what a question means, and what an
//! answer is worth, stands here.
//!
//! Rules and manifests are policies already. What other checks say about every request alike joins them as
//! policies, too (`minimums`). What depends on what a run has read, on the time, on the score or on what was
//! spent does not; it can only make a decision stricter, so what is proven holds with it. A request that
//! speaks against a claim is judged by all checks before it counts as one.

mod case;
mod compare;
mod minimums;
mod property;
mod rules;

pub use case::Case;
pub use compare::{ComparedAction, Comparison};
pub(super) use property::check;
pub use rules::{RuleFault, RuleFinding};

use aecl_kernel::base::id::{ActionName, AgentId};
use aecl_kernel::define::catalogue::TypedAction;
use aecl_kernel::define::manifest::AgentManifest;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::policy::property::Property;
use aecl_kernel::policy::{Policies, PolicyView};
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Question to a solver.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Question {
    /// Is there a request for this action that the first policies allow, and the others (if any) do not?
    Allows {
        /// The action.
        action: ActionName,
        /// Policies in Cedar's JSON.
        allows: Vec<Value>,
        /// The same.
        #[serde(skip_serializing_if = "Option::is_none")]
        but_not: Option<Vec<Value>>,
    },
    /// Is there a request for this action for which the policy cannot be evaluated?
    Errors {
        /// The action.
        action: ActionName,
        /// A policy in Cedar's JSON.
        errors: Value,
    },
}

/// Answer of a solver.
#[derive(Debug, Clone)]
pub enum SolverAnswer {
    /// Yes, this one: its context in Cedar's JSON.
    Yes(Value),
    /// No, none.
    No,
    /// Nobody knows, and why.
    Unknown(String),
}

/// Solver that questions are put to.
pub type Solver<'a> = &'a mut dyn FnMut(&Question) -> SolverAnswer;

/// Outcome of a proof, for one agent and action.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum ProofOutcome {
    /// It holds for every request.
    Proven {
        /// What it rests on.
        by: String,
    },
    /// It does not hold: all checks together let this request through, or stop it.
    Refuted {
        /// The request.
        case: Box<Case>,
    },
    /// Manifests and rules alone do not make it hold. What was found is stopped by a check that depends on more
    /// than the request, so it is neither proven nor refuted.
    Unproven {
        /// The request.
        case: Box<Case>,
    },
    /// Nobody knows.
    Unknown {
        /// Why.
        why: String,
    },
}

/// A claim for one agent and action.
#[derive(Debug, Clone, Serialize)]
pub struct Proof {
    /// The claim.
    pub property: String,
    /// The agent.
    pub agent: AgentId,
    /// The action.
    pub action: ActionName,
    /// Which of its calls, if it is about a case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// What came out.
    #[serde(flatten)]
    pub outcome: ProofOutcome,
}

/// Asks about one claim, for every agent and action that it is about.
pub fn prove(bundle: &Bundle, property: &Property, ask: Solver<'_>) -> Vec<Proof> {
    property::prove(bundle, property, ask)
}

/// Asks which rules that people wrote can never matter, always do, or cannot always be evaluated.
pub fn prove_rules(bundle: &Bundle, ask: Solver<'_>) -> Vec<RuleFinding> {
    rules::prove(bundle, ask)
}

/// Asks whether a bundle newly allows anything, compared with another.
pub fn prove_than(new: &Bundle, old: &Bundle, ask: Solver<'_>) -> Comparison {
    compare::prove(new, old, ask)
}

/// The policies for an agent and action, with what other checks say about every request.
struct Held {
    own: Vec<PolicyView>,
    minimums: Vec<minimums::Minimum>,
    /// Which calls it is about, where an action has cases.
    calls: Vec<String>,
    /// It is about this agent.
    who: Option<Value>,
}

impl Held {
    /// About each variant of an action. Nothing for an agent whom no policy lets do it.
    fn each(bundle: &Bundle, agent: &AgentManifest, action: &ActionName) -> Vec<(Arc<TypedAction>, Self)> {
        let entry = bundle.catalogue().find(action.as_str());
        let variants = entry.into_iter().flat_map(TypedAction::variants);
        variants.filter_map(|typed| Some((typed.clone(), Self::of(bundle, agent, typed)?))).collect()
    }

    /// About one of them.
    fn of(bundle: &Bundle, agent: &AgentManifest, typed: &TypedAction) -> Option<Self> {
        let name = typed.manifest.name.as_str();
        let own: Vec<PolicyView> = bundle.policies().of(&agent.agent_id, name, typed.variant);
        (!own.is_empty()).then(|| Self {
            own,
            minimums: minimums::of(agent, typed, bundle),
            calls: minimums::calls(typed, bundle),
            who: only(&format!("principal == Agent::\"{}\"", agent.agent_id)),
        })
    }

    /// All of it, as policies.
    fn all(&self) -> Vec<Value> {
        let minimums = self.minimums.iter().filter_map(|f| f.policy());
        self.own.iter().map(|told| told.json.clone()).chain(minimums).chain(self.who.clone()).collect()
    }

    /// What blocks without asking anybody, and what is true of every request.
    fn given(&self) -> Vec<Value> {
        let minimums = self.minimums.iter().filter(|f| !f.asks).filter_map(|f| f.policy());
        minimums.chain(self.who.clone()).collect()
    }

    /// All checks that take part.
    fn checks(&self) -> String {
        let mut names: Vec<&str> = self.minimums.iter().map(|f| f.check).collect();
        names.sort_unstable();
        names.dedup();
        if names.is_empty() {
            "manifest and rules".to_owned()
        } else {
            format!("manifest, rules and the checks {}", names.join(", "))
        }
    }
}

/// A policy that permits everything.
fn anything() -> Value {
    json!({"effect": "permit", "principal": {"op": "All"}, "action": {"op": "All"}, "resource": {"op": "All"}, "conditions": []})
}

/// A policy that keeps out what does not meet a condition.
fn only(condition: &str) -> Option<Value> {
    Policies::json(&format!("forbid(principal, action, resource) unless {{ {condition} }};")).ok()
}

/// Without a person's yes, or with it.
fn granted(yes: bool) -> Option<Value> {
    only(if yes { "context.approval.granted" } else { "!context.approval.granted" })
}

/// The same policy with the effect of a permit: it allows what the policy is about.
fn matches(policy: &Value) -> Value {
    let mut flipped = policy.clone();
    if let Some(members) = flipped.as_object_mut() {
        members.insert("effect".into(), json!("permit"));
    }
    flipped
}

/// Whether a case speaks against a claim.
type Against<'a> = &'a dyn Fn(&Case) -> bool;
