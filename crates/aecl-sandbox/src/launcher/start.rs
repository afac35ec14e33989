//! A launcher is started, and says that the program runs, or why not.

use std::os::fd::{AsFd, OwnedFd};

use super::control::Control;
use super::fork_server;
use super::launched::{Launched, Pipes};
use super::order::paper;
use crate::deadline::Level;
use crate::ended::{CgroupVersion, HostUser};
use crate::error::SandboxError;
use crate::host::{cgroup, user};
use crate::protocol::wire::{Order, Report};
use crate::tier::Backend;

/// Starts a launcher and hands it its order, with what the program is to keep open.
pub(crate) fn launch(order: &Order, level: Level, kept: &[OwnedFd]) -> Result<Launched, SandboxError> {
    let step =
        |step: &'static str| move |source: std::io::Error| SandboxError::Setup { step: step.into(), source };
    let (pipes, theirs) = Pipes::new().map_err(step("making pipes"))?;
    launch_between(order, level, kept, pipes, theirs)
}

/// The same, with these ends of its three streams.
pub(crate) fn launch_between(
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
