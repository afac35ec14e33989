//! What judges outside the kernel said. Their answers are data and are recorded; they can only tighten.

use serde::{Deserialize, Serialize};

/// One judge's answer about one action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Who was asked.
    pub judge: String,
    /// What was asked.
    pub about: String,
    /// Points of suspicion that the answer adds, 0 to 100. Silence counts against the action.
    pub points: u32,
    /// The answer in words.
    pub said: String,
}
