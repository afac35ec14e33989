//! The gate itself: what it holds, and whose session a token is.

use crate::clock::Clock;
use crate::config::{Config, Home};
use crate::error::GateError;
use crate::identity::{self, Identity, ProxyIdentity, Session, WorkerIdentity};
use crate::issued::Renewals;
use crate::looks::Looks;
use crate::metrics::Metrics;
use crate::refusals::Refusals;
use crate::tokens::Tokens;
use crate::wait::Waits;
use aecl_egress::egress::Egress;
use aecl_executor::Executor;
use aecl_executor::connectors::mcp;
use aecl_executor::connectors::mcp::UpstreamSpec;
use aecl_executor::judge::Judge;
use aecl_kernel::base::code::{self, Code};
use aecl_kernel::base::json;
use aecl_kernel::define::isolation::HostIsolation;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::record::approval::People;
use aecl_ledger::Ledger;
use arc_swap::{ArcSwap, ArcSwapOption};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// For how long a dead token is still judged on record, in seconds.
const DEAD_S: u64 = 60;

/// Orders what the other rooms do. Cheap to clone.
#[derive(Clone)]
pub struct Gate(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) home: Option<Home>,
    pub(crate) config: ArcSwap<Config>,
    /// Who may answer, as the configuration says.
    pub(crate) people: ArcSwap<People>,
    pub(crate) bundle: ArcSwap<Bundle>,
    pub(crate) ledger: Ledger,
    pub(crate) executor: Executor,
    pub(crate) tokens: Tokens,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) waits: Waits,
    pub(crate) underway: AtomicUsize,
    pub(crate) refusals: Refusals,
    /// What was looked up a short time ago.
    pub(crate) looks: Looks,
    pub(crate) renewals: Renewals,
    pub(crate) egress: Egress,
    /// Who is asked about intent.
    pub(crate) judges: ArcSwap<Vec<Arc<Judge>>>,
    /// One reload at a time, so that what was read last is what counts.
    pub(crate) reloading: tokio::sync::Mutex<()>,
    /// What programs are held with, once somebody has looked.
    pub(crate) cages: ArcSwapOption<HostIsolation>,
    /// Where it is really listened on, once that is known.
    pub(crate) listening: OnceLock<String>,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gate({})", self.0.ledger.origin())
    }
}

impl Gate {
    /// Sets up an upstream server, for everybody or for one client session. It is connected when first used.
    pub fn add_server(
        &self,
        session: Option<&str>,
        name: &str,
        transport: mcp::Transport,
        handshake: mcp::Handshake,
    ) -> mcp::Upstream {
        let vault = self.0.executor.connectors().vault.clone();
        self.add_server_with(session, name, transport, handshake, vault)
    }

    /// The same for a client's own server, whose `env:` references mean what the client has brought.
    pub fn add_server_with(
        &self,
        session: Option<&str>,
        name: &str,
        transport: mcp::Transport,
        handshake: mcp::Handshake,
        vault: aecl_egress::vault::Vault,
    ) -> mcp::Upstream {
        let connectors = self.0.executor.connectors();
        let upstream =
            mcp::Upstream::lazy(UpstreamSpec::new(name, transport), handshake, self.0.egress.clone(), vault);
        drop(connectors.mcp.insert(session, upstream.clone()));
        upstream
    }

    /// Tells where it is really listened on, if that is not what the configuration says: then links for people
    /// lead there, unless `public_url` says otherwise. The first word counts.
    pub fn listening(&self, at: &str) {
        if self.0.listening.set(at.to_owned()).is_ok() {
            let config = self.with_listening(self.config().as_ref().clone());
            self.0.config.store(Arc::new(config));
        }
    }

    pub(crate) fn with_listening(&self, mut config: Config) -> Config {
        if let Some(at) = self.0.listening.get() {
            config.listen.clone_from(at);
        }
        config
    }

    /// The configuration.
    pub fn config(&self) -> Arc<Config> {
        self.0.config.load_full()
    }
    /// The policy in force.
    pub fn bundle(&self) -> Arc<Bundle> {
        self.0.bundle.load_full()
    }
    /// The ledger, for reading.
    pub fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }
    /// The ways of acting, to relay what acts on nothing.
    pub fn executor(&self) -> &Executor {
        &self.0.executor
    }
    /// What was counted.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }
    /// Makes and verifies tokens.
    pub fn tokens(&self) -> &Tokens {
        &self.0.tokens
    }
    /// Where everything lies, unless this gate was made of parts.
    pub fn home(&self) -> Option<&Home> {
        self.0.home.as_ref()
    }
    /// What programs are held with here, if some action is carried out by one.
    pub fn cages(&self) -> Option<Arc<HostIsolation>> {
        self.0.cages.load_full()
    }
    /// The time, by which everything is judged.
    pub fn now(&self) -> aecl_kernel::base::time::Timestamp {
        self.0.clock.now()
    }

    pub(crate) fn limits(&self) -> json::Limits {
        json::Limits { bytes_max: self.config().limits.request_bytes_max, ..json::Limits::default() }
    }

    /// Counts a proposal that cannot even be read, so nothing of it is ruled on. Its bytes stay out of the record:
    /// whoever sends them could fill it.
    pub fn unreadable(&self, session: &Session, code: Code) {
        let (agent, run) = (&session.principal.agent, &session.principal.run);
        self.0.metrics.outcome(agent, None, "unreadable");
        tracing::warn!(%agent, %run, %code, "a proposal cannot be read");
    }

    /// Whose key this is.
    pub fn identify(&self, key: &str) -> Result<Identity, GateError> {
        identity::who(&self.config(), key)
    }

    /// Which worker has this key.
    pub fn worker(&self, key: &str) -> Result<WorkerIdentity, GateError> {
        identity::which_worker(&self.config(), key)
    }

    /// Which proxy has this key.
    pub fn proxy(&self, key: &str) -> Result<ProxyIdentity, GateError> {
        identity::which_proxy(&self.config(), key)
    }

    /// On whose account a request goes: the agent of a token that verifies, or whose key it is. Whether the token still
    /// counts is judged with the request.
    pub fn bearer_of(&self, credential: &str) -> Option<String> {
        if credential.starts_with(identity::WORKER_KEY) {
            return self.worker(credential).ok().map(|worker| format!("worker:{}", worker.id));
        }
        if credential.starts_with("aecl_") {
            return self.identify(credential).ok().map(|identity| identity.name());
        }
        self.0.tokens.verify(credential, self.now()).ok().map(|credential| credential.agent.to_string())
    }

    /// The session of a run token. Who acts is what was recorded when the run was opened.
    pub async fn session(&self, token: &str) -> Result<Session, GateError> {
        let credential = self.0.tokens.verify(token, self.now())?;
        let run = self.0.ledger.run(&credential.run).await?;
        let run = run.ok_or_else(|| {
            GateError::refused(code::RUN_UNKNOWN, format!("there is no run `{}`", credential.run))
        })?;
        let session = Session { principal: run.principal, credential };
        self.not_long_dead(&session).await?;
        Ok(session)
    }

    /// A token that has just died is judged with what it proposes, on record, so that its orchestrator learns of it.
    /// One that has been dead for longer leaves a count.
    async fn not_long_dead(&self, session: &Session) -> Result<(), GateError> {
        let (now, credential) = (self.now(), &session.credential);
        let revoked_at = self.0.ledger.revoked(&credential.id).await?;
        let is_long = |died_at: aecl_kernel::base::time::Timestamp| now >= died_at.plus_s(DEAD_S);
        let (code, message) = if is_long(credential.expires_at) {
            (code::TOKEN_EXPIRED, "the token has expired; ask the orchestrator for a new one")
        } else if revoked_at.is_some_and(is_long) {
            (code::TOKEN_REVOKED, "the token was revoked")
        } else {
            return Ok(());
        };
        self.0.metrics.dead_token();
        Err(GateError::refused(code, message))
    }

    /// Shuts the ledger after everything that was accepted is on record, if this is the last handle. Gives
    /// whether it was.
    pub fn close(self) -> bool {
        let Some(inner) = Arc::into_inner(self.0) else { return false };
        inner.ledger.close();
        true
    }

    /// Before the end: gives credentials that were made by a vault back to it, and ends the servers that use
    /// some. False when that takes longer; such credentials end by themselves.
    pub async fn settle(&self, patience: std::time::Duration) -> bool {
        let connectors = self.0.executor.connectors();
        if connectors.vault.has_leases() {
            connectors.mcp.close().await;
        }
        connectors.vault.settle(patience).await
    }

    /// How many actions are being carried out.
    pub fn underway(&self) -> usize {
        self.0.underway.load(Ordering::SeqCst)
    }
}
