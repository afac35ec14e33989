//! Words between workers and the server.

use aecl_executor::connectors::worker::words::{WorkFunction, WorkerView};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

/// Connects a worker.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectWorker {
    /// The name that this process has made up for itself: 16 to 64 visible characters that nobody guesses.
    pub instance: String,
    /// Made up for this connection: the signed greeting repeats it.
    pub nonce: String,
    /// Actions, with the functions that it has for each: `perform`, `compensate`, `lookup`, `dry_run`.
    #[schema(value_type = BTreeMap<String, Vec<String>>)]
    pub serves: BTreeMap<String, BTreeSet<WorkFunction>>,
    /// How many calls it carries out at once.
    pub slots: usize,
}

/// Accepts an offer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptWork {
    /// The process.
    pub instance: String,
    /// What was offered.
    pub delivery: String,
    /// Made up for this acceptance: the permit repeats it.
    pub nonce: String,
}

/// A call that was handed over. The permit is for exactly these bytes, this process and this acceptance.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkHandedOver {
    /// The permit: a JWT of the type `aecl-work+jwt`, signed with EdDSA.
    pub permit: String,
    /// The arguments as JSON text: the bytes that were judged, and whose SHA-256 the permit has.
    pub arguments: String,
}

/// Says that a worker lives, and with what it goes on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkerHeartbeat {
    /// The process.
    pub instance: String,
    /// Deliveries that it has accepted and not reported.
    pub deliveries: BTreeSet<String>,
}

/// What a heartbeat is answered.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkerHeard {
    /// Deliveries that are not this process's any more. What comes of them may still be reported.
    pub gone: Vec<String>,
    /// Deliveries that nobody waits for.
    pub cancelled: Vec<String>,
}

/// Report of a worker.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportWork {
    /// The process.
    pub instance: String,
    /// The permit that it was handed.
    pub permit: String,
    /// What came of it.
    pub outcome: WorkOutcome,
    /// What came out.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub output: Option<Value>,
    /// What went wrong, in words.
    #[serde(default)]
    pub message: String,
}

/// End of a call, as its worker says.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkOutcome {
    /// It happened.
    Done,
    /// It surely did not happen.
    Failed,
    /// The function was not called.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// A report that was taken.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkReported {
    /// The state of the action on record; none for a look-up or a dry run.
    pub state: Option<&'static str>,
    /// It came after the attempt was given up, and is on record as such.
    pub late: bool,
}

/// Takes nothing new from now on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DrainWorker {
    /// The process.
    pub instance: String,
}

/// Workers that are connected, and what waits for one.
#[derive(Debug, Serialize, ToSchema)]
pub struct Workers {
    /// The server has a key for these, connected or not.
    pub known: BTreeMap<String, BTreeSet<String>>,
    /// Who is connected.
    pub connected: Vec<ConnectedWorker>,
    /// How many calls of each action wait for a worker.
    pub waiting: BTreeMap<String, usize>,
    /// Actions of the catalogue that a worker carries out, and how many connected workers would take them now.
    pub actions: BTreeMap<String, usize>,
}

/// A worker that is connected.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConnectedWorker {
    /// Whose key it has.
    pub worker: String,
    /// Which process.
    pub instance: String,
    /// Actions, with the functions that it has for each.
    #[schema(value_type = BTreeMap<String, Vec<String>>)]
    pub serves: BTreeMap<String, BTreeSet<WorkFunction>>,
    /// How many calls it carries out at once.
    pub slots: usize,
    /// How many it has.
    pub in_flight: usize,
    /// For how many seconds it has been connected.
    pub connected_s: u64,
    /// Before how many seconds it was heard last.
    pub heard_s: u64,
    /// `ready`, `draining`, `silent`, or `reporting`: its line has ended, and it has calls to report.
    pub state: &'static str,
}

impl ConnectedWorker {
    /// What is known of it. `silent_ms`: after that it gets nothing.
    pub fn of(view: WorkerView, silent_ms: u64) -> Self {
        let state = match (view.connected, view.draining, view.heard_ms >= silent_ms) {
            (false, _, _) => "reporting",
            (true, true, _) => "draining",
            (true, false, true) => "silent",
            (true, false, false) => "ready",
        };
        Self {
            worker: view.id.worker,
            instance: view.id.instance,
            serves: view.serves,
            slots: view.slots,
            in_flight: view.in_flight,
            connected_s: view.connected_ms / 1000,
            heard_s: view.heard_ms / 1000,
            state,
        }
    }
}
