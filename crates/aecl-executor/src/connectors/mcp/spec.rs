//! How an upstream server is reached, as the operator wrote it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use aecl_egress::login::OauthSpec;

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
        /// How long a call of its tools may take, where their catalogue entries are not given a time of their own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout_ms: Option<u64>,
        /// What the operator believes of the annotations of its tools.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trust_annotations: Option<TrustedAnnotations>,
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
        /// How to log in there, where the server does not say everything itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        oauth: Option<OauthSpec>,
        /// Whether to keep a stream open for what an older server says unasked.
        #[serde(default = "yes")]
        listen: bool,
        /// The scope of the secrets in `headers`. Only actions of agents of this scope are sent to the server.
        #[serde(default)]
        credential_scope: Option<String>,
        /// How long a call of its tools may take, where their catalogue entries are not given a time of their own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout_ms: Option<u64>,
        /// What the operator believes of the annotations of its tools.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trust_annotations: Option<TrustedAnnotations>,
    },
}

/// Annotations of a server's tools that the operator takes for true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrustedAnnotations {
    /// `readOnlyHint: true` makes a tool a read.
    ReadOnly,
}

impl Transport {
    /// A program on pipes, with nothing said about its calls.
    #[must_use]
    pub fn stdio(command: impl Into<String>, args: Vec<String>, env: BTreeMap<String, String>) -> Self {
        Self::Stdio {
            command: command.into(),
            args,
            env,
            cwd: None,
            credential_scope: None,
            timeout_ms: None,
            trust_annotations: None,
        }
    }

    /// An endpoint over HTTP, with nothing said about its calls.
    #[must_use]
    pub fn http(url: impl Into<String>, headers: BTreeMap<String, String>, allow_private: bool) -> Self {
        Self::Http {
            url: url.into(),
            headers,
            allow_private,
            oauth: None,
            listen: true,
            credential_scope: None,
            timeout_ms: None,
            trust_annotations: None,
        }
    }

    /// How long a call of its tools may take, if the operator says so.
    #[must_use]
    pub fn timeout_ms(&self) -> Option<u64> {
        match self {
            Self::Stdio { timeout_ms, .. } | Self::Http { timeout_ms, .. } => *timeout_ms,
        }
    }

    /// What the operator believes of the annotations of its tools.
    #[must_use]
    pub fn trust_annotations(&self) -> Option<TrustedAnnotations> {
        match self {
            Self::Stdio { trust_annotations, .. } | Self::Http { trust_annotations, .. } => {
                *trust_annotations
            }
        }
    }

    /// Whether both start the same program, or reach the same endpoint.
    #[must_use]
    pub fn is_same_place(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Stdio { command, args, .. }, Self::Stdio { command: others, args: other_args, .. }) => {
                command == others && args == other_args
            }
            (Self::Http { url, .. }, Self::Http { url: other, .. }) => url == other,
            (Self::Stdio { .. }, Self::Http { .. }) | (Self::Http { .. }, Self::Stdio { .. }) => false,
        }
    }

    /// How to log in there, if the operator says so.
    #[must_use]
    pub fn oauth(&self) -> Option<&OauthSpec> {
        match self {
            Self::Http { oauth, .. } => oauth.as_ref(),
            Self::Stdio { .. } => None,
        }
    }

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
