//! The fork server: a launcher that has been executed already and makes copies of itself, one for each cage. A copy
//! costs a tenth of executing the launcher anew, and the next one is always made ahead, so that nobody waits for it. It
//! knows no more than a launcher that was just executed: no order ever passes through the server, only the socket over
//! which its copy will receive one, and a copy serves one cage.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use crate::{Ear, Fault, Step, sys};

/// Whether we were started to make copies.
pub fn is_here() -> bool {
    std::env::args_os().nth(1).is_some_and(|word| word == "fork-server")
}

/// Serves until the supervisor is gone. In a copy that has a cage to build: its socket to the supervisor, in the
/// place of ours.
pub fn serve(socket: OwnedFd) -> Option<OwnedFd> {
    stand_apart();
    let _ = sys::close_from(3);
    // Copies answer to their supervisors. Nobody has to collect them.
    sys::set_sigchld(sys::IGNORE);
    loop {
        let (mut said, say) = std::io::pipe().ok()?;
        let mut copied = sys::fork();
        if copied.is_err() {
            // There may be room for one when somebody asks.
            sys::poll([Some(socket.as_fd())], -1).ok()?;
            copied = sys::fork();
        }
        match copied.step("starting the launcher") {
            Ok(0) => {
                drop(said);
                return copy(socket, say);
            }
            Ok(_) => {
                drop(say);
                // The copy says that it has work. Without a word it ends when the supervisor is gone, and so do we.
                said.read_exact(&mut [0]).ok()?;
            }
            Err(fault) => refuse(&socket, &fault)?,
        }
    }
}

/// Whether we were started for one cage.
pub fn is_alone() -> bool {
    std::env::args_os().nth(1).is_some_and(|word| word == "alone")
}

/// A key of the terminal that means the supervisor is for the supervisor to obey, and its directory is its own.
pub fn stand_apart() {
    let _ = sys::setsid();
    let _ = std::env::set_current_dir("/");
}

/// Waits for a cage to build.
fn copy(socket: OwnedFd, mut say: impl Write) -> Option<OwnedFd> {
    let control = receive(&socket)?;
    // Without a server there is no next one, but this one is here.
    let _ = say.write_all(b"1");
    sys::set_sigchld(sys::DEFAULT);
    sys::dup_to(control.as_fd(), 0).ok()?;
    Some(socket)
}

/// Tells who asks next that nobody can serve.
fn refuse(socket: &OwnedFd, fault: &Fault) -> Option<()> {
    Ear::Supervisor(receive(socket)?).tell(&fault.report());
    Some(())
}

/// The socket to a supervisor. Nothing when there is none any more.
fn receive(socket: &OwnedFd) -> Option<OwnedFd> {
    let (_, fds) = sys::receive(socket.as_fd(), 16).ok()?;
    let [control] = <[OwnedFd; 1]>::try_from(fds).ok()?;
    Some(control)
}
