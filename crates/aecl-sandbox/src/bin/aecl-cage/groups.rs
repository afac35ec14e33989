//! The cage's cgroups: made, joined, counted and removed by the watcher, in version 1 and 2 alike.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use crate::wire::{Group, MemoryEvents};
use crate::{Fault, Step, sys};

/// How often a directory that is still busy is tried again, a millisecond apart.
const TRIES: u32 = 200;

#[derive(Default)]
pub struct Groups {
    dirs: Vec<PathBuf>,
    memory: Option<(PathBuf, MemoryEvents)>,
    /// Readable as soon as memory has run out, in version 1. In version 2 the kernel kills the whole group.
    pub out_of_memory: Option<OwnedFd>,
}

impl Groups {
    /// Makes the group of version 2, if one was ordered: the cage's first process is born into it.
    pub fn birthplace(&mut self, orders: &[Group]) -> Result<Option<OwnedFd>, Fault> {
        let Some(order) = orders.iter().find(|order| !is_joined(order)) else { return Ok(None) };
        self.add(order)?;
        File::open(path(&order.dir)).map(|dir| Some(dir.into())).step("opening the cgroup")
    }

    /// Makes the groups of version 1, which the cage's first process [joins](join).
    pub fn make_joined(&mut self, orders: &[Group]) -> Result<(), Fault> {
        orders.iter().filter(|order| is_joined(order)).try_for_each(|order| self.add(order))
    }

    fn add(&mut self, order: &Group) -> Result<(), Fault> {
        let dir = path(&order.dir);
        fs::create_dir(&dir).step(&format!("making the cgroup `{}`", dir.display()))?;
        self.dirs.push(dir.clone());
        for (name, value) in &order.settings {
            let file = dir.join(path(name));
            set(&file, value).step(&format!("setting `{}`", file.display()))?;
        }
        match order.memory {
            MemoryEvents::Elsewhere => {}
            MemoryEvents::V1 => {
                self.out_of_memory = Some(notice(&dir).step("watching memory")?);
                self.memory = Some((dir.join("memory.oom_control"), order.memory));
            }
            MemoryEvents::V2 => self.memory = Some((dir.join("memory.events"), order.memory)),
        }
        Ok(())
    }

    /// How many processes the kernel killed because memory ran out.
    pub fn oom_kills(&self) -> u64 {
        let Some((file, _)) = &self.memory else { return 0 };
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok()).unwrap_or(0)
    }

    /// Removes the directories once they are empty.
    pub fn remove(&self) {
        for dir in self.dirs.iter().rev() {
            for _ in 0..TRIES {
                match remove_with_what_is_below(dir) {
                    Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => {
                        sleep(Duration::from_millis(1))
                    }
                    // Gone, or not ours to remove; the supervisor looks after us.
                    Ok(()) | Err(_) => break,
                }
            }
        }
    }
}

/// Joins the groups of version 1, called by the cage's first process for itself. A process that writes `0` moves
/// without the lock over all groups for which everybody else's move waits, some milliseconds each.
pub fn join(orders: &[Group]) -> Result<(), Fault> {
    for dir in orders.iter().filter(|order| is_joined(order)).map(|order| path(&order.dir)) {
        set(&dir.join("tasks"), b"0").step(&format!("joining the cgroup `{}`", dir.display()))?;
    }
    Ok(())
}

/// What is held may have made groups of its own.
fn remove_with_what_is_below(dir: &Path) -> std::io::Result<()> {
    let removed = fs::remove_dir(dir);
    if !removed.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::ResourceBusy) {
        return removed;
    }
    for entry in fs::read_dir(dir)?.flatten() {
        if entry.file_type()?.is_dir() {
            remove_with_what_is_below(&entry.path())?;
        }
    }
    fs::remove_dir(dir)
}

/// Whether it is of version 1, and so is the directory in which it is to be.
fn is_joined(order: &Group) -> bool {
    path(&order.dir).parent().is_some_and(|home| home.join("tasks").exists())
}

fn set(file: &Path, value: &[u8]) -> std::io::Result<()> {
    OpenOptions::new().write(true).open(file)?.write_all(value)
}

fn notice(dir: &Path) -> std::io::Result<OwnedFd> {
    let event = sys::eventfd()?;
    let control = File::open(dir.join("memory.oom_control"))?;
    let line = format!("{} {}", event.as_raw_fd(), control.as_raw_fd());
    set(&dir.join("cgroup.event_control"), line.as_bytes())?;
    Ok(event)
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}
