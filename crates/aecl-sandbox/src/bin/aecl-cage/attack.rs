//! The self-test: the launcher attacks its own cage, from the place and with the rights of a program.

use std::fs::{File, OpenOptions};
use std::io::{Error, Result};

use crate::Ear;
use crate::sys::attack;
use crate::wire::Report;

type Attack = (&'static str, fn() -> Result<()>);

/// Each must fail. `probe` knows the same names.
const ALL: [Attack; 18] = [
    ("read /etc/shadow", || read("/etc/shadow")),
    ("write /usr", || write("/usr/aecl-self-test")),
    ("write /", || write("/aecl-self-test")),
    ("open /proc/sys/kernel/core_pattern for writing", || write("/proc/sys/kernel/core_pattern")),
    ("read /proc/1/environ", || read_variables("/proc/1/environ")),
    ("make a user namespace", attack::unshare_user),
    ("mount", attack::mount_tmpfs),
    ("chroot", attack::chroot),
    ("make a device", attack::make_block_device),
    ("trace init", attack::trace_init),
    ("bpf", attack::use_bpf),
    ("userfaultfd", attack::use_userfaultfd),
    ("io_uring", attack::use_io_uring),
    ("perf_event_open", attack::use_perf),
    ("join a keyring", attack::join_keyring),
    ("open a vsock", attack::open_vsock),
    ("open a raw socket", attack::open_raw_socket),
    ("reach the metadata service", attack::reach_metadata),
];

pub fn all(ear: &Ear) {
    for (name, attack) in ALL {
        let errno = match attack() {
            Ok(()) => 0,
            Err(error) => error.raw_os_error().unwrap_or(5).unsigned_abs().into(),
        };
        ear.tell(&Report::Attack { name: name.as_bytes().to_vec(), errno });
    }
    // And one thing that must work, or the cage would pass by refusing everything.
    let errno = u64::from(File::create("/scratch/self-test").is_err());
    ear.tell(&Report::Attack { name: b"use the scratch space".to_vec(), errno });
}

fn read(path: &str) -> Result<()> {
    File::open(path).map(drop)
}

/// What is empty tells nothing, and neither does the `HOME` that gVisor gives to whoever has none.
fn read_variables(path: &str) -> Result<()> {
    const NO_DATA: i32 = 61;
    let bytes = std::fs::read(path)?;
    let mut telling =
        bytes.split(|byte| *byte == 0).filter(|one| !one.is_empty() && !one.starts_with(b"HOME="));
    if telling.next().is_some() { Ok(()) } else { Err(Error::from_raw_os_error(NO_DATA)) }
}

fn write(path: &str) -> Result<()> {
    OpenOptions::new().write(true).create(!path.starts_with("/proc")).truncate(false).open(path).map(drop)
}
