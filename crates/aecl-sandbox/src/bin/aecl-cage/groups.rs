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

pub struct Groups {
    dirs: Vec<PathBuf>,
    memory: Option<(PathBuf, MemoryEvents)>,
    /// Readable as soon as memory has run out, in version 1. In version 2 the kernel kills the whole group.
    pub out_of_memory: Option<OwnedFd>,
}

impl Groups {
    pub fn make(orders: &[Group]) -> Result<Self, Fault> {
        let mut groups = Self { dirs: Vec::new(), memory: None, out_of_memory: None };
        match orders.iter().try_for_each(|order| groups.add(order)) {
            Ok(()) => Ok(groups),
            Err(fault) => {
                groups.remove();
                Err(fault)
            }
        }
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

    pub fn join(&self, pid: i64) -> Result<(), Fault> {
        for dir in &self.dirs {
            set(&dir.join("cgroup.procs"), pid.to_string().as_bytes())
                .step(&format!("joining the cgroup `{}`", dir.display()))?;
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
                match fs::remove_dir(dir) {
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
