//! How a gate opens, and how it reloads what people have changed.

use crate::clock::Clock;
use crate::config::{Config, Home};
use crate::error::GateError;
use crate::gate::{Gate, Inner};
use crate::issued::Renewals;
use crate::metrics::Metrics;
use crate::refusals::Refusals;
use crate::tokens::Tokens;
use crate::votes::people_of;
use crate::wait::Waits;
use crate::{judges, keys, loader};
use aecl_analysis::load::VettedBundle;
use aecl_egress::egress::Egress;
use aecl_executor::Executor;
use aecl_executor::connectors::{Connectors, mcp};
use aecl_executor::judge::Judge;
use aecl_kernel::base::code;
use aecl_kernel::policy::bundle::Bundle;
use aecl_ledger::replay::facts_at_start;
use aecl_ledger::store::Store;
use aecl_ledger::{Ledger, Signer};
use arc_swap::{ArcSwap, ArcSwapOption};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};

/// Parts of a gate, where it does not come from a home: tests bring their own.
pub struct Parts {
    /// The configuration.
    pub config: Config,
    /// The policy.
    pub bundle: VettedBundle,
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
        let store = home
            .ledger(&config.store, &ledger_key.verifying_key())
            .map_err(aecl_ledger::LedgerError::from)?;
        let parts = Parts {
            config,
            bundle,
            store,
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
        let view = home.is_some().then(|| ledger.reader()).transpose()?;
        // One beside the other: either reads the whole record.
        let entries_max = config.limits.start_entries_max;
        let (facts, payloads) = tokio::join!(
            ledger.read(move |store| facts_at_start(store, entries_max)),
            crate::payloads::differ(view, entries_max)
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
            bundle: ArcSwap::from_pointee(bundle.into_bundle()),
            ledger,
            executor,
            clock,
            metrics: Metrics::default(),
            waits: Waits::default(),
            underway: AtomicUsize::new(0),
            refusals: Refusals::default(),
            looks: Default::default(),
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
                self.0.ledger.fault("bundle_refused", error.on_record(), self.now()).await?;
                return Err(error);
            }
        };
        if config.origin != self.config().origin {
            let message = "`origin` cannot change while a ledger has this name".to_owned();
            return Err(GateError::Config { path: home.config(), message });
        }
        if config.store != self.config().store {
            let message = "`store` cannot change while a ledger is kept there; stop AECL first".to_owned();
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
                self.0.ledger.fault("bundle_refused", error.on_record(), self.now()).await?;
                return Err(error);
            }
        };
        let changed = bundle.hash() != self.bundle().hash();
        if changed {
            let bundle = Arc::new(bundle.into_bundle());
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
