//! AECL contains: programs run where they can do no harm.
//!
//! There are two ways to run a program. [`spawn`] starts it [`Supervised`]: a scrubbed environment, its own
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
//! assert_eq!(ended.outcome, Termination::Exited(1)); // `cat` found no such file
//! assert_eq!(ended.stdout.bytes, b"1000\n");
//! let limits = CollectLimits { file_max_bytes: 1 << 20, total_max_bytes: 1 << 20, entries_max: 100 };
//! let left = ended.scratch[0].collect(limits)?;
//! let result = ChangeKind::File { mode: 0o644, bytes: b"done\n".to_vec() };
//! assert_eq!(left.changes, [CollectedChange { path: "result".into(), kind: result }]);
//! # Ok(())
//! # }
//! # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
//! ```
//!
//! [`start`] is `run` for those who want to write to the program, end it early, or serve the socket that
//! listens inside ([`Network::Listener`]).
//!
//! **Invariant:** this room knows nothing of agents, actions or policies.

#[cfg(native_cage)]
mod backend;
mod cage;
mod collected;
mod deadline;
mod driver;
mod ended;
mod error;
mod found;
mod hidden;
#[cfg(native_cage)]
mod host;
mod image;
#[cfg(native_cage)]
mod launcher;
#[cfg(native_cage)]
mod leftovers;
mod listener;
mod machine;
mod output;
mod pinned;
mod probe;
mod process;
mod program;
#[cfg(native_cage)]
mod protocol;
#[cfg(native_cage)]
mod scratch;
mod spawner;
mod start;
mod tier;
#[cfg(not(native_cage))]
mod unsupported;

#[cfg(not(native_cage))]
use unsupported::{self as backend, self as host, self as launcher, self as scratch};

pub use cage::{Access, Cage, Limits, Network, View};
pub use collected::{ChangeKind, CollectLimits, Collected, CollectedChange, RefusedPath};
pub use deadline::{Clocks, Level};
pub use ended::{AppliedSandbox, CgroupVersion, Ended, HostUser, Termination};
pub use error::SandboxError;
pub use found::{Attack, Enforced, Found, Offers};
pub use hidden::{hidden_around, is_home, never_change, never_show, never_shown};
pub use image::{Image, ImageDigest, ImageError, ImageLimits, Images, Layout, Offer};
pub use launcher::running::Running;
pub use launcher::terminal::{Terminal, TerminalSize};
pub use listener::{Connection, Listener};
pub use machine::{Acceleration, Firecracker, Machine, Pinned, Qemu, VirtualMachine};
pub use output::{Output, Stream};
pub use pinned::PinnedError;
pub use probe::{ProbeCache, enforced, probe, version};
pub use process::{Contained, spawn};
pub use program::{Program, Supervised, base_environment};
pub use scratch::Scratch;
pub use start::{run, start, start_on_terminal};
pub use tier::{Backend, Docker, Runtime, Tier};
