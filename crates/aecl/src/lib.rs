//! **`aecl` speaks.** CLI, HTTP API, MCP gateway and web pages: they translate between the world and the
//! gate, and hold no state of their own.

pub mod cli;
pub mod http;
pub mod mcp;
pub mod web;
