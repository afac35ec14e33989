//! A machine for tests: the kernel comes from Debian (`cargo xtask test` fetches it), the programs from busybox,
//! and for the tests of this room our attacker is there, too. It is emulated: everything is real but the processor.
#![allow(unsafe_code, reason = "a variable is set that the emulation asks for")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use aecl_sandbox::{Acceleration, Backend, Machine, Pinned, Qemu};
use sha2::{Digest, Sha256};

const KERNEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cache/machine");
pub const QEMU: &str = "/usr/bin/qemu-system-x86_64";

/// Absent where these are the helpers of another crate.
const ATTACKER: Option<&str> = option_env!("CARGO_BIN_EXE_aecl-attacker");

/// In the order in which they are loaded.
pub const MODULES: [&str; 8] = [
    "virtio_ring",
    "virtio",
    "virtio_pci_modern_dev",
    "virtio_pci_legacy_dev",
    "virtio_pci",
    "virtio_console",
    "virtio_blk",
    "overlay",
];

/// What busybox is called in there.
const PROGRAMS: [&str; 21] = [
    "sh", "cat", "id", "echo", "head", "dd", "sleep", "ls", "grep", "mkdir", "ln", "mkfifo", "touch", "kill",
    "yes", "true", "chmod", "wc", "tail", "rm", "setsid",
];

fn pinned(path: PathBuf) -> Pinned {
    let digest = Sha256::digest(fs::read(&path).unwrap());
    Pinned { path, sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect() }
}

/// A disk with busybox and the attacker, where there is one. Made once for each, and shared by all tests.
fn root() -> PathBuf {
    let digest = ATTACKER.map_or_else(|| "without-attacker".to_owned(), |path| pinned(path.into()).sha256);
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("root-{}.ext4", &digest[..16]));
    if kept.exists() {
        return kept;
    }
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let tree = dir.path().join("tree");
    system(&tree);
    let image = dir.path().join("root.ext4");
    let mut mkfs = Command::new("/sbin/mkfs.ext4");
    let made =
        mkfs.args(["-q", "-O", "^has_journal", "-d"]).args([&tree, &image]).arg("32M").status().unwrap();
    assert!(made.success());
    // Another test may have been faster; its disk is as good, and somebody uses it already.
    match fs::hard_link(image, &kept) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        other => other.unwrap(),
    }
    kept
}

/// A small system: busybox by its many names, and the attacker, where there is one.
pub fn system(tree: &Path) {
    for name in ["usr/bin", "usr/lib", "usr/lib64", "etc"] {
        fs::create_dir_all(tree.join(name)).unwrap();
    }
    for name in ["bin", "lib", "lib64"] {
        symlink(format!("usr/{name}"), tree.join(name)).unwrap();
    }
    fs::copy("/bin/busybox", tree.join("usr/bin/busybox")).unwrap();
    for name in PROGRAMS {
        symlink("busybox", tree.join("usr/bin").join(name)).unwrap();
    }
    if let Some(attacker) = ATTACKER {
        add(tree, Path::new(attacker), "attacker", 0o4755);
    }
}

/// Adds a program with the libraries that it needs.
pub fn add(tree: &Path, program: &Path, name: &str, mode: u32) {
    let place = tree.join("usr/bin").join(name);
    fs::copy(program, &place).unwrap();
    fs::set_permissions(place, fs::Permissions::from_mode(mode)).unwrap();
    let libraries = Command::new("ldd").arg(program).output().unwrap();
    for library in String::from_utf8(libraries.stdout).unwrap().split_whitespace() {
        if library.starts_with("/lib") {
            let name = Path::new(library).file_name().unwrap();
            let place = if library.starts_with("/lib64") { "usr/lib64" } else { "usr/lib" };
            fs::copy(library, tree.join(place).join(name)).unwrap();
        }
    }
}

/// The folder with the kernel and its modules. `None`, with a word about it, where none was fetched.
pub fn kernel() -> Option<&'static Path> {
    let kernel = Path::new(KERNEL);
    if !kernel.join("vmlinuz").exists() || !Path::new(QEMU).exists() {
        println!(
            "skipped: there is no kernel in `.cache/machine` or no QEMU; `cargo xtask test` fetches both"
        );
        return None;
    }
    Some(kernel)
}

/// `None` where no kernel was fetched.
pub fn machine() -> Option<Machine> {
    let kernel = kernel()?;
    let module = |name: &&str| pinned(kernel.join("modules").join(format!("{name}.ko")));
    Some(Machine {
        kernel: pinned(kernel.join("vmlinuz")),
        modules: MODULES.iter().map(module).collect(),
        root: pinned(root()),
        root_filesystem: "ext4".into(),
        boot_max_ms: 60_000,
        shown_max_mib: 64,
        shown_files_max: 2_000,
    })
}

pub fn emulated(machine: Machine) -> Backend {
    unsafe { std::env::set_var("AECL_TEST_TCG", "1") };
    Backend::Qemu(Box::new(Qemu {
        program: QEMU.into(),
        program_sha256: None,
        machine,
        acceleration: Acceleration::Emulation,
    }))
}
