//! Who acts: an agent, for a user, in a tenant, project and environment, within one run.

use crate::base::id::{AgentId, Environment, ProjectId, RunId, TenantId, UserId};
use serde::{Deserialize, Serialize};

/// The principal of a proposal. It comes from the credential and the run, never from the proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// The agent.
    pub agent: AgentId,
    /// Whom it acts for, if anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// Whose data and budget it uses.
    pub tenant: TenantId,
    /// The project inside the tenant, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// The environment it acts in.
    pub environment: Environment,
    /// The task it is part of.
    pub run: RunId,
}
