//! Operations: health, metrics, keys, the description of this API.

use super::App;
use super::auth::Known;
use super::clock::ClockState;
use super::problem::{Problem, ProblemDetails};
use aecl_gate::clock::ClockStanding;
use aecl_gate::config::MetricsReaders;
use aecl_gate::metrics::{BUCKETS_MS, Histogram};
use aecl_kernel::base::code;
use aecl_kernel::define::isolation::{BackendReport, Capabilities};
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use utoipa::ToSchema;

/// How it is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`.
    pub status: &'static str,
    /// Of this program. This and what follows is for operators and auditors of all tenants and the owner of the directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<&'static str>,
    /// How the wall clock stands to the time, unless they agree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockState>,
    /// What programs are held with, if some action is carried out by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Sandbox>,
}

/// What programs are held with here, as it was found out and recorded.
#[derive(Debug, Serialize, ToSchema)]
pub struct Sandbox {
    /// Each way that was tried.
    pub backends: Vec<HeldBy>,
    /// Whether modules of WebAssembly run here; absent where no action is carried out by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modules: Option<Modules>,
    /// Where more is asked for and not available, nothing below this; absent: nothing less at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept_lower_tier: Option<&'static str>,
}

/// What runs modules of WebAssembly.
#[derive(Debug, Serialize, ToSchema)]
pub struct Modules {
    /// One was run.
    pub available: bool,
    /// Why not, or what runs them.
    pub reason: String,
}

/// One way to hold programs.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeldBy {
    /// Its name.
    pub backend: String,
    /// `native`, `gvisor` or `microvm`.
    pub tier: &'static str,
    /// It was built, and every attack was refused.
    pub available: bool,
    /// Why not, or what holds it.
    pub reason: String,
    /// Limits of memory are enforced.
    pub memory_limit: bool,
    /// Limits of processor time are enforced.
    pub cpu_limit: bool,
    /// Programs can see directories and files of the host.
    pub views: bool,
    /// They can write into a layer above one of them.
    pub overlays: bool,
    /// They can reach whom their action names.
    pub egress: bool,
    /// They can go without a limit of memory.
    pub unlimited_memory: bool,
    /// They can be programs of this host, as the worker of modules is.
    pub host_programs: bool,
}

impl Health {
    /// For whoever reaches the port: that it is well. Everything else is for whoever may read everything.
    fn of(app: &App, by: Option<&Known>) -> Self {
        if !by.is_some_and(|Known(by)| app.gate.reads_everything(by)) {
            return Self { status: "ok", version: None, clock: None, sandbox: None };
        }
        let sandbox = app.gate.cages().map(|cages| Sandbox {
            backends: cages.found.iter().map(HeldBy::of).collect(),
            modules: cages
                .modules
                .as_ref()
                .map(|modules| Modules { available: modules.available, reason: modules.reason.clone() }),
            accept_lower_tier: cages.lowered.as_ref().map(|lowered| lowered.to.name()),
        });
        let clock = Some(ClockState::of(&app.gate)).filter(|clock| clock.standing != "right");
        Self { status: "ok", version: Some(env!("CARGO_PKG_VERSION")), clock, sandbox }
    }
}

impl HeldBy {
    fn of(found: &BackendReport) -> Self {
        let offers = found.offers.unwrap_or(Capabilities::ALL);
        Self {
            backend: found.backend.clone(),
            tier: found.tier.name(),
            available: found.available,
            reason: found.reason.clone(),
            memory_limit: found.memory,
            cpu_limit: found.cpu,
            views: offers.views,
            overlays: offers.overlays,
            egress: offers.listener,
            unlimited_memory: offers.unlimited_memory,
            host_programs: offers.host_programs,
        }
    }
}

/// The process lives.
#[utoipa::path(get, path = "/healthz", operation_id = "healthz", security(()), tag = "operations", responses((status = 200, body = Health)))]
pub async fn health(State(app): State<App>, by: Result<Known, Problem>) -> Json<Health> {
    Json(Health::of(&app, by.ok().as_ref()))
}

/// The process can decide and record.
#[utoipa::path(get, path = "/readyz", operation_id = "readyz", security(()), tag = "operations",
    responses((status = 200, body = Health), (status = 503, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn ready(State(app): State<App>, by: Result<Known, Problem>) -> Result<Json<Health>, Problem> {
    if let Some(why) = app.gate.ledger().stopped() {
        tracing::error!(why, "not ready: the ledger has stopped");
        return Err(Problem::of(code::LEDGER_UNAVAILABLE, "the ledger has stopped"));
    }
    if app.options.closing.is_cancelled() {
        return Err(Problem::of(code::LEDGER_UNAVAILABLE, "the server is going down"));
    }
    Ok(Json(Health::of(&app, by.ok().as_ref())))
}

/// The key that verifies run tokens and permits, as a JSON Web Key Set.
#[utoipa::path(get, path = "/.well-known/jwks.json", operation_id = "jwks", security(()), tag = "operations",
    responses((status = 200, body = Value)))]
pub async fn jwks(State(app): State<App>) -> Json<Value> {
    Json(app.gate.tokens().jwks())
}

/// The description of this API.
pub async fn openapi() -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, super::openapi_text()).into_response()
}

/// Counts and latencies for Prometheus. They name agents and actions, so they are for operators, auditors and the owner of
/// the directory, unless the configuration says `metrics: open`.
#[utoipa::path(get, path = "/metrics", operation_id = "metrics", tag = "operations",
    responses((status = 200, body = String, content_type = "text/plain"), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn metrics(State(app): State<App>, by: Result<Known, Problem>) -> Result<Response, Problem> {
    match app.gate.config().metrics {
        MetricsReaders::Open => {}
        MetricsReaders::Auditors => by
            .and_then(|by| by.reads_everything(&app, "read the metrics"))
            .map_err(|problem| problem.hint(SCRAPE))?,
    }
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((kind, exposition(&app)).into_response())
}

/// How whoever collects metrics gets them.
const SCRAPE: &str = "give whatever collects them a key of its own (`aecl keys add person NAME --group auditors`) as a \
                      bearer token, or say `metrics: open` in aecl.yaml";

fn exposition(app: &App) -> String {
    let counts = app.gate.metrics().counts();
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ =
        write!(out, "# HELP agent_action_total Decisions and outcomes.\n# TYPE agent_action_total counter\n");
    for ((agent, action, outcome), n) in &counts.actions {
        let (agent, action, outcome) = (label(agent), label(action), label(outcome));
        let _ = writeln!(
            out,
            "agent_action_total{{agent=\"{agent}\",action=\"{action}\",outcome=\"{outcome}\"}} {n}"
        );
    }
    let _ = write!(
        out,
        "# HELP aecl_refused_total Requests that were refused and are on no record.\n# TYPE aecl_refused_total counter\n"
    );
    for (code, n) in &counts.refused {
        let _ = writeln!(out, "aecl_refused_total{{code=\"{code}\"}} {n}");
    }
    histogram(&mut out, "aecl_decide_seconds", "From the proposal to the recorded decision.", &counts.decide);
    histogram(
        &mut out,
        "aecl_perform_seconds",
        "From the permit to the recorded conclusion.",
        &counts.perform,
    );
    histogram(&mut out, "aecl_approval_wait_seconds", "How long callers waited for people.", &counts.wait);
    let (behind, ahead) = match app.gate.clock_standing() {
        ClockStanding::Right => (0, 0),
        ClockStanding::Behind { by } => (by.as_secs(), 0),
        ClockStanding::Ahead { by, .. } => (0, by.as_secs()),
    };
    let counters = [
        (
            "aecl_dead_tokens_total",
            "Requests with tokens that had been dead for a minute.",
            counts.dead_tokens,
        ),
        (
            "aecl_unrecorded_total",
            "Proposals that came to nothing and were not recorded: their agent had too many.",
            counts.unrecorded,
        ),
        (
            "aecl_connections_gave_way_total",
            "Connections that were closed so that others find room.",
            app.options.gave_way.load(Ordering::Relaxed),
        ),
    ];
    for (name, help, value) in counters {
        let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}\n");
    }
    let open = app.gate.ledger().queue(|queue| queue.by_end(None).count());
    let gauges = [
        ("aecl_approvals_open", "Requests for approval that are open.", open as u64),
        ("aecl_event_streams", "Streams of events that are open.", app.live.streams() as u64),
        ("aecl_actions_underway", "Attempts that are not concluded.", app.gate.underway() as u64),
        (
            "aecl_ledger_stopped",
            "1 if nothing can be recorded.",
            u64::from(app.gate.ledger().stopped().is_some()),
        ),
        (
            "aecl_connections",
            "Connections that are open.",
            app.options.connections.load(Ordering::SeqCst) as u64,
        ),
        (
            "aecl_request_bytes_underway",
            "Bytes of the bodies of requests that are not answered to their end.",
            app.bodies.taken() as u64,
        ),
        ("aecl_clock_behind_seconds", "How far the wall clock is behind the time that is recorded.", behind),
        ("aecl_clock_ahead_seconds", "How far the wall clock has jumped ahead and is not believed.", ahead),
    ];
    for (name, help, value) in gauges {
        let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n");
    }
    out
}

fn histogram(out: &mut String, name: &str, help: &str, h: &Histogram) {
    let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} histogram\n");
    for (bound, n) in BUCKETS_MS.iter().zip(h.buckets) {
        let _ = writeln!(out, "{name}_bucket{{le=\"{}\"}} {n}", seconds(*bound));
    }
    let _ = write!(
        out,
        "{name}_bucket{{le=\"+Inf\"}} {count}\n{name}_sum {sum}\n{name}_count {count}\n",
        count = h.count,
        sum = seconds(h.sum_ms)
    );
}

/// Milliseconds as seconds, exactly.
fn seconds(ms: u64) -> String {
    let text = format!("{}.{:03}", ms / 1000, ms % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
