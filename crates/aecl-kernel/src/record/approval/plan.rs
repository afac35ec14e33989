//! A plan that was put before people, as the request records it.

use crate::base::code::Code;
use crate::base::digest::Digest;
use crate::base::json::write_canonical;
use crate::base::principal::Principal;
use crate::base::time::Timestamp;
use crate::define::isolation::IsolationTier;
use crate::record::goal::{Goal, ProposedPlan};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// Plan that was put before people, as it is recorded. The plan itself stands with the goal, where it can be erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanAsked {
    /// The policy that was asked.
    pub bundle: Digest,
    /// The steps, in order.
    pub steps: Vec<StepAsked>,
    /// Digest of the steps that an agent has proposed in the middle of its run. A plan that the run was opened with has
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed: Option<Digest>,
}

impl PlanAsked {
    /// Whether it is the plan that the run was opened with: a no to it is a no to what the run is for.
    pub fn is_declared(&self) -> bool {
        self.proposed.is_none()
    }

    /// What a yes to a plan is bound to that an agent has proposed: as of a declared one, and the declared one too.
    pub fn digest_of_proposed(
        goal: &Goal,
        plan: &ProposedPlan,
        principal: &Principal,
        bundle: Digest,
        expires_at: Timestamp,
    ) -> Digest {
        let declared = Self::digest(goal, principal, bundle, expires_at).to_string();
        let stated = plan.digest(&principal.run).to_string();
        Digest::of_parts("aecl/proposed-plan/v1", &[declared.as_bytes(), stated.as_bytes()])
    }

    /// What a yes is bound to: goal and plan, who acts where and in which run, the policy, and until when it counts.
    pub fn digest(goal: &Goal, principal: &Principal, bundle: Digest, expires_at: Timestamp) -> Digest {
        let mut stated = Vec::new();
        write_canonical(goal.plan.as_ref().unwrap_or(&Value::Null), &mut stated);
        // A principal always can be written; if it could not, the digest would fit nothing.
        let principal = serde_json::to_vec(principal).unwrap_or_default();
        let (bundle, until) = (bundle.to_string(), expires_at.to_string());
        let parts = [goal.text.as_bytes(), &stated, &principal, bundle.as_bytes(), until.as_bytes()];
        Digest::of_parts("aecl/plan/v1", &parts)
    }
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
    pub tier: Option<IsolationTier>,
    /// What it would have asked about by itself.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub asks: BTreeSet<Code>,
}
