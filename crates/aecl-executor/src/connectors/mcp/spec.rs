//! How an upstream server is reached, as the operator wrote it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One upstream MCP server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamSpec {
    /// Its name in the configuration and in the catalogue.
    pub name: String,
    /// How it is reached.
    pub transport: Transport,
    /// The longest message we accept from it. Beyond that the connection is torn down.
    #[serde(default = "default_message_max_bytes")]
    pub message_max_bytes: usize,
    /// How long connecting and the handshake may take.
    #[serde(default = "default_connect_timeout_ms")]
    pub connect_timeout_ms: u64,
    /// How long a server may stay silent on `server/discover` before it is asked in the older way.
    #[serde(default = "default_probe_timeout_ms")]
    pub probe_timeout_ms: u64,
}

/// A child process, or an HTTP endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Transport {
    /// A program which speaks on its standard input and output.
    Stdio {
        /// The executable. No shell reads it.
        command: String,
        /// Its arguments.
        #[serde(default)]
        args: Vec<String>,
        /// Variables beyond `PATH`, `HOME`, `LANG` and `TMPDIR`. Values may hold `{secret:…}`.
        #[serde(default)]
        env: BTreeMap<String, String>,
        /// Where it starts.
        #[serde(default)]
        cwd: Option<PathBuf>,
        /// The scope of the secrets in `env`. Only actions of agents of this scope are sent to the server.
        #[serde(default)]
        credential_scope: Option<String>,
    },
    /// Streamable HTTP.
    Http {
        /// The endpoint.
        url: String,
        /// Headers of every request. Values may hold `{secret:…}`.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// Whether this host and port may be loopback or a private network.
        #[serde(default)]
        allow_private: bool,
        /// Whether to keep a stream open for what an older server says unasked.
        #[serde(default = "yes")]
        listen: bool,
        /// The scope of the secrets in `headers`. Only actions of agents of this scope are sent to the server.
        #[serde(default)]
        credential_scope: Option<String>,
    },
}

impl Transport {
    /// The texts that may hold secret references, by the name of what they set.
    pub fn templates(&self) -> &BTreeMap<String, String> {
        match self {
            Self::Stdio { env, .. } => env,
            Self::Http { headers, .. } => headers,
        }
    }

    /// The scope of its credentials.
    #[must_use]
    pub fn credential_scope(&self) -> Option<&str> {
        match self {
            Self::Stdio { credential_scope, .. } | Self::Http { credential_scope, .. } => {
                credential_scope.as_deref()
            }
        }
    }

    /// Whether it uses credentials, or says that it does.
    #[must_use]
    pub fn uses_credentials(&self) -> bool {
        self.credential_scope().is_some() || self.templates().values().any(|text| text.contains("{secret:"))
    }
}

fn yes() -> bool {
    true
}

fn default_message_max_bytes() -> usize {
    16 << 20
}

fn default_connect_timeout_ms() -> u64 {
    60_000
}

fn default_probe_timeout_ms() -> u64 {
    3_000
}

impl UpstreamSpec {
    /// A server with the usual limits.
    #[must_use]
    pub fn new(name: impl Into<String>, transport: Transport) -> Self {
        Self {
            name: name.into(),
            transport,
            message_max_bytes: default_message_max_bytes(),
            connect_timeout_ms: default_connect_timeout_ms(),
            probe_timeout_ms: default_probe_timeout_ms(),
        }
    }
}
