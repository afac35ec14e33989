//! What is refused before anything runs. A cage that cannot be had as described is an error, never a weaker
//! cage.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aecl_sandbox::{Access, Backend, Cage, Limits, Network, Program, SandboxError, View, probe, run};
use common::{as_an_ordinary_user, cage, is_root, shell, text};
use seccompiler::{SeccompAction, SeccompFilter, TargetArch, apply_filter};

#[test]
fn the_same_is_refused_to_an_ordinary_user() {
    as_an_ordinary_user("the_same_is_refused_to_an_ordinary_user");
}

fn view(source: &std::path::Path) -> View {
    View { source: source.into(), at: "/project".into(), access: Access::ReadOnly }
}

async fn refusal(program: Program, cage: Cage) -> String {
    run(program, cage).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_source_behind_a_link_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    symlink("/etc", dir.path().join("link")).unwrap();
    for path in ["link", "link/ssl"] {
        let with = Cage { views: vec![view(&dir.path().join(path))], ..cage() };
        let why = refusal(shell("ls /project"), with).await;
        assert!(why.contains("os error 40"), "{why}");
    }
}

/// Case 8. The source is a directory at one moment and a link to the host's files at the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_is_swapped_for_a_link_never_shows_what_the_link_means() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("secret")).unwrap();
    fs::write(dir.path().join("secret/canary"), "canary").unwrap();
    fs::create_dir(dir.path().join("source")).unwrap();
    symlink(dir.path().join("secret"), dir.path().join("evil")).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let swapping = {
        let (over, dir) = (Arc::clone(&over), dir.path().to_owned());
        std::thread::spawn(move || {
            let swap = |a: &str, b: &str| {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(rustix::fs::CWD, dir.join(a), rustix::fs::CWD, dir.join(b), flags)
                    .unwrap();
            };
            let mut swaps = 0_u64;
            while !over.load(Ordering::Relaxed) {
                swap("source", "evil");
                swaps += 1;
            }
            swaps
        })
    };
    let (mut shown, mut refused) = (0, 0);
    for _ in 0..60 {
        let with = Cage { views: vec![view(&dir.path().join("source"))], ..cage() };
        match run(shell("cat /project/canary"), with).await {
            Ok(end) => {
                assert!(!text(&end).contains("canary\n") && end.stdout.bytes.is_empty(), "{}", text(&end));
                shown += 1;
            }
            Err(_) => refused += 1,
        }
    }
    over.store(true, Ordering::Relaxed);
    assert!(swapping.join().unwrap() > 100);
    println!("{shown} shown, {refused} refused");
    assert!(shown > 0 && refused > 0, "{shown} shown, {refused} refused");
}

#[tokio::test]
async fn a_working_directory_that_is_a_descriptor_leads_nowhere() {
    for n in 0..16 {
        let program = Program { cwd: Some(format!("/proc/self/fd/{n}").into()), ..shell("pwd") };
        let why = refusal(program, cage()).await;
        assert!(why.contains("entering the working directory"), "{why}");
    }
}

#[tokio::test]
async fn contradictions_are_named() {
    let limits = cage().limits;
    let with = |limits: Limits| Cage { limits, ..cage() };
    for (name, cage, expected) in [
        ("scratch", with(Limits { memory_max_bytes: Some(16 << 20), ..limits }), "scratch space is memory"),
        ("memory", with(Limits { memory_max_bytes: Some(100), ..limits }), "starts nothing"),
        ("processes", with(Limits { processes_max: 0, ..limits }), "processes_max is 0"),
        ("port", Cage { network: Network::Listener { port: 0 }, ..cage() }, "port is 0"),
        ("view", Cage { views: vec![view("/".as_ref())], ..cage() }, "not all of the host"),
        ("nothing there", Cage { views: vec![view("/no/such".as_ref())], ..cage() }, "showing `/no/such`"),
    ] {
        let why = refusal(shell("true"), cage).await;
        assert!(why.contains(expected), "{name}: {why}");
    }
    let none = Program { argv: vec![], env: BTreeMap::new(), cwd: None };
    assert!(matches!(run(none, cage()).await, Err(SandboxError::NoProgram)));
    let zero = Program { argv: vec!["a\0b".into()], env: BTreeMap::new(), cwd: None };
    assert!(matches!(run(zero, cage()).await, Err(SandboxError::BadCage(_))));
}

/// Case 98. As root this machine may have cgroups, so it is asked of an ordinary user.
#[tokio::test]
async fn a_memory_limit_that_nothing_enforces_is_refused() {
    if is_root() {
        return;
    }
    let with = Cage { limits: Limits { memory_max_bytes: Some(64 << 20), ..cage().limits }, ..cage() };
    match run(shell("true"), with).await {
        Err(SandboxError::Unenforceable { limit, .. }) => assert_eq!(limit, "memory_max_bytes"),
        // Delegated to this user: then it holds.
        Ok(end) => assert!(end.held.cgroup.is_some()),
        Err(other) => panic!("{other}"),
    }
}

/// Not a test of its own: a supervisor in a world where something is missing. It says what came of a start.
#[tokio::test]
async fn supervisor_of_a_poorer_world() {
    let Ok(missing) = std::env::var("AECL_TEST_MISSING") else { return };
    let calls: &[i64] = match missing.as_str() {
        "landlock" => &[libc::SYS_landlock_create_ruleset],
        "seccomp" => &[libc::SYS_seccomp],
        "landlock rules" => &[libc::SYS_landlock_restrict_self],
        "listeners" => &[libc::SYS_listen],
        _ => &[],
    };
    let without = Cage { limits: Limits { memory_max_bytes: None, ..cage().limits }, ..cage() };
    if !calls.is_empty() {
        // From here on for this thread and what it starts, so the spawning thread has to come after it.
        let rules: BTreeMap<i64, Vec<_>> = calls.iter().map(|call| (*call, vec![])).collect();
        let filter = SeccompFilter::new(
            rules,
            SeccompAction::Allow,
            SeccompAction::Errno(libc::ENOSYS as u32),
            TargetArch::try_from(std::env::consts::ARCH).unwrap(),
        );
        apply_filter(&TryInto::<seccompiler::BpfProgram>::try_into(filter.unwrap()).unwrap()).unwrap();
    }
    if missing == "listeners" {
        let found = &probe(&[Backend::Native]).await[0];
        return println!("@{} {:?}", if found.available { "holds" } else { &found.reason }, found.offers);
    }
    match run(shell("echo it ran"), without).await {
        Ok(end) => println!("@ended {} {}", end.outcome, text(&end)),
        Err(error) => println!("@refused {error}"),
    }
}

/// What a host cannot give is no reason to hold nothing on it.
#[test]
fn a_backend_offers_what_could_be_built_and_no_more() {
    let said = in_a_world_without("listeners", &["--user", "--map-root-user"], "");
    let offers = "Offers { views: true, overlays: true, listener: false, unlimited_memory: true, host_programs: true }";
    assert_eq!(said, format!("holds {offers}"));
}

/// Runs that supervisor, below a shell line that makes the world poorer.
fn in_a_world_without(missing: &str, unshare: &[&str], shell: &str) -> String {
    let me = std::env::current_exe().unwrap();
    let mut command = Command::new("unshare");
    command.args(unshare).args(["sh", "-c", &format!("{shell} exec \"$0\" \"$@\"")]).arg(me);
    command
        .args(["--exact", "supervisor_of_a_poorer_world", "--nocapture"])
        .env("AECL_TEST_MISSING", missing);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = said.lines().find_map(|line| line.split_once('@')).map(|(_, line)| line.to_owned());
    line.unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)))
}

/// Cases 96, 97 and 99: each with the same start in a world where nothing is missing.
#[test]
fn without_a_lock_nothing_starts() {
    let user = ["--user", "--map-root-user"];
    let mounts = ["--user", "--map-root-user", "--mount"];
    let control = in_a_world_without("nothing", &user, "");
    assert!(control.starts_with("ended exited with 0 it ran"), "{control}");
    for (missing, unshare, shell, expected) in [
        (
            "namespaces",
            &user[..],
            "echo 0 > /proc/sys/user/max_user_namespaces;",
            "refused the cage `native` is not available here: making namespaces",
        ),
        (
            "an unmasked /proc",
            &mounts[..],
            "mount -t tmpfs none /proc/sys;",
            "refused the cage `native` is not available here: parts of /proc are hidden",
        ),
        ("landlock", &user[..], "", "refused the cage `native` is not available here: asking for landlock"),
        (
            "landlock rules",
            &user[..],
            "",
            "refused the cage could not be built while applying the landlock rules",
        ),
        ("seccomp", &user[..], "", "refused the cage could not be built while installing the seccomp filter"),
    ] {
        let said = in_a_world_without(missing, unshare, shell);
        assert!(said.starts_with(expected), "{missing}: {said}");
    }
}
