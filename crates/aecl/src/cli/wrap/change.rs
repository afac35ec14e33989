//! One change of a client's file, as it is kept.

use super::entry::Ours;
use super::hooks::Hook;
use aecl_kernel::base::digest::Digest;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One change of one file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Change {
    pub client: String,
    pub file: PathBuf,
    /// Absent: there was no file.
    pub before: Option<String>,
    /// Digest of the content that it was given.
    pub after: Digest,
    /// The entries in it that are ours.
    #[serde(default)]
    pub entries: Vec<Ours>,
    /// The hooks in it that are ours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<Hook>,
}
