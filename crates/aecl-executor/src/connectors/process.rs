//! A program in a cage: a test suite, a script, a shell line. It sees what the catalogue entry shows it,
//! reaches whom the entry names and nobody else, and changes nothing here; what it wrote comes back as data.
//!
//! Changes of a view with an overlay come back in the form that a [`files`](super::files) action takes, so
//! that to keep them is an action of its own, with its own yes. A [module of WebAssembly](wasm) is such a program,
//! too.

mod cages;
mod changes;
mod credentials;
mod egress_proxy;
pub mod image;
pub mod pick;
pub mod spec;
mod views;
pub mod wasm;
pub(crate) mod words;

use aecl_kernel::define::isolation;
use aecl_sandbox::{
    AppliedSandbox, CgroupVersion, Ended, Level, Program, Running, SandboxError, Termination, start,
};
use async_trait::async_trait;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tokio::io::AsyncWriteExt as _;

use super::files::Content;
use crate::arguments::Arguments;
use crate::call::Call;
use crate::connector::{CallPlan, CallResult, Connector, DryRun, Reconciled};
use aecl_egress::broker::{AllowList, Credentials};
use aecl_egress::egress::{Names, SystemNames};
use aecl_egress::vault::Vault;
use aecl_kernel::define::catalogue::TypedAction;
use aecl_kernel::define::connector::ConnectorSpec;
use aecl_kernel::define::connector::process::{AccessSpec, AllowSpec, ProcessSpec, StdoutSpec};
pub use aecl_sandbox::{Backend, Docker, VirtualMachine};
use cages::Cages;
pub use cages::{recorded, tier};
pub use egress_proxy::EgressProxy;
use image::NoImage;
pub use views::Views;

/// Runs programs in cages, once it is known what cages there are.
#[derive(Clone)]
pub struct ProcessConnector {
    cages: Cages,
    names: Arc<dyn Names>,
    vault: Vault,
    images: Option<PathBuf>,
}

impl Default for ProcessConnector {
    fn default() -> Self {
        Self::new(Arc::new(SystemNames), Vault::default())
    }
}

impl ProcessConnector {
    /// Programs whose destinations are looked up there, and that use credentials from there.
    #[must_use]
    pub fn new(names: Arc<dyn Names>, vault: Vault) -> Self {
        Self { cages: Cages::default(), names, vault, images: None }
    }

    /// The same, and images are unpacked into this directory of ours.
    #[must_use]
    pub fn with_images(self, dir: &Path) -> Self {
        Self { images: Some(dir.to_owned()), ..self }
    }

    /// Finds out what this host can hold programs with, and uses that from now on: our own cages, the
    /// runtimes that are installed and what the operator described beside them, or of them what the list names, in its
    /// order. Each is built and attacked, which takes from some milliseconds to the time in which a machine starts.
    ///
    /// # Errors
    /// When the list names what is not known here. What was used before is used on.
    pub async fn find_cages(
        &self,
        described: &[Backend],
        allowed: Option<&[String]>,
    ) -> Result<Vec<isolation::BackendReport>, String> {
        let backends = pick::backends(described, allowed)?;
        Ok(self.cages.find_out(&backends).await)
    }

    /// Finds out whether modules of WebAssembly run here, in a cage of those that were found. That a worker is
    /// there says nothing.
    pub async fn find_worker(&self) -> isolation::Modules {
        self.cages.try_worker().await
    }
}

#[derive(Debug, thiserror::Error)]
enum ProcessError {
    #[error("{0}")]
    Arguments(String),
    #[error(transparent)]
    Sandbox(SandboxError),
    #[error("nothing that was found out about this host holds a program in `{0}` or stronger; `aecl doctor`")]
    NoCage(isolation::IsolationTier),
    #[error("nothing here that holds a program in `{least}` or stronger gives it all that it needs: {lacks}")]
    Unable { least: isolation::IsolationTier, lacks: String },
    #[error(transparent)]
    Image(NoImage),
    #[error("the permit does not say how strongly the program must be held; report this")]
    NoTier,
    #[error("the permit asks for `{least}`, and the program was held by `{held}`; it was ended, report this")]
    Weaker { least: isolation::IsolationTier, held: String },
    #[error("the call was cancelled; the program was ended")]
    Cancelled,
    #[error(transparent)]
    Credentials(credentials::NotReady),
    #[error(transparent)]
    NoModule(#[from] wasm::NoModule),
    #[error("the worker that collects what the program wrote broke")]
    Worker,
}

impl ProcessError {
    fn code(&self) -> &'static str {
        match self {
            Self::Arguments(_) => "process_arguments",
            Self::Sandbox(SandboxError::Unavailable { .. }) | Self::NoCage(_) | Self::NoTier => {
                "sandbox_unavailable"
            }
            Self::Sandbox(SandboxError::Unenforceable { .. }) | Self::Unable { .. } => {
                "sandbox_unenforceable"
            }
            Self::Sandbox(SandboxError::NotInCage { .. } | SandboxError::NoProgram) => "process_not_started",
            Self::Sandbox(_) | Self::Worker | Self::Weaker { .. } => "sandbox_failed",
            Self::Credentials(credentials::NotReady::Vault(_)) => "secret_missing",
            Self::Credentials(credentials::NotReady::Other(_)) => "process_credential",
            Self::NoModule(why) => why.code(),
            Self::Cancelled | Self::Image(NoImage::Cancelled) => "process_cancelled",
            Self::Image(_) => "process_image",
        }
    }
}

#[async_trait]
impl Connector for ProcessConnector {
    async fn perform(&self, call: &Call) -> CallResult {
        let ConnectorSpec::Process(spec) = &call.connector else {
            let (code, message) = call.connector_mismatch();
            return CallResult::not_sent(code, message);
        };
        let ran = run(call, spec, self).await;
        // What it did at others has happened, however it ended here.
        let acted = call.traffic.get().is_some_and(|traffic| traffic.acted);
        let (ended, output) = match ran {
            Ok(ran) => ran,
            Err(error) => {
                return broken_off(error.code(), format!("`{}`: {error}", call.action), None, acted);
            }
        };
        if output.len() > call.max_output_bytes {
            let message = format!(
                "`{}`: what it wrote makes an answer of {} bytes, more than the {} allowed; lower the limits of \
                 what is kept in the action's connector",
                call.action,
                output.len(),
                call.max_output_bytes
            );
            return broken_off("process_output", message, None, acted);
        }
        match failure(&ended, spec) {
            None => CallResult::Done { output },
            Some((code, why)) => {
                let message = format!("`{}`: {why}", call.action);
                match ended.outcome {
                    // It saw its end, and says itself that it went wrong.
                    Termination::Exited(_) if acted => {
                        CallResult::Failed { code, message, output: Some(output), may_have_acted: true }
                    }
                    _ => broken_off(code, message, Some(output), acted),
                }
            }
        }
    }

    fn plan(&self, call: &Call) -> CallPlan {
        let ConnectorSpec::Process(spec) = &call.connector else {
            return CallPlan::Failed(call.connector_mismatch().1);
        };
        match would(call, spec) {
            Ok(would) => CallPlan::Would(would),
            Err(error) => CallPlan::Failed(error.to_string()),
        }
    }

    async fn dry_run(&self, call: &Call) -> DryRun {
        let ConnectorSpec::Process(spec) = &call.connector else {
            let (code, message) = call.connector_mismatch();
            return DryRun::Failed { code, message };
        };
        match would(call, spec) {
            Ok(would) => DryRun::Would { output: would.to_string().into_bytes(), rows: None },
            Err(error) => DryRun::Failed { code: error.code(), message: error.to_string() },
        }
    }

    /// A program that nobody saw end died with us, and what it wrote was in its cage. What it did at others is
    /// known to them.
    async fn reconcile(&self, call: &Call) -> Reconciled {
        let ConnectorSpec::Process(spec) = &call.connector else { return Reconciled::NotDone };
        let hosts: Vec<_> = spec.egress.iter().map(|allow| format!("`{}`", allow.host)).collect();
        if hosts.is_empty() {
            return Reconciled::NotDone;
        }
        Reconciled::StillUnknown {
            message: format!(
                "nobody saw the end of the program, which could reach {}; find out there",
                hosts.join(", ")
            ),
        }
    }
}

/// The words of the program and how it would be held. Nothing is started.
fn would(call: &Call, spec: &ProcessSpec) -> Result<serde_json::Value, ProcessError> {
    let (program, _) = prepare(call, spec)?;
    let mut would = json!({
        "argv": program.argv, "views": spec.views, "limits": spec.limits, "egress": spec.egress, "image": spec.image,
    });
    if let (Some(wasm), Some(would)) = (&spec.wasm, would.as_object_mut()) {
        would.insert("wasm".into(), json!(wasm));
    }
    Ok(would)
}

/// It did not come to its own end. What never left the cage surely did not happen.
fn broken_off(code: &'static str, message: String, output: Option<Vec<u8>>, acted: bool) -> CallResult {
    match acted {
        false => CallResult::Failed { code, message, output, may_have_acted: false },
        true => {
            CallResult::Unknown { code, message: format!("{message}; it had reached others before"), output }
        }
    }
}

/// The words of the program and its input, filled from the arguments.
fn prepare(call: &Call, spec: &ProcessSpec) -> Result<(Program, Option<Vec<u8>>), ProcessError> {
    let wrong = |e: &dyn std::fmt::Display| ProcessError::Arguments(e.to_string());
    let arguments = Arguments::of(call).map_err(|e| wrong(&e))?;
    let mut argv = Vec::with_capacity(spec.argv.len());
    for word in &spec.argv {
        let filled = arguments.words(word).map_err(|e| wrong(&e))?;
        let options_are_over = argv.iter().any(|word| word == "--");
        for value in filled {
            if value.contains('\0') {
                return Err(wrong(&format!("`{word}` has a zero byte, which no program can be given")));
            }
            // A word that begins with a placeholder is an argument's; it must not turn into an option.
            if word.starts_with('{') && value.starts_with('-') && !options_are_over {
                return Err(wrong(&format!(
                    "`{word}` begins with `-` and would be read as an option; refuse that in the schema, or put `--` \
                     before it in `argv`"
                )));
            }
            argv.push(value);
        }
    }
    let input = match &spec.stdin {
        Some(template) => Some(arguments.fill(template, str::to_owned).map_err(|e| wrong(&e))?.into_bytes()),
        None => None,
    };
    Ok((spec::program(spec, argv), input))
}

/// Runs the program and reads what it left.
async fn run(
    call: &Call,
    spec: &ProcessSpec,
    process: &ProcessConnector,
) -> Result<(Ended, Vec<u8>), ProcessError> {
    let (mut program, mut input) = prepare(call, spec)?;
    let list = spec::check(spec).map_err(ProcessError::Arguments)?;
    let least = call.tier.ok_or(ProcessError::NoTier)?;
    let fit = process.cages.fit(least, spec.needs())?;
    let begun = Instant::now();
    let image = match &spec.image {
        Some(image) => {
            let ready = image::ready(image, process.images.as_deref(), call, call.timeout());
            Some(ready.await.map_err(ProcessError::Image)?)
        }
        None => None,
    };
    // To unpack an image is part of the call that needs it first.
    let past = begun.elapsed();
    let left = call.task_left().map(|left| left.saturating_sub(past));
    let clocks = spec::clocks(spec, call.timeout().saturating_sub(past), left);
    let mut cage = spec::cage(spec, fit.backend().clone(), image, clocks);
    if let Some(wasm) = &spec.wasm {
        let work = wasm::work(wasm, spec, program.argv, fit.backend()).await?;
        (program, input) = (work.program, Some([work.order, input.unwrap_or_default()].concat()));
        cage.views.push(work.view);
    }
    let mut ready = credentials::ready(spec, &process.vault).await.map_err(ProcessError::Credentials)?;
    if let Some(ready) = &ready {
        program.env.extend(ready.env.clone());
        cage.views.push(ready.view.clone());
    }
    let credentials = ready.as_mut().and_then(|ready| ready.credentials.take());
    let views = Views::open(spec).await;
    let mut running = tokio::select! {
        running = start(program, cage) => running.map_err(ProcessError::Sandbox)?,
        () = call.cancel.cancelled() => return Err(ProcessError::Cancelled),
    };
    let in_cage = match spec.wasm {
        None => held(running.held()),
        Some(_) => format!("{}; a module in `aecl-wasm`", held(running.held())),
    };
    // Said again of what was really built, so that one mistake is not enough.
    if tier(running.held().backend.tier()) < Some(least) {
        return Err(ProcessError::Weaker { least, held: in_cage });
    }
    call.ran_in(match call.instead_of {
        None => in_cage,
        Some(asked) => format!("{in_cage}; `{asked}` was asked for, and the operator accepts less"),
    });
    let egress_proxy =
        egress_proxy(&mut running, spec, list, &process.names, credentials).map_err(ProcessError::Sandbox)?;
    if let (Some(input), Some(mut stdin)) = (input, running.stdin.take()) {
        // A program that does not read its input to the end has had enough of it.
        tokio::spawn(async move { stdin.write_all(&input).await });
    }
    let ended = tokio::select! {
        ended = running.wait() => Ok(ended),
        // Dropped with the future, and with it everything that the program started.
        () = call.cancel.cancelled() => Err(ProcessError::Cancelled),
    };
    if let Some(egress_proxy) = egress_proxy {
        call.has_reached(egress_proxy.close().await);
    }
    let ended = ended?;
    let spec = spec.clone();
    let told = tokio::task::spawn_blocking(move || {
        let told = tell(&ended, &spec, &views).map_err(ProcessError::Sandbox)?.to_string();
        let output = with_json(told, json_of(&ended, &spec)).into_bytes();
        Ok((ended, output))
    });
    told.await.unwrap_or(Err(ProcessError::Worker))
}

/// Whom the program of an action may reach, in words for people; nothing for what is no program in a cage.
#[must_use]
pub fn reaches(typed: &TypedAction) -> Vec<String> {
    match typed.connector().and_then(ConnectorSpec::program) {
        Some(program) if program.egress.is_empty() => vec!["nobody: its cage has no way out".into()],
        Some(program) => program.egress.iter().map(AllowSpec::words).collect(),
        None => Vec::new(),
    }
}

/// The broker of a program that may reach somebody.
///
/// # Errors
/// When there is no listener in its cage; it has then reached nobody.
pub fn egress_proxy(
    running: &mut Running,
    spec: &ProcessSpec,
    list: AllowList,
    names: &Arc<dyn Names>,
    credentials: Option<Credentials>,
) -> Result<Option<EgressProxy>, SandboxError> {
    if spec.egress.is_empty() {
        return Ok(None);
    }
    let listener = running.listener.take().ok_or_else(|| SandboxError::Unavailable {
        backend: running.held().backend.clone(),
        why: "it has no listener for the `egress` of this program; run it in the tier `native`".into(),
    })?;
    Ok(Some(EgressProxy::open(
        listener,
        list,
        spec::broker_limits(spec.egress_limits),
        names.clone(),
        credentials,
    )))
}

/// What is told of the end: how, what it said, what it changed beside the views as they were when it began. It reads
/// files, so call it where blocking is allowed.
///
/// # Errors
/// When the places where the program could write cannot be read.
pub fn tell(ended: &Ended, spec: &ProcessSpec, views: &Views) -> Result<Value, SandboxError> {
    let mut told = Map::new();
    match (end_of_module(ended, spec), ended.outcome) {
        // The code is the worker's.
        (Some((_, words)), _) => drop(told.insert("ended".into(), json!(words))),
        (None, outcome) => {
            told.insert("ended".into(), json!(outcome.to_string()));
            if let Termination::Exited(code) = outcome {
                told.insert("exit_code".into(), json!(code));
            }
        }
    }
    for (name, output) in [("stdout", &ended.stdout), ("stderr", &ended.stderr)] {
        let Content { text, base64, .. } = Content::of(output.bytes.clone(), None);
        if let Some(text) = text {
            told.insert(name.into(), text.into());
        } else {
            told.insert(format!("{name}_base64"), base64.into());
        }
        if output.is_truncated() {
            told.insert(format!("{name}_bytes_written"), json!(output.written_bytes));
        }
    }
    told.extend(changes::collect(ended, spec, views)?);
    Ok(Value::Object(told))
}

/// What it wrote, if that is the JSON that it should be. Numbers keep their text.
fn json_of<'a>(ended: &'a Ended, spec: &ProcessSpec) -> Option<&'a RawValue> {
    match spec.stdout {
        StdoutSpec::Json if !ended.stdout.is_truncated() => serde_json::from_slice(&ended.stdout.bytes).ok(),
        StdoutSpec::Json | StdoutSpec::Text => None,
    }
}

/// The answer with that as a member.
fn with_json(told: String, json: Option<&RawValue>) -> String {
    match (json, told.strip_prefix('{')) {
        (Some(json), Some(rest)) => format!("{{\"json\":{json},{rest}"),
        _ => told,
    }
}

/// How a module ended, if there was one and its worker says so.
fn end_of_module(ended: &Ended, spec: &ProcessSpec) -> Option<(&'static str, String)> {
    spec.wasm.as_ref().and_then(|wasm| wasm::ended(ended.outcome, wasm))
}

/// Why an end is a failure, if it is one: our code, and words.
fn failure(ended: &Ended, spec: &ProcessSpec) -> Option<(&'static str, String)> {
    if let Some((code, words)) = end_of_module(ended, spec) {
        return Some((code, format!("the module {words}; its `stderr` ends with the reason")));
    }
    let code = match ended.outcome {
        Termination::Exited(code) if spec.success_codes.contains(&code) => {
            let is_none = spec.stdout == StdoutSpec::Json && json_of(ended, spec).is_none();
            return is_none
                .then(|| ("process_json", "what the program wrote to its output is no JSON".into()));
        }
        Termination::Exited(_) => "process_exit",
        Termination::Signalled(_) => "process_signal",
        Termination::Seccomp => "process_system_call",
        Termination::OutOfMemory => "process_memory",
        Termination::TimedOut(Level::Call) => "process_timeout",
        Termination::TimedOut(Level::Task) => "process_timeout_task",
        Termination::TimedOut(Level::Lifetime) => "process_timeout_lifetime",
        Termination::OutputCap => "process_output",
        Termination::Killed => "process_killed",
    };
    Some((code, format!("the program {}", ended.outcome)))
}

/// The cage that it really got, for the record.
#[must_use]
pub fn held(held: &AppliedSandbox) -> String {
    let cgroup = match held.cgroup {
        Some(CgroupVersion::V1) => "cgroup v1",
        Some(CgroupVersion::V2) => "cgroup v2",
        None => "no cgroup",
    };
    let memory = match held.limits.memory_max_bytes {
        Some(bytes) => format!("{} MiB", bytes >> 20),
        None => "unlimited memory".to_owned(),
    };
    let landlock = held.landlock_abi.map_or_else(|| "none".to_owned(), |abi| abi.to_string());
    let built = held.runtime.clone().unwrap_or_else(|| held.backend.to_string());
    let image = held.image.as_ref().map_or_else(String::new, |digest| format!(", image {digest}"));
    format!("{built}: {}, {cgroup}, landlock {landlock}, {memory}{image}", held.user)
}
