//! The HTTP API and the pages: they translate between the wire and the gate. What is decided and recorded
//! is decided and recorded there.

pub mod actions;
mod alike;
pub mod approvals;
pub mod auth;
pub mod authzen;
pub mod body;
pub mod clock;
mod crowd;
mod describe;
mod guard;
pub mod host;
pub mod ledger;
mod litellm;
mod live;
mod offered;
pub mod ops;
mod plans;
pub mod policy;
pub mod problem;
mod proxies;
pub mod runs;
pub mod server;
mod view;
mod watch;
pub mod web;
pub mod wire;
pub mod workers;

use aecl_gate::Gate;
use aecl_mcp as mcp;
use aecl_mcp::serving::shares::Shares;
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use describe::openapi_text;
pub use host::Host;
pub use server::{Listeners, serve};

/// Options of the server of the API.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Fires when the server goes down: whoever waits for a person is answered then.
    pub closing: CancellationToken,
    /// How many connections are open.
    pub connections: Arc<AtomicUsize>,
    /// How many connections had to give way to others.
    pub gave_way: Arc<AtomicU64>,
}

/// State that handlers share.
#[derive(Debug, Clone)]
pub struct App {
    pub(crate) gate: Gate,
    pub(crate) options: Options,
    pub(crate) logins: web::Logins,
    /// Bytes of request bodies that are underway.
    pub(crate) bodies: Shares,
    /// Who is told of changes.
    pub(crate) live: live::Live,
}

impl App {
    fn of(gate: Gate, options: &Options) -> Self {
        let limits = gate.config().limits.clone();
        let bodies = Shares::of(limits.bodies_bytes_max, limits.request_bytes_max);
        let (logins, live) = (web::Logins::default(), live::Live::default());
        Self { gate, options: options.clone(), logins, bodies, live }
    }

    /// How long somebody waits who asked for so many seconds.
    fn at_most(&self, wait_s: u64) -> Duration {
        Duration::from_secs(wait_s).min(Duration::from_millis(self.gate.config().limits.wait_ms_max))
    }
}

/// Everything that is served to proxies, by gRPC.
pub(crate) fn for_proxies(gate: Gate, options: &Options) -> Router {
    proxies::router(App::of(gate, options)).layer(CatchPanicLayer::custom(guard::panicked))
}

/// Everything that is served over HTTP.
pub fn router(gate: Gate, options: &Options) -> Router {
    let requests_max = gate.config().limits.requests_max;
    let app = App::of(gate, options);
    let seats = || from_fn_with_state(Arc::new(Semaphore::new(requests_max)), guard::seat);
    let (agents, _) = for_agents().split_for_parts();
    let (people, _) = for_people().split_for_parts();
    let (operations, _) = operations().split_for_parts();
    // It has an answer of its own to origins. Its streams live long, so it has limits of its own and takes no seats.
    let traced = app.gate.clone();
    let gateway = mcp::http::router_until(app.gate.clone(), options.closing.clone());
    // Agents and people have seats of their own: agents that wait do not keep a person from answering them.
    let shares = Shares::of(requests_max, 2);
    let agents = agents.layer(seats()).layer(from_fn_with_state(shares, guard::share));
    let (workers, _) = for_workers().split_for_parts();
    // Theirs, too: what they report ends what agents wait for.
    let workers = workers.layer(seats()).layer(from_fn_with_state(Shares::of(requests_max, 2), guard::share));
    let people = people.merge(web::router(&app)).layer(from_fn(guard::deadline)).layer(seats());
    // They live long, so they have limits of their own, too.
    let (streams, _) = for_watchers().split_for_parts();
    Router::new()
        .merge(agents)
        .merge(workers)
        .merge(people)
        .merge(streams.merge(web::streams(&app)))
        .merge(operations.route("/openapi.json", get(ops::openapi)))
        .fallback(guard::nothing)
        .method_not_allowed_fallback(guard::wrong_method)
        .layer(from_fn_with_state(app.clone(), guard::origin))
        .with_state(app.clone())
        .merge(gateway)
        .layer(from_fn_with_state(app, guard::account))
        .layer(CatchPanicLayer::custom(guard::panicked))
        .layer(from_fn_with_state(traced, guard::trace))
}

/// What agents and orchestrators use, and whatever may wait for people.
fn for_agents() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(runs::open))
        .routes(routes!(runs::show))
        .routes(routes!(runs::propose_plan, runs::show_proposed_plan))
        .routes(routes!(runs::renew))
        .routes(routes!(runs::delegate))
        .routes(routes!(runs::close))
        .routes(routes!(runs::revoke))
        .routes(routes!(actions::propose))
        .routes(routes!(actions::show))
        .routes(routes!(actions::report))
        .routes(routes!(actions::rollback))
        .routes(routes!(runs::rollback))
        .routes(routes!(authzen::evaluate))
        .routes(routes!(authzen::evaluate_several))
        .route("/beta/litellm_basic_guardrail_api", post(litellm::guardrail))
}

/// What people use.
fn for_people() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(actions::resolve))
        .routes(routes!(workers::list))
        .routes(routes!(approvals::queue))
        .routes(routes!(approvals::show))
        .routes(routes!(alike::answers))
        .routes(routes!(approvals::approve))
        .routes(routes!(approvals::reject))
        .routes(routes!(policy::kills, policy::kill))
        .routes(routes!(policy::lift))
        .routes(routes!(policy::explain))
        .routes(routes!(policy::show))
        .routes(routes!(policy::reload))
        .routes(routes!(clock::show))
        .routes(routes!(clock::accept))
        .routes(routes!(ledger::checkpoint))
        .routes(routes!(ledger::key))
        .routes(routes!(ledger::entries))
        .routes(routes!(ledger::of_run))
        .routes(routes!(ledger::of_action))
        .route("/v1/ledger/tile/{*path}", get(ledger::tile))
}

/// What people are told of as it happens.
fn for_watchers() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(live::events))
}

/// What workers use.
fn for_workers() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(workers::connect))
        .routes(routes!(workers::accept))
        .routes(routes!(workers::heartbeat))
        .routes(routes!(workers::report))
        .routes(routes!(workers::drain))
}

/// What machines use to look after this one.
fn operations() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(ops::health))
        .routes(routes!(ops::ready))
        .routes(routes!(ops::metrics))
        .routes(routes!(ops::jwks))
        .routes(routes!(authzen::metadata))
}
