//! The tier `native`: our own launcher, the kernel's namespaces, and every lock that it has.

pub(crate) mod cgroup;
pub(crate) mod control;
pub(crate) mod filter;
mod fork_server;
pub(crate) mod hold;
pub(crate) mod image;
pub(crate) mod launched;
mod running;
mod scratch;
mod system;
mod terminal;
pub(crate) mod tree;
pub(crate) mod user;
pub(crate) mod wire;

use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::MemfdFlags;
use rustix::pipe::PipeFlags;
use rustix::process::{Resource, getrlimit};

pub(crate) use control::Control;
use launched::Pipes;
pub(crate) use launched::{Launched, stand_in};
pub use running::Running;
pub(crate) use running::places;
pub use scratch::Scratch;
pub use terminal::{Terminal, TerminalSize};
use wire::{Order, Report};

use crate::{Backend, Cage, CgroupVersion, Held, HostUser, Level, Limits, Network, Program, SandboxError};

/// Below this nothing starts, and the kernel would kill before the program's first line.
const MEMORY_MIN_BYTES: u64 = 4 << 20;

/// What every program gets. Nothing of ours.
const ENVIRONMENT: [(&str, &str); 4] =
    [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", "/tmp"), ("TMPDIR", "/tmp"), ("LANG", "C.UTF-8")];

/// Starts the program in its cage.
pub(crate) async fn start(program: &Program, cage: &Cage) -> Result<Running, SandboxError> {
    let order = plan(program, cage)?;
    let launched = launch(&order, cage.clocks.deadline().1, &[])?;
    running(launched, program, cage, &order).await
}

/// The same, on a terminal of its own.
pub(crate) async fn start_on_terminal(
    program: &Program,
    cage: &Cage,
    size: TerminalSize,
) -> Result<(Running, Terminal), SandboxError> {
    let step = |source: std::io::Error| SandboxError::Setup { step: "making a terminal".into(), source };
    let order = Order { terminal: true, ..plan(program, cage)? };
    let (terminal, theirs) = Terminal::open(size).map_err(step)?;
    // What is typed and written goes through the same pipes as ever, with the same limits. On a terminal there is one
    // stream for both outputs.
    let (pipes, [typed, written, _]) = Pipes::new().map_err(step)?;
    let again = || theirs.try_clone().map_err(step);
    let ends = [again()?, again()?, again()?];
    let launched = launch_between(&order, cage.clocks.deadline().1, &[], pipes, ends)?;
    drop(theirs);
    terminal.connect(typed, written).map_err(step)?;
    Ok((running(launched, program, cage, &order).await?, terminal))
}

async fn running(
    mut launched: Launched,
    program: &Program,
    cage: &Cage,
    order: &Order,
) -> Result<Running, SandboxError> {
    match started(&mut launched).await {
        Ok(Started { landlock_abi, owners_mapped, fds }) => {
            let held = held(order, cage, landlock_abi, owners_mapped);
            Ok(Running::new(launched, fds, cage, order, held))
        }
        Err(refusal) => {
            launched.end().await;
            Err(refusal.error(Backend::Native, name_of(program)))
        }
    }
}

pub(crate) fn name_of(program: &Program) -> &str {
    program.argv.first().map_or("", String::as_str)
}

/// The launcher attacks its own cage: each attack and the error number it met, 0 if it succeeded.
pub(crate) async fn self_test(cage: &Cage) -> Result<(Vec<(String, u64)>, Held), SandboxError> {
    let program = Program { argv: vec!["self-test".into()], env: Default::default(), cwd: None };
    let mut order = plan(&program, cage)?;
    order.self_test = true;
    let mut launched = launch(&order, cage.clocks.deadline().1, &[])?;
    let attacked = attacks(&mut launched, &cage.backend).await;
    launched.end().await;
    let (attacks, landlock_abi, owners_mapped) = attacked?;
    Ok((attacks, held(&order, cage, landlock_abi, owners_mapped)))
}

/// What came of the launcher's attacks, the version of landlock, and whether owners are mapped.
pub(crate) async fn attacks(
    launched: &mut Launched,
    backend: &Backend,
) -> Result<(Vec<(String, u64)>, u64, bool), SandboxError> {
    let mut attacks = Vec::new();
    let mut started = None;
    while let Ok(Some((report, _))) = launched.next().await {
        match report {
            Report::Failed { step, errno } => {
                return Err(failed(backend.clone(), "self-test", &step, errno));
            }
            Report::Attack { name, errno } => {
                attacks.push((String::from_utf8_lossy(&name).into_owned(), errno))
            }
            Report::Started { landlock_abi, owners_mapped } => {
                started = Some((landlock_abi, owners_mapped));
            }
            Report::Program { .. } | Report::Over { .. } | Report::Found { .. } => {}
        }
    }
    let (landlock_abi, owners_mapped) = started.ok_or_else(|| SandboxError::Setup {
        step: "running the self-test".into(),
        source: std::io::Error::other("the launcher ended early"),
    })?;
    Ok((attacks, landlock_abi, owners_mapped))
}

/// Which limits this host enforces.
pub(crate) fn enforced() -> crate::Enforced {
    cgroup::hierarchies().enforced()
}

pub(crate) fn failed(backend: Backend, program: &str, step: &[u8], errno: u64) -> SandboxError {
    let source = std::io::Error::from_raw_os_error(i32::try_from(errno).unwrap_or(libc::EIO));
    if step == b"exec" {
        return SandboxError::NotInCage { program: program.to_owned(), source };
    }
    let step = String::from_utf8_lossy(step).into_owned();
    match (step.as_str(), source.raw_os_error()) {
        ("making namespaces" | "mapping the user", Some(_)) => SandboxError::Unavailable {
            backend,
            why: format!("{step}: {source}; {}", user::why_no_namespaces()),
        },
        ("mounting /proc", Some(libc::EPERM)) => SandboxError::Unavailable {
            backend,
            why: "parts of /proc are hidden from us, as in a container, and so no new one may be mounted; \
                  run AECL outside of the container, or start that with an unmasked /proc"
                .into(),
        },
        ("asking for landlock" | "asking for landlock version 2", Some(_)) => SandboxError::Unavailable {
            backend,
            why: format!(
                "{step}: {source}; landlock has to be in the kernel (Linux 5.19 or newer) and in its `lsm=` list"
            ),
        },
        _ => SandboxError::Setup { step, source },
    }
}

fn plan(program: &Program, cage: &Cage) -> Result<Order, SandboxError> {
    let mut order = plan_anywhere(program, cage)?;
    order.user = user::choose()?;
    order.groups = cgroup::groups(cgroup::hierarchies(), &(&cage.limits).into())?;
    tree::plan(&mut order, &cage.views, cage.image.as_ref())?;
    Ok(order)
}

/// The order for the same cage inside a machine, which has what is shown of this host in a directory, and fills in
/// what it shows of its own system where there is no image.
pub(crate) fn plan_in_machine(program: &Program, cage: &Cage, shown: &str) -> Result<Order, SandboxError> {
    let mut order = plan_anywhere(program, cage)?;
    order.user = user::in_a_machine();
    order.groups = cgroup::groups_of_a_machine(&(&cage.limits).into())?;
    tree::plan_in_machine(&mut order, &cage.views, cage.image.as_ref(), shown)?;
    Ok(order)
}

/// A user of the host who owns nothing, if we may become one.
pub(crate) fn separate_user() -> Option<u32> {
    let user = user::choose().ok().filter(|user| user.separate)?;
    u32::try_from(user.outside_uid).ok()
}

/// What an order says wherever it is carried out. User, groups and files depend on that.
pub(crate) fn plan_anywhere(program: &Program, cage: &Cage) -> Result<Order, SandboxError> {
    if program.argv.is_empty() {
        return Err(SandboxError::NoProgram);
    }
    check_limits(&cage.limits)?;
    let (deadline, _) = cage.clocks.deadline();
    let order = Order {
        scratch_bytes: cage.limits.scratch_max_bytes,
        scratch_inodes: cage.limits.scratch_files_max,
        deadline_ns: u64::try_from(deadline.as_nanos()).unwrap_or(u64::MAX),
        listener_port: port(cage.network)?,
        ..inner(program, cage)
    };
    if has_zero(&order) {
        return Err(SandboxError::BadCage("an argument, variable or path has a zero byte in it".into()));
    }
    Ok(order)
}

/// What every cage does to its program from inside, whoever built it.
pub(crate) fn inner(program: &Program, cage: &Cage) -> Order {
    let mut env: std::collections::BTreeMap<&str, &str> = ENVIRONMENT.into_iter().collect();
    env.extend(program.env.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let (deadline, _) = cage.clocks.deadline();
    Order {
        argv: program.argv.iter().map(|word| word.clone().into_bytes()).collect(),
        env: env.iter().map(|(name, value)| format!("{name}={value}").into_bytes()).collect(),
        cwd: program.cwd.as_deref().map_or_else(|| b"/scratch".to_vec(), bytes),
        rlimits: rlimits(&cage.limits, deadline.as_secs()),
        filters: vec![filter::filter().to_vec()],
        ..Order::default()
    }
}

fn port(network: Network) -> Result<u64, SandboxError> {
    match network {
        Network::None => Ok(0),
        Network::Listener { port: 0 } => {
            Err(SandboxError::BadCage("the listener's port is 0; name one from 1 to 65535".into()))
        }
        Network::Listener { port } => Ok(u64::from(port)),
    }
}

pub(crate) fn has_zero(order: &Order) -> bool {
    order.argv.iter().chain(&order.env).chain([&order.cwd]).any(|text| text.contains(&0))
}

fn check_limits(limits: &Limits) -> Result<(), SandboxError> {
    let no = |why: String| Err(SandboxError::BadCage(why));
    if let Some(memory) = limits.memory_max_bytes {
        if memory < MEMORY_MIN_BYTES {
            return no(format!("memory_max_bytes is {memory}; less than {MEMORY_MIN_BYTES} starts nothing"));
        }
        if limits.scratch_max_bytes >= memory {
            return no(format!(
                "scratch_max_bytes is {}, and memory_max_bytes {memory}: the scratch space is memory, so it must \
                 be smaller, or a full disk would look like a lack of memory",
                limits.scratch_max_bytes
            ));
        }
    }
    for (name, value) in [
        ("processes_max", u64::from(limits.processes_max)),
        ("scratch_max_bytes", limits.scratch_max_bytes),
        ("scratch_files_max", limits.scratch_files_max),
        ("open_files_max", limits.open_files_max),
        ("process_memory_max_bytes", limits.process_memory_max_bytes.unwrap_or(1)),
        ("cpu_max_millicores", limits.cpu_max_millicores.map_or(1, u64::from)),
    ] {
        if value == 0 {
            return no(format!("{name} is 0, with which nothing runs"));
        }
    }
    Ok(())
}

fn rlimits(limits: &Limits, deadline_s: u64) -> Vec<(u64, u64)> {
    // Processor time of one process cannot be more than this, even if nobody enforced the deadline.
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let cpu_s = deadline_s.saturating_add(2).saturating_mul(cores);
    [
        (libc::RLIMIT_CORE, Resource::Core, 0),
        (libc::RLIMIT_CPU, Resource::Cpu, cpu_s),
        (libc::RLIMIT_FSIZE, Resource::Fsize, limits.file_max_bytes),
        (libc::RLIMIT_NOFILE, Resource::Nofile, limits.open_files_max),
        (libc::RLIMIT_NPROC, Resource::Nproc, u64::from(limits.processes_max) + 1),
        (libc::RLIMIT_MEMLOCK, Resource::Memlock, 1 << 20),
        (libc::RLIMIT_MSGQUEUE, Resource::Msgqueue, 1 << 20),
        (libc::RLIMIT_SIGPENDING, Resource::Sigpending, 4096),
    ]
    .into_iter()
    // What is only reserved, as by the virtual machines of languages, does not count for this one.
    .chain(limits.process_memory_max_bytes.map(|most| (libc::RLIMIT_DATA, Resource::Data, most)))
    // Nobody without rights can have more than we have ourselves.
    .map(|(number, ours, value)| (u64::from(number), value.min(getrlimit(ours).maximum.unwrap_or(u64::MAX))))
    .collect()
}

fn held(order: &Order, cage: &Cage, landlock_abi: u64, owners_mapped: bool) -> Held {
    Held {
        backend: Backend::Native,
        user: host_user(order),
        runtime: None,
        landlock_abi: u32::try_from(landlock_abi).ok().filter(|abi| *abi > 0),
        cgroup: cgroup_version(order),
        owners_mapped,
        image: cage.image.as_ref().map(|image| image.digest().clone()),
        limits: cage.limits,
    }
}

pub(crate) fn host_user(order: &Order) -> HostUser {
    if order.user.separate {
        HostUser::Separate { uid: u32::try_from(order.user.outside_uid).unwrap_or(u32::MAX) }
    } else {
        HostUser::Ours
    }
}

pub(crate) fn cgroup_version(order: &Order) -> Option<CgroupVersion> {
    match (order.groups.is_empty(), cgroup::hierarchies().version) {
        (true, _) => None,
        (false, 2) => Some(CgroupVersion::V2),
        (false, _) => Some(CgroupVersion::V1),
    }
}

/// Starts a launcher and hands it its order, with what the program is to keep open.
pub(crate) fn launch(order: &Order, level: Level, kept: &[OwnedFd]) -> Result<Launched, SandboxError> {
    let step =
        |step: &'static str| move |source: std::io::Error| SandboxError::Setup { step: step.into(), source };
    let (pipes, theirs) = Pipes::new().map_err(step("making pipes"))?;
    launch_between(order, level, kept, pipes, theirs)
}

/// The same, with these ends of its three streams.
fn launch_between(
    order: &Order,
    level: Level,
    kept: &[OwnedFd],
    pipes: Pipes,
    [stdin, stdout, stderr]: [OwnedFd; 3],
) -> Result<Launched, SandboxError> {
    let step =
        |step: &'static str| move |source: std::io::Error| SandboxError::Setup { step: step.into(), source };
    let (control, theirs) = Control::pair().map_err(step("making a socket"))?;
    let paper = paper(&order.encode()).map_err(step("writing the order"))?;
    let server = fork_server::start_launcher(&theirs).map_err(step("starting the launcher"))?;
    drop(theirs);
    let ours = [paper.as_fd(), stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
    let fds: Vec<_> = kept.iter().map(AsFd::as_fd).chain(ours).collect();
    control.send(b"order", &fds).map_err(step("sending the order"))?;
    Ok(Launched::new(control, pipes, order, level, server))
}

/// Waits until the program runs. What comes with that report, or why it does not run.
pub(crate) async fn started(launched: &mut Launched) -> Result<Started, Refusal> {
    match launched.next().await {
        Ok(Some((Report::Started { landlock_abi, owners_mapped }, fds))) => {
            Ok(Started { landlock_abi, owners_mapped, fds })
        }
        Ok(Some((Report::Failed { step, errno }, _))) => Err(Refusal::Step { step, errno }),
        Ok(_) => Err(Refusal::Launcher("it ended before the program started".into())),
        Err(error) => Err(Refusal::Launcher(error.to_string())),
    }
}

/// What the launcher says when the program runs.
pub(crate) struct Started {
    pub(crate) landlock_abi: u64,
    pub(crate) owners_mapped: bool,
    pub(crate) fds: Vec<OwnedFd>,
}

/// Why the program does not run.
pub(crate) enum Refusal {
    /// A step of the launcher's failed.
    Step { step: Vec<u8>, errno: u64 },
    /// The launcher itself did.
    Launcher(String),
}

impl Refusal {
    pub(crate) fn error(self, backend: Backend, program: &str) -> SandboxError {
        match self {
            Self::Step { step, errno } => failed(backend, program, &step, errno),
            Self::Launcher(why) => SandboxError::Setup {
                step: "running the launcher".into(),
                source: std::io::Error::other(why),
            },
        }
    }
}

fn pipe() -> std::io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    // The program's end stays as programs expect it; ours does not block.
    Ok((read, write))
}

pub(crate) fn paper(bytes: &[u8]) -> std::io::Result<File> {
    let mut file = File::from(rustix::fs::memfd_create("order", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

pub(crate) fn bytes(path: &Path) -> Vec<u8> {
    path.as_os_str().as_bytes().to_vec()
}

/// A name that no one else on this machine uses now.
pub(crate) fn numbered(what: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{what}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::{Clocks, Network, Outcome};
    use wire::{Group, MemoryEvents};

    /// Version 2 without a controller, which machines have that limit with version 1. The way into the group
    /// and out of it is the same.
    #[tokio::test]
    async fn a_cage_is_born_into_its_group_of_version_2() {
        let places = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
        let Some(place) = places.into_iter().find(|dir| dir.join("cgroup.controllers").exists()) else {
            return;
        };
        let dir = place.join(numbered("aecl-test"));
        // Whoever may not make one here has none to be born into.
        if std::fs::create_dir(&dir).and_then(|()| std::fs::remove_dir(&dir)).is_err() {
            return;
        }
        let limits = Limits {
            memory_max_bytes: None,
            process_memory_max_bytes: None,
            cpu_max_millicores: None,
            processes_max: 8,
            scratch_max_bytes: 1 << 20,
            scratch_files_max: 10,
            file_max_bytes: 1 << 20,
            open_files_max: 64,
            output_kept_max_bytes: 1_000,
            output_max_bytes: 1_000,
        };
        let time = Duration::from_secs(20);
        let clocks = Clocks { call: time, task_left: time, lifetime_left: time };
        let (backend, network) = (Backend::Native, Network::None);
        let cage = Cage { backend, image: None, views: vec![], network, limits, clocks };
        let argv = ["sh", "-c", "cat; grep ^0 /proc/self/cgroup"].map(String::from).to_vec();
        let program = Program { argv, env: BTreeMap::new(), cwd: None };
        let mut order = plan(&program, &cage).unwrap();
        order.groups = vec![Group { dir: bytes(&dir), settings: vec![], memory: MemoryEvents::Elsewhere }];
        let mut launched = launch(&order, Level::Call, &[]).unwrap();
        let Ok(Started { fds, .. }) = started(&mut launched).await else { panic!() };
        // Three processes: the first one, the shell, and `cat`.
        let inside = std::fs::read_to_string(dir.join("cgroup.procs")).unwrap();
        assert!(inside.lines().count() >= 2, "{inside}");
        let held = held(&order, &cage, 0, true);
        let ended = Running::new(launched, fds, &cage, &order, held).wait().await;
        assert_eq!(ended.outcome, Outcome::Exited(0));
        assert_eq!(ended.stdout.bytes, b"0::/\n");
        assert!(!dir.exists());
    }
}
