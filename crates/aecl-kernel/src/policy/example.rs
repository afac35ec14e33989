//! An example, as a bundle writes it.

use crate::base::id::{AgentId, Environment, TenantId, UserId};
use crate::base::time::Timestamp;
use crate::provenance::labels::Labels;
use crate::record::decision::Verdict;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A situation and the decision it must get.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Example {
    /// What it shows.
    pub(crate) name: String,
    /// Who proposes.
    pub(crate) agent: AgentId,
    /// What.
    pub(crate) action: String,
    /// With which arguments.
    #[serde(default)]
    pub(crate) arguments: Map<String, Value>,
    /// In which environment.
    #[serde(default)]
    pub(crate) environment: Option<Environment>,
    /// For which tenant.
    #[serde(default)]
    pub(crate) tenant: Option<TenantId>,
    /// For which user.
    #[serde(default)]
    pub(crate) user: Option<UserId>,
    /// What the run has seen.
    #[serde(default)]
    pub(crate) labels: Labels,
    /// What the run is for.
    #[serde(default)]
    pub(crate) goal: Option<String>,
    /// When, for hours.
    #[serde(default)]
    pub(crate) at: Option<Timestamp>,
    /// The decision.
    pub(crate) expect: Verdict,
    /// The headline.
    #[serde(default)]
    pub(crate) code: Option<String>,
}
