//! What to do next: the entry of an MCP client's configuration, with paths that hold from everywhere.

use super::Error;
use aecl_gate::config::Home;
use aecl_kernel::base::id::AgentId;
use serde_json::{Value, json};

/// What the person is told.
#[derive(Debug)]
pub(super) struct Steps {
    /// The directory, absolute.
    pub dir: String,
    /// The client's configuration, if there is a server to stand in front of.
    pub client: Option<Value>,
    /// The same as text.
    pub snippet: String,
}

pub(super) fn steps(home: &Home, agent: &AgentId, servers: &[String]) -> Result<Steps, Error> {
    let dir = std::fs::canonicalize(home.dir())
        .map_err(|e| Error::new(format!("cannot find `{}`: {e}", home.dir().display())))?
        .display()
        .to_string();
    // A client starts the program from wherever it is, so both paths are absolute.
    let program = std::env::current_exe().map_or_else(|_| "aecl".into(), |p| p.display().to_string());
    let here = std::env::current_dir().map_or_else(|_| ".".into(), |p| p.display().to_string());
    let mut entries = serde_json::Map::new();
    for server in servers {
        let (package, arguments) = match server.as_str() {
            "filesystem" => ("@modelcontextprotocol/server-filesystem".to_owned(), vec![here.clone()]),
            other => (format!("THE-SERVER-{other}"), Vec::new()),
        };
        let mut args =
            vec!["--dir".to_owned(), dir.clone(), "mcp".into(), "--agent".into(), agent.to_string()];
        args.extend(["--server".into(), server.clone(), "--".into(), "npx".into(), "-y".into(), package]);
        args.extend(arguments);
        entries.insert(server.clone(), json!({"command": program, "args": args}));
    }
    let client = (!entries.is_empty()).then(|| json!({"mcpServers": entries}));
    let snippet = client.as_ref().and_then(|c| serde_json::to_string_pretty(c).ok()).unwrap_or_default();
    Ok(Steps { dir, client, snippet })
}
