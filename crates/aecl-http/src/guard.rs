//! What every request passes before a handler sees it, from the outside in: a request id and a log line, a
//! net for panics, on whose account it goes, the origin of web pages, a seat.

use super::App;
use super::crowd::Seat;
use super::problem::Problem;
use crate::web;
use aecl_gate::Gate;
use aecl_gate::config::Config;
use aecl_kernel::base::code::{self, Code};
use aecl_mcp::http::guard;
use aecl_mcp::serving::Peer;
use aecl_mcp::serving::load::{Load, discard};
use aecl_mcp::serving::shares::Shares;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};
use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Longest time for an answer that nobody has to wait for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest request id of somebody else that is taken over: visible ASCII, so that a log stays readable.
const REQUEST_ID_MAX: usize = 128;
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives the request an id, which the answer and the log repeat, and writes one log line. Neither bodies nor
/// headers are logged.
pub async fn trace(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let id = request
        .headers()
        .get(&REQUEST_ID)
        .and_then(|v| v.to_str().ok())
        .filter(|id| (1..=REQUEST_ID_MAX).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()))
        .map_or_else(|| uuid::Uuid::now_v7().simple().to_string(), str::to_owned);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let value = HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("none"));
    request.headers_mut().insert(&REQUEST_ID, value.clone());
    let began = tokio::time::Instant::now();
    let mut response = next.run(request).await;
    let (status, ms) = (response.status().as_u16(), began.elapsed().as_millis());
    match response.extensions().get::<Code>() {
        Some(code) => {
            gate.metrics().refused(*code);
            tracing::info!(request = %id, %method, path, status, ms, %code, "refused");
        }
        None => tracing::info!(request = %id, %method, path, status, ms, "answered"),
    }
    response.headers_mut().insert(&REQUEST_ID, value);
    response
}

/// A handler that panics is our own failure, and says no more than that.
pub fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a handler has panicked");
    Problem::of(code::INTERNAL, "something is wrong with AECL itself; its log says more").into_response()
}

/// A request that a web page of another origin sends is refused, whatever it carries; so is one under a name that
/// somebody else has made lead here, for whoever's page it is may read the answer.
pub async fn origin(State(app): State<App>, request: Request, next: Next) -> Response {
    match foreign(&request, &app.gate.config()) {
        None => next.run(request).await,
        Some(detail) => Problem::new(StatusCode::FORBIDDEN, code::FORBIDDEN, detail).into_response(),
    }
}

/// What makes a request one of somebody else's page.
fn foreign(request: &Request, config: &Config) -> Option<&'static str> {
    let (headers, uri) = (request.headers(), request.uri());
    // No page reaches the socket of the data directory, and what comes there names no host.
    let is_local = matches!(request.extensions().get::<Peer>(), Some(Peer::Local));
    let is_ours = |host: &str| guard::is_ours(config, host);
    let named = headers.get_all(header::HOST).iter().all(|host| host.to_str().is_ok_and(is_ours))
        && uri.authority().is_none_or(|authority| is_ours(authority.as_str()));
    if !is_local && !named {
        return Some(
            "this `Host` is not how AECL is reached; `public_url` and `allowed_origins` of aecl.yaml name further ones",
        );
    }
    let is_unnamed = headers.get(header::HOST).is_none() && uri.authority().is_none();
    if is_unnamed && matches!(request.extensions().get::<Peer>(), Some(Peer::Tcp(_))) {
        return Some("the request names no `Host`");
    }
    let mut origins = headers.get_all(header::ORIGIN).iter().peekable();
    // A browser that hides the origin still says that it is another.
    let hidden = origins.peek().is_none()
        && !matches!(*request.method(), Method::GET | Method::HEAD)
        && headers.get_all("sec-fetch-site").iter().any(|site| site != "same-origin" && site != "none");
    if hidden || !origins.all(|origin| ours(origin, headers, uri, config)) {
        return Some("this origin may not call; list it in `allowed_origins` of aecl.yaml");
    }
    None
}

fn ours(origin: &HeaderValue, headers: &HeaderMap, uri: &Uri, config: &Config) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    if config.allowed_origins.contains(origin) || origin == config.url() {
        return true;
    }
    let host = uri.authority().map(|a| a.as_str()).or_else(|| headers.get(header::HOST)?.to_str().ok());
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    if !matches!(scheme, "http" | "https") || Some(authority) != host {
        return false;
    }
    // The same host, but only by a name that nobody else can point at us: an address or this machine.
    let name = url::Url::parse(origin).ok().and_then(|url| url.host().map(|h| h.to_owned()));
    match name {
        Some(url::Host::Ipv4(_) | url::Host::Ipv6(_)) => true,
        Some(url::Host::Domain(name)) => name == "localhost" || name == aecl_mcp::serving::PAGES,
        None => false,
    }
}

/// Takes one of these seats, or says that there is none.
pub async fn seat(State(seats): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let Ok(_seat) = seats.try_acquire_owned() else {
        return full(request, "more requests are underway than are accepted").await;
    };
    next.run(request).await
}

async fn full(request: Request, why: impl Into<String>) -> Response {
    discard(request.into_body()).await;
    Problem::of(code::OVERLOADED, why).hint("try again in a second").into_response()
}

/// On whose account a request goes: an agent's, by a token that verifies, that of the owner of a key or of whoever is
/// logged in on the pages. Everybody else shares one, without a name.
#[derive(Debug, Clone, Default)]
pub struct Account(pub String);

/// Finds out on whose account a request goes, once; who is known keeps the connection when room gets scarce. What the
/// request takes is given back when it is answered to its end.
pub async fn account(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let who = payer(&app, &request);
    let underway = request.extensions().get::<Seat>().map(|seat| seat.asks(who.as_deref()));
    let account = Account(who.unwrap_or_default());
    let load = Load::new(app.bodies.share(&account.0));
    request.extensions_mut().insert(account);
    request.extensions_mut().insert(load.clone());
    let response = next.run(request).await;
    response.map(|body| Body::new(Held { body, _held: (underway, load) }))
}

fn payer(app: &App, request: &Request) -> Option<String> {
    let Some(sent) = request.headers().get(header::AUTHORIZATION) else {
        return match request.extensions().get::<Peer>() {
            Some(Peer::Local) => Some("local".to_owned()),
            Some(Peer::Tcp(_)) | None => web::visitor(request.headers(), app),
        };
    };
    let (_, credential) = sent.to_str().ok()?.split_once(' ')?;
    app.gate.bearer_of(credential.trim())
}

/// A body that keeps something for as long as it is sent.
struct Held<T> {
    body: Body,
    _held: T,
}

impl<T: Unpin> hyper::body::Body for Held<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Takes a seat of the share of whoever calls: who waits for people in all of its own leaves the others theirs.
pub async fn share(State(shares): State<Shares>, request: Request, next: Next) -> Response {
    let Account(who) = request.extensions().get().cloned().unwrap_or_default();
    let mut share = shares.share(&who);
    if share.take(1).is_err() {
        let most = shares.each();
        let why = format!("{most} of the requests of `{who}` are underway, as many as one caller may have");
        return full(request, why).await;
    }
    next.run(request).await
}

/// Ends what takes longer than anything here should. Not for what waits for people.
pub async fn deadline(request: Request, next: Next) -> Response {
    match tokio::time::timeout(ANSWER_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            Problem::new(StatusCode::GATEWAY_TIMEOUT, code::INTERNAL, "no answer in time").into_response()
        }
    }
}

/// There is nothing at this path.
pub async fn nothing(request: Request) -> Response {
    let path: String = request.uri().path().chars().take(200).collect();
    Problem::new(StatusCode::NOT_FOUND, code::REQUEST_INVALID, format!("there is nothing at `{path}`"))
        .hint("`GET /openapi.json` lists what there is")
        .into_response()
}

/// There is something at this path, but not this way.
pub async fn wrong_method(request: Request) -> Response {
    let detail = format!("`{}` is not possible here", request.method());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, code::REQUEST_INVALID, detail).into_response()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;
    use axum::Router;
    use axum::routing::get;
    use tower::ServiceExt as _;
    use tower_http::catch_panic::CatchPanicLayer;

    #[tokio::test]
    async fn a_handler_that_panics_is_our_failure_and_says_no_more() {
        async fn breaks() -> StatusCode {
            panic!("a secret in the panic")
        }
        let app = Router::new().route("/", get(breaks)).layer(CatchPanicLayer::custom(panicked));
        let response = app.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(body.contains("\"internal\"") && !body.contains("secret"), "{body}");
    }
}
