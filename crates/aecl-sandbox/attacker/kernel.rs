//! Attacks on the kernel: calls that an ordinary program does not need and that had holes.

use crate::*;

const LOOKED_AT: &[i32] =
    &[libc::EINVAL, libc::EFAULT, libc::EBADF, libc::ENOENT, libc::ENOEXEC, libc::ESRCH];

fn text(text: &std::ffi::CStr) -> i64 {
    text.as_ptr() as i64
}

pub const ALL: &[Attack] = &[
    #[cfg(target_arch = "x86_64")]
    (33, "enter by int 0x80", int_80, &[]),
    #[cfg(target_arch = "x86_64")]
    (34, "use a number of x32", || call(0x4000_0000 | libc::SYS_getpid, &[]), &[]),
    (
        39,
        "io_uring_setup",
        || {
            let mut parameters = [0_u8; 120];
            call(libc::SYS_io_uring_setup, &[1, parameters.as_mut_ptr() as i64])
        },
        &[],
    ),
    (39, "io_uring_enter", || call(libc::SYS_io_uring_enter, &[-1]), LOOKED_AT),
    (40, "bpf", || call(libc::SYS_bpf, &[0, 0, 0]), LOOKED_AT),
    (41, "perf_event_open", perf, LOOKED_AT),
    (42, "userfaultfd", || call(libc::SYS_userfaultfd, &[1]), &[]),
    (43, "keyctl", || call(libc::SYS_keyctl, &[0, -3, 1]), &[]),
    (43, "add_key", || call(libc::SYS_add_key, &[text(c"user"), text(c"aecl"), text(c"x"), 1, -2]), &[]),
    (
        43,
        "request_key",
        || call(libc::SYS_request_key, &[text(c"user"), text(c"aecl-none"), 0, 0]),
        &[libc::ENOKEY],
    ),
    (44, "init_module", || call(libc::SYS_init_module, &[text(c"x"), 1, text(c"")]), LOOKED_AT),
    (44, "finit_module", || call(libc::SYS_finit_module, &[-1, text(c""), 0]), LOOKED_AT),
    (44, "delete_module", || call(libc::SYS_delete_module, &[text(c"aecl-none"), 0]), LOOKED_AT),
    (44, "kexec_load", || call(libc::SYS_kexec_load, &[0, 99, 0, 0xffff_0000]), LOOKED_AT),
    #[cfg(target_arch = "x86_64")]
    (44, "iopl", || call(libc::SYS_iopl, &[0]), &[]),
    (44, "swapon", || call(libc::SYS_swapon, &[text(c"/aecl-none"), 0]), LOOKED_AT),
    (44, "acct", || call(libc::SYS_acct, &[text(c"/aecl-none")]), LOOKED_AT),
    (44, "quotactl", || call(libc::SYS_quotactl, &[0x0080_0001, text(c"/aecl-none")]), LOOKED_AT),
    (44, "reboot, with a wrong magic", || call(libc::SYS_reboot, &[0, 0, 0]), LOOKED_AT),
    (44, "set the clock", || call(libc::SYS_clock_settime, &[99, 0]), LOOKED_AT),
    (44, "set the hostname", || call(libc::SYS_sethostname, &[0, -1]), LOOKED_AT),
    (45, "switch address randomisation off", || call(libc::SYS_personality, &[0x0004_0000]), &[]),
    #[cfg(target_arch = "x86_64")]
    (
        45,
        "modify_ldt",
        || {
            let mut bytes = [0_u8; 16];
            call(libc::SYS_modify_ldt, &[0, bytes.as_mut_ptr() as i64, 16])
        },
        &[],
    ),
    (46, "fanotify_init", || call(libc::SYS_fanotify_init, &[0, 0]), &[]),
    (46, "lookup_dcookie", || call(libc::SYS_lookup_dcookie, &[0, 0, 0]), LOOKED_AT),
    (46, "memfd_secret", || call(libc::SYS_memfd_secret, &[0]), &[]),
    (
        46,
        "kcmp",
        || {
            let pid = unsafe { libc::getpid() }.into();
            call(libc::SYS_kcmp, &[pid, pid, 1])
        },
        &[],
    ),
    (47, "read the kernel's log", || call(libc::SYS_syslog, &[10]), &[]),
    (48, "use a number that nobody has", || call(9_999, &[]), &[]),
];

/// Enters the kernel as a program of another architecture does. No instruction of aarch64 does that.
#[cfg(not(target_arch = "x86_64"))]
pub fn int_80() -> Came {
    Came::Says("not on this processor".into())
}

/// Enters the kernel as a 32-bit program does.
#[cfg(target_arch = "x86_64")]
pub fn int_80() -> Came {
    const GETPID_OF_I386: i32 = 20;
    let result: i32;
    unsafe {
        std::arch::asm!(
            "int 0x80",
            inlateout("eax") GETPID_OF_I386 => result,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    if result > 0 { Came::Works } else { Came::Errno(-result) }
}

fn perf() -> Came {
    // Type software, size, the clock of this process.
    let mut attributes = [0_u64; 16];
    attributes[0] = 1 | (128 << 32);
    attributes[5] = 1 << 5 | 1 << 6; // leave kernel and hypervisor out
    call(libc::SYS_perf_event_open, &[attributes.as_ptr() as i64, 0, -1, -1, 0])
}
