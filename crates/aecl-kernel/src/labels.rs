//! Labels: what a run has seen. They only ever grow while the run lives.

use crate::catalogue::Output;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What the outputs that a run has received carried.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Labels {
    /// Text that a stranger may have written.
    #[serde(default)]
    pub untrusted: bool,
    /// Private data.
    #[serde(default)]
    pub private: bool,
    /// Data classes.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub classes: BTreeSet<String>,
}

impl Labels {
    /// The labels of an output, as the catalogue declares them.
    pub fn of(output: &Output) -> Self {
        Self { untrusted: output.untrusted, private: output.private, classes: output.classes.clone() }
    }

    /// Adds what another has seen; nothing is ever taken away.
    pub fn join(&mut self, other: &Labels) {
        self.untrusted |= other.untrusted;
        self.private |= other.private;
        self.classes.extend(other.classes.iter().cloned());
    }
}
