//! What builds cages and holds them, one file for each kind, and which is which.

mod docker;
mod native;
pub(crate) mod oci;
mod vm;

use crate::driver::Driver;
use crate::tier::Backend;

/// What builds the cages of this backend.
pub(crate) fn of(backend: &Backend) -> &'static dyn Driver {
    match backend {
        Backend::Native => &native::Native,
        Backend::Runc(_) | Backend::Crun(_) | Backend::Runsc(_) => &oci::Oci,
        Backend::Docker(_) => &docker::Daemons,
        Backend::Qemu(_) | Backend::Firecracker(_) => &vm::Machines,
    }
}
