//! A machine for one program, from its monitor to the first word of the program's cage.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Resource, geteuid};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{error::Elapsed, timeout};

use super::bridge::{Bridge, Pipes};
use super::line::Line;
use super::monitor::{Monitor, Parts, Place, Size};
use super::{firecracker, qemu, shared_files};
use crate::cage::{Cage, Network};
use crate::ended::{AppliedSandbox, CgroupVersion, HostUser, Termination};
use crate::error::SandboxError;
use crate::host::cgroup;
use crate::launcher::control::Control;
use crate::launcher::hold::{HeldProgram, Holding, Shared, hold};
use crate::launcher::launched::Launched;
use crate::launcher::running::Running;
use crate::launcher::{launched, order, running};
use crate::leftovers::Heard;
use crate::listener::Listener;
use crate::machine::Pinned;
use crate::program::Program;
use crate::protocol::frame::{CONNECTIONS_MAX, Kind, ORDER_MAX, SHOWN, VERSION};
use crate::protocol::nonsense;
use crate::protocol::wire::{Order, Report};

/// How much longer than the program its machine may live: time to hand over what is left.
const AFTER: Duration = Duration::from_secs(2);

/// How long what a monitor said before its end may take to be read.
const LAST_WORD: Duration = Duration::from_millis(100);

/// What a monitor needs for itself, on top of its machine.
const MONITOR_BYTES: u64 = 256 << 20;
const MONITOR_PROCESSES: u32 = 64;

/// The variable that lets machines be emulated, for tests.
const EMULATION_SWITCH: &str = "AECL_TEST_TCG";

/// Starts the program in the cage of a machine of its own.
pub(super) async fn start(program: &Program, cage: &Cage) -> Result<Running, SandboxError> {
    let monitor = Monitor::of(cage)?;
    let begun = Instant::now();
    let mut order = plan(program, cage, monitor)?;
    let mut machine = boot(cage, monitor, begun).await?;
    machine.send(&mut order, cage, begun).await?;
    let (landlock_abi, owners_mapped) = loop {
        match machine.report().await? {
            Report::Started { landlock_abi, owners_mapped } => break (landlock_abi, owners_mapped),
            Report::Failed { step, errno } => return Err(refused(program, &step, errno)),
            _ => {}
        }
    };
    let owners_mapped = owners_mapped && machine.owners_mapped;
    let held = held(cage, monitor, machine.user, landlock_abi, owners_mapped).await;
    machine.into_running(cage, &order, held, begun)
}

/// What a monitor says about itself. Asked once.
pub(super) async fn version(program: &Path) -> Option<String> {
    static KNOWN: Mutex<BTreeMap<PathBuf, Option<String>>> = Mutex::new(BTreeMap::new());
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let found = known().get(program).cloned();
    if let Some(version) = found {
        return version;
    }
    let version = ask_version(program).await;
    known().insert(program.to_owned(), version.clone());
    version
}

async fn ask_version(program: &Path) -> Option<String> {
    const TIME: Duration = Duration::from_secs(2);
    let mut command = tokio::process::Command::new(program);
    command.arg("--version").env_clear().kill_on_drop(true).stdin(std::process::Stdio::null());
    let output = timeout(TIME, command.output()).await.ok()?.ok()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = said.lines().next().filter(|line| output.status.success() && !line.is_empty())?;
    Some(crate::collected::shown(line.chars().take(100).collect::<String>().as_bytes()))
}

/// The agent attacks the cage inside a machine: each attack and the error number it met, 0 if it succeeded.
pub(super) async fn probe(cage: &Cage) -> Result<(Vec<(String, u64)>, AppliedSandbox), SandboxError> {
    let mut cage = cage.clone();
    let _empty =
        show_nothing(&mut cage).map_err(|error| setup("making a directory to show", error.to_string()))?;
    let cage = &cage;
    let monitor = Monitor::of(cage)?;
    let begun = Instant::now();
    let program = Program { argv: vec!["self-test".into()], env: BTreeMap::new(), cwd: None };
    let mut order = plan(&program, cage, monitor)?;
    order.self_test = true;
    let mut machine = boot(cage, monitor, begun).await?;
    machine.send(&mut order, cage, begun).await?;
    let mut attacks = Vec::new();
    let mut held_as = None;
    loop {
        match machine.report().await? {
            Report::Failed { step, errno } => return Err(refused(&program, &step, errno)),
            Report::Attack { name, errno } => {
                attacks.push((String::from_utf8_lossy(&name).into_owned(), errno))
            }
            Report::Started { landlock_abi, owners_mapped } => {
                held_as = Some(held(cage, monitor, machine.user, landlock_abi, owners_mapped).await);
            }
            Report::Program { .. } | Report::Found { .. } => {}
            Report::Over { .. } => break,
        }
    }
    machine.end().await;
    let held = held_as.ok_or_else(|| setup("running the self-test", "the agent ended early".into()))?;
    Ok((attacks, held))
}

/// What is shown is copied, so a self-test shows an empty directory of ours.
fn show_nothing(cage: &mut Cage) -> io::Result<Option<Place>> {
    let Some(view) = cage.views.first_mut() else { return Ok(None) };
    let place = Place::make(None)?;
    // For everybody: not every file system can show its owner as somebody else.
    std::fs::set_permissions(place.dir(), std::fs::Permissions::from_mode(0o755))?;
    view.source = place.dir().canonicalize()?;
    Ok(Some(place))
}

fn plan(program: &Program, cage: &Cage, monitor: Monitor<'_>) -> Result<Order, SandboxError> {
    let no = |why: &str| Err(SandboxError::BadCage(why.to_owned()));
    if cage.limits.memory_max_bytes.is_none() {
        return no("a machine has a size, so `memory_max_bytes` must be said");
    }
    if !monitor.by_kvm() && std::env::var(EMULATION_SWITCH).ok().as_deref() != Some("1") {
        return Err(SandboxError::Unavailable {
            backend: monitor.backend(),
            why: format!(
                "an emulated machine holds nobody; it is for tests, which set `{EMULATION_SWITCH}=1`"
            ),
        });
    }
    let order = order::plan_in_machine(program, cage, SHOWN)?;
    if order.encode().len() > ORDER_MAX {
        return no("arguments and variables are together larger than 4 MiB");
    }
    Ok(order)
}

/// A machine whose agent has answered.
struct Booted {
    line: Line,
    launched: Launched,
    user: Option<(u32, u32)>,
    /// Whether views show their owner as the cage's user.
    owners_mapped: bool,
    place: Option<Place>,
    talk: Talk,
    /// How the monitor ended, once it has.
    gone: Option<Termination>,
}

async fn boot(cage: &Cage, monitor: Monitor<'_>, begun: Instant) -> Result<Booted, SandboxError> {
    let unavailable = |why: String| SandboxError::Unavailable { backend: monitor.backend(), why };
    let machine = monitor.machine().clone();
    let parts = tokio::task::spawn_blocking(move || Parts::of(&machine)).await;
    let parts = parts.map_err(|error| setup("reading the machine's files", error.to_string()))?;
    let mut parts = parts.map_err(unavailable)?;
    if !monitor.program().is_file() {
        let program = monitor.program().display();
        return Err(unavailable(format!("there is no program `{program}`; install it, or name where it is")));
    }
    if let Some(sha256) = monitor.program_sha256() {
        let program = Pinned { path: monitor.program().to_owned(), sha256: sha256.to_owned() };
        let looked =
            tokio::task::spawn_blocking(move || program.open().map(drop).map_err(String::from)).await;
        looked.map_err(|error| setup("reading the monitor", error.to_string()))?.map_err(unavailable)?;
    }
    let user = user(monitor, &parts).map_err(unavailable)?;
    parts.shown =
        shared_files::disk(cage, monitor.machine(), cage.clocks.later(begun, Duration::ZERO)).await?;
    let (shows, owners_mapped) =
        (parts.shown.is_some(), parts.shown.as_ref().is_none_or(|disk| disk.owners_mapped));
    let size = Size::of(&cage.limits);
    let place = match monitor {
        Monitor::Qemu(_) => None,
        Monitor::Firecracker(_) => {
            Some(Place::make(user).map_err(|error| setup("making a place for sockets", error.to_string()))?)
        }
    };
    let argv = match (monitor, &place) {
        (Monitor::Firecracker(firecracker), Some(place)) => firecracker::command(firecracker, place),
        (Monitor::Qemu(qemu), _) => qemu::command(qemu, size, shows),
        (Monitor::Firecracker(_), None) => Vec::new(),
    };
    let held = HeldProgram {
        backend: monitor.backend(),
        argv,
        env: BTreeMap::new(),
        cwd: PathBuf::from("/"),
        user,
        limits: Shared {
            memory_max_bytes: cgroup::enforced()
                .memory
                .then(|| size.memory_mib.saturating_mul(1 << 20).saturating_add(MONITOR_BYTES)),
            cpu_max_millicores: None,
            processes_max: MONITOR_PROCESSES,
        },
        rlimits: vec![(order::limit_number(Resource::Core), 0)],
        clocks: cage.clocks.later(begun, AFTER),
        network: Network::None,
        kept: parts.descriptors().map_err(|error| setup("opening the machine's files", error.to_string()))?,
        workplace: None,
        hidden: Vec::new(),
        read_only: Vec::new(),
        tree: None,
    };
    let Holding { mut launched, .. } = hold(held).await?;
    // What is shown is the monitor's alone, and goes with it.
    drop(parts);
    let talk = Talk::listen(launched.stderr.take());
    let time = Duration::from_millis(monitor.machine().boot_max_ms).min(cage.clocks.deadline().0);
    let pipes = (launched.stdout.take(), launched.stdin.take());
    let answer = timeout(time, answer(monitor, place.as_ref(), pipes, size, shows));
    let (answered, gone) = while_it_lives(&mut launched, answer).await;
    let why = match answered {
        Ok(Ok(line)) => return Ok(Booted { line, launched, user, owners_mapped, place, talk, gone }),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("its agent said nothing for {:.1} s", time.as_secs_f64()),
    };
    launched.kill();
    launched.wait().await;
    let what_to_do = what_to_do(monitor, user);
    Err(unavailable(format!("the machine did not start: {}; {what_to_do}", talk.with(why))))
}

/// Waits for an answer, or for the end of the monitor and what it said before that.
async fn while_it_lives<T>(
    launched: &mut Launched,
    answer: impl Future<Output = Result<io::Result<T>, Elapsed>>,
) -> (Result<io::Result<T>, Elapsed>, Option<Termination>) {
    let mut answer = pin!(answer);
    tokio::select! {
        answered = &mut answer => (answered, None),
        outcome = launched.wait() => {
            let ended = || io::Error::other(format!("its monitor {outcome}"));
            let answered = timeout(LAST_WORD, answer).await.ok().and_then(Result::ok).and_then(Result::ok);
            (Ok(answered.ok_or_else(ended)), Some(outcome))
        }
    }
}

/// The line to the agent, when it has answered.
async fn answer(
    monitor: Monitor<'_>,
    place: Option<&Place>,
    pipes: (Option<pipe::Receiver>, Option<pipe::Sender>),
    size: Size,
    shows: bool,
) -> io::Result<Line> {
    let mut line = match (monitor, place, pipes) {
        (Monitor::Firecracker(firecracker), Some(place), (said, stdin)) => {
            // What it says there, beside its log, nobody waits for, and it hears nothing.
            drop((said, stdin));
            firecracker::open(firecracker, place, size, shows).await?
        }
        (_, _, (Some(from), Some(to))) => Line::new(Box::new(from), Box::new(to)),
        _ => return Err(nonsense("nothing")),
    };
    match line.from.next().await? {
        Some((Kind::Hello, version)) if version == VERSION.to_le_bytes() => Ok(line),
        Some(_) => Err(nonsense("no greeting of this version")),
        None => Err(io::Error::other("it ended before its agent answered")),
    }
}

/// What to do, as far as it can be seen, when a machine was started and nothing came of it.
fn what_to_do(monitor: Monitor<'_>, user: Option<(u32, u32)>) -> String {
    if !monitor.by_kvm() {
        return "emulation is slow; give it more time".into();
    }
    let about = match kvm() {
        Ok(about) => about,
        Err(error) => {
            return format!(
                "`{KVM}` cannot be used ({error}): switch virtualisation on in the firmware, or nested virtualisation \
                 where this host is a virtual machine itself, and load `kvm_intel` or `kvm_amd`"
            );
        }
    };
    let may = |bits: u32| about.mode() & bits == bits;
    if user.is_some() && !may(GROUP_MAY) && !may(EVERYBODY_MAY) {
        return format!(
            "`{KVM}` is for its owner only, and a monitor runs as somebody of its own: give it to a group, as \
             distributions do (`groupadd -f kvm; chgrp kvm {KVM}; chmod 660 {KVM}`)"
        );
    }
    if user.is_none() && File::options().read(true).write(true).open(KVM).is_err() {
        return format!(
            "this user may not open `{KVM}`: add it to the group that may (`usermod -aG kvm NAME`)"
        );
    }
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    if processor.split_whitespace().any(|word| word == "hypervisor") {
        "this host is a virtual machine itself, and its KVM may be unable to run an ordinary kernel: use a host with \
         nested virtualisation, or one that is no virtual machine"
            .into()
    } else {
        "check that the kernel has what docs/reference/isolation.md lists, built in or among `modules`".into()
    }
}

/// Who the monitor is on the host: as root somebody of its own who owns nothing, in the group that may use KVM.
fn user(monitor: Monitor<'_>, parts: &Parts) -> Result<Option<(u32, u32)>, String> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let Some(uid) = order::separate_user() else { return Ok(None) };
    if !parts.root_is_public() {
        let path = monitor.machine().root.path.display();
        return Err(format!(
            "`{path}` is not readable by everybody, and the machine's monitor runs as somebody of its own; it holds \
             programs, no secrets: `chmod o+r` it"
        ));
    }
    let group = kvm().ok().filter(|about| monitor.by_kvm() && about.mode() & GROUP_MAY == GROUP_MAY);
    Ok(Some((uid, group.map_or(uid, |about| about.gid()))))
}

fn kvm() -> io::Result<std::fs::Metadata> {
    std::fs::metadata(KVM)
}

const KVM: &str = "/dev/kvm";
const GROUP_MAY: u32 = 0o060;
const EVERYBODY_MAY: u32 = 0o006;

impl Booted {
    async fn send(&mut self, order: &mut Order, cage: &Cage, begun: Instant) -> Result<(), SandboxError> {
        let (left, _) = cage.clocks.later(begun, Duration::ZERO).deadline();
        order.deadline_ns = u64::try_from(left.as_nanos()).unwrap_or(u64::MAX);
        let sent = self.line.to.order(&order.encode()).await;
        sent.map_err(|error| self.lost(&error.to_string()))
    }

    /// The next thing that the agent reports.
    async fn report(&mut self) -> Result<Report, SandboxError> {
        let next = loop {
            tokio::select! {
                next = self.line.from.next() => match next {
                    // What a self-test leaves is of no interest.
                    Ok(Some((Kind::Left | Kind::Content, _))) => {}
                    next => break next,
                },
                // What it said last may still be on the line, which ends behind that.
                outcome = self.launched.wait(), if self.gone.is_none() => self.gone = Some(outcome),
            }
        };
        let report = match next {
            Ok(Some((Kind::Report, bytes))) => Report::decode(&bytes).map_err(|_| nonsense("no report")),
            Ok(Some(_)) => Err(nonsense("this now")),
            Ok(None) => Err(io::Error::other(match self.gone {
                Some(outcome) => format!("its monitor {outcome}"),
                None => "it ended".to_owned(),
            })),
            Err(error) => Err(error),
        };
        report.map_err(|error| self.lost(&error.to_string()))
    }

    fn lost(&self, why: &str) -> SandboxError {
        setup("waiting for the machine", self.talk.with(why.to_owned()))
    }

    async fn end(mut self) {
        self.launched.kill();
        self.launched.wait().await;
    }

    /// Hands the conversation over to a task, which is to whoever runs the program as a launcher would be.
    fn into_running(
        self,
        cage: &Cage,
        order: &Order,
        held: AppliedSandbox,
        begun: Instant,
    ) -> Result<Running, SandboxError> {
        let failed = |error: io::Error| setup("connecting the program", error.to_string());
        let (ours, theirs) = launched::stand_in(cage.clocks.later(begun, AFTER)).map_err(failed)?;
        let (left, sent) = oneshot::channel();
        let most = usize::try_from(CONNECTIONS_MAX).unwrap_or_default();
        let (served, listener) = match cage.network {
            Network::None => (None, None),
            Network::Listener { .. } => {
                let (served, connections) = mpsc::channel(most);
                (Some(served), Some(Listener::of_machine(connections)))
            }
        };
        let bridge = Bridge {
            line: self.line,
            outer: self.launched,
            inner: Control::over(theirs.control).map_err(failed)?,
            pipes: Pipes::new(theirs.pipes).map_err(failed)?,
            heard: Heard::new(cage.limits, running::places(order).len()),
            served,
            left,
            place: self.place,
        };
        tokio::spawn(bridge.run());
        Ok(Running::of_machine(ours, cage, order, held, listener, sent))
    }
}

async fn held(
    cage: &Cage,
    monitor: Monitor<'_>,
    user: Option<(u32, u32)>,
    landlock_abi: u64,
    owners_mapped: bool,
) -> AppliedSandbox {
    let runtime = version(monitor.program()).await;
    let runtime = runtime.unwrap_or_else(|| monitor.program().display().to_string());
    AppliedSandbox {
        backend: monitor.backend(),
        user: user.map_or(HostUser::Ours, |(uid, _)| HostUser::Separate { uid }),
        runtime: Some(runtime),
        landlock_abi: u32::try_from(landlock_abi).ok().filter(|abi| *abi > 0),
        cgroup: Some(CgroupVersion::V2),
        owners_mapped,
        image: cage.image.as_ref().map(|image| image.digest().clone()),
        limits: cage.limits,
    }
}

fn setup(step: &str, why: String) -> SandboxError {
    SandboxError::Setup { step: step.to_owned(), source: io::Error::other(why) }
}

const NO_DEVICE: u64 = libc::ENODEV as u64;

/// Why the agent did not start the program.
fn refused(program: &Program, step: &[u8], errno: u64) -> SandboxError {
    let source = io::Error::from_raw_os_error(i32::try_from(errno).unwrap_or(libc::EIO));
    if step == b"exec" {
        return SandboxError::NotInCage {
            program: program.argv.first().cloned().unwrap_or_default(),
            source,
        };
    }
    let step = String::from_utf8_lossy(step);
    // A file system that the kernel does not have.
    let source = match (errno, step.starts_with("mounting ")) {
        (NO_DEVICE, true) => io::Error::other(format!(
            "{source}; the machine's kernel shows a view by `ext4`, and writes above it by `overlay`: what it has not \
             built in of these belongs to `modules`"
        )),
        _ => source,
    };
    SandboxError::Setup { step: format!("{step} (in the machine)"), source }
}

/// What a monitor says on its standard error: read, so that it never waits, and its end kept for a reason.
struct Talk(Arc<Mutex<Vec<u8>>>);

/// How much of it is kept.
const TALK_KEPT_BYTES: usize = 2_000;

impl Talk {
    fn listen(stream: Option<pipe::Receiver>) -> Self {
        let said = Arc::new(Mutex::new(Vec::new()));
        if let Some(mut stream) = stream {
            let said = said.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 1_024];
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                    said.extend_from_slice(buffer.get(..count).unwrap_or_default());
                    let over = said.len().saturating_sub(TALK_KEPT_BYTES);
                    said.drain(..over);
                }
            });
        }
        Self(said)
    }

    /// A reason, and what the monitor last said.
    fn with(&self, why: String) -> String {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let said = String::from_utf8_lossy(&said).split_whitespace().collect::<Vec<_>>().join(" ");
        let said = crate::collected::shown(said.as_bytes());
        if said.is_empty() { why } else { format!("{why}; its monitor said: {said}") }
    }
}
