//! The configuration of one AECL: a directory with `aecl.yaml`, `policy/`, `keys/` and `data/`.

use crate::clock;
use crate::error::GateError;
use aecl_egress::login::LoginStore;
use aecl_egress::vault::{RemoteSpec, SecretStore, Vault, references};
use aecl_executor::connectors::mcp::Transport;
use aecl_executor::connectors::process::{Backend, Docker, ProcessConnector, VirtualMachine};
use aecl_executor::judge::JudgeSpec;
use aecl_executor::root_dir::read_plain;
use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::id::{AgentId, Environment, PersonId, TenantId};
use aecl_kernel::define::isolation::{HostIsolation, IsolationTier, Lowered};
use aecl_kernel::policy::bundle::Bundle;
use aecl_ledger::replay::START_ENTRIES_MAX;
use aecl_ledger::store::{Store, StoreConfig, StoreError, StorePlace};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// `aecl.yaml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The name of the ledger; auditors pin it together with its key.
    pub origin: String,
    /// Where `aecl serve` listens.
    #[serde(default = "listen")]
    pub listen: String,
    /// What keeps the ledger.
    #[serde(default)]
    pub store: StoreConfig,
    /// How people reach the pages, for links; by default `http://` and `listen`.
    #[serde(default)]
    pub public_url: Option<String>,
    /// The tenant of runs that name none.
    #[serde(default = "tenant")]
    pub tenant: TenantId,
    /// The environment of runs that name none.
    #[serde(default = "environment")]
    pub environment: Environment,
    /// People, who answer approvals and operate.
    #[serde(default)]
    pub people: Vec<Person>,
    /// Programs that open runs for agents.
    #[serde(default)]
    pub orchestrators: Vec<Orchestrator>,
    /// Programs that carry out actions with credentials of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workers: Vec<WorkerKey>,
    /// Proxies that ask before they let a request through.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proxies: Vec<ProxyKey>,
    /// Where `aecl serve` listens for proxies, by gRPC; absent: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_listen: Option<String>,
    /// Upstream MCP servers, by name.
    #[serde(default)]
    pub servers: BTreeMap<String, Transport>,
    /// A vault over HTTP, for references such as `vault:secret/team/app#key`.
    #[serde(default)]
    pub vault: Option<RemoteSpec>,
    /// Judges of intent: endpoints that say how likely a call does not serve its goal.
    #[serde(default)]
    pub judges: Vec<JudgeSpec>,
    /// Origins of web pages that may call the HTTP API and the MCP gateway.
    #[serde(default)]
    pub allowed_origins: BTreeSet<String>,
    /// Who may read `/metrics`.
    #[serde(default)]
    pub metrics: MetricsReaders,
    /// How an approval surfaces to MCP clients.
    #[serde(default)]
    pub approvals: Approvals,
    /// What others who ask by AuthZEN call things.
    #[serde(default)]
    pub authzen: Authzen,
    /// What holds programs.
    #[serde(default)]
    pub sandbox: Sandbox,
    /// Limits.
    #[serde(default)]
    pub limits: Limits,
}

/// Readers of `/metrics`, which names agents and actions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricsReaders {
    /// Operators and auditors of all tenants, by their keys.
    #[default]
    Auditors,
    /// Whoever reaches the port.
    Open,
}

/// Names by which others who ask by AuthZEN call things.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Authzen {
    /// What a subject's `type` may be, whose `id` is the name of an agent.
    pub subject_types: BTreeSet<String>,
}

impl Default for Authzen {
    fn default() -> Self {
        Self { subject_types: ["agent".to_owned()].into() }
    }
}

/// Sandbox that holds programs, and whether less than what the policy asks for is accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sandbox {
    /// What may hold them, in the order of preference; absent: all that there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backends: Option<Vec<String>>,
    /// Virtual machines that may hold them, beside our own cages: monitor, kernel and root file system, each with
    /// its path and SHA-256.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub machines: Vec<VirtualMachine>,
    /// A Docker daemon that may hold them: its socket. Absent: none is asked, whatever the environment says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docker: Option<Docker>,
    /// Where what is asked for is not available, nothing below this is accepted; absent: nothing less at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept_lower_tier: Option<IsolationTier>,
    /// Why less is accepted. It stands in every decision that rests on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Sandbox {
    /// The word of the operator, if less is accepted.
    pub fn lowered(&self) -> Option<Lowered> {
        let reason = self.reason.as_deref().unwrap_or_default().trim().to_owned();
        self.accept_lower_tier.map(|to| Lowered { to, reason })
    }

    /// What may hold them beside what every host is asked for.
    pub fn described(&self) -> Vec<Backend> {
        let machines = self.machines.iter().cloned().map(Backend::from);
        machines.chain(self.docker.clone().map(Backend::Docker)).collect()
    }

    /// Finds out what may hold the programs of a bundle here, by building and attacking each. That something is
    /// installed says nothing.
    ///
    /// # Errors
    /// When the list of backends names what is not known here.
    pub async fn find_out(
        &self,
        process: &ProcessConnector,
        bundle: &Bundle,
    ) -> Result<HostIsolation, String> {
        let found = process.find_cages(&self.described(), self.backends.as_deref()).await?;
        let modules = if bundle.needs_modules() { Some(process.find_worker().await) } else { None };
        Ok(HostIsolation { found, modules, lowered: self.lowered() })
    }

    /// Of it what can only take something away: which of the backends that every host is asked for may be used. Who
    /// wrote the rest names programs and sockets, or accepts less.
    #[must_use]
    pub fn narrowing(&self) -> Self {
        let known = Backend::all();
        let is_known = |name: &&String| known.iter().any(|backend| backend.name() == name.as_str());
        let backends = self.backends.as_ref().map(|names| names.iter().filter(is_known).cloned().collect());
        Self { backends, ..Self::default() }
    }

    fn check(&self) -> Result<(), String> {
        for machine in &self.machines {
            let program = machine.program();
            if !program.is_absolute() {
                return Err(format!(
                    "`program` of a machine in `sandbox.machines` is `{}`; name an absolute path",
                    program.display()
                ));
            }
        }
        if let Some(Docker { socket }) = &self.docker
            && !socket.is_absolute()
        {
            return Err(format!(
                "`sandbox.docker.socket` is `{}`; name an absolute path, such as `/run/docker.sock`",
                socket.display()
            ));
        }
        match (&self.accept_lower_tier, &self.reason) {
            (Some(_), Some(reason)) if (1..=REASON_MAX).contains(&reason.trim().chars().count()) => Ok(()),
            (Some(_), _) => Err(format!(
                "`sandbox.accept_lower_tier` needs a `reason` of 1 to {REASON_MAX} characters beside it; it stands in \
                 every decision that rests on it"
            )),
            (None, Some(_)) => Err("`sandbox.reason` is for `accept_lower_tier`, which is not there".into()),
            (None, None) => Ok(()),
        }
    }
}

/// Longest reason for accepting less, in characters.
const REASON_MAX: usize = 200;

fn listen() -> String {
    "127.0.0.1:7600".into()
}
fn tenant() -> TenantId {
    TenantId::new("default").expect("`default` is a name")
}
fn environment() -> Environment {
    Environment::new("production").expect("`production` is a name")
}

/// A person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Who.
    pub id: PersonId,
    /// Groups that approvals ask for. `operators` may also kill, lift and roll back; `auditors` read everything and
    /// answer nothing.
    #[serde(default)]
    pub groups: BTreeSet<String>,
    /// The tenants whose runs and requests this person may see and answer; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenants: Option<BTreeSet<TenantId>>,
    /// Other names of the same person, such as a mail address or a log-in, under which runs are opened for them.
    /// Upper and lower case are the same.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub names: BTreeSet<String>,
    /// SHA-256 of the person's key.
    pub key: Digest,
}

impl Person {
    fn all_names(&self) -> impl Iterator<Item = String> {
        std::iter::once(self.id.as_str()).chain(self.names.iter().map(String::as_str)).map(str::to_lowercase)
    }
}

/// A program that opens runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Orchestrator {
    /// Its name.
    pub id: String,
    /// The agents it may open runs for.
    pub agents: BTreeSet<AgentId>,
    /// The tenants it may open and see runs in; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenants: Option<BTreeSet<TenantId>>,
    /// The environments it may open runs in; absent: that of the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environments: Option<BTreeSet<Environment>>,
    /// SHA-256 of its key.
    pub key: Digest,
}

/// A program that takes calls of actions, carries them out and reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerKey {
    /// Its name.
    pub id: String,
    /// The actions that it may serve.
    pub actions: BTreeSet<String>,
    /// SHA-256 of its key.
    pub key: Digest,
}

/// A proxy that asks before it lets a request through, and says what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyKey {
    /// Its name.
    pub id: String,
    /// SHA-256 of its key.
    pub key: Digest,
}

/// Settings of how an approval surfaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Approvals {
    /// How long a call is held while people decide, in milliseconds.
    pub hold_ms: u64,
    /// How often progress is told during that time, in milliseconds.
    pub progress_ms: u64,
}

impl Default for Approvals {
    fn default() -> Self {
        // Below the 60 s after which the common client SDKs give up.
        Self { hold_ms: 25_000, progress_ms: 3_000 }
    }
}

/// Limits of one AECL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Longest request body, in bytes.
    pub request_bytes_max: usize,
    /// Longest output of an action that is kept and handed back, in bytes.
    pub output_bytes_max: usize,
    /// Most bytes of request bodies at once, of one socket; one caller may have a quarter of it.
    pub bodies_bytes_max: usize,
    /// Most requests at once.
    pub requests_max: usize,
    /// Most connections of one address at once that have shown no credential that counts.
    pub strangers_max: usize,
    /// Longest time for the first head of a connection to arrive, in milliseconds.
    pub head_ms_max: u64,
    /// Longest time for the head of a request to arrive, and for its body, in milliseconds.
    pub receive_ms_max: u64,
    /// Longest wait of one request, in milliseconds.
    pub wait_ms_max: u64,
    /// Most MCP sessions of one agent over HTTP at once.
    pub sessions_max: usize,
    /// Silence after which an MCP session over HTTP is over, in seconds.
    pub session_idle_s: u64,
    /// Silence after which an MCP session over HTTP gives way when there are too many, in seconds.
    pub session_silent_s: u64,
    /// Silence after which the ledger shows that it is alive, in seconds.
    pub heartbeat_s: u64,
    /// How much of an agent's proposals that come to nothing is recorded in a minute, in bytes; sixteen times as much
    /// at once. Beyond that they are answered and not recorded.
    pub refused_bytes_per_min: u64,
    /// Most entries that a start compares with what stands beside them before anything is decided; a longer ledger is
    /// compared while the first decisions are made.
    pub start_entries_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_bytes_max: 4 << 20,
            bodies_bytes_max: 64 << 20,
            output_bytes_max: 16 << 20,
            requests_max: 512,
            strangers_max: 128,
            head_ms_max: 5_000,
            receive_ms_max: 30_000,
            wait_ms_max: 600_000,
            sessions_max: 256,
            session_idle_s: 1_800,
            session_silent_s: 60,
            heartbeat_s: 60,
            refused_bytes_per_min: 1 << 20,
            start_entries_max: START_ENTRIES_MAX,
        }
    }
}

impl Limits {
    fn check(&self) -> Result<(), String> {
        let Self { request_bytes_max: one, bodies_bytes_max: all, strangers_max, .. } = self;
        if all < one {
            return Err(format!(
                "`limits.bodies_bytes_max` is {all}, less than one body may have (`limits.request_bytes_max`, {one}); \
                 raise it, or lower the other"
            ));
        }
        if *strangers_max == 0 {
            return Err("`limits.strangers_max` is 0, so nobody could connect; name 1 at least".into());
        }
        Ok(())
    }
}

/// Directory in which everything of one AECL lies.
#[derive(Debug, Clone)]
pub struct Home {
    dir: PathBuf,
}

impl Home {
    /// The home in this directory.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }
    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
    /// The configuration.
    pub fn config(&self) -> PathBuf {
        self.dir.join("aecl.yaml")
    }
    /// The bundle.
    pub fn policy(&self) -> PathBuf {
        self.dir.join("policy")
    }
    /// The keys.
    pub fn keys(&self) -> PathBuf {
        self.dir.join("keys")
    }
    /// The encrypted store of secrets. Its key lies in `keys/`, unless `AECL_SECRETS_KEY_FILE` names another
    /// place, such as one that is not in the backup of this directory.
    pub fn secrets(&self) -> SecretStore {
        SecretStore::new(self.dir.join("secrets"), self.secrets_key())
    }
    fn secrets_key(&self) -> PathBuf {
        let elsewhere = std::env::var_os("AECL_SECRETS_KEY_FILE").filter(|path| !path.is_empty());
        elsewhere.map_or_else(|| self.keys().join("secrets.key"), PathBuf::from)
    }
    /// Opens the ledger that this key signs, for writing: by one process of this user, also where the home was copied.
    ///
    /// # Errors
    /// When somebody else writes it, or the store refuses.
    pub fn ledger(
        &self,
        store: &StoreConfig,
        key: &ed25519_dalek::VerifyingKey,
    ) -> Result<Box<dyn Store>, StoreError> {
        let named = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
        let state = named("XDG_STATE_HOME").or_else(|| Some(named("HOME")?.join(".local/state")));
        let name = Digest::of(key.as_bytes()).hex();
        let claim = state.map(|state| state.join("aecl/ledgers").join(name));
        self.place(store).write(claim.as_deref())
    }
    /// The place of its ledger in this store.
    #[must_use]
    pub fn place(&self, store: &StoreConfig) -> Box<dyn StorePlace> {
        store.place(&self.data(), Some(&self.keys().join("ledger.pem")))
    }
    /// The log-ins at servers, in an encrypted store of their own under the same key.
    pub fn logins(&self) -> LoginStore {
        // Several processes share a log-in, and the wall clock is the one that they share. It decides nothing but
        // whether to renew first: the server says what still counts.
        let now_s = || u64::try_from(clock::wall().0 / 1000).unwrap_or(0);
        LoginStore::new(SecretStore::new(self.dir.join("secrets/logins"), self.secrets_key()), now_s)
    }
    /// Where the credentials of actions and servers come from.
    pub fn vault(&self) -> Vault {
        Vault::with_logins(Some(self.secrets()), self.logins())
    }
    /// The ledger.
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }
    /// Unpacked images of programs.
    pub fn images(&self) -> PathBuf {
        self.data().join("images")
    }

    /// Reads the configuration, or says what is wrong with it and where.
    pub fn read(&self) -> Result<Config, GateError> {
        let path = self.config();
        // The directory may be a stranger's: a pipe or an endless file there must not hold us.
        let text = text(&path, CONFIG_BYTES_MAX)?;
        Config::parse(&text).map_err(|message| GateError::Config { path, message })
    }

    /// The place of its ledger, also where all that the configuration says beside `store` is wrong.
    ///
    /// # Errors
    /// When the configuration cannot be read, or names a store that there is not.
    pub fn record(&self) -> Result<Box<dyn StorePlace>, GateError> {
        let path = self.config();
        if let Ok(false) = path.try_exists() {
            return Ok(self.place(&StoreConfig::default()));
        }
        let store = store_in(&text(&path, CONFIG_BYTES_MAX)?)
            .map_err(|message| GateError::Config { path, message })?;
        Ok(self.place(&store))
    }

    /// What the configuration says of cages; where there is none, nothing.
    pub fn sandbox(&self) -> Result<Sandbox, GateError> {
        // What cannot be looked at may be there.
        match self.config().try_exists() {
            Ok(false) => Ok(Sandbox::default()),
            Ok(true) | Err(_) => Ok(self.read()?.sandbox),
        }
    }
}

/// The store that a configuration names, whatever else is wrong with it. What is wrong with that is said without the line on
/// which it stands: an address may hold a password.
fn store_in(text: &str) -> Result<StoreConfig, String> {
    #[derive(Deserialize)]
    struct OnlyStore {
        store: Option<String>,
    }
    let OnlyStore { store } = serde_saphyr::from_str(text).map_err(|e| e.to_string())?;
    store.map_or(Ok(StoreConfig::default()), StoreConfig::try_from)
}

/// Largest `aecl.yaml`, in bytes.
const CONFIG_BYTES_MAX: u64 = 4 << 20;

/// The text of a plain file.
fn text(path: &Path, bytes_max: u64) -> Result<String, GateError> {
    let bytes = read_plain(path, bytes_max).map_err(|source| GateError::File {
        tried: "read",
        path: path.to_owned(),
        source,
    })?;
    String::from_utf8(bytes)
        .map_err(|_| GateError::Config { path: path.to_owned(), message: "it is no UTF-8".into() })
}

impl Config {
    /// Reads the text of `aecl.yaml`, or says what is wrong with it and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |e: serde_saphyr::Error| store_in(text).err().unwrap_or_else(|| e.to_string());
        let config: Config = serde_saphyr::from_str(text).map_err(wrong)?;
        config.check()?;
        Ok(config)
    }

    /// How people reach the pages.
    pub fn url(&self) -> String {
        self.public_url
            .clone()
            .unwrap_or_else(|| format!("http://{}", self.listen))
            .trim_end_matches('/')
            .to_owned()
    }

    /// The person whom a name means, whatever its case.
    pub fn person_named(&self, name: &str) -> Option<&PersonId> {
        let name = name.to_lowercase();
        let person = self.people.iter().find(|person| person.all_names().any(|known| known == name));
        person.map(|person| &person.id)
    }

    fn check(&self) -> Result<(), String> {
        let mut keys = BTreeSet::new();
        for (who, key) in self
            .people
            .iter()
            .map(|p| (p.id.as_str(), p.key))
            .chain(self.orchestrators.iter().map(|o| (o.id.as_str(), o.key)))
            .chain(self.workers.iter().map(|w| (w.id.as_str(), w.key)))
            .chain(self.proxies.iter().map(|p| (p.id.as_str(), p.key)))
        {
            if !keys.insert(key) {
                return Err(format!("`{who}` has the key of somebody else; each key belongs to one"));
            }
        }
        let mut people = BTreeSet::new();
        if let Some(twice) = self.people.iter().find(|p| !people.insert(&p.id)) {
            return Err(format!("the person `{}` stands twice", twice.id));
        }
        let mut workers = BTreeSet::new();
        for worker in &self.workers {
            if PersonId::new(&worker.id).is_err() || !workers.insert(&worker.id) {
                return Err(format!(
                    "`workers` has `{}` twice, or it is no name; take letters, digits and `_ - . : @ /`",
                    worker.id
                ));
            }
            if worker.actions.is_empty() {
                return Err(format!(
                    "`actions` of the worker `{}` is empty, so its key is for nothing; name one",
                    worker.id
                ));
            }
        }
        let mut proxies = BTreeSet::new();
        if let Some(odd) =
            self.proxies.iter().find(|p| PersonId::new(&p.id).is_err() || !proxies.insert(&p.id))
        {
            return Err(format!(
                "`proxies` has `{}` twice, or it is no name; take letters, digits and `_ - . : @ /`",
                odd.id
            ));
        }
        let empty = |list: &Option<BTreeSet<TenantId>>| list.as_ref().is_some_and(BTreeSet::is_empty);
        let people = self.people.iter().filter(|p| empty(&p.tenants)).map(|p| p.id.as_str());
        let programs = self.orchestrators.iter().filter(|o| empty(&o.tenants)).map(|o| o.id.as_str());
        if let Some(nobody) = people.chain(programs).next() {
            return Err(format!(
                "`tenants` of `{nobody}` is empty, so its key is for nothing; name one, or leave it out"
            ));
        }
        let mut names = BTreeMap::new();
        for person in &self.people {
            for name in person.all_names() {
                if let Some(other) =
                    names.insert(name.clone(), &person.id).filter(|other| **other != person.id)
                {
                    return Err(format!("`{name}` names both `{other}` and `{}`", person.id));
                }
            }
        }
        if self.origin.is_empty() || self.origin.contains(['+', '\n', ' ']) {
            return Err("`origin` must be a name without spaces and `+`, such as `example.com/aecl`".into());
        }
        for name in self.servers.keys() {
            if name.is_empty()
                || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                || name.contains("__")
            {
                return Err(format!(
                    "the server name `{name}` must be of letters, digits, `-` and single `_`"
                ));
            }
        }
        self.vault.as_ref().map_or(Ok(()), RemoteSpec::check)?;
        let mut judges = BTreeSet::new();
        for judge in &self.judges {
            judge.check()?;
            if !judges.insert(&judge.name) {
                return Err(format!("the judge `{}` stands twice", judge.name));
            }
        }
        self.sandbox.check()?;
        self.limits.check()?;
        for (name, server) in &self.servers {
            if server.timeout_ms().is_some_and(|ms| !(1..=3_600_000).contains(&ms)) {
                return Err(format!("`servers.{name}.timeout_ms` must be between 1 and 3,600,000"));
            }
            for (key, text) in server.templates() {
                references(text).map_err(|e| format!("`servers.{name}`, `{key}`: {e}"))?;
            }
            if let Some(oauth) = server.oauth() {
                oauth.check().map_err(|e| format!("`servers.{name}`, {e}"))?;
                if server.templates().keys().any(|header| header.eq_ignore_ascii_case("authorization")) {
                    return Err(format!(
                        "`servers.{name}` has both `oauth` and a header `Authorization`; only one of them can be sent"
                    ));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a cloned directory may hold under our names.
    #[test]
    fn a_configuration_that_is_no_plain_file_is_an_error_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        let start = std::time::Instant::now();
        let refused = |expected: &str| {
            let error = home.read().unwrap_err().to_string();
            assert!(error.contains("aecl.yaml") && error.contains(expected), "{error}");
            assert!(home.sandbox().is_err());
            std::fs::remove_file(home.config()).unwrap();
        };
        let (fifo, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, home.config(), fifo, mode, 0).unwrap();
        refused("no plain file");
        std::os::unix::fs::symlink("/dev/zero", home.config()).unwrap();
        refused("no plain file");
        std::fs::File::create(home.config()).unwrap().set_len(1 << 40).unwrap();
        refused("more than 4194304 bytes");
        assert!(start.elapsed() < std::time::Duration::from_secs(5));
    }

    #[test]
    fn a_daemon_is_named_by_the_operator_or_not_at_all() {
        let read = |text: &str| serde_json::from_str::<Sandbox>(text);
        assert_eq!(read("{}").unwrap().described(), []);
        let usual = Docker { socket: "/run/docker.sock".into() };
        assert_eq!(read(r#"{"docker": {}}"#).unwrap().described(), [Backend::Docker(usual)]);
        let relative = read(r#"{"docker": {"socket": "docker.sock"}}"#).unwrap().check().unwrap_err();
        assert!(relative.contains("name an absolute path"), "{relative}");
        assert!(read(r#"{"docker": {"host": "tcp://10.0.0.1:2375"}}"#).is_err());
    }
}
