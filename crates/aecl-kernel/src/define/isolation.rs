//! Cages: how strongly a program is held while it runs, what this host can do of that, and what follows.
//!
//! What a decision asks for is the strongest of what the action, the agent, those it acts for and the text of
//! strangers ask for. What is there was tried out and stands on record, so deciding looks at no host.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// Tier of isolation: how strongly a program is held, from weak to strong. What is stronger may stand in for what is
/// weaker, never the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IsolationTier {
    /// Namespaces, system call filter, no rights, limits. The kernel is shared.
    Native,
    /// A kernel of its own in user space.
    Gvisor,
    /// A virtual machine.
    Microvm,
}

impl IsolationTier {
    /// Every tier, from weak to strong.
    pub const ALL: [IsolationTier; 3] =
        [IsolationTier::Native, IsolationTier::Gvisor, IsolationTier::Microvm];

    /// As policies and records write it.
    pub fn name(self) -> &'static str {
        match self {
            IsolationTier::Native => "native",
            IsolationTier::Gvisor => "gvisor",
            IsolationTier::Microvm => "microvm",
        }
    }

    /// What gives a host this tier.
    fn way(self) -> &'static str {
        match self {
            IsolationTier::Native => "run AECL on Linux with user namespaces",
            IsolationTier::Gvisor => "install gVisor (`runsc`)",
            IsolationTier::Microvm => "run AECL on a host with KVM and install Firecracker or QEMU",
        }
    }
}

impl fmt::Display for IsolationTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `sandbox.json` of a bundle: what the policy asks for whatever the action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// What holds a program in a run that has read what strangers may have written.
    pub untrusted_tier: IsolationTier,
}

impl Default for Rules {
    fn default() -> Self {
        Self { untrusted_tier: IsolationTier::Microvm }
    }
}

/// Requirements of an action that a program carries out: what it needs of its cage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requirements {
    /// It has a limit of memory.
    pub memory: bool,
    /// It has a limit of processor time per second.
    pub cpu: bool,
    /// It sees directories or files of the host.
    pub views: bool,
    /// It writes into a layer above one of them.
    pub overlays: bool,
    /// It reaches somebody: a socket listens in its cage, and we serve it.
    pub listener: bool,
    /// It is a module of WebAssembly, which needs our worker: a program of this host.
    pub module: bool,
}

impl Requirements {
    /// Everything: what a program needs of which nobody can read what it may have.
    pub const ALL: Self =
        Self { memory: true, cpu: true, views: true, overlays: true, listener: true, module: true };

    /// The first of it that a backend does not give.
    pub fn lack(self, found: &BackendReport) -> Option<MissingCapability> {
        // What was recorded before anybody asked comes out as it did.
        let gives = found.offers.unwrap_or(Capabilities::ALL);
        [
            (self.memory && !found.memory, MissingCapability::Memory),
            (self.cpu && !found.cpu, MissingCapability::Cpu),
            (!self.memory && !gives.unlimited_memory, MissingCapability::UnlimitedMemory),
            (self.views && !gives.views, MissingCapability::Views),
            (self.overlays && !gives.overlays, MissingCapability::Overlays),
            (self.listener && !gives.listener, MissingCapability::Listener),
            (self.module && !gives.host_programs, MissingCapability::HostPrograms),
        ]
        .into_iter()
        .find_map(|(lacks, lack)| lacks.then_some(lack))
    }
}

/// Capability that a program needs of its cage and a backend does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MissingCapability {
    /// Its limit of memory would not be enforced.
    Memory,
    /// Its limit of processor time would not be enforced.
    Cpu,
    /// It has no limit of memory, and a machine has a size.
    UnlimitedMemory,
    /// It would see nothing of the host.
    Views,
    /// It could not write above a view.
    Overlays,
    /// Nobody could serve what it reaches.
    Listener,
    /// It is a module, and its worker would not run.
    HostPrograms,
}

impl MissingCapability {
    /// What the backend does not do, with the words of the catalogue.
    pub fn what(self) -> &'static str {
        match self {
            MissingCapability::Memory => "enforces no `memory_max_mib`",
            MissingCapability::Cpu => "enforces no `cpu_max_millicores`",
            MissingCapability::UnlimitedMemory => "has a size, so `memory_max_mib` cannot be null",
            MissingCapability::Views => "shows nothing of this host (`views`)",
            MissingCapability::Overlays => "has no layer above a view (`access: overlay`)",
            MissingCapability::Listener => "gives no way out (`egress`)",
            MissingCapability::HostPrograms => "has programs of its own and no worker for modules (`wasm`)",
        }
    }

    /// How the entry of the action can do without.
    fn way(self) -> &'static str {
        match self {
            MissingCapability::Memory => "write `memory_max_mib: null` in its connector",
            MissingCapability::Cpu => "write `cpu_max_millicores: null` in its connector",
            MissingCapability::UnlimitedMemory => "say `memory_max_mib` in its connector",
            MissingCapability::Views => {
                "give the program what it reads as `stdin`, without an image or a module"
            }
            MissingCapability::Overlays => {
                "show the view `read_only` and let the program write to `/scratch`"
            }
            MissingCapability::Listener => "take `egress` out of its connector",
            MissingCapability::HostPrograms => {
                "let a program of the machine's disk do it (`argv` instead of `wasm`)"
            }
        }
    }

    /// The limit that would not be enforced, as the catalogue writes it.
    fn limit(self) -> Option<&'static str> {
        match self {
            MissingCapability::Memory => Some("memory_max_mib"),
            MissingCapability::Cpu => Some("cpu_max_millicores"),
            MissingCapability::UnlimitedMemory
            | MissingCapability::Views
            | MissingCapability::Overlays
            | MissingCapability::Listener
            | MissingCapability::HostPrograms => None,
        }
    }
}

/// Capabilities of a backend, beside limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Directories and files of the host.
    pub views: bool,
    /// A layer above one of them that takes what is written.
    pub overlays: bool,
    /// A socket that listens inside and that we serve.
    pub listener: bool,
    /// As much memory as there is.
    pub unlimited_memory: bool,
    /// The programs of this host. A machine has those of its own disk.
    #[serde(default = "yes", skip_serializing_if = "is_so")]
    pub host_programs: bool,
}

/// What was recorded before anybody asked comes out as it did.
fn yes() -> bool {
    true
}

fn is_so(given: &bool) -> bool {
    *given
}

impl Capabilities {
    /// Everything.
    pub const ALL: Self =
        Self { views: true, overlays: true, listener: true, unlimited_memory: true, host_programs: true };
}

/// Report about a backend, found out by building a cage with it and attacking that from inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendReport {
    /// What builds the cage.
    pub backend: String,
    /// How strongly it holds.
    pub tier: IsolationTier,
    /// Whether programs may be held with it.
    pub available: bool,
    /// Why not, and what to do; or what holds it.
    pub reason: String,
    /// Of what holds it.
    pub version: String,
    /// A limit of memory is enforced.
    pub memory: bool,
    /// A limit of processor time per second is enforced.
    pub cpu: bool,
    /// What else it can give; absent in what was recorded before anybody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offers: Option<Capabilities>,
}

/// Report about modules of WebAssembly, found out by running one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Modules {
    /// Whether they run here.
    pub available: bool,
    /// Why not, and what to do; or what runs them.
    pub reason: String,
    /// Of the worker that runs them.
    pub version: String,
}

/// The operator accepts less than what is asked for, where that is not available.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lowered {
    /// Nothing below this.
    pub to: IsolationTier,
    /// Why.
    pub reason: String,
}

/// Isolation that this host can give programs, as it was found out and recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostIsolation {
    /// All that was tried and may be used, in the order of preference.
    pub found: Vec<BackendReport>,
    /// Whether modules run here; absent where no action is carried out by one, and in what was recorded before
    /// anybody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modules: Option<Modules>,
    /// The word of the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lowered: Option<Lowered>,
}

impl HostIsolation {
    /// A host that can hold a program in every way: policies are tried out on it.
    pub fn every() -> Self {
        let found = |tier: IsolationTier| BackendReport {
            backend: tier.name().into(),
            tier,
            available: true,
            reason: "assumed".into(),
            version: String::new(),
            memory: true,
            cpu: true,
            offers: Some(Capabilities::ALL),
        };
        let modules = Modules { available: true, reason: "assumed".into(), version: String::new() };
        Self { found: IsolationTier::ALL.map(found).into(), modules: Some(modules), lowered: None }
    }

    /// Whether the same follows from both. How a cage that is there was held may differ each time it is tried.
    pub fn means_the_same(&self, other: &Self) -> bool {
        let of = |cages: &Self| {
            let found = cages.found.iter().cloned();
            let told =
                found.map(|f| if f.available { BackendReport { reason: String::new(), ..f } } else { f });
            let modules = cages.modules.clone();
            let modules =
                modules.map(|m| if m.available { Modules { reason: String::new(), ..m } } else { m });
            (told.collect::<Vec<_>>(), modules, cages.lowered.clone())
        };
        of(self) == of(other)
    }

    fn available(&self, least: IsolationTier) -> impl Iterator<Item = &BackendReport> {
        self.found.iter().filter(move |f| f.available && f.tier >= least)
    }

    /// What follows for a program that is to be held at least so strongly, and for a module that needs its worker,
    /// too.
    pub fn choose(&self, least: IsolationTier, needs: Requirements) -> Selection {
        match self.cage(least, needs) {
            // What was recorded before anybody asked comes out as it did.
            Selection::Held { .. } if needs.module && self.modules.as_ref().is_some_and(|m| !m.available) => {
                Selection::NoWorker
            }
            choice => choice,
        }
    }

    /// What does not give a program all that it needs is as good as not there, for the operator's word, too:
    /// otherwise who asks for more could get what who asks for less is refused.
    fn cage(&self, least: IsolationTier, needs: Requirements) -> Selection {
        let fits = |found: &&BackendReport| needs.lack(found).is_none();
        if self.available(least).any(|f| fits(&f)) {
            return Selection::Held { tier: least, instead_of: None };
        }
        let accepted = self.accepted(least);
        let strongest = accepted.and_then(|to| self.available(to).filter(fits).map(|f| f.tier).max());
        if let Some(tier) = strongest {
            return Selection::Held { tier, instead_of: Some(least) };
        }
        match self.available(accepted.unwrap_or(least)).next() {
            Some(_) => Selection::Unable,
            None => Selection::Nothing,
        }
    }

    /// What the operator accepts instead, if that is less.
    fn accepted(&self, least: IsolationTier) -> Option<IsolationTier> {
        self.lowered.as_ref().map(|lowered| lowered.to).filter(|to| *to < least)
    }

    /// Why nothing that is here and strong enough gives a program all that it needs, and what to do.
    pub fn unable(&self, demand: &RequiredIsolation) -> String {
        let RequiredIsolation { tier: least, why, needs } = demand;
        let accepted = self.accepted(*least);
        let strong = self.available(accepted.unwrap_or(*least));
        let lacks: Vec<_> = strong.filter_map(|f| Some((f.backend.as_str(), needs.lack(f)?))).collect();
        if let (Some(limit), true) = (
            lacks.first().and_then(|(_, lack)| lack.limit()),
            lacks.iter().all(|(_, lack)| lack.limit().is_some()),
        ) {
            return format!(
                "nothing here enforces its limit `{limit}`; run AECL as root or in a systemd unit with \
                 `Delegate=yes`, or write `{limit}: null` in its connector"
            );
        }
        let each: Vec<String> =
            lacks.iter().map(|(backend, lack)| format!("`{backend}` {}", lack.what())).collect();
        let ways: BTreeSet<MissingCapability> = lacks.iter().map(|(_, lack)| *lack).collect();
        let ways: Vec<&str> = ways.into_iter().map(MissingCapability::way).collect();
        let less = match (accepted, *least > IsolationTier::Native) {
            (None, true) => ", or accept less with `sandbox.accept_lower_tier` in aecl.yaml",
            (Some(_), _) | (None, false) => "",
        };
        format!(
            "it must run in `{least}` or stronger ({why}), and nothing of that here gives it all that it needs: {}; \
             {}{less}",
            each.join(", "),
            ways.join(", or "),
        )
    }

    /// Why nothing holds a program as strongly as is asked for, and each way out.
    pub fn unavailable(&self, demand: &RequiredIsolation) -> String {
        let RequiredIsolation { tier, why, .. } = demand;
        format!(
            "it must run in `{tier}` or stronger ({why}), and {}, or accept less with `sandbox.accept_lower_tier` in \
             aecl.yaml",
            self.lack(*tier)
        )
    }

    /// Why no module runs here, and what to do.
    pub fn no_worker(&self) -> String {
        let why = self.modules.as_ref().map_or("nobody has tried it", |modules| modules.reason.as_str());
        format!("a module of WebAssembly carries it out, and none runs here: {why}")
    }

    /// Why nothing holds a program so strongly, and what to do.
    pub fn lack(&self, least: IsolationTier) -> String {
        let why: Vec<String> = self
            .found
            .iter()
            .filter(|f| f.tier >= least)
            .map(|f| format!("; `{}`: {}", f.backend, f.reason))
            .collect();
        let there: Vec<&str> = self.available(IsolationTier::Native).map(|f| f.tier.name()).collect();
        let there = match there.as_slice() {
            [] => String::new(),
            some => format!(" (here is `{}`)", some.join("`, `")),
        };
        format!("nothing here holds a program that strongly{there}{}: {}", why.concat(), least.way())
    }
}

/// Selection among what is there, for what is required.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// The program is held at least so strongly.
    Held {
        /// How strongly, at least.
        tier: IsolationTier,
        /// What was asked for, if the operator accepts less.
        instead_of: Option<IsolationTier>,
    },
    /// Nothing here holds it that strongly.
    Nothing,
    /// Something holds it, and does not give it all that it needs.
    Unable,
    /// Something would hold it; it is a module, and the worker that runs modules is not here.
    NoWorker,
}

/// Isolation that is required.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequiredIsolation {
    /// How strongly, at least.
    pub tier: IsolationTier,
    /// Because of what.
    pub why: String,
    /// What it needs of its cage.
    pub needs: Requirements,
}
