//! Tools of MCP servers as catalogue entries: imported with safe defaults, pinned by their definition, and
//! kept in `policy/actions/mcp-<server>.json`, where people edit them.

mod definition;
mod files;

pub use definition::{Definition, pin};
pub use files::{CatalogueError, Imported, Seen, accept, import, quarantine, seen, servers};
