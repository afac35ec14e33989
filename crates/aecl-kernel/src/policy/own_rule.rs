//! A rule that people wrote, for whoever looks at it.

use crate::base::id::{ActionName, AgentId};
use serde::Serialize;

/// A rule that people wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OwnRule {
    /// What it says, in words.
    pub says: String,
    /// Its text in Cedar.
    pub text: String,
    /// For whom and what it can matter.
    pub pairs: Vec<(AgentId, ActionName)>,
}
