//! AECL contains: programs run where they can do no harm.
//!
//! There are two ways to run a program. [`spawn`] puts it on a [`Leash`]: a scrubbed environment, its own
//! process group, no core dumps; it dies with us and is killed as a group. It sees the same files, network
//! and user as we do. That is right for an upstream server which the operator chose and configured, and wrong
//! for code that a model wrote. [`run`] puts it into a [`Cage`]: it sees nothing of the host but the system's
//! programs, reaches nobody, may nothing, and ends at the deadline. What cannot be enforced on this host is
//! refused; there is no weaker fallback.
//!
//! ```
//! use aecl_sandbox::*;
//! use std::time::Duration;
//!
//! # async fn example() -> Result<(), SandboxError> {
//! let program = Program {
//!     argv: ["sh", "-c", "id -u; echo done > result; cat /etc/shadow"].map(String::from).to_vec(),
//!     env: Default::default(),
//!     cwd: None, // `/scratch`
//! };
//! let cage = Cage {
//!     backend: Backend::Native, // of the tier `native`
//!     image: None, // the system's programs are those of this host
//!     views: vec![], // nothing of ours but the system's programs and libraries
//!     network: Network::None,
//!     limits: Limits {
//!         memory_max_bytes: None, // `Some(256 << 20)` where we have cgroups
//!         process_memory_max_bytes: None,
//!         cpu_max_millicores: None,
//!         processes_max: 64,
//!         scratch_max_bytes: 64 << 20,
//!         scratch_files_max: 10_000,
//!         file_max_bytes: 16 << 20,
//!         open_files_max: 256,
//!         output_kept_max_bytes: 1 << 20,
//!         output_max_bytes: 64 << 20,
//!     },
//!     clocks: Clocks {
//!         call: Duration::from_secs(30),
//!         task_left: Duration::from_secs(20 * 60),
//!         lifetime_left: Duration::from_secs(60 * 60),
//!     },
//! };
//! let ended = run(program, cage).await?;
//! assert_eq!(ended.outcome, Outcome::Exited(1)); // `cat` found no such file
//! assert_eq!(ended.stdout.bytes, b"1000\n");
//! let limits = CollectLimits { file_max_bytes: 1 << 20, total_max_bytes: 1 << 20, entries_max: 100 };
//! let left = ended.scratch[0].collect(limits)?;
//! let result = ChangeKind::File { mode: 0o644, bytes: b"done\n".to_vec() };
//! assert_eq!(left.changes, [Change { path: "result".into(), kind: result }]);
//! # Ok(())
//! # }
//! # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
//! ```
//!
//! [`start`] is `run` for those who want to write to the program, end it early, or serve the socket that
//! listens inside ([`Network::Listener`]).
//!
//! **Invariant:** this room knows nothing of agents, actions or policies.

mod cage;
mod collected;
mod deadline;
#[cfg(native_cage)]
mod docker;
mod ended;
mod hidden;
mod image;
mod listener;
#[cfg(not(native_cage))]
#[path = "elsewhere.rs"]
mod native;
#[cfg(native_cage)]
mod native;
#[cfg(not(native_cage))]
use native as docker;
#[cfg(not(native_cage))]
use native as oci;
#[cfg(native_cage)]
mod oci;
mod output;
mod probe;
mod process;
mod spawner;
mod tier;
mod vm;

pub use cage::{Access, Cage, Leash, Limits, Network, Program, View, base_environment};
pub use collected::{Change, ChangeKind, CollectLimits, Collected, Refused};
pub use deadline::{Clocks, Level};
pub use ended::{CgroupVersion, Ended, Held, HostUser, Outcome};
pub use hidden::{hidden_around, is_home, never_change, never_show, never_shown};
pub use image::{Digest, Image, ImageError, ImageLimits, Images, Layout, Offer};
pub use listener::{Connection, Listener};
pub use native::{Running, Scratch, Terminal, TerminalSize};
pub use output::{Output, Stream};
pub use probe::{Attack, Enforced, Found, Memory, Offers, enforced, probe, version};
pub use process::{Contained, spawn};
pub use tier::{Backend, Docker, Runtime, Tier};
pub use vm::{Acceleration, Firecracker, Machine, Pinned, PinnedError, Qemu, VirtualMachine};

/// Runs a program in a cage until nothing of it is left. It gets no input.
///
/// # Errors
/// When the cage cannot be had as described. The program has then not run. How the program itself ended is
/// never an error: see [`Ended::outcome`].
pub async fn run(program: Program, cage: Cage) -> Result<Ended, SandboxError> {
    Ok(start(program, cage).await?.wait().await)
}

/// Starts a program in a cage. When this returns, it runs.
///
/// # Errors
/// As [`run`].
pub async fn start(program: Program, cage: Cage) -> Result<Running, SandboxError> {
    let program = match &cage.image {
        Some(image) => image.complete(program),
        None => program,
    };
    hidden::refuse(&cage.views)?;
    match cage.backend {
        Backend::Native => native::start(&program, &cage).await,
        Backend::Runc(_) | Backend::Crun(_) | Backend::Runsc(_) => oci::start(&program, &cage).await,
        Backend::Docker(_) => docker::start(&program, &cage).await,
        Backend::Qemu(_) | Backend::Firecracker(_) => vm::start(&program, &cage).await,
    }
}

/// The same on a terminal of the program's own, of this size. Only our own launcher does that.
///
/// # Errors
/// As [`start`], and for each other backend.
pub async fn start_on_terminal(
    program: Program,
    cage: Cage,
    size: TerminalSize,
) -> Result<(Running, Terminal), SandboxError> {
    if cage.backend != Backend::Native {
        return Err(SandboxError::BadCage(format!(
            "`{}` gives no terminal; `native` does, and each gives pipes",
            cage.backend
        )));
    }
    let program = match &cage.image {
        Some(image) => image.complete(program),
        None => program,
    };
    hidden::refuse(&cage.views)?;
    native::start_on_terminal(&program, &cage, size).await
}

/// What goes wrong when a program is put into a cage. In each case it has not run.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The program has no name to run by.
    #[error("the program is empty; name an executable as its first word")]
    NoProgram,
    /// The operating system did not start it.
    #[error(
        "`{program}` did not start: {source}; check that it is installed and on the `PATH` that AECL runs with"
    )]
    NotStarted {
        /// The first word of the command.
        program: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// It is not there in the cage, or cannot be executed there.
    #[error(
        "`{program}` did not start in the cage: {source}; it must be below `/usr` or in the image, or in a view, and on \
         the `PATH` that it was given"
    )]
    NotInCage {
        /// The first word of the command.
        program: String,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The thread that starts programs is gone.
    #[error("the thread that starts programs is gone; restart AECL")]
    NoSpawner,
    /// A pipe to the program is missing.
    #[error("`{program}` started without its {pipe}; restart AECL")]
    NoPipe {
        /// The first word of the command.
        program: String,
        /// Which pipe.
        pipe: &'static str,
    },
    /// The description of the cage contradicts itself.
    #[error("this cage cannot be built: {0}")]
    BadCage(String),
    /// This host cannot hold a program that strongly.
    #[error("the cage `{backend}` is not available here: {why}")]
    Unavailable {
        /// What was asked for.
        backend: Backend,
        /// What is missing, and what to do.
        why: String,
    },
    /// A limit that nothing on this host would enforce.
    #[error(
        "nothing here enforces `{limit}`: {why}; run AECL as root or in a systemd unit with `Delegate=yes` \
         (`systemd-run --user --scope -p Delegate=yes`), or say that there is no such limit"
    )]
    Unenforceable {
        /// The limit.
        limit: &'static str,
        /// Why.
        why: String,
    },
    /// A step of building the cage failed.
    #[error("the cage could not be built while {step}: {source}")]
    Setup {
        /// What was being done.
        step: String,
        /// What the operating system said.
        source: std::io::Error,
    },
}
