//! What a program in a machine is shown of the host: a copy of it, on a disk that is made for one run.
//!
//! No monitor of ours shares directories with its machine, and none should: that would be one more thing on the
//! host that speaks with whoever holds the machine. A disk that is only read is what both have. The program that
//! makes it, `mke2fs`, runs in a cage of the tier `native` that shows it just the views, read-only: paths are found
//! and owners shown as in any cage, a link in a hostile directory leads nowhere, and who takes `mke2fs` over has won a
//! cage with nothing in it but what the machine is shown anyway. The disk is a file in that cage's scratch
//! space: in memory, without a name, gone when nobody has it open.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, fchmod};

use super::super::native;
use crate::cage::{Access, Cage, Limits, Network, View};
use crate::deadline::Clocks;
use crate::ended::{Ended, Termination};
use crate::error::SandboxError;
use crate::host::cgroup;
use crate::host::tree::IMAGE;
use crate::machine::Machine;
use crate::program::Program;
use crate::protocol::frame::SHOWN;
use crate::tier::Backend;

/// Where systems keep the program that makes disks.
const TOOLS: [&str; 3] = ["/usr/sbin/mke2fs", "/sbin/mke2fs", "/usr/bin/mke2fs"];

/// What a file system needs for each file, and for itself.
const INODE_BYTES: u64 = 256;
const ITS_OWN_BYTES: u64 = 16 << 20;

/// What the program needs beside its disk. A directory within a directory is one more open file.
const TOOL_BYTES: u64 = 128 << 20;
const TOOL_OPEN_FILES: u64 = 4_096;

/// Its name in the scratch space of the cage in which it is made.
const DISK: &str = "disk";

/// What is shown of its complaint, in characters.
const SAID_MAX: usize = 1_000;

/// A disk, for reading.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) file: OwnedFd,
    /// False when a file system of the host could not show its owners as the cage's user.
    pub(super) owners_mapped: bool,
}

/// The program that makes disks.
///
/// # Errors
/// When it is not installed; what to do then.
pub(crate) fn tool() -> Result<&'static str, &'static str> {
    let found = TOOLS.into_iter().find(|path| Path::new(path).is_file());
    found
        .ok_or("`mke2fs`, which makes a disk of what is shown, is not installed; `apt-get install e2fsprogs`")
}

/// A disk with a copy of what the cage shows: each view by the number that it has among them, and the image.
/// None where it shows nothing.
///
/// # Errors
/// When the copy cannot be made as a whole, or is more than the machine is shown at most.
pub(super) async fn disk(
    cage: &Cage,
    machine: &Machine,
    clocks: Clocks,
) -> Result<Option<Disk>, SandboxError> {
    let views = views(cage);
    if views.is_empty() {
        return Ok(None);
    }
    let tool = tool().map_err(|why| failed(io::Error::new(io::ErrorKind::NotFound, why)))?;
    let size = Size::of(machine);
    let cage = makers_cage(views, size, clocks);
    let program = Program { argv: argv(tool, size), env: BTreeMap::new(), cwd: None };
    let started = native::start(&program, &cage).await.map_err(|error| match error {
        SandboxError::Unavailable { why, .. } => failed(io::Error::other(why)),
        other => other,
    });
    let ended = started?.wait().await;
    if ended.outcome != Termination::Exited(0) {
        return Err(why_not(&ended, machine));
    }
    let file = ended.scratch.first().and_then(|scratch| scratch.open_file(DISK.as_bytes()));
    let file = file.ok_or_else(|| failed(io::Error::other("it made none")))?;
    // For the monitor, which is another user. No path leads there for anybody else.
    fchmod(&file, Mode::from_raw_mode(0o444)).map_err(|error| failed(error.into()))?;
    Ok(Some(Disk { file: file.into(), owners_mapped: ended.held.owners_mapped }))
}

#[derive(Clone, Copy)]
struct Size {
    bytes: u64,
    files: u64,
}

impl Size {
    fn of(machine: &Machine) -> Self {
        let files = u64::from(machine.shown_files_max);
        let content = u64::from(machine.shown_max_mib) << 20;
        Self { bytes: content + files * INODE_BYTES + ITS_OWN_BYTES, files }
    }
}

/// What is copied, where the program that copies sees it.
fn views(cage: &Cage) -> Vec<View> {
    let view = |source: &Path, name: &str| View {
        source: source.to_owned(),
        at: Path::new(SHOWN).join(name),
        access: Access::ReadOnly,
    };
    let numbered = (0..).zip(&cage.views).map(|(n, shown): (usize, _)| view(&shown.source, &n.to_string()));
    numbered.chain(cage.image.as_ref().map(|image| view(image.tree(), IMAGE))).collect()
}

fn makers_cage(views: Vec<View>, size: Size, clocks: Clocks) -> Cage {
    Cage {
        backend: Backend::Native,
        image: None,
        views,
        network: Network::None,
        limits: Limits {
            memory_max_bytes: cgroup::enforced().memory.then_some(size.bytes + TOOL_BYTES),
            process_memory_max_bytes: None,
            cpu_max_millicores: None,
            processes_max: 4,
            scratch_max_bytes: size.bytes,
            scratch_files_max: 16,
            file_max_bytes: size.bytes,
            open_files_max: TOOL_OPEN_FILES,
            output_kept_max_bytes: 64 << 10,
            output_max_bytes: 1 << 20,
        },
        clocks,
    }
}

/// Tables of the disk that nobody reads are left as they are: empty, so they take no memory.
fn argv(tool: &str, size: Size) -> Vec<String> {
    let (files, kibibytes) = (size.files.to_string(), format!("{}k", size.bytes >> 10));
    let disk = format!("/scratch/{DISK}");
    [
        [tool, "-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-m", "0"].as_slice(),
        &["-O", "^has_journal,^resize_inode", "-E", "nodiscard,lazy_itable_init=1"],
        &["-N", &files, "-d", SHOWN, &disk, &kibibytes],
    ]
    .concat()
    .into_iter()
    .map(String::from)
    .collect()
}

/// What kept it, in words. It writes file names of strangers, which are made fit to be shown.
fn why_not(ended: &Ended, machine: &Machine) -> SandboxError {
    let said = ended.stderr.for_display();
    let full = ["Could not allocate block", "Could not allocate inode", "No space left"];
    if full.iter().any(|words| said.contains(words)) || ended.outcome == Termination::OutOfMemory {
        let Machine { shown_max_mib, shown_files_max, .. } = machine;
        return SandboxError::BadCage(format!(
            "what the program is to see is more than a machine is shown: {shown_max_mib} MiB in {shown_files_max} files; \
             show a smaller directory, or raise `shown_max_mib` or `shown_files_max` of the machine"
        ));
    }
    let outcome = ended.outcome;
    failed(io::Error::other(match said.trim() {
        "" => format!("`mke2fs` {outcome}"),
        said => format!("`mke2fs` {outcome}: {}", said.chars().take(SAID_MAX).collect::<String>()),
    }))
}

fn failed(source: io::Error) -> SandboxError {
    SandboxError::Setup { step: "making a disk of what is shown".into(), source }
}
