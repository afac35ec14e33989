//! The same for a gateway of MCP servers that asks by `ExtMcp`: what acts is judged, and results are what came of it.

use super::check::{NotThrough, ProxiedCall, TOKEN, Through, ask};
use super::reading::RUN;
use super::words::Struct;
use super::words::mcp::{
    AuthorizationError, McpRequest, McpRequestResult, McpResponse, McpResponseResult, McpVerdict as Said,
    Pass,
};
use crate::App;
use crate::problem::Problem;
use aecl_executor::Outcome;
use aecl_gate::ProxyIdentity;
use aecl_kernel::base::code;
use aecl_kernel::base::json::{Document, Limits};
use aecl_kernel::record::event::OutcomeKind;
use aecl_mcp::names;
use serde::Deserialize;
use serde_json::{Value, json};

/// Methods that ask a server about itself and change nothing.
const ABOUT: [&str; 7] = [
    "initialize",
    "ping",
    "server/discover",
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
];
/// JSON-RPC's code for what is not permitted here.
const REFUSED: i32 = -32001;
/// The protocol's `PERMISSION_DENIED`.
const NOT_PERMITTED: i32 = 1;

/// Whether a request to an MCP server may go through.
pub async fn check_request(app: &App, proxy: &ProxyIdentity, request: McpRequest) -> McpRequestResult {
    if ABOUT.contains(&request.method.as_str()) {
        return McpRequestResult { result: Some(Said::Pass(Pass {})), metadata: None };
    }
    match judged(app, proxy, request).await {
        Ok(yes) => McpRequestResult {
            result: Some(Said::Pass(Pass {})),
            metadata: Some(Struct::of(TOKEN, yes.token)),
        },
        Err(no) => {
            let reason = no.problem.detail.clone();
            let told: Value = serde_json::from_str(&no.told()).unwrap_or_default();
            let error = json!({"code": REFUSED, "message": reason, "data": told}).to_string().into_bytes();
            let error = AuthorizationError { code: NOT_PERMITTED, reason, mcp_error: Some(error) };
            McpRequestResult { result: Some(Said::Error(error)), metadata: None }
        }
    }
}

async fn judged(app: &App, proxy: &ProxyIdentity, request: McpRequest) -> Result<Through, NotThrough> {
    let invalid = |why: String| Problem::of(code::REQUEST_INVALID, why);
    let McpRequest { service_names, method, mcp_request, headers } = request;
    let [server] = service_names.as_slice() else {
        return Err(invalid(format!(
            "the call is for {} servers; one at a time is judged",
            service_names.len()
        ))
        .into());
    };
    let mut runs = headers.into_iter().filter(|header| header.key.eq_ignore_ascii_case(RUN));
    let (Some(run), None) = (runs.next(), runs.next()) else {
        return Err(Problem::of(
            code::TOKEN_INVALID,
            format!("there is no `{RUN}` header with a run token, or two"),
        )
        .hint("whoever opened the run has its token; send it along with each request")
        .into());
    };
    let run = String::from_utf8(run.value).map_err(|_| invalid(format!("`{RUN}` is no run token")))?;
    let limits = Limits { bytes_max: app.gate.config().limits.request_bytes_max, ..Limits::default() };
    let bytes = mcp_request.unwrap_or_else(|| b"{}".to_vec());
    let params = Document::read(&bytes, &limits)
        .map_err(|error| invalid(format!("{} at byte {} of the parameters", error.message, error.offset)))?;
    let Value::Object(mut params) = params else {
        return Err(invalid("the parameters are no object".into()).into());
    };
    params.remove("_meta");
    let (tool, arguments) = match method.as_str() {
        "tools/call" => {
            let Some(Value::String(tool)) = params.remove("name") else {
                return Err(invalid("`name` is missing or no text".into()).into());
            };
            if names::is_own(&tool) {
                return Err(invalid(format!("`{tool}` is a method of the protocol and no tool")).into());
            }
            let arguments = params.remove("arguments").unwrap_or_else(|| json!({}));
            if let Some(other) = params.keys().next() {
                return Err(
                    invalid(format!("`{other}` of the call is judged by nobody; leave it out")).into()
                );
            }
            (tool, arguments)
        }
        "resources/read" | "prompts/get" | "completion/complete" => (method, Value::Object(params)),
        other => return Err(invalid(format!("`{other}` is judged by nobody here")).into()),
    };
    let call = ProxiedCall {
        action: names::action(server, &tool),
        arguments: arguments.to_string().into_bytes(),
        run,
        key: None,
    };
    ask(app, proxy, call).await
}

/// Takes what came of a call, where the gateway hands on what it was given with it. The result goes through as it is.
pub async fn check_response(app: &App, proxy: &ProxyIdentity, response: McpResponse) -> McpResponseResult {
    let token = response.metadata_context.as_ref().and_then(|context| context.text(TOKEN));
    if let Some(token) = token {
        let outcome = came_of(&response, app.gate.config().limits.output_bytes_max);
        if let Err(error) = app.gate.take_proxied(proxy, token, outcome).await {
            tracing::warn!(proxy = %proxy.id, %error, "what a gateway saw of a call could not be recorded");
        }
    }
    McpResponseResult { result: Some(Said::Pass(Pass {})) }
}

/// A result is the server's word.
fn came_of(response: &McpResponse, output_bytes_max: usize) -> Outcome {
    #[derive(Deserialize)]
    struct Verdict {
        #[serde(rename = "isError", default)]
        is_error: bool,
        #[serde(rename = "resultType", default)]
        kind: Option<String>,
    }
    let bytes = &response.mcp_response;
    let verdict = serde_json::from_slice::<Verdict>(bytes).ok();
    let (kind, code, message, may_have_acted) = match verdict {
        Some(Verdict { is_error: false, kind: None }) => (OutcomeKind::Done, None, "", false),
        Some(Verdict { is_error: true, kind: None }) => {
            (OutcomeKind::Failed, Some("tool_error"), "the server reports that the tool failed", true)
        }
        Some(Verdict { is_error, kind: Some(kind) }) if kind == "complete" => match is_error {
            false => (OutcomeKind::Done, None, "", false),
            true => {
                (OutcomeKind::Failed, Some("tool_error"), "the server reports that the tool failed", true)
            }
        },
        Some(_) => (
            OutcomeKind::Unknown,
            Some("not_concluded"),
            "the server has answered, and not with an end",
            false,
        ),
        None => (OutcomeKind::Unknown, Some("upstream_garbage"), "the result is no object", false),
    };
    Outcome {
        kind,
        code: code.map(str::to_owned),
        message: message.to_owned(),
        output: Some(bytes.clone()).filter(|bytes| bytes.len() <= output_bytes_max),
        may_have_acted,
        sandbox: "proxy".into(),
        traffic: None,
    }
}
