//! The socket between supervisor and launcher, seen from here.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen,
    recv, recvmsg, sendmsg, socket_with, socketpair,
};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::protocol::wire::Report;

/// A report is a few numbers and a path.
const REPORT_MAX_BYTES: usize = 8 << 10;
const FDS_MAX: usize = 32;

pub(crate) struct Control(AsyncFd<OwnedFd>);

impl Control {
    /// Our end and the launcher's. When ours closes, the launcher ends the cage.
    pub(super) fn pair() -> io::Result<(Self, OwnedFd)> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        Ok((Self(register(ours)?), theirs))
    }

    /// The other end, for who stands in for a launcher.
    pub(crate) fn over(end: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&end, true)?;
        Ok(Self(register(end)?))
    }

    /// Waits until the supervisor says something, which is that it wants an end, or is gone.
    pub(crate) async fn asked(&mut self) {
        let _ = self.0.async_io(Interest::READABLE, |fd| receive(fd.as_fd())).await;
    }

    /// Sends words and descriptors. The socket has room for them: there is never a second message waiting.
    pub(crate) fn send(&self, words: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
        let mut extra = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !extra.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::Error::from_raw_os_error(libc::E2BIG));
        }
        sendmsg(self.0.get_ref(), &[IoSlice::new(words)], &mut extra, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// The next report and what came with it. `None` when the launcher is gone.
    pub(crate) async fn next(&mut self) -> io::Result<Option<(Report, Vec<OwnedFd>)>> {
        let (bytes, fds) = self.0.async_io(Interest::READABLE, |fd| receive(fd.as_fd())).await?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let report = Report::decode(&bytes).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidData, "the launcher's report cannot be read")
        })?;
        Ok(Some((report, fds)))
    }
}

/// A socket with a name, where one launcher comes to from a container. Others may find the way.
pub(crate) struct Door {
    socket: AsyncFd<OwnedFd>,
    /// What its launcher says first, and nobody else can. Good for once.
    word: String,
}

/// The launcher in the container, seen from here.
pub(crate) struct Caller {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Its process: when that ends, everything in the container does.
    pub(crate) process: OwnedFd,
}

/// How many may stand at the door at once, and how long each has to say its word.
const CALLERS_MAX: usize = 16;
const WORD_MAX: Duration = Duration::from_secs(2);

impl Door {
    /// Listens at a path that is free, for who knows the word.
    pub(crate) fn open(at: &Path, word: String) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        bind(&socket, &SocketAddrUnix::new(at)?)?;
        listen(&socket, CALLERS_MAX as i32)?;
        Ok(Self { socket: register(socket)?, word })
    }

    /// Waits until the one comes who knows the word, and looks who that is. Others are sent away.
    pub(crate) async fn caller(self) -> io::Result<(Control, Caller)> {
        let mut at_the_door = JoinSet::new();
        let come = loop {
            let accept = |fd: &OwnedFd| Ok(accept_with(fd, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?);
            let has_room = at_the_door.len() < CALLERS_MAX;
            tokio::select! {
                come = self.socket.async_io(Interest::READABLE, accept), if has_room => {
                    let (control, word) = (Control(register(come?)?), self.word.clone());
                    at_the_door.spawn(async move { knows(&control, word.as_bytes()).await.then_some(control) });
                }
                Some(heard) = at_the_door.join_next() => {
                    if let Ok(Some(control)) = heard { break control; }
                }
            }
        };
        let caller = caller(come.0.get_ref().as_fd())?;
        Ok((come, caller))
    }
}

/// Whether its first message is the word.
async fn knows(control: &Control, word: &[u8]) -> bool {
    // One byte more shows what is too long.
    let mut said = vec![0; word.len() + 1];
    let hear = |fd: &OwnedFd| Ok(recv(fd, &mut said[..], RecvFlags::empty())?.0);
    let heard = timeout(WORD_MAX, control.0.async_io(Interest::READABLE, hear)).await;
    // As long for a word that is nearly right as for any other.
    let differs = |said: &[u8]| said.iter().zip(word).fold(0, |all, (a, b)| all | (a ^ b)) != 0;
    let Ok(Ok(length)) = heard else { return false };
    length == word.len() && said.get(..length).is_some_and(|said| !differs(said))
}

#[expect(
    unsafe_code,
    reason = "the safe way takes the number of a process that we cannot see for one that is not 0"
)]
fn caller(socket: BorrowedFd<'_>) -> io::Result<Caller> {
    let mut who = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut length = size_of_val(&who) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to `who`, a plain structure of three numbers.
    let asked = unsafe {
        let to = (&raw mut who).cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, to, &raw mut length)
    };
    if asked != 0 {
        return Err(io::Error::last_os_error());
    }
    let unseen = || {
        io::Error::other("its processes are not among those that AECL sees; run AECL outside of a container")
    };
    let pid = Pid::from_raw(who.pid).ok_or_else(unseen)?;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    // While it holds its end, its number is nobody else's.
    match recv(socket, &mut [0; 1][..], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Err(Errno::AGAIN) => {}
        _ => return Err(io::Error::other("it ended, or said something, before it was asked")),
    }
    Ok(Caller { uid: who.uid, gid: who.gid, process })
}

#[expect(unsafe_code, reason = "the safe way to register trusts every type to keep its descriptor")]
fn register(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor has to stay the same and open while it is registered. An `OwnedFd` has one for
    // life and closes it when dropped, which `AsyncFd` does after it has deregistered it; we never take it
    // out and never hand out a `&mut`.
    let registered = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
    Ok(registered?)
}

fn receive(fd: BorrowedFd<'_>) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut extra = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = vec![0; REPORT_MAX_BYTES];
    let got = recvmsg(fd, &mut [IoSliceMut::new(&mut bytes)], &mut extra, RecvFlags::CMSG_CLOEXEC);
    let got = match got {
        // The launcher died with something unread. There is nothing more to come.
        Err(rustix::io::Errno::CONNRESET) => return Ok((Vec::new(), Vec::new())),
        other => other?,
    };
    if got.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(io::Error::other("not all of it could be taken in; AECL may have too many files open"));
    }
    bytes.truncate(got.bytes);
    let mut fds = Vec::new();
    for message in extra.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    Ok((bytes, fds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn come(at: &Path) -> OwnedFd {
        let (flags, kind) = (SocketFlags::CLOEXEC, SocketType::SEQPACKET);
        let socket = socket_with(AddressFamily::UNIX, kind, flags, None).unwrap();
        rustix::net::connect(&socket, &SocketAddrUnix::new(at).unwrap()).unwrap();
        socket
    }

    #[tokio::test]
    async fn who_does_not_know_the_word_is_sent_away() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("socket");
        let door = Door::open(&at, "the word".into()).unwrap();
        let say = |socket: &OwnedFd, words: &str| {
            rustix::net::send(socket, words.as_bytes(), SendFlags::empty()).unwrap();
        };
        let mut others = vec![come(&at)];
        for wrong in ["the worx", "the words", "the wor", ""] {
            others.push(come(&at));
            say(&others[others.len() - 1], wrong);
        }
        let waits = tokio::spawn(door.caller());
        tokio::time::sleep(Duration::from_millis(50)).await;
        let launcher = come(&at);
        say(&launcher, "the word");
        let (control, caller) = timeout(Duration::from_secs(5), waits).await.unwrap().unwrap().unwrap();
        assert_eq!(caller.uid, rustix::process::geteuid().as_raw());
        control.send(b"order", &[]).unwrap();
        let heard = |socket: &OwnedFd| {
            let mut said = vec![0; 16];
            let length = recv(socket, &mut said[..], RecvFlags::empty()).map_or(0, |(length, _)| length);
            said.truncate(length);
            said
        };
        assert_eq!(heard(&launcher), b"order");
        for other in &others {
            assert_eq!(heard(other), b"");
        }
    }

    #[tokio::test]
    async fn who_is_gone_is_nobody_whose_number_could_be_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("socket");
        let door = Door::open(&at, "the word".into()).unwrap();
        let gone = come(&at);
        rustix::net::send(&gone, b"the word", SendFlags::empty()).unwrap();
        drop(gone);
        assert!(door.caller().await.is_err());
    }
}
