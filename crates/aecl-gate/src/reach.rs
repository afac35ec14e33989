//! Who may look at what, and who may do what with it. Both follow from the configuration and the key.

use crate::error::GateError;
use crate::gate::Gate;
use crate::identity::{Identity, OPERATORS};
use aecl_kernel::base::code;
use aecl_kernel::base::id::{ActionId, AgentId, RunId, TenantId};
use aecl_kernel::base::principal::Principal;
use aecl_kernel::define::manifest::AgentManifest;
use aecl_kernel::record::approval::ApprovalRequest;
use aecl_kernel::record::event::Event;
use aecl_kernel::record::facts::{ActionFact, RunFact};
use aecl_ledger::LedgerError;
use std::collections::BTreeSet;

/// Entries of a run read at once.
const CHUNK: usize = 512;

impl Gate {
    /// The tenants that this key is for; nothing means all of them. Whoever has left the configuration since is for none.
    pub fn tenants_of(&self, by: &Identity) -> Option<BTreeSet<TenantId>> {
        let config = self.config();
        let entry = match by {
            Identity::Person { id, .. } => config.people.iter().find(|p| p.id == *id).map(|p| &p.tenants),
            Identity::Orchestrator { id, .. } => {
                config.orchestrators.iter().find(|o| o.id == *id).map(|o| &o.tenants)
            }
            Identity::Local => return None,
        };
        entry.map_or_else(|| Some(BTreeSet::new()), Clone::clone)
    }

    /// What concerns everybody is for a key that is limited to no tenant.
    pub fn for_every_tenant(&self, by: &Identity, what: &str) -> Result<(), GateError> {
        match self.tenants_of(by) {
            None => Ok(()),
            Some(_) => {
                let why = format!("{} is for some tenants, and may not {what} for all", by.name());
                Err(GateError::refused(code::FORBIDDEN, why))
            }
        }
    }

    /// Whether this key is for this tenant.
    pub fn is_for_tenant(&self, by: &Identity, tenant: &TenantId) -> bool {
        self.tenants_of(by).is_none_or(|tenants| tenants.contains(tenant))
    }

    /// Whether it may read the whole ledger, whomever it is about.
    pub fn reads_everything(&self, by: &Identity) -> bool {
        by.reads_for_all() && self.tenants_of(by).is_none()
    }

    /// Whether it may read what the policy says of an agent: whoever runs it, answers for it, or looks after all agents
    /// of its tenants.
    pub fn sees_agent(&self, by: &Identity, manifest: &AgentManifest) -> bool {
        let within = &manifest.scopes.tenants;
        let tenants = self.tenants_of(by);
        if !within.is_empty() && tenants.is_some_and(|tenants| tenants.is_disjoint(within)) {
            return false;
        }
        match by {
            Identity::Local => true,
            Identity::Orchestrator { agents, .. } => agents.contains(&manifest.agent_id),
            Identity::Person { groups, .. } => {
                by.reads_for_all() || manifest.answering().any(|group| groups.contains(group))
            }
        }
    }

    /// Whoever asks what would be decided about an agent hears what the policy says of it, in a tenant of theirs.
    pub fn may_ask_about(
        &self,
        by: &Identity,
        agent: &AgentId,
        tenant: Option<&TenantId>,
    ) -> Result<(), GateError> {
        let config = self.config();
        let (tenant, bundle) = (tenant.unwrap_or(&config.tenant), self.bundle());
        if !self.is_for_tenant(by, tenant) {
            let why = format!("{} may not ask about tenant `{tenant}`", by.name());
            return Err(GateError::refused(code::FORBIDDEN, why));
        }
        // Which names are no agent's is for those who may read all of them.
        let seen = match bundle.agent(agent) {
            Some(manifest) => self.sees_agent(by, manifest),
            None => self.reads_everything(by),
        };
        if seen {
            return Ok(());
        }
        let why = format!(
            "{} may not ask about `{agent}`; whoever runs it, answers for it or looks after all agents may",
            by.name()
        );
        Err(GateError::refused(code::FORBIDDEN, why))
    }

    /// Whether it may know that this is stopped, and why.
    pub async fn sees_kill(&self, by: &Identity, scope: &str) -> Result<bool, GateError> {
        let about = scope.split_once(':');
        Ok(match about {
            None => true,
            Some(("tenant", tenant)) => {
                self.tenants_of(by).is_none_or(|own| own.iter().any(|t| t.as_str() == tenant))
            }
            Some(("agent", agent)) => {
                let bundle = self.bundle();
                let manifest = bundle.agents().find(|m| m.agent_id.as_str() == agent);
                manifest.map_or_else(|| self.reads_everything(by), |m| self.sees_agent(by, m))
            }
            Some(("run", run)) => {
                let Ok(run) = RunId::new(run) else { return Ok(self.reads_everything(by)) };
                match self.0.ledger.run(&run).await? {
                    Some(fact) => self.sees_runs_of(by, &fact.principal),
                    None => self.reads_everything(by),
                }
            }
            Some(_) => self.reads_everything(by),
        })
    }

    /// Whether it may know what this agent has used up. That is one account for all tenants that the agent acts for, so
    /// people of some of them are not told. Whoever runs the agent hears it with each call anyway.
    pub fn sees_usage_of(&self, by: &Identity, principal: &Principal) -> bool {
        let own = match by {
            Identity::Person { .. } => self.tenants_of(by),
            Identity::Orchestrator { .. } | Identity::Local => None,
        };
        let acts_elsewhere = |own: &BTreeSet<TenantId>| {
            let bundle = self.bundle();
            let within = bundle.agent(&principal.agent).map(|manifest| &manifest.scopes.tenants);
            within.is_none_or(|within| within.is_empty() || !within.is_subset(own))
        };
        self.sees_runs_of(by, principal) && !own.is_some_and(|own| acts_elsewhere(&own))
    }

    /// Whether it may read all that this agent does in this tenant.
    pub fn sees_runs_of(&self, by: &Identity, principal: &Principal) -> bool {
        let all = match by {
            Identity::Person { .. } => by.reads_for_all(),
            Identity::Orchestrator { .. } | Identity::Local => by.may_run(&principal.agent),
        };
        all && self.is_for_tenant(by, &principal.tenant)
    }

    /// Whether it may read a request: whom it asks, whom it is for, and whoever looks after all of them.
    pub fn sees_request(&self, by: &Identity, ask: &ApprovalRequest, principal: &Principal) -> bool {
        let concerned = match by {
            Identity::Local => true,
            Identity::Orchestrator { .. } => false,
            Identity::Person { id, groups } => {
                by.reads_for_all()
                    || ask.need.requirements.iter().any(|r| !r.groups.is_disjoint(groups))
                    || principal.user.as_ref().is_some_and(|u| u.as_str().eq_ignore_ascii_case(id.as_str()))
            }
        };
        concerned && self.is_for_tenant(by, &principal.tenant)
    }

    /// Whether it may read what a run did: one that it may open, one that is for this person, or one of which a
    /// request asks this person's groups.
    pub async fn sees_run(&self, by: &Identity, run: &RunFact) -> Result<bool, GateError> {
        let principal = &run.principal;
        if self.sees_runs_of(by, principal) {
            return Ok(true);
        }
        let Identity::Person { id, groups } = by else { return Ok(false) };
        if !self.is_for_tenant(by, &principal.tenant) {
            return Ok(false);
        }
        if principal.user.as_ref().is_some_and(|u| u.as_str().eq_ignore_ascii_case(id.as_str())) {
            return Ok(true);
        }
        let asks =
            |ask: &ApprovalRequest| ask.need.requirements.iter().any(|r| !r.groups.is_disjoint(groups));
        if self.open_in(&principal.run).iter().any(|waiting| asks(&waiting.ask)) {
            return Ok(true);
        }
        let mut after = None;
        loop {
            let entries = self.0.ledger.entries_of_run(&principal.run, after, CHUNK).await?;
            let Some(last) = entries.last() else { return Ok(false) };
            after = Some(last.position);
            if entries.iter().any(|e| matches!(&e.event, Event::Asked(ask) if asks(ask))) {
                return Ok(true);
            }
        }
    }

    /// A run that this key may do something with. To whoever may not even see it, it is not there.
    pub(crate) async fn run_for(&self, by: &Identity, id: &RunId, what: &str) -> Result<RunFact, GateError> {
        let run = self.run_fact(id).await?;
        let Principal { agent, tenant, .. } = &run.principal;
        if by.may_run(agent) && self.is_for_tenant(by, tenant) {
            return Ok(run);
        }
        if !self.sees_run(by, &run).await? {
            return Err(LedgerError::NoRun(id.clone()).into());
        }
        let message = format!("{} may not {what} `{agent}` in tenant `{tenant}`", by.name());
        Err(GateError::refused(code::FORBIDDEN, message))
    }

    /// An operator, for a run. One of another tenant is not there.
    pub(crate) async fn operator_of(&self, by: &Identity, run: &RunId, what: &str) -> Result<(), GateError> {
        self.operator(by, what)?;
        let fact = self.run_fact(run).await?;
        match self.is_for_tenant(by, &fact.principal.tenant) {
            true => Ok(()),
            false => Err(LedgerError::NoRun(run.clone()).into()),
        }
    }

    /// An operator, for an action. One of another tenant is not there.
    pub(crate) async fn operator_of_action(
        &self,
        by: &Identity,
        id: &ActionId,
        what: &str,
    ) -> Result<ActionFact, GateError> {
        self.operator(by, what)?;
        let fact = self.action_fact(id).await?;
        let run = self.run_fact(&fact.run).await?;
        match self.is_for_tenant(by, &run.principal.tenant) {
            true => Ok(fact),
            false => Err(LedgerError::NoAction(id.clone()).into()),
        }
    }

    pub(crate) fn operator(&self, by: &Identity, what: &str) -> Result<(), GateError> {
        if by.is_operator() {
            return Ok(());
        }
        let message = format!("{} may not {what}; members of `{OPERATORS}` may", by.name());
        Err(GateError::refused(code::FORBIDDEN, message))
    }
}
