//! The tier `microvm`: a machine of its own for every program, with its own kernel.
//!
//! A machine is started for one program and ends with it. What it has: a kernel and a disk with programs,
//! both the ones that the operator pinned; an agent of ours, which is the launcher of the tier `native`; one
//! line to us. No network, no other device, nothing of the host. In the machine the agent builds the same
//! cage as on a host, so a program has to break out of that, and then out of the machine.

mod api;
mod archive;
mod bridge;
mod connections;
mod descriptor;
mod firecracker;
mod line;
mod monitor;
mod qemu;
mod shared_files;
mod start;

use async_trait::async_trait;
use std::path::PathBuf;

use crate::cage::Cage;
use crate::driver::{Attacked, Driver, Installed};
use crate::error::SandboxError;
use crate::found::{Enforced, Offers};
use crate::launcher::running::Running;
use crate::program::Program;
use crate::tier::Backend;

/// Virtual machines.
pub(crate) struct Machines;

/// Devices, consoles and the way to start a kernel are other ones elsewhere.
fn processor_fits(backend: &Backend) -> Result<(), SandboxError> {
    if cfg!(target_arch = "x86_64") {
        return Ok(());
    }
    let why = "machines are described for x86_64 alone; run AECL there, or hold programs by `native`, `runsc` or `docker`";
    Err(SandboxError::Unavailable { backend: backend.clone(), why: why.into() })
}

#[async_trait]
impl Driver for Machines {
    async fn installed(&self, backend: &Backend) -> Result<Installed, SandboxError> {
        processor_fits(backend)?;
        // The machine enforces them, whatever the host can do.
        let enforced = Enforced { memory: true, cpu: true };
        let note = shared_files::tool().err().map(|why| format!("no views: {why}"));
        Ok(Installed { version: None, note, enforced })
    }

    fn offers(&self, _backend: &Backend) -> Offers {
        let shows = shared_files::tool().is_ok();
        // It has a size, and the programs of its disk.
        Offers { views: shows, overlays: shows, unlimited_memory: false, host_programs: false, ..Offers::ALL }
    }

    // What runs in the machine is pinned, and looked at before each start.
    fn remembered_with(&self, backend: &Backend) -> Option<Vec<PathBuf>> {
        Some(vec![backend.machine()?.0.to_owned()])
    }

    async fn attack(&self, cage: &Cage) -> Result<Attacked, SandboxError> {
        processor_fits(&cage.backend)?;
        start::probe(cage).await
    }

    async fn start(&self, program: &Program, cage: &Cage) -> Result<Running, SandboxError> {
        processor_fits(&cage.backend)?;
        start::start(program, cage).await
    }

    async fn version_after(&self, backend: &Backend) -> Option<String> {
        let (program, _) = backend.machine()?;
        start::version(program).await
    }
}
