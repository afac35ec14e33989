//! Fronts of the stateless era: requests of one caller to one endpoint share one, so that they act in one
//! run and find what waits in it.

use super::Endpoint;
use super::auth::Caller;
use super::refusal::Refusal;
use crate::{Front, Opening};
use aecl_gate::{Gate, Identity};
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// After how long without a request a front is closed. A run that somebody may still answer lives on.
const IDLE: Duration = Duration::from_secs(30 * 60);
const SWEEP_EVERY: Duration = Duration::from_secs(60);
const MAX: usize = 4096;

/// Open fronts, by endpoint and caller.
#[derive(Default)]
pub(super) struct Fronts(Mutex<BTreeMap<(Endpoint, String), Kept>>);

struct Kept {
    front: Arc<Front>,
    used: Instant,
}

impl Fronts {
    /// The front of this caller at this endpoint.
    pub(super) async fn of(
        self: &Arc<Self>,
        gate: &Gate,
        endpoint: &Endpoint,
        caller: &Caller,
    ) -> Result<Arc<Front>, Refusal> {
        let key = (endpoint.clone(), caller.owner());
        let mut fronts = self.0.lock().await;
        if fronts.is_empty() {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
        if let Some(kept) = fronts.get_mut(&key) {
            kept.used = Instant::now();
            let front = kept.front.clone();
            drop(fronts);
            renew(&front, caller).await;
            return Ok(front);
        }
        if fronts.len() >= MAX
            && let Some(oldest) = fronts.iter().min_by_key(|(_, kept)| kept.used).map(|(key, _)| key.clone())
            && let Some(kept) = fronts.remove(&oldest)
        {
            tokio::spawn(async move { kept.front.close().await });
        }
        let front = Front::open(gate.clone(), opening(endpoint, caller, None)).await?;
        fronts.insert(key, Kept { front: front.clone(), used: Instant::now() });
        Ok(front)
    }
}

/// A caller that has renewed its token acts with the newer one.
pub(super) async fn renew(front: &Front, caller: &Caller) {
    if let Caller::Run(session) = caller {
        front.renewed(session).await;
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

async fn sweep(fronts: Weak<Fronts>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let Some(fronts) = fronts.upgrade() else { return };
        let mut all = fronts.0.lock().await;
        let old: Vec<_> = all
            .iter()
            .filter(|(_, k)| k.used.elapsed() > IDLE && Arc::strong_count(&k.front) == 1)
            .map(|(key, _)| key.clone())
            .collect();
        for kept in old.iter().filter_map(|key| all.remove(key)) {
            tokio::spawn(async move { kept.front.close().await });
        }
        if all.is_empty() {
            return;
        }
    }
}
