//! The MCP gateway: a raw relay in which everything that acts goes through the gate.

pub mod front;
pub mod http;

pub use front::{Front, Opening, Outbound};
