//! How cages begin and end, whoever ends them, and what is left behind: nothing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod common;

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

use aecl_sandbox::{Cage, Level, Outcome, run, start};
use common::guest::{self, Stage, slowly};
use common::{
    Count, as_an_ordinary_user, assert_gone, assert_nothing_is_left, cage, cgroups_of, clocks, descendants,
    ended, given_up_at_each_point, has_groups, shell, text,
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
        assert_eq!(end.outcome, Outcome::TimedOut(Level::Call), "{name}: {}", text(&end));
        assert!(before.elapsed() < slowly(Duration::from_secs(4)), "{name}: {:?}", before.elapsed());
    }
}

#[tokio::test]
async fn a_grandchild_that_keeps_the_output_open_does_not_keep_the_call() {
    let _alone = ALONE.lock().await;
    let before = Instant::now();
    let end = ended("(setsid sleep 1000 &); echo done", cage()).await;
    assert_eq!((end.outcome, text(&end).as_str()), (Outcome::Exited(0), "done\n"));
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
    assert_eq!(end.outcome, Outcome::TimedOut(Level::Call));
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
    assert_eq!(end.outcome, Outcome::Killed);
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
    // What is made once, is made now.
    assert_eq!(ended("true", cage()).await.outcome, Outcome::Exited(0));
    // Another test's program, killed and not reaped yet, is none of ours.
    let before = Count::at_rest().await;
    for _ in 0..200 {
        let four = [0, 1, 2, 3].map(|_| tokio::spawn(run(shell("echo x > /scratch/y"), cage())));
        for one in four {
            assert_eq!(one.await.unwrap().unwrap().outcome, Outcome::Exited(0));
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
