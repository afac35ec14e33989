//! A person whom agents act for, as the operator knows them: what is theirs needs no stranger's word.

use crate::base::id::UserId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Person in a file of `people/`: addresses, accounts and names that are their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonManifest {
    /// The user for whom a run is opened.
    pub user: UserId,
    /// Mail addresses.
    #[serde(default)]
    pub emails: BTreeSet<String>,
    /// Accounts that money comes to.
    #[serde(default)]
    pub accounts: BTreeSet<String>,
    /// Names in the systems that agents use: a handle, a calendar, a phone.
    #[serde(default)]
    pub names: BTreeSet<String>,
    /// Identifiers in these systems.
    #[serde(default)]
    pub ids: BTreeSet<String>,
    /// Pages.
    #[serde(default)]
    pub urls: BTreeSet<String>,
}
