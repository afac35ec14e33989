//! `aecl doctor --sandbox`: builds a cage by everything that this host may have for it, attacks each from
//! inside, and says what came of it. That a program, a file or `/dev/kvm` is there is no answer.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Error, Exit, Result};
use crate::cli::show::{self, Page, Tone, count};
use crate::cli::{input, runtime};
use aecl_executor::connectors::process::{recorded, wasm};
use aecl_gate::config::Home;
use aecl_gate::loader;
use aecl_kernel::define::catalogue::TypedAction;
use aecl_kernel::define::isolation::{
    HostIsolation, IsolationTier, RequiredIsolation, Requirements, Selection,
};
use aecl_kernel::policy::bundle::Bundle;
use aecl_sandbox::{Backend, Docker, Found, Offers, Program, Termination, VirtualMachine, probe};
use serde::Serialize;
use serde_json::json;

/// The longest description of machines.
const MACHINES_MAX_BYTES: u64 = 1 << 20;

/// How many of the actions that would be blocked are named on the page.
const BLOCKED_SHOWN: usize = 5;

/// Where a cage is held and the memory of all its processes is not limited.
const NO_MEMORY_LIMIT: [&str; 3] = [
    "{} for all processes of a program together: this user has no cgroup for it. Actions",
    "are blocked unless they say `memory_max_mib: null`; `aecl run` limits each process by itself, and says so.",
    "A way out: `systemd-run --user --scope -p Delegate=yes aecl …`, a unit with `Delegate=yes`, or root.",
];

/// One backend, and what came of it.
#[derive(Debug, Serialize)]
struct Row {
    backend: String,
    tier: &'static str,
    available: bool,
    /// What holds it, or why it is not available, and what to do.
    reason: String,
    version: String,
    /// Limits that are enforced.
    memory_limit: bool,
    processor_limit: bool,
    /// What else it gives a program.
    gives: Vec<&'static str>,
    attacks_tried: usize,
    attacks_refused: usize,
    /// From the call to the end of `true`; absent where nothing could be started.
    #[serde(skip_serializing_if = "Option::is_none")]
    start_ms: Option<u128>,
}

/// What runs modules of WebAssembly, in the weakest cage that shows files of the host.
#[derive(Debug, Serialize)]
struct Modules {
    available: bool,
    /// What runs them, or why nothing does, and what to do.
    reason: String,
    /// From the call to the end of a module that does nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    start_ms: Option<u128>,
    /// How many actions are carried out by one.
    actions: usize,
}

/// Whether somebody has said what cannot be found by looking.
#[derive(Clone, Copy)]
struct Described {
    machines: bool,
    docker: bool,
}

/// What `sandbox.backends` in aecl.yaml keeps from being used, by name.
struct LeftOut(Vec<&'static str>);

impl LeftOut {
    /// Takes them from what would be tried.
    fn of(allowed: Option<&[String]>, backends: &mut Vec<Backend>) -> Self {
        let Some(allowed) = allowed else { return Self(Vec::new()) };
        let is_allowed = |backend: &Backend| allowed.iter().any(|name| name == backend.name());
        let left_out = backends.iter().filter(|backend| !is_allowed(backend)).map(Backend::name).collect();
        backends.retain(is_allowed);
        Self(left_out)
    }
}

/// Runs it.
pub(super) fn run(home: &Home, machines: Option<&Path>, docker: Option<&Path>, json: bool) -> Result {
    let bundle = policy(home)?;
    let needs = needs(bundle.as_ref());
    let mut backends = Backend::all();
    // What cannot be read is told, and not taken for a host without one.
    let configured = home.sandbox()?;
    backends.extend(configured.described());
    if let Some(path) = machines {
        backends.extend(read(path)?);
    }
    if let Some(socket) = docker {
        let socket = std::path::absolute(socket).unwrap_or_else(|_| socket.to_owned());
        backends.push(Backend::Docker(Docker { socket }));
    }
    // Only those are tried that may be used: what is left out is no fault of this host's.
    let left_out = LeftOut::of(configured.backends.as_deref(), &mut backends);
    let described = Described {
        machines: machines.is_some() || !configured.machines.is_empty(),
        docker: docker.is_some() || configured.docker.is_some(),
    };
    let runtime = runtime()?;
    let (rows, all) = runtime.block_on(async {
        let (mut rows, mut all) = (Vec::new(), Vec::new());
        for backend in &backends {
            for found in probe(std::slice::from_ref(backend)).await {
                let start = if found.available { start_time(&found).await } else { None };
                rows.push(row(found.clone(), start));
                all.push(found);
            }
        }
        (rows, all)
    });
    let modules = modules(runtime.block_on(wasm::try_worker(&all)), bundle.as_ref());
    // What is missing for modules is said once, for all of them.
    let cages =
        HostIsolation { found: all.iter().filter_map(recorded).collect(), modules: None, lowered: None };
    let needs: Vec<Need> = needs.into_iter().map(|need| need.against(&cages)).collect();
    let sound =
        needs.iter().all(|need| need.met || !need.always) && (modules.available || modules.actions == 0);
    if json {
        show::print_json(&json!({
            "sound": sound, "needs": needs, "backends": rows, "modules": modules, "left_out": left_out.0,
        }));
    } else {
        page(&rows, &modules, &needs, described, &left_out).print();
    }
    Ok(if sound { Exit::Done } else { Exit::Failed })
}

fn modules(tried: std::result::Result<wasm::WorkerTrial, String>, bundle: Option<&Bundle>) -> Modules {
    let all = bundle.into_iter().flat_map(|bundle| bundle.catalogue().iter());
    let actions = all.filter(|(_, typed)| is_module(typed)).count();
    match tried {
        Ok(tried) => Modules {
            available: true,
            reason: format!("{} at {}", tried.version, tried.path.display()),
            start_ms: Some(tried.took.as_millis()),
            actions,
        },
        Err(reason) => Modules { available: false, reason, start_ms: None, actions },
    }
}

/// How strongly the programs of this policy are held whatever their runs have read.
pub(super) fn least_tier(bundle: &Bundle) -> IsolationTier {
    let caged = bundle.catalogue().iter().filter(|(_, typed)| typed.cage.is_some());
    let asked = caged.filter_map(|(_, typed)| typed.manifest.min_tier);
    asked.chain(bundle.agents().filter_map(|agent| agent.min_tier)).max().unwrap_or(IsolationTier::Native)
}

/// Whether a module carries it out.
pub(super) fn is_module(typed: &TypedAction) -> bool {
    typed.cage.is_some_and(|needs| needs.module)
}

/// What this installation's actions need.
#[derive(Debug, Serialize)]
struct Need {
    tier: IsolationTier,
    #[serde(rename = "for")]
    what: String,
    /// They never run without. Otherwise they are blocked in some runs only.
    always: bool,
    met: bool,
    /// Why each action that would be blocked would be.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    blocked: BTreeMap<String, String>,
    #[serde(skip)]
    programs: Vec<(String, Requirements)>,
}

impl Need {
    /// The same, with what comes of it on this host.
    fn against(mut self, cages: &HostIsolation) -> Self {
        for (name, needs) in &self.programs {
            let (tier, needs) = (self.tier, *needs);
            let demand = RequiredIsolation { tier, why: "the policy asks for it".into(), needs };
            let why = match cages.choose(tier, needs) {
                Selection::Held { .. } => continue,
                Selection::Nothing => cages.lack(tier),
                Selection::NoWorker => cages.no_worker(),
                Selection::Unable => cages.unable(&demand),
            };
            self.blocked.insert(name.clone(), why);
        }
        self.met = self.blocked.is_empty();
        self
    }
}

/// The policy of this installation. A host can be tried before there is one.
fn policy(home: &Home) -> std::result::Result<Option<Bundle>, Error> {
    if !home.policy().exists() {
        return Ok(None);
    }
    let loaded = loader::load(&home.policy());
    loaded
        .map(|bundle| Some(bundle.into_bundle()))
        .map_err(|error| Error::new(format!("what actions need is not known: {error}")))
}

fn needs(bundle: Option<&Bundle>) -> Vec<Need> {
    let Some(bundle) = bundle else { return Vec::new() };
    let caged: Vec<_> = bundle.catalogue().iter().filter(|(_, typed)| typed.cage.is_some()).collect();
    if caged.is_empty() {
        return Vec::new();
    }
    let least = least_tier(bundle);
    let untrusted = bundle.cages().untrusted_tier;
    let run = if caged.len() == 1 { "runs a program" } else { "run programs" };
    let what = format!("{} that {run}", count(caged.len(), "action"));
    let programs: Vec<_> =
        caged.iter().filter_map(|(name, typed)| Some((name.to_string(), typed.cage?))).collect();
    let need = |tier: IsolationTier, what: String, always: bool| {
        let (blocked, programs) = (BTreeMap::new(), programs.clone());
        Need { tier, what, always, met: false, blocked, programs }
    };
    let mut needs = vec![need(least, what, true)];
    if untrusted > least {
        let what = "programs in runs that have read what strangers may have written".to_owned();
        needs.push(need(untrusted, what, false));
    }
    needs
}

fn read(path: &Path) -> std::result::Result<Vec<Backend>, Error> {
    let bad = |why: String| {
        let hint = Some("docs/reference/isolation.md shows such a file".into());
        Error { hint, ..Error::new(format!("`{}`: {why}", path.display())) }
    };
    let text = input::text(path, MACHINES_MAX_BYTES).map_err(|error| bad(error.to_string()))?;
    let machines: Vec<VirtualMachine> =
        serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
    Ok(machines.into_iter().map(Backend::from).collect())
}

fn row(found: Found, start: Option<Duration>) -> Row {
    Row {
        backend: found.backend.name().to_owned(),
        tier: found.backend.tier().name(),
        available: found.available,
        reason: found.reason,
        version: found.version,
        memory_limit: found.enforced.memory,
        processor_limit: found.enforced.cpu,
        gives: gives(found.offers),
        // The last one is no attack: it must work.
        attacks_tried: found.attacks.len().saturating_sub(1),
        attacks_refused: found.attacks.iter().filter(|attack| attack.errno.is_some()).count(),
        start_ms: start.map(|start| start.as_millis()),
    }
}

fn gives(offers: Offers) -> Vec<&'static str> {
    [
        (offers.views, "views"),
        (offers.overlays, "layers above views"),
        (offers.listener, "a way out (`egress`)"),
        (offers.unlimited_memory, "no limit of memory"),
        (offers.host_programs, "programs of this host"),
    ]
    .into_iter()
    .filter_map(|(given, what)| given.then_some(what))
    .collect()
}

/// How long a cage takes that does nothing, from the call to its end.
async fn start_time(found: &Found) -> Option<Duration> {
    let program = Program { argv: vec!["true".into()], env: Default::default(), cwd: None };
    let begun = Instant::now();
    let ended = aecl_sandbox::run(program, found.cage()).await.ok()?;
    (ended.outcome == Termination::Exited(0)).then(|| begun.elapsed())
}

fn page(rows: &[Row], modules: &Modules, needs: &[Need], described: Described, left_out: &LeftOut) -> Page {
    let mut page = Page::new();
    page.heading("What holds programs on this host, tried out now");
    let mark = |page: &Page, available: bool, there: &str| match available {
        true => page.word(Tone::Good, there),
        false => page.word(Tone::Quiet, "not here"),
    };
    for row in rows {
        let word = mark(&page, row.available, "holds   ");
        page.line(format!("{word}  {} (tier {})", row.backend, row.tier));
        let mut about = vec![row.reason.clone()];
        if row.available {
            let limits = match (row.memory_limit, row.processor_limit) {
                (true, true) => "memory and processor time",
                (true, false) => "memory, not processor time",
                (false, true) => "processor time, not memory",
                (false, false) => "neither memory nor processor time",
            };
            let start =
                row.start_ms.map_or_else(String::new, |ms| format!("; start to end of `true`: {ms} ms"));
            about.push(format!("limits: {limits}{start}"));
            let gives = if row.gives.is_empty() { "nothing more".to_owned() } else { row.gives.join(", ") };
            about.push(format!("on demand: {gives}"));
        }
        about.push(row.version.clone());
        for text in about {
            page.line(format!("          {}", show::inert_line(&text)));
        }
    }
    let word = mark(&page, modules.available, "runs    ");
    page.line(format!("{word}  modules of WebAssembly (inside of a cage)"));
    let start = modules
        .start_ms
        .map_or_else(String::new, |ms| format!("; start to end of a module, with its cage: {ms} ms"));
    page.line(format!("          {}{start}", show::inert_line(&modules.reason)));
    page.gap();
    if !left_out.0.is_empty() {
        let names = left_out.0.join("`, `");
        page.line(format!("Not used: `{names}`, which `sandbox.backends` in aecl.yaml leaves out."));
        if rows.is_empty() {
            page.line(
                "That list names nothing that there is, so nothing may hold a program: name `native` in it.",
            );
        }
    }
    if rows.iter().any(|row| row.available && !row.memory_limit) {
        let word = page.word(Tone::Mind, "No limit of memory");
        for line in NO_MEMORY_LIMIT {
            page.line(line.replace("{}", &word));
        }
    }
    if !described.docker {
        page.line("No Docker daemon was asked: `sandbox.docker` in aecl.yaml or --docker SOCKET says which.");
    }
    if !described.machines {
        page.line(
            "No virtual machine was tried: `sandbox.machines` in aecl.yaml or --machines FILE says which there are \
             (docs/reference/isolation.md).",
        );
    }
    let holds = |tier: &&IsolationTier| rows.iter().any(|row| row.available && row.tier == tier.name());
    let strongest = IsolationTier::ALL.iter().rev().find(holds).map_or("none", |tier| tier.name());
    if needs.is_empty() {
        page.line(format!("No action here runs a program. The strongest tier is {strongest}."));
    }
    for need in needs {
        let (tone, word, then) = match (need.met, need.always) {
            (true, _) => (Tone::Good, "Enough", format!("; the strongest here is {strongest}")),
            (false, true) => (Tone::Bad, "Missing", "; without it they are blocked".to_owned()),
            (false, false) => (Tone::Mind, "Missing", "; without it they are blocked there".to_owned()),
        };
        let word = page.word(tone, word);
        page.line(format!("{word}: tier {} for {}{then}.", need.tier, need.what));
        // Each by itself where some have what they need; otherwise one reason is that of all.
        let some = need.blocked.len() < need.programs.len();
        for (name, why) in need.blocked.iter().take(if some { BLOCKED_SHOWN } else { 1 }) {
            let whose = if some { format!("`{name}`: ") } else { String::new() };
            page.line(format!("          {}", show::inert_line(&format!("{whose}{why}"))));
        }
    }
    if modules.actions > 0 && !modules.available {
        let word = page.word(Tone::Bad, "Missing");
        let actions = count(modules.actions, "action");
        page.line(format!("{word}: a worker for the modules of {actions}; without it they are blocked."));
    }
    page
}
