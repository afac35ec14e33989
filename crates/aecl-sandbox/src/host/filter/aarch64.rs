//! The system calls of aarch64 that are not simply absent: number, name, answer.
//!
//! Source: `include/uapi/asm-generic/unistd.h` of Linux, with which `arch/arm64` says the same; compared with the
//! headers of Linux 6.1, and `fchmodat2` (6.6), which is newer, with two lists of other people. A test compares
//! all of it again.
//!
//! What x86_64 has from before there was an `at`, a set of flags or a mask of signals (`open`, `stat`, `fork`,
//! `pipe`, `dup2`, `mkdir`, `poll`, `select`, `epoll_wait`, ...) is not there, nor are segments and ports. The
//! answers are those of x86_64: a test says so.

use super::Calls;

pub(super) const CALLS: Calls = Calls {
    // `AUDIT_ARCH_AARCH64` of `include/uapi/linux/audit.h`. Programs of 32 bits say another (`AUDIT_ARCH_ARM`).
    architecture: 0xC000_00B7,
    verdicts: verdicts![
        5 setxattr Allow
        6 lsetxattr Allow
        7 fsetxattr Allow
        8 getxattr Allow
        9 lgetxattr Allow
        10 fgetxattr Allow
        11 listxattr Allow
        12 llistxattr Allow
        13 flistxattr Allow
        14 removexattr Allow
        15 lremovexattr Allow
        16 fremovexattr Allow
        17 getcwd Allow
        18 lookup_dcookie NotPermitted
        19 eventfd2 Allow
        20 epoll_create1 Allow
        21 epoll_ctl Allow
        22 epoll_pwait Allow
        23 dup Allow
        24 dup3 Allow
        25 fcntl Allow
        26 inotify_init1 Allow
        27 inotify_add_watch Allow
        28 inotify_rm_watch Allow
        29 ioctl Ioctl                     // by request: nothing is typed for the person at the terminal
        30 ioprio_set Allow
        31 ioprio_get Allow
        32 flock Allow
        33 mknodat Allow                   // a pipe is made by it, too; devices need a right that nobody has here
        34 mkdirat Allow
        35 unlinkat Allow
        36 symlinkat Allow
        37 linkat Allow
        38 renameat Allow
        39 umount2 NotPermitted
        40 mount NotPermitted
        41 pivot_root NotPermitted
        42 nfsservctl NotPermitted         // gone from the kernel since 3.1; the number is refused all the same
        43 statfs Allow
        44 fstatfs Allow
        45 truncate Allow
        46 ftruncate Allow
        47 fallocate Allow
        48 faccessat Allow
        49 chdir Allow
        50 fchdir Allow
        51 chroot NotPermitted
        52 fchmod Allow
        53 fchmodat Allow
        54 fchownat Allow
        55 fchown Allow
        56 openat Allow
        57 close Allow
        58 vhangup NotPermitted
        59 pipe2 Allow
        60 quotactl NotPermitted
        61 getdents64 Allow
        62 lseek Allow
        63 read Allow
        64 write Allow
        65 readv Allow
        66 writev Allow
        67 pread64 Allow
        68 pwrite64 Allow
        69 preadv Allow
        70 pwritev Allow
        71 sendfile Allow
        72 pselect6 Allow
        73 ppoll Allow
        74 signalfd4 Allow
        75 vmsplice Allow
        76 splice Allow
        77 tee Allow
        78 readlinkat Allow
        79 newfstatat Allow
        80 fstat Allow
        81 sync Allow
        82 fsync Allow
        83 fdatasync Allow
        84 sync_file_range Allow
        85 timerfd_create Allow
        86 timerfd_settime Allow
        87 timerfd_gettime Allow
        88 utimensat Allow
        89 acct NotPermitted
        90 capget Allow
        91 capset NotPermitted
        92 personality Personality         // the plain one, and which one it is; others switch randomisation off
        93 exit Allow
        94 exit_group Allow
        95 waitid Allow
        96 set_tid_address Allow
        97 unshare NotPermitted
        98 futex Allow
        99 set_robust_list Allow
        100 get_robust_list Allow
        101 nanosleep Allow
        102 getitimer Allow
        103 setitimer Allow
        104 kexec_load NotPermitted        // another kernel
        105 init_module NotPermitted
        106 delete_module NotPermitted
        107 timer_create Allow
        108 timer_gettime Allow
        109 timer_getoverrun Allow
        110 timer_settime Allow
        111 timer_delete Allow
        112 clock_settime NotPermitted
        113 clock_gettime Allow
        114 clock_getres Allow
        115 clock_nanosleep Allow
        116 syslog NotPermitted
        117 ptrace NotPermitted
        118 sched_setparam Allow
        119 sched_setscheduler Allow
        120 sched_getscheduler Allow
        121 sched_getparam Allow
        122 sched_setaffinity Allow        // within the processors that the cage has
        123 sched_getaffinity Allow
        124 sched_yield Allow
        125 sched_get_priority_max Allow
        126 sched_get_priority_min Allow
        127 sched_rr_get_interval Allow
        128 restart_syscall Allow
        129 kill Allow
        130 tkill Allow
        131 tgkill Allow
        132 sigaltstack Allow
        133 rt_sigsuspend Allow
        134 rt_sigaction Allow
        135 rt_sigprocmask Allow
        136 rt_sigpending Allow
        137 rt_sigtimedwait Allow
        138 rt_sigqueueinfo Allow
        139 rt_sigreturn Allow
        140 setpriority Allow
        141 getpriority Allow
        142 reboot NotPermitted
        143 setregid Allow
        144 setgid Allow
        145 setreuid Allow
        146 setuid Allow                   // package managers call it as root of nothing; there is one user to become
        147 setresuid Allow                // as `setuid`
        148 getresuid Allow
        149 setresgid Allow
        150 getresgid Allow
        151 setfsuid Allow
        152 setfsgid Allow
        153 times Allow
        154 setpgid Allow
        155 getpgid Allow
        156 getsid Allow
        157 setsid Allow
        158 getgroups Allow
        159 setgroups Allow                // the kernel refuses it in a namespace without the right
        160 uname Allow
        161 sethostname NotPermitted
        162 setdomainname NotPermitted
        163 getrlimit Allow
        164 setrlimit Allow
        165 getrusage Allow
        166 umask Allow
        167 prctl Prctl                    // by option: no filter, no memory map, no capabilities, no secure bits
        168 getcpu Allow
        169 gettimeofday Allow
        170 settimeofday NotPermitted
        171 adjtimex NotPermitted
        172 getpid Allow
        173 getppid Allow
        174 getuid Allow
        175 geteuid Allow
        176 getgid Allow
        177 getegid Allow
        178 gettid Allow
        179 sysinfo Allow
        180 mq_open Allow                  // in a namespace of the cage
        181 mq_unlink Allow
        182 mq_timedsend Allow
        183 mq_timedreceive Allow
        184 mq_notify Allow
        185 mq_getsetattr Allow
        186 msgget Allow                   // in a namespace of the cage
        187 msgctl Allow
        188 msgrcv Allow
        189 msgsnd Allow
        190 semget Allow                   // in a namespace of the cage
        191 semctl Allow
        192 semtimedop Allow
        193 semop Allow
        194 shmget Allow                   // in a namespace of the cage
        195 shmctl Allow
        196 shmat Allow
        197 shmdt Allow
        198 socket Socket                  // by family, kind and protocol
        199 socketpair Allow
        200 bind Allow
        201 listen Allow
        202 accept Allow
        203 connect Allow
        204 getsockname Allow
        205 getpeername Allow
        206 sendto Allow
        207 recvfrom Allow
        208 setsockopt Allow
        209 getsockopt Allow
        210 shutdown Allow
        211 sendmsg Allow
        212 recvmsg Allow
        213 readahead Allow
        214 brk Allow
        215 munmap Allow
        216 mremap Allow
        217 add_key NotPermitted
        218 request_key NotPermitted
        219 keyctl NotPermitted
        220 clone Clone                    // by its flags: no namespaces; the rest is threads and processes
        221 execve Allow
        222 mmap Allow
        223 fadvise64 Allow
        224 swapon NotPermitted
        225 swapoff NotPermitted
        226 mprotect Allow
        227 msync Allow
        228 mlock Allow
        229 munlock Allow
        230 mlockall Allow                 // bounded by RLIMIT_MEMLOCK
        231 munlockall Allow
        232 mincore Allow
        233 madvise Allow
        234 remap_file_pages Allow
        235 mbind NotPermitted
        236 get_mempolicy NotPermitted     // where memory lies is nobody's business; programs go on without
        237 set_mempolicy NotPermitted
        238 migrate_pages NotPermitted
        239 move_pages NotPermitted
        240 rt_tgsigqueueinfo Allow
        241 perf_event_open NotPermitted
        242 accept4 Allow
        243 recvmmsg Allow
        260 wait4 Allow
        261 prlimit64 Allow
        262 fanotify_init NotPermitted
        263 fanotify_mark NotPermitted
        264 name_to_handle_at NotPermitted // with the next one, what reads files by number, past every path
        265 open_by_handle_at NotPermitted
        266 clock_adjtime NotPermitted
        267 syncfs Allow
        268 setns NotPermitted
        269 sendmmsg Allow
        270 process_vm_readv NotPermitted  // and what follows: memory and descriptors of others
        271 process_vm_writev NotPermitted
        272 kcmp NotPermitted
        273 finit_module NotPermitted
        274 sched_setattr Allow
        275 sched_getattr Allow
        276 renameat2 Allow
        277 seccomp NotPermitted           // a second filter could only refuse more, and could wait on a listener
        278 getrandom Allow
        279 memfd_create Allow             // bounded by the memory of the cage
        280 bpf NotPermitted
        281 execveat Allow                 // what may be executed by `execve` may be by this
        282 userfaultfd NotPermitted       // holds the kernel up in the middle of a copy, which exploits need
        283 membarrier Allow
        284 mlock2 Allow
        285 copy_file_range Allow
        286 preadv2 Allow
        287 pwritev2 Allow
        288 pkey_mprotect Allow
        289 pkey_alloc Allow
        290 pkey_free Allow
        291 statx Allow
        293 rseq Allow
        294 kexec_file_load NotPermitted
        424 pidfd_send_signal Allow
        425 io_uring_setup NotPermitted    // opens, reads and sends without a call that a filter would see
        426 io_uring_enter NotPermitted
        427 io_uring_register NotPermitted
        428 open_tree NotPermitted
        429 move_mount NotPermitted
        430 fsopen NotPermitted
        431 fsconfig NotPermitted
        432 fsmount NotPermitted
        433 fspick NotPermitted
        434 pidfd_open Allow               // of processes of the cage: there are no others in its namespace
        436 close_range Allow
        437 openat2 Allow
        438 pidfd_getfd NotPermitted
        439 faccessat2 Allow
        440 process_madvise NotPermitted
        441 epoll_pwait2 Allow
        442 mount_setattr NotPermitted
        443 quotactl_fd NotPermitted
        444 landlock_create_ruleset Allow  // takes rights away, and gives none
        445 landlock_add_rule Allow
        446 landlock_restrict_self Allow
        447 memfd_secret NotPermitted
        448 process_mrelease NotPermitted
        449 futex_waitv Allow
        452 fchmodat2 Allow
    ],
};
