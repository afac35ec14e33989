//! What a run is for, in words and as a plan. It is read once, when somebody asks.

use crate::base::digest::Digest;
use crate::base::id::RunId;
use crate::base::json::write_canonical;
use crate::provenance::goal::ParsedGoal;
use crate::read::plan::{Plan, PlanProgress};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::{Arc, OnceLock};

/// What the words of a goal say, and its plan.
type ReadGoal = (Arc<ParsedGoal>, Option<Arc<Plan>>);

/// Goal of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Goal {
    /// In words.
    pub text: String,
    /// Ordered steps, if the planner declared them.
    #[serde(default)]
    pub plan: Option<Value>,
    /// What it says, read when somebody wants to know for the first time.
    #[serde(skip)]
    read: Arc<OnceLock<ReadGoal>>,
}

impl PartialEq for Goal {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, &self.plan) == (&other.text, &other.plan)
    }
}

impl Goal {
    /// A goal, with a plan if there is one.
    pub fn new(text: String, plan: Option<Value>) -> Self {
        Self { text, plan, read: Arc::default() }
    }

    fn read(&self) -> &ReadGoal {
        self.read.get_or_init(|| {
            let plan = self.plan.as_ref().and_then(Plan::read).and_then(Result::ok);
            (Arc::new(ParsedGoal::of(&self.text)), plan.map(Arc::new))
        })
    }

    /// What the words say.
    pub fn reading(&self) -> Arc<ParsedGoal> {
        self.read().0.clone()
    }

    /// The plan, if what was stated is one.
    pub fn contract(&self) -> Option<Arc<Plan>> {
        self.read().1.clone()
    }
}

/// Plan that an agent has proposed in the middle of its run. It has values that the run has read, so it stands beside the
/// request, where it can be erased. It says what people were asked about, and vouches for nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProposedPlan {
    stated: Value,
    /// The same, read when somebody wants to know for the first time.
    #[serde(skip)]
    read: Arc<OnceLock<Option<Arc<Plan>>>>,
}

impl PartialEq for ProposedPlan {
    fn eq(&self, other: &Self) -> bool {
        self.stated == other.stated
    }
}

impl ProposedPlan {
    /// The plan as it is kept: with everything that its agent left out, so that one plan is one text.
    pub fn new(plan: &Plan) -> Self {
        // A plan always can be written; if it could not, nothing would be a step of it.
        Self { stated: serde_json::to_value(plan).unwrap_or_default(), read: Arc::default() }
    }

    /// As JSON.
    pub fn stated(&self) -> &Value {
        &self.stated
    }

    /// The steps.
    pub fn plan(&self) -> Option<Arc<Plan>> {
        self.read.get_or_init(|| Plan::read(&self.stated).and_then(Result::ok).map(Arc::new)).clone()
    }

    /// Whether nothing is left of it once a run has come so far.
    pub fn is_used_up(&self, place: PlanProgress) -> bool {
        let Some(plan) = self.plan() else { return true };
        let last = plan.steps.len().saturating_sub(1);
        let times = plan.steps.last().map_or(0, |step| step.times);
        place.step as usize >= last && place.times >= times
    }

    /// What tells this plan from all others of the run.
    pub fn digest(&self, run: &RunId) -> Digest {
        let mut stated = Vec::new();
        write_canonical(&self.stated, &mut stated);
        Digest::of_parts("aecl/proposed-steps/v1", &[run.as_str().as_bytes(), &stated])
    }
}
