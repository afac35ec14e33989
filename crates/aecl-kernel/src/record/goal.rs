//! What a run is for, in words and as a plan. It is read once, when somebody asks.

use crate::provenance::goal::ParsedGoal;
use crate::read::plan::Plan;
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
