//! What people's yes to a plan covers. It stands for their yes to a call that is the plan's next step, as long as
//! everything they are asked about stands in the plan as they read it. It answers findings that ask for a person,
//! and no others: what is blocked stays blocked, budgets and caps stay as they are.

use crate::base::digest::Digest;
use crate::base::id::ApprovalId;
use crate::base::time::Timestamp;
use crate::define::isolation::IsolationTier;
use crate::record::approval::{ApprovalState, Quorum, Vote};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Cover of an action by the plan: what is known of the request to approve it, for the step that the action is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cover {
    /// The request.
    pub approval: ApprovalId,
    /// The step, from 0.
    pub step: u32,
    /// The agent has proposed the plan, in the middle of its run: nothing in it is anybody's word.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub proposed: bool,
    /// What was written when it was read.
    pub state: ApprovalState,
    /// Until when a yes counts.
    pub expires_at: Timestamp,
    /// Who answered what.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub votes: Vec<Vote>,
    /// Who had to agree to it. Decisions that were recorded before this was asked have nobody.
    #[serde(default, skip_serializing_if = "Quorum::is_nobody")]
    pub need: Quorum,
    /// The definition of the action that was put before people.
    pub definition: Digest,
    /// How strongly its program was to be held then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<IsolationTier>,
    /// What was typed with a yes, if something had to be.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub typed: BTreeSet<Digest>,
    /// Values of the action that the step spells out, by JSON pointer.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub exact: BTreeSet<String>,
    /// Values that the step gives an upper limit, and that are not negative.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub limited: BTreeSet<String>,
}

impl Cover {
    /// Whether enough people have agreed, and their yes still counts.
    pub fn is_agreed(&self, now: Timestamp) -> bool {
        self.state == ApprovalState::Approved && now < self.expires_at
    }
}
