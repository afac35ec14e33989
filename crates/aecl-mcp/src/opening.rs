//! Who opens a session, and where messages for the client go.

use aecl_gate::{Identity, Session};
use aecl_kernel::base::id::{AgentId, UserId};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

/// Opening of a session: who stands in front, and of what.
#[derive(Debug, Clone)]
pub struct Opening {
    /// The agent that acts.
    pub agent: AgentId,
    /// The servers behind the endpoint, by name; they are in the gate already, shared or for `session`.
    pub servers: Vec<String>,
    /// The key of this client's own upstream connections. Without one the shared connections are used.
    pub session: Option<String>,
    /// A run that was opened elsewhere. Without one a run is opened when it is needed, and gone on from
    /// when it has expired.
    pub run: Option<Session>,
    /// Who opens runs.
    pub by: Identity,
    /// What the run is for.
    pub goal: Option<String>,
    /// Its ordered steps.
    pub plan: Option<Value>,
    /// People are asked about the plan; what is proposed waits a while for their answer.
    pub approve_plan: bool,
    /// For whom the agent acts.
    pub user: Option<UserId>,
}

/// Outbound messages for the client, while one of its requests is underway.
#[derive(Debug, Clone)]
pub struct Outbound(pub mpsc::Sender<Box<RawValue>>);

impl Outbound {
    /// Sends a message on; a client that has gone is no error.
    pub async fn send(&self, message: Box<RawValue>) {
        drop(self.0.send(message).await);
    }
}
