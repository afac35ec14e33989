//! Workers: connect, accept, show that they live, report, drain; and who is connected, for people.
//!
//! A worker connects to us and holds one line open, over which it is told what there is. What is to be done is handed over
//! to the one that accepts, as the answer to its own request.

use super::App;
use super::auth::{Known, only_bearer};
use super::body::Strict;
use super::problem::{Problem, ProblemDetails};
use super::wire::{
    AcceptWork, ConnectWorker, ConnectedWorker, DrainWorker, ReportWork, WorkHandedOver, WorkOutcome,
    WorkReported, WorkerHeard, WorkerHeartbeat, Workers,
};
use aecl_executor::connectors::worker::desk::SILENT;
use aecl_executor::connectors::worker::words::{
    Notice, Registration, WorkEnded, WorkFunction, WorkReport, WorkerId,
};
use aecl_gate::identity::WORKER_KEY;
use aecl_gate::{Gate, WorkerIdentity};
use aecl_kernel::base::code;
use aecl_kernel::define::connector::ConnectorSpec;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use serde_json::json;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Interval, interval};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// How often a line says that it lives, and a worker should.
const BEAT: Duration = Duration::from_secs(5);
/// Longest text about what went wrong, in characters.
const SAID_MAX: usize = 4_000;

/// The bearer of a worker's key. Nobody else takes work or reports it.
#[derive(Debug)]
pub struct OfWorker {
    who: WorkerIdentity,
    key: String,
}

impl FromRequestParts<App> for OfWorker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let hint = "`aecl keys add worker NAME --action ACTION` makes one";
        match only_bearer(&parts.headers) {
            Some(key) if key.starts_with(WORKER_KEY) => {
                Ok(Self { who: app.gate.worker(key)?, key: key.to_owned() })
            }
            Some(_) => {
                let why = "only the key of a worker takes work and reports it";
                Err(Problem::of(code::FORBIDDEN, why).hint(hint))
            }
            None => {
                let why = "there is no `Authorization: Bearer` with the key of a worker, or two of them";
                Err(Problem::of(code::TOKEN_INVALID, why).hint(hint))
            }
        }
    }
}

/// Connect a worker. The answer is a stream of lines of JSON: a signed `hello`, then `offer`, `cancel`, `ping`, and
/// `closing` before the server ends. With a worker's key.
#[utoipa::path(post, path = "/v1/workers/connect", operation_id = "connect_worker", tag = "workers", request_body = ConnectWorker,
    responses((status = 200, body = String, content_type = "application/x-ndjson"),
        (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn connect(
    State(app): State<App>,
    OfWorker { who, key }: OfWorker,
    Strict(body): Strict<ConnectWorker>,
) -> Result<Response, Problem> {
    let ConnectWorker { instance, nonce, serves, slots } = body;
    let registration = Registration { serves, slots };
    let (greeting, line, notices) = app.gate.connect_worker(&who, &instance, &nonce, registration)?;
    let beat_ms = BEAT.as_millis();
    let hello =
        json!({"kind": "hello", "greeting": greeting, "beat_ms": u64::try_from(beat_ms).unwrap_or(5_000)});
    let line = Line {
        gate: app.gate.clone(),
        id: WorkerId { worker: who.id.clone(), instance },
        number: line,
        who,
        key,
        first: Some(hello),
        notices,
        beat: interval(BEAT),
        closing: Box::pin(app.options.closing.clone().cancelled_owned()),
        ended: false,
    };
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson"), (header::CACHE_CONTROL, "no-store")];
    Ok((kind, Body::new(line)).into_response())
}

/// Accept an offer. Whoever has accepted has the call, alone. With a worker's key.
#[utoipa::path(post, path = "/v1/workers/accept", operation_id = "accept_work", tag = "workers", request_body = AcceptWork,
    responses((status = 200, body = WorkHandedOver), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn accept(
    State(app): State<App>,
    of: OfWorker,
    Strict(body): Strict<AcceptWork>,
) -> Result<Json<WorkHandedOver>, Problem> {
    let handed = app.gate.hand_over(&of.who, &body.instance, &body.delivery, &body.nonce).await?;
    let arguments = String::from_utf8(handed.arguments.to_vec())
        .map_err(|_| Problem::of(code::INTERNAL, "the arguments are no UTF-8"))?;
    Ok(Json(WorkHandedOver { permit: handed.permit, arguments }))
}

/// Say that a worker lives, and with what it goes on. With a worker's key.
#[utoipa::path(post, path = "/v1/workers/heartbeat", operation_id = "worker_heartbeat", tag = "workers", request_body = WorkerHeartbeat,
    responses((status = 200, body = WorkerHeard), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn heartbeat(
    State(app): State<App>,
    of: OfWorker,
    Strict(body): Strict<WorkerHeartbeat>,
) -> Json<WorkerHeard> {
    let id = WorkerId { worker: of.who.id, instance: body.instance };
    let (gone, cancelled) = app.gate.desk().heartbeat(&id, &body.deliveries);
    Json(WorkerHeard { gone, cancelled })
}

/// Report what came of a call. What it says is on record when this is answered. With a worker's key.
#[utoipa::path(post, path = "/v1/workers/report", operation_id = "report_work", tag = "workers", request_body = ReportWork,
    responses((status = 200, body = WorkReported), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn report(
    State(app): State<App>,
    of: OfWorker,
    Strict(body): Strict<ReportWork>,
) -> Result<Json<WorkReported>, Problem> {
    let report = WorkReport {
        ended: match body.outcome {
            WorkOutcome::Done => WorkEnded::Done,
            WorkOutcome::Failed => WorkEnded::Failed,
            WorkOutcome::Refused => WorkEnded::Refused,
            WorkOutcome::Unknown => WorkEnded::Unknown,
        },
        message: body.message.chars().take(SAID_MAX).collect(),
        output: body.output.map(|output| output.to_string().into_bytes()),
    };
    // What was done is recorded also while the server goes down.
    let until = CancellationToken::new();
    let taken = app.gate.take_report(&of.who, &body.instance, &body.permit, report, &until).await?;
    Ok(Json(WorkReported { state: taken.state.map(|state| state.name()), late: taken.late }))
}

/// Take nothing new from now on; what was accepted may be ended. With a worker's key.
#[utoipa::path(post, path = "/v1/workers/drain", operation_id = "drain_worker", tag = "workers", request_body = DrainWorker,
    responses((status = 200, body = WorkerHeard), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn drain(
    State(app): State<App>,
    of: OfWorker,
    Strict(body): Strict<DrainWorker>,
) -> Json<WorkerHeard> {
    app.gate.desk().drain(&WorkerId { worker: of.who.id, instance: body.instance });
    Json(WorkerHeard { gone: Vec::new(), cancelled: Vec::new() })
}

/// Who is connected, what they serve, what they have, and what waits. For operators and auditors of all tenants.
#[utoipa::path(get, path = "/v1/workers", operation_id = "list_workers", tag = "workers",
    responses((status = 200, body = Workers), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn list(State(app): State<App>, by: Known) -> Result<Json<Workers>, Problem> {
    by.reads_everything(&app, "see the workers")?;
    let silent_ms = u64::try_from(SILENT.as_millis()).unwrap_or(u64::MAX);
    let desk = app.gate.desk();
    let connected: Vec<_> =
        desk.workers().into_iter().map(|view| ConnectedWorker::of(view, silent_ms)).collect();
    let bundle = app.gate.bundle();
    let mut actions = BTreeMap::new();
    for (name, typed) in bundle.catalogue().iter() {
        let Some(ConnectorSpec::Worker(spec)) = typed.connector() else { continue };
        let (serves, function) = match &spec.compensates {
            Some(original) => (original.as_str(), WorkFunction::Compensate),
            None => (name.as_str(), WorkFunction::Perform),
        };
        let takes = |worker: &&ConnectedWorker| {
            worker.state == "ready"
                && worker.serves.get(serves).is_some_and(|functions| functions.contains(&function))
        };
        actions.insert(name.to_string(), connected.iter().filter(takes).count());
    }
    let config = app.gate.config();
    let known = config.workers.iter().map(|worker| (worker.id.clone(), worker.actions.clone())).collect();
    Ok(Json(Workers { known, connected, waiting: desk.waiting(), actions }))
}

/// The line to one worker, for as long as its key counts and it is heard.
struct Line {
    gate: Gate,
    id: WorkerId,
    number: u64,
    who: WorkerIdentity,
    key: String,
    first: Option<serde_json::Value>,
    notices: UnboundedReceiver<Notice>,
    beat: Interval,
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
    ended: bool,
}

impl Line {
    /// Whether its key still counts for what it serves, and it was heard lately.
    fn stands(&self) -> bool {
        let is_known = self.gate.worker(&self.key).is_ok_and(|who| who == self.who);
        is_known && self.gate.desk().silence(&self.id).is_some_and(|silence| silence < SILENT * 2)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.gate.desk().disconnect(&self.id, self.number);
    }
}

impl hyper::body::Body for Line {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let said =
            |value: &serde_json::Value| Poll::Ready(Some(Ok(Frame::data(format!("{value}\n").into()))));
        if self.ended {
            return Poll::Ready(None);
        }
        if let Some(hello) = self.first.take() {
            return said(&hello);
        }
        if self.closing.as_mut().poll(cx).is_ready() {
            self.ended = true;
            return said(&json!({"kind": "closing"}));
        }
        match self.notices.poll_recv(cx) {
            Poll::Ready(Some(notice)) => return said(&json!(notice)),
            // Another line of the same process has taken its place.
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => {}
        }
        ready!(self.beat.poll_tick(cx));
        if !self.stands() {
            self.ended = true;
            return Poll::Ready(None);
        }
        said(&json!({"kind": "ping"}))
    }
}
