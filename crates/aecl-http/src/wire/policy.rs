//! Policy: what is in force, and what it would say.

use super::{Decision, Labels};
use aecl_kernel::define::catalogue::TypedAction;
use aecl_kernel::define::manifest::{AgentManifest, Consent};
use aecl_kernel::policy::bundle::Bundle;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

/// A situation to explain.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Explain<'a> {
    /// Who would propose.
    #[schema(value_type = String)]
    pub agent: Cow<'a, str>,
    /// What.
    #[schema(value_type = String)]
    pub action: Cow<'a, str>,
    /// With which arguments.
    #[serde(borrow, default)]
    #[schema(value_type = Option<Object>)]
    pub arguments: Option<&'a RawValue>,
    /// On behalf of whom.
    #[serde(default)]
    pub user: Option<String>,
    /// In which tenant.
    #[serde(default)]
    pub tenant: Option<String>,
    /// In which environment.
    #[serde(default)]
    pub environment: Option<String>,
    /// What the run would have seen.
    #[serde(default)]
    pub labels: Labels,
    /// What the run would be for. Without it nobody asks where arguments come from.
    #[serde(borrow, default)]
    pub goal: Option<Cow<'a, str>>,
    /// The action that it would undo.
    #[serde(default)]
    pub compensates: Option<String>,
}

/// What would be decided. Nothing was recorded and nothing was used up.
#[derive(Debug, Serialize, ToSchema)]
pub struct Explained {
    /// The decision.
    pub decision: Decision,
    /// What the action would touch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Where its effect would land.
    pub destinations: Vec<String>,
    /// How much, such as `100.00 EUR`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// The policy that was asked.
    pub bundle: String,
    /// `counted`: budgets, rates and what the agent did before are as they are now. `left_out`: this key may not read the
    /// agent's runs, so it is judged as if nothing had happened yet.
    pub usage: &'static str,
}

/// An agent, as its manifest says.
#[derive(Debug, Serialize, ToSchema)]
pub struct Agent {
    /// Its id.
    pub agent: String,
    /// What it is for.
    pub description: String,
    /// What it may do.
    pub allowed_actions: Vec<String>,
    /// What it may never do.
    pub blocked_actions: Vec<String>,
    /// What it may do only if somebody agrees, and what that asks for.
    pub context_rules: BTreeMap<String, &'static str>,
    /// Risk up to which nobody is asked, 0.00 to 1.00.
    pub auto_approve_threshold: String,
    /// Groups whose members answer its approvals.
    pub approvers: Vec<String>,
    /// Lifetime of its tokens, in seconds.
    pub token_ttl_s: u64,
    /// Longest life of a run, in seconds.
    pub run_ttl_s: u64,
}

impl From<&AgentManifest> for Agent {
    fn from(m: &AgentManifest) -> Self {
        let list = |set: &std::collections::BTreeSet<String>| set.iter().cloned().collect();
        let consent = |c| match c {
            Consent::HumanApproval => "requires_human_approval",
            Consent::DataOwnerConsent => "requires_data_owner_consent",
        };
        Self {
            agent: m.agent_id.to_string(),
            description: m.description.clone(),
            allowed_actions: list(&m.allowed_actions),
            blocked_actions: list(&m.blocked_actions),
            context_rules: m.context_rules.iter().map(|(n, r)| (n.clone(), consent(r.requires))).collect(),
            auto_approve_threshold: m.auto_approve_threshold.to_string(),
            approvers: list(&m.approvers),
            token_ttl_s: m.token_ttl_seconds,
            run_ttl_s: m.run_ttl_seconds,
        }
    }
}

/// An action of the catalogue.
#[derive(Debug, Serialize, ToSchema)]
pub struct Typed {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// The server whose words the description is, if it is the tool of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub described_by: Option<String>,
    /// What kind of change it makes.
    pub effect: &'static str,
    /// Whether it can be taken back.
    pub reversibility: &'static str,
    /// The action that undoes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undone_by: Option<String>,
    /// A person is asked every time.
    pub always_asks: bool,
    /// JSON Schema of the arguments, as it is enforced.
    pub arguments: Value,
    /// What is different for calls with certain arguments; the first that describes a call counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cases: Vec<TypedCase>,
    /// Which definition this is.
    pub digest: String,
}

/// A case of an action.
#[derive(Debug, Serialize, ToSchema)]
pub struct TypedCase {
    /// Which calls it describes, in words.
    pub when: String,
    /// What kind of change it makes.
    pub effect: &'static str,
    /// Whether it can be taken back.
    pub reversibility: &'static str,
    /// The action that undoes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undone_by: Option<String>,
    /// A person always has to agree.
    pub always_asks: bool,
}

impl From<&TypedAction> for TypedCase {
    fn from(t: &TypedAction) -> Self {
        let m = &t.manifest;
        Self {
            when: t.when.clone().unwrap_or_default(),
            effect: m.effect.name(),
            reversibility: m.reversibility().name(),
            undone_by: m.compensation.as_ref().map(|c| c.action.to_string()),
            always_asks: m.always_approval().is_some(),
        }
    }
}

impl From<&TypedAction> for Typed {
    fn from(t: &TypedAction) -> Self {
        let m = &t.manifest;
        Self {
            name: m.name.to_string(),
            description: m.description.clone(),
            described_by: super::words::server(t).map(str::to_owned),
            effect: m.effect.name(),
            reversibility: m.reversibility().name(),
            undone_by: m.compensation.as_ref().map(|c| c.action.to_string()),
            always_asks: m.always_approval().is_some(),
            arguments: Value::clone(&t.schema),
            cases: t.cases.iter().map(|case| TypedCase::from(&**case)).collect(),
            digest: t.digest.to_string(),
        }
    }
}

/// Something doubtful in the policy.
#[derive(Debug, Serialize, ToSchema)]
pub struct Warning {
    /// Which file.
    pub path: String,
    /// What.
    pub message: String,
}

/// The policy in force, as far as it concerns whoever reads it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Policy {
    /// The hash of its content.
    pub bundle: String,
    /// Nothing is left out.
    pub whole: bool,
    /// Who may do what.
    pub agents: Vec<Agent>,
    /// What there is to do.
    pub actions: Vec<Typed>,
    /// What is doubtful, for whoever reads the whole.
    pub warnings: Vec<Warning>,
}

impl Policy {
    /// Of a bundle what concerns a reader: the agents that they see, and what these may do. `whole`: they read everything.
    pub fn of(bundle: &Bundle, whole: bool, sees: impl Fn(&AgentManifest) -> bool) -> Self {
        let seen: Vec<&AgentManifest> = bundle.agents().map(|m| &**m).filter(|m| sees(m)).collect();
        let offered = |name: &str| seen.iter().any(|m| m.offers(name));
        let undoes = |t: &TypedAction| t.manifest.compensation.as_ref().map(|c| c.action.to_string());
        let catalogue = || bundle.catalogue().iter().map(|(name, typed)| (name.as_str(), typed));
        let variants = catalogue().filter(|(name, _)| offered(name)).flat_map(|(_, typed)| typed.variants());
        let undone_with: BTreeSet<String> = variants.filter_map(|typed| undoes(typed)).collect();
        let concerns = |name: &str| whole || offered(name) || undone_with.contains(name);
        // A warning names whatever it is about.
        let warnings = bundle.warnings().iter().filter(|_| whole);
        Self {
            bundle: bundle.hash().to_string(),
            whole,
            agents: seen.iter().map(|m| Agent::from(*m)).collect(),
            actions: catalogue().filter(|(n, _)| concerns(n)).map(|(_, t)| Typed::from(&**t)).collect(),
            warnings: warnings
                .map(|p| Warning { path: p.path.clone(), message: p.message.clone() })
                .collect(),
        }
    }
}

/// What a reload did.
#[derive(Debug, Serialize, ToSchema)]
pub struct Reloaded {
    /// The policy is another one now.
    pub changed: bool,
    /// The hash of the policy in force.
    pub bundle: String,
}
