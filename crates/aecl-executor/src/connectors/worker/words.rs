//! Words between a call and the workers that may carry it out.

use aecl_kernel::define::connector::worker::WorkerSpec;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::call::Call;

/// Function of a worker that is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkFunction {
    /// The action itself.
    Perform,
    /// What undoes it.
    Compensate,
    /// What finds out whether it happened. Changes nothing.
    Lookup,
    /// What says what would happen. Changes nothing.
    DryRun,
}

impl WorkFunction {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Perform => "perform",
            Self::Compensate => "compensate",
            Self::Lookup => "lookup",
            Self::DryRun => "dry_run",
        }
    }

    /// Whether it may change something, so that a report of it belongs to an action on record.
    #[must_use]
    pub fn acts(self) -> bool {
        match self {
            Self::Perform | Self::Compensate => true,
            Self::Lookup | Self::DryRun => false,
        }
    }
}

/// Identifier of a connected worker: the name of its key, and the name that its process has given itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkerId {
    /// Whose key it has.
    pub worker: String,
    /// Which process of it.
    pub instance: String,
}

/// Registration of a worker: what it says of itself when it connects.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Actions that it serves, with the functions that it has for each.
    pub serves: BTreeMap<String, BTreeSet<WorkFunction>>,
    /// How many calls it carries out at once.
    pub slots: usize,
}

/// One call, for whichever worker accepts it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkOrder {
    /// What is called.
    pub function: WorkFunction,
    /// Under which action workers have registered it.
    pub serves: String,
    /// The action's name.
    pub action: String,
    /// The action's identifier.
    pub action_id: String,
    /// The arguments: the canonical bytes that were judged.
    pub arguments: Arc<[u8]>,
    /// The same for every attempt at the same action.
    pub idempotency_key: String,
    /// How long the function may take, in milliseconds.
    pub timeout_ms: u64,
    /// Limits of the catalogue entry.
    pub limits: WorkerSpec,
}

impl WorkOrder {
    /// The work of a call.
    pub(super) fn of(call: &Call, spec: &WorkerSpec, function: WorkFunction) -> Self {
        let (function, serves) = match (&spec.compensates, function) {
            (Some(original), WorkFunction::Perform) => (WorkFunction::Compensate, original.clone()),
            (_, function) => (function, call.action.clone()),
        };
        Self {
            function,
            serves,
            action: call.action.clone(),
            action_id: call.action_id.clone(),
            arguments: call.arguments.clone(),
            idempotency_key: call.idempotency_key.clone(),
            timeout_ms: call.timeout_ms,
            limits: spec.clone(),
        }
    }
}

/// Notice to a connected worker. It holds nothing to act on: what is to be done is handed over to the one that accepts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Notice {
    /// There is a call; whoever accepts this delivery in time gets it.
    Offer {
        /// Which delivery.
        delivery: String,
        /// The registered action.
        action: String,
        /// What would be called.
        function: WorkFunction,
        /// Silence after which it is not the worker's any more, in milliseconds.
        lease_ms: u64,
    },
    /// Nobody waits any more for what it has accepted.
    Cancel {
        /// Which delivery.
        delivery: String,
    },
}

/// Report of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkReport {
    /// What came of it.
    pub ended: WorkEnded,
    /// What went wrong, in words.
    pub message: String,
    /// What came out, as JSON.
    pub output: Option<Vec<u8>>,
}

/// End of a call, in the words of its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkEnded {
    /// It happened.
    Done,
    /// It surely did not happen: the function said so.
    Failed,
    /// The function was not called: what was handed over did not verify, or came too late.
    Refused,
    /// The function ended otherwise, and nobody knows.
    Unknown,
}

/// Standing of a delivery that is none of this worker's, or not any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this delivery is not there for this worker, or not any more")]
pub struct WorkGone;

/// Reason why a worker cannot connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotConnected {
    /// As many are connected as may be.
    #[error("{0} workers are connected, as many as may be at once")]
    Full(usize),
    /// The server is going down.
    #[error("the server is going down")]
    Closed,
}

/// View of a worker, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerView {
    /// Who.
    pub id: WorkerId,
    /// What it serves.
    pub serves: BTreeMap<String, BTreeSet<WorkFunction>>,
    /// How many calls it takes at once.
    pub slots: usize,
    /// How many it has.
    pub in_flight: usize,
    /// Since when it is connected, in milliseconds before now.
    pub connected_ms: u64,
    /// When it was heard last, in milliseconds before now.
    pub heard_ms: u64,
    /// It takes nothing new.
    pub draining: bool,
    /// Whether its line is open; without one it still may report.
    pub connected: bool,
}
