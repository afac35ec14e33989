//! The stateless era: one POST is one exchange. Closing the answer cancels it.

use super::auth::Caller;
use super::events::{PING, PING_EVERY, frame, sse};
use super::message::{About, Kind, Message};
use super::refusal::{self, Refusal, json_response};
use super::{Endpoint, Hall, headers};
use crate::{Dispatcher, Outbound};
use aecl_executor::connectors::mcp::{Era, LEGACY, MODERN, RawReply};
use aecl_gate::Gate;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long an answer may take before a stream is begun for it.
const SOON: Duration = Duration::from_millis(1000);
/// Methods of the older era that this one does not know any more.
const REMOVED: [&str; 7] = [
    "initialize",
    "ping",
    "logging/setLevel",
    "resources/subscribe",
    "resources/unsubscribe",
    "tasks/list",
    "tasks/result",
];
/// Messages that may wait for a slow client.
const UNDERWAY: usize = 64;

/// Takes a message of this era.
pub(super) async fn take(
    hall: &Arc<Hall>,
    endpoint: &Endpoint,
    caller: Caller,
    headers: &HeaderMap,
    message: Message,
) -> Result<Response, Refusal> {
    let (id, method, about) = match &message.kind {
        Kind::Request { id, method, about } => (id.clone(), method, about),
        // The era knows no notifications from clients. One is neither refused nor acted on: by a `cancelled`
        // with a guessed id, one client could cancel the call of another.
        Kind::Notification { about } => {
            let said = headers::single(headers, headers::VERSION)?.or(about.version.as_deref());
            spoken(hall, endpoint, said.unwrap_or_default()).await?;
            return Ok(StatusCode::ACCEPTED.into_response());
        }
        Kind::Answer => {
            return Err(Refusal::invalid(
                "the body must be a request: in this version servers ask by returning",
            ));
        }
    };
    envelope(hall, endpoint, headers, method, about).await.map_err(|refusal| refusal.to(&id))?;
    let client = hall.shared.of(&hall.gate, endpoint, &caller).await.map_err(|refusal| refusal.to(&id))?;
    Ok(exchange(client, message, hall.closing.child_token()).await)
}

/// What must hold of every request before it is looked at.
async fn envelope(
    hall: &Hall,
    endpoint: &Endpoint,
    headers: &HeaderMap,
    method: &str,
    about: &About,
) -> Result<(), Refusal> {
    if REMOVED.contains(&method) {
        let message = format!("`{method}` is no method of this version");
        return Err(Refusal::new(StatusCode::NOT_FOUND, refusal::NO_METHOD, message));
    }
    let lacks = about.lacks();
    if !lacks.is_empty() {
        return Err(Refusal::params(format!("`params._meta` lacks {}", lacks.join(" and "))));
    }
    headers::routing(headers, method, about)?;
    spoken(hall, endpoint, about.version.as_deref().unwrap_or_default()).await?;
    if method == "tools/call"
        && let Some(name) = &about.name
        && let Some(schema) = schema(&hall.gate, endpoint, name)
    {
        headers::parameters(headers, &schema, about.arguments.as_deref())?;
    }
    Ok(())
}

/// Whether the stateless version is offered here: only if all upstream servers speak it.
async fn spoken(hall: &Hall, endpoint: &Endpoint, requested: &str) -> Result<(), Refusal> {
    let mut offered: Vec<String> = [MODERN].into_iter().chain(LEGACY).map(str::to_owned).collect();
    let mut older = None;
    for server in &endpoint.servers {
        let Some(upstream) = hall.gate.executor().connectors().mcp.upstream(None, server) else { continue };
        // A server that is down is for the request itself to report.
        let Ok(hello) = upstream.hello().await else { continue };
        let theirs = match &hello.era {
            // It answers `initialize` with the version that it likes, whichever one is asked for.
            Era::Legacy(version) => {
                older = Some(format!("`{server}` speaks {version} and begins with `initialize`"));
                LEGACY.map(str::to_owned).to_vec()
            }
            Era::Modern(_) => discovered(&hello.raw),
        };
        offered.retain(|version| theirs.contains(version));
    }
    if requested == MODERN && older.is_none() {
        return Ok(());
    }
    let message = older.unwrap_or_else(|| format!("version `{requested:.40}` is not spoken here"));
    Err(Refusal::version(requested, &offered, message))
}

fn discovered(hello: &RawValue) -> Vec<String> {
    #[derive(Deserialize)]
    struct Discovered {
        #[serde(rename = "supportedVersions", default)]
        versions: Vec<String>,
    }
    serde_json::from_str::<Discovered>(hello.get()).map_or_else(|_| Vec::new(), |it| it.versions)
}

/// The input schema of a tool as it was accepted: what its arguments are judged against.
fn schema(gate: &Gate, endpoint: &Endpoint, name: &str) -> Option<serde_json::Value> {
    let (server, tool) = match endpoint.servers.as_slice() {
        [only] => (only.as_str(), name),
        _ => name.split_once("__")?,
    };
    let bundle = gate.bundle();
    Some(bundle.catalogue().find(&format!("{server}.{tool}"))?.manifest.arguments.clone())
}

/// What goes to the client while a request is underway.
struct Underway {
    said: mpsc::Receiver<Box<RawValue>>,
    answer: oneshot::Receiver<Option<Box<RawValue>>>,
    /// Dropped with the response: nobody listens any more.
    _cancel: DropGuard,
    over: bool,
}

enum Next {
    Message(Box<RawValue>),
    Answer(Option<Box<RawValue>>),
}

impl Underway {
    fn begin(client: Dispatcher, message: Message, cancel: CancellationToken) -> Self {
        let (out, said) = mpsc::channel(UNDERWAY);
        let (tell, answer) = oneshot::channel();
        let _cancel = cancel.clone().drop_guard();
        // A task of its own: what has begun is brought to its end whether or not the client stays.
        tokio::spawn(async move {
            drop(tell.send(client.message(&message.raw, &Outbound(out), cancel).await));
        });
        Self { said, answer, _cancel, over: false }
    }

    async fn next(&mut self) -> Next {
        tokio::select! {
            biased;
            Some(message) = self.said.recv() => Next::Message(message),
            answer = &mut self.answer => {
                self.over = true;
                Next::Answer(answer.ok().flatten())
            }
        }
    }
}

async fn exchange(client: Dispatcher, message: Message, cancel: CancellationToken) -> Response {
    let mut underway = Underway::begin(client, message, cancel);
    let first = match tokio::time::timeout(SOON, underway.next()).await {
        Ok(Next::Answer(Some(answer))) => return plain(&answer),
        Ok(Next::Answer(None)) => return unanswered().into_response(),
        Ok(Next::Message(message)) => frame(None, message.get()),
        Err(_) => PING.to_owned(),
    };
    sse(stream::unfold((underway, Some(first)), async |(mut underway, first)| {
        if let Some(first) = first {
            return Some((Ok(Bytes::from(first)), (underway, None)));
        }
        if underway.over {
            return None;
        }
        let text = match tokio::time::timeout(PING_EVERY, underway.next()).await {
            Ok(Next::Message(message) | Next::Answer(Some(message))) => frame(None, message.get()),
            Ok(Next::Answer(None)) => return None,
            Err(_) => PING.to_owned(),
        };
        Some((Ok(Bytes::from(text)), (underway, None)))
    }))
}

fn plain(answer: &RawValue) -> Response {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow, default)]
        error: Option<&'a RawValue>,
    }
    let error = serde_json::from_str::<Answer<'_>>(answer.get()).ok().and_then(|answer| answer.error);
    let code = error.and_then(|error| RawReply::Error(error.to_owned()).error_code());
    json_response(refusal::status_of(code), answer.get().to_owned())
}

fn unanswered() -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, refusal::INTERNAL, "the request was not answered")
}
