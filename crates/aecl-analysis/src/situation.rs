//! A situation: who proposes what, where and when, without a run on record. Examples are judged in one, and
//! whoever asks "what would happen if" is.

use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::evidence::{Evidence, ResourceReading};
use aecl_kernel::base::id::{
    ActionId, AgentId, ApprovalId, BadId, Environment, PersonId, ProjectId, RunId, TenantId, UserId,
};
use aecl_kernel::base::json::Limits;
use aecl_kernel::base::principal::Principal;
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::decide::approvers::approvers_of;
use aecl_kernel::decide::request::{DecisionRequest, NewIds};
use aecl_kernel::decide::{Ruling, decide};
use aecl_kernel::define::catalogue::flow::Class;
use aecl_kernel::define::isolation::HostIsolation;
use aecl_kernel::define::resource::SELF;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::policy::example::BegunAs;
use aecl_kernel::provenance::labels::Labels;
use aecl_kernel::provenance::proof::{Provenance, leaves};
use aecl_kernel::read::action::{Action, Credential, Mode, Proposal};
use aecl_kernel::read::plan::PlanProgress;
use aecl_kernel::read::resource;
use aecl_kernel::record::approval::{CompletedBy, Vote};
use aecl_kernel::record::begun::{Beginning, Beginnings};
use aecl_kernel::record::facts::{
    ActionState, BegunCall, EDITION, Fact, FactKey, FactStore as _, Facts, RunFact, keys,
};
use aecl_kernel::record::goal::Goal;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Situation that is made up: who proposes what, where and when. Nothing is used of its budgets, and nobody has agreed
/// to anything.
#[derive(Debug, Clone)]
pub struct AssumedSituation {
    /// Who proposes.
    pub agent: AgentId,
    /// What.
    pub action: String,
    /// With which arguments, as sent.
    pub arguments: Vec<u8>,
    /// For which tenant.
    pub tenant: TenantId,
    /// In which project.
    pub project: Option<ProjectId>,
    /// In which environment.
    pub environment: Environment,
    /// For which user.
    pub user: Option<UserId>,
    /// What the run has seen.
    pub labels: Labels,
    /// What the run is for. Without it nobody asks where arguments come from.
    pub goal: Option<String>,
    /// What holds programs there.
    pub cages: HostIsolation,
    /// What the things are like that it is about: attributes, by `resource` and the names of what is related.
    pub resources: BTreeMap<String, Map<String, Value>>,
    /// What stands behind the call that it completes, if there is one.
    pub completes: Option<BegunAs>,
    /// When.
    pub at: Timestamp,
}

/// What is supposed beside a situation, by whoever asks what follows if it is so.
pub(super) struct Supposition<'a> {
    /// What is known of where the arguments come from, made of what was found out.
    pub provenance: &'a dyn Fn(&Action, Option<Provenance>) -> Option<Provenance>,
    /// Arguments whose values a stranger's sentence says.
    pub told: BTreeSet<String>,
}

impl AssumedSituation {
    /// The run, by its name.
    pub(super) fn of_run() -> Result<RunId, BadId> {
        RunId::new("run_example")
    }

    /// Makes the decision. Gives what was understood of the proposal, too.
    pub fn rule(&self, bundle: &Bundle) -> Result<(Arc<Action>, Ruling), BadId> {
        self.rule_knowing(bundle, &BTreeMap::new())
    }

    /// The same in a run that rests on more than its goal.
    pub(super) fn rule_knowing(
        &self,
        bundle: &Bundle,
        known: &BTreeMap<FactKey, Fact>,
    ) -> Result<(Arc<Action>, Ruling), BadId> {
        self.rule_supposing(
            bundle,
            known,
            &Supposition { provenance: &|_, found| found, told: BTreeSet::new() },
        )
    }

    /// The same where something is supposed about where the arguments come from.
    pub(super) fn rule_supposing(
        &self,
        bundle: &Bundle,
        known: &BTreeMap<FactKey, Fact>,
        suppose: &Supposition<'_>,
    ) -> Result<(Arc<Action>, Ruling), BadId> {
        let run = Self::of_run()?;
        let principal = Principal {
            agent: self.agent.clone(),
            user: self.user.clone(),
            tenant: self.tenant.clone(),
            project: self.project.clone(),
            environment: self.environment.clone(),
            run: run.clone(),
        };
        let expires_at = self.at.plus_s(3600);
        let proposal = Proposal {
            principal: principal.clone(),
            credential: Credential { id: "example".into(), run, agent: self.agent.clone(), expires_at },
            name: self.action.clone(),
            arguments: self.arguments.clone(),
            mode: Mode::Execute,
            idempotency_key: None,
            // It is assumed that a tool is what was accepted.
            offered: bundle.catalogue().find(&self.action).and_then(|t| t.manifest.pin),
            compensates: None,
            resume: false,
        };
        let action = Arc::new(Action::parse(proposal, bundle.catalogue(), &Limits::default()));
        let run = Some(self.run(principal, expires_at));
        let mut facts = Facts { edition: EDITION, run, ..Facts::default() };
        if action.typed.as_ref().is_some_and(|typed| typed.cage.is_some()) {
            facts.cages = Some(self.cages.clone());
        }
        if let (Some(goal), Some(run)) = (&self.goal, &facts.run) {
            let key = keys::Goal(run.principal.run.clone());
            let goal = Goal::new(goal.clone(), None);
            let mut space = known.clone();
            space.put(key, goal);
            let Ok(provenance) = Provenance::gather(&action, run, &[], true, None, bundle, &mut space);
            facts.provenance = provenance;
        } else if self.labels.untrusted {
            facts.provenance = Provenance::as_if_asked_for(&action);
        }
        facts.provenance = (suppose.provenance)(&action, facts.provenance.take());
        facts.begun = self.completes.map(|begun| self.begun(begun, &action, bundle)).transpose()?;
        let fresh =
            NewIds { action: ActionId::new("act_example")?, approval: ApprovalId::new("apr_example")? };
        let mut evidence = self.evidence(&action);
        if !suppose.told.is_empty() {
            evidence.push(Evidence::told(suppose.told.clone()));
        }
        let question =
            DecisionRequest { action: &action, facts: &facts, bundle, evidence: &evidence, now: self.at };
        let ruling = decide(&question, &action, fresh);
        Ok((action, ruling))
    }

    /// What would have been read, as far as the situation says so. Where it says nothing, nobody has looked.
    fn evidence(&self, action: &Action) -> Vec<Evidence> {
        let declared = action.typed.as_ref().and_then(|typed| typed.manifest.resource.as_deref());
        let looks = declared.filter(|_| !self.resources.is_empty()).into_iter().flat_map(|d| d.looks());
        let mut readings: Vec<ResourceReading> = Vec::new();
        for look in looks {
            let user = self.user.as_ref().map(UserId::as_str);
            let asked = resource::arguments(&look, action.arguments.value(), user, &readings);
            let own = action.resource.as_deref().filter(|_| look.name == SELF);
            let id = resource::id(own, &asked.unwrap_or_default());
            readings.push(match self.resources.get(look.name) {
                Some(given) => resource::assumed_reading(&look, id, given, self.at),
                None => ResourceReading::new(look.name, id, self.at)
                    .unread("the situation does not say what it is like".into()),
            });
        }
        readings.into_iter().map(Evidence::read).collect()
    }

    /// A call that was done and left as it was, with the same texts, by whoever may agree to this one.
    fn begun(&self, begun: BegunAs, action: &Action, bundle: &Bundle) -> Result<BegunCall, BadId> {
        let typed = action.typed.as_deref().filter(|_| action.problems.is_empty());
        let texts = typed.into_iter().flat_map(|typed| leaves(action, typed));
        let texts = texts.filter(|leaf| leaf.argument.class == Class::Content);
        let itself = typed.map(|typed| {
            let (action, definition) = (typed.manifest.name.clone(), typed.digest);
            CompletedBy { action, definition }
        });
        let beginning = match begun {
            BegunAs::Asked => Beginning::Asked,
            BegunAs::Agreed => Beginning::Agreed { shown: itself.into_iter().collect() },
        };
        let groups = approvers_of(bundle, &self.agent).groups;
        let person = PersonId::new("somebody")?;
        let (yes, at, reason) = (true, self.at, String::new());
        Ok(BegunCall {
            action: ActionId::new("act_begun")?,
            flaw: None,
            state: ActionState::Done,
            undone: false,
            beginning: Some(beginning),
            completed: None,
            touched: None,
            same: texts.map(|leaf| leaf.pointer).collect(),
            votes: vec![Vote { person, groups, yes, at, reason, endorse: false, confirmed: false }],
        })
    }

    fn run(&self, principal: Principal, expires_at: Timestamp) -> RunFact {
        RunFact {
            principal,
            goal: Digest::of(b""),
            opened_at: self.at,
            expires_at,
            closed: None,
            ancestors: Vec::new(),
            follows: Vec::new(),
            calls: 0,
            labels: self.labels.clone(),
            failing: None,
            failures: 0,
            next_seq: 0,
            late: false,
            planned: false,
            plan_approval: None,
            proposed: None,
            questions: 0,
            step: PlanProgress::default(),
            trusted_bytes: 0,
            barred: BTreeSet::new(),
            endorsers: BTreeMap::new(),
            beginnings: Beginnings::default(),
        }
    }
}
