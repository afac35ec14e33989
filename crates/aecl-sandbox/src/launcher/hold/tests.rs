//! What is held does its work, and nothing of it is left, whoever ends it.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::pipe::PipeFlags;
use rustix::process::Resource;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use super::*;
use crate::deadline::Level;
use crate::ended::Termination;

/// Who counts what the machine has must be alone in it.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn is_root() -> bool {
    geteuid().is_root()
}

fn clocks(call: Duration) -> Clocks {
    let hour = Duration::from_secs(3_600);
    Clocks { call, task_left: hour, lifetime_left: hour }
}

fn shell(script: &str) -> HeldProgram {
    HeldProgram {
        backend: Backend::Native,
        argv: ["sh", "-c", script].map(String::from).to_vec(),
        env: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
        cwd: "/".into(),
        user: None,
        limits: Shared {
            memory_max_bytes: is_root().then_some(64 << 20),
            cpu_max_millicores: None,
            processes_max: 64,
        },
        rlimits: vec![(crate::launcher::order::limit_number(Resource::Core), 0)],
        clocks: clocks(Duration::from_secs(30)),
        network: Network::None,
        kept: vec![],
        workplace: None,
        tree: None,
        hidden: vec![],
        read_only: vec![],
    }
}

/// How it ended, and what it said on both streams.
async fn said(mut holding: Holding) -> (Termination, String) {
    drop(holding.launched.stdin.take());
    let (mut out, mut err) =
        (holding.launched.stdout.take().unwrap(), holding.launched.stderr.take().unwrap());
    let (mut text, mut talk) = (String::new(), String::new());
    let (outcome, ..) =
        tokio::join!(holding.launched.wait(), out.read_to_string(&mut text), err.read_to_string(&mut talk));
    (outcome, text + &talk)
}

/// A word that is in the command line of what one test starts, and of nothing else on this machine.
fn mark() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{}.{:06}", 1_000_000 + std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// What does not want to end: daemons in sessions of their own, deaf to signals.
fn hostile(mark: &str) -> String {
    format!(
        "trap '' TERM INT HUP; (setsid sleep {mark} &) & (setsid sh -c 'trap \"\" TERM; (sleep {mark} &); \
         sleep {mark}' &) & sleep {mark}"
    )
}

/// The processes of the machine that have this in their command line.
fn marked(mark: &str) -> BTreeSet<u32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            line.windows(mark.len()).any(|window| window == mark.as_bytes()).then_some(pid)
        })
        .collect()
}

/// The cgroups that a supervisor has made.
fn cgroups_of(supervisor: u32) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut todo = vec![Path::new("/sys/fs/cgroup").to_path_buf()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().starts_with(&format!("{supervisor}-")) {
                    found.insert(entry.path().display().to_string());
                }
                todo.push(entry.path());
            }
        }
    }
    found
}

/// Waits until none of these is left. How long that took.
async fn all_gone(mark: &str, groups: &BTreeSet<String>) -> Duration {
    let since = Instant::now();
    while !marked(mark).is_empty() || groups.iter().any(|dir| Path::new(dir).exists()) {
        assert!(since.elapsed() < Duration::from_secs(5), "left: {:?} {groups:?}", marked(mark));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    since.elapsed()
}

#[test]
fn an_ordinary_user_holds_programs_as_well() {
    if !is_root() {
        return;
    }
    let _alone = ALONE.blocking_lock();
    let dir = tempfile::Builder::new().prefix("aecl-hold").tempdir_in("/tmp").unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let me = dir.path().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &me).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(me);
    let output = command.arg("launcher::hold::").env("TMPDIR", dir.path()).output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("test result: ok"), "{said}");
}

#[tokio::test]
async fn it_keeps_its_rights_in_a_world_of_its_own() {
    let _alone = ALONE.lock().await;
    let script = "id -u; cat /proc/self/status | grep -c 'CapEff:.*ffffff'; ls /proc | grep -c '^[0-9]'; \
                  mount -t tmpfs none /srv && echo mounted; ls -A /mnt; cat /mnt/in/file; ls -A /media; \
                  mkdir /sys/fs/cgroup/aecl-test; cat < /proc/net/dev | tail -n +3 | cut -d: -f1";
    let place = Workplace {
        at: "/mnt".into(),
        max_bytes: 1 << 20,
        files_max: 10,
        files: vec![("/mnt/in/file".into(), b"of the order\n".to_vec())],
    };
    let program = HeldProgram {
        workplace: Some(place),
        hidden: vec!["/media".into(), "/no/such".into()],
        read_only: vec!["/sys/fs/cgroup".into()],
        ..shell(script)
    };
    let (outcome, said) = said(hold(program).await.unwrap()).await;
    assert_eq!(outcome, Termination::Exited(0), "{said}");
    // Itself, `ls`, `grep` and init.
    let expected =
        ["0", "1", "4", "mounted", "in", "of the order", "lo", "mkdir: cannot create directory"].join("\n");
    let said = said.replace(" \u{2018}", "\n").replace("    ", "");
    assert!(said.starts_with(&expected), "{said}");
    assert!(said.contains("Read-only file system"), "{said}");
    assert!(!Path::new("/mnt/in").exists());
}

#[tokio::test]
async fn what_it_is_to_keep_open_has_its_number_and_nothing_else_is_open() {
    let _alone = ALONE.lock().await;
    let pipes: Vec<_> = (0..3).map(|_| rustix::pipe::pipe_with(PipeFlags::CLOEXEC).unwrap()).collect();
    let (read, kept): (Vec<_>, Vec<_>) = pipes.into_iter().unzip();
    let script = "for fd in 3 4 5; do echo $fd >&$fd; done; ls /proc/self/fd | tr '\\n' ' '";
    let (outcome, said) = said(hold(HeldProgram { kept, ..shell(script) }).await.unwrap()).await;
    // The last one is the directory that `ls` reads.
    assert_eq!((outcome, said.as_str()), (Termination::Exited(0), "0 1 2 3 4 5 6 "));
    for (fd, number) in read.into_iter().zip(3..) {
        let mut text = String::new();
        fs::File::from(fd).read_to_string(&mut text).unwrap();
        assert_eq!(text, format!("{number}\n"));
    }
}

#[tokio::test]
async fn who_accepts_on_its_loopback_serves_it() {
    let _alone = ALONE.lock().await;
    let bash = ["bash", "-c", "cat < /dev/tcp/127.0.0.1/3128"].map(String::from).to_vec();
    let program = HeldProgram { argv: bash, network: Network::Listener { port: 3128 }, ..shell("") };
    let mut holding = hold(program).await.unwrap();
    let listener = holding.listener.take().unwrap();
    let served = std::thread::spawn(move || {
        std::io::Write::write_all(&mut listener.accept().unwrap().0, b"from outside").unwrap();
    });
    assert_eq!(said(holding).await, (Termination::Exited(0), "from outside".to_owned()));
    served.join().unwrap();
}

#[tokio::test]
async fn it_can_be_somebody_without_rights() {
    let _alone = ALONE.lock().await;
    let script = "id -u; id -g; id -G; grep -c 'Cap[EP].*:.0000000000000000' /proc/self/status; touch /mnt/x";
    let place = Workplace { at: "/mnt".into(), max_bytes: 1 << 20, files_max: 10, files: vec![] };
    let program =
        HeldProgram { user: Some((1_900_000_001, 1_900_000_002)), workplace: Some(place), ..shell(script) };
    match hold(program).await {
        Ok(holding) => {
            let (outcome, said) = said(holding).await;
            let expected = "1900000001\n1900000002\n1900000002\n2\n";
            assert_eq!((outcome, said.as_str()), (Termination::Exited(0), expected));
        }
        Err(error) => assert!(!is_root() && error.to_string().contains("only root"), "{error}"),
    }
}

#[tokio::test]
async fn each_end_has_its_own_name() {
    let _alone = ALONE.lock().await;
    let (outcome, said) = said(hold(shell("echo out; echo err >&2; exit 7")).await.unwrap()).await;
    assert_eq!((outcome, said.as_str()), (Termination::Exited(7), "out\nerr\n"));
    let mut asked = hold(shell(&hostile(&mark()))).await.unwrap();
    asked.launched.kill();
    assert_eq!(asked.launched.wait().await, Termination::Killed);
    if is_root() {
        let mut hungry = hold(shell("x=x; while :; do x=$x$x; done")).await.unwrap();
        assert_eq!(hungry.launched.wait().await, Termination::OutOfMemory);
    }
    let missing = HeldProgram { argv: vec!["/no/such".into()], ..shell("") };
    let error = hold(missing).await.err().unwrap().to_string();
    assert!(error.contains("`/no/such` did not start"), "{error}");
}

#[tokio::test]
async fn nothing_outlives_the_deadline_or_the_launcher() {
    let _alone = ALONE.lock().await;
    let word = mark();
    let short = HeldProgram { clocks: clocks(Duration::from_millis(400)), ..shell(&hostile(&word)) };
    let mut holding = hold(short).await.unwrap();
    let groups = cgroups_of(std::process::id());
    assert_eq!(holding.launched.wait().await, Termination::TimedOut(Level::Call));
    assert!(all_gone(&word, &groups).await < Duration::from_secs(1));

    let word = mark();
    let mut holding = hold(shell(&hostile(&word))).await.unwrap();
    let groups = cgroups_of(std::process::id());
    while marked(&word).len() < 5 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let launcher = holding.launched.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-KILL", &launcher]).status().unwrap().success());
    assert_eq!(holding.launched.wait().await, Termination::Killed);
    assert!(all_gone(&word, &groups).await < Duration::from_secs(1));
}

/// Not a test of its own: a supervisor that can be killed.
#[tokio::test]
async fn supervisor_of_a_daemon() {
    if let Ok(mark) = std::env::var("AECL_TEST_MARK") {
        let mut holding = hold(shell(&hostile(&mark))).await.unwrap();
        while marked(&mark).len() < 5 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        println!("@held");
        holding.launched.wait().await;
    }
}

#[tokio::test]
async fn nothing_outlives_the_supervisor() {
    let _alone = ALONE.lock().await;
    let word = mark();
    let mut supervisor = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "launcher::hold::tests::supervisor_of_a_daemon", "--nocapture"])
        .env("AECL_TEST_MARK", &word)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(supervisor.stdout.take().unwrap()).lines();
    while !lines.next_line().await.unwrap().unwrap().contains("@held") {}
    let groups = cgroups_of(supervisor.id().unwrap());
    assert!(!is_root() || !groups.is_empty());
    assert!(!marked(&word).is_empty());
    supervisor.kill().await.unwrap();
    assert!(all_gone(&word, &groups).await < Duration::from_secs(1));
}

/// With a group of its own inside of ours, as runtimes make them.
#[tokio::test]
async fn a_hundred_leave_no_process_cgroup_descriptor_or_mount() {
    let _alone = ALONE.lock().await;
    let word = mark();
    let script = format!(
        "for dir in /sys/fs/cgroup/*/$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup); do \
         mkdir -p $dir/of-its-own 2>/dev/null; done; (setsid sleep {word} &) ; exit 0"
    );
    let count = || {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count();
        let descriptors = fs::read_dir("/proc/self/fd").unwrap().count();
        (descriptors, mounts, cgroups_of(std::process::id()), marked(&word))
    };
    // What is made once, is made now (the first launcher and the server of all others), and has time to be reaped.
    for _ in 0..2 {
        said(hold(shell("true")).await.unwrap()).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = count();
    for n in 0..50 {
        assert_eq!(said(hold(shell(&script)).await.unwrap()).await.0, Termination::Exited(0));
        // Given up at any moment of being started.
        let patience = Duration::from_micros(200 * n);
        let _ = tokio::time::timeout(patience, hold(shell(&script))).await;
    }
    // What was given up before it was forked appears once more, and is ended then: nothing is left when nothing has
    // been seen for a while.
    let (since, mut quiet) = (Instant::now(), 0);
    while quiet < 15 {
        let now = count();
        quiet = if now == before { quiet + 1 } else { 0 };
        assert!(since.elapsed() < Duration::from_secs(10), "before {before:?}, left {now:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
