//! What every machine has, whatever monitor runs it.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::archive::Archive;
use super::descriptor::sealed;
use super::shared_files::Disk;
use crate::cage::{Cage, Limits};
use crate::error::SandboxError;
use crate::host::name::numbered;
use crate::launcher::embedded;
use crate::machine::{Acceleration, Firecracker, Machine, Qemu};
use crate::tier::Backend;

/// What a kernel needs for itself, on top of what its program may use.
const KERNEL_BYTES: u64 = 64 << 20;

/// What is read into memory at once: a kernel, a module. Disks stay where they are.
const IN_MEMORY_MAX_BYTES: u64 = 256 << 20;

/// Who runs a machine.
#[derive(Clone, Copy)]
pub(super) enum Monitor<'a> {
    Qemu(&'a Qemu),
    Firecracker(&'a Firecracker),
}

impl<'a> Monitor<'a> {
    pub(super) fn of(cage: &'a Cage) -> Result<Self, SandboxError> {
        match &cage.backend {
            Backend::Qemu(qemu) => Ok(Self::Qemu(qemu.as_ref())),
            Backend::Firecracker(firecracker) => Ok(Self::Firecracker(firecracker.as_ref())),
            other => Err(SandboxError::BadCage(format!("`{other}` runs no machines"))),
        }
    }
}

impl Monitor<'_> {
    pub(super) fn machine(&self) -> &Machine {
        match self {
            Self::Qemu(qemu) => &qemu.machine,
            Self::Firecracker(firecracker) => &firecracker.machine,
        }
    }

    pub(super) fn program(&self) -> &Path {
        match self {
            Self::Qemu(qemu) => &qemu.program,
            Self::Firecracker(firecracker) => &firecracker.program,
        }
    }

    pub(super) fn program_sha256(&self) -> Option<&str> {
        match self {
            Self::Qemu(qemu) => qemu.program_sha256.as_deref(),
            Self::Firecracker(firecracker) => firecracker.program_sha256.as_deref(),
        }
    }

    pub(super) fn backend(&self) -> Backend {
        match *self {
            Self::Qemu(qemu) => Backend::Qemu(Box::new(qemu.clone())),
            Self::Firecracker(firecracker) => Backend::Firecracker(Box::new(firecracker.clone())),
        }
    }

    /// Whether the processor executes the machine's code.
    pub(super) fn by_kvm(&self) -> bool {
        match self {
            Self::Qemu(qemu) => qemu.acceleration == Acceleration::Kvm,
            Self::Firecracker(_) => true,
        }
    }
}

/// How large a machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) memory_mib: u64,
    pub(super) processors: u64,
}

impl Size {
    pub(super) fn of(limits: &Limits) -> Self {
        let memory = limits.memory_max_bytes.unwrap_or_default().saturating_add(KERNEL_BYTES);
        let here = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
        let asked =
            limits.cpu_max_millicores.map_or(here, |millicores| u64::from(millicores.div_ceil(1_000)));
        Self { memory_mib: memory.div_ceil(1 << 20), processors: asked.clamp(1, here.min(32)) }
    }
}

/// The files of a machine, open and looked at. Kernel and archive are in memory, where nobody changes them.
pub(super) struct Parts {
    kernel: Arc<OwnedFd>,
    archive: Arc<OwnedFd>,
    root: File,
    /// What is shown of the host, if anything.
    pub(super) shown: Option<Disk>,
}

impl Parts {
    /// The numbers under which the monitor has them.
    pub(super) const KERNEL: u32 = 3;
    pub(super) const ARCHIVE: u32 = 4;
    pub(super) const ROOT: u32 = 5;
    pub(super) const SHOWN: u32 = 6;

    /// Reads files, so it belongs where blocking is allowed.
    ///
    /// # Errors
    /// When a file cannot be read or is not the one that was pinned, in words.
    pub(super) fn of(machine: &Machine) -> Result<Self, String> {
        type Known = HashMap<Machine, (Arc<OwnedFd>, Arc<OwnedFd>)>;
        static KNOWN: OnceLock<Mutex<Known>> = OnceLock::new();
        let root = machine.root.open()?;
        let known = KNOWN.get_or_init(Mutex::default);
        let found = known.lock().unwrap_or_else(PoisonError::into_inner).get(machine).cloned();
        let (kernel, archive) = match found {
            Some(parts) => parts,
            None => {
                let unsealed = |error: io::Error| format!("no memory for a kernel: {error}");
                let kernel =
                    sealed("kernel", &machine.kernel.read(IN_MEMORY_MAX_BYTES)?).map_err(unsealed)?;
                let archive = sealed("archive", &archive(machine)?).map_err(unsealed)?;
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                known.insert(machine.clone(), (kernel.clone(), archive.clone()));
                (kernel, archive)
            }
        };
        Ok(Self { kernel, archive, root, shown: None })
    }

    /// To be kept open for the monitor, in the order of the numbers.
    pub(super) fn descriptors(&self) -> io::Result<Vec<OwnedFd>> {
        let shown = self.shown.as_ref().map(|disk| disk.file.as_fd());
        [self.kernel.as_fd(), self.archive.as_fd(), self.root.as_fd()]
            .into_iter()
            .chain(shown)
            .map(|fd| fd.try_clone_to_owned())
            .collect()
    }

    /// Whether somebody who owns nothing may open the disk again by its number.
    pub(super) fn root_is_public(&self) -> bool {
        self.root.metadata().is_ok_and(|about| about.mode() & 0o004 != 0)
    }
}

/// By what path a monitor opens a descriptor that it has.
pub(super) fn by_number(number: u32) -> String {
    format!("/proc/self/fd/{number}")
}

/// What the kernel is told: to say nothing to anybody, to end the machine when it cannot go on, to have
/// landlock and not to test itself before it starts; and what the agent has to know.
pub(super) fn command_line(machine: &Machine, shows: bool, line: &str, more: &str) -> String {
    // By the order in which a monitor is told of its disks.
    let shown = if shows { "aecl.shown=vdb " } else { "" };
    let filesystem = &machine.root_filesystem;
    format!(
        "quiet loglevel=0 panic=-1 reboot=k lsm=landlock cryptomgr.notests 8250.nr_uarts=0 i8042.noaux \
         i8042.nomux random.trust_cpu=on aecl.line={line} aecl.root={filesystem} {shown}{more}"
    )
}

fn archive(machine: &Machine) -> Result<Vec<u8>, String> {
    if !is_static(embedded::LAUNCHER) {
        return Err(
            "the agent was built without a static C library (`libc.a`), so no machine can start it; \
                    install that (`libc6-dev`) and build AECL again"
                .into(),
        );
    }
    let mut archive = Archive::default();
    archive.file("init", embedded::LAUNCHER);
    archive.directory("modules");
    for (number, module) in machine.modules.iter().enumerate() {
        let name = module.path.file_name().unwrap_or_default().to_string_lossy();
        archive.file(&format!("modules/{number:03}-{name}"), &module.read(IN_MEMORY_MAX_BYTES)?);
    }
    Ok(archive.finish())
}

/// Whether a program asks for no interpreter.
fn is_static(elf: &[u8]) -> bool {
    const INTERPRETER: [u8; 4] = [3, 0, 0, 0];
    let number = |at: usize, length: usize| {
        elf.get(at..at + length)?
            .iter()
            .rev()
            .try_fold(0_usize, |sum, byte| sum.checked_mul(256)?.checked_add(usize::from(*byte)))
    };
    let headers = || Some((number(32, 8)?, number(54, 2)?, number(56, 2)?));
    let Some((offset, size, count)) = headers() else { return false };
    (0..count).all(|index| elf.get(offset + index * size..offset + index * size + 4) != Some(&INTERPRETER))
}

/// A directory for the sockets of one machine. It goes with the machine.
#[derive(Debug)]
pub(super) struct Place(PathBuf);

const PREFIX: &str = "aecl-machine-";

impl Place {
    /// `owner` is the monitor's user and group, where that is not ours.
    pub(super) fn make(owner: Option<(u32, u32)>) -> io::Result<Self> {
        static SWEPT: OnceLock<()> = OnceLock::new();
        let all = std::env::temp_dir();
        SWEPT.get_or_init(|| sweep(&all));
        let dir = all.join(format!("{PREFIX}{}", numbered("line")));
        DirBuilder::new().mode(0o700).create(&dir)?;
        let place = Self(dir);
        if let Some((uid, gid)) = owner {
            chown(&place.0, Some(uid), Some(gid))?;
        }
        Ok(place)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Removes what a supervisor left that was killed.
fn sweep(all: &Path) {
    for entry in fs::read_dir(all).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).unwrap_or_default();
        let owner = rest.split('-').next().and_then(|id| id.parse::<u32>().ok());
        if owner.is_some_and(|id| !Path::new("/proc").join(id.to_string()).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_runs_by_itself_and_ordinary_programs_do_not() {
        assert!(is_static(embedded::LAUNCHER));
        assert!(!is_static(&fs::read("/proc/self/exe").unwrap()));
        assert!(!is_static(b"\x7fELF"));
    }

    #[test]
    fn a_machine_has_room_for_its_kernel_and_no_more_processors_than_asked_for() {
        let mut limits = Limits {
            memory_max_bytes: Some(100 << 20),
            process_memory_max_bytes: None,
            cpu_max_millicores: Some(1_000),
            processes_max: 1,
            scratch_max_bytes: 1,
            scratch_files_max: 1,
            file_max_bytes: 1,
            open_files_max: 1,
            output_kept_max_bytes: 1,
            output_max_bytes: 1,
        };
        assert_eq!(Size::of(&limits), Size { memory_mib: 164, processors: 1 });
        limits.cpu_max_millicores = Some(1);
        assert_eq!(Size::of(&limits).processors, 1);
    }

    #[test]
    fn what_a_dead_supervisor_left_is_removed_and_what_a_living_one_has_is_not() {
        let all = tempfile::tempdir().unwrap();
        let dir = |id: u32| all.path().join(format!("{PREFIX}{id}-line-0"));
        let (dead, living) = (dir(u32::MAX), dir(std::process::id()));
        fs::create_dir(&dead).unwrap();
        fs::create_dir(&living).unwrap();
        sweep(all.path());
        assert!(!dead.exists() && living.exists());
    }
}
