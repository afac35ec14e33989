//! The tier `microvm`: a machine of its own for every program, with its own kernel.
//!
//! A machine is started for one program and ends with it. What it has: a kernel and a disk with programs,
//! both the ones that the operator pinned; an agent of ours, which is the launcher of the tier `native`; one
//! line to us. No network, no other device, nothing of the host. In the machine the agent builds the same
//! cage as on a host, so a program has to break out of that, and then out of the machine.

#[cfg(native_cage)]
mod api;
#[cfg(native_cage)]
mod archive;
#[cfg(native_cage)]
mod bridge;
mod config;
#[cfg(native_cage)]
mod connections;
#[cfg(native_cage)]
mod descriptor;
#[cfg(native_cage)]
mod firecracker;
#[cfg(native_cage)]
mod frame;
#[cfg(native_cage)]
mod left;
#[cfg(native_cage)]
mod line;
#[cfg(native_cage)]
mod monitor;
mod pinned;
#[cfg(native_cage)]
mod qemu;
#[cfg(native_cage)]
mod shown;
#[cfg(native_cage)]
mod start;

#[cfg(native_cage)]
use crate::native::wire;
pub use config::{Acceleration, Firecracker, Machine, Pinned, Qemu, VirtualMachine};
#[cfg(native_cage)]
pub(crate) use left::{Sent, SentOf, collect};
pub use pinned::PinnedError;
#[cfg(native_cage)]
pub(crate) use shown::tool as shows;
#[cfg(native_cage)]
pub(crate) use start::{probe, start, version};

/// Where there is no cage there are no machines.
#[cfg(not(native_cage))]
pub(crate) use crate::native::start;
#[cfg(not(native_cage))]
pub(crate) use elsewhere::{probe, shows, version};

#[cfg(not(native_cage))]
mod elsewhere {
    use std::path::Path;

    use crate::{Cage, Held, SandboxError};

    pub(crate) async fn probe(cage: &Cage) -> Result<(Vec<(String, u64)>, Held), SandboxError> {
        crate::native::self_test(cage).await
    }

    pub(crate) fn shows() -> Result<&'static str, &'static str> {
        Err("there is no cage here in which a disk could be made")
    }

    pub(crate) async fn version(_program: &Path) -> Option<String> {
        None
    }
}
