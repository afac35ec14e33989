//! A directory whose files may be changed, as the catalogue writes it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A directory whose files may be changed, as the catalogue entry writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilesSpec {
    /// The directory. It must exist.
    pub root: PathBuf,
    /// The most files in one action.
    #[serde(default = "files_max")]
    pub files_max: usize,
    /// The most bytes of one action's new content, and of any one file that it replaces.
    #[serde(default = "bytes_max")]
    pub bytes_max: usize,
}

fn files_max() -> usize {
    500
}

fn bytes_max() -> usize {
    4 << 20
}
