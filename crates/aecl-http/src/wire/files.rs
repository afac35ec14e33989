//! What a request would change in files, beside what is there.

use aecl_executor::connectors::files::{ShownFile, ShownFiles};
use serde::Serialize;
use utoipa::ToSchema;

/// What a request would change in files, as far as AECL reads them itself.
#[derive(Debug, Serialize, ToSchema)]
pub struct FileChanges {
    /// File by file, what acts by itself first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<FileChange>,
    /// Why there is no difference to be shown, if there is none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// What would happen to one file.
#[derive(Debug, Serialize, ToSchema)]
pub struct FileChange {
    /// Where it is, below the root of the action's connector.
    pub path: String,
    /// `created`, `changed` or `deleted`.
    pub what: &'static str,
    /// What to know of it: that it can be run, its permissions, where a link leads.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<String>,
    /// Why it acts by itself, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub special: Option<String>,
    /// How many lines come, in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub added: Option<usize>,
    /// How many lines go, in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed: Option<usize>,
    /// The difference, entry by entry. The first character says what it is: `@` a place, a space a line that stays, `-`
    /// one that goes, `+` one that comes, `…` how much is left out, `\\` a word of ours about the line before. The rest
    /// may be a stranger's text.
    pub difference: Vec<String>,
}

impl From<ShownFile> for FileChange {
    fn from(file: ShownFile) -> Self {
        let ShownFile { path, what, marks, special, lines, difference } = file;
        let (added, removed) = lines.unzip();
        Self { path, what, marks, special, added, removed, difference }
    }
}

impl FileChanges {
    /// What people are shown, if it is about files.
    pub fn of(shown: ShownFiles) -> Option<Self> {
        let note = match shown {
            ShownFiles::None => return None,
            ShownFiles::Changes(files) => {
                let changes = files.into_iter().map(FileChange::from).collect();
                return Some(Self { changes, note: String::new() });
            }
            ShownFiles::Cannot(why) => format!("As things are now a yes changes nothing: {why}"),
            ShownFiles::Elsewhere(server) => format!(
                "The server `{server}` reads and writes this by itself. AECL does not know what is there now, so what \
                 would be lost is not shown; the new content is, whole."
            ),
        };
        Some(Self { changes: Vec::new(), note })
    }
}
