//! The era with `initialize`: a session, answers by JSON or as a stream that can be picked up again.

use super::auth::Caller;
use super::events::{UNASKED, stream_of};
use super::message::{Kind, Message};
use super::refusal::{self, INTERNAL, Refusal, json_response};
use super::sessions::Session;
use super::{Endpoint, Hall, accepts, headers, shared};
use crate::{Dispatcher, Outbound};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How long an answer may take before a stream is begun for it.
const SOON: Duration = Duration::from_millis(1000);
/// The first revision whose clients understand an event without data.
const PRIMED_SINCE: &str = "2025-11-25";
const LAST_EVENT: &str = "last-event-id";
/// Messages that may wait for the event record.
const UNDERWAY: usize = 64;

/// Takes a message of this era.
pub(super) async fn take(
    hall: &Arc<Hall>,
    endpoint: &Endpoint,
    caller: Caller,
    headers: &HeaderMap,
    message: Message,
) -> Result<Response, Refusal> {
    let opens = matches!(&message.kind, Kind::Request { method, .. } if method == "initialize");
    if opens && headers::single(headers, headers::SESSION)?.is_none() {
        return initialize(hall, endpoint, &caller, message).await;
    }
    let session = session(hall, endpoint, &caller, headers)?;
    let _hold = session.hold();
    shared::renew(&session.client, &caller).await;
    match &message.kind {
        Kind::Request { .. } => {
            let stream = session.events.open();
            tokio::spawn(carry(session.clone(), message, stream));
            Ok(respond(&session, stream).await)
        }
        Kind::Notification { .. } | Kind::Answer => {
            let (out, unheard) = mpsc::channel(1);
            drop(unheard);
            session.client.message(&message.raw, &Outbound(out), CancellationToken::new()).await;
            Ok(StatusCode::ACCEPTED.into_response())
        }
    }
}

/// Opens a session, with the client's own words to the upstream.
async fn initialize(
    hall: &Arc<Hall>,
    endpoint: &Endpoint,
    caller: &Caller,
    message: Message,
) -> Result<Response, Refusal> {
    let Kind::Request { id: request, .. } = &message.kind else {
        return Err(Refusal::invalid("`initialize` is a request"));
    };
    let id = fresh_id()?;
    let opening = shared::opening(endpoint, caller, Some(id.clone()));
    let client =
        Dispatcher::open(hall.gate.clone(), opening).await.map_err(|e| Refusal::from(e).to(request))?;
    let session = Session::new(id, endpoint.clone(), caller.owner(), client, &hall.closing);
    let (out, unheard) = mpsc::channel(1);
    drop(unheard);
    let answer = session.client.message(&message.raw, &Outbound(out), CancellationToken::new()).await;
    let Some(answer) = answer else {
        session.end().await;
        return Err(
            Refusal::new(StatusCode::BAD_GATEWAY, INTERNAL, "`initialize` was not answered").to(request)
        );
    };
    match Initialized::read(&answer) {
        Initialized::Version(version) => {
            if let Err(refusal) = hall.sessions.add(&session, &hall.gate) {
                session.end().await;
                return Err(refusal.to(request));
            }
            drop(session.version.set(version));
            let mut response = json_response(StatusCode::OK, answer.get().to_owned());
            mark(&session, &mut response);
            Ok(response)
        }
        Initialized::Refused(code) => {
            session.end().await;
            Ok(json_response(refusal::status_of(Some(code)), answer.get().to_owned()))
        }
    }
}

/// What came of `initialize`.
enum Initialized {
    Version(String),
    Refused(i64),
}

impl Initialized {
    fn read(answer: &RawValue) -> Self {
        #[derive(Deserialize)]
        struct Answer {
            result: Option<InitializeResult>,
            error: Option<Code>,
        }
        #[derive(Deserialize)]
        struct InitializeResult {
            #[serde(rename = "protocolVersion")]
            version: String,
        }
        #[derive(Deserialize)]
        struct Code {
            code: i64,
        }
        match serde_json::from_str::<Answer>(answer.get()) {
            Ok(Answer { result: Some(welcome), .. }) => Self::Version(welcome.version),
            Ok(Answer { error: Some(error), .. }) => Self::Refused(error.code),
            _ => Self::Refused(INTERNAL),
        }
    }
}

/// 256 random bits: who does not know it cannot guess it.
fn fresh_id() -> Result<String, Refusal> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| {
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL, format!("no random bytes: {error}"))
    })?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

fn session(
    hall: &Hall,
    endpoint: &Endpoint,
    caller: &Caller,
    headers: &HeaderMap,
) -> Result<Arc<Session>, Refusal> {
    let Some(id) = headers::single(headers, headers::SESSION)? else {
        return Err(Refusal::invalid("the `Mcp-Session-Id` header is missing; `initialize` comes first"));
    };
    hall.sessions.find(id, endpoint, &caller.owner()).ok_or_else(|| {
        Refusal::new(
            StatusCode::NOT_FOUND,
            refusal::INVALID,
            "there is no such session; begin with `initialize`",
        )
    })
}

/// Carries one request through, whether or not the client keeps listening: it may come back for the answer.
async fn carry(session: Arc<Session>, message: Message, stream: u64) {
    let _hold = session.hold();
    let (events, client) = (&session.events, &session.client);
    let (out, mut said) = mpsc::channel(UNDERWAY);
    let out = Outbound(out);
    let mut answer = std::pin::pin!(client.message(&message.raw, &out, CancellationToken::new()));
    let answer = loop {
        tokio::select! {
            biased;
            Some(message) = said.recv() => events.push(stream, message.get()),
            answer = &mut answer => break answer,
        }
    };
    while let Ok(message) = said.try_recv() {
        events.push(stream, message.get());
    }
    events.finish(stream, answer.as_deref().map(RawValue::get));
}

/// One answer that comes soon and alone is plain JSON; anything else is a stream.
async fn respond(session: &Arc<Session>, stream: u64) -> Response {
    let mut response = match session.events.only(stream, SOON).await {
        Some(answer) => json_response(StatusCode::OK, answer.as_ref().to_owned()),
        None => match session.events.read(stream) {
            Some(place) => stream_of(session.events.clone(), place, primed(session), session.hold()),
            None => StatusCode::NO_CONTENT.into_response(),
        },
    };
    mark(session, &mut response);
    response
}

fn primed(session: &Session) -> bool {
    session.version.get().is_some_and(|version| version.as_str() >= PRIMED_SINCE)
}

fn mark(session: &Session, response: &mut Response) {
    if let Ok(id) = HeaderValue::from_str(&session.id) {
        response.headers_mut().insert(HeaderName::from_static(headers::SESSION), id);
    }
}

/// The stream for what the servers say unasked, or one that broke, from where it broke.
pub(super) fn listen(
    hall: &Arc<Hall>,
    endpoint: &Endpoint,
    caller: &Caller,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    if !accepts(headers, "text/event-stream") {
        let message = "the client must accept text/event-stream";
        return Err(Refusal::new(StatusCode::NOT_ACCEPTABLE, refusal::INVALID, message));
    }
    let session = session(hall, endpoint, caller, headers)?;
    let last = headers::single(headers, LAST_EVENT)?;
    let place = match last {
        Some(last) => session.events.resume(last),
        None => session.events.read(UNASKED),
    };
    let Some(place) = place else {
        let message = "nothing is known after this `Last-Event-ID` any more";
        return Err(Refusal::new(StatusCode::NOT_FOUND, refusal::INVALID, message));
    };
    let mut response = stream_of(session.events.clone(), place, primed(&session), session.hold());
    mark(&session, &mut response);
    Ok(response)
}

/// Ends a session.
pub(super) fn leave(
    hall: &Arc<Hall>,
    endpoint: &Endpoint,
    caller: &Caller,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let session = session(hall, endpoint, caller, headers)?;
    if let Some(session) = hall.sessions.take(&session.id) {
        tokio::spawn(async move { session.end().await });
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}
