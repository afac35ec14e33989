//! What a client tells its hook, in one form for all clients; how it is answered.

use serde_json::Value;
use std::path::PathBuf;

/// Event of a session.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    pub session: String,
    /// Where the tool would be used.
    pub cwd: PathBuf,
    pub kind: Kind,
}

/// Kind of an event.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// The user has asked for something.
    Prompt(String),
    /// A tool is about to be used.
    Before(Call),
    /// A tool was used.
    After(Call, Ending),
    /// Anything else.
    Other,
}

/// Use of a tool.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    pub tool: String,
    pub input: Value,
    /// The client's name of this call; some have none.
    pub id: Option<String>,
    /// The MCP server and its tool, where it is one.
    pub mcp: Option<(String, String)>,
}

/// How the use of a tool ended, as far as the client says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ending {
    /// With this answer.
    Answered(Value),
    /// With an error of the tool.
    Failed(String),
    /// In the middle of it.
    Interrupted(String),
    /// Before it began: the client's own rules said no.
    NotBegun(String),
}

/// Answer to a client that is about to use a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nothing speaks against it here. The client's own rules hold all the same.
    Pass,
    /// It is not used; this is what the model is told.
    Deny(String),
    /// People are asked; a client that can wait without a process comes back. Others deny.
    Later(String),
}
