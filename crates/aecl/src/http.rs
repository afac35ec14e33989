//! The HTTP API and the pages: they translate between the wire and the gate. What is decided and recorded
//! is decided and recorded there.

pub mod host;
pub mod server;
mod watch;

use aecl_gate::Gate;
use axum::Router;
use axum::routing::get;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use tokio_util::sync::CancellationToken;

pub use host::Host;
pub use server::{Listeners, Peer, serve};

/// How the API is served.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Fires when the server goes down: whoever waits for a person is answered then.
    pub closing: CancellationToken,
    /// How many connections are open.
    pub connections: Arc<AtomicUsize>,
}

/// Everything that is served over HTTP.
pub fn router(_gate: Gate, _options: &Options) -> Router {
    Router::new().route("/healthz", get(|| async { axum::Json(serde_json::json!({"status": "ok"})) }))
}
