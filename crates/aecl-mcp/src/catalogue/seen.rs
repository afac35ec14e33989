//! What was seen of one tool: as it was accepted, as it is offered, and to whom that was shown.

use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::json::Document;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Definitions of one tool that were seen, as their pinned members: for showing what changed. The pin in
/// the catalogue is what counts.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// As it was when it was imported or accepted.
    #[serde(default)]
    pub accepted: Option<Value>,
    /// As its server offers it now, if that is something else, or nothing was accepted.
    #[serde(default)]
    pub offered: Option<Value>,
    /// As its server offers it now, if only its title or `_meta` is not what was accepted: clients get it without them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<Value>,
    /// The time that was written into its entry without a person; another one is a person's, and stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Digest of what waits to be accepted, as it was shown last to each person or user of this machine.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shown_to: BTreeMap<String, Digest>,
}

impl Seen {
    /// Whether it is kept back because nobody has ever accepted it.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.accepted.is_none() && self.offered.is_some()
    }

    /// What waits to be accepted.
    #[must_use]
    pub fn waiting(&self) -> Option<&Value> {
        self.offered.as_ref().or(self.left_out.as_ref())
    }

    /// The digest of what waits to be accepted.
    #[must_use]
    pub fn waiting_digest(&self) -> Option<Digest> {
        Document::from_value(self.waiting()?.clone()).ok().map(|document| document.digest())
    }

    /// Whether what waits was shown to them as it is now.
    #[must_use]
    pub fn was_shown(&self, whom: &str) -> bool {
        self.shown_to.get(whom).is_some_and(|shown| Some(*shown) == self.waiting_digest())
    }

    /// Notes that this was shown to them, and forgets what is not waiting any more.
    pub(super) fn show(&mut self, whom: &str, shown: Digest) {
        let waits = self.waiting_digest();
        self.shown_to.insert(whom.to_owned(), shown);
        self.shown_to.retain(|_, shown| Some(*shown) == waits);
    }
}
