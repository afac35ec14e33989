//! `aecl run`: a command in a cage, without a server, an agent or a record.

mod asked;
mod cage;
mod reach;

use super::image::images_dir;
use super::show;
use super::{Common, Error, Exit, Result, runtime};
use aecl_executor::connectors::files::{Changes, FilesConnector, FilesSpec};
use aecl_executor::connectors::process::pick::NotHeld;
use aecl_executor::connectors::process::{ProcessSpec, tell, way_out};
use aecl_executor::egress::{Names, SystemNames};
use aecl_executor::{Call, Connector as _, ConnectorSpec, DryRun, Performed};
use aecl_kernel::cage::Tier;
use aecl_sandbox::{Digest, Ended, Image, ImageError, Images, Outcome, SandboxError, Stream};
use asked::Asked;
use cage::{Choice, NotStarted};
use serde_json::{Value, json};
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aecl run -- id
  aecl run --view . -- grep -r TODO .
  aecl run --write . --timeout 600 --keep -- npm test
  aecl run --policy tests.yaml -- make check
  aecl run --tier gvisor --explain -- ./downloaded.sh
  aecl run --image /srv/images/tools@sha256:5c0f... -- python3 -c 'print(1)'
  aecl run --allow-host api.example.com --allow-host http://mirror.example.com -- ./report.sh

The command sees the system's programs (or those of --image), what --view and --write show it, and scratch space in memory. It reaches \
whom --allow-host names and nobody else, has no rights and ends at the time-out. What it writes below --write stays in a layer of its own: it is \
told as a difference, and kept if you say so.

A policy is a YAML file with the keys of a `process` connector (docs/reference/connectors.md) and `min_tier`, or a whole \
action of the catalogue. COMMAND stands in for its `argv`. With `wasm` in it a module runs, and COMMAND is its name with \
its words.

What holds the command is chosen as for an action: the weakest that is as strong as --tier and `min_tier` ask, and gives \
the command all that it needs (docs/reference/isolation.md). `sandbox` in aecl.yaml says what may be used, where there \
is one in the directory. Nothing weaker is taken unless `accept_lower_tier` says so there, and then standard error says it.

Exit codes: that of the command; 124 at the time-out, 125 if the cage cannot be had, 127 if the command did not \
start in it, 128 and its number for a signal, 137 also for too much memory or output.")]
pub struct Args {
    /// A YAML file that says what the command may have, and how strongly it is held at least.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Let it have the files of this image instead of the system's: a directory that is an OCI image layout (`skopeo copy
    /// docker://NAME oci:DIR` makes one), and the digest of the image in it. It is unpacked once.
    #[arg(long, value_name = "DIR@DIGEST")]
    image: Option<String>,
    /// Show it a directory or file of this host, at the same place (below /host for what is in /tmp, /usr and the
    /// like) or at another.
    #[arg(long, value_name = "PATH[:AT]")]
    view: Vec<String>,
    /// The same, and let it write there, into a layer of its own.
    #[arg(long, value_name = "PATH[:AT]")]
    write: Vec<String>,
    /// A variable, beside PATH, HOME, TMPDIR and LANG.
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Let it reach this host: over TLS (port 443 unless you say another), or over plain HTTP if it begins with
    /// http://. `*.example.com` is every name below. What it tried elsewhere is told at the end.
    #[arg(long, value_name = "HOST[:PORT]")]
    allow_host: Vec<String>,
    /// The hosts of --allow-host may be this machine, or in a private network.
    #[arg(long, requires = "allow_host")]
    allow_private: bool,
    /// Memory with scratch space, in MiB, or `none`.
    #[arg(long, value_name = "MIB")]
    memory: Option<String>,
    /// How long it may take, in seconds; by default 30, or what the action of the policy says.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: Option<u64>,
    /// Hold it at least so strongly. The policy may ask for more, and is not overruled.
    #[arg(long, value_name = "TIER", value_parser = cage::tier())]
    tier: Option<Tier>,
    /// Hold it by this and nothing else: native, runc, crun, runsc, or qemu and firecracker where aecl.yaml names
    /// machines. It has to be as strong as what is asked for.
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    /// Say on standard error what held it, and because of what.
    #[arg(long)]
    explain: bool,
    /// Show what it changed below --write, ask, and make these changes for good. The command then gets no input
    /// from the terminal.
    #[arg(long)]
    keep: bool,
    /// Keep without asking.
    #[arg(long, requires = "keep")]
    yes: bool,
    /// The command and its words. It may be left out with --image (what the image says is run) and with a policy that
    /// has an `argv` without placeholders.
    #[arg(required_unless_present_any = ["image", "policy"], trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs it.
pub fn run(common: &Common, args: Args) -> Result {
    let asked = Asked::of(&args)?;
    let runtime = runtime()?;
    let exit = runtime.block_on(caged(common, &args, &asked));
    // Somebody may still be asked for input that nobody reads.
    runtime.shutdown_background();
    exit
}

async fn caged(common: &Common, args: &Args, asked: &Asked) -> Result {
    let spec = &asked.spec;
    let list = spec.check().map_err(Error::new)?;
    if spec.egress.iter().any(|allow| allow.credential.is_some()) {
        return Err(Error::new("a `credential` is used by actions of the catalogue, not by `aecl run`")
            .hint("take it out of the policy, or make the command an action"));
    }
    let choice = Choice::of(common, args.backend.as_deref(), &asked.demand())?;
    let image = match image(common, spec) {
        Ok(image) => image,
        Err(error) => return not_started(common, &error.to_string(), None, 125),
    };
    let started = match choice.start(asked, image.as_ref()).await {
        Ok(started) => started,
        Err(NotStarted::NotHeld(refused)) => return not_held(common, args, refused, &choice),
        Err(NotStarted::Sandbox(error)) => return no_cage(common, &error),
        Err(NotStarted::Module(error)) => {
            return not_started(common, &error.to_string(), Some(error.code()), 125);
        }
    };
    let (mut running, before) = (started.running, started.before);
    let held = started.held;
    held.say_lowered();
    let names: Arc<dyn Names> = Arc::new(SystemNames);
    let way_out = match way_out(&mut running, spec, list, &names, None) {
        Ok(way_out) => way_out,
        Err(error) => return no_cage(common, &error),
    };
    // A terminal is asked for an answer later; two readers would take it from each other.
    let is_asked = args.keep && !args.yes && std::io::stdin().is_terminal();
    if let Some(mut input) = running.stdin.take_if(|_| !is_asked || !before.is_empty()) {
        tokio::spawn(async move {
            if input.write_all(&before).await.is_err() || is_asked {
                return;
            }
            let (mut ours, mut buffer) = (tokio::io::stdin(), vec![0; 1 << 16]);
            while let Ok(count @ 1..) = ours.read(&mut buffer).await {
                if input.write_all(buffer.get(..count).unwrap_or_default()).await.is_err() {
                    return;
                }
            }
        });
    }
    let ended = running
        .watch(|stream, bytes| {
            if !common.json {
                pass_on(stream, bytes);
            }
        })
        .await;
    let traffic = match way_out {
        Some(way_out) => Some(way_out.close().await),
        None => None,
    };
    let exit = exit(ended.outcome);
    let (ended, mut told) = told(ended, spec).await?;
    let changes: Vec<(PathBuf, Changes)> = changes(&told, spec)?;
    let mut kept = Vec::new();
    for (source, changes) in &changes {
        if args.keep && keep(common, args, source, changes).await? {
            kept.push(source.display().to_string());
        }
    }
    if common.json {
        if let Value::Object(told) = &mut told {
            told.insert("cage".into(), held.cage.clone().into());
            told.insert("held".into(), held.json());
            told.insert("kept".into(), json!(kept));
            if let Some(traffic) = &traffic {
                told.insert("traffic".into(), json!(traffic));
            }
        }
        show::print_json(&told);
        return Ok(exit);
    }
    if args.explain {
        held.say();
    }
    if !matches!(ended.outcome, Outcome::Exited(_)) {
        show::say(&format!("aecl: the command {}", ended.outcome));
    }
    traffic.iter().for_each(reach::say_refused);
    for refused in told.get("refused").and_then(Value::as_array).into_iter().flatten() {
        let word = |key: &str| refused.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        show::say(&format!("aecl: `{}` was not taken along: {}", word("path"), word("why")));
    }
    for (source, changes) in changes.iter().filter(|_| !args.keep) {
        let files = show::count(changes.changes.len(), "file");
        show::say(&format!(
            "aecl: {files} in {} changed in the cage only; `--keep` shows and keeps them",
            source.display()
        ));
    }
    Ok(exit)
}

fn pass_on(stream: Stream, bytes: &[u8]) {
    // Whoever closed our output does not want to hear that either.
    drop(match stream {
        Stream::Stdout => std::io::stdout().write_all(bytes).and_then(|()| std::io::stdout().flush()),
        Stream::Stderr => std::io::stderr().write_all(bytes),
    });
}

/// What is told of the end.
async fn told(ended: Ended, spec: &ProcessSpec) -> std::result::Result<(Ended, Value), Error> {
    let spec = spec.clone();
    let told = tokio::task::spawn_blocking(move || tell(&ended, &spec).map(|told| (ended, told))).await;
    match told {
        Ok(Ok(told)) => Ok(told),
        Ok(Err(error)) => Err(Error::new(error.to_string())),
        Err(broke) => Err(Error::new(format!("what it wrote could not be collected: {broke}"))),
    }
}

/// The changes of each writable view, by its place on this host.
fn changes(told: &Value, spec: &ProcessSpec) -> std::result::Result<Vec<(PathBuf, Changes)>, Error> {
    let mut all = Vec::new();
    for view in &spec.views {
        let place = view.at.display().to_string();
        let Some(found) = told.get("changes").and_then(|all| all.get(&place)) else { continue };
        let changes: Changes = serde_json::from_value(json!({ "changes": found }))
            .map_err(|e| Error::new(format!("the changes in `{}` cannot be read: {e}", view.at.display())))?;
        if !changes.changes.is_empty() {
            all.push((view.source.clone(), changes));
        }
    }
    Ok(all)
}

/// Shows the changes, asks, and makes them for good. Gives whether they were made.
async fn keep(
    common: &Common,
    args: &Args,
    source: &Path,
    changes: &Changes,
) -> std::result::Result<bool, Error> {
    let arguments = serde_json::to_vec(changes).map_err(|e| Error::new(e.to_string()))?;
    let files_max = changes.changes.len();
    let call = Call {
        action_id: "run".into(),
        action: "run".into(),
        arguments: arguments.into(),
        connector: ConnectorSpec::Files(FilesSpec { root: source.to_owned(), files_max, bytes_max: 1 << 30 }),
        timeout_ms: 60_000,
        idempotency_key: format!("run-{}", std::process::id()),
        meta: None,
        extra: None,
        session: None,
        credential_scope: None,
        rows_max: None,
        tier: None,
        instead_of: None,
        task_left_ms: None,
        max_output_bytes: usize::MAX,
        cancel: tokio_util::sync::CancellationToken::new(),
        cage: Arc::default(),
        traffic: Arc::default(),
    };
    if !args.yes {
        match FilesConnector.dry_run(&call).await {
            DryRun::Would { output, .. } => diff(source, &output),
            DryRun::Unsupported { message } | DryRun::Failed { message, .. } => {
                return Err(Error::new(message));
            }
        }
        if common.json || !std::io::stdin().is_terminal() {
            return Err(Error::new("nobody is here to ask").hint("`--yes` keeps without asking"));
        }
        show::say("keep these changes? [y/N]");
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer).map_err(|e| Error::new(e.to_string()))?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            show::say("aecl: nothing was kept");
            return Ok(false);
        }
    }
    match FilesConnector.perform(&call).await {
        Performed::Done { .. } => Ok(true),
        Performed::Failed { message, .. } | Performed::Unknown { message, .. } => Err(Error::new(message)),
    }
}

fn diff(source: &Path, output: &[u8]) {
    let would: Value = serde_json::from_slice(output).unwrap_or_default();
    for file in would.get("files").and_then(Value::as_array).into_iter().flatten() {
        let word = |key: &str| file.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        show::say(&format!("{} {}", word("what"), source.join(word("path")).display()));
        word("diff").lines().for_each(show::say);
    }
}

fn exit(outcome: Outcome) -> Exit {
    Exit::Program(match outcome {
        Outcome::Exited(code) => u8::try_from(code & 0xff).unwrap_or(u8::MAX),
        Outcome::Signalled(signal) => 128u8.saturating_add(u8::try_from(signal).unwrap_or_default()),
        Outcome::Seccomp => 128 + 31,
        Outcome::TimedOut(_) => 124,
        Outcome::OutOfMemory | Outcome::OutputCap | Outcome::Killed => 128 + 9,
    })
}

/// The image, unpacked.
fn image(common: &Common, spec: &ProcessSpec) -> std::result::Result<Option<Image>, ImageError> {
    let Some(image) = &spec.image else { return Ok(None) };
    let digest = Digest::parse(image.digest.as_deref().unwrap_or_default())?;
    let images = Images::new(images_dir(common));
    if let Some(there) = images.find(&digest)? {
        return Ok(Some(there));
    }
    show::say("aecl: unpacking the image, which is done once");
    images.unpack(&image.layout, &digest, image.limits()).map(Some)
}

/// Nothing here holds it so.
fn not_held(common: &Common, args: &Args, refused: NotHeld, choice: &Choice) -> Result {
    let (code, each) = match &refused {
        NotHeld::Unavailable { each, .. } => (aecl_kernel::code::SANDBOX_UNAVAILABLE, each.clone()),
        NotHeld::Unenforceable(_) => (aecl_kernel::code::SANDBOX_UNENFORCEABLE, Vec::new()),
    };
    let exit = not_started(common, &refused.to_string(), Some(code.as_str()), 125)?;
    if common.json {
        return Ok(exit);
    }
    if args.explain {
        each.iter().for_each(|each| show::say(&format!("aecl: {each}")));
    } else if each.len() > 1 {
        show::say(
            "hint: `--explain` says what is wrong with each that was tried, as does `aecl doctor --sandbox`",
        );
    }
    if cage::is_for_want_of_memory(&NotStarted::NotHeld(refused)) {
        show::say(NO_MEMORY_LIMIT);
    }
    if let Some(hint) = choice.hint() {
        show::say(&format!("hint: {hint}"));
    }
    Ok(exit)
}

/// The way out where nothing enforces the limit that every command has by default.
const NO_MEMORY_LIMIT: &str = "hint: `--memory none` says that there is no such limit";

fn no_cage(common: &Common, error: &SandboxError) -> Result {
    let code = match error {
        SandboxError::NotInCage { .. } | SandboxError::NoProgram => 127,
        _ => 125,
    };
    let exit = not_started(common, &error.to_string(), None, code)?;
    if !common.json && matches!(error, SandboxError::Unenforceable { limit: "memory_max_bytes", .. }) {
        show::say(NO_MEMORY_LIMIT);
    }
    Ok(exit)
}

fn not_started(common: &Common, message: &str, because: Option<&str>, code: u8) -> Result {
    if common.json {
        show::print_json(&json!({ "error": { "message": message, "code": because } }));
    } else {
        let because = because.map_or_else(String::new, |code| format!(" [{code}]"));
        show::say(&format!("aecl: {message}{because}"));
    }
    Ok(Exit::Program(code))
}
