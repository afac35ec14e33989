//! What policy is asked about.

use crate::base::evidence::Evidence;
use crate::base::time::Timestamp;
use crate::read::action::Action;
use crate::record::facts::Facts;

/// Request to policy: nothing of what has been decided, and nothing of whom the bundle names.
#[derive(Debug, Clone, Copy)]
pub struct PolicyRequest<'a> {
    /// What is proposed.
    pub action: &'a Action,
    /// What is known.
    pub facts: &'a Facts,
    /// What was found out outside.
    pub evidence: &'a [Evidence],
    /// The time.
    pub now: Timestamp,
}
