//! What a full native cage costs to start, beside starting the same program without one and beside
//! bubblewrap, which has namespaces and mounts but neither seccomp, landlock, cgroup nor limits here. The
//! three take turns, so that they meet the same machine; what counts are the ratios.
//!
//! `cargo run --profile dist --bin cage` in `benches/`, as root for cgroups. bubblewrap is the Debian package of
//! that name; without it its lines are missing. On a busy machine the hand-overs between processes drown
//! everything: `NO_CPU=1 chrt -f 50 ../target/dist/cage` runs at real-time priority, for which the cage must
//! have no limit on processor time.

use aecl_sandbox::{Backend, Cage, Clocks, Limits, Network, Program, Termination, run, start};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 200;
const AT_ONCE: usize = 32;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let memory = runtime.block_on(run(program(), cage(true))).is_ok();
    let cage = || cage(memory);
    println!(
        "cage: memory, processor and process limits {}",
        if memory { "by cgroup" } else { "without a cgroup" }
    );
    let with_bwrap = bubblewrap();
    let (mut plain, mut caged, mut started, mut wrapped) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut forks = Vec::new();
    for _ in 0..ROUNDS {
        plain.push(timed(|| assert!(bare().status().unwrap().success())));
        forks.push(timed(|| assert!(forked().status().unwrap().success())));
        caged.push(timed(|| {
            let ended = runtime.block_on(run(program(), cage())).unwrap();
            assert_eq!(ended.outcome, Termination::Exited(0));
        }));
        let running = {
            let begin = Instant::now();
            let running = runtime.block_on(start(program(), cage())).unwrap();
            started.push(begin.elapsed());
            running
        };
        runtime.block_on(running.wait());
        if with_bwrap {
            wrapped.push(timed(|| assert!(wrap().status().unwrap().success())));
        }
    }
    let (plain, caged, started) = (Spread::of(plain), Spread::of(caged), Spread::of(started));
    let forks = Spread::of(forks);
    plain.line("vfork and exec of /bin/true, to its end");
    forks.line("fork and exec of /bin/true, to its end");
    started.line("cage: until the program runs");
    caged.line("cage: to the end, everything removed");
    println!("  cage / vfork and exec {:>45.2}", caged.ratio(&plain));
    println!("  cage / fork and exec {:>46.2}   <= 4", caged.ratio(&forks));
    if with_bwrap {
        let wrapped = Spread::of(wrapped);
        wrapped.line("bubblewrap, to the end");
        println!("  cage / bubblewrap {:>49.2}   <= 1", caged.ratio(&wrapped));
    } else {
        println!("  bubblewrap is not installed");
    }
    let mut rounds = Vec::new();
    for _ in 0..10 {
        rounds.push(
            timed(|| {
                runtime.block_on(async {
                    let all: Vec<_> = (0..AT_ONCE).map(|_| tokio::spawn(run(program(), cage()))).collect();
                    for one in all {
                        assert_eq!(one.await.unwrap().unwrap().outcome, Termination::Exited(0));
                    }
                });
            }) / AT_ONCE as u32,
        );
    }
    let together = Spread::of(rounds);
    together.line("cage: each of 32 at once");
    println!("  one after the other / 32 at once {:>34.2}   1 core: 1", caged.ratio(&together));
}

fn timed(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

struct Spread(Vec<Duration>);

impl Spread {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    fn median(&self) -> Duration {
        self.0[self.0.len() / 2]
    }

    fn line(&self, what: &str) {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        println!("  {what:<44} median {:>7.2} ms, least {:>7.2} ms", ms(self.median()), ms(self.0[0]));
    }

    fn ratio(&self, other: &Self) -> f64 {
        self.median().as_secs_f64() / other.median().as_secs_f64()
    }
}

fn program() -> Program {
    Program { argv: vec!["/bin/true".into()], env: Default::default(), cwd: None }
}

fn cage(limited: bool) -> Cage {
    let minute = Duration::from_secs(60);
    Cage {
        backend: Backend::Native,
        image: None,
        views: vec![],
        network: Network::None,
        limits: Limits {
            memory_max_bytes: limited.then_some(256 << 20),
            process_memory_max_bytes: None,
            cpu_max_millicores: (limited && std::env::var_os("NO_CPU").is_none()).then_some(2_000),
            processes_max: 64,
            scratch_max_bytes: 64 << 20,
            scratch_files_max: 10_000,
            file_max_bytes: 64 << 20,
            open_files_max: 256,
            output_kept_max_bytes: 1 << 20,
            output_max_bytes: 1 << 20,
        },
        clocks: Clocks { call: minute, task_left: minute, lifetime_left: minute },
    }
}

fn bare() -> Command {
    let mut command = Command::new("/bin/true");
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The same by `fork`, which copies the tables of our memory. The standard library takes `posix_spawn` otherwise, which
/// shares them until the program begins.
fn forked() -> Command {
    let mut command = bare();
    // SAFETY: it does nothing, so nothing in it may not be done after a fork.
    unsafe { command.pre_exec(|| Ok(())) };
    command
}

fn wrap() -> Command {
    let mut command = Command::new("bwrap");
    command.args(["--unshare-all", "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL"]);
    command.args(["--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]);
    for link in ["bin", "sbin", "lib", "lib64"] {
        command.args(["--symlink", &format!("usr/{link}"), &format!("/{link}")]);
    }
    command.arg("/bin/true").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn bubblewrap() -> bool {
    wrap().status().is_ok_and(|status| status.success())
}
