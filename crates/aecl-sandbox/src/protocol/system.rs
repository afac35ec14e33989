//! Which parts of a system's tree a cage shows. Compiled into the supervisor, for this host, and into the
//! launcher, for the image of a virtual machine.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::wire::{Mount, MountKind, Order};

/// Directories that are part of `/usr` on most systems, and beside it on some.
const BESIDE_USR: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// What programs need of `/etc`. The rest of it is the system's own affair.
const OF_ETC: [&str; 5] =
    ["etc/ld.so.cache", "etc/alternatives", "etc/ssl/certs", "etc/ssl/openssl.cnf", "etc/localtime"];

const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Adds the system whose root is here, and the devices of the running kernel.
pub fn show(root: &Path, order: &mut Order) {
    let mount = |source: &Path, at: &str| Mount {
        source: source.as_os_str().as_bytes().to_vec(),
        at: at.as_bytes().to_vec(),
        kind: MountKind::System,
    };
    let usr = root.join("usr");
    // Every system of today has it. On one that has not, the error should name it.
    order.mounts.push(mount(&usr, "/usr"));
    for name in BESIDE_USR.iter().chain(&OF_ETC) {
        let (source, at) = (root.join(name), format!("/{name}"));
        // What this system does not have, the cage does not have.
        let Ok(about) = fs::symlink_metadata(&source) else { continue };
        match fs::read_link(&source) {
            Ok(target) if about.is_symlink() => {
                order.links.push((at.into_bytes(), target.as_os_str().as_bytes().to_vec()));
            }
            Ok(_) | Err(_) => order.mounts.push(mount(&source, &at)),
        }
    }
    devices(order);
}

/// Adds the devices of the running kernel.
pub fn devices(order: &mut Order) {
    order.mounts.extend(DEVICES.map(|path| Mount {
        source: path.as_bytes().to_vec(),
        at: path.as_bytes().to_vec(),
        kind: MountKind::Device,
    }));
}
