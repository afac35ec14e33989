//! What a program may have that nobody vouches for. There is no `Default`: each limit is said aloud.

use std::path::PathBuf;

use crate::deadline::Clocks;
use crate::image::Image;
use crate::tier::Backend;

/// Cage of a program that nobody vouches for: what it may have.
///
/// Every cage has: the system's programs and libraries (`/usr` and what belongs to it) read-only, or those of an
/// image; a scratch space in memory of which `/scratch`, `/tmp` and `/dev/shm` are parts; a `/proc` with its own processes; a
/// network with nothing in it but its own loopback; no rights; no core dumps. Nothing else of the host is
/// there.
#[derive(Clone, Debug)]
pub struct Cage {
    /// What holds the program, and so how strongly. There is no weaker fallback.
    pub backend: Backend,
    /// Whose files are the system's, read-only; those of this host when absent. What the image says about
    /// variables, working directory and program counts where the program says nothing.
    pub image: Option<Image>,
    /// Directories and files of the host that it sees.
    pub views: Vec<View>,
    /// Whom it can reach.
    pub network: Network,
    /// How much it may use.
    pub limits: Limits,
    /// How long it may run.
    pub clocks: Clocks,
}

/// A directory or file of the host in the cage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// On the host: absolute, and no link on the way.
    pub source: PathBuf,
    /// In the cage: absolute, outside of what every cage has, and not in another view.
    pub at: PathBuf,
    /// What may be done to it.
    pub access: Access,
}

/// Access to a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Look, nothing else.
    ReadOnly,
    /// Write, into a layer above. The host's files stay as they are; the layer can be collected.
    Overlay,
}

/// Network of a program: whom it can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Itself.
    None,
    /// Itself, and whoever accepts on the socket that listens on this port of its loopback. The socket is
    /// handed out as [`Running::listener`](crate::Running::listener).
    Listener {
        /// From 1 to 65535.
        port: u16,
    },
}

/// Limits of a program, with everything it starts. What cannot be enforced here is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memory, scratch space included. `None` is no limit, which an ordinary user without a cgroup of its own
    /// has to say. Beyond it the cage ends.
    pub memory_max_bytes: Option<u64>,
    /// Private memory of each process by itself, which every host enforces. Many processes have many times that, so
    /// it stands in for [`Limits::memory_max_bytes`] only where somebody says so. `None` is no limit.
    pub process_memory_max_bytes: Option<u64>,
    /// Processor time per second, in thousandths of a core. `None` is no limit.
    pub cpu_max_millicores: Option<u32>,
    /// Processes and threads at a time.
    pub processes_max: u32,
    /// All files of the scratch space. Less than the memory, or a full disk would look like a lack of memory.
    pub scratch_max_bytes: u64,
    /// How many files and directories the scratch space may hold.
    pub scratch_files_max: u64,
    /// One file.
    pub file_max_bytes: u64,
    /// Open files of one process.
    pub open_files_max: u64,
    /// What is kept of standard output, and of standard error.
    pub output_kept_max_bytes: u64,
    /// What may be written to either before the cage ends.
    pub output_max_bytes: u64,
}
