//! What a command may have and how strongly it is held: the policy, and what the command line adds to it.

use super::{Args, profile, reach, through};
use crate::cli::image::named;
use crate::cli::{Error, input};
use aecl_kernel::define::catalogue::ActionManifest;
use aecl_kernel::define::connector::ConnectorKind;
use aecl_kernel::define::connector::process::{AccessSpec, ProcessSpec, ViewSpec};
use aecl_kernel::define::isolation::{IsolationTier, RequiredIsolation};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a command may take if nobody says.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How many files and directories come with a MiB of scratch space.
const FILES_OF_A_MIB: u64 = 80;

/// Everything that is asked for.
#[derive(Debug)]
pub(super) struct Asked {
    /// What the command may have, with its words.
    pub spec: ProcessSpec,
    /// How long it may take.
    pub timeout: Duration,
    /// Its limit of memory is the one that every command has, which nobody asked for: neither the command line nor a
    /// policy.
    pub memory_is_ours: bool,
    /// What each of its processes may have, where nothing limits the memory of all of them.
    pub process_memory_max_bytes: Option<u64>,
    /// It has a terminal of its own.
    pub terminal: bool,
    /// Where it writes over caches of this host. That is never kept.
    pub caches: BTreeSet<PathBuf>,
    /// What it is not shown of its views, and what it cannot write over there. Paths of this host.
    pub hidden: BTreeSet<PathBuf>,
    pub read_only: BTreeSet<PathBuf>,
    /// How strongly it is held at least, and because of whose word.
    pub tier: IsolationTier,
    pub why: String,
}

impl Asked {
    /// What the policy and the command line say.
    pub(super) fn of(args: &Args) -> Result<Self, Error> {
        let policy = match &args.policy {
            None => Policy::default(),
            Some(path) => Policy::read(path)?,
        };
        let (tier, why) = policy.tier(args.tier)?;
        let timeout = args.timeout.map(Duration::from_secs).or(policy.timeout).unwrap_or(TIMEOUT);
        // A policy stands for an action, whose limit is enforced or it does not run.
        let memory_is_ours = args.memory.is_none() && args.policy.is_none();
        let mut spec = spec(args, &policy)?;
        let caches = profile::add(&args.profile, &mut spec);
        if args.terminal {
            spec.env.entry("TERM".into()).or_insert_with(through::kind);
        }
        Ok(Self {
            spec,
            timeout,
            memory_is_ours,
            process_memory_max_bytes: None,
            terminal: args.terminal,
            caches,
            hidden: BTreeSet::new(),
            read_only: BTreeSet::new(),
            tier,
            why,
        })
    }

    /// The same with the limit of memory on each process instead of on all of them.
    pub(super) fn with_memory_by_process(&self) -> Self {
        let mut spec = self.spec.clone();
        let mib = spec.limits.memory_max_mib.take();
        Self {
            spec,
            timeout: self.timeout,
            memory_is_ours: false,
            process_memory_max_bytes: mib.map(|mib| mib.saturating_mul(1 << 20)),
            terminal: self.terminal,
            caches: self.caches.clone(),
            hidden: self.hidden.clone(),
            read_only: self.read_only.clone(),
            tier: self.tier,
            why: self.why.clone(),
        }
    }

    /// What is asked of a cage.
    pub(super) fn demand(&self) -> RequiredIsolation {
        RequiredIsolation { tier: self.tier, why: self.why.clone(), needs: self.spec.needs() }
    }
}

/// What a file says.
#[derive(Default)]
struct Policy {
    /// How it is called in messages.
    name: String,
    connector: Map<String, Value>,
    min_tier: Option<IsolationTier>,
    timeout: Option<Duration>,
}

impl Policy {
    /// Reads the keys of a connector with the tier beside them, or an action of the catalogue.
    fn read(path: &Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        let wrong = |e: &dyn std::fmt::Display| Error::new(format!("`{name}`: {e}"));
        let text = input::text(path, input::TEXT_BYTES_MAX).map_err(|e| wrong(&e))?;
        let said = match aecl_gate::loader::yaml(&text).map_err(|e| wrong(&e))? {
            Value::Object(said) => said,
            Value::Array(_) => {
                return Err(
                    wrong(&"it is a list").hint("put the one action that is meant into a file of its own")
                );
            }
            _ => return Err(wrong(&"it is not a list of keys and values")),
        };
        match said.contains_key("connector") {
            true => Self::of_action(name.clone(), said).map_err(|e| wrong(&e)),
            false => Self::of_connector(name.clone(), said).map_err(|e| wrong(&e)),
        }
    }

    fn of_action(name: String, said: Map<String, Value>) -> Result<Self, String> {
        let action: ActionManifest =
            serde_json::from_value(Value::Object(said)).map_err(|e| e.to_string())?;
        if ConnectorKind::of(&action.connector) != Some(ConnectorKind::Process) {
            let kind = action.connector.get("kind").and_then(Value::as_str).unwrap_or_default();
            return Err(format!(
                "a connector of the kind `{kind}` carries out `{}`, and only a `process` runs in a cage",
                action.name
            ));
        }
        let Value::Object(mut connector) = action.connector else {
            return Err("`connector` is no object".into());
        };
        connector.remove("kind");
        let timeout = Some(Duration::from_millis(action.timeout_ms));
        Ok(Self { name, connector, min_tier: action.min_tier, timeout })
    }

    fn of_connector(name: String, said: Map<String, Value>) -> Result<Self, String> {
        let kind = ConnectorKind::of(&Value::Object(said.clone()));
        let mut connector = said;
        let min_tier = connector.remove("min_tier").filter(|said| !said.is_null());
        let min_tier =
            min_tier.map(serde_json::from_value).transpose().map_err(|e| format!("`min_tier`: {e}"))?;
        if kind == Some(ConnectorKind::Process) {
            connector.remove("kind");
        }
        Ok(Self { name, connector, min_tier, timeout: None })
    }

    /// How strongly the command is held at least, and because of whose word.
    fn tier(&self, raised: Option<IsolationTier>) -> Result<(IsolationTier, String), Error> {
        let asked = |who: &str| format!("`{who}` asks for it");
        match (self.min_tier, raised) {
            (Some(policy), Some(raised)) if raised < policy => Err(Error::new(format!(
                "`--tier {raised}` is weaker than the `{policy}` that `{}` asks for (`min_tier`)",
                self.name
            ))
            .hint("leave `--tier` out, or ask for more with it")),
            (policy, Some(raised)) if policy < Some(raised) => Ok((raised, asked("--tier"))),
            (Some(policy), _) => Ok((policy, asked(&self.name))),
            (None, _) => Ok((IsolationTier::Native, "every program runs in a cage".into())),
        }
    }
}

/// What the command may have.
fn spec(args: &Args, policy: &Policy) -> Result<ProcessSpec, Error> {
    let mut said = policy.connector.clone();
    said.entry("argv").or_insert_with(|| json!([]));
    let mut spec: ProcessSpec = serde_json::from_value(Value::Object(said))
        .map_err(|e| Error::new(format!("`{}`: {e}", policy.name)))?;
    words(args, policy, &mut spec)?;
    for (said, access) in args
        .view
        .iter()
        .map(|v| (v, AccessSpec::ReadOnly))
        .chain(args.write.iter().map(|v| (v, AccessSpec::Overlay)))
    {
        spec.views.push(view(said, access)?);
    }
    if let Some(said) = &args.image {
        spec.image = Some(named(said)?);
    }
    if let Some(most) = args.keep_max_files {
        spec.limits.collected_files_max = most as usize;
    }
    if let Some(mib) = args.keep_max_mib {
        spec.limits.collected_max_kib = u64::from(mib) << 10;
    }
    for said in &args.env {
        let (name, value) =
            said.split_once('=').ok_or_else(|| Error::new(format!("`--env {said}` is not NAME=VALUE")))?;
        spec.env.insert(name.to_owned(), value.to_owned());
    }
    for said in &args.allow_host {
        spec.egress.push(reach::allow(said, args.allow_private)?);
    }
    if let Some(most) = args.procs {
        spec.limits.processes_max = most;
    }
    if let Some(mib) = args.tmp_size {
        let limits = &mut spec.limits;
        limits.scratch_max_mib = mib;
        // As many files as before for each MiB, and none that could not be as large as all of it.
        limits.scratch_files_max = limits.scratch_files_max.max(mib.saturating_mul(FILES_OF_A_MIB));
        limits.file_max_mib = limits.file_max_mib.max(mib);
        // It is memory: where nobody has said how much of that there is, it comes on top.
        if args.memory.is_none() && args.policy.is_none() {
            limits.memory_max_mib = limits.memory_max_mib.map(|memory| memory.saturating_add(mib));
        }
    }
    match args.memory.as_deref() {
        None => {}
        Some("none") => spec.limits.memory_max_mib = None,
        Some(mib) => {
            let mib = mib
                .parse()
                .map_err(|_| Error::new(format!("`--memory {mib}` is no number of MiB and not `none`")))?;
            spec.limits.memory_max_mib = Some(mib);
            // The scratch space is memory; a full one is to look like a full disk.
            spec.limits.scratch_max_mib = spec.limits.scratch_max_mib.min(mib / 2);
        }
    }
    if spec.cwd.is_none() && spec.wasm.is_none() {
        // Where we are, if it can see that.
        let here = std::env::current_dir().ok().and_then(|here| here.canonicalize().ok());
        let inside = |view: &ViewSpec| Some(view.at.join(here.as_ref()?.strip_prefix(&view.source).ok()?));
        spec.cwd = spec.views.iter().find_map(inside);
    }
    Ok(spec)
}

/// The words of the command: those of the command line, then those of the policy, then what an image says.
fn words(args: &Args, policy: &Policy, spec: &mut ProcessSpec) -> Result<(), Error> {
    let wrong =
        |why: &str| Error::new(format!("`{}` {why}", policy.name)).hint("say the command behind `--`");
    if spec.stdin.is_some() {
        let why = format!("`{}` has a `stdin`, and a command reads yours", policy.name);
        return Err(Error::new(why).hint("take it out, and pipe in what the command is to read"));
    }
    if !args.command.is_empty() {
        spec.argv.clone_from(&args.command);
    } else if spec.argv.iter().any(|word| word.contains('{')) {
        return Err(wrong("has an `argv` with placeholders, and here are no arguments to fill them"));
    } else if spec.argv.is_empty() && spec.image.is_none() && args.image.is_none() {
        return Err(wrong("has no `argv`, so nothing says what is to run"));
    }
    Ok(())
}

fn view(said: &str, access: AccessSpec) -> Result<ViewSpec, Error> {
    let (source, at) = match said.rsplit_once(':') {
        Some((source, at)) => (source, Some(PathBuf::from(at))),
        None => (said, None),
    };
    let found = Path::new(source).canonicalize();
    let source = found.map_err(|e| Error::new(format!("`{source}` cannot be shown: {e}")))?;
    Ok(ViewSpec { at: at.unwrap_or_else(|| place_of(&source)), source, access })
}

/// Where a path of this host is in the cage if nobody says: the same, unless every cage has a place of its own
/// there. Below `/tmp`, which every cage has too, it is the same: programs of a project know themselves by their paths.
fn place_of(source: &Path) -> PathBuf {
    let taken = ["/dev", "/proc", "/scratch", "/usr", "/etc"];
    match taken.iter().any(|place| source.starts_with(place)) || source == Path::new("/tmp") {
        true => Path::new("/host").join(source.strip_prefix("/").unwrap_or(source)),
        false => source.to_owned(),
    }
}
