//! Who calls: people and orchestrators by key, agents by run token. Keys are stored hashed; tokens are
//! signed, short-lived and bound to one run.

use crate::config::Config;
use crate::error::GateError;
use aecl_kernel::base::code;
use aecl_kernel::base::digest::Digest;
use aecl_kernel::base::id::{AgentId, PersonId};
use aecl_kernel::base::principal::Principal;
use aecl_kernel::read::action::Credential;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use std::collections::BTreeSet;
use subtle::ConstantTimeEq;

/// The group whose members may kill, lift, roll back and resolve.
pub const OPERATORS: &str = "operators";
/// The group whose members read everything and answer nothing.
pub const AUDITORS: &str = "auditors";

/// Identity of a caller, once the key is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// A person, with the groups that the configuration names.
    Person {
        /// Who.
        id: PersonId,
        /// In which groups.
        groups: BTreeSet<String>,
    },
    /// A program that opens runs for these agents.
    Orchestrator {
        /// Its name.
        id: String,
        /// The agents.
        agents: BTreeSet<AgentId>,
    },
    /// Whoever may open the socket in the data directory, which only its owner may.
    Local,
}

impl Identity {
    /// The name for records.
    pub fn name(&self) -> String {
        match self {
            Identity::Person { id, .. } => id.to_string(),
            Identity::Orchestrator { id, .. } => format!("orchestrator:{id}"),
            Identity::Local => "local".into(),
        }
    }

    /// The person who calls, if it is one.
    pub fn person(&self) -> Option<&PersonId> {
        match self {
            Identity::Person { id, .. } => Some(id),
            Identity::Orchestrator { .. } | Identity::Local => None,
        }
    }

    /// Whether it may open and close runs of this agent.
    pub fn may_run(&self, agent: &AgentId) -> bool {
        match self {
            Identity::Orchestrator { agents, .. } => agents.contains(agent),
            Identity::Person { groups, .. } => groups.contains(OPERATORS),
            Identity::Local => true,
        }
    }

    /// Whether it may kill, lift, roll back and resolve.
    pub fn is_operator(&self) -> bool {
        matches!(self, Identity::Person { groups, .. } if groups.contains(OPERATORS))
    }

    /// Whether it may read what asks other groups than its own.
    pub fn reads_for_all(&self) -> bool {
        match self {
            Identity::Person { groups, .. } => groups.contains(OPERATORS) || groups.contains(AUDITORS),
            Identity::Local => true,
            Identity::Orchestrator { .. } => false,
        }
    }

    /// Whether it reads and never answers.
    pub fn is_auditor(&self) -> bool {
        matches!(self, Identity::Person { groups, .. } if groups.contains(AUDITORS))
    }
}

/// A worker, once its key is known: a program that carries out actions with credentials of its own. It is no
/// [`Identity`], so it opens, proposes, answers and reads nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerIdentity {
    /// Its name.
    pub id: String,
    /// The actions that it may serve.
    pub actions: BTreeSet<String>,
}

/// How the key of a worker begins.
pub const WORKER_KEY: &str = "aecl_w_";

/// A proxy, once its key is known: it asks about requests of agents and says what came of them. It is no [`Identity`]
/// either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyIdentity {
    /// Its name.
    pub id: String,
}

/// How the key of a proxy begins.
pub const PROXY_KEY: &str = "aecl_x_";

/// A run token that was verified: who acts, with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Who acts.
    pub principal: Principal,
    /// With what.
    pub credential: Credential,
}

/// A fresh key for a person (`p`), an orchestrator (`o`) or a proxy (`x`), and its hash. The key is shown once.
pub fn new_key(kind: char) -> Result<(String, Digest), GateError> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes)
        .map_err(|e| GateError::refused(code::INTERNAL, format!("no random bytes: {e}")))?;
    let key = format!("aecl_{kind}_{}", BASE64_URL_SAFE_NO_PAD.encode(bytes));
    let hash = hash_key(&key);
    Ok((key, hash))
}

/// A fresh key for a worker, and its hash. Behind it stands the public key with which permits are signed, so whoever has
/// the one has pinned the other.
pub fn new_worker_key(public: &[u8; 32]) -> Result<(String, Digest), GateError> {
    let (random, _) = new_key('w')?;
    let key = format!("{random}.{}", BASE64_URL_SAFE_NO_PAD.encode(public));
    let hash = hash_key(&key);
    Ok((key, hash))
}

/// The hash under which a key is stored. Keys have 256 random bits, so a plain hash cannot be guessed.
pub fn hash_key(key: &str) -> Digest {
    Digest::of_parts("aecl/key/v1", &[key.as_bytes()])
}

/// Finds out whose key this is. Every stored hash is compared, in constant time each.
pub(crate) fn who(config: &Config, key: &str) -> Result<Identity, GateError> {
    if key.starts_with(WORKER_KEY) {
        let why = "the key of a worker takes and reports work, and is good for nothing else";
        return Err(GateError::refused(code::FORBIDDEN, why));
    }
    if key.starts_with(PROXY_KEY) {
        let why = "the key of a proxy asks at `proxy_listen`, by gRPC, and is good for nothing else";
        return Err(GateError::refused(code::FORBIDDEN, why));
    }
    let hash = hash_key(key);
    let mut found = None;
    for person in &config.people {
        if bool::from(person.key.bytes().ct_eq(hash.bytes())) {
            found = Some(Identity::Person { id: person.id.clone(), groups: person.groups.clone() });
        }
    }
    for orchestrator in &config.orchestrators {
        if bool::from(orchestrator.key.bytes().ct_eq(hash.bytes())) {
            found = Some(Identity::Orchestrator {
                id: orchestrator.id.clone(),
                agents: orchestrator.agents.clone(),
            });
        }
    }
    found.ok_or_else(|| {
        GateError::refused(code::TOKEN_INVALID, "the key is not known; keys are made by `aecl keys add`")
    })
}

/// Finds out which worker has this key, as [`who`] does.
pub(crate) fn which_worker(config: &Config, key: &str) -> Result<WorkerIdentity, GateError> {
    let hash = hash_key(key);
    let mut found = None;
    for worker in &config.workers {
        if bool::from(worker.key.bytes().ct_eq(hash.bytes())) {
            found = Some(WorkerIdentity { id: worker.id.clone(), actions: worker.actions.clone() });
        }
    }
    found.ok_or_else(|| {
        let why = "the key of this worker is not known; `aecl keys add worker` makes one";
        GateError::refused(code::TOKEN_INVALID, why)
    })
}

/// Finds out which proxy has this key, as [`who`] does.
pub(crate) fn which_proxy(config: &Config, key: &str) -> Result<ProxyIdentity, GateError> {
    let hash = hash_key(key);
    let mut found = None;
    for proxy in &config.proxies {
        if bool::from(proxy.key.bytes().ct_eq(hash.bytes())) {
            found = Some(ProxyIdentity { id: proxy.id.clone() });
        }
    }
    found.ok_or_else(|| {
        let why = "the key of this proxy is not known; `aecl keys add proxy` makes one";
        GateError::refused(code::TOKEN_INVALID, why)
    })
}
