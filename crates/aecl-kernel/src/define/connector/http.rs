//! A REST request, as the catalogue writes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One REST request, as the catalogue entry writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSpec {
    /// `GET`, `POST`, …
    pub method: String,
    /// The URL; `{order_id}` in path and query stands for an argument, percent-encoded.
    pub url: String,
    /// Query parameters. One whose value is a single absent argument is left out.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// Headers. Values may hold `{secret:env:NAME}`, `{secret:file:/path}` and arguments.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What the body is.
    #[serde(default)]
    pub body: Body,
    /// The header that carries the idempotency key; an empty name sends none.
    #[serde(default = "default_idempotency_header")]
    pub idempotency_header: String,
    /// A shorter time-out than the action's.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// The longest body that is read.
    #[serde(default = "default_response_max_bytes")]
    pub max_response_bytes: usize,
    /// Whether this host and port may be loopback or a private network.
    #[serde(default)]
    pub allow_private: bool,
    /// The statuses that mean "done"; every 2xx when empty.
    #[serde(default)]
    pub expect_status: Vec<u16>,
    /// How to find out later whether it happened: 2xx means yes, 404 means no.
    #[serde(default)]
    pub lookup: Option<Lookup>,
}

/// Body of a request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// The arguments, in the bytes that were judged.
    Arguments,
    /// JSON with placeholders; a text that is one placeholder takes the argument as it is.
    Template(Value),
    /// Nothing.
    #[default]
    None,
}

/// A request that only looks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    /// `GET` unless said otherwise.
    #[serde(default = "default_lookup_method")]
    pub method: String,
    /// The URL; `{@idempotency_key}` is the key of the attempt.
    pub url: String,
}

fn default_idempotency_header() -> String {
    "Idempotency-Key".into()
}

fn default_response_max_bytes() -> usize {
    1 << 20
}

fn default_lookup_method() -> String {
    "GET".into()
}
