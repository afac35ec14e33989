//! Attacks on the host's files.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::Path;

use crate::*;

pub const ALL: &[Attack] = &[
    (1, "create a file in /", || create("/aecl-attack"), &[]),
    (2, "create a file in /usr/bin", || create("/usr/bin/aecl-attack"), &[]),
    (2, "create a file in /etc", || create("/etc/aecl-attack"), &[]),
    (3, "read /etc/shadow", || read("/etc/shadow"), &[]),
    (4, "read a file of the host", || read(&wanted("ATTACK_FILE")), &[]),
    (5, "list /root", || came_io(fs::read_dir("/root")), &[]),
    (5, "list /home", || came_io(fs::read_dir("/home")), &[]),
    (6, "climb out with ..", || read(&format!("../../../../../../../../..{}", wanted("ATTACK_FILE"))), &[]),
    (
        6,
        "climb out of /proc/self/cwd",
        || read(&format!("/proc/self/cwd/../../../../../..{}", wanted("ATTACK_FILE"))),
        &[],
    ),
    (
        6,
        "climb out of /proc/self/root",
        || read(&format!("/proc/self/root/..{}", wanted("ATTACK_FILE"))),
        &[],
    ),
    (6, "climb out with fchdir", fchdir_up, &[]),
    (10, "open a file by its handle", open_by_handle, &[]),
    (11, "make a block device", || mknod(libc::S_IFBLK), &[]),
    (11, "make a character device", || mknod(libc::S_IFCHR), &[]),
    (12, "find devices that lead somewhere", devices, &[]),
    (
        13,
        "change the mode of /dev/null",
        || came(unsafe { libc::chmod(c"/dev/null".as_ptr(), 0o666) }.into()),
        &[],
    ),
    (16, "open core_pattern for writing", || write_open("/proc/sys/kernel/core_pattern"), &[]),
    (16, "open modprobe for writing", || write_open("/proc/sys/kernel/modprobe"), &[]),
    (16, "open sysrq-trigger for writing and mean it", sysrq, &[]),
    (16, "open uevent_helper for writing", || write_open("/sys/kernel/uevent_helper"), &[]),
    (17, "look into /sys", || came_io(fs::read_dir("/sys/kernel")), &[]),
    (17, "find a release_agent", release_agent, &[]),
    (18, "read kcore", || some_bytes("/proc/kcore"), &[]),
    (18, "read kallsyms", || some_bytes("/proc/kallsyms"), &[]),
    (18, "read keys", || some_bytes("/proc/keys"), &[]),
    (18, "read timer_list", || some_bytes("/proc/timer_list"), &[]),
    (18, "read the kernel's command line", || some_bytes("/proc/cmdline"), &[]),
    (18, "read iomem", || some_bytes("/proc/iomem"), &[]),
    (
        20,
        "open the program of who started us for writing",
        || write_open(&crate::processes::starter("exe")),
        &[libc::ETXTBSY],
    ),
    (20, "open our own program for writing", || write_open("/proc/self/exe"), &[]),
    (20, "open a program of the host for writing", || write_open(&wanted("ATTACK_SETUID")), &[]),
    (44, "write into a bus's directory of /proc", || write_open("/proc/irq/default_smp_affinity"), &[]),
];

fn create(path: &str) -> Came {
    let made = OpenOptions::new().write(true).create_new(true).open(path);
    if made.is_ok() {
        let _ = fs::remove_file(path);
    }
    came_io(made)
}

fn read(path: &str) -> Came {
    came_io(fs::read(path))
}

/// Opens only: what is written there would change the machine.
fn write_open(path: &str) -> Came {
    came_io(OpenOptions::new().write(true).open(path))
}

/// Behind the masked file is `/dev/null`, which anybody may open; so ask what it is.
fn sysrq() -> Came {
    match OpenOptions::new().write(true).open("/proc/sysrq-trigger") {
        Ok(file) => match is_null(&file) {
            true => Came::Says("leads to /dev/null".into()),
            false => Came::Works,
        },
        Err(error) => came_io::<()>(Err(error)),
    }
}

fn is_null(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.metadata().is_ok_and(|about| about.rdev() == libc::makedev(1, 3))
}

fn some_bytes(path: &str) -> Came {
    let mut byte = [0];
    match File::open(path).and_then(|mut file| std::io::Read::read(&mut file, &mut byte)) {
        Ok(0) => Came::Says("empty".into()),
        other => came_io(other),
    }
}

fn fchdir_up() -> Came {
    let root = File::open("/").unwrap();
    unsafe { libc::fchdir(root.as_raw_fd()) };
    for _ in 0..20 {
        unsafe { libc::chdir(c"..".as_ptr()) };
    }
    read(wanted("ATTACK_FILE").trim_start_matches('/'))
}

fn open_by_handle() -> Came {
    #[repr(C)]
    struct Handle {
        bytes: u32,
        kind: i32,
        handle: [u8; 128],
    }
    let mut handle = Handle { bytes: 128, kind: 0, handle: [0; 128] };
    let mut mount = 0_i32;
    let root = File::open("/usr").unwrap();
    let named = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            root.as_raw_fd(),
            c"".as_ptr(),
            &raw mut handle,
            &raw mut mount,
            libc::AT_EMPTY_PATH,
        )
    };
    if named == -1 {
        return errno();
    }
    came(unsafe {
        libc::syscall(libc::SYS_open_by_handle_at, root.as_raw_fd(), &raw mut handle, libc::O_RDONLY)
    })
}

fn mknod(kind: libc::mode_t) -> Came {
    let path = std::env::temp_dir().join(format!("aecl-device-{}", std::process::id()));
    let text = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    let made = came(unsafe { libc::mknod(text.as_ptr(), kind | 0o600, libc::makedev(8, 0)) }.into());
    let _ = fs::remove_file(path);
    made
}

fn devices() -> Came {
    let harmless = ["fd", "full", "null", "random", "shm", "stderr", "stdin", "stdout", "urandom", "zero"];
    let found = fs::read_dir("/dev").unwrap().flatten().map(|entry| entry.file_name());
    let others = found.filter(|name| !harmless.contains(&name.to_str().unwrap_or("?"))).count();
    if others == 0 { Came::Says("none".into()) } else { Came::Works }
}

fn release_agent() -> Came {
    let places = [
        "/sys/fs/cgroup/release_agent",
        "/sys/fs/cgroup/memory/release_agent",
        "/sys/fs/cgroup/pids/release_agent",
    ];
    let there = places.iter().find(|path| Path::new(path).exists());
    came_io(OpenOptions::new().write(true).open(there.unwrap_or(&places[0])))
}
