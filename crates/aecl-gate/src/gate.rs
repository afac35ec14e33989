//! The gate itself: what it holds, how it opens, how it reloads.

use crate::clock::Clock;
use crate::config::{Config, Home};
use crate::error::GateError;
use crate::identity::{self, Identity, Session};
use crate::metrics::Metrics;
use crate::refusals::Refusals;
use crate::renewals::Renewals;
use crate::tokens::Tokens;
use crate::votes::people_of;
use crate::wait::Waits;
use crate::{judges, keys, loader};
use aecl_egress::egress::Egress;
use aecl_executor::Executor;
use aecl_executor::connectors::mcp::UpstreamSpec;
use aecl_executor::connectors::{Connectors, mcp};
use aecl_executor::judge::Judge;
use aecl_kernel::base::code::{self, Code};
use aecl_kernel::base::json;
use aecl_kernel::define::cage::Cages;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::record::approval::People;
use aecl_ledger::replay::facts_at_start;
use aecl_ledger::store::Store;
use aecl_ledger::{Ledger, Signer};
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
    pub(crate) renewals: Renewals,
    pub(crate) egress: Egress,
    /// Who is asked about intent.
    pub(crate) judges: ArcSwap<Vec<Arc<Judge>>>,
    /// One reload at a time, so that what was read last is what counts.
    reloading: tokio::sync::Mutex<()>,
    /// What programs are held with, once somebody has looked.
    pub(crate) cages: ArcSwapOption<Cages>,
    /// Where it is really listened on, once that is known.
    pub(crate) listening: OnceLock<String>,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gate({})", self.0.ledger.origin())
    }
}

/// What a gate is made of, where it does not come from a home: tests bring their own parts.
pub struct Parts {
    /// The configuration.
    pub config: Config,
    /// The policy.
    pub bundle: Bundle,
    /// Where the ledger is kept.
    pub store: Box<dyn Store>,
    /// Who signs checkpoints.
    pub ledger_key: ed25519_dalek::SigningKey,
    /// Who signs tokens.
    pub token_key: ed25519_dalek::SigningKey,
    /// The ways of acting.
    pub executor: Executor,
    /// The clock.
    pub clock: Clock,
}

impl Gate {
    /// Opens the gate of a home: reads configuration, keys and policy, opens the ledger, finishes or marks
    /// what was in flight when the last process ended.
    pub async fn open(home: Home) -> Result<Self, GateError> {
        // Before anything else: from here on nobody is shown it.
        aecl_executor::house::is_ours(home.dir());
        let config = home.read()?;
        let bundle = loader::load(&home.policy())?;
        let ledger_key = keys::read(&home.keys().join("ledger.pem"))?;
        let token_key = keys::read(&home.keys().join("tokens.pem"))?;
        keys::private_dir(&home.data())?;
        let store = home.ledger(&ledger_key.verifying_key()).map_err(aecl_ledger::LedgerError::from)?;
        let parts = Parts {
            config,
            bundle,
            store: Box::new(store),
            ledger_key,
            token_key,
            executor: Executor::new(Connectors::new(home.vault(), &home.images())),
            clock: system_clock(),
        };
        Self::assemble(parts, Some(home)).await
    }

    /// Opens a gate of these parts.
    pub async fn of_parts(parts: Parts) -> Result<Self, GateError> {
        Self::assemble(parts, None).await
    }

    async fn assemble(parts: Parts, home: Option<Home>) -> Result<Self, GateError> {
        let Parts { config, bundle, store, ledger_key, token_key, executor, clock } = parts;
        let ledger = Ledger::open(store, Signer { origin: config.origin.clone(), key: ledger_key })?;
        // One beside the other: either reads the whole record.
        let entries_max = config.limits.start_entries_max;
        let (facts, payloads) = tokio::join!(
            ledger.read(move |store| facts_at_start(store, entries_max)),
            crate::payloads::differ(home.as_ref(), entries_max)
        );
        let is_compared = facts?;
        clock.goes_on_from(ledger.opened_after());
        let egress = Egress::default();
        configure_vault(&executor, &config, home.as_ref())?;
        let judges = ready_judges(&config, home.as_ref()).await?;
        let gate = Self(Arc::new(Inner {
            tokens: Tokens::new(&config.origin, &token_key)?,
            people: ArcSwap::from_pointee(people_of(&config)),
            config: ArcSwap::from_pointee(config),
            bundle: ArcSwap::from_pointee(bundle),
            ledger,
            executor,
            clock,
            metrics: Metrics::default(),
            waits: Waits::default(),
            underway: AtomicUsize::new(0),
            refusals: Refusals::default(),
            renewals: Renewals::default(),
            egress,
            judges: ArcSwap::from_pointee(judges),
            reloading: tokio::sync::Mutex::default(),
            cages: ArcSwapOption::empty(),
            listening: OnceLock::new(),
            home,
        }));
        if let Some(differs) = payloads {
            gate.say_of_payloads(&differs).await?;
        }
        gate.0.ledger.bundle_loaded(gate.bundle(), gate.now()).await?;
        gate.find_cages(&gate.config(), &gate.bundle()).await?;
        for (name, transport) in &gate.config().servers {
            gate.add_server(None, name, transport.clone(), probe());
        }
        gate.recover().await?;
        if !is_compared {
            gate.compare_later()?;
        }
        Ok(gate)
    }

    /// A start goes on without payloads, since what is taken from them is compared with what was committed to before it
    /// counts; it says so where it is read.
    pub(crate) async fn say_of_payloads(&self, differs: &str) -> Result<(), GateError> {
        let message = format!("payloads are not what the entries commit to: {differs}");
        tracing::error!("{message}; `aecl log verify` says more");
        self.0.ledger.fault("payloads_differ", message, self.now()).await?;
        Ok(())
    }

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

    fn with_listening(&self, mut config: Config) -> Config {
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
    pub fn cages(&self) -> Option<Arc<Cages>> {
        self.0.cages.load_full()
    }
    /// The time, by which everything is judged.
    pub fn now(&self) -> aecl_kernel::base::time::Timestamp {
        self.0.clock.now()
    }

    pub(crate) fn limits(&self) -> json::Limits {
        json::Limits { bytes_max: self.config().limits.request_bytes_max, ..json::Limits::default() }
    }

    /// Reads configuration and policy again. If anything is wrong, everything stays as it was, and that is
    /// put on record.
    pub async fn reload(&self) -> Result<bool, GateError> {
        let Some(home) = &self.0.home else { return Ok(false) };
        let _turn = self.0.reloading.lock().await;
        // A bundle takes as long as it takes to compile; meanwhile this thread decides for others.
        let files = home.clone();
        let read = move || files.read().and_then(|config| Ok((config, loader::load(&files.policy())?)));
        let read = tokio::task::spawn_blocking(read).await.map_err(|e| {
            GateError::refused(code::INTERNAL, format!("the policy was not read to its end: {e}"))
        })?;
        let (config, bundle) = match read {
            Ok(read) => read,
            Err(error) => {
                self.0.ledger.fault("bundle_refused", error.to_string(), self.now()).await?;
                return Err(error);
            }
        };
        if config.origin != self.config().origin {
            let message = "`origin` cannot change while a ledger has this name".to_owned();
            return Err(GateError::Config { path: home.config(), message });
        }
        configure_vault(&self.0.executor, &config, Some(home))?;
        // What programs are held with is tried out anew, which takes seconds. A policy need not wait for it that asks for
        // nothing else than what was found before.
        let is_found = config.sandbox == self.config().sandbox
            && self.cages().is_some_and(|cages| cages.modules.is_some() || !bundle.needs_modules());
        let prepared = async {
            let judges = ready_judges(&config, Some(home)).await?;
            if !is_found {
                self.find_cages(&config, &bundle).await?;
            }
            Ok::<_, GateError>(judges)
        };
        let judges = match prepared.await {
            Ok(judges) => judges,
            Err(error) => {
                self.0.ledger.fault("bundle_refused", error.to_string(), self.now()).await?;
                return Err(error);
            }
        };
        let changed = bundle.hash() != self.bundle().hash();
        if changed {
            let bundle = Arc::new(bundle);
            // On record before it decides anything.
            self.0.ledger.bundle_loaded(bundle.clone(), self.now()).await?;
            self.0.bundle.store(bundle);
        }
        self.0.judges.store(Arc::new(judges));
        self.0.people.store(Arc::new(people_of(&config)));
        let before = self.0.config.swap(Arc::new(self.with_listening(config)));
        let now = self.config();
        for (name, transport) in &now.servers {
            if before.servers.get(name) != Some(transport) {
                self.add_server(None, name, transport.clone(), probe());
            }
        }
        for name in before.servers.keys().filter(|n| !now.servers.contains_key(*n)) {
            drop(self.0.executor.connectors().mcp.remove(None, name));
        }
        if is_found {
            self.find_cages(&now, &self.bundle()).await?;
        }
        Ok(changed)
    }

    /// Finds out what this host can hold programs with, if some action is carried out by one, and puts it on
    /// record before anything is decided on it.
    async fn find_cages(&self, config: &Config, bundle: &Bundle) -> Result<(), GateError> {
        if !bundle.needs_cages() {
            return Ok(());
        }
        let process = &self.0.executor.connectors().process;
        let cages = config.sandbox.find_out(process, bundle).await;
        let cages = cages.map_err(|said| wrong(self.0.home.as_ref(), said))?;
        if !self.cages().is_some_and(|before| before.means_the_same(&cages)) {
            self.0.ledger.sandbox_probed(cages.clone(), self.now()).await?;
            self.0.cages.store(Some(Arc::new(cages)));
        }
        Ok(())
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

    /// On whose account a request goes: the agent of a token that verifies, or whose key it is. Whether the token still
    /// counts is judged with the request.
    pub fn bearer_of(&self, credential: &str) -> Option<String> {
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

/// The one clock of a gate that lives.
#[expect(clippy::disallowed_methods, reason = "a gate that opens a home makes its clock here")]
fn system_clock() -> Clock {
    Clock::system()
}

fn configure_vault(executor: &Executor, config: &Config, home: Option<&Home>) -> Result<(), GateError> {
    executor.connectors().vault.configure(config.vault.clone()).map_err(|said| wrong(home, said))
}

async fn ready_judges(config: &Config, home: Option<&Home>) -> Result<Vec<Arc<Judge>>, GateError> {
    judges::ready(&config.judges).await.map_err(|said| wrong(home, said))
}

/// Something that the configuration names cannot be had as it says.
fn wrong(home: Option<&Home>, message: String) -> GateError {
    GateError::Config { path: home.map(Home::config).unwrap_or_default(), message }
}

/// We introduce ourselves to shared servers; a client's own connection is introduced by the client.
fn probe() -> mcp::Handshake {
    mcp::Handshake::Probe(mcp::ClientFace::default())
}
