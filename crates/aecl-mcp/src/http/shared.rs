//! Sessions of the stateless era: requests of one caller to one endpoint share one, so that they act in one
//! run and find what waits in it.

use super::Endpoint;
use super::auth::Caller;
use super::refusal::Refusal;
use crate::{Dispatcher, Opening};
use aecl_gate::{Gate, Identity};
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// After how long without a request a client is closed. A run that somebody may still answer lives on.
const IDLE: Duration = Duration::from_secs(30 * 60);
const SWEEP_EVERY: Duration = Duration::from_secs(60);
const MAX: usize = 4096;

/// Those that are open, by endpoint and caller.
#[derive(Default)]
pub(super) struct SharedSessions(Mutex<BTreeMap<(Endpoint, String), Kept>>);

struct Kept {
    client: Dispatcher,
    used: Instant,
}

impl SharedSessions {
    /// The client of this caller at this endpoint.
    pub(super) async fn of(
        self: &Arc<Self>,
        gate: &Gate,
        endpoint: &Endpoint,
        caller: &Caller,
    ) -> Result<Dispatcher, Refusal> {
        let key = (endpoint.clone(), caller.owner());
        let mut all = self.0.lock().await;
        if all.is_empty() {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
        if let Some(kept) = all.get_mut(&key) {
            kept.used = Instant::now();
            let client = kept.client.clone();
            drop(all);
            renew(&client, caller).await;
            return Ok(client);
        }
        if all.len() >= MAX
            && let Some(oldest) = all.iter().min_by_key(|(_, kept)| kept.used).map(|(key, _)| key.clone())
            && let Some(kept) = all.remove(&oldest)
        {
            tokio::spawn(async move { kept.client.session().close().await });
        }
        let client = Dispatcher::open(gate.clone(), opening(endpoint, caller, None)).await?;
        all.insert(key, Kept { client: client.clone(), used: Instant::now() });
        Ok(client)
    }
}

/// A caller that has renewed its token acts with the newer one.
pub(super) async fn renew(client: &Dispatcher, caller: &Caller) {
    if let Caller::Run(session) = caller {
        client.session().renewed(session).await;
    }
}

pub(super) fn opening(endpoint: &Endpoint, caller: &Caller, session: Option<String>) -> Opening {
    let (run, by) = match caller {
        Caller::Run(session) => (Some((**session).clone()), Identity::Local),
        Caller::Key(identity) => (None, identity.clone()),
    };
    Opening {
        agent: endpoint.agent.clone(),
        servers: endpoint.servers.clone(),
        session,
        run,
        by,
        goal: None,
        plan: None,
        approve_plan: false,
        user: None,
    }
}

async fn sweep(shared: Weak<SharedSessions>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let Some(shared) = shared.upgrade() else { return };
        let mut all = shared.0.lock().await;
        let old: Vec<_> = all
            .iter()
            .filter(|(_, k)| k.used.elapsed() > IDLE && k.client.is_idle())
            .map(|(key, _)| key.clone())
            .collect();
        for kept in old.iter().filter_map(|key| all.remove(key)) {
            tokio::spawn(async move { kept.client.session().close().await });
        }
        if all.is_empty() {
            return;
        }
    }
}
