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
mod shown;
mod start;

use crate::cage::Cage;
use crate::driver::{Attacked, Driver, Installed, Pending};
use crate::error::SandboxError;
use crate::found::{Enforced, Offers};
use crate::launcher::running::Running;
use crate::program::Program;
use crate::tier::Backend;

/// Virtual machines.
pub(crate) struct Machines;

impl Driver for Machines {
    fn installed<'a>(&'a self, _backend: &'a Backend) -> Pending<'a, Result<Installed, SandboxError>> {
        Box::pin(async {
            // The machine enforces them, whatever the host can do.
            let enforced = Enforced { memory: true, cpu: true };
            let note = shown::tool().err().map(|why| format!("no views: {why}"));
            Ok(Installed { version: None, note, enforced })
        })
    }

    fn offers(&self, _backend: &Backend) -> Offers {
        let shows = shown::tool().is_ok();
        // It has a size, and the programs of its disk.
        Offers { views: shows, overlays: shows, unlimited_memory: false, host_programs: false, ..Offers::ALL }
    }

    fn attack<'a>(&'a self, cage: &'a Cage) -> Pending<'a, Result<Attacked, SandboxError>> {
        Box::pin(start::probe(cage))
    }

    fn start<'a>(
        &'a self,
        program: &'a Program,
        cage: &'a Cage,
    ) -> Pending<'a, Result<Running, SandboxError>> {
        Box::pin(start::start(program, cage))
    }

    fn version_after<'a>(&'a self, backend: &'a Backend) -> Pending<'a, Option<String>> {
        Box::pin(async {
            let (program, _) = backend.machine()?;
            start::version(program).await
        })
    }
}
