//! Holding a program of the operator's that builds cages itself: a container runtime, a machine monitor.
//!
//! It keeps our rights and sees the host's files, so it can do its work. What our launcher gives it is an end:
//! namespaces of processes, mounts, network, IPC and names, cgroups with its limits and everything that it
//! starts in them, a deadline, pipes. When it is over, whoever ends it, no process, mount, cgroup or file of it
//! is left.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::process::{getegid, geteuid};

use super::launched::Launched;
use super::order::{has_zero, port};
use super::start::{Started, launch, started};
use crate::cage::Network;
use crate::deadline::Clocks;
use crate::error::SandboxError;
use crate::host::cgroup;
use crate::host::name::bytes;
use crate::protocol::wire::{self, Order, User};
use crate::tier::Backend;

pub(crate) use crate::host::cgroup::Shared;

/// A program of the operator's, and what it gets.
pub(crate) struct HeldProgram {
    /// For whom it works. Errors name it.
    pub(crate) backend: Backend,
    /// The executable (a path, or a name that is looked up in the `PATH` of `env`) and its arguments.
    pub(crate) argv: Vec<String>,
    /// All variables that it gets.
    pub(crate) env: BTreeMap<String, String>,
    /// Where it starts.
    pub(crate) cwd: PathBuf,
    /// Who it is on the host, uid and gid, without any capability; as we are when absent. An ordinary user is
    /// root of its own namespace of users and cannot name anybody here.
    pub(crate) user: Option<(u32, u32)>,
    /// Limits that it and all it starts share, each enforced or refused. Its own needs come on top of what its
    /// guest may use: a runtime in Go wants some 15 threads and 50 MiB.
    pub(crate) limits: Shared,
    /// Resource limits, by number. A core dump of zero bytes is one that is always wanted.
    pub(crate) rlimits: Vec<(u64, u64)>,
    /// When it ends.
    pub(crate) clocks: Clocks,
    /// A network of its own with nothing in it but its loopback, and who listens there.
    pub(crate) network: Network,
    /// What it has open beside its pipes: 3, 4, ...; at most [`FDS_MAX`].
    pub(crate) kept: Vec<OwnedFd>,
    /// A place to write, in memory, that nobody else sees.
    pub(crate) workplace: Option<Workplace>,
    /// The files of a cage that it builds, put together where it expects them.
    pub(crate) tree: Option<Tree>,
    /// Directories of the host that are empty for it.
    pub(crate) hidden: Vec<PathBuf>,
    /// Directories of the host in which it cannot write, nor in what is mounted there.
    pub(crate) read_only: Vec<PathBuf>,
}

/// How many descriptors fit beside our own.
pub(crate) const FDS_MAX: usize = 16;

/// A place to write that is in memory and counts as such.
pub(crate) struct Workplace {
    /// A directory of the host that is covered by it.
    pub(crate) at: PathBuf,
    pub(crate) max_bytes: u64,
    pub(crate) files_max: u64,
    /// What is in it at first, by absolute path below `at`.
    pub(crate) files: Vec<(PathBuf, Vec<u8>)>,
}

/// The files of a cage, as our launcher puts them together for a cage of its own.
pub(crate) struct Tree {
    /// A directory in the workplace.
    pub(crate) at: PathBuf,
    /// Mounts, links, files, scratch space and user of the cage. The rest of the order is of no account.
    pub(crate) order: Order,
}

/// A program that is held. Dropping it ends the program and everything it started.
pub(crate) struct Holding {
    /// Its pipes; [`Launched::kill`] and [`Launched::wait`] end it and tell how it ended.
    pub(crate) launched: Launched,
    /// The socket that listens on its loopback, if one was asked for.
    #[cfg_attr(not(test), allow(dead_code, reason = "container runtimes listen, machines do not"))]
    pub(crate) listener: Option<TcpListener>,
    /// Of a tree: the file for reports, the scratch directory, the layer above each view that has one.
    pub(crate) files: Vec<OwnedFd>,
    /// Of a tree: whether views show their owner as the cage's user.
    pub(crate) owners_mapped: bool,
}

/// Starts it. When this returns, it runs.
///
/// # Errors
/// When it cannot be held as described. It has then not run.
pub(crate) async fn hold(program: HeldProgram) -> Result<Holding, SandboxError> {
    let order = plan(&program)?;
    let mut launched = launch(&order, program.clocks.deadline().1, &program.kept)?;
    match started(&mut launched).await {
        Ok(Started { mut fds, owners_mapped, .. }) => {
            let listens = matches!(program.network, Network::Listener { .. });
            let listener = if listens { fds.pop().map(TcpListener::from) } else { None };
            Ok(Holding { launched, listener, files: fds, owners_mapped })
        }
        Err(refusal) => {
            launched.end().await;
            Err(refusal.error(program.backend, program.argv.first().map_or("", String::as_str)))
        }
    }
}

fn plan(program: &HeldProgram) -> Result<Order, SandboxError> {
    if program.argv.is_empty() {
        return Err(SandboxError::NoProgram);
    }
    if program.kept.len() > FDS_MAX {
        return Err(SandboxError::BadCage(format!("more than {FDS_MAX} descriptors are to be kept open")));
    }
    let (uid, gid) = (geteuid(), getegid());
    let user = User {
        inside: 0,
        outside_uid: u64::from(uid.as_raw()),
        outside_gid: u64::from(gid.as_raw()),
        separate: uid.is_root(),
    };
    if program.user.is_some() && !user.separate {
        return Err(SandboxError::BadCage("only root can hold a program as another user".into()));
    }
    let (deadline, _) = program.clocks.deadline();
    let mut hold = wire::Hold {
        hidden: program.hidden.iter().map(|dir| bytes(dir)).collect(),
        read_only: program.read_only.iter().map(|dir| bytes(dir)).collect(),
        user: program.user.map(|(uid, gid)| (u64::from(uid), u64::from(gid))),
        ..wire::Hold::default()
    };
    if let Some(place) = &program.workplace {
        hold.workplace = bytes(&place.at);
        (hold.workplace_bytes, hold.workplace_inodes) = (place.max_bytes, place.files_max);
        hold.files = place.files.iter().map(|(at, content)| (bytes(at), content.clone())).collect();
    }
    let mut base = Order { user, ..Order::default() };
    if let Some(tree) = &program.tree {
        hold.tree = bytes(&tree.at);
        base = tree.order.clone();
        if !base.user.separate {
            // Who builds a cage is root in there; the first process of the cage becomes its user.
            base.user.inside = 0;
        }
    }
    let order = Order {
        argv: program.argv.iter().map(|word| word.clone().into_bytes()).collect(),
        env: program.env.iter().map(|(name, value)| format!("{name}={value}").into_bytes()).collect(),
        cwd: bytes(&program.cwd),
        groups: cgroup::groups(cgroup::hierarchies(), &program.limits)?,
        rlimits: program.rlimits.clone(),
        deadline_ns: u64::try_from(deadline.as_nanos()).unwrap_or(u64::MAX),
        listener_port: port(program.network)?,
        filters: Vec::new(),
        hold: Some(hold),
        ..base
    };
    if has_zero(&order) {
        return Err(SandboxError::BadCage("an argument, variable or path has a zero byte in it".into()));
    }
    Ok(order)
}

#[cfg(test)]
mod tests;
