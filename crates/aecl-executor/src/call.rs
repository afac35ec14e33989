//! What to do, already judged: exactly these bytes.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aecl_kernel::base::traffic::Traffic;
use aecl_kernel::define::isolation::IsolationTier;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use aecl_kernel::define::connector::ConnectorSpec;

/// One attempt to act. Nobody judges it again; nobody may change it.
///
/// It is made of a permit, in this room:
///
/// ```compile_fail,E0639
/// use aecl_executor::Call;
/// fn forged(like: &Call) -> Call {
///     let Call { action_id, action, arguments, connector, timeout_ms, idempotency_key, meta, extra, session,
///         credential_scope, rows_max, tier, instead_of, task_left_ms, max_output_bytes, cancel, cage, traffic, .. } =
///         like.clone();
///     Call { action_id, action, arguments, connector, timeout_ms, idempotency_key, meta, extra, session,
///         credential_scope, rows_max, tier, instead_of, task_left_ms, max_output_bytes, cancel, cage, traffic }
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Call {
    /// The action's identifier, for logs and look-ups.
    pub action_id: String,
    /// The action's name in the catalogue.
    pub action: String,
    /// The arguments: the canonical bytes of one JSON object.
    pub arguments: Arc<[u8]>,
    /// How it is carried out.
    pub connector: ConnectorSpec,
    /// How long the attempt may take.
    pub timeout_ms: u64,
    /// The same for every attempt at the same action, so that a target can recognise a repetition.
    pub idempotency_key: String,
    /// MCP `_meta` to pass on (progress token, trace context).
    pub meta: Option<Box<RawValue>>,
    /// MCP: further members of `params`, such as `inputResponses` and `requestState` of a retried call.
    pub extra: Option<Box<RawValue>>,
    /// MCP: the client session whose own upstream connection is used, when there is one.
    pub session: Option<String>,
    /// The scope whose credentials may be used; `None` is the scope of those that name none.
    pub credential_scope: Option<String>,
    /// The most rows that it may touch; if it touches more, it is rolled back.
    pub rows_max: Option<u64>,
    /// How strongly a program must be held, at least. Without it none runs.
    pub tier: Option<IsolationTier>,
    /// How strongly it would have to be held, where the operator accepts less.
    pub instead_of: Option<IsolationTier>,
    /// What is left of the run in which a program may go on, in milliseconds; no limit when absent.
    pub task_left_ms: Option<u64>,
    /// The largest output that is handed back.
    pub max_output_bytes: usize,
    /// Fires when nobody waits for the answer any more.
    pub cancel: CancellationToken,
    /// The cage that the attempt got; told by the connector as soon as it is known.
    pub cage: Arc<OnceLock<String>>,
    /// Whom it reached from there; told by the connector when that is over.
    pub traffic: Arc<OnceLock<Traffic>>,
}

impl Call {
    /// Says in which cage this attempt runs.
    pub(crate) fn ran_in(&self, cage: String) {
        // Said once for each attempt.
        drop(self.cage.set(cage));
    }

    /// What is left of the run as a duration.
    #[must_use]
    pub fn task_left(&self) -> Option<Duration> {
        self.task_left_ms.map(Duration::from_millis)
    }

    /// Says whom this attempt has reached.
    pub(crate) fn has_reached(&self, traffic: Traffic) {
        drop(self.traffic.set(traffic));
    }

    /// What a connector says to an action that belongs to another one.
    pub(crate) fn connector_mismatch(&self) -> (&'static str, String) {
        (
            "connector_mismatch",
            format!("`{}` was handed to a connector of another kind; report this", self.action),
        )
    }

    /// The time-out as a duration.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}
