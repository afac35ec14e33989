//! Tools of upstream MCP servers.
//!
//! The relay is ours and raw: an envelope is parsed, what is inside keeps its bytes. A typed relay would
//! lose fields and round numbers.

mod envelope;
mod error;
mod handshake;
mod headers;
mod line;
mod link;
mod ours;
mod params;
mod pending_calls;
mod spec;
mod sse;
mod stdio;
mod streamable;
mod tools;
mod upstream;
mod wire;

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::value::RawValue;

pub use envelope::{Envelope, Inbound, RawReply, response};
pub use error::{UpstreamError, UpstreamFailure};
pub use handshake::{ClientFace, Era, Handshake, LEGACY, MODERN, ServerHello};
pub use line::{LineRead, next_line};
pub use params::{ObjectText, members};
pub use pending_calls::Counters;
pub use spec::{Transport, TrustedAnnotations, UpstreamSpec};
pub use tools::{LISTED_MAX, Tool};
pub use upstream::{ACTING, Upstream};

use crate::call::Call;
use crate::connector::{CallPlan, CallResult, Connector, DryRun, Reconciled};
use aecl_kernel::define::connector::ConnectorSpec;

/// Acts through upstream servers, by their name.
#[derive(Default)]
pub struct McpConnector {
    upstreams: RwLock<BTreeMap<(Option<String>, String), Upstream>>,
}

impl McpConnector {
    /// Adds or replaces a server, for everybody or for one client session. The former one comes back.
    pub fn insert(&self, session: Option<&str>, upstream: Upstream) -> Option<Upstream> {
        let key = (session.map(str::to_owned), upstream.name().to_owned());
        self.upstreams.write().unwrap_or_else(PoisonError::into_inner).insert(key, upstream)
    }

    /// Takes a server away. Dropping what comes back ends its connection.
    pub fn remove(&self, session: Option<&str>, server: &str) -> Option<Upstream> {
        let key = (session.map(str::to_owned), server.to_owned());
        self.upstreams.write().unwrap_or_else(PoisonError::into_inner).remove(&key)
    }

    /// Closes every connection; the next request connects again.
    pub async fn close(&self) {
        let all: Vec<Upstream> =
            self.upstreams.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        futures_util::future::join_all(all.iter().map(Upstream::close)).await;
    }

    /// The server as this session sees it: its own connection, or else the shared one.
    #[must_use]
    pub fn upstream(&self, session: Option<&str>, server: &str) -> Option<Upstream> {
        let upstreams = self.upstreams.read().unwrap_or_else(PoisonError::into_inner);
        let own = session.and_then(|session| upstreams.get(&(Some(session.to_owned()), server.to_owned())));
        own.or_else(|| upstreams.get(&(None, server.to_owned()))).cloned()
    }
}

#[async_trait]
impl Connector for McpConnector {
    async fn perform(&self, call: &Call) -> CallResult {
        let ConnectorSpec::Mcp { server, tool, method } = &call.connector else {
            let (code, message) = call.connector_mismatch();
            return CallResult::not_sent(code, message);
        };
        let Some(upstream) = self.upstream(call.session.as_deref(), server) else {
            let message = format!("`{server}` is no configured server; add it or change the catalogue entry");
            return CallResult::not_sent("upstream_unknown", message);
        };
        let opened = call.credential_scope.as_deref();
        if upstream.uses_credentials() && upstream.transport().credential_scope() != opened {
            return CallResult::out_of_scope(server, opened);
        }
        let method = method.as_deref().unwrap_or("tools/call");
        let params = match params_of(call, method, tool) {
            Ok(params) => params,
            Err(error) => {
                let message = format!("the arguments of `{}` make no request: {error}", call.action);
                return CallResult::not_sent("arguments_garbled", message);
            }
        };
        match upstream.request(method, Some(&params), call.timeout(), &call.cancel).await {
            Ok(RawReply::Result(result)) => concluded(call, server, &result),
            Ok(reply @ RawReply::Error(_)) => failed(call, server, &reply),
            Err(error) if error.may_have_left => CallResult::unknown(error.code(), error.to_string()),
            Err(error) => CallResult::not_sent(error.code(), error.to_string()),
        }
    }

    fn plan(&self, call: &Call) -> CallPlan {
        CallPlan::Untold(cannot_ask(call))
    }

    async fn dry_run(&self, call: &Call) -> DryRun {
        DryRun::Unsupported { message: cannot_ask(call) }
    }

    async fn reconcile(&self, call: &Call) -> Reconciled {
        let message = format!(
            "`{}` is an mcp tool; the protocol has no look-up, so somebody has to check at the target",
            call.action
        );
        Reconciled::StillUnknown { message }
    }
}

fn params_of(call: &Call, method: &str, tool: &str) -> serde_json::Result<Box<RawValue>> {
    let arguments: &RawValue = serde_json::from_slice(&call.arguments)?;
    let mut params = ObjectText::new();
    if method == "tools/call" {
        params.member("name", &serde_json::Value::from(tool).to_string());
        params.member("arguments", arguments.get());
    } else {
        for (name, value) in members(arguments.get())? {
            if name == "_meta" {
                return Err(serde::de::Error::custom("`_meta` is no argument"));
            }
            params.member(&name, value.get());
        }
    }
    if let Some(extra) = &call.extra {
        for (name, value) in members(extra.get())? {
            if matches!(name.as_str(), "inputResponses" | "requestState" | "task") {
                params.member(&name, value.get());
            } else {
                // Anything else could replace the name or the arguments that were judged.
                return Err(serde::de::Error::custom(format!("`{name}` is no member of a retried request")));
            }
        }
    }
    if let Some(meta) = &call.meta {
        params.member("_meta", meta.get());
    }
    RawValue::from_string(params.finish())
}

/// A result is the server's word. Whether it means "done" is in two of its fields.
fn concluded(call: &Call, server: &str, result: &RawValue) -> CallResult {
    #[derive(Deserialize)]
    struct Verdict {
        #[serde(rename = "isError", default)]
        is_error: bool,
        #[serde(rename = "resultType", default)]
        kind: Option<String>,
    }
    let bytes = result.get().as_bytes();
    let verdict = serde_json::from_str::<Verdict>(result.get()).ok().filter(|_| bytes.starts_with(b"{"));
    let Some(verdict) = verdict else {
        let message = format!("`{server}` answered `{}` with a result that is no object", call.action);
        return CallResult::unknown("upstream_garbage", message);
    };
    let output = Some(bytes.to_vec()).filter(|bytes| bytes.len() <= call.max_output_bytes);
    match verdict.kind.as_deref() {
        None | Some("complete") if verdict.is_error => CallResult::Failed {
            code: "tool_error",
            message: format!("`{server}` reports that `{}` failed", call.action),
            output,
            may_have_acted: true,
        },
        None | Some("complete") => {
            CallResult::Done { output: output.unwrap_or_else(|| withheld(call, bytes.len())) }
        }
        Some("input_required") => CallResult::Failed {
            code: "input_required",
            message: format!("`{server}` wants input before it goes on with `{}`", call.action),
            output,
            may_have_acted: true,
        },
        Some(other) => CallResult::Unknown {
            code: "not_concluded",
            message: format!("`{server}` answered `{}` with a `{other}`, which is no end of it", call.action),
            output,
        },
    }
}

/// It was done; only what it said is too long to hand on.
fn withheld(call: &Call, bytes: usize) -> Vec<u8> {
    let text = format!(
        "done, but the output of {bytes} bytes is longer than the {} allowed and was withheld",
        call.max_output_bytes
    );
    serde_json::json!({ "content": [{ "type": "text", "text": text }], "isError": false })
        .to_string()
        .into_bytes()
}

fn failed(call: &Call, server: &str, reply: &RawReply) -> CallResult {
    // These codes say that the request was refused before anybody looked at what it wanted.
    let refused = matches!(reply.error_code(), Some(-32700 | -32600 | -32601 | -32602 | -32022..=-32020));
    let raw = reply.raw().get();
    CallResult::Failed {
        code: "upstream_error",
        message: format!("`{server}` answered `{}` with an error", call.action),
        output: Some(raw.as_bytes().to_vec()).filter(|bytes| bytes.len() <= call.max_output_bytes),
        may_have_acted: !refused,
    }
}

fn cannot_ask(call: &Call) -> String {
    format!("`{}` is an mcp tool; the protocol has no way to ask without acting", call.action)
}
