//! What aecl.yaml says about a server and the entries of its tools.

use super::definition::Annotations;
use super::seen::Seen;
use aecl_executor::connectors::mcp::Transport;
use aecl_gate::config::Home;
use aecl_kernel::define::connector::ConnectorKind;
use serde_json::Value;
use std::collections::BTreeMap;

/// How long a call of a tool may take, where nobody says otherwise. Builds, browsers and research take minutes, and
/// the client can always cancel.
pub const TIMEOUT_MS: u64 = 600_000;

/// What the entries of a server's tools are given.
pub(super) struct Terms {
    pub credential_scope: Option<String>,
    pub timeout_ms: u64,
    pub annotations: Annotations,
}

impl Terms {
    /// `reached`: how the server was reached that listed the tools. Another program under the name of a configured
    /// server is not the one whose annotations are believed.
    pub fn of(home: &Home, server: &str, reached: Option<&Transport>) -> Self {
        let config = home.read().ok();
        let configured = config.as_ref().and_then(|config| config.servers.get(server));
        let same = configured.filter(|c| reached.is_none_or(|reached| reached.is_same_place(c)));
        Self {
            credential_scope: configured.and_then(|c| c.credential_scope()).map(str::to_owned),
            timeout_ms: timeout_of(configured),
            annotations: same
                .and_then(|c| c.trust_annotations())
                .map_or_else(Annotations::default, Into::into),
        }
    }
}

impl Terms {
    /// Writes them into a new entry.
    pub fn fill(&self, entry: &mut Value) {
        let Some(members) = entry.as_object_mut() else { return };
        members.insert("timeout_ms".into(), self.timeout_ms.into());
        // Whoever cannot use the server's credentials is refused when its tools are proposed.
        if let Some(scope) = &self.credential_scope {
            members.insert("credential_scope".into(), scope.as_str().into());
        }
    }
}

/// The time that the entries of a server's tools get.
#[must_use]
pub fn timeout_of(configured: Option<&Transport>) -> u64 {
    configured.and_then(Transport::timeout_ms).unwrap_or(TIMEOUT_MS)
}

/// Brings the times that nobody has chosen to what aecl.yaml says; an entry without one is of a version that gave
/// every tool half a minute. Gives the tools of the entries that changed.
pub(super) fn retimed(
    server: &str,
    entries: &mut [Value],
    known: &BTreeMap<String, Seen>,
    timeout_ms: u64,
) -> Vec<String> {
    let mut timed = Vec::new();
    for entry in entries {
        let name = entry.get("name").and_then(Value::as_str).unwrap_or_default();
        let tool = tool_of(server, name);
        let is_ours = entry.get("connector").and_then(ConnectorKind::of) == Some(ConnectorKind::Mcp);
        let written = known.get(&tool).and_then(|seen| seen.timeout_ms);
        let Some(members) = entry.as_object_mut().filter(|_| is_ours) else { continue };
        let stands = members.get("timeout_ms").map(Value::as_u64);
        let is_chosen = stands.is_some_and(|stands| stands.is_none() || stands != written);
        if !is_chosen && stands != Some(Some(timeout_ms)) {
            members.insert("timeout_ms".into(), timeout_ms.into());
            timed.push(tool);
        }
    }
    timed
}

/// The tool of an entry's name.
pub(super) fn tool_of(server: &str, name: &str) -> String {
    let tool = name.strip_prefix(server).and_then(|rest| rest.strip_prefix('.'));
    tool.unwrap_or(name).to_owned()
}
