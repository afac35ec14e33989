//! Holding a program that builds cages itself: a container runtime, a machine monitor. It is the operator's
//! and keeps its rights. What it gets of us is an end: it lives in a namespace of processes and in cgroups
//! that die with the launcher, and what it mounts, writes into its workplace or listens on is gone then.

use std::fs;
use std::io::PipeReader;
use std::os::fd::{AsFd, OwnedFd};

use crate::init::{Place, Ready, listen, stay_tied, wait_to_go};
use crate::wire::{Hold, Order};
use crate::{Fault, Step, sys, tree};

/// Prepares the place in which the program is held, from inside of its namespaces.
pub fn prepare(place: Place<'_>, hold: &Hold, go: &PipeReader) -> Result<Ready, Fault> {
    let Place { order, found, launcher } = place;
    wait_to_go(go, order)?;
    fs::write("/proc/self/oom_score_adj", "1000").step("standing first in line for the OOM killer")?;
    sys::umask(0o022);
    sys::fresh_keyring().step("taking a fresh keyring")?;
    tree::make_private()?;
    // Before anything is covered: a view may be of what is below.
    let found = match found {
        None if !hold.tree.is_empty() => Some(tree::find(order)?),
        found => found,
    };
    for dir in &hold.hidden {
        put_over(dir, &[(c"size", c"4k"), (c"nr_inodes", c"2"), (c"mode", c"555")], sys::RDONLY)?;
    }
    for dir in &hold.read_only {
        make_read_only(dir)?;
    }
    // Its own processes are all that it sees. Ours have a secret to lose, and numbers mean others here.
    let flags = (sys::NOSUID | sys::NODEV | sys::NOEXEC) as i64;
    sys::mount(c"proc", c"/proc", c"proc", flags, c"").step("mounting /proc")?;
    make_workplace(hold)?;
    let (scratch, owners_mapped) = put_tree_together(order, hold, found)?;
    let listener = listen(order)?;
    stay_tied(go)?;
    Ok(Ready { launcher: Some(launcher), scratch, listener, landlock_abi: 0, owners_mapped })
}

/// The files of the cage that the program builds, if it builds one.
fn put_tree_together(
    order: &Order,
    hold: &Hold,
    found: Option<tree::Found>,
) -> Result<(Vec<OwnedFd>, bool), Fault> {
    let Some(found) = found.filter(|_| !hold.tree.is_empty()) else {
        return Ok((Vec::new(), false));
    };
    let at = sys::c(&hold.tree).step("mounting the root")?;
    fs::create_dir_all(tree::path(&hold.tree)).step("mounting the root")?;
    let owners_mapped = found.owners_mapped;
    let scratch = tree::put_together(order, found, &at)?;
    std::env::set_current_dir("/").step("leaving the root")?;
    Ok((scratch, owners_mapped))
}

/// Puts an empty file system over a directory. Whether the directory is there.
fn put_over(
    dir: &[u8],
    options: &[(&std::ffi::CStr, &std::ffi::CStr)],
    attributes: u64,
) -> Result<bool, Fault> {
    let step = format!("putting something over `{}`", String::from_utf8_lossy(dir));
    let at = sys::c(dir).step(&step)?;
    if !tree::path(dir).is_dir() {
        return Ok(false);
    }
    let empty = sys::tmpfs(options, attributes | sys::NOSUID | sys::NODEV).step(&step)?;
    sys::move_mount(empty.as_fd(), &at).step(&step)?;
    Ok(true)
}

/// A copy of what is mounted there, restricted, above it: the directory need not be a mount of its own.
fn make_read_only(dir: &[u8]) -> Result<(), Fault> {
    let step = format!("making `{}` read-only", String::from_utf8_lossy(dir));
    let at = sys::c(dir).step(&step)?;
    let seen = match sys::open_path(&at) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.step(&step)?,
    };
    let copy = sys::open_tree(seen.as_fd()).step(&step)?;
    sys::restrict_mount(copy.as_fd(), sys::RDONLY, true).step(&step)?;
    sys::move_mount(copy.as_fd(), &at).step(&step)
}

fn make_workplace(hold: &Hold) -> Result<(), Fault> {
    if hold.workplace.is_empty() {
        return Ok(());
    }
    let (uid, gid) = hold.user.unwrap_or_default();
    let number = |value: u64| sys::c(value.to_string().as_bytes()).step("making the workplace");
    let (size, inodes) = (number(hold.workplace_bytes)?, number(hold.workplace_inodes)?);
    let (uid, gid) = (number(uid)?, number(gid)?);
    // A runtime's cage has users of its own, who have to walk through to its tree.
    let options =
        [(c"size", &*size), (c"nr_inodes", &*inodes), (c"mode", c"711"), (c"uid", &*uid), (c"gid", &*gid)];
    if !put_over(&hold.workplace, &options, 0)? {
        return Err(Fault { step: "making the workplace".into(), errno: 2 });
    }
    for (at, content) in &hold.files {
        let at = tree::path(at);
        let made = at.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(at, content));
        made.step(&format!("writing `{}`", at.display()))?;
    }
    Ok(())
}

/// Becomes somebody without rights, with no way back to any.
pub fn become_user(uid: u64, gid: u64) -> Result<(), Fault> {
    let step = "becoming the program's user";
    sys::drop_groups().step(step)?;
    sys::become_user(uid, gid).step(step)?;
    sys::drop_capabilities().step(step)?;
    sys::no_new_privileges().step(step)
}
