//! Operations: health, metrics, keys, the description of this API.

use super::App;
use super::problem::{Problem, ProblemDetails};
use aecl_gate::metrics::{BUCKETS_MS, Histogram};
use aecl_kernel::code;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;
use utoipa::ToSchema;

/// How it is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`.
    pub status: &'static str,
    /// Of this program.
    pub version: &'static str,
}

const OK: Health = Health { status: "ok", version: env!("CARGO_PKG_VERSION") };

/// The process lives.
#[utoipa::path(get, path = "/healthz", operation_id = "healthz", security(()), tag = "operations", responses((status = 200, body = Health)))]
pub async fn health() -> Json<Health> {
    Json(OK)
}

/// The process can decide and record.
#[utoipa::path(get, path = "/readyz", operation_id = "readyz", security(()), tag = "operations",
    responses((status = 200, body = Health), (status = 503, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn ready(State(app): State<App>) -> Result<Json<Health>, Problem> {
    if let Some(why) = app.gate.ledger().stopped() {
        tracing::error!(why, "not ready: the ledger has stopped");
        return Err(Problem::of(code::LEDGER_UNAVAILABLE, "the ledger has stopped"));
    }
    if app.options.closing.is_cancelled() {
        return Err(Problem::of(code::LEDGER_UNAVAILABLE, "the server is going down"));
    }
    Ok(Json(OK))
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

/// Counts and latencies for Prometheus.
#[utoipa::path(get, path = "/metrics", operation_id = "metrics", security(()), tag = "operations",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn metrics(State(app): State<App>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, exposition(&app)).into_response()
}

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
    histogram(&mut out, "aecl_decide_seconds", "From the proposal to the recorded decision.", &counts.decide);
    histogram(
        &mut out,
        "aecl_perform_seconds",
        "From the permit to the recorded conclusion.",
        &counts.perform,
    );
    histogram(&mut out, "aecl_approval_wait_seconds", "How long callers waited for people.", &counts.wait);
    let gauges = [
        ("aecl_actions_underway", "Attempts that are not concluded.", app.gate.underway() as u64),
        (
            "aecl_ledger_stopped",
            "1 if nothing can be recorded.",
            u64::from(app.gate.ledger().stopped().is_some()),
        ),
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
