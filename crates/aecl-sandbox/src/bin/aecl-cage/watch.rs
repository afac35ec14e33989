//! The watcher: ends the cage when it is time, and knows why.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::groups::Groups;
use crate::namespaces::Child;
use crate::sys;
use crate::wire::Cause;

/// Waits for the end of the cage, and brings it about at the deadline, when the supervisor asks or is gone,
/// or when memory has run out. When this returns, no process of the cage is left.
pub fn until_over(control: BorrowedFd<'_>, child: &Child, timer: &OwnedFd, groups: &Groups) -> Cause {
    let cause = wait_for_cause(control, child, timer, groups);
    if cause != Cause::Ended {
        // The first process of a pid namespace takes everything in it along.
        let _ = sys::signal_pidfd(child.pidfd.as_fd(), sys::SIGKILL);
    }
    // The kernel reports the first process only after all others of its namespace are gone.
    let _ = sys::wait(child.pid);
    cause
}

fn wait_for_cause(control: BorrowedFd<'_>, child: &Child, timer: &OwnedFd, groups: &Groups) -> Cause {
    let memory = groups.out_of_memory.as_ref().map(AsFd::as_fd);
    loop {
        let sources = [Some(child.pidfd.as_fd()), memory, Some(timer.as_fd()), Some(control)];
        return match sys::poll(sources, groups.look_every_ms()) {
            Ok([true, ..]) => Cause::Ended,
            Ok([_, true, ..]) => Cause::OutOfMemory,
            Ok([_, _, true, _]) => Cause::Deadline,
            Ok([.., true]) => match sys::receive(control, 16) {
                Ok((word, _)) if !word.is_empty() => Cause::Asked,
                Ok(_) | Err(_) => Cause::Abandoned,
            },
            Ok([false, false, false, false]) if groups.oom_kills() > 0 => Cause::OutOfMemory,
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => Cause::Abandoned,
            Ok(_) | Err(_) => continue,
        };
    }
}
