//! Who asks. A run token, or the key of somebody who may open runs of the agent; neither is ever passed on.

use super::refusal::{DENIED, Refusal, json_response};
use crate::serving::Peer;
use aecl_gate::{Gate, GateError, Identity, Session};
use aecl_kernel::base::code;
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Keys of people and orchestrators begin like this; everything else is read as a run token.
const KEY: &str = "aecl_";

/// Who asks.
#[derive(Debug, Clone)]
pub(super) enum Caller {
    /// The bearer of a run token: acts in that run.
    Run(Box<Session>),
    /// Somebody who may open runs of this agent.
    Key(Identity),
}

impl Caller {
    /// Whose session it is. A session is taken on by the one who opened it and by nobody else.
    pub(super) fn owner(&self) -> String {
        match self {
            Caller::Run(session) => session.principal.run.to_string(),
            Caller::Key(identity) => identity.name(),
        }
    }
}

/// Finds out who asks, and whether they may act as this agent.
pub(super) async fn caller(
    gate: &Gate,
    parts: &Parts,
    agent: &str,
    server: Option<&str>,
) -> Result<Caller, Refusal> {
    let how = how(gate, agent, server);
    let Some(bearer) = bearer(parts) else {
        // Whoever could open the socket in the data directory is its owner.
        if parts.extensions.get() == Some(&Peer::Local) {
            return Ok(Caller::Key(Identity::Local));
        }
        let message =
            "a run token, or a key that may open runs of this agent, is needed as `Authorization: Bearer`";
        return Err(
            Refusal::new(StatusCode::UNAUTHORIZED, DENIED, message).challenge(format!("Bearer {how}"))
        );
    };
    let found = match bearer.strip_prefix(KEY) {
        Some(_) => gate.identify(bearer).map(Caller::Key),
        None => alive(gate, bearer).await.map(|session| Caller::Run(Box::new(session))),
    };
    let caller = found.map_err(|error| {
        let challenge = format!("Bearer error=\"invalid_token\", {how}");
        Refusal::from(error).challenge(challenge)
    })?;
    let may = match &caller {
        Caller::Run(session) => session.principal.agent.as_str() == agent,
        Caller::Key(identity) => {
            aecl_kernel::base::id::AgentId::new(agent).is_ok_and(|agent| identity.may_run(&agent))
        }
    };
    if may {
        return Ok(caller);
    }
    let message = format!("{} may not act as `{:.128}`", caller.owner(), agent);
    Err(Refusal::new(StatusCode::FORBIDDEN, DENIED, message)
        .challenge(format!("Bearer error=\"insufficient_scope\", {how}")))
}

fn bearer(parts: &Parts) -> Option<&str> {
    let mut values = parts.headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn alive(gate: &Gate, token: &str) -> Result<Session, GateError> {
    let session = gate.session(token).await?;
    // Each action is judged against the token again, on record; here an expired one only tells the client
    // early that it needs another.
    if gate.now() >= session.credential.expires_at {
        return Err(GateError::Refused {
            code: code::TOKEN_EXPIRED,
            message: "the run token has expired; renew it at `/v1/runs/{id}/tokens`".into(),
        });
    }
    Ok(session)
}

/// Where to find out how to authenticate (RFC 9728).
fn how(gate: &Gate, agent: &str, server: Option<&str>) -> String {
    let url = gate.config().url();
    format!("resource_metadata=\"{url}/.well-known/oauth-protected-resource{}\"", path(agent, server))
}

fn path(agent: &str, server: Option<&str>) -> String {
    let part = |text: &str| -> String {
        url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
    };
    let server = server.map_or(String::new(), |server| format!("/{}", part(server)));
    format!("/mcp/{}{server}", part(agent))
}

/// The metadata document. It names no authorization server: keys come from whoever runs this gateway.
pub(super) fn metadata(gate: &Gate, agent: &str, server: Option<&str>) -> Response {
    let config = gate.config();
    let document = json!({
        "resource": format!("{}{}", config.url(), path(agent, server)),
        "resource_name": format!("AECL, in front of the MCP servers of `{agent}`"),
        "bearer_methods_supported": ["header"],
    });
    json_response(StatusCode::OK, document.to_string()).into_response()
}
