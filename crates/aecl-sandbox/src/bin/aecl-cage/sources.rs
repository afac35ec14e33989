//! What a cage shows of the host, found by one launcher and used by another. In a container there is nothing of the
//! host to find, and whoever starts the container follows links and may show too much: so a launcher on the host
//! finds it, as for any cage, and what it found goes over a socket to the launcher in the container.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use crate::tree::{self, Found};
use crate::wire::{FDS_IN_ONE, Order, Report, SOCKET, User};
use crate::{Ear, Fault, Step, namespaces, sys};

/// Whether we are the first process of a container: whoever starts that says so.
pub fn is_in_container() -> bool {
    std::env::args_os().nth(1).is_some_and(|word| word == "contained")
}

/// Makes the supervisor's socket our descriptor 0, where it is on a host, and says the word there that only its
/// launcher knows.
pub fn reach_supervisor() -> std::io::Result<()> {
    let socket = sys::connect_packets(SOCKET)?;
    let word = std::env::args_os().nth(2).unwrap_or_default();
    sys::send(socket.as_fd(), word.as_bytes(), &[])?;
    sys::dup_to(socket.as_fd(), 0)
}

/// Finds what the mounts show and hands it out. An ordinary user may do so in namespaces of its own.
pub fn hand_out(order: &Order, ear: &Ear) -> Result<(), Fault> {
    if !order.user.separate {
        namespaces::become_user(&User { inside: 0, ..order.user.clone() })?;
        sys::mount_namespace().step("making namespaces")?;
    }
    let Found { mounts, owners_mapped } = tree::find(order)?;
    for some in mounts.chunks(FDS_IN_ONE) {
        let fds: Vec<BorrowedFd<'_>> = some.iter().map(|(tree, _)| tree.as_fd()).collect();
        ear.hand_out(&Report::Found { owners_mapped }, &fds).step("handing out what is shown")?;
    }
    Ok(())
}

/// Takes what somebody else found. Whether owners are mapped is known to who found it.
pub fn take(order: &Order, control: BorrowedFd<'_>) -> Result<Found, Fault> {
    let step = "taking what is shown";
    let mut found = Found { mounts: Vec::new(), owners_mapped: true };
    while found.mounts.len() < order.mounts.len() {
        let (_, fds) = sys::receive(control, 16).step(step)?;
        if fds.is_empty() {
            return Err(Fault { step: step.into(), errno: 32 });
        }
        for fd in fds {
            let tree = File::from(fd);
            let is_dir = tree.metadata().step(step)?.is_dir();
            found.mounts.push((OwnedFd::from(tree), is_dir));
        }
    }
    Ok(found)
}
