//! Names for the kernel: bytes of paths, and what nobody else is called.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) fn bytes(path: &Path) -> Vec<u8> {
    path.as_os_str().as_bytes().to_vec()
}

/// A name that no one else on this machine uses now.
pub(crate) fn numbered(what: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{what}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}
