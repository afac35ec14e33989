//! How an action reaches the world, as its catalogue entry says it: data, and what can be seen to be wrong with it.

pub mod files;
pub mod http;
pub mod process;
pub mod sql;

use serde::{Deserialize, Serialize};

use files::FilesSpec;
use http::HttpSpec;
use process::ProcessSpec;
use sql::SqlSpec;

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
}
