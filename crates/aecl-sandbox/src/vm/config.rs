//! What the operator says about virtual machines.

use std::path::PathBuf;
use std::time::Duration;

/// A file and what it must be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pinned {
    /// Where it is.
    pub path: PathBuf,
    /// The SHA-256 of its bytes, in hexadecimal digits, as `sha256sum` prints it.
    pub sha256: String,
}

/// What runs in a machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Machine {
    /// The kernel. QEMU takes the compressed image (`vmlinuz`), Firecracker the plain one (`vmlinux`).
    pub kernel: Pinned,
    /// What the kernel does not have built in of what is needed, in the order in which it is loaded.
    pub modules: Vec<Pinned>,
    /// A file system with the programs: `/usr`, and what belongs to it.
    pub root: Pinned,
    /// Its kind, as the kernel names it: `ext4`, `squashfs`.
    pub root_filesystem: String,
    /// How long the machine may take until its agent answers.
    pub boot_max: Duration,
}

/// Machines by QEMU.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Qemu {
    /// The program, an absolute path.
    pub program: PathBuf,
    /// What runs in it.
    pub machine: Machine,
    /// What executes it.
    pub acceleration: Acceleration,
}

/// What executes the code of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Acceleration {
    /// The processor, by KVM.
    Kvm,
    /// QEMU itself, which its authors do not call a boundary. Refused unless the variable `AECL_TEST_TCG` is
    /// `1`, and even then it satisfies no tier: it is there to test everything else.
    Emulation,
}

/// Machines by Firecracker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Firecracker {
    /// The program, an absolute path.
    pub program: PathBuf,
    /// What runs in it.
    pub machine: Machine,
}
