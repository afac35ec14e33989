//! The kernel's own interface, as far as the launcher needs it, each call made safe to use.
//!
//! Numbers and structures are those of Linux's `include/uapi`, on which programs of the last thirty years rely: they
//! never change. The launcher takes them from here because it is built without any crate. Each section names the
//! file that it is from.
//!
//! Numbers of calls differ between architectures, and stand in a file for each. Nothing else here does: a call that
//! only one of them has is not made, but its successor, which both have (`ppoll`, `dup3`, `mknodat`). Flags that do
//! differ (`O_DIRECTORY`, `O_NOFOLLOW`, `O_DIRECT`, `O_LARGEFILE`) and structures that do (`stat`, `epoll_event`) are
//! left to the standard library.
#![allow(unsafe_code, reason = "system calls for which the standard library has no function")]

use std::ffi::{CStr, CString, c_long, c_void};
use std::io::{Error, Result};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn signal(number: i32, handler: usize) -> usize;
    fn clone(
        work: extern "C" fn(*mut c_void) -> i32,
        stack_end: *mut c_void,
        flags: i32,
        argument: *mut c_void,
        ...
    ) -> i32;
}

#[cfg_attr(target_arch = "x86_64", path = "sys/x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "sys/aarch64.rs")]
mod nr;

const AT_FDCWD: i64 = -100;
const AT_EMPTY_PATH: i64 = 0x1000;
const AT_RECURSIVE: i64 = 0x8000;
const SIGCHLD: u64 = 17;
pub const SIGKILL: i64 = 9;

/// Makes a call and turns -1 into the error.
///
/// # Safety
/// Pointers among the arguments must be valid for what the kernel does with them in this call.
unsafe fn call(number: i64, a: [i64; 6]) -> Result<i64> {
    // SAFETY: the caller vouches for pointers; a system call takes at most six word-sized arguments.
    let result = unsafe { syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]) };
    if result == -1 { Err(Error::last_os_error()) } else { Ok(result) }
}

/// A call without any pointer among its arguments.
fn plain(number: i64, a: [i64; 6]) -> Result<i64> {
    // SAFETY: no argument is a pointer, so the kernel touches no memory of ours; the numbers used with this
    // function are those of calls that cannot break a rule of Rust (none maps, unmaps or writes memory).
    unsafe { call(number, a) }
}

fn at<T>(pointer: &T) -> i64 {
    ptr::from_ref(pointer) as i64
}

fn text(text: &CStr) -> i64 {
    text.as_ptr() as i64
}

/// A text for the kernel. One with a NUL inside has no meaning there.
pub fn c(bytes: &[u8]) -> Result<CString> {
    CString::new(bytes).map_err(|_| Error::from_raw_os_error(22))
}

fn owned(fd: i64) -> OwnedFd {
    // SAFETY: called with what a successful call just returned as a new descriptor, owned by nobody else.
    unsafe { OwnedFd::from_raw_fd(fd as RawFd) }
}

/// The descriptor with which we were started.
pub fn inherited(fd: RawFd) -> OwnedFd {
    // SAFETY: called once per number, at the start of `main`, for what the supervisor left open for us.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

// --- processes: linux/sched.h, linux/wait.h, linux/pidfd.h, asm-generic/signal.h, asm-generic/ioctls.h

pub const NEWNS: u64 = 0x0002_0000;
pub const NEWUTS: u64 = 0x0400_0000;
pub const NEWIPC: u64 = 0x0800_0000;
pub const NEWUSER: u64 = 0x1000_0000;
pub const NEWPID: u64 = 0x2000_0000;
const NEWNET: u64 = 0x4000_0000;
const CLONE_PIDFD: u64 = 0x1000;

#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// In the child `None`, in the parent the child's number and descriptor. The child is born into the cgroup.
pub fn clone3(namespaces: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Option<(i64, OwnedFd)>> {
    const INTO_CGROUP: u64 = 0x2_0000_0000;
    let mut pidfd: i32 = -1;
    let args = CloneArgs {
        flags: namespaces | CLONE_PIDFD | if cgroup.is_some() { INTO_CGROUP } else { 0 },
        cgroup: cgroup.map_or(0, |fd| fd.as_raw_fd() as u64),
        pidfd: ptr::from_mut(&mut pidfd) as u64,
        exit_signal: SIGCHLD,
        ..CloneArgs::default()
    };
    // SAFETY: without CLONE_VM the child gets a copy of our memory and continues here, as after fork. We have
    // one thread, so no lock is held by a thread that the child lacks. The kernel reads `args` and writes
    // `pidfd`, which both live until the call returns.
    let pid = unsafe { call(nr::CLONE3, [at(&args), size_of::<CloneArgs>() as i64, 0, 0, 0, 0])? };
    if pid == 0 { Ok(None) } else { Ok(Some((pid, owned(i64::from(pidfd))))) }
}

/// Makes the cgroup in which we are the root of all that we see.
pub fn cgroup_namespace() -> Result<()> {
    const NEWCGROUP: i64 = 0x0200_0000;
    plain(nr::UNSHARE, [NEWCGROUP, 0, 0, 0, 0, 0]).map(drop)
}

/// A network with nothing in it but a loopback interface, which is down.
pub fn network_namespace() -> Result<()> {
    plain(nr::UNSHARE, [NEWNET as i64, 0, 0, 0, 0, 0]).map(drop)
}

/// A namespace of users in which we are nobody yet, and have every right.
pub fn user_namespace() -> Result<()> {
    plain(nr::UNSHARE, [NEWUSER as i64, 0, 0, 0, 0, 0]).map(drop)
}

/// A namespace of mounts: what is mounted from now on is seen by nobody else.
pub fn mount_namespace() -> Result<()> {
    plain(nr::UNSHARE, [NEWNS as i64, 0, 0, 0, 0, 0]).map(drop)
}

/// Zero in the child.
pub fn fork() -> Result<i64> {
    // SAFETY: as in `clone3`: a copy of our memory, and we have one thread.
    unsafe { call(nr::CLONE, [SIGCHLD as i64, 0, 0, 0, 0, 0]) }
}

/// Does this in a child that has our memory until it executes another program or ends; until then we stand still. It
/// spares the copy that [`fork`] makes, most of which nobody would ever look at. The child's number.
pub fn vfork(work: impl FnOnce()) -> Result<i64> {
    const VM_AND_VFORK: i32 = 0x100 | 0x4000;
    const STACK_BYTES: usize = 256 << 10;
    extern "C" fn run<F: FnOnce()>(work: *mut c_void) -> i32 {
        // SAFETY: this is the argument that is handed over below, and nobody else looks at it while we run.
        let work = unsafe { &mut *work.cast::<Option<F>>() };
        if let Some(work) = work.take() {
            work();
        }
        127
    }
    fn entry<F: FnOnce()>(_: &Option<F>) -> extern "C" fn(*mut c_void) -> i32 {
        run::<F>
    }
    let mut work = Some(work);
    let mut stack: Vec<u128> = Vec::with_capacity(STACK_BYTES / size_of::<u128>());
    let flags = VM_AND_VFORK | SIGCHLD as i32;
    // SAFETY: the stack is as long as said, aligned to 16 bytes, and grows down from its end. It and the argument
    // outlive the child's use of them: with CLONE_VFORK we go on only when the child has executed another program,
    // which ends its use of our memory, or is gone. We have one thread, so nobody else is there meanwhile. The C
    // library ends a child that returns by the system call alone.
    let pid = unsafe {
        let end = stack.as_mut_ptr().add(stack.capacity()).cast();
        clone(entry(&work), end, flags, ptr::from_mut(&mut work).cast())
    };
    if pid == -1 { Err(Error::last_os_error()) } else { Ok(pid.into()) }
}

/// Waits for a child, any with -1. Its number and wait status.
pub fn wait(pid: i64) -> Result<(i64, i32)> {
    let mut status: i32 = 0;
    // SAFETY: the kernel writes four bytes to `status`, which outlives the call.
    let pid = unsafe { call(nr::WAIT4, [pid, ptr::from_mut(&mut status) as i64, 0, 0, 0, 0])? };
    Ok((pid, status))
}

pub fn signal_pidfd(pidfd: BorrowedFd<'_>, signal: i64) -> Result<()> {
    plain(nr::PIDFD_SEND_SIGNAL, [pidfd.as_raw_fd().into(), signal, 0, 0, 0, 0]).map(drop)
}

/// This process, as others may hold it.
pub fn own_pidfd() -> Result<OwnedFd> {
    plain(nr::PIDFD_OPEN, [std::process::id().into(), 0, 0, 0, 0, 0]).map(owned)
}

pub fn setsid() -> Result<()> {
    plain(nr::SETSID, [0; 6]).map(drop)
}

/// Makes the terminal behind this descriptor that of our session, if it is nobody's.
pub fn take_terminal(fd: i64) -> Result<()> {
    const TIOCSCTTY: i64 = 0x540E;
    plain(nr::IOCTL, [fd, TIOCSCTTY, 0, 0, 0, 0]).map(drop)
}

pub fn drop_groups() -> Result<()> {
    plain(nr::SETGROUPS, [0; 6]).map(drop)
}

pub fn become_user(uid: u64, gid: u64) -> Result<()> {
    let (uid, gid) = (uid as i64, gid as i64);
    plain(nr::SETRESGID, [gid, gid, gid, 0, 0, 0])?;
    plain(nr::SETRESUID, [uid, uid, uid, 0, 0, 0]).map(drop)
}

pub fn umask(mask: i64) {
    // Cannot fail.
    let _ = plain(nr::UMASK, [mask, 0, 0, 0, 0, 0]);
}

/// Replaces this program. Returns only when it cannot.
pub fn exec(path: &CStr, argv: &[CString], env: &[CString]) -> Error {
    let pointers = |list: &[CString]| -> Vec<*const c_void> {
        list.iter().map(|s| s.as_ptr().cast()).chain([ptr::null()]).collect()
    };
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: both arrays end with a null pointer, and all strings outlive the call: if it succeeds, nothing
    // of ours is left to look at them.
    let result =
        unsafe { call(nr::EXECVE, [text(path), argv.as_ptr() as i64, env.as_ptr() as i64, 0, 0, 0]) };
    result.err().unwrap_or_else(|| Error::from_raw_os_error(5))
}

pub const DEFAULT: usize = 0;
pub const IGNORE: usize = 1;

/// What happens on a write that nobody reads. A program inherits being ignored, so it is set back for it.
pub fn set_sigpipe(action: usize) {
    const SIGPIPE: i32 = 13;
    // SAFETY: the two actions that are used are the kernel's own; no handler of ours is involved.
    unsafe { signal(SIGPIPE, action) };
}

/// What happens when a child ends. One of a process that ignores it needs nobody to wait for it.
pub fn set_sigchld(action: usize) {
    // SAFETY: the two actions that are used are the kernel's own; no handler of ours is involved.
    unsafe { signal(SIGCHLD as i32, action) };
}

// --- descriptors: asm-generic/fcntl.h, linux/close_range.h, asm-generic/poll.h, linux/timerfd.h, linux/eventfd.h

/// Closes every descriptor from this number on.
pub fn close_from(first: RawFd) -> Result<()> {
    // Descriptors that some value of ours still owns would be closed twice; who calls this execs or owns none.
    plain(nr::CLOSE_RANGE, [first.into(), i64::from(u32::MAX), 0, 0, 0, 0]).map(drop)
}

/// Closes every descriptor from this number on at the moment of exec.
pub fn close_on_exec_from(first: RawFd) -> Result<()> {
    const CLOEXEC: i64 = 4;
    match plain(nr::CLOSE_RANGE, [first.into(), i64::from(u32::MAX), CLOEXEC, 0, 0, 0]) {
        // A kernel in user space may not have the call, or not this flag of it.
        Err(_) => {
            // What is not open cannot be marked, and need not be.
            (first..MOST_OPEN).for_each(|fd| drop(plain(nr::FCNTL, [fd.into(), SET_FLAGS, 1, 0, 0, 0])));
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}

/// Far more than we ever open, where descriptors have to be closed one by one.
const MOST_OPEN: RawFd = 256;
const SET_FLAGS: i64 = 2;

/// Lets a descriptor stay open at the moment of exec.
pub fn keep_on_exec(fd: BorrowedFd<'_>) -> Result<()> {
    plain(nr::FCNTL, [fd.as_raw_fd().into(), SET_FLAGS, 0, 0, 0, 0]).map(drop)
}

pub fn dup_to(fd: BorrowedFd<'_>, number: RawFd) -> Result<()> {
    // It would be an error to the call.
    if fd.as_raw_fd() == number {
        return Ok(());
    }
    plain(nr::DUP3, [fd.as_raw_fd().into(), number.into(), 0, 0, 0, 0]).map(drop)
}

#[repr(C)]
struct PollFd {
    fd: i32,
    events: i16,
    revents: i16,
}

const POLLIN: i16 = 1;

/// Which of these can be read or is hung up. `timeout_ms` -1 waits as long as it takes.
pub fn poll<const N: usize>(fds: [Option<BorrowedFd<'_>>; N], timeout_ms: i64) -> Result<[bool; N]> {
    let mut list =
        fds.map(|fd| PollFd { fd: fd.map_or(-1, |fd| fd.as_raw_fd()), events: POLLIN, revents: 0 });
    let mut time = [timeout_ms / 1_000, timeout_ms % 1_000 * 1_000_000];
    let timeout = if timeout_ms < 0 { 0 } else { time.as_mut_ptr() as i64 };
    // SAFETY: the kernel reads and writes N structures at this address, and reads and writes a `timespec` of two
    // words where the time is not without end; all outlive the call. No mask of signals is given.
    unsafe { call(nr::PPOLL, [list.as_mut_ptr() as i64, N as i64, timeout, 0, 0, 0])? };
    Ok(list.map(|entry| entry.revents != 0))
}

/// A timer on the clock that goes on while the machine sleeps.
pub fn timer(after_ns: u64) -> Result<OwnedFd> {
    const BOOTTIME: i64 = 7;
    const CLOEXEC: i64 = 0o2_000_000;
    let fd = owned(plain(nr::TIMERFD_CREATE, [BOOTTIME, CLOEXEC, 0, 0, 0, 0])?);
    // Zero would disarm it; a deadline that has passed is one that passes now.
    let after = after_ns.max(1);
    let value: [u64; 4] = [0, 0, after / 1_000_000_000, after % 1_000_000_000];
    // SAFETY: `value` has the layout of `itimerspec` on 64 bits (interval, then first expiry) and outlives
    // the call; the old value is not asked for.
    unsafe { call(nr::TIMERFD_SETTIME, [fd.as_raw_fd().into(), 0, at(&value), 0, 0, 0])? };
    Ok(fd)
}

pub fn eventfd() -> Result<OwnedFd> {
    plain(nr::EVENTFD2, [0, 0o2_000_000, 0, 0, 0, 0]).map(owned)
}

// --- messages with descriptors: `user_msghdr`, `iovec`, `cmsghdr` and flags of include/linux/socket.h

#[repr(C)]
struct IoVec {
    base: *mut c_void,
    length: usize,
}

#[repr(C)]
struct MsgHdr {
    name: *mut c_void,
    name_length: u32,
    iov: *mut IoVec,
    iov_length: usize,
    control: *mut c_void,
    control_length: usize,
    flags: i32,
}

const SOL_SOCKET: i32 = 1;
const SCM_RIGHTS: i32 = 1;
const FDS_MAX: usize = 32;

/// One control message with up to `FDS_MAX` descriptors, aligned as the kernel wants it.
#[repr(C, align(8))]
struct Rights {
    length: usize,
    level: i32,
    kind: i32,
    fds: [i32; FDS_MAX],
}

const RIGHTS_HEADER: usize = 16;

pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
    const NOSIGNAL: i64 = 0x4000;
    let mut rights = Rights {
        length: RIGHTS_HEADER + 4 * fds.len(),
        level: SOL_SOCKET,
        kind: SCM_RIGHTS,
        fds: [-1; FDS_MAX],
    };
    if fds.len() > FDS_MAX {
        return Err(Error::from_raw_os_error(7));
    }
    for (slot, fd) in rights.fds.iter_mut().zip(fds) {
        *slot = fd.as_raw_fd();
    }
    let mut iov = IoVec { base: bytes.as_ptr() as *mut c_void, length: bytes.len() };
    let with_fds = !fds.is_empty();
    let message = MsgHdr {
        name: ptr::null_mut(),
        name_length: 0,
        iov: &raw mut iov,
        iov_length: 1,
        control: if with_fds { (&raw mut rights).cast() } else { ptr::null_mut() },
        control_length: if with_fds { rights.length } else { 0 },
        flags: 0,
    };
    // SAFETY: `message` is laid out like `msghdr`; what it points to (the bytes, which are only read, and the
    // control message with the length that is filled) outlives the call.
    unsafe { call(nr::SENDMSG, [socket.as_raw_fd().into(), at(&message), NOSIGNAL, 0, 0, 0]).map(drop) }
}

/// The bytes and descriptors of one message. No bytes: the other side is gone.
pub fn receive(socket: BorrowedFd<'_>, bytes_max: usize) -> Result<(Vec<u8>, Vec<OwnedFd>)> {
    const CLOEXEC: i64 = 0x4000_0000;
    let mut bytes = vec![0_u8; bytes_max];
    let mut rights = Rights { length: 0, level: 0, kind: 0, fds: [-1; FDS_MAX] };
    let mut iov = IoVec { base: bytes.as_mut_ptr().cast(), length: bytes.len() };
    let message = MsgHdr {
        name: ptr::null_mut(),
        name_length: 0,
        iov: &raw mut iov,
        iov_length: 1,
        control: (&raw mut rights).cast(),
        control_length: size_of::<Rights>(),
        flags: 0,
    };
    // SAFETY: `message` is laid out like `msghdr`; the kernel writes at most the given lengths into the byte
    // buffer and the control message, which both outlive the call.
    let read = unsafe { call(nr::RECVMSG, [socket.as_raw_fd().into(), at(&message), CLOEXEC, 0, 0, 0])? };
    bytes.truncate(read as usize);
    let count = if rights.level == SOL_SOCKET && rights.kind == SCM_RIGHTS {
        rights.length.saturating_sub(RIGHTS_HEADER) / 4
    } else {
        0
    };
    Ok((bytes, rights.fds.iter().take(count).map(|fd| owned(i64::from(*fd))).collect()))
}

// --- mounts: linux/mount.h, linux/openat2.h, linux/fcntl.h

pub const RDONLY: u64 = 1;
pub const NOSUID: u64 = 2;
pub const NODEV: u64 = 4;
pub const NOEXEC: u64 = 8;
const IDMAP: u64 = 0x0010_0000;
pub const MS_BIND: i64 = 0x1000;
pub const MS_MOVE: i64 = 0x2000;
pub const MS_REC: i64 = 0x4000;
pub const MS_PRIVATE: i64 = 0x4_0000;

#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

const NO_MAGICLINKS: u64 = 2;
const NO_SYMLINKS: u64 = 4;

fn resolve(path: &CStr, resolve: u64) -> Result<OwnedFd> {
    const PATH_CLOEXEC: u64 = 0o10_000_000 | 0o2_000_000;
    let how = OpenHow { flags: PATH_CLOEXEC, mode: 0, resolve };
    // SAFETY: the kernel reads the text and `how`, which has the layout of `open_how`; both outlive the call.
    let fd =
        unsafe { call(nr::OPENAT2, [AT_FDCWD, text(path), at(&how), size_of::<OpenHow>() as i64, 0, 0])? };
    Ok(owned(fd))
}

/// Finds a path without following any link on the way.
pub fn open_path(path: &CStr) -> Result<OwnedFd> {
    resolve(path, NO_MAGICLINKS | NO_SYMLINKS)
}

/// Enters a directory by its name alone. The links of `/proc` lead to what we have open, which is more than
/// the program may see.
pub fn enter(path: &CStr) -> Result<()> {
    match resolve(path, NO_MAGICLINKS) {
        Ok(dir) => plain(nr::FCHDIR, [dir.as_raw_fd().into(), 0, 0, 0, 0, 0]).map(drop),
        // A kernel in user space may not have the call. There nothing of the host can be open.
        // SAFETY: the kernel reads the text.
        Err(error) if is_missing(&error) => unsafe { call(nr::CHDIR, [text(path), 0, 0, 0, 0, 0]).map(drop) },
        Err(error) => Err(error),
    }
}

fn is_missing(error: &Error) -> bool {
    const NO_SUCH_CALL: i32 = 38;
    error.raw_os_error() == Some(NO_SUCH_CALL)
}

/// An extended attribute of a file, as much of it as there is room for; of a link, that of the link. Its length.
pub fn attribute(path: &CStr, name: &CStr, value: &mut [u8]) -> Result<usize> {
    // SAFETY: the kernel reads two texts and writes at most that many bytes where there is room for them.
    let length = unsafe {
        call(nr::LGETXATTR, [text(path), text(name), value.as_mut_ptr() as i64, value.len() as i64, 0, 0])?
    };
    Ok(usize::try_from(length).unwrap_or_default())
}

/// A copy of the mount under this descriptor, attached nowhere.
pub fn open_tree(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    const CLONE_CLOEXEC: i64 = 1 | 0o2_000_000;
    // SAFETY: the kernel reads the empty text.
    let fd = unsafe {
        let flags = CLONE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE;
        call(nr::OPEN_TREE, [fd.as_raw_fd().into(), text(c""), flags, 0, 0, 0])?
    };
    Ok(owned(fd))
}

#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns: u64,
}

fn set_attributes(mount: BorrowedFd<'_>, attributes: &MountAttr, recursive: bool) -> Result<()> {
    let flags = AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 };
    let size = size_of::<MountAttr>() as i64;
    // SAFETY: the kernel reads the empty text and the attributes, laid out like `mount_attr`.
    unsafe {
        call(nr::MOUNT_SETATTR, [mount.as_raw_fd().into(), text(c""), flags, at(attributes), size, 0])
            .map(drop)
    }
}

/// Adds restrictions to a mount, and cuts it off from mounts that are made elsewhere later.
pub fn restrict_mount(mount: BorrowedFd<'_>, set: u64, recursive: bool) -> Result<()> {
    let propagation = MS_PRIVATE as u64;
    set_attributes(mount, &MountAttr { set, clear: 0, propagation, userns: 0 }, recursive)
}

/// Shows the owners of a mount as this user namespace maps them.
pub fn map_owners(mount: BorrowedFd<'_>, userns: BorrowedFd<'_>) -> Result<()> {
    let userns = userns.as_raw_fd() as u64;
    set_attributes(mount, &MountAttr { set: IDMAP, clear: 0, propagation: 0, userns }, false)
}

pub fn move_mount(mount: BorrowedFd<'_>, to: &CStr) -> Result<()> {
    const FROM_EMPTY_PATH: i64 = 4;
    // SAFETY: the kernel reads the two texts.
    unsafe {
        let from = mount.as_raw_fd().into();
        call(nr::MOVE_MOUNT, [from, text(c""), AT_FDCWD, text(to), FROM_EMPTY_PATH, 0]).map(drop)
    }
}

/// Mounts it over what is open: no name is looked up.
pub fn move_mount_over(mount: BorrowedFd<'_>, place: BorrowedFd<'_>) -> Result<()> {
    const FROM_AND_TO_EMPTY_PATH: i64 = 4 | 0x40;
    // SAFETY: the kernel reads two empty texts.
    unsafe {
        let (from, to) = (mount.as_raw_fd().into(), place.as_raw_fd().into());
        call(nr::MOVE_MOUNT, [from, text(c""), to, text(c""), FROM_AND_TO_EMPTY_PATH, 0]).map(drop)
    }
}

/// An empty file system in memory, attached nowhere.
pub fn tmpfs(options: &[(&CStr, &CStr)], attributes: u64) -> Result<OwnedFd> {
    const SET_STRING: i64 = 1;
    const CREATE: i64 = 6;
    // SAFETY: the kernel reads the name.
    let context = owned(unsafe { call(nr::FSOPEN, [text(c"tmpfs"), 1, 0, 0, 0, 0])? });
    let fd = i64::from(context.as_raw_fd());
    for (key, value) in options {
        // SAFETY: the kernel reads the two texts.
        unsafe { call(nr::FSCONFIG, [fd, SET_STRING, text(key), text(value), 0, 0])? };
    }
    plain(nr::FSCONFIG, [fd, CREATE, 0, 0, 0, 0])?;
    plain(nr::FSMOUNT, [fd, 1, attributes as i64, 0, 0, 0]).map(owned)
}

pub fn mount(source: &CStr, target: &CStr, kind: &CStr, flags: i64, options: &CStr) -> Result<()> {
    // SAFETY: the kernel reads the four texts.
    unsafe { call(nr::MOUNT, [text(source), text(target), text(kind), flags, text(options), 0]).map(drop) }
}

pub fn unmount(target: &CStr) -> Result<()> {
    const DETACH: i64 = 2;
    // SAFETY: the kernel reads the text.
    unsafe { call(nr::UMOUNT2, [text(target), DETACH, 0, 0, 0, 0]).map(drop) }
}

pub fn pivot_here() -> Result<()> {
    // SAFETY: the kernel reads the two texts.
    unsafe { call(nr::PIVOT_ROOT, [text(c"."), text(c"."), 0, 0, 0, 0]).map(drop) }
}

pub fn set_hostname(name: &[u8]) -> Result<()> {
    // SAFETY: the kernel reads as many bytes as there are.
    unsafe { call(nr::SETHOSTNAME, [name.as_ptr() as i64, name.len() as i64, 0, 0, 0, 0]).map(drop) }
}

// --- network of the cage: linux/if.h, linux/sockios.h, linux/in.h

#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: i16,
    rest: [u8; 22],
}

fn socket(domain: i64, kind: i64, protocol: i64) -> Result<OwnedFd> {
    const CLOEXEC: i64 = 0o2_000_000;
    plain(nr::SOCKET, [domain, kind | CLOEXEC, protocol, 0, 0, 0]).map(owned)
}

pub fn raise_loopback() -> Result<()> {
    const SIOCSIFFLAGS: i64 = 0x8914;
    const UP_RUNNING: i16 = 0x41;
    let socket = socket(2, 2, 0)?;
    let mut request = InterfaceRequest { name: [0; 16], flags: UP_RUNNING, rest: [0; 22] };
    request.name[..2].copy_from_slice(b"lo");
    // SAFETY: the kernel reads and writes one `ifreq` (40 bytes), which outlives the call.
    unsafe { call(nr::IOCTL, [socket.as_raw_fd().into(), SIOCSIFFLAGS, at(&request), 0, 0, 0]).map(drop) }
}

/// `sockaddr_in`.
fn address(ip: [u8; 4], port: u16) -> [u8; 16] {
    let mut bytes = [0_u8; 16];
    bytes[..2].copy_from_slice(&2_u16.to_ne_bytes());
    bytes[2..4].copy_from_slice(&port.to_be_bytes());
    bytes[4..8].copy_from_slice(&ip);
    bytes
}

pub fn listen_on_loopback(port: u16) -> Result<OwnedFd> {
    let socket = socket(2, 1, 0)?;
    let address = address([127, 0, 0, 1], port);
    let fd = i64::from(socket.as_raw_fd());
    // SAFETY: the kernel reads the sixteen bytes of the address.
    unsafe { call(nr::BIND, [fd, at(&address), 16, 0, 0, 0])? };
    plain(nr::LISTEN, [fd, 128, 0, 0, 0, 0])?;
    Ok(socket)
}

// --- giving up rights: linux/prctl.h, linux/securebits.h, linux/capability.h, linux/keyctl.h, linux/filter.h

pub fn limit(resource: u64, value: u64) -> Result<()> {
    let pair = [value, value];
    // SAFETY: the kernel reads one `rlimit64`; the old one is not asked for.
    unsafe { call(nr::PRLIMIT64, [0, resource as i64, at(&pair), 0, 0, 0]).map(drop) }
}

fn prctl(option: i64, argument: i64) -> Result<()> {
    // The options used here (below) take numbers only.
    plain(nr::PRCTL, [option, argument, 0, 0, 0, 0]).map(drop)
}

pub fn die_with_parent() -> Result<()> {
    prctl(1, SIGKILL)
}

pub fn hide_from_ptrace() -> Result<()> {
    prctl(4, 0)
}

pub fn no_new_privileges() -> Result<()> {
    prctl(38, 1)
}

/// Root is nobody special, and no way leads back.
pub fn lock_securebits() -> Result<()> {
    const NOROOT_NO_FIXUP_NO_KEEP_NO_AMBIENT_ALL_LOCKED: i64 = 0xEF;
    prctl(28, NOROOT_NO_FIXUP_NO_KEEP_NO_AMBIENT_ALL_LOCKED)
}

pub fn empty_bounding_set() -> Result<()> {
    for capability in 0..64 {
        match prctl(24, capability) {
            // The first number that this kernel does not know.
            Err(error) if capability > 0 && error.raw_os_error() == Some(22) => return Ok(()),
            other => other?,
        }
    }
    Ok(())
}

pub fn drop_capabilities() -> Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    let header: [u32; 2] = [VERSION_3, 0];
    let none = [0_u32; 6];
    match plain(nr::PRCTL, [47, 4, 0, 0, 0, 0]) {
        // PR_CAP_AMBIENT_CLEAR_ALL: a kernel in user space that does not know this set has none.
        Err(error) if error.raw_os_error() == Some(22) => {}
        other => drop(other?),
    }
    // SAFETY: version 3 reads a header and two sets of three words.
    unsafe { call(nr::CAPSET, [at(&header), at(&none), 0, 0, 0, 0]).map(drop) }
}

pub fn fresh_keyring() -> Result<()> {
    const JOIN_SESSION_KEYRING: i64 = 1;
    plain(nr::KEYCTL, [JOIN_SESSION_KEYRING, 0, 0, 0, 0, 0]).map(drop)
}

#[repr(C)]
struct SockFprog {
    length: u16,
    instructions: *const u8,
}

pub fn install_filter(program: &[u8]) -> Result<()> {
    const SET_MODE_FILTER: i64 = 1;
    const INSTRUCTION_BYTES: usize = 8;
    let length = u16::try_from(program.len() / INSTRUCTION_BYTES).map_err(|_| Error::from_raw_os_error(7))?;
    let program = SockFprog { length, instructions: program.as_ptr() };
    // SAFETY: the kernel copies `length` instructions of eight bytes from the address, which are there
    // because the length was computed from the slice, and checks them itself.
    unsafe { call(nr::SECCOMP, [SET_MODE_FILTER, 0, at(&program), 0, 0, 0]).map(drop) }
}

// --- landlock: linux/landlock.h

pub fn landlock_abi() -> Result<i64> {
    const VERSION: i64 = 1;
    plain(nr::LANDLOCK_CREATE_RULESET, [0, 0, VERSION, 0, 0, 0])
}

pub fn landlock_ruleset(files: u64, scopes: Option<u64>) -> Result<OwnedFd> {
    let attributes = [files, 0, scopes.unwrap_or(0)];
    let size = if scopes.is_some() { 24 } else { 8 };
    // SAFETY: the kernel reads `size` bytes of the attributes, which are at least as long.
    let fd = unsafe { call(nr::LANDLOCK_CREATE_RULESET, [at(&attributes), size, 0, 0, 0, 0])? };
    Ok(owned(fd))
}

#[repr(C, packed)]
struct PathBeneath {
    access: u64,
    parent: i32,
}

pub fn landlock_allow(ruleset: BorrowedFd<'_>, path: BorrowedFd<'_>, access: u64) -> Result<()> {
    const PATH_BENEATH: i64 = 1;
    let rule = PathBeneath { access, parent: path.as_raw_fd() };
    // SAFETY: the kernel reads twelve packed bytes, the size of `landlock_path_beneath_attr`.
    unsafe {
        let ruleset = ruleset.as_raw_fd().into();
        call(nr::LANDLOCK_ADD_RULE, [ruleset, PATH_BENEATH, (&raw const rule) as i64, 0, 0, 0]).map(drop)
    }
}

pub fn landlock_restrict(ruleset: BorrowedFd<'_>) -> Result<()> {
    plain(nr::LANDLOCK_RESTRICT_SELF, [ruleset.as_raw_fd().into(), 0, 0, 0, 0, 0]).map(drop)
}

// --- the first process of a virtual machine: linux/reboot.h, linux/module.h, linux/un.h, linux/vm_sockets.h

/// Starts the machine anew, which its monitor takes for its end.
pub fn restart() {
    const MAGIC: [i64; 3] = [0xFEE1_DEAD, 672_274_793, 0x0123_4567];
    let _ = plain(nr::REBOOT, [MAGIC[0], MAGIC[1], MAGIC[2], 0, 0, 0]);
}

pub fn load_module(file: BorrowedFd<'_>, packed: bool) -> Result<()> {
    const COMPRESSED_FILE: i64 = 4;
    let flags = if packed { COMPRESSED_FILE } else { 0 };
    // SAFETY: the kernel reads the empty text of parameters.
    unsafe { call(nr::FINIT_MODULE, [file.as_raw_fd().into(), text(c""), flags, 0, 0, 0]).map(drop) }
}

pub fn change_root(dir: &CStr) -> Result<()> {
    // SAFETY: the kernel reads the text.
    unsafe { call(nr::CHROOT, [text(dir), 0, 0, 0, 0, 0]).map(drop) }
}

/// Two ends that pass whole messages.
pub fn socket_pair() -> Result<(OwnedFd, OwnedFd)> {
    const SEQPACKET_CLOEXEC: i64 = 5 | 0o2_000_000;
    let mut ends = [-1_i32; 2];
    // SAFETY: the kernel writes two descriptors to the array, which outlives the call.
    unsafe { call(nr::SOCKETPAIR, [1, SEQPACKET_CLOEXEC, 0, ends.as_mut_ptr() as i64, 0, 0])? };
    Ok((owned(ends[0].into()), owned(ends[1].into())))
}

/// Connects to a socket that has a name and keeps messages apart.
pub fn connect_packets(path: &str) -> Result<OwnedFd> {
    const UNIX: u16 = 1;
    const SEQPACKET_CLOEXEC: i64 = 5 | 0o2_000_000;
    const NAME_BYTES: usize = 108;
    let mut address = [0_u8; 2 + NAME_BYTES];
    let (family, name) = address.split_at_mut(2);
    family.copy_from_slice(&UNIX.to_ne_bytes());
    // The last byte stays zero.
    let short = name.get_mut(..path.len()).filter(|place| place.len() < NAME_BYTES);
    short.ok_or(Error::from_raw_os_error(36))?.copy_from_slice(path.as_bytes());
    let socket = owned(plain(nr::SOCKET, [UNIX.into(), SEQPACKET_CLOEXEC, 0, 0, 0, 0])?);
    // SAFETY: the kernel reads `address`, laid out like `sockaddr_un`, which outlives the call.
    unsafe {
        call(nr::CONNECT, [socket.as_raw_fd().into(), at(&address), size_of_val(&address) as i64, 0, 0, 0])?
    };
    Ok(socket)
}

/// A file in memory with these bytes, to be read from its start.
pub fn paper(bytes: &[u8]) -> Result<OwnedFd> {
    const CLOEXEC: i64 = 1;
    // SAFETY: the kernel reads the text.
    let fd = unsafe { call(nr::MEMFD_CREATE, [text(c"order"), CLOEXEC, 0, 0, 0, 0]).map(owned)? };
    let mut file = std::fs::File::from(fd);
    std::io::Write::write_all(&mut file, bytes)?;
    std::io::Seek::rewind(&mut file)?;
    Ok(file.into())
}

/// Waits for the host at a port of the socket between the machines.
pub fn accept_vsock(port: u32) -> Result<OwnedFd> {
    const FAMILY: u16 = 40;
    const ANYBODY: u32 = u32::MAX;
    let socket = socket(FAMILY.into(), 1, 0)?;
    // `sockaddr_vm`: family, nothing, port, machine, nothing.
    let address: [u32; 4] = [FAMILY.into(), port, ANYBODY, 0];
    let fd = i64::from(socket.as_raw_fd());
    // SAFETY: the kernel reads the sixteen bytes of the address.
    unsafe { call(nr::BIND, [fd, at(&address), 16, 0, 0, 0])? };
    plain(nr::LISTEN, [fd, 1, 0, 0, 0, 0])?;
    plain(nr::ACCEPT4, [fd, 0, 0, 0o2_000_000, 0, 0]).map(owned)
}

// --- attacks of the self-test: each should be refused

pub mod attack {
    use super::{Result, address, at, call, nr, plain, socket, text};
    use std::os::fd::AsRawFd;

    pub fn unshare_user() -> Result<()> {
        plain(nr::UNSHARE, [0x1000_0000, 0, 0, 0, 0, 0]).map(drop)
    }

    pub fn mount_tmpfs() -> Result<()> {
        super::mount(c"none", c"/tmp", c"tmpfs", 0, c"")
    }

    pub fn chroot() -> Result<()> {
        super::change_root(c"/")
    }

    pub fn make_block_device() -> Result<()> {
        // SAFETY: the kernel reads the text.
        unsafe {
            let (path, block) = (text(c"/tmp/device"), 0o060_600);
            call(nr::MKNODAT, [super::AT_FDCWD, path, block, 0x0800, 0, 0]).map(drop)
        }
    }

    pub fn trace_init() -> Result<()> {
        const SEIZE: i64 = 0x4206;
        plain(nr::PTRACE, [SEIZE, 1, 0, 0, 0, 0]).map(drop)
    }

    pub fn use_bpf() -> Result<()> {
        plain(nr::BPF, [0; 6]).map(drop)
    }

    pub fn use_userfaultfd() -> Result<()> {
        plain(nr::USERFAULTFD, [0; 6]).map(drop)
    }

    pub fn use_io_uring() -> Result<()> {
        plain(nr::IO_URING_SETUP, [0; 6]).map(drop)
    }

    pub fn use_perf() -> Result<()> {
        plain(nr::PERF_EVENT_OPEN, [0; 6]).map(drop)
    }

    pub fn join_keyring() -> Result<()> {
        super::fresh_keyring()
    }

    pub fn open_vsock() -> Result<()> {
        socket(40, 1, 0).map(drop)
    }

    pub fn open_raw_socket() -> Result<()> {
        socket(2, 3, 1).map(drop)
    }

    pub fn reach_metadata() -> Result<()> {
        let socket = socket(2, 2, 0)?;
        let address = address([169, 254, 169, 254], 80);
        // SAFETY: the kernel reads the sixteen bytes of the address.
        unsafe { call(nr::CONNECT, [socket.as_raw_fd().into(), at(&address), 16, 0, 0, 0]).map(drop) }
    }
}
