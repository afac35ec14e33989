//! Plans that an agent proposes in the middle of its run: putting one before people, what they see, and what its agent
//! hears. The plan is the word of whoever may have been led by what was read, so nothing but people's yes counts.

use crate::approvals::{EarlierAction, UnprovenValue};
use crate::error::GateError;
use crate::gate::Gate;
use crate::identity::Session;
use crate::ids;
use crate::plans::{Lineage, PlanRequest};
use aecl_analysis::outlook::{Midway, Outlook, Refused, Stated};
use aecl_executor::house::without_keys;
use aecl_kernel::base::code::{self, Code};
use aecl_kernel::base::id::RunId;
use aecl_kernel::read::plan::{Plan, Step};
use aecl_kernel::record::approval::{ApprovalRequest, ApprovalState};
use aecl_kernel::record::facts::RunFact;
use aecl_kernel::record::goal::{Goal, ProposedPlan};
use aecl_ledger::{AskPlan, LedgerError};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest plan that an agent may propose, in bytes.
pub const PLAN_BYTES_MAX: usize = 64 * 1024;
/// From this question of a run on its agent is told that it may ask about all that is left at once.
const QUESTIONS_BEFORE_A_PLAN: u64 = 3;

/// Request about a plan that an agent has proposed: what people know who are asked.
#[derive(Debug)]
pub struct ProposedRequest {
    /// The request, and its steps.
    pub request: PlanRequest,
    /// The plan, unless it was erased.
    pub plan: Option<ProposedPlan>,
    /// The values that nobody who is trusted stands behind, of all steps, and where the run has seen them.
    pub unproven: Vec<UnprovenValue>,
    /// What the run has done so far, oldest first.
    pub history: Vec<EarlierAction>,
}

/// Standing of a plan that an agent has proposed, as its agent hears of it.
#[derive(Debug, Clone)]
pub struct PlanStanding {
    /// The request.
    pub ask: ApprovalRequest,
    /// Where it stands now.
    pub state: ApprovalState,
    /// What that means for its agent.
    pub message: String,
    /// The steps, unless they were erased, each with what it would ask about by itself.
    pub steps: Vec<(Step, Vec<Code>)>,
}

/// What is looked at where facts are read.
struct Looked {
    plan: ProposedPlan,
    goal: Goal,
    run: RunFact,
    lineage: Lineage,
}

impl Gate {
    /// Puts a plan before people that the agent of a run proposes. The same plan again is the same request, as long as it is
    /// open; another takes the place of the one before.
    pub async fn propose_plan(&self, session: &Session, plan: &Value) -> Result<ApprovalRequest, GateError> {
        self.alive(session).await?;
        let plan = read(plan)?;
        let run = self.run_now(&session.principal.run).await?;
        let id = run.principal.run.clone();
        if run.closed.is_some() || self.now() >= run.expires_at {
            return Err(LedgerError::RunClosed(id).into());
        }
        if let Some(ask) = self.underway_with(&run, &plan).await? {
            return Ok(ask);
        }
        let goal = self.0.ledger.goal(&id).await?.ok_or_else(|| {
            GateError::refused(code::PLAN_REFUSED, "the goal of the run was erased; open a new run")
        })?;
        let fresh = ids::for_decision()?;
        let lineage = self.lineage(run.ancestors.first()).await?;
        let (bundle, digest, former) = (self.bundle(), plan.digest(&id), run.proposed.clone());
        let looked = Looked { plan: plan.clone(), goal, run, lineage };
        let ask = self.looked_over(looked, move |stated| stated.ask(None, &fresh)).await?;
        let ask = ask.map_err(|(code, message)| GateError::refused(code, message))?;
        let credential = session.credential.clone();
        let asking = AskPlan { ask: ask.clone(), plan, credential, bundle };
        match self.0.ledger.ask_plan(asking, self.now()).await {
            Ok(_) => {}
            // Two at once have proposed the same.
            Err(LedgerError::AnswerRefused { code: code::REPLAYED, message }) => {
                let same = self.0.ledger.asked_of(digest).await?;
                return same.ok_or_else(|| GateError::refused(code::REPLAYED, message));
            }
            Err(error) => return Err(error.into()),
        }
        if let Some(former) = former {
            // Whoever waits for the one before hears that nobody answers it any more.
            self.0.waits.ring(&self.ask(&former.approval).await?.action);
        }
        Ok(ask)
    }

    /// The request that is open about exactly this plan, if there is one and something is left of it.
    async fn underway_with(
        &self,
        run: &RunFact,
        plan: &ProposedPlan,
    ) -> Result<Option<ApprovalRequest>, GateError> {
        let Some(proposed) = &run.proposed else { return Ok(None) };
        let same = self.0.ledger.asked_of(plan.digest(&run.principal.run)).await?;
        let open = |ask: &ApprovalRequest| ask.approval == proposed.approval && ask.is_open(self.now());
        Ok(same.filter(|ask| open(ask) && !plan.is_used_up(proposed.step)))
    }

    /// The request about the plan that was proposed last in a run, once people have answered it, it is over or the time is
    /// up.
    pub async fn proposed_plan(
        &self,
        run: &RunId,
        wait: Duration,
    ) -> Result<Option<ApprovalRequest>, GateError> {
        match self.run_fact(run).await?.proposed {
            Some(proposed) => self.until_answered(&proposed.approval, wait).await.map(Some),
            None => Ok(None),
        }
    }

    /// The same with what it means for its agent.
    pub async fn plan_standing(
        &self,
        run: &RunId,
        wait: Duration,
    ) -> Result<Option<PlanStanding>, GateError> {
        let Some(ask) = self.proposed_plan(run, wait).await? else { return Ok(None) };
        let state = self.tally_of(&ask).await?.state;
        let plan = self.0.ledger.proposed_plan(&ask.approval).await?.and_then(|plan| plan.plan());
        let asked = ask.plan.iter().flat_map(|asked| &asked.steps);
        let asks = asked.map(|step| step.asks.iter().copied().collect());
        let steps = plan.iter().flat_map(|plan| plan.steps.clone()).zip(asks).collect();
        Ok(Some(PlanStanding { message: in_words(&ask, state), ask, state, steps }))
    }

    /// Whether the agent of a run that waits for people should be told that it may propose a plan: it has asked often, and may
    /// still ask, and no plan of its own waits.
    pub async fn may_propose_plan(&self, run: &RunId) -> Result<bool, GateError> {
        let fact = self.run_fact(run).await?;
        let most = self.bundle().agent(&fact.principal.agent).map_or(0, |agent| agent.max_questions_per_run);
        if fact.closed.is_some() || fact.questions < QUESTIONS_BEFORE_A_PLAN || fact.questions >= most {
            return Ok(false);
        }
        let Some(proposed) = fact.proposed else { return Ok(true) };
        Ok(self.ask(&proposed.approval).await?.state_at(self.now()) != ApprovalState::Pending)
    }

    /// A request about such a plan with everything around it.
    pub async fn proposed_request(&self, ask: ApprovalRequest) -> Result<ProposedRequest, GateError> {
        let run = self.run_now(&ask.run).await?;
        let goal = self.0.ledger.goal(&ask.run).await?;
        let plan = self.0.ledger.proposed_plan(&ask.approval).await?;
        let outlook = match (&goal, &plan) {
            (Some(goal), Some(plan)) => {
                let lineage = self.lineage(run.ancestors.first()).await?;
                let (plan, goal, run) = (plan.clone(), goal.clone(), run.clone());
                let looked = Looked { plan, goal, run, lineage };
                self.looked_over(looked, |stated| stated.outlook()).await?.map_err(|(_, why)| why)
            }
            _ => Err("the goal or the plan was erased".to_owned()),
        };
        let mut unproven = outlook.as_ref().map_or_else(|_| Vec::new(), unproven);
        self.find_places(&ask, &mut unproven).await?;
        let history = self.history(&ask).await?;
        let policy_changed = ask.plan.as_ref().is_some_and(|plan| plan.bundle != self.bundle().hash());
        let tally = self.tally(&ask, &run.principal);
        let request = PlanRequest { tally, ask, run, goal, outlook, policy_changed };
        Ok(ProposedRequest { request, plan, unproven, history })
    }

    /// Looks at a plan with what is on record: no facts are changed, and no decision rests on it.
    async fn looked_over<T: Send + 'static>(
        &self,
        looked: Looked,
        look: impl FnOnce(&Stated<'_>) -> Result<T, Refused> + Send + 'static,
    ) -> Result<Result<T, Refused>, GateError> {
        let (bundle, cages, people, now) = (self.bundle(), self.cages(), self.people(), self.now());
        let found = self.0.ledger.look_around(move |record| {
            let Looked { plan, goal, run, lineage } = &looked;
            look(&Stated {
                goal,
                run,
                lineage: &lineage.runs,
                known: &lineage.goals,
                bundle: &bundle,
                cages: cages.as_deref(),
                now,
                midway: Some(Midway { plan, people: Some(&people), record }),
            })
        });
        Ok(found.await?)
    }
}

fn in_words(ask: &ApprovalRequest, state: ApprovalState) -> String {
    match state {
        ApprovalState::Pending => {
            "people are asked about the plan, and nothing of it is agreed to yet; ask again where it \
                                   stands, or go on call by call"
                .into()
        }
        ApprovalState::Approved => {
            "people have agreed: propose each step exactly as it stands, in this order. A call with \
                                    other values, or that is no step, is asked about by itself"
                .into()
        }
        ApprovalState::Rejected => {
            let no = ask.votes.iter().find(|vote| !vote.yes);
            let (who, why) = no.map_or(("somebody", ""), |vote| (vote.person.as_str(), vote.reason.as_str()));
            let said = format!("`{who}` said no: {why}");
            format!("{}. The run goes on; propose another plan, or call by call", said.trim_end_matches(": "))
        }
        ApprovalState::Expired => {
            "nobody agreed in time, or the yes is over; propose it again, or go on call by call".into()
        }
        ApprovalState::Withdrawn => "another plan has taken its place, or the run has ended".into(),
        ApprovalState::Used => "nothing is left of it; go on call by call, or propose another".into(),
    }
}

/// The plan that somebody means.
fn read(stated: &Value) -> Result<ProposedPlan, GateError> {
    let invalid = |why: String| GateError::refused(code::REQUEST_INVALID, why);
    let text = stated.to_string();
    if text.len() > PLAN_BYTES_MAX {
        return Err(invalid(format!("the plan is longer than {PLAN_BYTES_MAX} bytes")));
    }
    // Keys of ours are nobody's arguments, and nothing that people should read.
    let clean: Value = serde_json::from_str(&without_keys(&text))
        .map_err(|e| invalid(format!("the plan is not understood: {e}")))?;
    match Plan::read(&clean) {
        Some(Ok(plan)) => Ok(ProposedPlan::new(&plan)),
        Some(Err(why)) => Err(invalid(why)),
        None => Err(invalid(
            "a plan is `{\"steps\": […]}`, and each step has an `action` and says what its `arguments` are"
                .into(),
        )),
    }
}

/// The values of all steps that nobody who is trusted stands behind, each once.
fn unproven(outlook: &Outlook) -> Vec<UnprovenValue> {
    let mut out: BTreeMap<String, UnprovenValue> = BTreeMap::new();
    for standing in outlook.steps.iter().flat_map(|step| &step.values).filter(|s| s.unproven) {
        let value = match &standing.value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let one = UnprovenValue { at: standing.at.clone(), class: standing.class, value, seen: Vec::new() };
        out.entry(one.value.clone()).or_insert(one);
    }
    out.into_values().collect()
}
