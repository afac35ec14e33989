//! How an action reaches the world, as its catalogue entry says it: data, and what can be seen to be wrong with it.

pub mod files;
pub mod http;
pub mod process;
pub mod sql;

use aecl_egress::vault::references;
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

impl ConnectorSpec {
    /// What is wrong with the secret references in it.
    pub(crate) fn check_secrets(&self) -> Result<(), String> {
        match self {
            Self::Mcp { .. } => Ok(()),
            Self::Http(spec) => spec
                .headers
                .values()
                .try_for_each(|text| references(text).map(drop).map_err(|e| e.to_string())),
            Self::Sql(spec) if spec.statement.contains("{secret:") => {
                Err("a statement holds no secrets: what it says is shown to people and kept".into())
            }
            Self::Sql(_) | Self::Files(_) => Ok(()),
            Self::Process(spec) => {
                let texts = spec.argv.iter().chain(spec.env.values()).chain(&spec.stdin);
                if texts.into_iter().any(|text| text.contains("{secret:")) {
                    return Err("a program in a cage gets no secrets: it could tell them to anybody".into());
                }
                Ok(())
            }
        }
    }
}
