//! **`aecl` speaks.** Commands, and the server that puts HTTP API, pages and MCP gateway together: they translate between
//! the world and the gate, and hold no state of their own.

pub mod cli;

pub use aecl_http as http;
pub use aecl_mcp as mcp;
