//! A declared plan: the steps that a run was opened for, in order, with what their arguments may be. It is
//! the contract of the run. Whoever opens the run states it together with the goal, before anything is read.
//! People may agree to it as a whole, before any of it happens.

use crate::base::amount::decimal;
use crate::define::catalogue::flow::Class;
use crate::read::action::Action;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Most steps of a plan.
pub const STEPS_MAX: usize = 256;

/// A plan. Any other JSON that is stated as a plan is words for the approver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The steps, in order. A step may be left out; none comes again after a later one.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The exact name of the action.
    pub action: String,
    /// What arguments may be, by JSON pointer; what is not listed may be anything.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arguments: BTreeMap<String, Constraint>,
    /// How often, at most.
    #[serde(default = "once")]
    pub times: u32,
}

impl Step {
    /// Whether whatever is this step has the arguments that the other one names.
    fn is_within(&self, other: &Step) -> bool {
        let said = |pointer: &str, constraint: &Constraint| match self.arguments.get(pointer) {
            Some(own) => constraint.admits_all(own),
            None => self.arguments.iter().filter(|(_, own)| own.is_exact()).any(|(above, own)| {
                let below = pointer.strip_prefix(above.as_str()).filter(|rest| rest.starts_with('/'));
                below.is_some_and(|below| own.values().iter().all(|v| constraint.admits(v.pointer(below))))
            }),
        };
        self.action == other.action && other.arguments.iter().all(|(at, constraint)| said(at, constraint))
    }

    /// Whether the action has the arguments that it names.
    fn fits(&self, action: &Action) -> bool {
        self.arguments.iter().all(|(pointer, c)| c.admits(action.arguments.pointer(pointer)))
    }
}

fn once() -> u32 {
    1
}

/// Constraint on an argument.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Constraint {
    /// Exactly this.
    Equals(Value),
    /// One of these.
    OneOf(Vec<Value>),
    /// A number up to this, also one that is written as text.
    AtMost(serde_json::Number),
}

/// Progress of a run in its plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanProgress {
    /// The step that was carried out last.
    pub step: u32,
    /// How often.
    pub times: u32,
}

impl PlanProgress {
    pub(crate) fn is_start(&self) -> bool {
        *self == Self::default()
    }

    /// The place after one more action of this step.
    #[must_use]
    pub fn after(self, step: u32) -> Self {
        if step == self.step { Self { step, times: self.times + 1 } } else { Self { step, times: 1 } }
    }
}

/// Match of an action with the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum PlanMatch {
    /// It is this step.
    Step {
        /// Its number, from 0.
        step: u32,
    },
    /// A read that the plan does not list: it changes nothing.
    Read,
    /// Its action is not in the plan.
    Unlisted,
    /// Its action is in the plan, with other arguments.
    Otherwise,
    /// It was its turn before, or often enough.
    Over,
}

impl Plan {
    /// The plan that a JSON value declares; nothing if it is words, and an error if it is a plan that
    /// cannot be meant.
    pub fn read(value: &Value) -> Option<Result<Self, String>> {
        let steps = value.get("steps").and_then(Value::as_array)?;
        if !steps.iter().any(|step| step.get("action").is_some()) {
            return None;
        }
        let read: Result<Self, _> =
            serde_json::from_value(value.clone()).map_err(|e| format!("the plan: {e}"));
        Some(read.and_then(|plan| match plan.steps.len() {
            0 => Err("the plan has no steps".into()),
            n if n > STEPS_MAX => Err(format!("the plan has {n} steps; the limit is {STEPS_MAX}")),
            _ => Ok(plan),
        }))
    }

    /// How an action stands to the plan, from this place on.
    pub fn stands(&self, action: &Action, place: PlanProgress) -> PlanMatch {
        let mut standing = PlanMatch::Unlisted;
        for (i, step) in self.steps.iter().enumerate() {
            let number = u32::try_from(i).unwrap_or(u32::MAX);
            if step.action != action.name {
                continue;
            }
            let fits = step.fits(action);
            let turn = number > place.step || (number == place.step && place.times < step.times);
            match (fits, turn) {
                (true, true) => return PlanMatch::Step { step: number },
                (true, false) => standing = PlanMatch::Over,
                (false, _) if standing == PlanMatch::Unlisted => standing = PlanMatch::Otherwise,
                (false, _) => {}
            }
        }
        if standing == PlanMatch::Unlisted && !action.changes_something() {
            return PlanMatch::Read;
        }
        standing
    }

    /// How far a run has come in this plan from this place on, once it has done a step of another plan as often as that says;
    /// or how such a call stands to this plan that it does not have.
    pub fn after(&self, step: &Step, place: PlanProgress) -> Result<PlanProgress, PlanMatch> {
        let (mut place, mut left, mut standing) = (place, step.times, PlanMatch::Unlisted);
        for (number, own) in (0u32..).zip(&self.steps).filter(|(_, own)| own.action == step.action) {
            if !step.is_within(own) {
                standing = if standing == PlanMatch::Unlisted { PlanMatch::Otherwise } else { standing };
                continue;
            }
            standing = PlanMatch::Over;
            let before = if number == place.step { place.times } else { 0 };
            let free = if number < place.step { 0 } else { own.times.saturating_sub(before) };
            let taken = left.min(free);
            if taken > 0 {
                place = PlanProgress { step: number, times: before + taken };
                left -= taken;
            }
            if left == 0 {
                return Ok(place);
            }
        }
        Err(standing)
    }

    /// Whether a step with this action names exactly this value at this place. An upper limit names amounts of this role,
    /// from nothing upwards: less than nothing is below every limit, and may be the opposite.
    pub fn says(&self, action: &Action, pointer: &str, class: Class, value: &Value) -> bool {
        let limits = || class == Class::Magnitude && decimal(value).is_some_and(|n| !n.is_sign_negative());
        // A step that looks at something does not name what another one deletes, though both are calls of one tool.
        let several = action.typed.as_ref().is_some_and(|typed| typed.is_one_of_several());
        let own = |step: &&Step| step.action == action.name && (!several || step.fits(action));
        let steps = self.steps.iter().filter(own);
        steps.filter_map(|step| step.arguments.get(pointer)).any(|constraint| {
            let names = match constraint {
                Constraint::Equals(_) | Constraint::OneOf(_) => true,
                Constraint::AtMost(_) => limits(),
            };
            names && constraint.admits(Some(value))
        })
    }
}

impl Constraint {
    /// Whether it lists what the value may be, so that whoever reads the plan has read the value.
    pub fn is_exact(&self) -> bool {
        match self {
            Self::Equals(_) | Self::OneOf(_) => true,
            Self::AtMost(_) => false,
        }
    }

    /// The values that it lists, or the most that it admits.
    pub fn values(&self) -> Vec<Value> {
        match self {
            Self::Equals(value) => vec![value.clone()],
            Self::OneOf(values) => values.clone(),
            Self::AtMost(most) => vec![Value::Number(most.clone())],
        }
    }

    /// Whether it admits whatever the other one admits.
    fn admits_all(&self, other: &Constraint) -> bool {
        match (self, other) {
            (_, Self::Equals(_) | Self::OneOf(_)) => other.values().iter().all(|v| self.admits(Some(v))),
            (Self::AtMost(_), Self::AtMost(most)) => self.admits(Some(&Value::Number(most.clone()))),
            (Self::Equals(_) | Self::OneOf(_), Self::AtMost(_)) => false,
        }
    }

    fn admits(&self, value: Option<&Value>) -> bool {
        let Some(value) = value else { return false };
        match self {
            Self::Equals(wanted) => value == wanted,
            Self::OneOf(wanted) => wanted.contains(value),
            Self::AtMost(most) => {
                let most = decimal(&Value::Number(most.clone()));
                matches!((decimal(value), most), (Some(n), Some(most)) if n <= most)
            }
        }
    }
}
