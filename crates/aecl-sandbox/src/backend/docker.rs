//! Cages in containers that a Docker daemon starts.
//!
//! A container's parent is the daemon, not we, and it knows nothing of our end. So our launcher is all that is in it:
//! as its first process, a user without a right, with a socket to us. It builds the cage of the tier `native`
//! inside, holds the program, and ends when that is over or when the socket closes, and the kernel ends a container
//! with its first process. The daemon gives the container its cgroups, which is more than an ordinary user has.
//!
//! A daemon follows links on the way to what it mounts. It mounts nothing of ours: a launcher on the host finds
//! what the cage shows, as for every cage, and that goes over the socket as descriptors. So does what comes back:
//! scratch space, layers, the listener.

mod api;
mod image;
mod leftovers;

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Resource, geteuid};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use api::{Body, Daemon, Refused};

use async_trait::async_trait;

use crate::cage::{Cage, Limits, View};
use crate::deadline::Level;
use crate::driver::{Attacked, Driver, Installed};
use crate::ended::{AppliedSandbox, CgroupVersion, HostUser};
use crate::error::SandboxError;
use crate::found::{Enforced, Offers};
use crate::host::{tree, user};
use crate::image::ARCHITECTURE;
use crate::launcher::control::{Caller, Control, Door};
use crate::launcher::launched::{Launched, Pipes};
use crate::launcher::running::Running;
use crate::launcher::start::Started;
use crate::launcher::{order, start};
use crate::program::Program;
use crate::protocol::wire::{FDS_IN_ONE, Order, Report, SOCKET, Sources, User};
use crate::tier::{Backend, Docker};

/// The interface of Docker 20.10, the first in which a container has a namespace of cgroups.
const OLDEST: (u64, u64) = (1, 41);

/// How long a container may take until its launcher has reached us.
const START_MAX: Duration = Duration::from_secs(30);

/// For the launcher itself, and the daemon's runtime until it has become the launcher.
const OWN_BYTES: u64 = 24 << 20;
const OWN_PROCESSES: u32 = 16;

/// For the launcher, which holds a descriptor of everything that the cage shows.
const OPEN_FILES_MIN: u64 = 512;

/// Users of a daemon that has a range of its own for them.
const IN_A_RANGE: (u64, u64) = (40_000, 20_000);

/// Daemons that start containers.
pub(crate) struct Daemons;

#[async_trait]
impl Driver for Daemons {
    async fn installed(&self, backend: &Backend) -> Result<Installed, SandboxError> {
        let Backend::Docker(docker) = backend else {
            let why = "no daemon is named".to_owned();
            return Err(SandboxError::Unavailable { backend: backend.clone(), why });
        };
        let Asked { version, note, enforced, .. } = daemon(docker, backend).await?;
        Ok(Installed { version: Some(version), note: Some(note), enforced })
    }

    fn offers(&self, _backend: &Backend) -> Offers {
        Offers::ALL
    }

    async fn attack(&self, cage: &Cage) -> Result<Attacked, SandboxError> {
        self_test(cage).await
    }

    async fn start(&self, program: &Program, cage: &Cage) -> Result<Running, SandboxError> {
        start(program, cage).await
    }
}

/// Starts the program in a cage in a container.
async fn start(program: &Program, cage: &Cage) -> Result<Running, SandboxError> {
    let mut contained = contain_in_time(program, cage, false).await?;
    match start::started(&mut contained.launched).await {
        Ok(Started { landlock_abi, fds, .. }) => {
            let held = contained.held(cage, landlock_abi);
            Ok(Running::new(contained.launched, fds, cage, &contained.order, held))
        }
        Err(refusal) => {
            contained.launched.end().await;
            Err(refusal.error(cage.backend.clone(), order::name_of(program)))
        }
    }
}

/// The launcher attacks its own cage: each attack and the error number it met, 0 if it succeeded.
async fn self_test(cage: &Cage) -> Result<Attacked, SandboxError> {
    let program = Program { argv: vec!["self-test".into()], env: Default::default(), cwd: None };
    // The time is for the attacks, and a daemon may have to load our image first.
    let cage = &Cage { clocks: cage.clocks.later(Instant::now(), START_MAX), ..cage.clone() };
    let mut contained = contain_in_time(&program, cage, true).await?;
    let (attacks, landlock_abi, _) = start::attacks(&mut contained.launched, &cage.backend).await?;
    Ok((attacks, contained.held(cage, landlock_abi)))
}

/// Asks a daemon what it is. Containers of ours that nobody needs any more are removed.
///
/// # Errors
/// When it does not answer, or is too old.
async fn daemon(docker: &Docker, backend: &Backend) -> Result<Asked, SandboxError> {
    let daemon = Daemon::at(&docker.socket);
    let asked = ask(&daemon, docker, backend).await?;
    leftovers::clear_away(&daemon).await;
    leftovers::clear_away_meetings(&meeting_place(), MEETING);
    Ok(asked)
}

/// A daemon that is there.
struct Asked {
    /// Its name and version.
    version: String,
    /// As whom it runs.
    note: String,
    enforced: Enforced,
    cgroup: Option<CgroupVersion>,
    /// Numbers of users in its containers are others on the host.
    maps_users: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    version: String,
    api_version: String,
    os: String,
    arch: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Info {
    #[serde(default)]
    memory_limit: bool,
    #[serde(default)]
    cpu_cfs_quota: bool,
    #[serde(default)]
    cgroup_version: String,
    #[serde(default)]
    security_options: Option<Vec<String>>,
}

async fn ask(daemon: &Daemon, docker: &Docker, backend: &Backend) -> Result<Asked, SandboxError> {
    let unavailable = |why: String| SandboxError::Unavailable { backend: backend.clone(), why };
    let silent = |refused: Refused| {
        let why = io::Error::from(refused);
        unavailable(format!(
            "no daemon answers at `{}`: {why}; `apt-get install docker.io`, start `dockerd`, or say in `sandbox.docker` \
             where its socket is; AECL has to be root or in the group that may talk to it",
            docker.socket.display()
        ))
    };
    let version: Version = daemon.ask("GET", "/version", Body::Nothing).await.map_err(silent)?;
    let said = format!("docker {}", crate::collected::shown(version.version.as_bytes()));
    if (version.os.as_str(), version.arch.as_str()) != ("linux", ARCHITECTURE) {
        return Err(unavailable(format!(
            "{said} holds programs of `{}` on `{}`, not ours",
            version.os, version.arch
        )));
    }
    if interface(&version.api_version) < Some(OLDEST) {
        let (major, minor) = OLDEST;
        return Err(unavailable(format!(
            "{said} is too old: its interface is {}, and {major}.{minor} (Docker 20.10) is the first that is taken, \
             because before that a container sees the cgroups of the host",
            crate::collected::shown(version.api_version.as_bytes())
        )));
    }
    let info: Info = daemon.ask("GET", "/info", Body::Nothing).await.map_err(silent)?;
    let options = info.security_options.unwrap_or_default();
    let has = |option: &str| options.iter().any(|text| text.split(',').any(|word| word == option));
    let (rootless, remaps) = (has("name=rootless"), has("name=userns"));
    let note = match (rootless, remaps) {
        (true, _) => "the daemon is an ordinary user",
        (false, true) => "the daemon is root and maps the users of containers",
        (false, false) => "the daemon is root, so whoever may talk to it is root",
    };
    Ok(Asked {
        version: said,
        note: note.into(),
        enforced: Enforced { memory: info.memory_limit, cpu: info.cpu_cfs_quota },
        cgroup: match info.cgroup_version.as_str() {
            "1" => Some(CgroupVersion::V1),
            "2" => Some(CgroupVersion::V2),
            _ => None,
        },
        maps_users: rootless || remaps,
    })
}

fn interface(version: &str) -> Option<(u64, u64)> {
    let (major, minor) = version.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// A launcher in a container that has its order.
struct Contained {
    launched: Launched,
    order: Order,
    daemon: Asked,
    user: HostUser,
    owners_mapped: bool,
}

impl Contained {
    fn held(&self, cage: &Cage, landlock_abi: u64) -> AppliedSandbox {
        AppliedSandbox {
            backend: cage.backend.clone(),
            user: self.user,
            runtime: Some(self.daemon.version.clone()),
            landlock_abi: u32::try_from(landlock_abi).ok().filter(|abi| *abi > 0),
            cgroup: self.daemon.cgroup,
            owners_mapped: self.owners_mapped,
            image: cage.image.as_ref().map(|image| image.digest().clone()),
            limits: cage.limits,
        }
    }
}

/// The clocks run while a container is made. What was made is removed when they have run out.
async fn contain_in_time(program: &Program, cage: &Cage, self_test: bool) -> Result<Contained, SandboxError> {
    let begun = Instant::now();
    let (left, level) = cage.clocks.deadline();
    let late = |_| {
        let why = format!("the deadline of its {level} was over before the daemon had done its part");
        step("waiting for a container")(io::Error::new(io::ErrorKind::TimedOut, why))
    };
    timeout(left, contain(program, cage, begun, self_test)).await.map_err(late).flatten()
}

async fn contain(
    program: &Program,
    cage: &Cage,
    begun: Instant,
    self_test: bool,
) -> Result<Contained, SandboxError> {
    let Backend::Docker(docker) = &cage.backend else {
        return Err(SandboxError::BadCage(format!("`{}` is no daemon", cage.backend)));
    };
    let order = order::plan_anywhere(program, cage)?;
    refuse_ways_out(&cage.views, &docker.socket)?;
    let daemon = Daemon::at(&docker.socket);
    let asked = ask(&daemon, docker, &cage.backend).await?;
    refuse_what_it_cannot(&asked, cage)?;
    let (own, contained_as) = users(&asked)?;
    let mut order = Order { user: contained_as, self_test, sources: Sources::Given, ..order };
    tree::plan(&mut order, &cage.views, cage.image.as_ref())?;
    let (control, caller, mut container) = reach(&daemon, &order, &cage.limits).await?;
    if own.separate && !asked.maps_users && u64::from(caller.uid) != order.user.outside_uid {
        let who = format!("user {} came instead of its launcher", caller.uid);
        return Err(step("waiting for a container")(io::Error::other(who)));
    }
    let user = match caller.uid {
        uid if uid == geteuid().as_raw() => HostUser::Ours,
        uid => HostUser::Separate { uid },
    };
    let finder = User {
        outside_uid: if own.separate { caller.uid.into() } else { own.outside_uid },
        outside_gid: if own.separate { caller.gid.into() } else { own.outside_gid },
        ..own
    };
    let (shown, mut owners_mapped) = find(&order, finder, cage).await?;
    // Where nobody else is to be made, no owner is another.
    owners_mapped &= own.separate || user == HostUser::Ours;
    let (pipes, theirs) = Pipes::new().map_err(step("making pipes"))?;
    let clocks = cage.clocks.later(begun, Duration::ZERO);
    order.deadline_ns = u64::try_from(clocks.deadline().0.as_nanos()).unwrap_or(u64::MAX);
    send(&control, &order, &theirs, &shown).map_err(step("sending the order"))?;
    let mut launched = Launched::of_caller(control, caller, pipes, clocks);
    // The daemon ends what is frozen, or what is somebody whom we may not kill.
    launched.when_late(move || {
        container.is_left_alone = false;
        drop(container);
    });
    Ok(Contained { launched, order, daemon: asked, user, owners_mapped })
}

fn refuse_what_it_cannot(asked: &Asked, cage: &Cage) -> Result<(), SandboxError> {
    let Enforced { memory, cpu } = asked.enforced;
    let no = |limit: &'static str| {
        let why = format!("{} says that it has no such limit", asked.version);
        Err(SandboxError::Unenforceable { limit, why })
    };
    match cage.limits {
        Limits { memory_max_bytes: Some(_), .. } if !memory => no("memory_max_bytes"),
        Limits { cpu_max_millicores: Some(_), .. } if !cpu => no("cpu_max_millicores"),
        _ => Ok(()),
    }
}

/// Who we can make somebody on the host, and who the container's processes are, by the daemon's numbers.
fn users(asked: &Asked) -> Result<(User, User), SandboxError> {
    let own = user::choose()?;
    let contained = match (asked.maps_users, geteuid().is_root() && !own.separate) {
        (true, _) => user::one_of(IN_A_RANGE),
        // Root of a namespace with nobody to give. The daemon has.
        (false, true) => user::one_of(user::NOBODYS),
        (false, false) => (own.outside_uid, own.outside_gid),
    };
    let (outside_uid, outside_gid) = contained;
    // There it is an ordinary user, who maps itself.
    let contained = User { outside_uid, outside_gid, separate: false, ..own.clone() };
    Ok((own, contained))
}

/// Starts a container, and waits until its launcher has come to us. From then on the container ends with the
/// connection.
async fn reach(
    daemon: &Daemon,
    order: &Order,
    limits: &Limits,
) -> Result<(Control, Caller, Container), SandboxError> {
    let image = image::ensure(daemon).await.map_err(refused("giving the daemon our launcher"))?;
    let mut meeting = Meeting::arrange().map_err(step("making a place to meet"))?;
    let config = |image: &str| config(image, order, limits, &meeting);
    let container = match create(daemon, config(&image)).await {
        // Somebody has removed the image since.
        Err(gone) if gone.is_not_found() => {
            let image = image::ensure(daemon).await.map_err(refused("giving the daemon our launcher"))?;
            create(daemon, config(&image)).await
        }
        other => other,
    };
    let mut container = container.map_err(refused("making a container"))?;
    let start = format!("/containers/{}/start", container.id);
    daemon.send("POST", &start, Body::Nothing).await.map_err(refused("starting a container"))?;
    let caller = timeout(START_MAX, meeting.caller_from(&container)).await;
    let late =
        || io::Error::other(format!("its launcher did not reach AECL within {} s", START_MAX.as_secs()));
    let came = caller.map_err(|_| late()).flatten().map_err(step("waiting for a container"))?;
    container.is_left_alone = true;
    let (control, caller) = came;
    Ok((control, caller, container))
}

/// A container that is removed when this is dropped, unless it looks after itself.
struct Container {
    daemon: Daemon,
    id: String,
    is_left_alone: bool,
}

impl Drop for Container {
    fn drop(&mut self) {
        if let (false, Ok(runtime)) = (self.is_left_alone, tokio::runtime::Handle::try_current()) {
            let (daemon, id) = (self.daemon.clone(), std::mem::take(&mut self.id));
            runtime.spawn(async move { leftovers::remove(&daemon, &id).await });
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Waited {
    status_code: i64,
}

/// Made to its end even if nobody waits for it any more: only the answer says what to remove.
async fn create(daemon: &Daemon, config: Value) -> Result<Container, Refused> {
    let daemon = daemon.clone();
    let made = tokio::spawn(async move {
        let name = format!("aecl-{}", random::<16>().map_err(Refused::Broken)?);
        let path = format!("/containers/create?name={name}");
        let made = daemon.ask("POST", &path, Body::Json(config)).await;
        if let Err(Refused::Broken(_)) = &made {
            // It may have been made all the same, or is about to be.
            leftovers::remove(&daemon, &name).await;
        }
        let Created { id } = made?;
        Ok(Container { daemon, id, is_left_alone: false })
    });
    made.await.map_err(|error| Refused::Broken(io::Error::other(error)))?
}

/// A container with nothing in it but our launcher: no right, no network, nothing to write to.
fn config(image: &str, order: &Order, limits: &Limits, meeting: &Meeting) -> Value {
    let memory = limits.memory_max_bytes.map_or(0, |max| max.saturating_add(OWN_BYTES));
    const PERIOD_US: u32 = 100_000;
    const QUOTA_MIN_US: u64 = 1_000;
    let quota = limits.cpu_max_millicores.map(|cores| u64::from(cores) * u64::from(PERIOD_US) / 1_000);
    json!({
        "Image": image,
        "Entrypoint": [image::PROGRAM],
        "Cmd": ["contained", meeting.word],
        "WorkingDir": "/",
        "Env": [],
        "User": format!("{}:{}", order.user.outside_uid, order.user.outside_gid),
        "NetworkDisabled": true,
        "Labels": leftovers::labels(),
        "HostConfig": {
            "AutoRemove": true,
            "NetworkMode": "none",
            "ReadonlyRootfs": true,
            "Mounts": [{ "Type": "bind", "Source": meeting.socket(), "Target": SOCKET, "ReadOnly": true }],
            "CapDrop": ["ALL"],
            // The launcher may make namespaces and mount in them. What it holds may not: it has our locks. Parts of
            // `/proc` that are masked in a container would keep the cage from having a new one of its own.
            "SecurityOpt": ["no-new-privileges", "seccomp=unconfined", "apparmor=unconfined", "label=disable"],
            "MaskedPaths": [],
            "ReadonlyPaths": [],
            "IpcMode": "private",
            "CgroupnsMode": "private",
            "LogConfig": { "Type": "none" },
            "Memory": memory,
            "MemorySwap": memory,
            "CpuPeriod": quota.map_or(0, |_| PERIOD_US),
            "CpuQuota": quota.map_or(0, |quota| quota.max(QUOTA_MIN_US)),
            "PidsLimit": limits.processes_max.saturating_add(OWN_PROCESSES),
            "Ulimits": ulimits(order),
        },
    })
}

/// What the launcher is to set for the program, it has to be allowed itself.
fn ulimits(order: &Order) -> Vec<Value> {
    let named = [
        (Resource::Core, "core", 0),
        (Resource::Nofile, "nofile", OPEN_FILES_MIN),
        (Resource::Memlock, "memlock", 0),
        (Resource::Msgqueue, "msgqueue", 0),
        (Resource::Sigpending, "sigpending", 0),
    ];
    let of = |of| order.rlimits.iter().find(|(resource, _)| *resource == order::limit_number(of));
    let set = named.into_iter().filter_map(|(resource, name, least)| {
        let limit = i64::try_from(of(resource)?.1.max(least)).unwrap_or(i64::MAX);
        Some(json!({ "Name": name, "Soft": limit, "Hard": limit }))
    });
    set.collect()
}

/// A directory of ours with a socket in it, which is removed as soon as the launcher has come.
struct Meeting {
    dir: PathBuf,
    /// Until somebody waits there.
    door: Option<Door>,
    word: String,
}

/// How directories are named where launchers come to.
const MEETING: &str = "aecl-docker-";

impl Meeting {
    fn arrange() -> io::Result<Self> {
        let dir = loop {
            let dir = meeting_place().join(format!("{MEETING}{}-{}", std::process::id(), random::<8>()?));
            match DirBuilder::new().mode(0o700).create(&dir) {
                // Somebody's who had our number, and perhaps another user's.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => break made.map(|()| dir)?,
            }
        };
        let mut meeting = Self { dir, door: None, word: random::<32>()? };
        let socket = meeting.socket();
        meeting.door = Some(Door::open(&socket, meeting.word.clone())?);
        // The launcher is another user. The directory is ours, and who gets as far as this without being the launcher
        // does not know the word.
        fs::set_permissions(&socket, Permissions::from_mode(0o666))?;
        Ok(meeting)
    }

    fn socket(&self) -> PathBuf {
        self.dir.join("socket")
    }

    /// Waits until the container's launcher has come, or never will.
    async fn caller_from(&mut self, container: &Container) -> io::Result<(Control, Caller)> {
        let Some(door) = self.door.take() else { return Err(io::ErrorKind::NotConnected.into()) };
        let path = format!("/containers/{}/wait", container.id);
        let ended = container.daemon.ask::<Waited>("POST", &path, Body::Nothing);
        tokio::select! {
            caller = door.caller() => caller,
            ended = ended => {
                let how = ended.map_or_else(|refused| io::Error::from(refused).to_string(), |ended| {
                    format!("ended with {}", ended.status_code)
                });
                Err(io::Error::other(format!(
                    "its launcher did not reach AECL: {how}; the daemon has to be on this host and to see `{}`",
                    self.dir.display()
                )))
            }
        }
    }
}

impl Drop for Meeting {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Where launchers and we meet. Where a service has a `/tmp` of its own, the daemon sees another.
fn meeting_place() -> PathBuf {
    let is_roots = geteuid().is_root() && Path::new("/run").is_dir();
    if is_roots { PathBuf::from("/run") } else { std::env::temp_dir() }
}

/// So many bytes that nobody can guess, in hexadecimal digits.
fn random<const BYTES: usize>() -> io::Result<String> {
    let mut bytes = [0; BYTES];
    io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Refuses views that lead to the daemon, and so to the rights of root, or to where launchers come to. To open a
/// socket takes no right to write.
fn refuse_ways_out(views: &[View], socket: &Path) -> Result<(), SandboxError> {
    let place = meeting_place();
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let ends = [socket.to_owned(), real(socket), real(&place), place];
    for View { source, .. } in views {
        let leads_out = |source: &Path| {
            let is_meeting = source.ancestors().any(|part| {
                part.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(MEETING.as_bytes()))
            });
            is_meeting || ends.iter().any(|end| end.starts_with(source))
        };
        if leads_out(source) || leads_out(&real(source)) {
            return Err(SandboxError::BadCage(format!(
                "the view `{}` leads to the daemon's socket or to where its launchers reach AECL; show less of it",
                source.display()
            )));
        }
    }
    Ok(())
}

/// What the cage shows, found by a launcher on the host, and whether owners are mapped.
async fn find(order: &Order, user: User, cage: &Cage) -> Result<(Vec<OwnedFd>, bool), SandboxError> {
    let wanted = Order {
        user,
        mounts: order.mounts.clone(),
        deadline_ns: order.deadline_ns,
        sources: Sources::HandedOut,
        ..Order::default()
    };
    let mut finder = start::launch(&wanted, Level::Call, &[])?;
    let (mut shown, mut all_mapped) = (Vec::new(), true);
    let failed = loop {
        match finder.next().await {
            Ok(Some((Report::Found { owners_mapped }, fds))) => {
                all_mapped &= owners_mapped;
                shown.extend(fds);
            }
            Ok(Some((Report::Failed { step, errno }, _))) => {
                break Some(start::failed(cage.backend.clone(), "", &step, errno));
            }
            Ok(_) => break None,
            Err(error) => break Some(step("running the launcher")(error)),
        }
    };
    finder.end().await;
    match failed {
        Some(error) => Err(error),
        None if shown.len() == wanted.mounts.len() => Ok((shown, all_mapped)),
        None => Err(step("running the launcher")(io::Error::other("it ended early"))),
    }
}

fn send(control: &Control, order: &Order, pipes: &[OwnedFd; 3], shown: &[OwnedFd]) -> io::Result<()> {
    let paper = order::paper(&order.encode())?;
    let [stdin, stdout, stderr] = pipes;
    control.send(b"order", &[paper.as_fd(), stdin.as_fd(), stdout.as_fd(), stderr.as_fd()])?;
    for some in shown.chunks(FDS_IN_ONE) {
        control.send(b"shown", &some.iter().map(AsFd::as_fd).collect::<Vec<_>>())?;
    }
    Ok(())
}

fn step(step: &'static str) -> impl Fn(io::Error) -> SandboxError {
    move |source| SandboxError::Setup { step: step.into(), source }
}

fn refused(step: &'static str) -> impl Fn(Refused) -> SandboxError {
    move |refused| SandboxError::Setup { step: step.into(), source: refused.into() }
}
