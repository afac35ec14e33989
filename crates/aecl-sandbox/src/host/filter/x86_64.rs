//! The system calls of x86_64 that are not simply absent: number, name, answer.
//!
//! Source: `arch/x86/entry/syscalls/syscall_64.tbl` of Linux; compared with the headers of Linux 6.1, and
//! `fchmodat2` (6.6), which is newer, with two lists of other people. A test compares all of it again.

use super::Calls;

pub(super) const CALLS: Calls = Calls {
    // `AUDIT_ARCH_X86_64` of `include/uapi/linux/audit.h`. Calls of x32 say the same, with bit 30 in their number;
    // programs of 32 bits say another.
    architecture: 0xC000_003E,
    verdicts: verdicts![
        0 read Allow
        1 write Allow
        2 open Allow
        3 close Allow
        4 stat Allow
        5 fstat Allow
        6 lstat Allow
        7 poll Allow
        8 lseek Allow
        9 mmap Allow
        10 mprotect Allow
        11 munmap Allow
        12 brk Allow
        13 rt_sigaction Allow
        14 rt_sigprocmask Allow
        15 rt_sigreturn Allow
        16 ioctl Ioctl                     // by request: nothing is typed for the person at the terminal
        17 pread64 Allow
        18 pwrite64 Allow
        19 readv Allow
        20 writev Allow
        21 access Allow
        22 pipe Allow
        23 select Allow
        24 sched_yield Allow
        25 mremap Allow
        26 msync Allow
        27 mincore Allow
        28 madvise Allow
        29 shmget Allow                    // in a namespace of the cage
        30 shmat Allow
        31 shmctl Allow
        32 dup Allow
        33 dup2 Allow
        34 pause Allow
        35 nanosleep Allow
        36 getitimer Allow
        37 alarm Allow
        38 setitimer Allow
        39 getpid Allow
        40 sendfile Allow
        41 socket Socket                   // by family, kind and protocol
        42 connect Allow
        43 accept Allow
        44 sendto Allow
        45 recvfrom Allow
        46 sendmsg Allow
        47 recvmsg Allow
        48 shutdown Allow
        49 bind Allow
        50 listen Allow
        51 getsockname Allow
        52 getpeername Allow
        53 socketpair Allow
        54 setsockopt Allow
        55 getsockopt Allow
        56 clone Clone                     // by its flags: no namespaces; the rest is threads and processes
        57 fork Allow
        58 vfork Allow
        59 execve Allow
        60 exit Allow
        61 wait4 Allow
        62 kill Allow
        63 uname Allow
        64 semget Allow                    // in a namespace of the cage
        65 semop Allow
        66 semctl Allow
        67 shmdt Allow
        68 msgget Allow                    // in a namespace of the cage
        69 msgsnd Allow
        70 msgrcv Allow
        71 msgctl Allow
        72 fcntl Allow
        73 flock Allow
        74 fsync Allow
        75 fdatasync Allow
        76 truncate Allow
        77 ftruncate Allow
        78 getdents Allow
        79 getcwd Allow
        80 chdir Allow
        81 fchdir Allow
        82 rename Allow
        83 mkdir Allow
        84 rmdir Allow
        85 creat Allow
        86 link Allow
        87 unlink Allow
        88 symlink Allow
        89 readlink Allow
        90 chmod Allow
        91 fchmod Allow
        92 chown Allow
        93 fchown Allow
        94 lchown Allow
        95 umask Allow
        96 gettimeofday Allow
        97 getrlimit Allow
        98 getrusage Allow
        99 sysinfo Allow
        100 times Allow
        101 ptrace NotPermitted
        102 getuid Allow
        103 syslog NotPermitted
        104 getgid Allow
        105 setuid Allow                   // package managers call it as root of nothing; there is one user to become
        106 setgid Allow
        107 geteuid Allow
        108 getegid Allow
        109 setpgid Allow
        110 getppid Allow
        111 getpgrp Allow
        112 setsid Allow
        113 setreuid Allow
        114 setregid Allow
        115 getgroups Allow
        116 setgroups Allow                // the kernel refuses it in a namespace without the right
        117 setresuid Allow                // as `setuid`
        118 getresuid Allow
        119 setresgid Allow
        120 getresgid Allow
        121 getpgid Allow
        122 setfsuid Allow
        123 setfsgid Allow
        124 getsid Allow
        125 capget Allow
        126 capset NotPermitted
        127 rt_sigpending Allow
        128 rt_sigtimedwait Allow
        129 rt_sigqueueinfo Allow
        130 rt_sigsuspend Allow
        131 sigaltstack Allow
        132 utime Allow
        133 mknod Allow                    // a pipe is made by it, too; devices need a right that nobody has here
        134 uselib NotPermitted
        135 personality Personality        // the plain one, and which one it is; others switch randomisation off
        136 ustat NotPermitted
        137 statfs Allow
        138 fstatfs Allow
        139 sysfs NotPermitted
        140 getpriority Allow
        141 setpriority Allow
        142 sched_setparam Allow
        143 sched_getparam Allow
        144 sched_setscheduler Allow
        145 sched_getscheduler Allow
        146 sched_get_priority_max Allow
        147 sched_get_priority_min Allow
        148 sched_rr_get_interval Allow
        149 mlock Allow
        150 munlock Allow
        151 mlockall Allow                 // bounded by RLIMIT_MEMLOCK
        152 munlockall Allow
        153 vhangup NotPermitted
        154 modify_ldt NotPermitted        // segments of 16 and 32 bits: code that few look at
        155 pivot_root NotPermitted
        156 _sysctl NotPermitted
        157 prctl Prctl                    // by option: no filter, no memory map, no capabilities, no secure bits
        158 arch_prctl Allow               // thread-local storage of every program; `aarch64` has a register for it
        159 adjtimex NotPermitted
        160 setrlimit Allow
        161 chroot NotPermitted
        162 sync Allow
        163 acct NotPermitted
        164 settimeofday NotPermitted
        165 mount NotPermitted
        166 umount2 NotPermitted
        167 swapon NotPermitted
        168 swapoff NotPermitted
        169 reboot NotPermitted
        170 sethostname NotPermitted
        171 setdomainname NotPermitted
        172 iopl NotPermitted              // ports of the machine
        173 ioperm NotPermitted
        175 init_module NotPermitted
        176 delete_module NotPermitted
        179 quotactl NotPermitted
        180 nfsservctl NotPermitted        // gone from the kernel since 3.1; the number is refused all the same
        186 gettid Allow
        187 readahead Allow
        188 setxattr Allow
        189 lsetxattr Allow
        190 fsetxattr Allow
        191 getxattr Allow
        192 lgetxattr Allow
        193 fgetxattr Allow
        194 listxattr Allow
        195 llistxattr Allow
        196 flistxattr Allow
        197 removexattr Allow
        198 lremovexattr Allow
        199 fremovexattr Allow
        200 tkill Allow
        201 time Allow
        202 futex Allow
        203 sched_setaffinity Allow        // within the processors that the cage has
        204 sched_getaffinity Allow
        212 lookup_dcookie NotPermitted
        213 epoll_create Allow
        216 remap_file_pages Allow
        217 getdents64 Allow
        218 set_tid_address Allow
        219 restart_syscall Allow
        220 semtimedop Allow
        221 fadvise64 Allow
        222 timer_create Allow
        223 timer_settime Allow
        224 timer_gettime Allow
        225 timer_getoverrun Allow
        226 timer_delete Allow
        227 clock_settime NotPermitted
        228 clock_gettime Allow
        229 clock_getres Allow
        230 clock_nanosleep Allow
        231 exit_group Allow
        232 epoll_wait Allow
        233 epoll_ctl Allow
        234 tgkill Allow
        235 utimes Allow
        237 mbind NotPermitted
        238 set_mempolicy NotPermitted
        239 get_mempolicy NotPermitted     // where memory lies is nobody's business; programs go on without
        240 mq_open Allow                  // in a namespace of the cage
        241 mq_unlink Allow
        242 mq_timedsend Allow
        243 mq_timedreceive Allow
        244 mq_notify Allow
        245 mq_getsetattr Allow
        246 kexec_load NotPermitted        // another kernel
        247 waitid Allow
        248 add_key NotPermitted
        249 request_key NotPermitted
        250 keyctl NotPermitted
        251 ioprio_set Allow
        252 ioprio_get Allow
        253 inotify_init Allow
        254 inotify_add_watch Allow
        255 inotify_rm_watch Allow
        256 migrate_pages NotPermitted
        257 openat Allow
        258 mkdirat Allow
        259 mknodat Allow                  // a pipe is made by it, too; devices need a right that nobody has here
        260 fchownat Allow
        261 futimesat Allow
        262 newfstatat Allow
        263 unlinkat Allow
        264 renameat Allow
        265 linkat Allow
        266 symlinkat Allow
        267 readlinkat Allow
        268 fchmodat Allow
        269 faccessat Allow
        270 pselect6 Allow
        271 ppoll Allow
        272 unshare NotPermitted
        273 set_robust_list Allow
        274 get_robust_list Allow
        275 splice Allow
        276 tee Allow
        277 sync_file_range Allow
        278 vmsplice Allow
        279 move_pages NotPermitted
        280 utimensat Allow
        281 epoll_pwait Allow
        282 signalfd Allow
        283 timerfd_create Allow
        284 eventfd Allow
        285 fallocate Allow
        286 timerfd_settime Allow
        287 timerfd_gettime Allow
        288 accept4 Allow
        289 signalfd4 Allow
        290 eventfd2 Allow
        291 epoll_create1 Allow
        292 dup3 Allow
        293 pipe2 Allow
        294 inotify_init1 Allow
        295 preadv Allow
        296 pwritev Allow
        297 rt_tgsigqueueinfo Allow
        298 perf_event_open NotPermitted
        299 recvmmsg Allow
        300 fanotify_init NotPermitted
        301 fanotify_mark NotPermitted
        302 prlimit64 Allow
        303 name_to_handle_at NotPermitted // with the next one, what reads files by number, past every path
        304 open_by_handle_at NotPermitted
        305 clock_adjtime NotPermitted
        306 syncfs Allow
        307 sendmmsg Allow
        308 setns NotPermitted
        309 getcpu Allow
        310 process_vm_readv NotPermitted  // and what follows: memory and descriptors of others
        311 process_vm_writev NotPermitted
        312 kcmp NotPermitted
        313 finit_module NotPermitted
        314 sched_setattr Allow
        315 sched_getattr Allow
        316 renameat2 Allow
        317 seccomp NotPermitted           // a second filter could only refuse more, and could wait on a listener
        318 getrandom Allow
        319 memfd_create Allow             // bounded by the memory of the cage
        320 kexec_file_load NotPermitted
        321 bpf NotPermitted
        322 execveat Allow                 // what may be executed by `execve` may be by this
        323 userfaultfd NotPermitted       // holds the kernel up in the middle of a copy, which exploits need
        324 membarrier Allow
        325 mlock2 Allow
        326 copy_file_range Allow
        327 preadv2 Allow
        328 pwritev2 Allow
        329 pkey_mprotect Allow
        330 pkey_alloc Allow
        331 pkey_free Allow
        332 statx Allow
        334 rseq Allow
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
