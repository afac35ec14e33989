//! The messages of one client, each to what answers it.

use super::client_session::{ClientSession, Request};
use super::kept_back::tell_changes;
use super::opening::{Opening, Outbound};
use super::wire::{INVALID_REQUEST, METHOD_NOT_FOUND, Refusal, raw, response};
use aecl_executor::connectors::mcp::{Envelope, RawReply};
use aecl_gate::{Gate, GateError};
use serde_json::value::RawValue;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The way in for the messages of one client: what a transport holds of its session.
#[derive(Debug, Clone)]
pub struct Dispatcher(Arc<ClientSession>);

impl Dispatcher {
    /// Takes a client in.
    ///
    /// # Errors
    /// When the agent or a server is not known.
    pub async fn open(gate: Gate, opening: Opening) -> Result<Self, GateError> {
        let session = ClientSession::new(gate, opening)?;
        tokio::spawn(tell_changes(Arc::downgrade(&session)));
        Ok(Self(session))
    }

    /// What is known of the client.
    #[must_use]
    pub fn session(&self) -> &ClientSession {
        &self.0
    }

    /// Whether nothing is underway for the client, and nobody else holds its session.
    pub(super) fn is_idle(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// Takes one message from the client, as it came. A request gives one response, a raw JSON-RPC object;
    /// notifications and responses give none, and neither does a request that was cancelled. Everything
    /// else for the client while the request is underway goes to `out`. `cancel` fires when the client has
    /// gone.
    pub async fn message(
        &self,
        raw: &RawValue,
        out: &Outbound,
        cancel: CancellationToken,
    ) -> Option<Box<RawValue>> {
        let Some(envelope) = Envelope::read(raw.get()) else {
            return Some(no_request("the message is no single JSON-RPC object"));
        };
        match (&envelope.method, envelope.id) {
            (Some(method), Some(id)) if is_id(id) => {
                let underway = self.0.enter(id, out, &cancel);
                let request = Request {
                    number: underway.number,
                    id,
                    method,
                    params: envelope.params,
                    out,
                    cancel: underway.cancel.clone(),
                };
                let reply = self.dispatch(&request).await.unwrap_or_else(Refusal::reply);
                // Who has cancelled does not expect an answer any more.
                (!request.cancel.is_cancelled()).then(|| response(id, &reply))
            }
            (Some(_), Some(_)) => Some(no_request("the `id` must be a text or a whole number")),
            (Some(method), None) => {
                self.0.notified(method, envelope.params).await;
                None
            }
            (None, Some(id)) => {
                self.0.answered(id, &envelope).await;
                None
            }
            (None, None) => Some(no_request("the message has neither a `method` nor an `id`")),
        }
    }

    async fn dispatch(&self, request: &Request<'_>) -> Result<RawReply, Refusal> {
        let session = &self.0;
        match request.method {
            "ping" => return Ok(RawReply::Result(raw("{}".into()))),
            // Judged, and on record.
            "tools/call" | "resources/read" | "prompts/get" | "completion/complete" => {
                return session.act(request).await;
            }
            "tasks/get" | "tasks/result" | "tasks/update" | "tasks/cancel" | "tasks/list" => {
                return session.task(request).await;
            }
            _ => {}
        }
        session.passes_on().await?;
        match request.method {
            "initialize" => session.initialize(request).await,
            "server/discover" => session.discover(request).await,
            "tools/list" | "resources/list" | "resources/templates/list" | "prompts/list" => {
                session.list(request).await
            }
            "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" => {
                session.relay(request).await
            }
            "subscriptions/listen" => session.follow(request).await,
            other => {
                let shown: String = other.chars().filter(|c| !c.is_control()).take(80).collect();
                Err(Refusal::new(METHOD_NOT_FOUND, format!("`{shown}` is not relayed")))
            }
        }
    }
}

fn is_id(id: &RawValue) -> bool {
    let text = id.get();
    text.starts_with('"') || text.parse::<i64>().is_ok()
}

fn no_request(why: &str) -> Box<RawValue> {
    response(RawValue::NULL, &Refusal::new(INVALID_REQUEST, why).reply())
}
