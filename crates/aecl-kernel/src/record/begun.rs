//! What a run has begun and something else may complete: which call has issued what, where that call stands, and what a person
//! has read about it.

use crate::base::digest::Digest;
use crate::base::id::{ActionId, RunId};
use crate::record::approval::CompletedBy;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most calls of which one value is known to be issued. With more, it is nobody's.
pub(crate) const CALLS_MAX: usize = 8;

/// Calls that have issued one value, in a run and in those that it was delegated from or to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issuers {
    /// The calls, in order.
    pub calls: Vec<Issuer>,
    /// There were more than are kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// Call that has issued a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issuer {
    /// The call.
    pub action: ActionId,
    /// Its run.
    pub run: RunId,
    /// The name of its action.
    pub name: String,
    /// Where the value stood in its answer.
    pub field: String,
    /// Digest of the value as it is written.
    pub exact: Digest,
    /// Digests of its arguments, by their JSON pointers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arguments: BTreeMap<String, Digest>,
}

/// Beginnings of a run: whether something in it waits to be completed. What was begun in runs that it was delegated from or to
/// counts, since each of them may change it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Beginnings {
    /// Nothing was begun.
    #[default]
    None,
    /// A call has issued something that another may complete.
    Some,
    /// The same, and a call has carried more values than are looked for: whether it has changed what was begun is not known.
    Lost,
}

impl Beginnings {
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// Backing of a call that something else may complete, as it was decided about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Beginning {
    /// The goal asks for it, and everything that matters in it is what somebody who is trusted has named.
    Asked,
    /// People have agreed to it.
    Agreed {
        /// What they have read may complete it without another question.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        shown: Vec<CompletedBy>,
    },
}

/// Reason why a value is not what one call of the run has issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BegunFlaw {
    /// Several calls have issued it.
    Several,
    /// The call belongs to another run.
    Elsewhere,
    /// It was issued in another writing.
    Writing,
}
