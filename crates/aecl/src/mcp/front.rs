//! One client in front of the upstream servers of one agent, however it is connected.

use aecl_gate::{Gate, GateError, Identity, Session};
use aecl_kernel::id::{AgentId, RunId, UserId};
use serde_json::value::RawValue;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

/// Messages that may wait for a slow client before older unasked ones are lost.
const UNASKED: usize = 256;

/// Who stands in front, and of what.
#[derive(Debug, Clone)]
pub struct Opening {
    /// The agent that acts.
    pub agent: AgentId,
    /// The servers behind the endpoint, by name; they are in the gate already, shared or for `session`.
    pub servers: Vec<String>,
    /// The key of this client's own upstream connections. Without one the shared connections are used.
    pub session: Option<String>,
    /// A run that was opened elsewhere. Without one a run is opened when it is needed, and opened again
    /// when it has expired.
    pub run: Option<Session>,
    /// Who opens runs.
    pub by: Identity,
    /// What the run is for.
    pub goal: Option<String>,
    /// For whom the agent acts.
    pub user: Option<UserId>,
}

/// Where messages for the client go while one of its requests is underway.
#[derive(Debug, Clone)]
pub struct Outbound(pub mpsc::Sender<Box<RawValue>>);

impl Outbound {
    /// Sends a message on; a client that has gone is no error.
    pub async fn send(&self, message: Box<RawValue>) {
        drop(self.0.send(message).await);
    }
}

/// One client in front of the upstream servers of one agent.
pub struct Front {
    gate: Gate,
    opening: Opening,
    unasked: broadcast::Sender<Arc<RawValue>>,
}

impl Front {
    /// Takes a client in.
    ///
    /// # Errors
    /// When the agent or a server is not known.
    pub async fn open(gate: Gate, opening: Opening) -> Result<Arc<Self>, GateError> {
        Ok(Arc::new(Self { gate, opening, unasked: broadcast::channel(UNASKED).0 }))
    }

    /// The run in which this client acts; opened when there is none yet.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn run(&self) -> Result<RunId, GateError> {
        match &self.opening.run {
            Some(session) => Ok(session.principal.run.clone()),
            None => Err(GateError::Config {
                path: self.gate.home().map(|h| h.config()).unwrap_or_default(),
                message: "runs are not opened here yet".into(),
            }),
        }
    }

    /// Takes one message from the client, as it came. A request gives one response, a raw JSON-RPC object;
    /// notifications and responses give none. Everything else for the client while the request is underway
    /// goes to `out`. `cancel` fires when the client has gone.
    pub async fn message(
        self: &Arc<Self>,
        _raw: &RawValue,
        _out: &Outbound,
        _cancel: CancellationToken,
    ) -> Option<Box<RawValue>> {
        None
    }

    /// What the servers say unasked, from now on: for the GET stream or standard output.
    pub fn unasked(&self) -> broadcast::Receiver<Arc<RawValue>> {
        self.unasked.subscribe()
    }

    /// The client has gone: what waits is cancelled, own connections end, a run that was opened here is
    /// closed unless a person may still answer something in it.
    pub async fn close(&self) {}
}
