//! The answer to a proxy that asks whether a request may go through: yes with what comes back in its access log, or no with
//! what the agent is told.

use super::reading::{Asked, RUN, Unread, read};
use super::words::Struct;
use super::words::auth::{
    CheckRequest, CheckResponse, DeniedHttpResponse, HeaderValue, HeaderValueOption, HttpResponse,
    HttpStatus, OkHttpResponse, Status,
};
use crate::App;
use crate::problem::{Problem, ProblemDetails};
use crate::wire::{Action, Approval};
use aecl_gate::ProxyIdentity;
use aecl_gate::submit::Submission;
use aecl_kernel::base::code;
use aecl_kernel::base::json::Limits;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::Value;

/// Name under which what comes back stands in the metadata of the proxy.
pub const TOKEN: &str = "aecl";
/// gRPC's `PERMISSION_DENIED`.
const DENIED: i32 = 7;
/// In place of what there is.
const OVERWRITE: i32 = 2;
/// Header that tells the target which action this is on record.
const ACTION: &str = "x-aecl-action";

/// What an agent is told whose request does not go through.
#[derive(Debug, Serialize)]
struct Told {
    #[serde(flatten)]
    problem: ProblemDetails,
    /// The action on record.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    /// The request that it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<Approval>,
}

/// Reasons for which a call does not go through, and what its agent is told.
#[derive(Debug)]
pub struct NotThrough {
    /// What went wrong, or why it was refused.
    pub problem: Problem,
    /// The action on record, if it came so far.
    pub action: Option<String>,
    /// The request that it waits for.
    pub approval: Option<Approval>,
}

impl<T: Into<Problem>> From<T> for NotThrough {
    fn from(problem: T) -> Self {
        Self { problem: problem.into(), action: None, approval: None }
    }
}

impl NotThrough {
    /// What the agent is told, as JSON.
    pub fn told(self) -> String {
        let told = Told { problem: self.problem.into(), action: self.action, approval: self.approval };
        serde_json::to_string(&told).unwrap_or_default()
    }
}

/// Call that a proxy asks about.
#[derive(Debug)]
pub struct ProxiedCall {
    /// The name of the action.
    pub action: String,
    /// Its arguments, as JSON.
    pub arguments: Vec<u8>,
    /// The token of the run.
    pub run: String,
    /// What the agent says it is the same as.
    pub key: Option<String>,
}

/// Leave for a call to go through.
#[derive(Debug)]
pub struct Through {
    /// The action on record.
    pub action: String,
    /// What comes back with its end.
    pub token: String,
}

/// Asks the gate.
pub async fn ask(app: &App, proxy: &ProxyIdentity, call: ProxiedCall) -> Result<Through, NotThrough> {
    let session = app.gate.session(&call.run).await.map_err(Problem::from)?;
    let offered = app.offered(&call.action).await;
    let submission = Submission {
        name: call.action,
        arguments: call.arguments,
        idempotency_key: call.key,
        offered,
        until: app.options.closing.clone(),
        ..Submission::default()
    };
    let proxied = app.gate.submit_proxied(proxy, &session, submission).await.map_err(Problem::from)?;
    let action = proxied.answer.action.to_string();
    if let Some(token) = proxied.token {
        return Ok(Through { action, token });
    }
    let answer = Action::of(proxied.answer, &app.gate.config().url());
    let (detail, hint) = match answer.state {
        "pending" => (
            "waiting for a person; nothing was sent".to_owned(),
            Some("send the same request again after a person has agreed; do not work around it"),
        ),
        "blocked" | "rejected" => (answer.message, None),
        _ => (
            "a request with this idempotency key has gone through already; nothing was sent again".to_owned(),
            Some("leave the key out, or take a new one, for a request of its own"),
        ),
    };
    let code = answer.code.as_deref().and_then(code::Code::parse).unwrap_or(code::REPLAYED);
    let mut problem = Problem::new(StatusCode::FORBIDDEN, code, detail);
    if let Some(hint) = hint {
        problem = problem.hint(hint);
    }
    Err(NotThrough { problem, action: Some(action), approval: answer.approval })
}

/// Whether a request may go through.
pub async fn check(app: &App, proxy: &ProxyIdentity, request: CheckRequest) -> CheckResponse {
    match judged(app, proxy, request).await {
        Ok(yes) => CheckResponse {
            status: Some(Status::default()),
            http_response: Some(HttpResponse::Ok(OkHttpResponse {
                headers: vec![header(ACTION, &yes.action)],
                headers_to_remove: vec![RUN.to_owned()],
            })),
            dynamic_metadata: Some(Struct::of(TOKEN, yes.token)),
        },
        Err(no) => {
            let (status, waits) = (no.problem.status.as_u16(), no.approval.is_some());
            let message = no.problem.code.to_string();
            let mut headers =
                vec![header("content-type", "application/problem+json"), header("cache-control", "no-store")];
            if waits {
                headers.push(header("retry-after", "30"));
            }
            let denied = DeniedHttpResponse {
                status: Some(HttpStatus { code: i32::from(status) }),
                headers,
                body: no.told(),
            };
            CheckResponse {
                status: Some(Status { code: DENIED, message }),
                http_response: Some(HttpResponse::Denied(denied)),
                dynamic_metadata: None,
            }
        }
    }
}

async fn judged(app: &App, proxy: &ProxyIdentity, request: CheckRequest) -> Result<Through, NotThrough> {
    let limits = Limits { bytes_max: app.gate.config().limits.request_bytes_max, ..Limits::default() };
    let read = read(request.attributes.unwrap_or_default(), &limits);
    let Asked { action, arguments, run, key } = read.map_err(Problem::from)?;
    let bundle = app.gate.bundle();
    let schema = bundle.catalogue().find(&action).map(|typed| typed.schema.clone());
    let arguments = Value::Object(arguments.of_types(schema.as_deref().unwrap_or(&Value::Null)));
    ask(app, proxy, ProxiedCall { action, arguments: arguments.to_string().into_bytes(), run, key }).await
}

impl From<Unread> for Problem {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Request(why) => Problem::of(code::REQUEST_INVALID, why),
            Unread::Route(why) => Problem::of(code::CONFIG_INVALID, why).hint("tell whoever runs the proxy"),
            Unread::NoRun => {
                Problem::of(code::TOKEN_INVALID, format!("there is no `{RUN}` header with a run token"))
                    .hint("whoever opened the run has its token; send it along with each request")
            }
        }
    }
}

fn header(name: &str, value: &str) -> HeaderValueOption {
    let header = HeaderValue { key: name.to_owned(), value: value.to_owned(), raw_value: Vec::new() };
    HeaderValueOption { header: Some(header), append_action: OVERWRITE }
}
