//! A second lock on files, independent of mounts and owners: only what is scratch may be written.

use std::os::fd::AsFd;

use crate::wire::{MountKind, Order};
use crate::{Fault, Step, sys};

const EXECUTE: u64 = 1;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const MAKE_CHAR: u64 = 1 << 6;
const MAKE_BLOCK: u64 = 1 << 11;
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEV: u64 = 1 << 15;
/// No abstract socket and no signal reaches out of the cage, should a namespace ever fail.
const SCOPES: u64 = 3;

/// Without version 2 no file could move between directories, so programs would break.
const ABI_MIN: i64 = 2;

/// Restricts this process and all that come from it. The version of landlock that did.
pub fn restrict(order: &Order) -> Result<i64, Fault> {
    let abi = sys::landlock_abi().step("asking for landlock")?;
    if abi < ABI_MIN {
        return Err(Fault { step: "asking for landlock version 2".into(), errno: 95 });
    }
    let handled = match abi {
        2 => (REFER << 1) - 1,
        3 | 4 => (TRUNCATE << 1) - 1,
        _ => (IOCTL_DEV << 1) - 1,
    };
    let scopes = (abi >= 6).then_some(SCOPES);
    let ruleset = sys::landlock_ruleset(handled, scopes).step("making the landlock rules")?;
    let allow = |path: &[u8], access: u64| {
        let path = sys::c(path).step("making the landlock rules")?;
        let fd = sys::open_path(&path).step("making the landlock rules")?;
        sys::landlock_allow(ruleset.as_fd(), fd.as_fd(), access & handled).step("making the landlock rules")
    };
    let scratch = handled & !(MAKE_CHAR | MAKE_BLOCK | IOCTL_DEV);
    allow(b"/", EXECUTE | READ_FILE | READ_DIR)?;
    for dir in [b"/scratch".as_slice(), b"/tmp", b"/dev/shm"] {
        allow(dir, scratch)?;
    }
    for mount in &order.mounts {
        match mount.kind {
            MountKind::Overlay => allow(&mount.at, scratch)?,
            MountKind::Device => allow(&mount.at, READ_FILE | WRITE_FILE | TRUNCATE)?,
            MountKind::System | MountKind::View | MountKind::Apart => {}
        }
    }
    sys::landlock_restrict(ruleset.as_fd()).step("applying the landlock rules")?;
    Ok(abi)
}
