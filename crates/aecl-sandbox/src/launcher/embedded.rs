//! The launcher as a file that is in no directory.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::sync::OnceLock;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// The launcher, which is also the agent inside machines.
pub(crate) static LAUNCHER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/aecl-cage"));

/// A path by which the launcher can be executed as long as we live. Its bytes are sealed: nobody, not even
/// who finds a way to it from inside a cage, can change them.
pub(super) fn launcher() -> io::Result<String> {
    static FILE: OnceLock<File> = OnceLock::new();
    let file = match FILE.get() {
        Some(file) => file,
        None => {
            let made = seal()?;
            FILE.get_or_init(|| made)
        }
    };
    Ok(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

fn seal() -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels before 6.3 do not know the flag, and need none.
    let file =
        memfd_create("aecl-cage", flags | MemfdFlags::EXEC).or_else(|_| memfd_create("aecl-cage", flags))?;
    let mut file = File::from(file);
    file.write_all(LAUNCHER)?;
    fcntl_add_seals(&file, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?;
    Ok(file)
}
