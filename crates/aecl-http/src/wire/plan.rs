//! Plans that people are asked about.

use super::ServerWords;
use aecl_gate::proposed::PlanStanding;
use aecl_kernel::base::code::Code;
use aecl_kernel::read::plan::Step;
use aecl_kernel::record::approval::{ApprovalRequest, ApprovalState};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// The request to people about a plan of a run.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PlanApproval {
    /// Its id.
    pub id: String,
    /// The page where people answer it.
    pub url: String,
    /// `pending`, `approved`, `rejected` (with a declared plan the run has ended), `expired` or `withdrawn` (the run has ended).
    pub state: &'static str,
    /// Until when people can answer, and a yes counts.
    pub expires_at: String,
}

impl PlanApproval {
    /// A request as it stands; `url` is where the pages are.
    pub fn of(ask: &ApprovalRequest, state: ApprovalState, url: &str) -> Self {
        Self {
            id: ask.approval.to_string(),
            url: format!("{url}/approvals/{}", ask.approval),
            state: state.name(),
            expires_at: ask.expires_at.to_string(),
        }
    }
}

/// A step of a plan that people are asked about.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PlanStep {
    /// Its number, from 1.
    pub number: u32,
    /// The name of the action.
    pub name: String,
    /// What the action does, as the operator says; empty where only its server says something.
    pub what: String,
    /// What its server says that it does: the server's words, which nobody has checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_says: Option<ServerWords>,
    /// How often, at most.
    pub times: u32,
    /// What its arguments may be.
    pub arguments: Vec<PlanArgument>,
    /// Names of its other arguments, which may be anything.
    pub anything: Vec<String>,
    /// What would be decided about it by itself: `allow`, `require_approval` or `block`.
    pub verdict: &'static str,
    /// Why it would ask by itself.
    pub because: Vec<String>,
    /// How risky it is at most, 0.00 to 1.00.
    pub risk: String,
    /// How it can be undone, or that it cannot.
    pub undo: String,
    /// Whether it can be.
    pub undoable: bool,
    /// What holds the program that carries it out, and because of what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cage: Option<String>,
    /// Whom the program may reach from its cage: where its connector lists somebody, each of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reaches: Vec<String>,
    /// A yes to the plan can be enough for it: nothing that matters, and that it cannot go without, is left open.
    pub covered: bool,
    /// Arguments that matter and are left open. A call that gives one is asked about by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<PlanOpen>,
    /// Who stands behind the values that matter, where the agent proposes the plan.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<PlanValue>,
    /// Destinations that nobody but the plan names, as JSON pointers into the arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unnamed: Vec<String>,
    /// The definition of the action has changed since people were asked, so a yes does not reach it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
}

/// What an argument of a step may be.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PlanArgument {
    /// Where it stands in the arguments, as a JSON pointer.
    pub at: String,
    /// Its role, such as `dest_account`, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<&'static str>,
    /// `equals`, `one_of` or `at_most`.
    pub is: &'static str,
    /// The value, the values, or the most.
    pub values: Vec<Value>,
}

/// A value that matters, and who stands behind it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PlanValue {
    /// Where it stands in the arguments, as a JSON pointer.
    pub at: String,
    /// Its role, such as `dest_account`.
    pub class: &'static str,
    /// The value.
    pub value: Value,
    /// Who stands behind it, in words; empty where nobody does.
    pub stands: String,
    /// Nobody does who is enough for it. `unproven` of the request says where the run has seen it.
    pub unproven: bool,
}

/// Proposes a plan in the middle of a run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposePlan {
    /// The steps, in order: each has an `action`, its `arguments` by JSON pointer (`{"equals": …}`, `{"one_of": […]}`,
    /// `{"at_most": …}`) and, unless it is 1, `times`.
    pub steps: Vec<Value>,
    /// For how many seconds to wait for people before answering `pending`.
    #[serde(default)]
    pub wait_s: u64,
}

/// A plan that an agent has proposed, as it stands.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PlanState {
    /// The run.
    pub run: String,
    /// `pending`, `approved`, `rejected` (the run goes on), `expired` or `withdrawn`.
    pub state: &'static str,
    /// What that means, in words.
    pub message: String,
    /// The request to people.
    pub approval: PlanApproval,
    /// The steps, in order.
    pub steps: Vec<PlanStateStep>,
}

/// A step of a plan that an agent has proposed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PlanStateStep {
    /// Its number, from 1.
    pub number: u32,
    /// The name of the action.
    pub action: String,
    /// How often, at most.
    pub times: u32,
    /// What it would ask about by itself, as codes.
    pub asks: Vec<&'static str>,
}

impl PlanState {
    /// A plan as it stands; `url` is where the pages are.
    pub fn of(standing: &PlanStanding, url: &str) -> Self {
        let one = |(number, (step, asks)): (u32, &(Step, Vec<Code>))| PlanStateStep {
            number,
            action: step.action.clone(),
            times: step.times,
            asks: asks.iter().map(|code| code.as_str()).collect(),
        };
        Self {
            run: standing.ask.run.to_string(),
            state: standing.state.name(),
            message: standing.message.clone(),
            approval: PlanApproval::of(&standing.ask, standing.state, url),
            steps: (1u32..).zip(&standing.steps).map(one).collect(),
        }
    }
}

/// An argument that matters and that a step leaves open.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PlanOpen {
    /// Where it stands in the arguments, as a JSON pointer in which `*` is any step.
    pub at: String,
    /// Its role, such as `dest_account`.
    pub class: &'static str,
    /// The action cannot go without it, so every call is asked about.
    pub required: bool,
}
