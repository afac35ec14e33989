//! Attacks on other processes, on their secrets, and on one's own lack of rights.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;

use crate::*;

pub const ALL: &[Attack] = &[
    (
        19,
        "read the environment of who started us",
        || match fs::read(starter("environ")) {
            // gVisor gives a `HOME` to whoever has none: that of its user, or of nobody whom it knows.
            Ok(bytes) if [&b""[..], b"HOME=/tmp\0", b"HOME=/\0"].contains(&&*bytes) => {
                Came::Says("nothing in it".into())
            }
            other => came_io(other),
        },
        &[],
    ),
    (19, "open the memory of who started us", || came_io(File::open(starter("mem"))), &[]),
    (19, "read the maps of who started us", || came_io(fs::read(starter("maps"))), &[]),
    (19, "list the descriptors of who started us", || came_io(fs::read_dir(starter("fd"))), &[]),
    (19, "walk through the root of who started us", || came_io(fs::read_dir(starter("root/"))), &[]),
    (19, "find a secret in somebody's environment", find_secret, &[]),
    (21, "see processes of others", others, &[]),
    (22, "find descriptors that were left open", descriptors, &[]),
    (24, "find variables of the supervisor", variables, &[]),
    (25, "unshare a user namespace", || unshare(libc::CLONE_NEWUSER), &[]),
    (25, "unshare a mount namespace", || unshare(libc::CLONE_NEWNS), &[]),
    (25, "unshare a network namespace", || unshare(libc::CLONE_NEWNET), &[]),
    (25, "unshare a pid namespace", || unshare(libc::CLONE_NEWPID), &[]),
    (26, "clone into a user namespace", || clone(libc::CLONE_NEWUSER), &[]),
    (26, "clone into a mount namespace", || clone(libc::CLONE_NEWNS), &[]),
    (27, "use clone3", || call(libc::SYS_clone3, &[0, 0]), &[libc::EINVAL]),
    (28, "join a namespace", setns, &[]),
    (29, "mount", || mount(0), &[]),
    (29, "bind a directory", || mount(libc::MS_BIND), &[]),
    (29, "make a mount writable again", || mount(libc::MS_REMOUNT | libc::MS_BIND), &[]),
    (29, "unmount /proc", umount, &[]),
    (
        29,
        "pivot_root",
        || call(libc::SYS_pivot_root, &[c"/".as_ptr() as i64, c"/".as_ptr() as i64]),
        &[libc::EBUSY, libc::EINVAL],
    ),
    (29, "chroot", || came(unsafe { libc::chroot(c"/".as_ptr()) }.into()), &[]),
    (30, "fsopen", || call(libc::SYS_fsopen, &[c"tmpfs".as_ptr() as i64]), &[]),
    (30, "open_tree", || call(libc::SYS_open_tree, &[-100, c"/".as_ptr() as i64, 1]), &[]),
    (
        30,
        "move_mount",
        || {
            let path = c"/".as_ptr() as i64;
            call(libc::SYS_move_mount, &[-100, path, -100, path])
        },
        &[libc::EINVAL, libc::ELOOP],
    ),
    (30, "mount_setattr", || call(libc::SYS_mount_setattr, &[-100, c"/".as_ptr() as i64]), &[libc::EINVAL]),
    (31, "have a capability", capabilities, &[]),
    (32, "become root", || came(unsafe { libc::setresuid(0, 0, 0) }.into()), &[]),
    (32, "become root by a set-user-ID program", set_user_id, &[]),
    (32, "have a way to new privileges", new_privileges, &[]),
    (
        35,
        "install a seccomp filter",
        || {
            let action = 0x7fff_0000_u32;
            call(libc::SYS_seccomp, &[2, 0, &raw const action as i64])
        },
        &[],
    ),
    (35, "trace our own child", trace_child, &[]),
    (36, "read the memory of our parent", read_parent, &[]),
    (36, "take a descriptor of our parent", take_descriptor, &[]),
    (
        37,
        "signal the supervisor",
        || came(unsafe { libc::kill(wanted("ATTACK_PID").parse().unwrap_or(0x7fff_fff0), 0) }.into()),
        &[],
    ),
    (
        38,
        "type for the person at the terminal",
        || {
            let letter = b'x';
            came(unsafe { libc::ioctl(0, libc::TIOCSTI, &raw const letter) }.into())
        },
        &[libc::ENOTTY],
    ),
    (
        38,
        "have a controlling terminal",
        || came_io(OpenOptions::new().read(true).open("/dev/tty")),
        &[libc::ENXIO],
    ),
];

/// A file of the process that started us: outside the supervisor, inside the first process of the cage.
pub fn starter(file: &str) -> String {
    let supervisor = format!("/proc/{}", wanted("ATTACK_PID"));
    let dir = if fs::exists(&supervisor).unwrap_or(false) { &supervisor } else { "/proc/1" };
    format!("{dir}/{file}")
}

fn find_secret() -> Came {
    let (first, second) = (wanted("ATTACK_SECRET_1"), wanted("ATTACK_SECRET_2"));
    let secret = format!("PLANTED_SECRET={first}{second}");
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let bytes = fs::read(entry.path().join("environ")).unwrap_or_default();
        if bytes.windows(secret.len()).any(|window| window == secret.as_bytes()) {
            return Came::Works;
        }
    }
    Came::Says("not there".into())
}

fn others() -> Came {
    let ours = [unsafe { libc::getpid() }, unsafe { libc::getppid() }];
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let mut pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    if pids.any(|pid| !ours.contains(&pid)) { Came::Works } else { Came::Says("none".into()) }
}

fn descriptors() -> Came {
    // The last one is the directory that is being read; two belong to the pipe of this attack.
    let mut strange = 0;
    for fd in 0..1024 {
        let path = format!("/proc/self/fd/{fd}");
        let Ok(target) = fs::read_link(&path) else { continue };
        let target = target.to_string_lossy().into_owned();
        if !target.starts_with("pipe:") {
            strange += 1;
        }
    }
    if strange == 0 { Came::Says("pipes only".into()) } else { Came::Works }
}

fn variables() -> Came {
    let given = ["PATH", "HOME", "LANG", "TMPDIR"];
    let strange =
        std::env::vars().filter(|(name, _)| !given.contains(&name.as_str()) && !name.starts_with("ATTACK_"));
    if strange.count() == 0 { Came::Says("none".into()) } else { Came::Works }
}

fn unshare(flag: i32) -> Came {
    came(unsafe { libc::unshare(flag) }.into())
}

fn clone(flag: i32) -> Came {
    let flags = i64::from(flag | libc::SIGCHLD);
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    if pid == 0 {
        unsafe { libc::_exit(0) };
    }
    came(pid)
}

fn setns() -> Came {
    match File::open("/proc/self/ns/net") {
        Ok(ns) => came(unsafe { libc::setns(ns.as_raw_fd(), 0) }.into()),
        Err(error) => came_io::<()>(Err(error)),
    }
}

fn mount(flags: libc::c_ulong) -> Came {
    // Outside, so that the host keeps its mounts; inside this is refused, too.
    unsafe { libc::unshare(libc::CLONE_NEWNS) };
    let kind = if flags == 0 { c"tmpfs" } else { c"none" };
    let (from, to) = if flags & libc::MS_REMOUNT != 0 { (c"none", c"/") } else { (c"/usr", c"/tmp") };
    came(unsafe { libc::mount(from.as_ptr(), to.as_ptr(), kind.as_ptr(), flags, std::ptr::null()) }.into())
}

fn umount() -> Came {
    unsafe { libc::unshare(libc::CLONE_NEWNS) };
    unsafe {
        let private = libc::MS_REC | libc::MS_PRIVATE;
        libc::mount(c"none".as_ptr(), c"/".as_ptr(), std::ptr::null(), private, std::ptr::null());
    }
    came(unsafe { libc::umount2(c"/proc".as_ptr(), libc::MNT_DETACH) }.into())
}

fn status(field: &str) -> String {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix(field)).unwrap_or("?").trim().to_owned()
}

fn capabilities() -> Came {
    let sets = ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"].map(status);
    // A kernel in user space may not have all of them.
    if sets.iter().all(|set| set == "?" || set.bytes().all(|digit| digit == b'0')) && sets[2] != "?" {
        return Came::Says("none, in no set".into());
    }
    Came::Works
}

fn set_user_id() -> Came {
    let ran = std::process::Command::new(wanted("ATTACK_SETUID")).arg("euid").status();
    match ran {
        Ok(status) if status.success() => Came::Works,
        Ok(_) => Came::Says("stays who it was".into()),
        Err(error) => came_io::<()>(Err(error)),
    }
}

fn new_privileges() -> Came {
    const GET_NO_NEW_PRIVS: i32 = 39;
    if unsafe { libc::prctl(GET_NO_NEW_PRIVS, 0, 0, 0, 0) } == 1 {
        Came::Says("none".into())
    } else {
        Came::Works
    }
}

fn trace_child() -> Came {
    let child = unsafe { libc::fork() };
    if child == 0 {
        unsafe { libc::pause() };
        unsafe { libc::_exit(0) };
    }
    let traced = came(unsafe { libc::ptrace(libc::PTRACE_ATTACH, child, 0, 0) });
    unsafe { libc::kill(child, libc::SIGKILL) };
    traced
}

fn read_parent() -> Came {
    let mut byte = 0_u8;
    let ours = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    // The parent is a copy of us, so the address is good there, too.
    let theirs = libc::iovec { iov_base: std::ptr::from_ref(&ALL).cast_mut().cast(), iov_len: 1 };
    let parent = unsafe { libc::getppid() };
    came(unsafe { libc::process_vm_readv(parent, &raw const ours, 1, &raw const theirs, 1, 0) } as i64)
}

fn take_descriptor() -> Came {
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::getppid(), 0) };
    if fd == -1 {
        return errno();
    }
    call(libc::SYS_pidfd_getfd, &[fd, 0, 0])
}
