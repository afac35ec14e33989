//! A program in a cage: a test suite, a script, a shell line. It sees what the catalogue entry shows it, can
//! reach nobody and change nothing; what it wrote comes back as data.
//!
//! Changes of a view with an overlay come back in the form that a [`files`](super::files) action takes, so
//! that to keep them is an action of its own, with its own yes.

mod cages;
mod changes;
mod spec;

use aecl_kernel::cage;
use aecl_sandbox::{CgroupVersion, Ended, Held, HostUser, Level, Outcome, Program, SandboxError, start};
use async_trait::async_trait;
use serde_json::{Map, Value, json};
use tokio::io::AsyncWriteExt as _;

use super::files::Content;
use super::wrong_desk;
use crate::arguments::Arguments;
use crate::{Call, Connector, ConnectorSpec, DryRun, Effect, Performed, Reconciled, Seen};
use cages::{Cages, tier};
pub use spec::{AccessSpec, LimitsSpec, ProcessSpec, ViewSpec};

/// Runs programs in cages, once it is known what cages there are.
#[derive(Clone, Debug, Default)]
pub struct ProcessConnector {
    cages: Cages,
}

impl ProcessConnector {
    /// Finds out what this host can hold programs with, and uses that from now on: all of it, or what the list
    /// names, in its order. Each cage is built and attacked, which takes some milliseconds or more.
    ///
    /// # Errors
    /// When the list names what is not known here. What was used before is used on.
    pub async fn find_cages(&self, allowed: Option<&[String]>) -> Result<Vec<cage::Found>, String> {
        self.cages.find_out(allowed).await
    }
}

#[derive(Debug, thiserror::Error)]
enum ProcessError {
    #[error("{0}")]
    Arguments(String),
    #[error(transparent)]
    Sandbox(SandboxError),
    #[error("nothing that was found out about this host holds a program in `{0}` or stronger; `aecl doctor`")]
    NoCage(cage::Tier),
    #[error("nothing here enforces the limits that it has of memory and processor time; `aecl doctor`")]
    NotEnforced,
    #[error("the permit does not say how strongly the program must be held; report this")]
    NoTier,
    #[error("the permit asks for `{least}`, and the program was held by `{held}`; it was ended, report this")]
    Weaker { least: cage::Tier, held: String },
    #[error("the call was cancelled; the program was ended")]
    Cancelled,
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
            Self::Sandbox(SandboxError::Unenforceable { .. }) | Self::NotEnforced => "sandbox_unenforceable",
            Self::Sandbox(SandboxError::NotInCage { .. } | SandboxError::NoProgram) => "process_not_started",
            Self::Sandbox(_) | Self::Worker | Self::Weaker { .. } => "sandbox_failed",
            Self::Cancelled => "process_cancelled",
        }
    }
}

#[async_trait]
impl Connector for ProcessConnector {
    async fn perform(&self, call: &Call) -> Performed {
        let ConnectorSpec::Process(spec) = &call.connector else {
            let (code, message) = wrong_desk(call);
            return Performed::not_sent(code, message);
        };
        let (ended, mut output) = match run(call, spec, &self.cages).await {
            Ok(ran) => ran,
            Err(error) => return Performed::not_sent(error.code(), format!("`{}`: {error}", call.action)),
        };
        let truncated = ended.stdout.is_truncated() || ended.stderr.is_truncated();
        if output.len() > call.max_output_bytes {
            let message = format!(
                "`{}`: what it wrote makes an answer of {} bytes, more than the {} allowed; lower the limits of \
                 what is kept in the action's connector",
                call.action,
                output.len(),
                call.max_output_bytes
            );
            return Performed::not_sent("process_output", message);
        }
        match failure(ended.outcome, spec) {
            None => {
                let seen = Seen { status: None, output_bytes: output.len(), truncated };
                Performed::Done { output, seen }
            }
            // Nothing that it did has left the cage.
            Some(code) => Performed::Failed {
                code,
                message: format!("`{}`: the program {}", call.action, ended.outcome),
                output: Some(std::mem::take(&mut output)),
                effect: Effect::None,
            },
        }
    }

    async fn dry_run(&self, call: &Call) -> DryRun {
        let ConnectorSpec::Process(spec) = &call.connector else {
            let (code, message) = wrong_desk(call);
            return DryRun::Failed { code, message };
        };
        match prepare(call, spec) {
            Ok((program, _)) => {
                let would = json!({ "argv": program.argv, "views": spec.views, "limits": spec.limits });
                DryRun::Would { output: would.to_string().into_bytes(), rows: None }
            }
            Err(error) => DryRun::Failed { code: error.code(), message: error.to_string() },
        }
    }

    /// A program that nobody saw end died with us, and what it wrote was in its cage.
    async fn reconcile(&self, _call: &Call) -> Reconciled {
        Reconciled::NotDone
    }
}

/// The words of the program and its input, filled from the arguments.
fn prepare(call: &Call, spec: &ProcessSpec) -> Result<(Program, Option<Vec<u8>>), ProcessError> {
    let wrong = |e: &dyn std::fmt::Display| ProcessError::Arguments(format!("`{}`: {e}", call.action));
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
    Ok((Program { argv, env: spec.env.clone(), cwd: spec.cwd.clone() }, input))
}

/// Runs the program and reads what it left.
async fn run(call: &Call, spec: &ProcessSpec, cages: &Cages) -> Result<(Ended, Vec<u8>), ProcessError> {
    let (program, input) = prepare(call, spec)?;
    let least = call.tier.ok_or(ProcessError::NoTier)?;
    let fit = cages.fit(least, &spec.limits)?;
    let cage = spec.cage(fit.backend().clone(), spec.clocks(call.timeout(), call.task_left()));
    let mut running = tokio::select! {
        running = start(program, cage) => running.map_err(ProcessError::Sandbox)?,
        () = call.cancel.cancelled() => return Err(ProcessError::Cancelled),
    };
    let in_cage = held(running.held());
    // Said again of what was really built, so that one mistake is not enough.
    if tier(running.held().backend.tier()) < Some(least) {
        return Err(ProcessError::Weaker { least, held: in_cage });
    }
    call.ran_in(match call.instead_of {
        None => in_cage,
        Some(asked) => format!("{in_cage}; `{asked}` was asked for, and the operator accepts less"),
    });
    if let (Some(input), Some(mut stdin)) = (input, running.stdin.take()) {
        // A program that does not read its input to the end has had enough of it.
        tokio::spawn(async move { stdin.write_all(&input).await });
    }
    let ended = tokio::select! {
        ended = running.wait() => ended,
        // Dropped with the future, and with it everything that the program started.
        () = call.cancel.cancelled() => return Err(ProcessError::Cancelled),
    };
    let spec = spec.clone();
    let told = tokio::task::spawn_blocking(move || {
        let output = tell(&ended, &spec).map_err(ProcessError::Sandbox)?.to_string().into_bytes();
        Ok((ended, output))
    });
    told.await.unwrap_or(Err(ProcessError::Worker))
}

/// What is told of the end: how, what it said, what it changed. It reads files, so call it where blocking is
/// allowed.
///
/// # Errors
/// When the places where the program could write cannot be read.
pub fn tell(ended: &Ended, spec: &ProcessSpec) -> Result<Value, SandboxError> {
    let mut told = Map::new();
    told.insert("ended".into(), json!(ended.outcome.to_string()));
    if let Outcome::Exited(code) = ended.outcome {
        told.insert("exit_code".into(), json!(code));
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
    told.extend(changes::collect(ended, spec)?);
    Ok(Value::Object(told))
}

/// Why an end is a failure, if it is one.
fn failure(outcome: Outcome, spec: &ProcessSpec) -> Option<&'static str> {
    match outcome {
        Outcome::Exited(code) if spec.success_codes.contains(&code) => None,
        Outcome::Exited(_) => Some("process_exit"),
        Outcome::Signalled(_) => Some("process_signal"),
        Outcome::Seccomp => Some("process_system_call"),
        Outcome::OutOfMemory => Some("process_memory"),
        Outcome::TimedOut(Level::Call) => Some("process_timeout"),
        Outcome::TimedOut(Level::Task) => Some("process_timeout_task"),
        Outcome::TimedOut(Level::Lifetime) => Some("process_timeout_lifetime"),
        Outcome::OutputCap => Some("process_output"),
        Outcome::Killed => Some("process_killed"),
    }
}

/// The cage that it really got, for the record.
#[must_use]
pub fn held(held: &Held) -> String {
    let user = match held.user {
        HostUser::Separate { uid } => format!("user {uid}"),
        HostUser::Ours => "our user".to_owned(),
    };
    let cgroup = match held.cgroup {
        Some(CgroupVersion::V1) => "cgroup v1",
        Some(CgroupVersion::V2) => "cgroup v2",
        None => "no cgroup",
    };
    let memory = match held.limits.memory_max_bytes {
        Some(bytes) => format!("{} MiB", bytes >> 20),
        None => "unlimited memory".to_owned(),
    };
    format!("{}: {user}, {cgroup}, landlock {}, {memory}", held.backend, held.landlock_abi)
}
