//! How a caged program ended.

use std::fmt;

use crate::cage::Limits;
use crate::deadline::Level;
use crate::image::ImageDigest;
use crate::output::Output;
use crate::scratch::Scratch;
use crate::tier::Backend;

/// The end of a program, and what it leaves.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub outcome: Termination,
    /// Its standard output.
    pub stdout: Output,
    /// Its standard error.
    pub stderr: Output,
    /// What it wrote: `/scratch` first, then the layer above each view with [`Access::Overlay`](crate::Access),
    /// in the order of the views. It is freed when this is dropped.
    pub scratch: Vec<Scratch>,
    /// The cage that it really had. It belongs on record.
    pub held: AppliedSandbox,
}

/// Termination of a program. Each case is told apart by who ended it, not by a number that the program chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Termination {
    /// By itself, with this code.
    Exited(i32),
    /// By a signal that came from inside.
    Signalled(i32),
    /// By `SIGSYS`: the kernel's, because it used the 32-bit entry for system calls, or one that it sent itself. The
    /// kernel tells nobody which of the two it was.
    Seccomp,
    /// The kernel or we, because the cage's memory ran out.
    OutOfMemory,
    /// We, because this clock ran out.
    TimedOut(Level),
    /// We, because it wrote more than it may.
    OutputCap,
    /// We, because we were asked to, or somebody else from outside.
    Killed,
}

impl fmt::Display for Termination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with {code}"),
            Self::Signalled(signal) => write!(f, "ended by signal {signal}"),
            Self::Seccomp => f.write_str(
                "ended by SIGSYS: it used the 32-bit entry for system calls, or sent itself that signal",
            ),
            Self::OutOfMemory => f.write_str("ended for its use of memory"),
            Self::TimedOut(level) => write!(f, "ended at the deadline of its {level}"),
            Self::OutputCap => f.write_str("ended for writing too much"),
            Self::Killed => f.write_str("killed from outside"),
        }
    }
}

/// The cage that a program really got, for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedSandbox {
    /// What held it.
    pub backend: Backend,
    /// Who it was on the host.
    pub user: HostUser,
    /// The runtime that built it, with its version; absent if that was our launcher.
    pub runtime: Option<String>,
    /// The version of landlock that restricted its files. A kernel in user space has none.
    pub landlock_abi: Option<u32>,
    /// What enforced the limits of memory, processor and processes; resource limits alone when absent.
    pub cgroup: Option<CgroupVersion>,
    /// Whether it saw the owner of each view as itself. If not, it saw what everybody may see.
    pub owners_mapped: bool,
    /// The image whose files it saw as the system's; those of the host when absent.
    pub image: Option<ImageDigest>,
    /// The limits in force.
    pub limits: Limits,
}

/// User that a caged program is on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostUser {
    /// A user of its own that owns nothing.
    Separate {
        /// Its number on the host.
        uid: u32,
    },
    /// The user as which we run: an ordinary user cannot become another.
    Ours,
}

impl fmt::Display for HostUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Separate { uid } => write!(f, "user {uid}"),
            Self::Ours => f.write_str("our user"),
        }
    }
}

/// A generation of the kernel's control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupVersion {
    /// One hierarchy for each kind of limit.
    V1,
    /// One hierarchy for all.
    V2,
}
