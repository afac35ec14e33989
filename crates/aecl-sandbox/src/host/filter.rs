//! The system calls that a program may make. What is not on the list does not exist for it.
//!
//! The answer matters as much as the refusal. What is not listed is "no such call" (`ENOSYS`), which is what
//! programs expect of an older kernel and fall back from. What people know as privileged is "not permitted"
//! (`EPERM`). A call through the 32-bit entry ends the program: its numbers mean other things.
//!
//! The filter is compiled here, as a search tree over ranges of numbers. A library that compares number after
//! number made a program of 2,000 instructions, and the kernel took more than a millisecond of each start to
//! translate it; this one has some 250. A test interprets it for every number and argument that counts.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use libc::c_long;

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
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// What a program may ask of a socket: the local machine (which is the cage) and the internet (which is not
/// there, unless a listener is).
const FAMILIES: [i32; 3] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6];
const KINDS: [i32; 3] = [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_SEQPACKET];
/// Below these bits is the kind of a socket, above them are flags.
const KIND_BITS: u32 = 0xF;

/// Options of `prctl` that change what others may do to us, or what we are.
const PRCTL_REFUSED: [i32; 4] =
    [libc::PR_SET_SECCOMP, libc::PR_SET_MM, libc::PR_CAP_AMBIENT, libc::PR_SET_SECUREBITS];

/// Typing for the person at the terminal.
const IOCTL_REFUSED: [u64; 2] = [libc::TIOCSTI, libc::TIOCLINUX];

/// No personality, and the question which one it is. Others switch address randomisation off.
const PERSONALITIES: [u32; 2] = [0, 0xFFFF_FFFF];

/// What the kernel is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Allow,
    NotThere,
    NotPermitted,
    /// It depends on an argument.
    Clone,
    Socket,
    Prctl,
    Ioctl,
    Personality,
}

/// The filter as the kernel takes it.
pub(crate) fn filter() -> &'static [u8] {
    static FILTER: OnceLock<Vec<u8>> = OnceLock::new();
    FILTER.get_or_init(|| program().into_iter().flat_map(Instruction::bytes).collect())
}

/// `sock_filter`: what to do, how many instructions to skip if so and if not, and a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Instruction {
    code: u16,
    so: u8,
    not: u8,
    k: u32,
}

// Load a word, jump by comparison, combine, return: `linux/bpf_common.h`.
const LOAD: u16 = 0x20;
const JUMP: u16 = 0x05;
const IF_EQUAL: u16 = 0x15;
const IF_AT_LEAST: u16 = 0x35;
const IF_ANY_BIT: u16 = 0x45;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;

// `struct seccomp_data`: number, architecture, address, arguments.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;
const X86_64: u32 = 0xC000_003E;

const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;
const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const NOT_THERE: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
const NOT_PERMITTED: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;

impl Instruction {
    fn bytes(self) -> [u8; 8] {
        let ([a, b], [w, x, y, z]) = (self.code.to_le_bytes(), self.k.to_le_bytes());
        [a, b, self.so, self.not, w, x, y, z]
    }
}

fn load(offset: u32) -> Instruction {
    Instruction { code: LOAD, so: 0, not: 0, k: offset }
}

/// The low half of an argument. The kernel reads the arguments that we look at as 32 bits, too.
fn load_argument(index: u32) -> Instruction {
    load(ARGUMENTS + 8 * index)
}

fn answer(k: u32) -> Instruction {
    Instruction { code: RETURN, so: 0, not: 0, k }
}

fn skip_if(code: u16, k: u32, so: u8) -> Instruction {
    Instruction { code, so, not: 0, k }
}

fn program() -> Vec<Instruction> {
    let mut program = vec![load(ARCHITECTURE), skip_if(IF_EQUAL, X86_64, 1), answer(KILL), load(NUMBER)];
    program.extend(search(&ranges(&verdicts())));
    program
}

fn verdicts() -> BTreeMap<u32, Verdict> {
    let number = |call: &c_long| u32::try_from(*call).ok();
    let mut verdicts = BTreeMap::new();
    verdicts.extend(ALLOWED.iter().filter_map(number).map(|call| (call, Verdict::Allow)));
    // After the others: should a call be on both lists, it is refused.
    verdicts.extend(PRIVILEGED.iter().filter_map(number).map(|call| (call, Verdict::NotPermitted)));
    let by_argument = [
        (libc::SYS_clone, Verdict::Clone),
        (libc::SYS_socket, Verdict::Socket),
        (libc::SYS_prctl, Verdict::Prctl),
        (libc::SYS_ioctl, Verdict::Ioctl),
        (libc::SYS_personality, Verdict::Personality),
    ];
    verdicts.extend(by_argument.iter().filter_map(|(call, verdict)| Some((number(call)?, *verdict))));
    verdicts
}

/// Where each verdict begins. The last range has no end: it has the numbers of x32 in it.
fn ranges(verdicts: &BTreeMap<u32, Verdict>) -> Vec<(u32, Verdict)> {
    let end = verdicts.keys().next_back().map_or(0, |last| last + 1);
    let mut ranges: Vec<(u32, Verdict)> = Vec::new();
    for number in 0..=end {
        let verdict = verdicts.get(&number).copied().unwrap_or(Verdict::NotThere);
        if ranges.last().is_none_or(|(_, last)| *last != verdict) {
            ranges.push((number, verdict));
        }
    }
    ranges
}

/// Halves the ranges until one is left.
fn search(ranges: &[(u32, Verdict)]) -> Vec<Instruction> {
    let (below, above) = ranges.split_at(ranges.len() / 2);
    let (Some(_), Some((start, _))) = (below.first(), above.first()) else {
        return ranges.first().map_or_else(|| vec![answer(NOT_THERE)], |(_, verdict)| verdict.instructions());
    };
    let (below, above) = (search(below), search(above));
    let mut tree = match u8::try_from(below.len()) {
        Ok(length) => vec![skip_if(IF_AT_LEAST, *start, length)],
        // A comparison can skip 255 instructions, a jump any number.
        Err(_) => vec![
            Instruction { code: IF_AT_LEAST, so: 0, not: 1, k: *start },
            Instruction { code: JUMP, so: 0, not: 0, k: u32::try_from(below.len()).unwrap_or(u32::MAX) },
        ],
    };
    tree.extend(below);
    tree.extend(above);
    tree
}

impl Verdict {
    fn instructions(self) -> Vec<Instruction> {
        match self {
            Self::Allow => vec![answer(ALLOW)],
            Self::NotThere => vec![answer(NOT_THERE)],
            Self::NotPermitted => vec![answer(NOT_PERMITTED)],
            Self::Clone => {
                let any = NAMESPACES.iter().fold(0, |mask, flag| mask | flag).cast_unsigned();
                vec![load_argument(0), skip_if(IF_ANY_BIT, any, 1), answer(ALLOW), answer(NOT_PERMITTED)]
            }
            Self::Prctl => {
                one_of(load_argument(0), &PRCTL_REFUSED.map(i32::cast_unsigned), NOT_PERMITTED, ALLOW)
            }
            Self::Ioctl => {
                // Both fit: requests are numbers of 32 bits.
                let refused = IOCTL_REFUSED.map(|request| u32::try_from(request).unwrap_or(u32::MAX));
                one_of(load_argument(1), &refused, NOT_PERMITTED, ALLOW)
            }
            Self::Personality => one_of(load_argument(0), &PERSONALITIES, ALLOW, NOT_PERMITTED),
            Self::Socket => socket(),
        }
    }
}

/// One answer if the loaded word is among these, another if not.
fn one_of(load: Instruction, words: &[u32], among: u32, otherwise: u32) -> Vec<Instruction> {
    let mut program = vec![load];
    for (index, word) in words.iter().enumerate() {
        let to_the_end = u8::try_from(words.len() - index).unwrap_or(u8::MAX);
        program.push(skip_if(IF_EQUAL, *word, to_the_end));
    }
    program.extend([answer(otherwise), answer(among)]);
    program
}

fn socket() -> Vec<Instruction> {
    let mut by_kind = vec![load_argument(1), Instruction { code: AND, so: 0, not: 0, k: KIND_BITS }];
    // The kind is what is left in the accumulator; loading it again would lose the mask.
    by_kind
        .extend(one_of(load_argument(1), &KINDS.map(i32::cast_unsigned), ALLOW, NOT_PERMITTED).split_off(1));
    // The C library lists interfaces over the one protocol of netlink that is let through.
    let route = [libc::NETLINK_ROUTE.cast_unsigned()];
    let by_protocol = one_of(load_argument(2), &route, ALLOW, NOT_PERMITTED);
    let mut program = vec![load_argument(0)];
    let length = |instructions: &[Instruction]| u8::try_from(instructions.len()).unwrap_or(u8::MAX);
    for (index, family) in FAMILIES.iter().enumerate() {
        let rest = u8::try_from(FAMILIES.len() - index - 1).unwrap_or(u8::MAX);
        // Over the other families, netlink, the refusal and what belongs to netlink.
        let over = rest + 2 + length(&by_protocol);
        program.push(skip_if(IF_EQUAL, family.cast_unsigned(), over));
    }
    program.push(skip_if(IF_EQUAL, libc::AF_NETLINK.cast_unsigned(), 1));
    program.push(answer(NOT_PERMITTED));
    program.extend(by_protocol);
    program.extend(by_kind);
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would answer.
    fn run(architecture: u32, number: u32, arguments: [u32; 3]) -> u32 {
        let program = program();
        let (mut at, mut word) = (0, 0);
        loop {
            let Instruction { code, so, not, k } = program[at];
            at += 1;
            let skip = |holds: bool| usize::from(if holds { so } else { not });
            match code {
                LOAD if k == NUMBER => word = number,
                LOAD if k == ARCHITECTURE => word = architecture,
                LOAD => word = arguments[usize::try_from((k - ARGUMENTS) / 8).unwrap()],
                AND => word &= k,
                JUMP => at += usize::try_from(k).unwrap(),
                IF_EQUAL => at += skip(word == k),
                IF_AT_LEAST => at += skip(word >= k),
                IF_ANY_BIT => at += skip(word & k != 0),
                RETURN => return k,
                _ => panic!("{code}"),
            }
        }
    }

    fn answer_to(call: c_long, arguments: [u32; 3]) -> u32 {
        run(X86_64, u32::try_from(call).unwrap(), arguments)
    }

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
    fn every_number_gets_the_answer_of_its_list() {
        let by_argument =
            [libc::SYS_clone, libc::SYS_socket, libc::SYS_prctl, libc::SYS_ioctl, libc::SYS_personality];
        let x32 = 0x4000_0000_i64;
        let far = [9_999, x32, x32 + libc::SYS_read, x32 + libc::SYS_ptrace, i64::from(u32::MAX)];
        for call in (0..1_000).chain(far).filter(|call| !by_argument.contains(call)) {
            let expected = match (ALLOWED.contains(&call), PRIVILEGED.contains(&call)) {
                (true, _) => ALLOW,
                (false, true) => NOT_PERMITTED,
                (false, false) => NOT_THERE,
            };
            assert_eq!(answer_to(call, [0; 3]), expected, "system call {call}");
        }
    }

    #[test]
    fn another_architecture_ends_the_program_whatever_the_number() {
        const I386: u32 = 0x4000_0003;
        for number in 0..1_000 {
            assert_eq!(run(I386, number, [0; 3]), KILL);
        }
    }

    #[test]
    fn calls_with_two_sides_are_told_apart_by_their_argument() {
        let word = i32::cast_unsigned;
        let clone = |flags: i32| answer_to(libc::SYS_clone, [word(flags), 0, 0]);
        assert_eq!(clone(libc::CLONE_VM | libc::CLONE_THREAD | libc::SIGCHLD), ALLOW);
        for flag in NAMESPACES {
            assert_eq!(clone(flag | libc::SIGCHLD), NOT_PERMITTED);
        }
        let socket =
            |family, kind, protocol| answer_to(libc::SYS_socket, [word(family), word(kind), protocol]);
        for family in 0..60 {
            for kind in 0..16 {
                for flags in [0, libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK] {
                    let plain = FAMILIES.contains(&family) && KINDS.contains(&kind);
                    let expected = if plain || family == libc::AF_NETLINK { ALLOW } else { NOT_PERMITTED };
                    assert_eq!(socket(family, kind | flags, 0), expected, "{family} {kind} {flags}");
                }
            }
        }
        for protocol in 1..40 {
            assert_eq!(socket(libc::AF_NETLINK, libc::SOCK_RAW, protocol), NOT_PERMITTED);
        }
        let prctl = |option| answer_to(libc::SYS_prctl, [option, 0, 0]);
        for option in 0..100 {
            let refused = PRCTL_REFUSED.map(word).contains(&option);
            assert_eq!(prctl(option), if refused { NOT_PERMITTED } else { ALLOW }, "{option}");
        }
        for (request, expected) in [(0x5412, NOT_PERMITTED), (0x541C, NOT_PERMITTED), (0x5401, ALLOW)] {
            assert_eq!(answer_to(libc::SYS_ioctl, [0, request, 0]), expected);
        }
        for (persona, expected) in [(0, ALLOW), (u32::MAX, ALLOW), (0x0004_0000, NOT_PERMITTED)] {
            assert_eq!(answer_to(libc::SYS_personality, [persona, 0, 0]), expected);
        }
    }

    #[test]
    fn it_is_short() {
        assert!(program().len() < 400, "{}", program().len());
    }
}
