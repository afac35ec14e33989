//! Making a bare kernel a place where a cage can be built.

use std::ffi::CStr;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use crate::{Fault, Step, sys};

/// Where the system is that programs see.
pub const IMAGE: &str = "/image";

/// The kind of file system on the disk with what is shown of the host.
const SHOWN_BY: &str = "ext4";

/// What the kernel's command line says to us.
pub struct Settings {
    pub line: Line,
    /// The kind of file system on the first disk; without one, the system is in the start archive.
    filesystem: Option<String>,
    /// The disk with what is shown of the host, if anything is.
    shown: Option<String>,
}

pub enum Line {
    Serial,
    Vsock,
}

/// Kernel file systems and modules, as far as the line to the host needs them.
pub fn machine() -> Result<Settings, Fault> {
    mount(c"proc", c"/proc", c"proc")?;
    mount(c"sysfs", c"/sys", c"sysfs")?;
    mount(c"devtmpfs", c"/dev", c"devtmpfs")?;
    let settings = settings(&fs::read_to_string("/proc/cmdline").step("reading the command line")?);
    load_modules()?;
    Ok(settings)
}

fn settings(line: &str) -> Settings {
    let value = |name: &str| line.split_whitespace().find_map(|word| word.strip_prefix(name));
    Settings {
        line: if value("aecl.line=") == Some("vsock") { Line::Vsock } else { Line::Serial },
        filesystem: value("aecl.root=").map(str::to_owned),
        shown: value("aecl.shown=").map(str::to_owned),
    }
}

fn mount(source: &CStr, at: &CStr, kind: &CStr) -> Result<(), Fault> {
    let name = at.to_string_lossy().into_owned();
    let _ = fs::create_dir_all(&name);
    let flags = (sys::NOSUID | sys::NOEXEC) as i64;
    sys::mount(source, at, kind, flags, c"").step(&format!("mounting `{name}`"))
}

/// In the order of their names, which the host numbered.
fn load_modules() -> Result<(), Fault> {
    let mut names: Vec<PathBuf> =
        fs::read_dir("/modules").into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    names.sort();
    for path in names {
        let step = format!("loading `{}`", path.display());
        let file = File::open(&path).step(&step)?;
        let packed = path.extension().is_some_and(|end| end != "ko");
        match sys::load_module(file.as_fd(), packed) {
            // Built in, or loaded as part of another.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            other => other.step(&step)?,
        }
    }
    Ok(())
}

/// The final root, with the system in it. The one that the kernel starts with cannot be left by `pivot_root`,
/// as building a cage does.
pub fn root(settings: &Settings) -> Result<(), Fault> {
    let new = Path::new("/new");
    fs::create_dir_all(new).step("making the root")?;
    sys::mount(c"none", c"/new", c"tmpfs", sys::NOSUID as i64, c"size=1m,mode=755")
        .step("making the root")?;
    for dir in ["proc", "sys", "dev", "usr", "image", "shown"] {
        fs::create_dir(new.join(dir)).step("making the root")?;
    }
    image(settings)?;
    if let Some(name) = &settings.shown {
        mount_disk(name, SHOWN_BY, c"/new/shown").step("mounting the disk of the views as `ext4`")?;
    }
    for (from, to) in [(c"/proc", c"/new/proc"), (c"/sys", c"/new/sys"), (c"/dev", c"/new/dev")] {
        sys::mount(from, to, c"none", sys::MS_MOVE, c"").step("moving the kernel's files")?;
    }
    std::env::set_current_dir(new).step("entering the root")?;
    sys::mount(c".", c"/", c"none", sys::MS_MOVE, c"").step("changing the root")?;
    sys::change_root(c".").step("changing the root")?;
    std::env::set_current_dir("/").step("entering the root")?;
    fs::write("/proc/self/oom_score_adj", "-1000").step("standing last in line for the OOM killer")?;
    raise_limits()?;
    groups()
}

/// A small machine starts with small limits. Those of the program are the order's affair.
fn raise_limits() -> Result<(), Fault> {
    const FILES: u64 = 7;
    const FILES_MAX: u64 = 1 << 20;
    // Processes, locked memory, waiting signals, message queues.
    for resource in [6, 8, 11, 12] {
        sys::limit(resource, u64::MAX).step("raising limits")?;
    }
    sys::limit(FILES, FILES_MAX).step("raising limits")
}

/// Mounts the disk, or takes the part of the start archive.
fn image(settings: &Settings) -> Result<(), Fault> {
    let Some(kind) = &settings.filesystem else {
        return sys::mount(c"/image", c"/new/image", c"none", sys::MS_BIND, c"").step("showing the system");
    };
    mount_disk("vda", kind, c"/new/image").step(&format!("mounting the system's disk as `{kind}`"))
}

/// Mounts a disk, as soon as its driver has found it.
fn mount_disk(name: &str, kind: &str, at: &CStr) -> std::io::Result<()> {
    let disk = Path::new("/dev").join(name);
    for _ in 0..500 {
        if disk.exists() {
            break;
        }
        sleep(Duration::from_millis(10));
    }
    let (disk, kind) = (sys::c(disk.as_os_str().as_bytes())?, sys::c(kind.as_bytes())?);
    let flags = (sys::RDONLY | sys::NOSUID | sys::NODEV) as i64;
    sys::mount(&disk, at, &kind, flags, c"")
}

/// Version 2 of cgroups, with the controllers that the order asks for.
fn groups() -> Result<(), Fault> {
    mount(c"cgroup2", c"/sys/fs/cgroup", c"cgroup2")?;
    fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+memory +pids +cpu").step("preparing cgroups")?;
    let home = "/sys/fs/cgroup/aecl";
    fs::create_dir(home).step("preparing cgroups")?;
    fs::write(format!("{home}/cgroup.subtree_control"), "+memory +pids +cpu").step("preparing cgroups")
}
