//! A process in namespaces of its own.

use std::fs;
use std::io::{PipeReader, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::exit;

use crate::groups::Groups;
use crate::wire::{Order, User};
use crate::{Fault, Step, sys};

/// Two are missing, which the first process makes for itself: that of cgroups begins where the process is, so it
/// comes after joining; that of the network takes longer than all others, and meanwhile we do our part.
const FIRST: u64 = sys::NEWUSER | sys::NEWPID | sys::NEWNS | sys::NEWIPC | sys::NEWUTS;

/// The cage's first process, seen from outside.
pub struct Child {
    pub pid: i64,
    pub pidfd: OwnedFd,
    /// Closed when we end, however we end: init looks at the other end.
    _alive: std::io::PipeWriter,
}

/// Starts `inside` as the first process of new namespaces. It is told to go when its user is mapped, if the
/// supervisor still wants it to.
pub fn enter(
    order: &Order,
    groups: &mut Groups,
    supervisor: BorrowedFd<'_>,
    inside: impl FnOnce(PipeReader),
) -> Result<Child, Fault> {
    let (wait, go) = std::io::pipe().step("making a pipe")?;
    let step = "making namespaces";
    // Who is held keeps the rights that we have. Those of root reach further than a namespace of users.
    let keeps_user = order.hold.is_some() && order.user.separate;
    let namespaces = if keeps_user { FIRST & !sys::NEWUSER } else { FIRST };
    let birthplace = groups.birthplace(&order.groups)?;
    let Some((pid, pidfd)) = sys::clone3(namespaces, birthplace.as_ref().map(AsFd::as_fd)).step(step)? else {
        drop(go);
        inside(wait);
        exit(1);
    };
    drop(wait);
    let mut child = Child { pid, pidfd, _alive: go };
    let mapped = if keeps_user { Ok(()) } else { map_user(pid, &order.user) };
    let released = mapped
        .and_then(|()| groups.make_joined(&order.groups))
        .and_then(|()| still_wanted(supervisor))
        // Not before the user is mapped: the files of a process that hides are root's.
        .and_then(|()| sys::hide_from_ptrace().step("hiding from ptrace"))
        .and_then(|()| child._alive.write_all(b"g").step("releasing the cage"));
    if let Err(fault) = released {
        // Killed and reaped here, so that the caller finds the cgroups empty.
        let _ = sys::signal_pidfd(child.pidfd.as_fd(), sys::SIGKILL);
        let _ = sys::wait(pid);
        return Err(fault);
    }
    Ok(child)
}

/// Whoever gave an order has nothing else to say before it is carried out, but that it is not to be.
fn still_wanted(supervisor: BorrowedFd<'_>) -> Result<(), Fault> {
    const CANCELED: i32 = 125;
    match sys::poll([Some(supervisor)], 0).step("looking for the supervisor")? {
        [false] => Ok(()),
        [true] => Err(Fault { step: "looking for the supervisor".into(), errno: CANCELED }),
    }
}

fn map_user(pid: i64, user: &User) -> Result<(), Fault> {
    let write =
        |name: &str, text: String| fs::write(format!("/proc/{pid}/{name}"), text).step("mapping the user");
    if !user.separate {
        // The kernel lets an ordinary user map its own group only after this.
        write("setgroups", "deny".into())?;
    }
    write("gid_map", format!("{} {} 1", user.inside, user.outside_gid))?;
    write("uid_map", format!("{} {} 1", user.inside, user.outside_uid))
}

/// Becomes this user in a namespace of users of its own.
pub fn become_user(user: &User) -> Result<(), Fault> {
    sys::user_namespace().step("making namespaces")?;
    let write =
        |name: &str, text: String| fs::write(format!("/proc/self/{name}"), text).step("mapping the user");
    // A kernel in user space has no such file. Where it is needed, the next step fails without it.
    let _ = write("setgroups", "deny".into());
    write("gid_map", format!("{} {} 1", user.inside, user.outside_gid))?;
    write("uid_map", format!("{} {} 1", user.inside, user.outside_uid))
}

/// A user namespace in which one owner of files is one user of the cage. Nothing runs in it.
pub fn owner_map(owner: (u32, u32), user: &User) -> Result<OwnedFd, Fault> {
    let step = "mapping owners";
    let (wait, go) = std::io::pipe().step(step)?;
    let Some((pid, _pidfd)) = sys::clone3(sys::NEWUSER, None).step(step)? else {
        drop(go);
        let _ = std::io::Read::read(&mut &wait, &mut [0]);
        exit(0);
    };
    drop(wait);
    let write = |name: &str, text: String| fs::write(format!("/proc/{pid}/{name}"), text);
    let made = write("gid_map", format!("{} {} 1", owner.1, user.outside_gid))
        .and_then(|()| write("uid_map", format!("{} {} 1", owner.0, user.outside_uid)))
        .and_then(|()| fs::File::open(format!("/proc/{pid}/ns/user")));
    drop(go);
    let _ = sys::wait(pid);
    made.map(OwnedFd::from).step(step)
}
