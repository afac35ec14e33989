//! How strongly a program can be held, and by what.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::machine::{Acceleration, Firecracker, Machine, Qemu, VirtualMachine};

/// From weak to strong. What is stronger may stand in for what is weaker, never the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Scrubbed environment, own process group, dies with us. Same files, network and user as ours: no cage.
    Process,
    /// Namespaces, a read-only tree, seccomp, no rights, limits. It shares the kernel with us.
    Native,
    /// A kernel of its own in user space stands between the program and ours.
    Gvisor,
    /// A virtual machine with a kernel of its own.
    Microvm,
}

impl Tier {
    /// All of them, from weak to strong.
    pub const ALL: [Self; 4] = [Self::Process, Self::Native, Self::Gvisor, Self::Microvm];

    /// As policies and records write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Native => "native",
            Self::Gvisor => "gvisor",
            Self::Microvm => "microvm",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Backend that builds a cage and holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Our own launcher.
    Native,
    /// The container runtime of most Linux hosts.
    Runc(Runtime),
    /// A small container runtime, written in C.
    Crun(Runtime),
    /// gVisor: a kernel in user space.
    Runsc(Runtime),
    /// Containers that a daemon starts, with our own cage in each.
    Docker(Docker),
    /// A machine by QEMU.
    Qemu(Box<Qemu>),
    /// A machine by Firecracker.
    Firecracker(Box<Firecracker>),
}

/// A container runtime, as the operator has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// The executable: a path, or a name that is looked for in our `PATH` and where systems keep programs.
    pub program: PathBuf,
    /// Its SHA-256 in hexadecimal digits. A program with another one is refused.
    pub sha256: Option<String>,
}

impl Runtime {
    /// Whatever is installed under this name.
    #[must_use]
    pub fn named(program: &str) -> Self {
        Self { program: program.into(), sha256: None }
    }
}

/// A daemon that starts containers. Whoever may talk to it can do on the host what it can, which mostly is
/// everything: name only one that is there for AECL.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Docker {
    /// Its socket, an absolute path on this host. The variable `DOCKER_HOST` counts nothing.
    #[serde(default = "docker_socket")]
    pub socket: PathBuf,
}

fn docker_socket() -> PathBuf {
    "/run/docker.sock".into()
}

impl Default for Docker {
    /// Where the socket is on most systems.
    fn default() -> Self {
        Self { socket: docker_socket() }
    }
}

impl Backend {
    /// Each of them that nobody has to describe, with the runtimes that are installed, from weak to strong.
    #[must_use]
    pub fn all() -> Vec<Self> {
        vec![
            Self::Native,
            Self::Runc(Runtime::named("runc")),
            Self::Crun(Runtime::named("crun")),
            Self::Runsc(Runtime::named("runsc")),
        ]
    }

    /// How strongly it holds.
    #[must_use]
    pub fn tier(&self) -> Tier {
        match self {
            Self::Native | Self::Runc(_) | Self::Crun(_) | Self::Docker(_) => Tier::Native,
            Self::Runsc(_) => Tier::Gvisor,
            // QEMU's own emulation is no boundary. It satisfies nothing.
            Self::Qemu(qemu) if qemu.acceleration == Acceleration::Emulation => Tier::Process,
            Self::Qemu(_) | Self::Firecracker(_) => Tier::Microvm,
        }
    }

    /// Whether its limits are those of the control groups that we may make on this host.
    #[must_use]
    pub fn is_limited_by_our_cgroups(&self) -> bool {
        match self {
            Self::Native | Self::Runc(_) | Self::Crun(_) | Self::Runsc(_) => true,
            Self::Docker(_) | Self::Qemu(_) | Self::Firecracker(_) => false,
        }
    }

    /// As configurations and records write it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Runc(_) => "runc",
            Self::Crun(_) => "crun",
            Self::Runsc(_) => "runsc",
            Self::Docker(_) => "docker",
            Self::Qemu(qemu) if qemu.acceleration == Acceleration::Emulation => "qemu-emulated",
            Self::Qemu(_) => "qemu",
            Self::Firecracker(_) => "firecracker",
        }
    }

    /// The monitor's program and what runs in its machines, where there are machines.
    pub(crate) fn machine(&self) -> Option<(&Path, &Machine)> {
        match self {
            Self::Qemu(qemu) => Some((&qemu.program, &qemu.machine)),
            Self::Firecracker(firecracker) => Some((&firecracker.program, &firecracker.machine)),
            Self::Native | Self::Runc(_) | Self::Crun(_) | Self::Runsc(_) | Self::Docker(_) => None,
        }
    }
}

impl From<VirtualMachine> for Backend {
    fn from(machine: VirtualMachine) -> Self {
        match machine {
            VirtualMachine::Firecracker(firecracker) => Self::Firecracker(Box::new(firecracker)),
            VirtualMachine::Qemu(qemu) => Self::Qemu(Box::new(qemu)),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
