//! How an action reaches the world, as its catalogue entry says it: data, read once, when the catalogue loads.
//!
//! Here stands what is written. How it is done, and what cannot be meant although it can be read, the executor knows. What
//! the kernel has to know of a connector, it asks of these types.

pub mod files;
pub mod http;
pub mod process;
pub mod sql;
pub mod worker;

use crate::define::isolation::Requirements;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use files::FilesSpec;
use http::HttpSpec;
use process::ProcessSpec;
use sql::SqlSpec;
use worker::WorkerSpec;

/// Specification of a connector: how an action reaches the world, as its catalogue entry says it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ConnectorSpec {
    /// A tool of an upstream MCP server.
    Mcp {
        /// The server's name in the configuration.
        server: String,
        /// The tool's name on that server.
        tool: String,
        /// Another method than `tools/call`, such as `resources/read`; then the arguments are its params.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        method: Option<String>,
    },
    /// A REST request from a template.
    Http(Box<HttpSpec>),
    /// One SQL statement with named parameters.
    Sql(SqlSpec),
    /// Changes of files below one directory.
    Files(FilesSpec),
    /// A program in a cage.
    Process(Box<ProcessSpec>),
    /// A program of the operator's that takes calls from here.
    Worker(WorkerSpec),
}

/// Kind of a connector, as `kind` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum ConnectorKind {
    Mcp,
    Http,
    Sql,
    Files,
    Process,
    Worker,
}

impl ConnectorKind {
    /// The kind that is written there, whatever stands beside it; nothing if it is none of ours.
    pub fn of(written: &Value) -> Option<Self> {
        Self::deserialize(written.get("kind")?).ok()
    }
}

/// A connector that is not read, and why. It carries nothing out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`connector`: {why}")]
pub struct UnreadableConnector {
    /// What it says that it is.
    pub kind: Option<ConnectorKind>,
    /// What is wrong with it.
    pub why: String,
}

impl ConnectorSpec {
    /// Reads a connector; nothing where none is written, since an agent carries that out itself.
    ///
    /// A bundle with a connector that cannot be read compiles: what an earlier version wrote down must be decided again
    /// as it was. The gate does not load it.
    pub fn read(written: &Value) -> Result<Option<Self>, UnreadableConnector> {
        if written.is_null() {
            return Ok(None);
        }
        serde_json::from_value(written.clone())
            .map(Some)
            .map_err(|e| UnreadableConnector { kind: ConnectorKind::of(written), why: e.to_string() })
    }

    /// Its kind.
    pub fn kind(&self) -> ConnectorKind {
        match self {
            Self::Mcp { .. } => ConnectorKind::Mcp,
            Self::Http(_) => ConnectorKind::Http,
            Self::Sql(_) => ConnectorKind::Sql,
            Self::Files(_) => ConnectorKind::Files,
            Self::Process(_) => ConnectorKind::Process,
            Self::Worker(_) => ConnectorKind::Worker,
        }
    }

    /// The program that carries it out here, if one does.
    pub fn program(&self) -> Option<&ProcessSpec> {
        match self {
            Self::Process(spec) => Some(spec),
            Self::Mcp { .. } | Self::Http(_) | Self::Sql(_) | Self::Files(_) | Self::Worker(_) => None,
        }
    }

    /// What it needs of its cage, if a program carries it out here.
    pub fn needs(&self) -> Option<Requirements> {
        self.program().map(ProcessSpec::needs)
    }
}

impl UnreadableConnector {
    /// What it needs of its cage. A program of which nobody can read what it may have needs everything.
    pub fn needs(&self) -> Option<Requirements> {
        match self.kind {
            Some(ConnectorKind::Process) => Some(Requirements::ALL),
            Some(
                ConnectorKind::Mcp
                | ConnectorKind::Http
                | ConnectorKind::Sql
                | ConnectorKind::Files
                | ConnectorKind::Worker,
            )
            | None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn needs(written: &Value) -> Option<Requirements> {
        match ConnectorSpec::read(written) {
            Ok(spec) => spec.and_then(|spec| spec.needs()),
            Err(unreadable) => unreadable.needs(),
        }
    }

    fn words(needs: Requirements) -> String {
        let Requirements { memory, cpu, views, overlays, listener, module } = needs;
        let all = [
            (memory, "memory"),
            (cpu, "cpu"),
            (views, "views"),
            (overlays, "overlays"),
            (listener, "listener"),
            (module, "module"),
        ];
        all.into_iter().filter_map(|(needed, word)| needed.then_some(word)).collect::<Vec<_>>().join(" ")
    }

    fn program(more: &Value) -> Value {
        let mut written = json!({ "kind": "process", "argv": ["true"] });
        written.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        written
    }

    /// The keys of a program and what follows from each. A key that is called otherwise in the type is not read, and
    /// then this table does not hold.
    #[test]
    fn what_a_program_needs_of_its_cage_follows_from_its_keys() {
        let view = json!({ "source": "/srv", "at": "/srv" });
        let layered = json!({ "source": "/opt", "at": "/opt", "access": "overlay" });
        let plain = json!({ "source": "/opt", "at": "/opt", "access": "read_only" });
        let host = json!({ "host": "example.com" });
        let credential = json!({ "secret": "{secret:secret:T}", "variable": "T", "header": "authorization", "methods": ["GET"] });
        let with_credential = json!({ "host": "example.com", "credential": credential });
        let image = json!({ "layout": "/srv/images/tools", "digest": "sha256:0" });
        let module = json!({ "module": { "path": "/srv/x.wasm", "sha256": "0" } });
        for (more, expected) in [
            (json!({}), "memory"),
            (json!({ "limits": {} }), "memory"),
            (json!({ "limits": { "memory_max_mib": 64 } }), "memory"),
            (json!({ "limits": { "memory_max_mib": null } }), ""),
            (json!({ "limits": { "cpu_max_millicores": 500 } }), "memory cpu"),
            (json!({ "limits": { "cpu_max_millicores": null, "memory_max_mib": null } }), ""),
            (json!({ "views": [] }), "memory"),
            (json!({ "views": [view, plain] }), "memory views"),
            (json!({ "views": [view, layered] }), "memory views overlays"),
            (json!({ "egress": [] }), "memory"),
            (json!({ "egress": [host] }), "memory listener"),
            (json!({ "egress": [host], "views": [layered] }), "memory views overlays listener"),
            (json!({ "egress": [with_credential] }), "memory views listener"),
            (json!({ "image": image }), "memory views"),
            (json!({ "image": null }), "memory"),
            (json!({ "wasm": module }), "memory views module"),
            (json!({ "wasm": null }), "memory"),
        ] {
            let written = program(&more);
            ConnectorSpec::read(&written).unwrap();
            assert_eq!(words(needs(&written).unwrap()), expected, "{written}");
        }
    }

    #[test]
    fn what_is_no_program_needs_no_cage() {
        for written in [
            Value::Null,
            json!({ "kind": "mcp", "server": "s", "tool": "t" }),
            json!({ "kind": "http", "method": "GET", "url": "https://a.example/" }),
            json!({ "kind": "sql", "database": "a.db", "mode": "read", "statement": "SELECT 1" }),
            json!({ "kind": "files", "root": "/srv" }),
            json!({ "kind": "worker" }),
        ] {
            ConnectorSpec::read(&written).unwrap();
            assert_eq!(needs(&written), None, "{written}");
        }
    }

    #[test]
    fn a_program_that_cannot_be_read_needs_everything() {
        for more in [
            json!({ "limit": { "memory_max_mib": null } }),
            json!({ "limits": { "memory_mib": null } }),
            json!({ "view": [{ "source": "/srv", "at": "/srv" }] }),
            json!({ "views": [{ "source": "/srv", "at": "/srv", "acess": "overlay" }] }),
            json!({ "views": "/srv" }),
            json!({ "outgoing": [{ "host": "example.com" }] }),
            json!({ "egress": [{ "hosts": "example.com" }] }),
            json!({ "modul": {} }),
            json!({ "wasm": {} }),
            json!({ "images": {} }),
            json!({ "argv": null }),
        ] {
            let written = program(&more);
            ConnectorSpec::read(&written).unwrap_err();
            assert_eq!(needs(&written), Some(Requirements::ALL), "{written}");
        }
        for written in [json!({ "kind": "sql" }), json!({ "kind": "smtp" }), json!({}), json!("process")] {
            ConnectorSpec::read(&written).unwrap_err();
            assert_eq!(needs(&written), None, "{written}");
        }
    }

    #[test]
    fn a_kind_is_written_as_its_connector_writes_it() {
        for written in [
            json!({ "kind": "mcp", "server": "s", "tool": "t" }),
            json!({ "kind": "http", "method": "GET", "url": "https://a.example/" }),
            json!({ "kind": "sql", "database": "a.db", "mode": "read", "statement": "SELECT 1" }),
            json!({ "kind": "files", "root": "/srv" }),
            json!({ "kind": "worker" }),
            program(&json!({})),
        ] {
            let spec = ConnectorSpec::read(&written).unwrap().unwrap();
            assert_eq!(Some(spec.kind()), ConnectorKind::of(&written));
            assert_eq!(json!(spec.kind()), written["kind"]);
            assert_eq!(serde_json::to_value(&spec).unwrap()["kind"], written["kind"]);
        }
    }
}
