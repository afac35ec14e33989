//! Limits where cgroups are of version 2 and there is no other: as root, as a user to whom a part of the
//! hierarchy was delegated, and as one to whom it was not. All tests but the last run in a guest.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use aecl_sandbox::{
    Backend, Cage, CgroupVersion, Enforced, HostUser, Limits, Offers, SandboxError, Termination, probe, run,
    start,
};
use common::guest::{Stage, assert_holds_in, stage};
use common::{assert_gone, cage, cgroups_of, descendants, ended, has_groups, is_root, shell, text};
use tokio::io::{AsyncBufReadExt, BufReader};

#[test]
fn limits_hold_where_cgroups_are_of_version_2_only() {
    if stage().is_some() {
        return;
    }
    if let Some(said) = assert_holds_in(&Stage::ALL, &[]) {
        println!("{said}");
    }
}

/// Whether there are cgroups for us.
fn is_grouped() -> bool {
    stage().is_some() && has_groups()
}

/// The one cgroup of this process's cages.
fn group() -> PathBuf {
    let groups = cgroups_of(std::process::id());
    assert_eq!(groups.len(), 1, "{groups:?}");
    groups[0].clone().into()
}

fn setting(group: &Path, name: &str) -> String {
    fs::read_to_string(group.join(name)).unwrap().trim().to_owned()
}

/// A number from a file of several, one to a line.
fn counted(group: &Path, file: &str, name: &str) -> u64 {
    let text = setting(group, file);
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap().parse().unwrap()
}

/// The probe builds a cage with every limit that it found, and attacks it. Landlock is that of the guest's kernel.
#[tokio::test]
async fn the_probe_finds_what_is_enforced() {
    if stage().is_none() {
        return;
    }
    let found = probe(&[Backend::Native]).await.remove(0);
    println!("{found:?}");
    assert!(found.available && found.attacks.len() > 15, "{}", found.reason);
    assert!(!found.reason.contains("landlock none"), "{}", found.reason);
    assert_eq!(found.enforced, Enforced { memory: has_groups(), cpu: has_groups() });
    let all =
        Offers { views: true, overlays: true, listener: true, unlimited_memory: true, host_programs: true };
    assert_eq!(found.offers, all);
    let end = run(shell("true"), found.cage()).await.unwrap();
    assert_eq!(end.outcome, Termination::Exited(0));
    assert_eq!(end.held.cgroup, has_groups().then_some(CgroupVersion::V2));
    assert!(end.held.landlock_abi >= Some(2), "{:?}", end.held.landlock_abi);
    assert_eq!(matches!(end.held.user, HostUser::Separate { .. }), is_root());
}

/// A runtime lives in the cage's group, and makes none.
#[tokio::test]
async fn runtimes_are_held_by_the_same_limits() {
    if !matches!(stage(), Some(Stage::Root | Stage::Delegated)) {
        return;
    }
    for found in probe(&Backend::all()[1..]).await {
        if !found.available {
            assert!(found.reason.contains("is not installed"), "{}: {}", found.backend, found.reason);
            continue;
        }
        let cage = Cage { backend: found.backend, ..cage() };
        let end = ended("cat /proc/self/cgroup; exit 7", cage.clone()).await;
        assert_eq!((end.outcome, text(&end).as_str()), (Termination::Exited(7), "0::/\n"), "{:?}", end.held);
        assert_eq!(end.held.cgroup, Some(CgroupVersion::V2));
        // More than the program and the runtime may have together.
        let script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do \
                      (dd if=/dev/zero bs=20M count=1 | sleep 5) & done; wait; echo over";
        let end = ended(script, cage).await;
        assert_eq!(end.outcome, Termination::OutOfMemory, "{:?} {}", end.held, text(&end));
        assert_eq!(cgroups_of(std::process::id()), Vec::<String>::new());
    }
}

#[tokio::test]
async fn without_a_cgroup_a_limit_that_needs_one_is_refused() {
    let why = match stage() {
        Some(Stage::Ordinary) => "/Ordinary.service` is not delegated to this user",
        Some(Stage::Crowded) => "/Crowded.service` holds processes that are not ours",
        _ => return,
    };
    for (name, limits) in [
        ("memory_max_bytes", Limits { memory_max_bytes: Some(64 << 20), ..cage().limits }),
        ("cpu_max_millicores", Limits { cpu_max_millicores: Some(500), ..cage().limits }),
    ] {
        let error = run(shell("true"), Cage { limits, ..cage() }).await.unwrap_err();
        assert!(matches!(error, SandboxError::Unenforceable { limit, .. } if limit == name), "{error}");
        let said = error.to_string();
        assert!(said.contains(why) && said.contains("`Delegate=yes`"), "{said}");
    }
    assert_eq!(ended("true", cage()).await.outcome, Termination::Exited(0));
}

/// Every limit is in the cage's group, and every process of the cage is, from its first moment.
#[tokio::test]
async fn a_cage_has_one_group_with_every_limit_in_it() {
    if !is_grouped() {
        return;
    }
    let limits = Limits { cpu_max_millicores: Some(500), ..cage().limits };
    let script = "cat /proc/self/cgroup; sleep 1000 & (setsid sleep 1000 &); wait";
    let running = start(shell(script), Cage { limits, ..cage() }).await.unwrap();
    let group = group();
    for (name, value) in [
        ("memory.max", "134217728"),
        ("memory.oom.group", "1"),
        ("pids.max", "65"),
        ("cpu.max", "50000 100000"),
        ("memory.swap.max", "0"),
    ] {
        assert_eq!(setting(&group, name), value, "{name}");
    }
    let inside = || -> BTreeSet<u32> {
        setting(&group, "cgroup.procs").lines().map(|pid| pid.parse().unwrap()).collect()
    };
    let launcher = running.launcher_id().unwrap();
    // The first process, the shell and two sleepers. Until then some come and go.
    let late = Instant::now() + Duration::from_secs(20);
    let mut below = descendants(launcher);
    while below.len() != 4 || below != inside() {
        assert!(Instant::now() < late, "{below:?} {:?}", inside());
        tokio::time::sleep(Duration::from_millis(20)).await;
        below = descendants(launcher);
    }
    running.kill();
    let end = running.wait().await;
    assert_eq!(end.outcome, Termination::Killed);
    assert_eq!(text(&end), "0::/\n", "it sees no group but its own");
    assert_gone(&below).await;
    assert!(!group.exists(), "{}", group.display());
}

/// No single process is over the limit, and the one that the program waits for is the last that dies.
#[tokio::test]
async fn lack_of_memory_ends_the_whole_cage_and_is_told() {
    if !is_grouped() {
        return;
    }
    let script = "for i in 1 2 3 4 5 6 7 8; do \
                  (dd if=/dev/zero bs=20M count=1 | sleep 5) & done; wait; echo over";
    let end = ended(script, cage()).await;
    assert_eq!(end.outcome, Termination::OutOfMemory, "{}", text(&end));
    assert!(!text(&end).contains("over"), "{}", text(&end));
    assert_eq!(cgroups_of(std::process::id()), Vec::<String>::new());
    // Scratch space is memory, and a full one is no lack of it.
    let end = ended(
        "for i in 1 2 3 4 5 6 7 8; do dd if=/dev/zero of=/tmp/$i bs=1M count=8 || exit 1; done",
        cage(),
    );
    let end = end.await;
    assert_eq!(end.outcome, Termination::Exited(1), "{}", text(&end));
    assert!(text(&end).contains("No space left"), "{}", text(&end));
}

#[tokio::test]
async fn a_fork_bomb_meets_its_limit() {
    if !is_grouped() {
        return;
    }
    let script = "for i in $(seq 150); do sleep 1000 & done";
    let end = ended(script, cage()).await;
    assert!(text(&end).contains("can't fork"), "{}", text(&end));
    assert_eq!(cgroups_of(std::process::id()), Vec::<String>::new());
}

/// Half a processor, whatever the processor is worth: the kernel counts what was used and how often it said no.
#[tokio::test]
async fn processor_time_is_held_back() {
    if !is_grouped() {
        return;
    }
    let limits = Limits { cpu_max_millicores: Some(500), ..cage().limits };
    let script = "(while :; do :; done) & while :; do :; done";
    let running = start(shell(script), Cage { limits, ..cage() }).await.unwrap();
    let group = group();
    let used = || counted(&group, "cpu.stat", "usage_usec");
    let (begun, before) = (Instant::now(), used());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let share = (used() - before) as f64 / begun.elapsed().as_micros() as f64;
    assert!(share > 0.05 && share <= 0.6, "{share} processors");
    assert!(counted(&group, "cpu.stat", "nr_throttled") > 5);
    running.kill();
    running.wait().await;
}

/// Not a test of its own: a supervisor that can be killed.
#[tokio::test]
async fn supervisor() {
    let Some(work) = std::env::var_os("AECL_TEST_SUPERVISOR") else { return };
    if work == "sweep" {
        assert_eq!(ended("true", cage()).await.outcome, Termination::Exited(0));
        return;
    }
    let running = start(shell("sleep 1000"), cage()).await.unwrap();
    println!("launcher {}", running.launcher_id().unwrap());
    running.wait().await;
}

fn supervise(work: &str) -> tokio::process::Child {
    tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "supervisor", "--nocapture"])
        .env("AECL_TEST_SUPERVISOR", work)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Nobody is left who could remove the group, so the next supervisor does.
#[tokio::test]
async fn what_a_supervisor_left_that_died_with_its_launcher_is_swept() {
    if !is_grouped() {
        return;
    }
    let mut supervisor = supervise("run");
    let mut lines = BufReader::new(supervisor.stdout.take().unwrap()).lines();
    let launcher: u32 = loop {
        let line = lines.next_line().await.unwrap().unwrap();
        if let Some((_, launcher)) = line.split_once("launcher ") {
            break launcher.parse().unwrap();
        }
    };
    let id = supervisor.id().unwrap();
    let family = descendants(launcher);
    let left = cgroups_of(id);
    assert_eq!((family.len(), left.len()), (2, 1), "{family:?} {left:?}");
    // Stopped first, so that it cannot clear up when it hears of the supervisor's end.
    for (signal, pid) in [("-STOP", launcher), ("-KILL", id), ("-KILL", launcher)] {
        let sent = std::process::Command::new("kill").args([signal, &pid.to_string()]).status();
        assert!(sent.unwrap().success());
    }
    supervisor.wait().await.unwrap();
    assert_gone(&family).await;
    assert_eq!(cgroups_of(id), left, "nobody was there to remove it");
    assert!(supervise("sweep").wait_with_output().await.unwrap().status.success());
    assert_eq!(cgroups_of(id), Vec::<String>::new());
}
