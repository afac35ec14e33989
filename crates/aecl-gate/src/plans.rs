//! Plans that people agree to before a run acts: putting one before them, what they see, and whether they have
//! agreed. Whether a call is covered is decided where everything is decided.

use crate::error::GateError;
use crate::gate::Gate;
use crate::identity::Identity;
use crate::ids;
use crate::votes::Tally;
use aecl_analysis::outlook::{Outlook, Stated};
use aecl_kernel::base::code;
use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::id::{AgentId, ApprovalId, PersonId, RunId};
use aecl_kernel::base::principal::Principal;
use aecl_kernel::base::time::Timestamp;
use aecl_kernel::define::manifest::Plans;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::provenance::labels::Labels;
use aecl_kernel::read::plan::PlanProgress;
use aecl_kernel::record::approval::{ApprovalRequest, ApprovalState};
use aecl_kernel::record::begun::Beginnings;
use aecl_kernel::record::decision::Decision;
use aecl_kernel::record::facts::{Fact, FactKey, FactStore as _, RunFact, keys};
use aecl_kernel::record::goal::Goal;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Whether people are to be asked about a plan, and on whose word.
pub(crate) struct PlanWish<'a> {
    /// Whoever opens the run wants it.
    pub(crate) asked: bool,
    /// Who opens the run, and so has brought the plan.
    pub(crate) by: &'a Identity,
    /// The run that it is delegated from.
    pub(crate) parent: Option<&'a RunId>,
    /// People who approve nothing in it.
    pub(crate) barred: &'a BTreeSet<PersonId>,
}

/// Request about a plan: what people know who are asked.
#[derive(Debug)]
pub struct PlanRequest {
    /// The request.
    pub ask: ApprovalRequest,
    /// Where it stands now, and whose yes does not count any more.
    pub tally: Tally,
    /// The run.
    pub run: RunFact,
    /// What the run is for, with the plan, unless it was erased.
    pub goal: Option<Goal>,
    /// The steps, judged by the policy of now; or why they cannot be.
    pub outlook: Result<Outlook, String>,
    /// The policy is another than when people were asked.
    pub policy_changed: bool,
}

/// The runs that a run was delegated from, with their goals.
#[derive(Default)]
pub(crate) struct Lineage {
    pub(crate) runs: Vec<RunFact>,
    pub(crate) goals: BTreeMap<FactKey, Fact>,
}

/// Whether a decision says that its call is no step of the declared plan, so that a yes to that changes nothing.
fn is_off_plan(decision: &Decision) -> bool {
    let codes = [code::OFF_PLAN, code::PLAN_VIOLATED];
    decision.findings.iter().any(|finding| codes.contains(&finding.code))
}

impl Gate {
    /// The request to people about the plan of a run that is about to begin; nothing, if nobody wants one.
    pub(crate) async fn plan_ask(
        &self,
        principal: &Principal,
        goal: &Goal,
        expires_at: Timestamp,
        wish: PlanWish<'_>,
    ) -> Result<Option<ApprovalRequest>, GateError> {
        let bundle = self.bundle();
        let lineage = self.lineage(wish.parent).await?;
        let holders = std::iter::once(principal).chain(lineage.runs.iter().map(|run| &run.principal));
        let wanted = holders.into_iter().any(|holder| wants(&bundle, &holder.agent));
        // What is no plan cannot be asked about, so an agent that needs one is asked about each change.
        let demanded = wanted && goal.contract().is_some();
        if !(wish.asked || demanded) {
            return Ok(None);
        }
        let (cages, now) = (self.cages(), self.now());
        let run = before(principal, goal, expires_at, now, &lineage, wish.barred);
        let stated = Stated {
            goal,
            run: &run,
            lineage: &lineage.runs,
            known: &lineage.goals,
            bundle: &bundle,
            cages: cages.as_deref(),
            now,
            midway: None,
        };
        let asker: Option<&PersonId> = match wish.by {
            Identity::Person { id, .. } => Some(id),
            Identity::Orchestrator { .. } | Identity::Local => None,
        };
        let ask = stated.ask(asker, &ids::for_decision()?);
        ask.map(Some).map_err(|(code, message)| GateError::refused(code, message))
    }

    pub(crate) async fn lineage(&self, parent: Option<&RunId>) -> Result<Lineage, GateError> {
        let mut out = Lineage::default();
        let Some(parent) = parent else { return Ok(out) };
        let nearest = self.run_now(parent).await?;
        let further = nearest.ancestors.clone();
        out.runs.push(nearest);
        for id in further {
            out.runs.push(self.run_fact(&id).await?);
        }
        for run in &out.runs {
            let id = &run.principal.run;
            if let Some(goal) = self.0.ledger.goal(id).await? {
                out.goals.put(keys::Goal(id.clone()), goal);
            }
        }
        Ok(out)
    }

    /// A request about a plan with everything around it.
    pub async fn plan_request(&self, ask: ApprovalRequest) -> Result<PlanRequest, GateError> {
        let (bundle, cages, now) = (self.bundle(), self.cages(), self.now());
        let run = self.run_fact(&ask.run).await?;
        let lineage = self.lineage(run.ancestors.first()).await?;
        let goal = self.0.ledger.goal(&ask.run).await?;
        let outlook = match &goal {
            None => Err("the goal and the plan were erased".to_owned()),
            Some(goal) => {
                let stated = Stated {
                    goal,
                    run: &run,
                    lineage: &lineage.runs,
                    known: &lineage.goals,
                    bundle: &bundle,
                    cages: cages.as_deref(),
                    now,
                    midway: None,
                };
                stated.outlook().map_err(|(_, why)| why)
            }
        };
        let policy_changed = ask.plan.as_ref().is_some_and(|plan| plan.bundle != bundle.hash());
        let tally = self.tally(&ask, &run.principal);
        Ok(PlanRequest { tally, ask, run, goal, outlook, policy_changed })
    }

    /// The request about the plan of a run, once people have answered it, it has expired or the time is up.
    pub async fn plan_answered(
        &self,
        run: &RunId,
        wait: Duration,
    ) -> Result<Option<ApprovalRequest>, GateError> {
        match self.run_fact(run).await?.plan_approval {
            Some(id) => self.until_answered(&id, wait).await.map(Some),
            None => Ok(None),
        }
    }

    /// A request about a plan, once people have answered it, it is over or the time is up.
    pub(crate) async fn until_answered(
        &self,
        id: &ApprovalId,
        wait: Duration,
    ) -> Result<ApprovalRequest, GateError> {
        let deadline = tokio::time::Instant::now() + wait;
        let action = self.ask(id).await?.action;
        let bell = self.0.waits.listen(&action);
        loop {
            let ring = bell.next();
            tokio::pin!(ring);
            ring.as_mut().enable();
            let ask = self.ask(id).await?;
            let state = self.tally_of(&ask).await?.state;
            if state != ApprovalState::Pending || tokio::time::Instant::now() >= deadline {
                return Ok(ask);
            }
            tokio::select! {
                () = &mut ring => {}
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
    }

    /// The plans whose yes changes nothing about this decision: those that were agreed to before it, and the declared one, if
    /// the call is no step of that.
    pub(crate) async fn looked_at_before(
        &self,
        mut agreed: BTreeSet<ApprovalId>,
        decision: &Decision,
        run: &RunId,
    ) -> Result<BTreeSet<ApprovalId>, GateError> {
        if is_off_plan(decision) {
            agreed.extend(self.run_fact(run).await?.plan_approval);
        }
        Ok(agreed)
    }

    /// The plans of a run that people have agreed to: the declared one, and one that its agent has proposed.
    pub(crate) async fn agreed_plans(&self, run: &RunId) -> Result<BTreeSet<ApprovalId>, GateError> {
        // A run that nobody has opened has none; what is proposed in it is refused on record.
        let Some(fact) = self.0.ledger.run(run).await? else { return Ok(BTreeSet::new()) };
        let mut agreed = BTreeSet::new();
        for id in fact.plan_approval.into_iter().chain(fact.proposed.map(|proposed| proposed.approval)) {
            if self.tally_of(&self.ask(&id).await?).await?.state == ApprovalState::Approved {
                agreed.insert(id);
            }
        }
        Ok(agreed)
    }
}

fn wants(bundle: &Bundle, agent: &AgentId) -> bool {
    bundle.agent(agent).is_some_and(|manifest| manifest.plans == Plans::Approve)
}

/// The run as it will be when it begins.
fn before(
    principal: &Principal,
    goal: &Goal,
    expires_at: Timestamp,
    now: Timestamp,
    lineage: &Lineage,
    barred: &BTreeSet<PersonId>,
) -> RunFact {
    let parent = lineage.runs.first();
    let labels = parent.map_or_else(Labels::default, |run| run.labels.clone());
    RunFact {
        principal: principal.clone(),
        goal: Digest::of(goal.text.as_bytes()),
        opened_at: now,
        expires_at: parent.map_or(expires_at, |run| expires_at.min(run.expires_at)),
        closed: None,
        ancestors: lineage.runs.iter().map(|run| run.principal.run.clone()).collect(),
        follows: Vec::new(),
        calls: 0,
        late: labels.untrusted,
        labels,
        failing: None,
        failures: 0,
        next_seq: 0,
        planned: true,
        step: PlanProgress::default(),
        plan_approval: None,
        proposed: None,
        questions: 0,
        trusted_bytes: 0,
        barred: barred.clone(),
        endorsers: BTreeMap::new(),
        beginnings: Beginnings::default(),
    }
}
