//! The one launcher that is executed and waits, and splits off a copy for each cage.
//!
//! The first cage of a process is often its last one, as with `aecl run`: its launcher is executed for it alone, which
//! spares it two copies. A copy of that small process costs a tenth of what it takes to copy us and to execute the launcher anew. It has
//! nothing of us in it: it was executed with an empty environment, and what it gets is the socket over which its copy
//! hears us.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, sendmsg,
    socketpair,
};
use rustix::process::{getegid, geteuid, getpid};
use tokio::process::Command;

use super::embedded;

static SERVER: Mutex<Option<ForkServer>> = Mutex::new(None);

/// How many launchers were executed. Each has its number.
static EXECUTED: AtomicU64 = AtomicU64::new(0);

/// It ends when this does.
struct ForkServer {
    socket: OwnedFd,
    of: Owner,
    number: u64,
}

/// Whose it is. Who has become another process or somebody else needs another one.
type Owner = (i32, u32, u32);

/// Starts a launcher with this socket to us. The number of the one that was executed for that.
pub(super) fn start_launcher(theirs: &OwnedFd) -> io::Result<u64> {
    static WAS_ONE: AtomicBool = AtomicBool::new(false);
    if !WAS_ONE.swap(true, Ordering::Relaxed) {
        return execute("alone", theirs.try_clone()?);
    }
    let mut server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    let us = (getpid().as_raw_nonzero().get(), geteuid().as_raw(), getegid().as_raw());
    if let Some(server) = server.as_ref().filter(|server| server.of == us)
        && server.take(theirs).is_ok()
    {
        return Ok(server.number);
    }
    // There is none yet, or it was ended, or it has more waiting than it can hold. What waits is served all the same.
    let fresh = ForkServer::start(us)?;
    fresh.take(theirs)?;
    Ok(server.insert(fresh).number)
}

/// Gives this server up, of which a launcher never came. Others may have done so.
pub(super) fn give_up(number: u64) {
    let mut server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    if server.as_ref().is_some_and(|server| server.number == number) {
        *server = None;
    }
}

impl ForkServer {
    fn start(of: Owner) -> io::Result<Self> {
        let (socket, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok(Self { socket, of, number: execute("fork-server", theirs)? })
    }

    fn take(&self, theirs: &OwnedFd) -> io::Result<()> {
        let fds = [theirs.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut extra = SendAncillaryBuffer::new(&mut space);
        extra.push(SendAncillaryMessage::ScmRights(&fds));
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        sendmsg(&self.socket, &[IoSlice::new(b"cage")], &mut extra, flags)?;
        Ok(())
    }
}

/// Executes a launcher, which is told what it is to be, and gives it this socket.
fn execute(what: &str, socket: OwnedFd) -> io::Result<u64> {
    let mut command = Command::new(embedded::launcher()?);
    command.arg0("aecl-cage").arg(what).env_clear();
    command.stdin(Stdio::from(socket)).stdout(Stdio::null()).stderr(Stdio::null());
    // Its end is no news to anybody: its cage ends with it, and the next one finds out.
    drop(command.spawn()?);
    Ok(EXECUTED.fetch_add(1, Ordering::Relaxed))
}
