//! Streamable HTTP, in both eras: with `initialize` and a session (2025-06-18, 2025-11-25), and stateless
//! (2026-07-28). What is asked is judged elsewhere; here it is only carried, to the right client and back.

mod auth;
mod events;
pub mod guard;
mod headers;
mod legacy;
mod message;
mod modern;
mod refusal;
mod sessions;
mod shared;

use crate::serving::load::{self, Load};
use crate::serving::shares::Shares;
use aecl_executor::connectors::mcp::LEGACY;
use aecl_gate::Gate;
use aecl_kernel::base::id::AgentId;
use aecl_kernel::define::manifest::AgentManifest;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use message::{Kind, Message};
use refusal::{DENIED, Refusal};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The revision before the header for the version came; who sends none means it.
const UNSAID: &str = "2025-03-26";

/// What all requests share.
struct Hall {
    gate: Gate,
    sessions: Arc<sessions::Sessions>,
    shared: Arc<shared::SharedSessions>,
    closing: CancellationToken,
}

/// Where a request goes: an agent, and the servers that stand behind its endpoint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Endpoint {
    agent: AgentId,
    /// The one server that the address names.
    only: Option<String>,
    servers: Vec<String>,
}

/// The MCP gateway: `/mcp/{agent}` for everything that the agent may use, `/mcp/{agent}/{server}` for one
/// server alone.
pub fn router(gate: Gate) -> Router {
    router_until(gate, CancellationToken::new())
}

/// The same, until `closing` fires: then all streams end, so that the server can.
pub fn router_until(gate: Gate, closing: CancellationToken) -> Router {
    let hall = Hall { gate, sessions: Arc::default(), shared: Arc::default(), closing };
    Router::new()
        .route("/mcp/{agent}", any(all))
        .route("/mcp/{agent}/{server}", any(one))
        .route("/.well-known/oauth-protected-resource/mcp/{agent}", get(about_all))
        .route("/.well-known/oauth-protected-resource/mcp/{agent}/{server}", get(about_one))
        .with_state(Arc::new(hall))
}

async fn all(State(hall): State<Arc<Hall>>, Path(agent): Path<String>, request: Request) -> Response {
    answer(&hall, &agent, None, request).await
}

async fn one(
    State(hall): State<Arc<Hall>>,
    Path((agent, server)): Path<(String, String)>,
    request: Request,
) -> Response {
    answer(&hall, &agent, Some(server), request).await
}

async fn about_all(State(hall): State<Arc<Hall>>, Path(agent): Path<String>) -> Response {
    auth::metadata(&hall.gate, &agent, None)
}

async fn about_one(State(hall): State<Arc<Hall>>, Path((agent, server)): Path<(String, String)>) -> Response {
    auth::metadata(&hall.gate, &agent, Some(&server))
}

async fn answer(hall: &Arc<Hall>, agent: &str, server: Option<String>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let config = hall.gate.config();
    if let Err(refusal) = guard::check(&config, &parts) {
        return refusal.into_response();
    }
    let origin = guard::origin(&parts.headers).map(str::to_owned);
    let mut response = if parts.method == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        match admitted(hall, agent, server, parts, body).await {
            Ok(response) => response,
            Err(refusal) => refusal.into_response(),
        }
    };
    if let Some(origin) = origin {
        guard::let_page_read(&origin, response.headers_mut());
    }
    response
}

/// The walk of one request: who asks, where it goes, what it says, and from there to its era.
async fn admitted(
    hall: &Arc<Hall>,
    agent: &str,
    server: Option<String>,
    parts: axum::http::request::Parts,
    body: Body,
) -> Result<Response, Refusal> {
    let caller = auth::caller(&hall.gate, &parts, agent, server.as_deref()).await?;
    let endpoint = endpoint(&hall.gate, agent, server)?;
    let headers = &parts.headers;
    let version = headers::single(headers, headers::VERSION)?;
    match parts.method {
        Method::POST => {}
        // The stateless era knows POST only.
        Method::GET if version.is_none_or(is_legacy) => {
            return legacy::listen(hall, &endpoint, &caller, headers);
        }
        Method::DELETE if version.is_none_or(is_legacy) => {
            return legacy::leave(hall, &endpoint, &caller, headers);
        }
        _ => {
            let mut response = StatusCode::METHOD_NOT_ALLOWED.into_response();
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST, DELETE"));
            return Ok(response);
        }
    }
    acceptable(headers)?;
    let limits = hall.gate.config().limits.clone();
    let patience = Duration::from_millis(limits.receive_ms_max);
    // Who serves this router weighs what is sent; alone it has nobody to share with.
    let load = parts.extensions.get::<Load>().cloned();
    let load = load.unwrap_or_else(|| {
        Load::new(Shares::of(limits.bodies_bytes_max, limits.request_bytes_max).share(""))
    });
    let body = load::receive(body, &load, limits.request_bytes_max, patience).await?;
    let message = Message::read(&body)?;
    if is_stateless(version, &message) {
        modern::take(hall, &endpoint, caller, headers, message).await
    } else {
        legacy::take(hall, &endpoint, caller, headers, message).await
    }
}

/// Which era a message belongs to. The body says it, or else the header; an unknown version is for the
/// stateless era to refuse, which can name those that are known.
fn is_stateless(version: Option<&str>, message: &Message) -> bool {
    let said = message.about().and_then(|about| about.version.as_deref());
    let initialize = matches!(&message.kind, Kind::Request { method, .. } if method == "initialize");
    let named = version.is_some_and(|version| !is_legacy(version));
    named || (said.is_some() && !initialize)
}

fn is_legacy(version: &str) -> bool {
    LEGACY.contains(&version) || version == UNSAID
}

/// A client takes both kinds of answer: we choose per request.
fn acceptable(headers: &HeaderMap) -> Result<(), Refusal> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let message = "the `Content-Type` must be application/json";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, refusal::INVALID, message));
    }
    if accepts(headers, "application/json") && accepts(headers, "text/event-stream") {
        return Ok(());
    }
    let message = "the client must accept both application/json and text/event-stream";
    Err(Refusal::new(StatusCode::NOT_ACCEPTABLE, refusal::INVALID, message))
}

fn accepts(headers: &HeaderMap, wanted: &str) -> bool {
    let family = wanted.split('/').next().unwrap_or_default();
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|item| {
            let kind = item.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            kind == wanted || kind == "*/*" || kind.strip_suffix("/*") == Some(family)
        })
}

fn endpoint(gate: &Gate, agent: &str, only: Option<String>) -> Result<Endpoint, Refusal> {
    let unknown = |message: String| Refusal::new(StatusCode::NOT_FOUND, DENIED, message);
    let bundle = gate.bundle();
    let agent = AgentId::new(agent).map_err(|error| unknown(error.to_string()))?;
    let manifest =
        bundle.agent(&agent).ok_or_else(|| unknown(format!("there is no manifest for agent `{agent}`")))?;
    let config = gate.config();
    let servers: Vec<String> = match &only {
        Some(server) => config.servers.keys().filter(|known| *known == server).cloned().collect(),
        None => config.servers.keys().filter(|known| uses(manifest, known)).cloned().collect(),
    };
    if servers.is_empty() {
        return Err(unknown(match &only {
            Some(server) => format!("aecl.yaml names no server `{server}`"),
            None => format!("the manifest of `{agent}` lists nothing of any server in aecl.yaml"),
        }));
    }
    Ok(Endpoint { agent, only, servers })
}

/// Whether the manifest lists anything of a server.
fn uses(manifest: &AgentManifest, server: &str) -> bool {
    let listed = manifest.allowed_actions.iter().chain(manifest.context_rules.keys());
    listed
        .into_iter()
        .any(|name| name == "*" || name.strip_prefix(server).is_some_and(|rest| rest.starts_with('.')))
}
