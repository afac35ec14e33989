//! Asking what would be decided, without proposing anything: nothing is recorded, nothing is used up.

use crate::error::GateError;
use crate::gate::Gate;
use crate::identity::Identity;
use crate::ids;
use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::id::{ActionId, AgentId, Environment, RunId, TenantId, UserId};
use aecl_kernel::base::principal::Principal;
use aecl_kernel::decide::decide;
use aecl_kernel::decide::request::DecisionRequest;
use aecl_kernel::provenance::labels::Labels;
use aecl_kernel::provenance::proof::Provenance;
use aecl_kernel::read::action::{Action, Credential, Mode, Proposal};
use aecl_kernel::record::begun::Beginnings;
use aecl_kernel::record::decision::Decision;
use aecl_kernel::record::facts::{FactStore as _, RunFact, keys};
use aecl_kernel::record::goal::Goal;
use aecl_ledger::LedgerError;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A situation.
#[derive(Debug, Clone)]
pub struct Situation {
    /// Who would propose.
    pub agent: AgentId,
    /// What.
    pub action: String,
    /// With which arguments, as they would be sent.
    pub arguments: Vec<u8>,
    /// On behalf of whom.
    pub user: Option<UserId>,
    /// In which tenant; the configured one if absent.
    pub tenant: Option<TenantId>,
    /// In which environment; the configured one if absent.
    pub environment: Option<Environment>,
    /// What the run would have seen.
    pub labels: Labels,
    /// What the run would be for. Without it nobody asks where arguments come from.
    pub goal: Option<String>,
    /// The action that it would undo.
    pub compensates: Option<ActionId>,
}

/// Explanation of what would be decided.
#[derive(Debug)]
pub struct Explained {
    /// The action, as it was understood.
    pub action: Arc<Action>,
    /// The decision.
    pub decision: Arc<Decision>,
    /// The policy that was asked.
    pub bundle: Digest,
    /// What was used of budgets and rates, and what the agent did before, is left out: whoever asks may not read its runs.
    pub without_usage: bool,
}

impl Gate {
    /// Decides about a situation as if a fresh run of the agent proposed it now. Kill switches are the real ones; budgets
    /// and rates are for whoever may read the runs that have used them up, in all tenants, and new for everybody else.
    pub async fn explain(&self, by: &Identity, s: Situation) -> Result<Explained, GateError> {
        self.sees_original(by, s.compensates.as_ref()).await?;
        let (config, bundle, now) = (self.config(), self.bundle(), self.now());
        let run = RunId::new("run_explain")?;
        let principal = Principal {
            agent: s.agent.clone(),
            user: s.user,
            tenant: s.tenant.unwrap_or_else(|| config.tenant.clone()),
            project: None,
            environment: s.environment.unwrap_or_else(|| config.environment.clone()),
            run: run.clone(),
        };
        let expires_at = now.plus_s(3600);
        let proposal = Proposal {
            principal: principal.clone(),
            credential: Credential { id: "gate:explain".into(), run, agent: s.agent, expires_at },
            // The tool is taken to be what was accepted.
            offered: bundle.catalogue().find(&s.action).and_then(|t| t.manifest.pin),
            name: s.action,
            arguments: s.arguments,
            mode: Mode::Execute,
            idempotency_key: None,
            compensates: s.compensates,
            resume: false,
        };
        let action = Arc::new(Action::parse(proposal, bundle.catalogue(), &self.limits()));
        let mut facts =
            self.0.ledger.facts(action.clone(), bundle.clone(), Some(self.people()), self.now()).await?;
        let without_usage = !self.sees_usage_of(by, &principal);
        if without_usage {
            facts = facts.as_of_a_new_agent(&action, &bundle);
        }
        facts.run = Some(RunFact {
            principal,
            goal: Digest::of(b""),
            opened_at: now,
            expires_at,
            closed: None,
            ancestors: Vec::new(),
            follows: Vec::new(),
            calls: 0,
            labels: s.labels,
            failing: None,
            failures: 0,
            next_seq: 0,
            late: false,
            planned: false,
            plan_approval: None,
            proposed: None,
            questions: 0,
            step: aecl_kernel::read::plan::PlanProgress::default(),
            trusted_bytes: 0,
            barred: std::collections::BTreeSet::new(),
            endorsers: BTreeMap::new(),
            beginnings: Beginnings::default(),
        });
        if let (Some(goal), Some(run)) = (s.goal, &facts.run) {
            let mut space = BTreeMap::new();
            space.put(keys::Goal(run.principal.run.clone()), Goal::new(goal, None));
            let Ok(provenance) = Provenance::gather(&action, run, &[], true, None, &bundle, &mut space);
            facts.provenance = provenance;
        } else if facts.run.as_ref().is_some_and(|run| run.labels.untrusted) {
            facts.provenance = Provenance::as_if_asked_for(&action);
        }
        let question =
            DecisionRequest { action: &action, facts: &facts, bundle: &bundle, evidence: &[], now };
        let decision = decide(&question, &action, ids::for_decision()?).decision().clone();
        Ok(Explained { action, decision, bundle: bundle.hash(), without_usage })
    }

    /// What is undone is on record in a run, which is for those who may read it. To others it is not there.
    async fn sees_original(&self, by: &Identity, original: Option<&ActionId>) -> Result<(), GateError> {
        let Some(id) = original else { return Ok(()) };
        let fact = self.action_fact(id).await?;
        let run = self.run_now(&fact.run).await?;
        match self.sees_run(by, &run).await? {
            true => Ok(()),
            false => Err(LedgerError::NoAction(id.clone()).into()),
        }
    }
}
