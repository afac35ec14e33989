//! Proxies that ask, by gRPC, before they let a request of an agent through: Envoy (`ext_authz`, and its access log for what
//! came of it) and agentgateway (`ExtMcp`). What is decided is decided at the gate, as for everybody.

mod check;
mod ext_mcp;
mod log;
mod reading;
mod words;

use crate::App;
use crate::auth::only_bearer;
use crate::crowd::Seat;
use aecl_gate::ProxyIdentity;
use aecl_gate::identity::PROXY_KEY;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::post;
use prost::Message;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tonic::server::Grpc;
use tonic::{Status, Streaming};
use tonic_prost::ProstCodec;
use tower::service_fn;

/// What all handlers share.
#[derive(Debug, Clone)]
struct Door {
    app: App,
    /// Requests that are judged at once.
    seats: Arc<Semaphore>,
    /// Longest message, in bytes.
    message_bytes_max: usize,
}

/// Room for what stands around a body in a message, in bytes.
const AROUND_BYTES_MAX: usize = 256 << 10;

/// Everything that is served to proxies.
pub(crate) fn router(app: App) -> Router {
    let limits = &app.gate.config().limits;
    let seats = Arc::new(Semaphore::new(limits.requests_max));
    let message_bytes_max = limits.request_bytes_max.saturating_add(AROUND_BYTES_MAX);
    Router::new()
        .route("/envoy.service.auth.v3.Authorization/Check", post(check))
        .route("/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs", post(access_logs))
        .route("/agentgateway.dev.ext_mcp.ExtMcp/CheckRequest", post(check_request))
        .route("/agentgateway.dev.ext_mcp.ExtMcp/CheckResponse", post(check_response))
        .fallback(|| async { refused(Status::unimplemented("nothing is served under this name")) })
        .with_state(Door { app, seats, message_bytes_max })
}

impl Door {
    /// Which proxy asks. It keeps its connection when room gets scarce.
    fn proxy(&self, request: &Request) -> Result<ProxyIdentity, Status> {
        let proxy = self.named(request.headers())?;
        if let Some(seat) = request.extensions().get::<Seat>() {
            drop(seat.asks(Some(&format!("proxy:{}", proxy.id))));
        }
        Ok(proxy)
    }

    fn named(&self, headers: &HeaderMap) -> Result<ProxyIdentity, Status> {
        match only_bearer(headers) {
            Some(key) if key.starts_with(PROXY_KEY) => {
                self.app.gate.proxy(key).map_err(|error| Status::unauthenticated(error.to_string()))
            }
            Some(_) | None => Err(Status::unauthenticated(
                "there is no `authorization: Bearer` with the key of a proxy; `aecl keys add proxy NAME` makes one",
            )),
        }
    }

    /// One question, one answer.
    async fn unary<Q, A, F>(self, request: Request, answer: impl Fn(App, ProxyIdentity, Q) -> F) -> Response
    where
        Q: Message + Default + Send + 'static,
        A: Message + Default + Send + 'static,
        F: Future<Output = A>,
    {
        let proxy = match self.proxy(&request) {
            Ok(proxy) => proxy,
            Err(status) => return refused(status),
        };
        let Ok(_seat) = self.seats.clone().try_acquire_owned() else {
            return refused(Status::resource_exhausted("more requests are underway than are accepted"));
        };
        let mut grpc = Grpc::new(ProstCodec::default()).max_decoding_message_size(self.message_bytes_max);
        let answered = service_fn(|question: tonic::Request<Q>| {
            let answer = answer(self.app.clone(), proxy.clone(), question.into_inner());
            async { Ok::<_, Status>(tonic::Response::new(answer.await)) }
        });
        grpc.unary(answered, request).await.map(axum::body::Body::new)
    }
}

async fn check(State(door): State<Door>, request: Request) -> Response {
    door.unary(request, |app, proxy, question| async move { check::check(&app, &proxy, question).await })
        .await
}

async fn check_request(State(door): State<Door>, request: Request) -> Response {
    door.unary(
        request,
        |app, proxy, question| async move { ext_mcp::check_request(&app, &proxy, question).await },
    )
    .await
}

async fn check_response(State(door): State<Door>, request: Request) -> Response {
    door.unary(request, |app, proxy, question| async move {
        ext_mcp::check_response(&app, &proxy, question).await
    })
    .await
}

/// A proxy holds one stream open for as long as it lives.
async fn access_logs(State(door): State<Door>, request: Request) -> Response {
    let proxy = match door.proxy(&request) {
        Ok(proxy) => proxy,
        Err(status) => return refused(status),
    };
    let mut grpc = Grpc::new(ProstCodec::default()).max_decoding_message_size(door.message_bytes_max);
    let taken = service_fn(|entries: tonic::Request<Streaming<words::log::StreamAccessLogsMessage>>| {
        let (app, proxy) = (door.app.clone(), proxy.clone());
        async move {
            let mut entries = entries.into_inner();
            loop {
                let message = tokio::select! {
                    message = entries.message() => message?,
                    // Whatever is on its way comes to the next start, by a new stream.
                    () = app.options.closing.cancelled() => None,
                };
                let Some(message) = message else { break };
                for entry in message.http_logs.unwrap_or_default().log_entry {
                    log::take(&app, &proxy, entry).await;
                }
            }
            Ok::<_, Status>(tonic::Response::new(words::log::StreamAccessLogsResponse {}))
        }
    });
    grpc.client_streaming(taken, request).await.map(axum::body::Body::new)
}

fn refused(status: Status) -> Response {
    status.into_http()
}
