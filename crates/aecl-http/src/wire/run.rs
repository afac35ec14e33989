//! Runs and kill switches.

use super::PlanApproval;
use aecl_gate::runs::OpenedRun;
use aecl_kernel::base::id::{AgentId, BadId, RunId, TenantId};
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::record::facts::{Kill as KillFact, KillScope, RunFact};
use aecl_kernel::record::goal::Goal;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Opens a run: one task of one agent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenRun {
    /// The agent.
    pub agent: String,
    /// What the run is for, in words.
    pub goal: String,
    /// Ordered steps, if the planner declares them.
    #[serde(default)]
    pub plan: Option<Value>,
    /// On behalf of whom. `on_behalf_of` is another name for it.
    #[serde(default, alias = "on_behalf_of")]
    pub user: Option<String>,
    /// In which tenant; the configured one if absent.
    #[serde(default)]
    pub tenant: Option<String>,
    /// In which project.
    #[serde(default)]
    pub project: Option<String>,
    /// In which environment; the configured one if absent.
    #[serde(default)]
    pub environment: Option<String>,
    /// For how many seconds at most; the manifest's limit if absent.
    #[serde(default)]
    pub ttl_s: Option<u64>,
    /// Put the plan before people: once they agree, its steps are carried out without asking again. A no ends the run.
    #[serde(default)]
    pub approve_plan: bool,
    /// With a plan that people are asked about: wait so many seconds for their answer.
    #[serde(default)]
    pub wait_s: u64,
}

/// A run that was opened. The token is shown once.
#[derive(Debug, Serialize, ToSchema)]
pub struct Opened {
    /// The run.
    pub run: String,
    /// The agent.
    pub agent: String,
    /// When the run ends at the latest.
    pub expires_at: String,
    /// The run token: for whoever runs the agent, not for the model.
    pub token: String,
    /// Its id, by which it is revoked.
    pub token_id: String,
    /// When it expires.
    pub token_expires_at: String,
    /// The request to people about its plan, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_approval: Option<PlanApproval>,
}

impl Opened {
    /// A run that was opened, with the request about its plan as it stands.
    pub fn of(opened: OpenedRun, plan_approval: Option<PlanApproval>) -> Self {
        let OpenedRun { session, token, expires_at, .. } = opened;
        Self {
            plan_approval,
            run: session.principal.run.to_string(),
            agent: session.principal.agent.to_string(),
            expires_at: expires_at.to_string(),
            token,
            token_id: session.credential.id,
            token_expires_at: session.credential.expires_at.to_string(),
        }
    }
}

/// A fresh token for a run.
#[derive(Debug, Serialize, ToSchema)]
pub struct Token {
    /// The run.
    pub run: String,
    /// The run token.
    pub token: String,
    /// Its id, by which it is revoked.
    pub token_id: String,
    /// When it expires.
    pub token_expires_at: String,
}

/// Why something is done.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Why {
    /// Why, in words.
    pub reason: String,
}

/// What a run has seen.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Labels {
    /// Text that a stranger may have written.
    pub untrusted: bool,
    /// Private data.
    pub private: bool,
    /// Data classes.
    pub classes: std::collections::BTreeSet<String>,
}

/// A run.
#[derive(Debug, Serialize, ToSchema)]
pub struct Run {
    /// Its id.
    pub run: String,
    /// `open`, `closed` or `expired`.
    pub state: &'static str,
    /// Why it was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<String>,
    /// The agent.
    pub agent: String,
    /// On behalf of whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The tenant.
    pub tenant: String,
    /// The project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The environment.
    pub environment: String,
    /// What it is for.
    pub goal: Option<String>,
    /// Ordered steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Value>,
    /// When it began.
    pub opened_at: String,
    /// When it ends at the latest.
    pub expires_at: String,
    /// Calls permitted so far.
    pub calls: u64,
    /// What it has seen.
    pub labels: Labels,
    /// Runs that it was delegated from, nearest first.
    pub ancestors: Vec<String>,
    /// The request to people about its plan, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_approval: Option<PlanApproval>,
    /// The request to people about the plan that its agent has proposed last, if it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposed_plan: Option<PlanApproval>,
}

impl Run {
    /// A run as it stands now.
    pub fn of(
        fact: RunFact,
        goal: Option<Goal>,
        [plan_approval, proposed_plan]: [Option<PlanApproval>; 2],
        now: Timestamp,
    ) -> Self {
        let state = match &fact.closed {
            Some(_) => "closed",
            None if now >= fact.expires_at => "expired",
            None => "open",
        };
        let (goal, plan) = goal.map_or((None, None), |g| (Some(g.text), g.plan));
        let principal = fact.principal;
        Self {
            run: principal.run.to_string(),
            state,
            closed: fact.closed,
            agent: principal.agent.to_string(),
            user: principal.user.map(|u| u.to_string()),
            tenant: principal.tenant.to_string(),
            project: principal.project.map(|p| p.to_string()),
            environment: principal.environment.to_string(),
            goal,
            plan,
            opened_at: fact.opened_at.to_string(),
            expires_at: fact.expires_at.to_string(),
            calls: fact.calls,
            labels: Labels {
                untrusted: fact.labels.untrusted,
                private: fact.labels.private,
                classes: fact.labels.classes,
            },
            ancestors: fact.ancestors.iter().map(ToString::to_string).collect(),
            plan_approval,
            proposed_plan,
        }
    }
}

/// What a kill switch stops: `"all"`, `{"tenant": …}`, `{"agent": …}` or `{"run": …}`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everything.
    All,
    /// A tenant.
    Tenant(String),
    /// An agent.
    Agent(String),
    /// A run and what was delegated from it.
    Run(String),
}

impl TryFrom<Scope> for KillScope {
    type Error = BadId;

    fn try_from(scope: Scope) -> Result<Self, BadId> {
        Ok(match scope {
            Scope::All => KillScope::All,
            Scope::Tenant(id) => KillScope::Tenant(TenantId::new(&id)?),
            Scope::Agent(id) => KillScope::Agent(AgentId::new(&id)?),
            Scope::Run(id) => KillScope::Run(RunId::new(&id)?),
        })
    }
}

/// Pulls or lifts a kill switch.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    /// What it stops.
    pub scope: Scope,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// A kill switch that is on.
#[derive(Debug, Serialize, ToSchema)]
pub struct Kill {
    /// What it stops: `all`, `tenant:…`, `agent:…` or `run:…`.
    pub scope: String,
    /// Who pulled it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: String,
}

impl Kill {
    /// The switch of this scope.
    pub fn of(scope: String, kill: KillFact) -> Self {
        Self { scope, by: kill.by, reason: kill.reason, at: kill.at.to_string() }
    }
}

/// Kill switches that are on.
#[derive(Debug, Serialize, ToSchema)]
pub struct Kills {
    /// All of them.
    pub kills: Vec<Kill>,
}
