//! What holds a command: chosen as for an action, by the same words.

use super::{Asked, through};
use crate::cli::place::{self, How};
use crate::cli::show;
use crate::cli::{Common, Error};
use aecl_executor::connectors::process::pick::{self, NotHeld, Picked};
use aecl_executor::connectors::process::wasm::{self, NoModule};
use aecl_executor::connectors::process::{held, spec, tier as decided};
use aecl_gate::GateError;
use aecl_gate::config::Home;
use aecl_kernel::define::isolation::{IsolationTier, Lowered, RequiredIsolation};
use aecl_sandbox::{
    Backend, Cage, CgroupVersion, Image, ProbeCache, Program, Running, SandboxError, Terminal,
};
use clap::builder::TypedValueParser;
use serde_json::{Value, json};
use std::path::Path;

/// The tiers as words of the command line.
pub(super) fn tier() -> impl TypedValueParser<Value = IsolationTier> {
    let names = clap::builder::PossibleValuesParser::new(IsolationTier::ALL.map(IsolationTier::name));
    names.try_map(|said| {
        IsolationTier::ALL.into_iter().find(|tier| tier.name() == said).ok_or("this is no tier")
    })
}

/// What may hold the command, and what is asked for.
pub(super) struct Choice {
    backends: Vec<Backend>,
    lowered: Option<Lowered>,
    /// The configuration that is here says more than was taken.
    is_narrowed: bool,
}

/// Why the command did not start.
pub(super) enum NotStarted {
    NotHeld(NotHeld),
    Sandbox(SandboxError),
    Module(NoModule),
}

const NARROWED: &str = "`.aecl/aecl.yaml` of this directory says more of `sandbox`, which counts if you name it: \
                        `--dir ./.aecl`";

/// What is started in one kind of cage.
pub(super) struct Prepared {
    program: Program,
    cage: Cage,
    /// What it is told before its input.
    before: Vec<u8>,
    /// On a terminal of its own.
    terminal: bool,
}

impl Prepared {
    /// The command, or the worker of its module with the order.
    pub(super) async fn of(asked: &Asked, image: Option<Image>, backend: Backend) -> Result<Self, NoModule> {
        let spec = &asked.spec;
        let mut cage = spec::cage(spec, backend, image, spec::clocks(spec, asked.timeout, None));
        cage.limits.process_memory_max_bytes = asked.process_memory_max_bytes;
        let Some(wasm) = &spec.wasm else {
            let program = spec::program(spec, spec.argv.clone());
            return Ok(Self { program, cage, before: Vec::new(), terminal: asked.terminal });
        };
        let work = wasm::work(wasm, spec, spec.argv.clone(), &cage.backend).await?;
        cage.views.push(work.view);
        Ok(Self { program: work.program, cage, before: work.order, terminal: false })
    }
}

/// A command in its cage.
pub(super) struct Started {
    pub running: Running,
    /// Its own, if it asked for one.
    pub terminal: Option<Terminal>,
    pub before: Vec<u8>,
    pub held: Held,
}

impl Choice {
    /// What the configuration allows, or of it the one that is named.
    pub(super) fn of(
        common: &Common,
        named: Option<&str>,
        demand: &RequiredIsolation,
    ) -> Result<Self, Error> {
        // Commands are run where strangers' files are. Those may be a configuration.
        let home = if common.how == How::Unnamed { Path::new(place::IN_PROJECT) } else { &common.dir };
        // What has only the name holds no configuration.
        let is_only_a_name = common.how == How::Unnamed && !home.is_dir();
        if is_only_a_name && !common.json {
            show::say("aecl: `.aecl` in this directory is no directory; it is passed over");
        }
        let home = if is_only_a_name { &common.dir } else { home };
        let said = Home::new(home).sandbox().map_err(|error| unreadable(common, error))?;
        let sandbox = if common.names_dir() { said.clone() } else { said.narrowing() };
        let is_narrowed = sandbox != said;
        let backends =
            pick::backends(&sandbox.described(), sandbox.backends.as_deref()).map_err(Error::new)?;
        let Some(named) = named else {
            return Ok(Self { backends, lowered: sandbox.lowered(), is_narrowed });
        };
        let of_name: Vec<Backend> =
            backends.iter().filter(|backend| backend.name() == named).cloned().collect();
        let Some(first) = of_name.first() else {
            let mut known: Vec<&str> = backends.iter().map(Backend::name).collect();
            known.dedup();
            let more = match is_narrowed {
                true => NARROWED,
                false => "`sandbox` in aecl.yaml lists them and describes machines",
            };
            return Err(Error::new(format!("`--backend {named}` may not be used or is not known"))
                .hint(format!("say one of {}; {more}", known.join(", "))));
        };
        if decided(first.tier()) < Some(demand.tier) {
            return Err(Error::new(format!(
                "`--backend {named}` holds in tier `{}`, and `{}` is asked for ({})",
                first.tier().name(),
                demand.tier,
                demand.why
            ))
            .hint("leave `--backend` out, or name a stronger one; `aecl doctor --sandbox` shows them"));
        }
        // Who names one means it: nothing else is taken instead.
        Ok(Self { backends: of_name, lowered: None, is_narrowed })
    }

    /// Starts it in the weakest cage that will do. The limit of memory that every command has, and nobody has asked
    /// for, is put on each process where nothing here can put it on all of them.
    pub(super) async fn start(&self, asked: &Asked, image: Option<&Image>) -> Result<Started, NotStarted> {
        let by_process = || asked.memory_is_ours.then(|| asked.with_memory_by_process());
        // Those have no cgroups of their own, so each would refuse for the same reason.
        if !aecl_sandbox::enforced().memory
            && self.backends.iter().all(Backend::is_limited_by_our_cgroups)
            && let Some(by_process) = by_process()
        {
            return self.start_as_asked(&by_process, image).await;
        }
        match self.start_as_asked(asked, image).await {
            Err(refused) if is_for_want_of_memory(&refused) => match by_process() {
                Some(by_process) => self.start_as_asked(&by_process, image).await,
                None => Err(refused),
            },
            started => started,
        }
    }

    /// Our own launcher refuses by itself what it cannot build as asked; only then, and where more is asked for, each
    /// cage is built and attacked first.
    async fn start_as_asked(&self, asked: &Asked, image: Option<&Image>) -> Result<Started, NotStarted> {
        let demand = asked.demand();
        if pick::first(&self.backends, &demand) == Some(&Backend::Native) {
            let prepared = Prepared::of(asked, image.cloned(), Backend::Native).await;
            match begin(prepared, demand.clone(), None, aecl_sandbox::version()).await {
                Err(NotStarted::Sandbox(
                    SandboxError::Unavailable { .. }
                    | SandboxError::Unenforceable { .. }
                    | SandboxError::Setup { .. },
                )) => {}
                started => return started,
            }
        }
        let memory = ProbeCache::of_user();
        match self.start_picked(asked, image, &demand, memory.as_ref()).await {
            // It was built once, and cannot be built now: what was remembered is no longer so.
            Err((
                NotStarted::Sandbox(SandboxError::Unavailable { .. } | SandboxError::Setup { .. }),
                Some(remembered),
            )) => {
                memory.iter().for_each(|memory| memory.forget(&remembered));
                let again = self.start_picked(asked, image, &demand, None).await;
                again.map_err(|(refused, _)| refused)
            }
            started => started.map_err(|(refused, _)| refused),
        }
    }

    /// Starts it in the cage that is picked. Why not, and what was remembered to hold and did not do.
    async fn start_picked(
        &self,
        asked: &Asked,
        image: Option<&Image>,
        demand: &RequiredIsolation,
        memory: Option<&ProbeCache>,
    ) -> Result<Started, (NotStarted, Option<Backend>)> {
        let picked = pick::pick(&self.backends, self.lowered.clone(), demand, memory).await;
        let Picked { found, lowered, is_remembered } =
            picked.map_err(|refused| (NotStarted::NotHeld(refused), None))?;
        let remembered = is_remembered.then(|| found.backend.clone());
        let prepared = Prepared::of(asked, image.cloned(), found.backend).await;
        let started = begin(prepared, demand.clone(), lowered, found.version).await;
        started.map_err(|refused| (refused, remembered))
    }

    /// What else there may be, if the command is not held.
    pub(super) fn hint(&self) -> Option<&'static str> {
        self.is_narrowed.then_some(NARROWED)
    }
}

/// A configuration that nobody named, and that cannot be read, is a stranger's or a mistake. It may take something
/// away, so it is not passed over.
fn unreadable(common: &Common, error: GateError) -> Error {
    let code = Some(aecl_kernel::base::code::CONFIG_INVALID.as_str().to_owned());
    let error = Error { code, ..Error::from(error) };
    match common.names_dir() {
        true => error,
        false => error.hint("correct it, or let the configuration of another directory count: `--dir DIR`"),
    }
}

/// Whether it would be held without its limit of memory.
pub(super) fn is_for_want_of_memory(refused: &NotStarted) -> bool {
    match refused {
        NotStarted::NotHeld(NotHeld::Unenforceable(why)) => why.contains("memory_max_mib"),
        NotStarted::Sandbox(SandboxError::Unenforceable { limit, .. }) => *limit == "memory_max_bytes",
        NotStarted::NotHeld(NotHeld::Unavailable { .. }) | NotStarted::Sandbox(_) | NotStarted::Module(_) => {
            false
        }
    }
}

async fn begin(
    prepared: Result<Prepared, NoModule>,
    demand: RequiredIsolation,
    lowered: Option<Lowered>,
    version: String,
) -> Result<Started, NotStarted> {
    let Prepared { program, cage, before, terminal } = prepared.map_err(NotStarted::Module)?;
    let (running, terminal) = match terminal {
        false => (aecl_sandbox::start(program, cage).await.map_err(NotStarted::Sandbox)?, None),
        true => {
            let started = aecl_sandbox::start_on_terminal(program, cage, through::size()).await;
            let (running, terminal) = started.map_err(NotStarted::Sandbox)?;
            (running, Some(terminal))
        }
    };
    let held = Held::of(&running, demand, lowered, version);
    Ok(Started { running, terminal, before, held })
}

/// The cage that it really got.
pub(super) struct Held {
    /// As on record.
    pub cage: String,
    really: aecl_sandbox::AppliedSandbox,
    version: String,
    demand: RequiredIsolation,
    lowered: Option<Lowered>,
}

impl Held {
    fn of(running: &Running, demand: RequiredIsolation, lowered: Option<Lowered>, version: String) -> Self {
        let really = running.held().clone();
        Self { cage: held(&really), really, version, demand, lowered }
    }

    /// That it is less than what was asked for, if it is.
    pub(super) fn say_lowered(&self) {
        self.say_memory();
        let Some(Lowered { reason, .. }) = &self.lowered else { return };
        show::say(&format!(
            "aecl: it runs in `{}` and not in `{}` ({}), which is not available here; the operator accepts that: {reason}",
            self.really.backend.tier().name(),
            self.demand.tier,
            self.demand.why
        ));
    }

    /// That its limit of memory is not one of all of it.
    fn say_memory(&self) {
        let limits = &self.really.limits;
        let (None, Some(each)) = (limits.memory_max_bytes, limits.process_memory_max_bytes) else { return };
        show::say(&format!(
            "aecl: memory is limited to {} MiB for each process, not for all together: this user has no cgroup for it \
             (docs/reference/isolation.md#ordinary-users)",
            each >> 20
        ));
    }

    /// What held it, and because of what.
    pub(super) fn say(&self) {
        let tier = self.really.backend.tier().name();
        show::say(&format!("aecl: it was held in tier `{tier}` by {}", self.cage));
        show::say(&format!("aecl: asked for was `{}` or stronger: {}", self.demand.tier, self.demand.why));
        show::say(&format!("aecl: {}; {}", self.limits(), self.version));
    }

    fn limits(&self) -> String {
        let limits = &self.really.limits;
        let memory = match (limits.memory_max_bytes, limits.process_memory_max_bytes) {
            (Some(bytes), _) => format!("{} MiB of memory", bytes >> 20),
            (None, Some(bytes)) => format!("{} MiB of memory for each process", bytes >> 20),
            (None, None) => "no limit of memory".to_owned(),
        };
        let processor = limits.cpu_max_millicores.map_or_else(
            || "no limit of processor time per second".to_owned(),
            |most| format!("{most} thousandths of a core"),
        );
        format!(
            "limits in force: {memory}, {processor}, {} processes, {} MiB of scratch space",
            limits.processes_max,
            limits.scratch_max_bytes >> 20
        )
    }

    /// The same for programs.
    pub(super) fn json(&self) -> Value {
        let (really, limits) = (&self.really, &self.really.limits);
        json!({
            "tier": really.backend.tier().name(),
            "backend": really.backend.name(),
            "version": self.version,
            "user": really.user.to_string(),
            "cgroup": really.cgroup.map(|version| match version {
                CgroupVersion::V1 => 1,
                CgroupVersion::V2 => 2,
            }),
            "landlock": really.landlock_abi,
            "limits": {
                "memory_max_bytes": limits.memory_max_bytes,
                "process_memory_max_bytes": limits.process_memory_max_bytes,
                "cpu_max_millicores": limits.cpu_max_millicores,
                "processes_max": limits.processes_max,
                "scratch_max_bytes": limits.scratch_max_bytes,
                "scratch_files_max": limits.scratch_files_max,
                "file_max_bytes": limits.file_max_bytes,
                "open_files_max": limits.open_files_max,
                "output_max_bytes": limits.output_max_bytes,
            },
            "asked": { "tier": self.demand.tier, "why": self.demand.why },
            "lowered": self.lowered,
        })
    }
}
