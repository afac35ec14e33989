//! `aecl run`: a command in a cage, without a server, an agent or a record.

mod asked;
mod cage;
mod keep;
mod profile;
mod project;
mod reach;
mod recover;
mod terminal;
mod through;

use super::image::images_dir;
use super::show;
use super::{Common, Error, Exit, Result, runtime, runtime_of_one_thread};
use aecl_egress::egress::{Names, SystemNames};
use aecl_executor::connectors::files::{KeepJournals, RecoveredKeep};
use aecl_executor::connectors::process::pick::NotHeld;
use aecl_executor::connectors::process::{self, Views, egress_proxy, tell};
use aecl_kernel::define::connector::process::ProcessSpec;
use aecl_kernel::define::isolation::IsolationTier;
use aecl_sandbox::{Image, ImageDigest, Images, SandboxError, Stream, Termination};
use asked::Asked;
use cage::{Choice, NotStarted};
use keep::Kept;
use profile::Profile;
use serde_json::{Value, json};
use std::io::{self, IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use terminal::Terminal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aecl run -- id
  aecl run --view . -- grep -r TODO .
  aecl run --write . --timeout 600 --keep -- npm test
  aecl run --write . --profile rust --tmp-size 4096 --timeout 600 -- cargo test --offline
  aecl run --policy tests.yaml -- make check
  aecl run --tier gvisor --explain -- ./downloaded.sh
  aecl run --image /srv/images/tools@sha256:5c0f... -- python3 -c 'print(1)'
  aecl run --allow-host api.example.com --allow-host http://mirror.example.com -- ./report.sh
  aecl run --recover

The command sees the system's programs (or those of --image), what --view and --write show it, and scratch space in memory. It reaches \
whom --allow-host names and nobody else, has no rights and ends at the time-out. What it writes below --write stays in a layer of its own: it is \
told as a difference, and kept if you say so: all of it or nothing, also if it is killed, and only where nobody else has \
changed a file meanwhile. \
Files that act by themselves, such as git's hooks, `.envrc` or the rules of a build server, are marked; `--yes` does not \
cover them.

A policy is a YAML file with the keys of a `process` connector (docs/reference/connectors.md) and `min_tier`, or a whole \
action of the catalogue. COMMAND stands in for its `argv`. With `wasm` in it a module runs, and COMMAND is its name with \
its words.

What holds the command is chosen as for an action: the weakest that is as strong as --tier and `min_tier` ask, and gives \
the command all that it needs (docs/reference/isolation.md). `sandbox` in aecl.yaml says what may be used, where there \
is one in the directory. Nothing weaker is taken unless `accept_lower_tier` says so there, and then standard error says it.

A project may have a file `.aecl-run.yaml` that takes something away from what runs in it or is shown it: hosts, memory, \
time, files (docs/reference/isolation.md). It never gives anything.

Exit codes: that of the command; 123 if --keep or --recover could not keep all of it, 124 at the time-out, 125 if AECL failed before the command ran \
(wrong usage, a file that cannot be read, no such cage) or could not do its own part, 126 if the command is there and cannot be executed, 127 if it, or the program that its first line names, is not there, \
128 and its number for a signal, 137 also for too much memory or output, 141 if nobody reads its output any more.")]
pub struct Args {
    /// A YAML file that says what the command may have, and how strongly it is held at least.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Let it have the files of this image instead of the system's: a directory that is an OCI image layout (`skopeo copy
    /// docker://NAME oci:DIR` makes one), and the digest of the image in it. It is unpacked once.
    #[arg(long, value_name = "DIR@DIGEST")]
    image: Option<String>,
    /// Show it a directory or file of this host, at the same place (below /host for what is in /usr, /etc and the
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
    /// Scratch space for all that it writes (`/tmp`, `/scratch` and the layers of --write), in MiB; 256 if nobody says.
    /// It is memory.
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    tmp_size: Option<u64>,
    /// How many processes and threads it may have at a time; 256 if nobody says.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    procs: Option<u32>,
    /// Show it the toolchain of the home, read-only, with caches that it can write in the cage only: `rust` (~/.rustup,
    /// ~/.cargo/bin and registry), `node` (nvm, volta, fnm), `python` (pyenv, uv). Never tokens or settings.
    #[arg(long, value_name = "TOOLCHAIN")]
    profile: Vec<Profile>,
    /// Give it a terminal of its own, with size, colours and keys: for an editor, a shell, a debugger of a language. Only
    /// `native` does. Both outputs are one then.
    #[arg(short = 't', long)]
    terminal: bool,
    /// How long it may take, in seconds; by default 30, or what the action of the policy says.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: Option<u64>,
    /// Hold it at least so strongly. The policy may ask for more, and is not overruled.
    #[arg(long, value_name = "TIER", value_parser = cage::tier())]
    tier: Option<IsolationTier>,
    /// Hold it by this and nothing else: native, runc, crun, runsc, or qemu and firecracker where aecl.yaml names
    /// machines. It has to be as strong as what is asked for.
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    /// Say on standard error what held it, and because of what, and what files of a project took away.
    #[arg(long)]
    explain: bool,
    /// Leave out what `.aecl-run.yaml` of the project takes away.
    #[arg(long)]
    no_project_file: bool,
    /// Show what it changed below --write, ask, and make these changes for good. The command then gets no input
    /// from the terminal.
    #[arg(long)]
    keep: bool,
    /// Keep without asking, except for files that act by themselves.
    #[arg(long, requires = "keep")]
    yes: bool,
    /// Let --yes cover files that act by themselves (git's hooks, `.envrc`, CI, tasks of editors, settings of agents) and
    /// links that lead out of the directory.
    #[arg(long, requires = "yes")]
    keep_special: bool,
    /// Keep the rest if something cannot be kept: what is too much or too long, hard links, pipes, odd names, files that
    /// somebody else has changed meanwhile.
    #[arg(long, requires = "keep")]
    keep_partial: bool,
    /// How many files are kept at most; by default 500, or what the policy says.
    #[arg(long, requires = "keep", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    keep_max_files: Option<u32>,
    /// How much of them is kept at most, in MiB, and how long a file may be that is replaced or deleted; by default 4, or
    /// what the policy says.
    #[arg(long, requires = "keep", value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    keep_max_mib: Option<u32>,
    /// Run nothing, and finish what `--keep` was ended in the middle of, in every directory: what had been written down
    /// as a whole is put into its places, the rest is taken back. Each `aecl run` does so where it runs.
    #[arg(long, conflicts_with_all = ["command", "policy", "image", "view", "write", "keep", "terminal"])]
    recover: bool,
    /// The command and its words. It may be left out with --image (what the image says is run) and with a policy that
    /// has an `argv` without placeholders.
    #[arg(required_unless_present_any = ["image", "policy", "recover"], trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs it. What goes wrong with us has a code of its own: a program may end with 1 itself.
pub fn run(common: &Common, args: Args) -> Result {
    let exit = |exit| if exit == Exit::Failed { Exit::Program(NOT_RUN) } else { exit };
    prepare(common, args).map_err(|error| Error { exit: exit(error.exit), ..error })
}

fn prepare(common: &Common, args: Args) -> Result {
    if args.recover {
        return recover::all(common);
    }
    let mut asked = Asked::of(&args)?;
    let taken = match args.no_project_file {
        true => Vec::new(),
        false => project::narrow(&mut asked)?,
    };
    if !common.json {
        project::say(&taken, &args);
    }
    let recovered = recover::around(&asked.spec);
    if !common.json {
        recover::say(&recovered);
    }
    let journals = match args.keep {
        true => Some(recover::journals()?),
        false => None,
    };
    asked.hidden.iter().for_each(|path| aecl_sandbox::never_show(path));
    asked.read_only.iter().for_each(|path| aecl_sandbox::never_change(path));
    let runtime = if runs_by_itself(&asked) { runtime_of_one_thread()? } else { runtime()? };
    let exit = runtime.block_on(caged(common, &args, &asked, &taken, &recovered, journals.as_ref()));
    // Somebody may still be asked for input that nobody reads.
    runtime.shutdown_background();
    exit
}

/// Whether nothing has to go on while we wait for whoever reads its output: no broker and no terminal. Then nobody starts
/// threads for it, nor hands anything from one to the other.
fn runs_by_itself(asked: &Asked) -> bool {
    asked.spec.egress.is_empty() && !asked.terminal
}

async fn caged(
    common: &Common,
    args: &Args,
    asked: &Asked,
    taken: &[project::Taken],
    recovered: &[RecoveredKeep],
    journals: Option<&KeepJournals>,
) -> Result {
    let spec = &asked.spec;
    let list = process::spec::check(spec).map_err(Error::new)?;
    if spec.egress.iter().any(|allow| allow.credential.is_some()) {
        return Err(Error::new("a `credential` is used by actions of the catalogue, not by `aecl run`")
            .hint("take it out of the policy, or make the command an action"));
    }
    if args.terminal && (common.json || (args.keep && !args.yes)) {
        return Err(Error::new("`--terminal` goes with neither `--json` nor a question about `--keep`")
            .hint("leave `--terminal` out, or say `--yes` with `--keep`"));
    }
    let choice = Choice::of(common, args.backend.as_deref(), &asked.demand())?;
    let image = match image(common, spec) {
        Ok(image) => image,
        Err(error) => return not_started(common, &error.message, None, NOT_RUN),
    };
    let views = Views::open(spec).await;
    let started = match choice.start(asked, image.as_ref()).await {
        Ok(started) => started,
        Err(NotStarted::NotHeld(refused)) => return not_held(common, args, refused, &choice),
        Err(NotStarted::Sandbox(error)) => return no_cage(common, &error),
        Err(NotStarted::Module(error)) => {
            return not_started(common, &error.to_string(), Some(error.code()), NOT_RUN);
        }
    };
    let (mut running, before) = (started.running, started.before);
    let held = started.held;
    held.say_lowered();
    let names: Arc<dyn Names> = Arc::new(SystemNames);
    let egress_proxy = match egress_proxy(&mut running, spec, list, &names, None) {
        Ok(egress_proxy) => egress_proxy,
        Err(error) => return no_cage(common, &error),
    };
    let handed_through = started.terminal.map(through::HandedThrough::to);
    // A terminal is asked for an answer later; two readers would take it from each other.
    let is_asked = args.keep && !args.yes && io::stdin().is_terminal();
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
    let (mut screen, mut lost) = (terminal::Screen::default(), None);
    let ended = running
        .watch(|stream, bytes| {
            if common.json {
                return ControlFlow::Continue(());
            }
            match pass_on(stream, bytes) {
                Ok(()) => {
                    screen.has_shown(stream, bytes);
                    ControlFlow::Continue(())
                }
                // Nobody reads what it says, so it ends, as a closed pipe ends others.
                Err(e) => {
                    lost = Some(e);
                    ControlFlow::Break(())
                }
            }
        })
        .await;
    let traffic = match egress_proxy {
        Some(egress_proxy) => Some(egress_proxy.close().await),
        None => None,
    };
    drop(handed_through);
    // Before anything of ours is shown.
    screen.reset();
    match lost {
        Some(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(Exit::Program(BROKEN_PIPE)),
        Some(e) => return Err(Error::new(format!("what the command writes cannot be passed on: {e}"))),
        None => {}
    }
    let exit = exit(ended.outcome);
    // What it wrote over a cache is nobody's to keep: the next program would run what this one left.
    let mut ended = ended;
    ended.scratch.retain(|scratch| !asked.caches.contains(scratch.at()));
    let mut told = tell(&ended, spec, &views).map_err(|error| Error::new(error.to_string()))?;
    project::stays_as_it_is(asked, &mut told);
    if !common.json {
        if !matches!(ended.outcome, Termination::Exited(_)) {
            show::say(&format!("aecl: the command {}", ended.outcome));
        }
        for refused in told.get("refused").and_then(Value::as_array).into_iter().flatten() {
            let word = |key: &str| refused.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            show::say(&format!("aecl: `{}` was not taken along: {}", word("path"), word("why")));
        }
    }
    let kept = match journals {
        Some(journals) => {
            let terminal = (is_asked && !common.json).then(Terminal::open).flatten();
            let kept = keep::keep(args, &told, spec, &views, journals, terminal);
            kept.map_err(|error| Error { exit: Exit::Program(NOT_KEPT), ..error })?
        }
        None => Kept::default(),
    };
    let exit = if kept.is_all { exit } else { Exit::Program(NOT_KEPT) };
    if common.json {
        if let Value::Object(told) = &mut told {
            told.insert("cage".into(), held.cage.clone().into());
            told.insert("held".into(), held.json());
            told.insert("narrowed".into(), json!(taken.iter().map(project::Taken::json).collect::<Vec<_>>()));
            told.insert("recovered".into(), recover::json(recovered));
            told.insert("kept".into(), json!(kept.places));
            if let Some(why) = &kept.why_not {
                told.insert("not_kept".into(), json!(why));
            }
            if let Some(traffic) = &traffic {
                told.insert("traffic".into(), json!(traffic));
            }
        }
        show::print_json(&told);
        return Ok(exit);
    }
    if let Some(why) = &kept.why_not {
        show::say(&format!("aecl: {why}"));
    }
    if args.explain {
        held.say();
    }
    traffic.iter().for_each(reach::say_refused);
    if !args.keep {
        for (view, changes) in keep::changes(&told, spec)? {
            let files = show::count(changes.changes.len(), "file");
            show::say(&format!(
                "aecl: {files} in {} changed in the cage only; `--keep` shows and keeps them",
                view.source.display()
            ));
        }
    }
    Ok(exit)
}

/// The exit code of whoever is ended because nobody reads its output.
const BROKEN_PIPE: u8 = 128 + 13;

/// The exit code if not all of the changes were kept.
const NOT_KEPT: u8 = 123;

/// The exit code if we failed, as of `docker run`, `env` and `timeout`.
pub(super) const NOT_RUN: u8 = 125;

/// The exit codes of a command that is there and cannot be executed, and of one that is not there.
const NOT_EXECUTED: u8 = 126;
const NOT_FOUND: u8 = 127;

fn pass_on(stream: Stream, bytes: &[u8]) -> io::Result<()> {
    match stream {
        Stream::Stdout => io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()),
        Stream::Stderr => io::stderr().write_all(bytes),
    }
}

fn exit(outcome: Termination) -> Exit {
    Exit::Program(match outcome {
        Termination::Exited(code) => u8::try_from(code & 0xff).unwrap_or(u8::MAX),
        Termination::Signalled(signal) => 128u8.saturating_add(u8::try_from(signal).unwrap_or_default()),
        Termination::Seccomp => 128 + 31,
        Termination::TimedOut(_) => 124,
        Termination::OutOfMemory | Termination::OutputCap | Termination::Killed => 128 + 9,
    })
}

/// The image, unpacked.
fn image(common: &Common, spec: &ProcessSpec) -> std::result::Result<Option<Image>, Error> {
    let Some(image) = &spec.image else { return Ok(None) };
    let digest = ImageDigest::parse(image.digest.as_deref().unwrap_or_default())?;
    let images = Images::new(images_dir(common)?);
    if let Some(there) = images.find(&digest)? {
        return Ok(Some(there));
    }
    show::say("aecl: unpacking the image, which is done once");
    Ok(Some(images.unpack(&image.layout, &digest, process::image::limits(image))?))
}

/// Nothing here holds it so.
fn not_held(common: &Common, args: &Args, refused: NotHeld, choice: &Choice) -> Result {
    let (code, each) = match &refused {
        NotHeld::Unavailable { each, .. } => (aecl_kernel::base::code::SANDBOX_UNAVAILABLE, each.clone()),
        NotHeld::Unenforceable(_) => (aecl_kernel::base::code::SANDBOX_UNENFORCEABLE, Vec::new()),
    };
    let exit = not_started(common, &refused.to_string(), Some(code.as_str()), NOT_RUN)?;
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
        SandboxError::NotInCage { source, .. } | SandboxError::NotStarted { source, .. } => {
            if source.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTED }
        }
        SandboxError::NoProgram => NOT_FOUND,
        _ => NOT_RUN,
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
