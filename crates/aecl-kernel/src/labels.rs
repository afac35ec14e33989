//! Labels: what a run has seen, and what it may rest on. They only ever grow while the run lives.
//!
//! Trust must be proven, taint is the default. Once a run has read what a stranger may have written, an
//! argument that matters is acceptable only if exactly this value, as a thing of its kind, stands where
//! trusted people put it. Whether it also stands in a stranger's text decides nothing.

pub mod atoms;
pub mod canon;
pub mod goal;
pub mod ingest;
pub mod proof;
mod secrets;
pub mod seen;

use crate::catalogue::Output;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The data class of values that must not leave.
pub const SECRET: &str = "secret";

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
    /// The labels of an output, as the catalogue declares them for all of it.
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
