//! What the operator says about virtual machines.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A file and what it must be.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pinned {
    /// Where it is.
    pub path: PathBuf,
    /// The SHA-256 of its bytes, in hexadecimal digits, as `sha256sum` prints it.
    pub sha256: String,
}

/// Files of a virtual machine: its kernel, its modules and its monitor.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// The kernel. QEMU takes the compressed image (`vmlinuz`), Firecracker the plain one (`vmlinux`).
    pub kernel: Pinned,
    /// What the kernel does not have built in of what is needed, in the order in which it is loaded.
    #[serde(default)]
    pub modules: Vec<Pinned>,
    /// A file system with the programs: `/usr`, and what belongs to it.
    pub root: Pinned,
    /// Its kind, as the kernel names it: `ext4`, `squashfs`.
    pub root_filesystem: String,
    /// How long the machine may take until its agent answers, in milliseconds.
    #[serde(default = "boot_max_ms")]
    pub boot_max_ms: u64,
    /// How much of the host a program may be shown, all views together, in mebibytes: it is copied onto a disk in
    /// memory for each run. A file counts in whole blocks of 4 KiB.
    #[serde(default = "shown_max_mib")]
    pub shown_max_mib: u32,
    /// How many files, directories and links that may be.
    #[serde(default = "shown_files_max")]
    pub shown_files_max: u32,
}

fn boot_max_ms() -> u64 {
    10_000
}

fn shown_max_mib() -> u32 {
    1_024
}

fn shown_files_max() -> u32 {
    200_000
}

/// A monitor with what runs in its machines, as configurations write it:
/// `{"monitor": "firecracker", "program": "/usr/bin/firecracker", "machine": { ... }}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "monitor", rename_all = "snake_case")]
pub enum VirtualMachine {
    /// See [`Firecracker`].
    Firecracker(Firecracker),
    /// See [`Qemu`].
    Qemu(Qemu),
}

impl VirtualMachine {
    /// The monitor's program.
    #[must_use]
    pub fn program(&self) -> &Path {
        match self {
            Self::Firecracker(Firecracker { program, .. }) | Self::Qemu(Qemu { program, .. }) => program,
        }
    }
}

/// Machines by QEMU.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Qemu {
    /// The program, an absolute path.
    pub program: PathBuf,
    /// Its SHA-256, where only this very program is to be taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program_sha256: Option<String>,
    /// What runs in it.
    pub machine: Machine,
    /// What executes it. No configuration can say anything but the processor.
    #[serde(skip)]
    pub acceleration: Acceleration,
}

/// Acceleration of a machine: what executes its code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Acceleration {
    /// The processor, by KVM.
    #[default]
    Kvm,
    /// QEMU itself, which its authors do not call a boundary. Refused unless the variable `AECL_TEST_TCG` is
    /// `1`, and even then it satisfies no tier: it is there to test everything else.
    Emulation,
}

/// Machines by Firecracker.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Firecracker {
    /// The program, an absolute path.
    pub program: PathBuf,
    /// Its SHA-256, where only this very program is to be taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program_sha256: Option<String>,
    /// What runs in it.
    pub machine: Machine,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_configuration_says_that_a_machine_is_emulated() {
        let machine = r#"{"kernel": {"path": "/k", "sha256": "00"}, "root": {"path": "/r", "sha256": "00"},
            "root_filesystem": "ext4"}"#;
        let read = |more: &str| {
            let text = format!(r#"{{"monitor": "qemu", "program": "/q"{more}, "machine": {machine}}}"#);
            serde_json::from_str::<VirtualMachine>(&text)
        };
        let VirtualMachine::Qemu(qemu) = read("").unwrap() else { unreachable!() };
        assert_eq!((qemu.acceleration, qemu.machine.boot_max_ms), (Acceleration::Kvm, 10_000));
        assert_eq!((qemu.machine.shown_max_mib, qemu.machine.shown_files_max), (1_024, 200_000));
        assert!(read(r#", "acceleration": "emulation""#).is_err());
    }
}
