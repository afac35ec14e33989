//! An example, as a bundle writes it.

use crate::base::id::{AgentId, Environment, TenantId, UserId};
use crate::base::time::Timestamp;
use crate::provenance::labels::Labels;
use crate::record::decision::Verdict;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Backing of a call that something completes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BegunAs {
    /// The goal asks for it.
    Asked,
    /// Somebody who read what follows has agreed to it.
    Agreed,
}

/// A situation and the decision it must get.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// What it shows.
    pub name: String,
    /// Who proposes.
    pub agent: AgentId,
    /// What.
    pub action: String,
    /// With which arguments.
    #[serde(default)]
    pub arguments: Map<String, Value>,
    /// In which environment.
    #[serde(default)]
    pub environment: Option<Environment>,
    /// For which tenant.
    #[serde(default)]
    pub tenant: Option<TenantId>,
    /// For which user.
    #[serde(default)]
    pub user: Option<UserId>,
    /// What the run has seen.
    #[serde(default)]
    pub labels: Labels,
    /// What the run is for.
    #[serde(default)]
    pub goal: Option<String>,
    /// What the thing is like that it is about: its attributes.
    #[serde(default)]
    pub resource: Option<Map<String, Value>>,
    /// What is related to it, by name: attributes of each.
    #[serde(default)]
    pub related: BTreeMap<String, Map<String, Value>>,
    /// It completes a call of which this is so, as its entry says. Texts are the same there; other values are looked at by themselves.
    #[serde(default)]
    pub completes: Option<BegunAs>,
    /// When, for hours.
    #[serde(default)]
    pub at: Option<Timestamp>,
    /// The decision.
    pub expect: Verdict,
    /// The headline.
    #[serde(default)]
    pub code: Option<String>,
}
