//! A plan that was put before people, as the request records it.

use crate::base::code::Code;
use crate::base::digest::Digest;
use crate::define::cage::Tier;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What was put before people, as it is recorded. The plan itself stands with the goal, where it can be erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanAsked {
    /// The policy that was asked.
    pub bundle: Digest,
    /// The steps, in order.
    pub steps: Vec<StepAsked>,
}

/// A step, as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepAsked {
    /// The definition of its action.
    pub definition: Digest,
    /// How often, at most.
    pub times: u32,
    /// How strongly its program would be held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// What it would have asked about by itself.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub asks: BTreeSet<Code>,
}
