//! The system calls that a program may make. What is not on the list does not exist for it.
//!
//! Two filters, because the answer matters as much as the refusal. The first lets the list through and says
//! "no such call" (`ENOSYS`) to everything else, which is what programs expect of an older kernel and fall
//! back from. The second says "not permitted" (`EPERM`) to the calls that people know as privileged. A call
//! through the 32-bit entry ends the program: its numbers mean other things.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::SandboxError;

macro_rules! calls {
    ($($name:ident)*) => { &[$(libc::$name),*] };
}

/// Files, memory, time, processes of its own, sockets: what ordinary programs are made of.
const ALLOWED: &[c_long] = calls![
    SYS_read SYS_write SYS_open SYS_close SYS_stat SYS_fstat SYS_lstat SYS_poll SYS_lseek SYS_mmap
    SYS_mprotect SYS_munmap SYS_brk SYS_rt_sigaction SYS_rt_sigprocmask SYS_rt_sigreturn SYS_pread64
    SYS_pwrite64 SYS_readv SYS_writev SYS_access SYS_pipe SYS_select SYS_sched_yield SYS_mremap SYS_msync
    SYS_mincore SYS_madvise SYS_shmget SYS_shmat SYS_shmctl SYS_shmdt SYS_dup SYS_dup2 SYS_pause
    SYS_nanosleep SYS_getitimer SYS_alarm SYS_setitimer SYS_getpid SYS_sendfile SYS_connect SYS_accept
    SYS_sendto SYS_recvfrom SYS_sendmsg SYS_recvmsg SYS_shutdown SYS_bind SYS_listen SYS_getsockname
    SYS_getpeername SYS_socketpair SYS_setsockopt SYS_getsockopt SYS_fork SYS_vfork SYS_execve SYS_exit
    SYS_wait4 SYS_kill SYS_uname SYS_semget SYS_semop SYS_semctl SYS_semtimedop SYS_msgget SYS_msgsnd
    SYS_msgrcv SYS_msgctl SYS_fcntl SYS_flock SYS_fsync SYS_fdatasync SYS_truncate SYS_ftruncate
    SYS_getdents SYS_getdents64 SYS_getcwd SYS_chdir SYS_fchdir SYS_rename SYS_mkdir SYS_rmdir SYS_creat
    SYS_link SYS_unlink SYS_symlink SYS_readlink SYS_chmod SYS_fchmod SYS_chown SYS_fchown SYS_lchown
    SYS_umask SYS_gettimeofday SYS_getrlimit SYS_getrusage SYS_sysinfo SYS_times SYS_getuid SYS_getgid
    SYS_setuid SYS_setgid SYS_geteuid SYS_getegid SYS_setpgid SYS_getppid SYS_getpgrp SYS_setsid
    SYS_setreuid SYS_setregid SYS_getgroups SYS_setgroups SYS_setresuid SYS_getresuid SYS_setresgid
    SYS_getresgid SYS_getpgid SYS_setfsuid SYS_setfsgid SYS_getsid SYS_capget SYS_rt_sigpending
    SYS_rt_sigtimedwait SYS_rt_sigqueueinfo SYS_rt_sigsuspend SYS_sigaltstack SYS_utime SYS_mknod
    SYS_statfs SYS_fstatfs SYS_getpriority SYS_setpriority SYS_sched_setparam SYS_sched_getparam
    SYS_sched_setscheduler SYS_sched_getscheduler SYS_sched_get_priority_max SYS_sched_get_priority_min
    SYS_sched_rr_get_interval SYS_mlock SYS_munlock SYS_mlockall SYS_munlockall SYS_arch_prctl
    SYS_setrlimit SYS_sync SYS_gettid SYS_readahead SYS_setxattr SYS_lsetxattr SYS_fsetxattr SYS_getxattr
    SYS_lgetxattr SYS_fgetxattr SYS_listxattr SYS_llistxattr SYS_flistxattr SYS_removexattr
    SYS_lremovexattr SYS_fremovexattr SYS_tkill SYS_time SYS_futex SYS_sched_setaffinity
    SYS_sched_getaffinity SYS_epoll_create SYS_remap_file_pages SYS_set_tid_address SYS_restart_syscall
    SYS_fadvise64 SYS_timer_create SYS_timer_settime SYS_timer_gettime SYS_timer_getoverrun
    SYS_timer_delete SYS_clock_gettime SYS_clock_getres SYS_clock_nanosleep SYS_exit_group SYS_epoll_wait
    SYS_epoll_ctl SYS_tgkill SYS_utimes SYS_mq_open SYS_mq_unlink SYS_mq_timedsend SYS_mq_timedreceive
    SYS_mq_notify SYS_mq_getsetattr SYS_waitid SYS_ioprio_get SYS_ioprio_set SYS_inotify_init
    SYS_inotify_add_watch SYS_inotify_rm_watch SYS_openat SYS_mkdirat SYS_mknodat SYS_fchownat
    SYS_futimesat SYS_newfstatat SYS_unlinkat SYS_renameat SYS_linkat SYS_symlinkat SYS_readlinkat
    SYS_fchmodat SYS_faccessat SYS_pselect6 SYS_ppoll SYS_set_robust_list SYS_get_robust_list SYS_splice
    SYS_tee SYS_sync_file_range SYS_vmsplice SYS_utimensat SYS_epoll_pwait SYS_signalfd SYS_timerfd_create
    SYS_eventfd SYS_fallocate SYS_timerfd_settime SYS_timerfd_gettime SYS_accept4 SYS_signalfd4
    SYS_eventfd2 SYS_epoll_create1 SYS_dup3 SYS_pipe2 SYS_inotify_init1 SYS_preadv SYS_pwritev
    SYS_rt_tgsigqueueinfo SYS_recvmmsg SYS_prlimit64 SYS_syncfs SYS_sendmmsg SYS_getcpu
    SYS_sched_setattr SYS_sched_getattr SYS_renameat2 SYS_getrandom SYS_memfd_create SYS_execveat
    SYS_membarrier SYS_mlock2 SYS_copy_file_range SYS_preadv2 SYS_pwritev2 SYS_pkey_mprotect
    SYS_pkey_alloc SYS_pkey_free SYS_statx SYS_rseq SYS_pidfd_send_signal SYS_pidfd_open SYS_close_range
    SYS_openat2 SYS_faccessat2 SYS_epoll_pwait2 SYS_futex_waitv SYS_fchmodat2
    SYS_landlock_create_ruleset SYS_landlock_add_rule SYS_landlock_restrict_self
];

/// What people know as privileged. The answer is "not permitted", whatever rights somebody may have.
const PRIVILEGED: &[c_long] = calls![
    SYS_unshare SYS_setns SYS_mount SYS_umount2 SYS_pivot_root SYS_chroot SYS_fsopen SYS_fsconfig
    SYS_fsmount SYS_fspick SYS_open_tree SYS_move_mount SYS_mount_setattr SYS_ptrace SYS_process_vm_readv
    SYS_process_vm_writev SYS_pidfd_getfd SYS_kcmp SYS_bpf SYS_perf_event_open SYS_userfaultfd SYS_keyctl
    SYS_add_key SYS_request_key SYS_io_uring_setup SYS_io_uring_enter SYS_io_uring_register SYS_init_module
    SYS_finit_module SYS_delete_module SYS_kexec_load SYS_kexec_file_load SYS_reboot SYS_swapon SYS_swapoff
    SYS_acct SYS_quotactl SYS_quotactl_fd SYS_iopl SYS_ioperm SYS_modify_ldt SYS_syslog SYS_vhangup
    SYS_settimeofday SYS_clock_settime SYS_clock_adjtime SYS_adjtimex SYS_sethostname SYS_setdomainname
    SYS_capset SYS_seccomp SYS_fanotify_init SYS_fanotify_mark SYS_open_by_handle_at SYS_name_to_handle_at
    SYS_lookup_dcookie SYS_memfd_secret SYS_nfsservctl SYS_mbind SYS_set_mempolicy SYS_get_mempolicy
    SYS_migrate_pages SYS_move_pages SYS_process_madvise SYS_process_mrelease SYS__sysctl SYS_uselib
    SYS_ustat SYS_sysfs
];

/// Namespaces, in the flags of `clone`.
const NAMESPACES: [u64; 7] = [
    libc::CLONE_NEWNS as u64,
    libc::CLONE_NEWCGROUP as u64,
    libc::CLONE_NEWUTS as u64,
    libc::CLONE_NEWIPC as u64,
    libc::CLONE_NEWUSER as u64,
    libc::CLONE_NEWPID as u64,
    libc::CLONE_NEWNET as u64,
];

/// What a program may ask of a socket: the local machine (which is the cage) and the internet (which is not
/// there, unless a listener is).
const FAMILIES: [u64; 3] = [libc::AF_UNIX as u64, libc::AF_INET as u64, libc::AF_INET6 as u64];
const STREAM_AND_DATAGRAM: [u64; 3] =
    [libc::SOCK_STREAM as u64, libc::SOCK_DGRAM as u64, libc::SOCK_SEQPACKET as u64];
/// Below these bits is the type of a socket, above them are flags.
const SOCKET_TYPE: u64 = 0xF;

/// Options of `prctl` that change what others may do to us, or what we are.
const PRCTL_REFUSED: [u64; 4] = [
    libc::PR_SET_SECCOMP as u64,
    libc::PR_SET_MM as u64,
    libc::PR_CAP_AMBIENT as u64,
    libc::PR_SET_SECUREBITS as u64,
];

/// Typing for the person at the terminal.
const IOCTL_REFUSED: [u64; 2] = [libc::TIOCSTI, libc::TIOCLINUX];

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Both filters as the kernel takes them, in the order in which they are installed.
pub(crate) fn filters() -> Result<&'static [Vec<u8>], SandboxError> {
    static FILTERS: OnceLock<Result<Vec<Vec<u8>>, String>> = OnceLock::new();
    let made = FILTERS.get_or_init(|| {
        let list =
            allow_list().and_then(compile(SeccompAction::Errno(errno(libc::ENOSYS)), SeccompAction::Allow));
        let known =
            deny_list().and_then(compile(SeccompAction::Allow, SeccompAction::Errno(errno(libc::EPERM))));
        [list, known].into_iter().collect::<Result<_, _>>().map_err(|error| error.to_string())
    });
    made.as_deref().map_err(|error| SandboxError::Setup {
        step: "compiling the seccomp filter".into(),
        source: std::io::Error::other(error.clone()),
    })
}

fn errno(number: i32) -> u32 {
    number.unsigned_abs()
}

fn compile(
    otherwise: SeccompAction,
    on_match: SeccompAction,
) -> impl FnOnce(Rules) -> Result<Vec<u8>, seccompiler::Error> {
    move |rules| {
        let filter = SeccompFilter::new(rules, otherwise, on_match, TargetArch::x86_64)?;
        let program: BpfProgram = filter.try_into()?;
        // `sock_filter`: code, two jumps, a constant.
        let instruction = |i: &seccompiler::sock_filter| {
            let ([a, b], [w, x, y, z]) = (i.code.to_le_bytes(), i.k.to_le_bytes());
            [a, b, i.jt, i.jf, w, x, y, z]
        };
        Ok(program.iter().flat_map(instruction).collect())
    }
}

fn allow_list() -> Result<Rules, seccompiler::Error> {
    let mut rules: Rules = ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    let without_namespaces = NAMESPACES.iter().fold(0, |mask, flag| mask | flag);
    rules.insert(libc::SYS_clone, vec![rule(&[(0, Op::MaskedEq(without_namespaces), 0)])?]);
    let mut sockets = Vec::new();
    for family in FAMILIES {
        for kind in STREAM_AND_DATAGRAM {
            sockets.push(rule(&[(0, Op::Eq, family), (1, Op::MaskedEq(SOCKET_TYPE), kind)])?);
        }
    }
    // The C library lists interfaces over this one.
    let route = libc::NETLINK_ROUTE as u64;
    sockets.push(rule(&[(0, Op::Eq, libc::AF_NETLINK as u64), (2, Op::Eq, route)])?);
    rules.insert(libc::SYS_socket, sockets);
    rules.insert(libc::SYS_prctl, vec![rule(&PRCTL_REFUSED.map(|option| (0, Op::Ne, option)))?]);
    rules.insert(libc::SYS_ioctl, vec![rule(&IOCTL_REFUSED.map(|request| (1, Op::Ne, request)))?]);
    // For the second filter, which then refuses it.
    rules.insert(libc::SYS_seccomp, Vec::new());
    // Asking which personality is harmless; taking another switches address randomisation off.
    let asking = [0, 0xFFFF_FFFF].map(|persona| rule(&[(0, Op::Eq, persona)]));
    rules.insert(libc::SYS_personality, asking.into_iter().collect::<Result<_, _>>()?);
    Ok(rules)
}

fn deny_list() -> Result<Rules, seccompiler::Error> {
    let mut rules: Rules = PRIVILEGED.iter().map(|call| (*call, Vec::new())).collect();
    let any = NAMESPACES.iter().map(|flag| rule(&[(0, Op::MaskedEq(*flag), *flag)]));
    rules.insert(libc::SYS_clone, any.collect::<Result<_, _>>()?);
    let mut sockets = Vec::new();
    let known = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
    sockets.push(rule(&known.map(|family| (0, Op::Ne, family as u64)))?);
    let (netlink, route) = (libc::AF_NETLINK as u64, libc::NETLINK_ROUTE as u64);
    sockets.push(rule(&[(0, Op::Eq, netlink), (2, Op::Ne, route)])?);
    for family in FAMILIES {
        for kind in [libc::SOCK_RAW, libc::SOCK_RDM] {
            sockets.push(rule(&[(0, Op::Eq, family), (1, Op::MaskedEq(SOCKET_TYPE), kind as u64)])?);
        }
    }
    rules.insert(libc::SYS_socket, sockets);
    let options = PRCTL_REFUSED.map(|option| rule(&[(0, Op::Eq, option)]));
    rules.insert(libc::SYS_prctl, options.into_iter().collect::<Result<_, _>>()?);
    let requests = IOCTL_REFUSED.map(|request| rule(&[(1, Op::Eq, request)]));
    rules.insert(libc::SYS_ioctl, requests.into_iter().collect::<Result<_, _>>()?);
    let asking = [0, 0xFFFF_FFFF].map(|persona| (0, Op::Ne, persona));
    rules.insert(libc::SYS_personality, vec![rule(&asking)?]);
    Ok(rules)
}

/// All conditions together: number of the argument, comparison, value. The kernel reads these arguments as
/// 32 bits, so what stands above does not count.
fn rule(conditions: &[(u8, Op, u64)]) -> Result<SeccompRule, seccompiler::Error> {
    let all = conditions
        .iter()
        .map(|(argument, op, value)| SeccompCondition::new(*argument, Len::Dword, op.clone(), *value))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(SeccompRule::new(all)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_both_allowed_and_privileged() {
        for call in PRIVILEGED {
            assert!(!ALLOWED.contains(call), "system call {call}");
        }
        let mut sorted = ALLOWED.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), ALLOWED.len(), "listed twice");
    }

    #[test]
    fn filters_fit_into_what_the_kernel_takes() {
        for filter in filters().unwrap() {
            assert!(filter.len() % 8 == 0 && filter.len() / 8 < 4096, "{}", filter.len() / 8);
        }
    }
}
