//! Attempts to use more than there is for one.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::IntoRawFd;

use crate::*;

/// More than any cage of these tests allows, and less than hurts outside.
const PROCESSES: usize = 150;
const FILES: usize = 3_000;
const BYTES: usize = 48 << 20;

pub const ALL: &[Attack] = &[
    (73, "start 150 processes", processes, &[]),
    (75, "write 48 MiB to /tmp", || fill("/tmp"), &[]),
    (75, "write 48 MiB to /dev/shm", || fill("/dev/shm"), &[]),
    (76, "make 3,000 files", inodes, &[]),
    (77, "open 1,000 files", descriptors, &[]),
    (
        78,
        "make a file of 256 MiB in memory",
        || {
            let fd = unsafe { libc::memfd_create(c"x".as_ptr(), 0) };
            came(unsafe { libc::ftruncate(fd, 256 << 20) }.into())
        },
        &[],
    ),
    (79, "leave a core dump", core, &[]),
];

fn processes() -> Came {
    let mut children = Vec::new();
    let mut result = Came::Works;
    for _ in 0..PROCESSES {
        match unsafe { libc::fork() } {
            -1 => {
                result = errno();
                break;
            }
            0 => unsafe {
                libc::pause();
                libc::_exit(0);
            },
            pid => children.push(pid),
        }
    }
    for pid in children {
        unsafe { libc::kill(pid, libc::SIGKILL) };
        unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
    }
    result
}

fn fill(dir: &str) -> Came {
    let mut names = Vec::new();
    let block = vec![1; 1 << 20];
    let mut result = Ok(());
    'filling: for part in 0..BYTES >> 23 {
        let name = format!("{dir}/aecl-fill-{}-{part}", std::process::id());
        names.push(name.clone());
        let mut file = match File::create(&name) {
            Ok(file) => file,
            Err(error) => {
                result = Err(error);
                break;
            }
        };
        for _ in 0..8 {
            result = file.write_all(&block);
            if result.is_err() {
                break 'filling;
            }
        }
    }
    for name in names {
        let _ = fs::remove_file(name);
    }
    came_io(result)
}

fn inodes() -> Came {
    let dir = std::env::temp_dir().join(format!("aecl-inodes-{}", std::process::id()));
    fs::create_dir(&dir).unwrap();
    let result = (0..FILES).try_for_each(|n| File::create(dir.join(n.to_string())).map(drop));
    let _ = fs::remove_dir_all(dir);
    came_io(result)
}

fn descriptors() -> Came {
    // Outside the soft limit may be low; whoever may raise it, does.
    let most = libc::rlimit { rlim_cur: 2_000, rlim_max: 2_000 };
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const most) };
    came_io((0..1_000).try_for_each(|_| File::open("/dev/null").map(IntoRawFd::into_raw_fd).map(|_| ())))
}

fn core() -> Came {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    unsafe { libc::getrlimit(libc::RLIMIT_CORE, &raw mut limit) };
    if limit.rlim_max == 0 { Came::Says("limit is 0".into()) } else { Came::Works }
}
