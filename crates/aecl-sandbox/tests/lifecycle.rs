//! How cages begin and end, whoever ends them, and what is left behind: nothing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, unsafe_code, reason = "tests")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use aecl_sandbox::{Cage, Level, Limits, Program, Termination, run, start};
use common::guest::{self, Stage, slowly};
use common::{
    Count, as_an_ordinary_user, assert_gone, assert_nothing_is_left, cage, cgroups_of, clocks, descendants,
    ended, given_up_at_each_point, has_groups, is_root, make_what_is_made_once, shell, text,
};
use tokio::io::{AsyncBufReadExt, BufReader};

/// Who counts what a process has must be alone in it.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[test]
fn lifecycle_holds_as_an_ordinary_user() {
    let _alone = ALONE.blocking_lock();
    as_an_ordinary_user("lifecycle_holds_as_an_ordinary_user");
}

#[test]
fn lifecycle_holds_where_cgroups_are_of_version_2_only() {
    if guest::stage().is_some() {
        return;
    }
    let _alone = ALONE.blocking_lock();
    // The user who would have to be somebody else is that already, and a thousand cages take too long there.
    let not = ["lifecycle_holds_as_an_ordinary_user", "a_thousand_cages"];
    guest::assert_holds_in(&[Stage::Delegated], &not);
}

/// Programs that do not want to end: all are gone at the deadline, and so is what they started.
#[tokio::test]
async fn nothing_outlives_its_deadline() {
    let _alone = ALONE.lock().await;
    let hostile = [
        ("ignores SIGTERM", "trap '' TERM INT HUP; while :; do :; done"),
        ("stops itself", "kill -STOP $$; sleep 1000"),
        ("a daemon", "(setsid sleep 1000 &) & sleep 1000"),
        ("a fork bomb", "sh -c 'f() { f | f & f; }; f' 2>/dev/null & exec sleep 1000"),
    ];
    for (name, script) in hostile {
        let before = Instant::now();
        let short = Cage { clocks: clocks(Duration::from_millis(400)), ..cage() };
        let end = ended(script, short).await;
        assert_eq!(end.outcome, Termination::TimedOut(Level::Call), "{name}: {}", text(&end));
        assert!(before.elapsed() < slowly(Duration::from_secs(4)), "{name}: {:?}", before.elapsed());
    }
}

#[tokio::test]
async fn a_grandchild_that_keeps_the_output_open_does_not_keep_the_call() {
    let _alone = ALONE.lock().await;
    let before = Instant::now();
    let end = ended("(setsid sleep 1000 &); echo done", cage()).await;
    assert_eq!((end.outcome, text(&end).as_str()), (Termination::Exited(0), "done\n"));
    assert!(before.elapsed() < slowly(Duration::from_secs(5)), "{:?}", before.elapsed());
}

#[tokio::test]
async fn orphans_are_reaped() {
    let _alone = ALONE.lock().await;
    // Forty orphans, one after the other, and no more than a few processes left to see.
    let script = "for i in $(seq 40); do (sh -c 'sleep 0 &' ); done; sleep 0.2; \
                  grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l";
    let end = ended(script, cage()).await;
    assert_eq!(text(&end).trim(), "0");
}

#[tokio::test]
async fn the_supervisor_keeps_the_deadline_while_the_launcher_is_stopped() {
    let _alone = ALONE.lock().await;
    // A launcher that is stopped can do nothing. The supervisor is a little later and ends it.
    let short = Cage { clocks: clocks(Duration::from_millis(500)), ..cage() };
    let running = start(shell("sleep 1000"), short).await.unwrap();
    let launcher = running.launcher_id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-STOP", &launcher]).status().unwrap().success());
    let before = Instant::now();
    let end = running.wait().await;
    assert_eq!(end.outcome, Termination::TimedOut(Level::Call));
    assert!(before.elapsed() < slowly(Duration::from_secs(4)));
    assert_nothing_is_left(&cgroups_of(std::process::id())).await;
}

#[tokio::test]
async fn a_killed_launcher_takes_its_cage_along() {
    let _alone = ALONE.lock().await;
    let running = start(shell("sleep 1000"), cage()).await.unwrap();
    let launcher = running.launcher_id().unwrap();
    let family = descendants(launcher);
    assert!(family.len() >= 2, "{family:?}");
    assert!(
        std::process::Command::new("kill").args(["-KILL", &launcher.to_string()]).status().unwrap().success()
    );
    let end = running.wait().await;
    assert_eq!(end.outcome, Termination::Killed);
    assert_gone(&family).await;
    assert_nothing_is_left(&cgroups_of(std::process::id())).await;
}

/// Not a test of its own: a supervisor that can be killed.
#[tokio::test]
async fn supervisor_of_a_sleeper() {
    if std::env::var_os("AECL_TEST_SUPERVISOR").is_some() {
        let call = std::env::var("AECL_TEST_CALL_MS").map_or(30_000, |ms| ms.parse().unwrap());
        let with = Cage { clocks: clocks(Duration::from_millis(call)), ..cage() };
        let running = start(shell("sleep 1000 & sleep 1000"), with).await.unwrap();
        println!("launcher {}", running.launcher_id().unwrap());
        running.wait().await;
    }
}

/// Starts that supervisor. Its process, the launcher and all below it, and its cgroups.
async fn supervised(call_ms: u64) -> (tokio::process::Child, BTreeSet<u32>, Vec<String>) {
    let mut supervisor = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "supervisor_of_a_sleeper", "--nocapture"])
        .env("AECL_TEST_SUPERVISOR", "1")
        .env("AECL_TEST_CALL_MS", call_ms.to_string())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(supervisor.stdout.take().unwrap()).lines();
    let launcher = loop {
        let line = lines.next_line().await.unwrap().unwrap();
        if let Some((_, launcher)) = line.split_once("launcher ") {
            break launcher.parse().unwrap();
        }
    };
    let mut family = descendants(launcher);
    family.insert(launcher);
    assert!(family.len() >= 3, "launcher, init and the program: {family:?}");
    let groups = cgroups_of(supervisor.id().unwrap());
    assert!(!has_groups() || !groups.is_empty());
    (supervisor, family, groups)
}

#[tokio::test]
async fn the_launcher_keeps_the_deadline_while_the_supervisor_is_stopped() {
    let _alone = ALONE.lock().await;
    let (supervisor, family, groups) = supervised(1_500).await;
    let id = supervisor.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-STOP", &id]).status().unwrap().success());
    let before = Instant::now();
    assert_gone(&family).await;
    assert_nothing_is_left(&groups).await;
    assert!(before.elapsed() < slowly(Duration::from_secs(3)), "{:?}", before.elapsed());
}

#[tokio::test]
async fn a_killed_supervisor_leaves_nothing_for_longer_than_a_second() {
    let _alone = ALONE.lock().await;
    let (mut supervisor, family, groups) = supervised(30_000).await;
    supervisor.kill().await.unwrap();
    let before = Instant::now();
    assert_gone(&family).await;
    assert_nothing_is_left(&groups).await;
    assert!(before.elapsed() < slowly(Duration::from_secs(1)), "{:?}", before.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cage_outlives_the_thread_that_asked_for_it() {
    let _alone = ALONE.lock().await;
    let runtime = tokio::runtime::Handle::current();
    let asking = std::thread::spawn(move || runtime.block_on(start(shell("sleep 0.3; echo alive"), cage())));
    let running = tokio::task::spawn_blocking(|| asking.join().unwrap()).await.unwrap().unwrap();
    assert_eq!(text(&running.wait().await), "alive\n");
}

#[tokio::test]
async fn dropping_a_running_program_ends_it() {
    let _alone = ALONE.lock().await;
    let running = start(shell("sleep 1000"), cage()).await.unwrap();
    let launcher = running.launcher_id().unwrap();
    let mut family = descendants(launcher);
    family.insert(launcher);
    drop(running);
    assert_gone(&family).await;
    assert_nothing_is_left(&cgroups_of(std::process::id())).await;
}

/// Cages that run to their end, cages that are given up at any moment of being built, and what a machine
/// counts before and after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_cages_leave_no_process_descriptor_mount_namespace_or_cgroup() {
    let _alone = ALONE.lock().await;
    make_what_is_made_once().await;
    // Another test's program, killed and not reaped yet, is none of ours.
    let before = Count::at_rest().await;
    for _ in 0..200 {
        let four = [0, 1, 2, 3].map(|_| tokio::spawn(run(shell("echo x > /scratch/y"), cage())));
        for one in four {
            assert_eq!(one.await.unwrap().unwrap().outcome, Termination::Exited(0));
        }
    }
    for n in 0..200 {
        let patience = Duration::from_micros(75 * n);
        let _ = tokio::time::timeout(patience, run(shell("sleep 1000"), cage())).await;
    }
    before.assert_is_now().await;
}

/// Whoever asked goes away in turn at every point where it waits: for the start, for output, for the end.
#[tokio::test]
async fn a_cage_given_up_wherever_its_supervisor_waits_leaves_nothing() {
    let _alone = ALONE.lock().await;
    let quick = run(shell("echo x; sleep 0.1"), cage());
    let points = given_up_at_each_point(quick, || run(shell("echo x; sleep 1000"), cage())).await;
    assert!(points > 1, "{points}");
}

/// The fork server of this process and the copy that it has ready, with their environment and open descriptors.
fn fork_servers() -> Vec<(u32, String, usize)> {
    let read = |pid: &u32, file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let mut found: Vec<_> = descendants(std::process::id())
        .into_iter()
        .filter(|pid| read(pid, "cmdline") == "aecl-cage\0fork-server\0")
        .filter(|pid| !read(pid, "stat").contains(") Z "))
        .map(|pid| {
            let open = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
            (pid, read(&pid, "environ"), open)
        })
        .collect();
    // By age: numbers begin anew when they have come to their end.
    found.sort_by_key(|(pid, ..)| {
        let stat = read(pid, "stat");
        stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(19)?.parse::<u64>().ok())
    });
    found
}

async fn idle_fork_servers() -> Vec<(u32, String, usize)> {
    let late = Instant::now() + Duration::from_secs(5);
    loop {
        let found = fork_servers();
        if found.len() == 2 || Instant::now() > late {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn signal(name: &str, pids: &[(u32, String, usize)]) {
    let pids = pids.iter().map(|(pid, ..)| pid.to_string());
    assert!(std::process::Command::new("kill").arg(name).args(pids).status().unwrap().success());
}

#[tokio::test]
async fn the_fork_server_knows_nothing_and_another_one_comes_when_it_is_gone() {
    let _alone = ALONE.lock().await;
    make_what_is_made_once().await;
    let first = idle_fork_servers().await;
    assert_eq!(first.len(), 2, "{first:?}");
    // Its socket and nothing twice, and the word from the copy or to the server.
    assert!(first.iter().all(|(_, environment, open)| environment.is_empty() && *open == 4), "{first:?}");
    // One cage has no trace of another: the same two wait, but for a new copy.
    let secret = Program { env: [("SECRET".to_owned(), "canary-51".to_owned())].into(), ..shell("true") };
    assert_eq!(run(secret, cage()).await.unwrap().outcome, Termination::Exited(0));
    let second = idle_fork_servers().await;
    assert_eq!((second[0].0, second.len()), (first[0].0, 2), "{first:?} {second:?}");
    assert_ne!(second[1].0, first[1].0);
    for (pid, ..) in &second {
        assert!(holds(*pid, b"fork-server"), "its memory can be read");
        assert!(!holds(*pid, b"canary-51"), "{pid}");
    }
    for which in [0..2, 0..1, 1..2] {
        let mut servers = fork_servers();
        while servers.len() != 2 {
            assert_eq!(ended("true", cage()).await.outcome, Termination::Exited(0));
            servers = idle_fork_servers().await;
        }
        signal("-KILL", &servers[which]);
        // Whoever asked the one that was killed is told so; the next one is served.
        let late = Instant::now() + Duration::from_secs(5);
        while run(shell("true"), cage()).await.is_err() {
            assert!(Instant::now() < late);
        }
    }
}

/// Whether this is in the memory of that process.
fn holds(pid: u32, needle: &[u8]) -> bool {
    use std::io::{Read, Seek, SeekFrom};
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut memory = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    maps.lines().filter(|line| line.contains(" rw")).any(|line| {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [from, to] = [from, to].map(|number| u64::from_str_radix(number, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        memory.seek(SeekFrom::Start(from)).unwrap();
        memory.read_exact(&mut bytes).is_ok() && bytes.windows(needle.len()).any(|seen| seen == needle)
    })
}

#[tokio::test]
async fn a_fork_server_that_does_not_answer_costs_one_deadline_and_no_more() {
    let _alone = ALONE.lock().await;
    make_what_is_made_once().await;
    let stopped = idle_fork_servers().await;
    signal("-STOP", &stopped);
    let short = Cage { clocks: clocks(Duration::from_millis(300)), ..cage() };
    let before = Instant::now();
    let error = run(shell("true"), short).await.unwrap_err().to_string();
    assert!(error.contains("it said nothing until the deadline"), "{error}");
    assert!(before.elapsed() < Duration::from_secs(4), "{:?}", before.elapsed());
    // The next one comes from another.
    assert_eq!(ended("true", cage()).await.outcome, Termination::Exited(0));
    // What waited there finds that nobody waits for it any more.
    signal("-CONT", &stopped);
    assert_gone(&stopped.iter().map(|(pid, ..)| *pid).collect()).await;
    assert_eq!(ended("true", cage()).await.outcome, Termination::Exited(0));
}

/// Not a test of its own: a supervisor that gives up being root.
#[tokio::test]
async fn supervisor_that_becomes_somebody_else() {
    if std::env::var_os("AECL_TEST_BECOMES").is_some() {
        make_what_is_made_once().await;
        // SAFETY: three numbers; the C library tells every thread.
        assert_eq!(
            unsafe { libc::setresgid(65_534, 65_534, 65_534) | libc::setresuid(65_534, 65_534, 65_534) },
            0
        );
        let unlimited = Limits { memory_max_bytes: None, ..cage().limits };
        match start(shell("sleep 1000"), Cage { limits: unlimited, ..cage() }).await {
            Ok(running) => {
                let status = format!("/proc/{}/status", running.launcher_id().unwrap());
                let status = fs::read_to_string(status).unwrap();
                println!("@{}", status.lines().find(|line| line.starts_with("Uid:")).unwrap());
            }
            // The cgroups of root are not for it.
            Err(error) => println!("@{error:?}"),
        }
    }
}

#[test]
fn who_gave_up_being_root_has_no_launcher_that_is_root() {
    let _alone = ALONE.blocking_lock();
    if !is_root() {
        return;
    }
    let said = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "supervisor_that_becomes_somebody_else", "--nocapture"])
        .env("AECL_TEST_BECOMES", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
    assert!(said.contains("@Uid:\t65534\t65534") || said.contains("PermissionDenied"), "{said}");
}
