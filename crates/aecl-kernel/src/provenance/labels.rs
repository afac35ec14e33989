//! Labels: what a run has seen, and what it may rest on. They only ever grow while the run lives.
//!
//! Trust must be proven, taint is the default. Once a run has read what a stranger may have written, an
//! argument that matters is acceptable only if exactly this value, as a thing of its kind, stands where
//! trusted people put it. Whether it also stands in a stranger's text decides nothing.

use crate::define::catalogue::OutputDeclaration;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// The data class of values that must not leave.
pub const SECRET: &str = "secret";

/// A run that has it has read secret values that cannot be recognised again: too long, too short or too many.
pub const SECRET_UNTRACKED: &str = "secret_untracked";

/// Labels of the outputs that a run has received.
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
    pub fn of(output: &OutputDeclaration) -> Self {
        Self { untrusted: output.untrusted, private: output.private, classes: output.classes.clone() }
    }

    /// Adds what another has seen; nothing is ever taken away.
    pub fn join(&mut self, other: &Labels) {
        self.untrusted |= other.untrusted;
        self.private |= other.private;
        self.classes.extend(other.classes.iter().cloned());
    }
}

/// Visits every value that holds no other, with its JSON pointer.
pub(crate) fn each_leaf<'a>(
    value: &'a Value,
    path: &mut String,
    visit: &mut dyn FnMut(&'a Value, &mut String),
) {
    let length = path.len();
    let mut below = |step: &str, value: &'a Value| {
        path.push('/');
        match step.contains(['~', '/']) {
            true => path.push_str(&step.replace('~', "~0").replace('/', "~1")),
            false => path.push_str(step),
        }
        each_leaf(value, path, visit);
        path.truncate(length);
    };
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(name, value)| below(name, value));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, item)| below(&i.to_string(), item));
        }
        leaf => visit(leaf, path),
    }
}
