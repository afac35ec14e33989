//! Tools of MCP servers as catalogue entries: imported with safe defaults, pinned by their definition, and
//! kept in `policy/actions/mcp-<server>.json`, where people edit them.

mod choices;
mod definition;
mod desk;
mod disk;
mod files;
mod functions;
mod guesses;
mod intents;
mod languages;
mod narrower;
mod said;
mod seen;
mod terms;
mod verbs;
mod waiting;

pub use definition::{Annotations, Definition, Pins};
pub use desk::seen;
pub use disk::CatalogueError;
pub use files::{
    Imported, ImportedBy, accept, accept_all, accept_these, amend, changed_at, import, note_shown,
    quarantine, servers, settle,
};
pub use functions::{Function, import_functions};
pub use narrower::is_minor;
pub use said::{INSTRUCTIONS, accept_said, hear, prompt, said};
pub use seen::Seen;
pub use terms::timeout_of;
pub use waiting::waiting;
