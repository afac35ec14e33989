//! The way out of a cage while its program runs: the broker on the listener that was made inside.

use std::sync::{Arc, Mutex, PoisonError};

use aecl_kernel::base::traffic::{ConnectionRecord, Traffic};
use aecl_sandbox::Listener;
use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use aecl_egress::broker::{
    AllowList, Broker, ConnectionEnd, ConnectionOpening, ConnectionOutcome, ConnectionSink, Credentials,
    Limits,
};
use aecl_egress::egress::Names;

/// Where the broker listens on the loopback of each cage.
pub(super) const PORT: u16 = 3128;

/// How programs learn of it; each of these is read by some.
pub(super) const VARIABLES: [&str; 6] =
    ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];

/// A broker at work for one program. Dropping it ends it and what it carries.
pub struct EgressProxy {
    record: Arc<Record>,
    serving: JoinHandle<std::io::Result<()>>,
    stop: DropGuard,
}

impl EgressProxy {
    /// Serves the connections of one program.
    #[must_use]
    pub fn open(
        listener: Listener,
        list: AllowList,
        limits: Limits,
        names: Arc<dyn Names>,
        credentials: Option<Credentials>,
    ) -> Self {
        let (record, stop) = (Arc::new(Record::default()), CancellationToken::new());
        let broker = Broker::with_credentials(list, limits, names, record.clone(), credentials);
        let until = stop.clone();
        let serving = tokio::spawn(async move { broker.serve(listener, until).await });
        Self { record, serving, stop: stop.drop_guard() }
    }

    /// Ends every connection, and tells of all that there were. The program has ended before.
    pub async fn close(self) -> Traffic {
        drop(self.stop);
        // Whoever still serves has told the record of what there was.
        drop(self.serving.await);
        std::mem::take(&mut *self.record.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What goes on record with the outcome of the action.
#[derive(Default)]
struct Record(Mutex<Traffic>);

#[async_trait]
impl ConnectionSink for Record {
    async fn opening(&self, _: &ConnectionOpening) -> Result<(), String> {
        // The attempt is on record as begun. If we die now, its outcome is unknown until somebody has found out.
        Ok(())
    }

    async fn ended(&self, connection: &ConnectionEnd) {
        let (let_through, code, why) = match &connection.verdict {
            ConnectionOutcome::Allowed => (true, None, String::new()),
            ConnectionOutcome::Cut { code, why } => (true, Some((*code).to_owned()), why.clone()),
            ConnectionOutcome::Refused { code, why } => (false, Some((*code).to_owned()), why.clone()),
        };
        let to = connection.to.as_ref().map(ToString::to_string);
        let row = ConnectionRecord {
            to: to.or_else(|| connection.asked.clone()).unwrap_or_default(),
            method: connection.method.clone().unwrap_or_default(),
            address: connection.address.map(|address| address.to_string()),
            let_through,
            code,
            why,
            times: 1,
            out_bytes: connection.out_bytes,
            in_bytes: connection.in_bytes,
            took_ms: connection.took_ms,
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(row);
    }
}
