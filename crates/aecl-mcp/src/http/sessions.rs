//! Sessions of the era with `initialize`: each has a client of its own and its own upstream connections.

use super::Endpoint;
use super::events::{Events, UNASKED};
use super::refusal::{INTERNAL, Refusal};
use crate::Dispatcher;
use aecl_gate::Gate;
use axum::http::StatusCode;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long calls may go on after their session, before they are cancelled.
const GRACE: Duration = Duration::from_secs(120);
const SWEEP_EVERY: Duration = Duration::from_secs(30);

/// One client.
pub(super) struct Session {
    pub(super) id: String,
    pub(super) endpoint: Endpoint,
    pub(super) owner: String,
    pub(super) client: Dispatcher,
    pub(super) events: Arc<Events>,
    /// What was negotiated.
    pub(super) version: OnceLock<String>,
    used: Mutex<Instant>,
    busy: AtomicUsize,
    left: watch::Sender<()>,
    /// Fires when it is over.
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

/// Holds a session open while one of its requests or streams lives.
pub(super) struct Hold(Arc<Session>);

impl Session {
    pub(super) fn new(
        id: String,
        endpoint: Endpoint,
        owner: String,
        client: Dispatcher,
        closing: &CancellationToken,
    ) -> Arc<Self> {
        let events = Arc::new(Events::new());
        let stop = closing.child_token();
        tokio::spawn(relay_unasked(client.clone(), events.clone(), stop.clone()));
        Arc::new(Self {
            id,
            endpoint,
            owner,
            client,
            events,
            version: OnceLock::new(),
            used: Mutex::new(Instant::now()),
            busy: AtomicUsize::new(0),
            left: watch::Sender::new(()),
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
        })
    }

    pub(super) fn hold(self: &Arc<Self>) -> Hold {
        self.busy.fetch_add(1, Ordering::SeqCst);
        Hold(self.clone())
    }

    fn silent_for(&self) -> Duration {
        if self.busy.load(Ordering::SeqCst) > 0 {
            return Duration::ZERO;
        }
        self.used.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// Ends it: streams end, own upstream connections close.
    pub(super) async fn end(&self) {
        self.stop.cancel();
        self.client.session().leave().await;
        // What has begun is brought to its end, so that it is known.
        let ended = async {
            let mut left = self.left.subscribe();
            while self.busy.load(Ordering::SeqCst) > 0 && left.changed().await.is_ok() {}
            self.client.session().settled().await;
        };
        if tokio::time::timeout(GRACE, ended).await.is_err() {
            tracing::warn!(session = %self.owner, "calls of a session that is over do not end; now they are cancelled");
        }
        self.client.session().close().await;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        *self.0.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.busy.fetch_sub(1, Ordering::SeqCst);
        self.0.left.send_replace(());
    }
}

/// What the servers say unasked goes on the stream that belongs to no request, whether or not it is read now.
/// When the session is over, all its streams end.
async fn relay_unasked(client: Dispatcher, events: Arc<Events>, stop: CancellationToken) {
    let mut unasked = client.session().unasked();
    drop(client);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            heard = unasked.recv() => match heard {
                Ok(message) => events.push(UNASKED, message.get()),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break,
            },
        }
    }
    stop.cancelled().await;
    events.close();
}

/// All sessions, by their id.
#[derive(Default)]
pub(super) struct Sessions(Mutex<BTreeMap<String, Arc<Session>>>);

impl Sessions {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Session>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session of this id, for the one who opened it there. To everybody else it does not exist.
    pub(super) fn find(&self, id: &str, endpoint: &Endpoint, owner: &str) -> Option<Arc<Session>> {
        let all = self.all();
        let found = all.get(id)?;
        let same = found.owner == owner
            && found.endpoint.agent == endpoint.agent
            && found.endpoint.only == endpoint.only;
        same.then(|| found.clone())
    }

    /// Takes a session in. When its agent has too many, the one that was silent longest gives way.
    pub(super) fn add(self: &Arc<Self>, session: &Arc<Session>, gate: &Gate) -> Result<(), Refusal> {
        let limits = gate.config().limits.clone();
        let mut all = self.all();
        if all.is_empty() {
            tokio::spawn(sweep(Arc::downgrade(self), gate.clone()));
        }
        let agent = &session.endpoint.agent;
        let of_agent: Vec<_> = all.values().filter(|other| other.endpoint.agent == *agent).collect();
        if of_agent.len() >= limits.sessions_max {
            let enough = Duration::from_secs(limits.session_silent_s);
            let silent = of_agent.into_iter().max_by_key(|other| other.silent_for());
            let Some(silent) = silent.filter(|other| other.silent_for() > enough).cloned() else {
                let message = format!(
                    "`{agent}` has {} sessions, and all are in use; try again later",
                    limits.sessions_max
                );
                return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, INTERNAL, message));
            };
            all.remove(&silent.id);
            tokio::spawn(async move { silent.end().await });
        }
        all.insert(session.id.clone(), session.clone());
        Ok(())
    }

    /// Takes a session out: from now on it does not exist.
    pub(super) fn take(&self, id: &str) -> Option<Arc<Session>> {
        self.all().remove(id)
    }
}

async fn sweep(sessions: Weak<Sessions>, gate: Gate) {
    loop {
        let idle = Duration::from_secs(gate.config().limits.session_idle_s);
        tokio::time::sleep(SWEEP_EVERY.min(idle).max(Duration::from_millis(500))).await;
        let Some(sessions) = sessions.upgrade() else { return };
        let over: Vec<_> = {
            let mut all = sessions.all();
            let over: Vec<_> = all.values().filter(|one| one.silent_for() > idle).cloned().collect();
            for session in &over {
                all.remove(&session.id);
            }
            over
        };
        for session in over {
            session.end().await;
        }
        if sessions.all().is_empty() {
            return;
        }
    }
}
