//! Cages that container runtimes build, by the promises of the tier `native`, and by what they cannot keep.
//!
//! Each test runs with every runtime that is installed; `cargo xtask test` installs them. A test that finds
//! none of them says so.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use aecl_sandbox::{
    Access, Backend, Cage, ChangeKind, CollectLimits, Docker, HostUser, Level, Limits, Network, Program,
    Runtime, SandboxError, Termination, View, probe, run, start,
};
use common::daemon::Daemon;
use common::{Count, as_an_ordinary_user, cage, clocks, ended, given_up_at_each_point, is_root, shell, text};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

const COLLECT: CollectLimits =
    CollectLimits { file_max_bytes: 1 << 20, total_max_bytes: 8 << 20, entries_max: 1_000 };

/// A cage of the same kind by each runtime that works here, and by a Docker daemon that ends with the test.
async fn cages() -> Cages {
    let daemon = Daemon::start();
    let backends = Backend::all().into_iter().skip(1).chain(daemon.as_ref().map(Daemon::backend));
    let mut cages = Vec::new();
    for found in probe(&backends.collect::<Vec<_>>()).await {
        if found.available {
            cages.push(Cage { backend: found.backend, ..cage() });
        } else {
            assert!(found.reason.contains("apt-get install"), "{}", found.reason);
            println!("`{}` is not tested: {}", found.backend, found.reason);
        }
    }
    Cages { all: cages, daemon }
}

struct Cages {
    all: Vec<Cage>,
    daemon: Option<Daemon>,
}

fn is_docker(cage: &Cage) -> bool {
    matches!(cage.backend, Backend::Docker(_))
}

fn is_gvisor(cage: &Cage) -> bool {
    matches!(cage.backend, Backend::Runsc(_))
}

#[test]
fn runtimes_build_cages_for_an_ordinary_user() {
    as_an_ordinary_user("runtimes_build_cages_for_an_ordinary_user");
}

/// As in a container that was given no range of users.
#[test]
fn runtimes_build_cages_for_root_with_one_number_to_give() {
    if !is_root() {
        return;
    }
    let me = std::env::current_exe().unwrap();
    let mut command = std::process::Command::new("unshare");
    command.args(["--user", "--map-root-user"]).arg(me).args(["--exact", "each_end_has_its_own_name"]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
async fn a_program_is_nobody_of_the_host_in_a_place_of_its_own() {
    let cages = cages().await;
    for cage in cages.all {
        let name = cage.backend.to_string();
        let script = "id -u; pwd; hostname; grep -E '^Cap(Inh|Prm|Eff|Bnd)' /proc/self/status | tr -d '\\t\\n'; \
                      cat; echo \"$HOME $PATH $A\"";
        let program = Program { env: [("A".into(), "b".into())].into(), ..shell(script) };
        let end = run(program, cage.clone()).await.unwrap();
        let none = "0000000000000000";
        let caps: String = ["Inh", "Prm", "Eff", "Bnd"].map(|c| format!("Cap{c}:{none}")).concat();
        let expected = format!("1000\n/scratch\ncage\n{caps}/tmp /usr/local/bin:/usr/bin:/bin b\n");
        assert_eq!((end.outcome, text(&end)), (Termination::Exited(0), expected), "{name}");
        match end.held.user {
            HostUser::Separate { uid } => assert!(is_root() && uid > 65_536, "{:?}", end.held),
            HostUser::Ours => assert!(!is_root(), "{:?}", end.held),
        }
        assert!(end.held.runtime.as_ref().unwrap().starts_with(&name), "{:?}", end.held);
        assert_eq!(end.held.landlock_abi.is_some(), !is_gvisor(&cage), "{:?}", end.held);
        assert_eq!(end.held.cgroup.is_some(), is_root() || end.held.limits.memory_max_bytes.is_some());
    }
}

#[tokio::test]
async fn each_end_has_its_own_name() {
    let cages = cages().await;
    for cage in cages.all {
        let name = cage.backend.to_string();
        let end = async |script: &str| ended(script, cage.clone()).await.outcome;
        assert_eq!(end("exit 7").await, Termination::Exited(7), "{name}");
        // What a shell calls a signal is a number to us, as long as it is one.
        assert_eq!(end("exit 143").await, Termination::Exited(143), "{name}");
        assert_eq!(end("kill -TERM $$").await, Termination::Signalled(15), "{name}");
        assert_eq!(end("cat /dev/zero").await, Termination::OutputCap, "{name}");
        if cage.limits.memory_max_bytes.is_some() {
            assert_eq!(end("x=x; while :; do x=$x$x; done").await, Termination::OutOfMemory, "{name}");
        }
        let short = Cage { clocks: clocks(Duration::from_millis(1_500)), ..cage.clone() };
        let before = Instant::now();
        let late = ended("trap '' TERM; (setsid sleep 1000 &); sleep 1000", short).await.outcome;
        assert_eq!(late, Termination::TimedOut(Level::Call), "{name}");
        assert!(before.elapsed() < Duration::from_secs(4), "{name}: {:?}", before.elapsed());
        let mut running = start(shell("cat; sleep 60"), cage.clone()).await.unwrap();
        running.stdin.take().unwrap().write_all(b"hello").await.unwrap();
        running.kill();
        assert_eq!(running.wait().await.outcome, Termination::Killed, "{name}");
        if !is_gvisor(&cage) {
            let source = env!("CARGO_BIN_EXE_aecl-attacker").into();
            let view = View { source, at: "/attacker".into(), access: Access::ReadOnly };
            let argv = ["/attacker", "int80"].map(String::from).to_vec();
            let program = Program { argv, ..shell("") };
            let end = run(program, Cage { views: vec![view], ..cage.clone() }).await.unwrap();
            assert_eq!(end.outcome, Termination::Seccomp, "{name}");
        }
        let missing = Program { argv: vec!["/no/such".into()], env: BTreeMap::new(), cwd: None };
        let error = run(missing, cage.clone()).await.unwrap_err();
        assert!(matches!(error, SandboxError::NotInCage { .. }), "{name}: {error}");
    }
}

/// How a program ended is reported by the first process. The program finds no way into that.
#[tokio::test]
async fn a_program_cannot_report_its_own_end() {
    let cages = cages().await;
    for cage in cages.all {
        // "It exited with 0", as the first process would write it.
        let number = |n: u8| format!("\\{n:03o}") + &"\\000".repeat(7);
        let report = [16, 2, 0].map(number).concat();
        let script = format!(
            "for to in /proc/1/fd/* /proc/*/fd/* /.status/reports /.status/*; do printf '{report}' >> $to; done; \
             printf '{report}' > /.status/reports; exit 3"
        );
        let end = ended(&script, cage.clone()).await;
        assert_eq!(end.outcome, Termination::Exited(3), "{}: {}", cage.backend, end.stderr.for_display());
    }
}

#[tokio::test]
async fn what_is_left_is_collected_and_a_view_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(dir.path().join("a"), "old").unwrap();
    fs::write(dir.path().join("private"), "mine").unwrap();
    fs::set_permissions(dir.path().join("private"), fs::Permissions::from_mode(0o600)).unwrap();
    let cages = cages().await;
    for cage in cages.all {
        let name = cage.backend.to_string();
        let view = |access| View { source: dir.path().into(), at: "/project/it".into(), access };
        let script = "cat /project/it/a; cat /project/it/private; mkdir sub; echo new > sub/file; \
                      echo x > /project/it/b; echo x > /usr/x; echo x > /x";
        let end = ended(script, Cage { views: vec![view(Access::ReadOnly)], ..cage.clone() }).await;
        assert_eq!(end.outcome, Termination::Exited(2), "{name}: {}", text(&end));
        assert_eq!(end.stdout.bytes, if end.held.owners_mapped { &b"oldmine"[..] } else { b"old" }, "{name}");
        let left = end.scratch[0].collect(COLLECT).unwrap();
        let list: Vec<_> = left.changes.iter().map(|c| c.path.as_str()).collect();
        assert_eq!((list.as_slice(), &left.refused), (&["sub", "sub/file"][..], &vec![]), "{name}");
        let file = ChangeKind::File { mode: 0o644, bytes: b"new\n".to_vec() };
        assert_eq!(left.changes[1].kind, file, "{name}");

        let over = Cage { views: vec![view(Access::Overlay)], ..cage.clone() };
        if is_gvisor(&cage) {
            let why = run(shell("true"), over).await.unwrap_err().to_string();
            assert!(why.contains("could not be collected"), "{why}");
            continue;
        }
        let end = ended("cd /project/it && echo new > a && echo c > c && rm private", over).await;
        assert_eq!(end.outcome, Termination::Exited(0), "{name}: {}", text(&end));
        let left = end.scratch[1].collect(COLLECT).unwrap();
        let list: Vec<_> = left.changes.iter().map(|c| (c.path.as_str(), &c.kind)).collect();
        assert_eq!((list.len(), list[2]), (3, ("private", &ChangeKind::Deleted)), "{name}");
        assert_eq!(fs::read_to_string(dir.path().join("a")).unwrap(), "old");
    }
}

#[tokio::test]
async fn a_listener_serves_this_program_or_is_refused() {
    let cages = cages().await;
    for cage in cages.all {
        let open = Cage { network: Network::Listener { port: 3128 }, ..cage.clone() };
        let script = "exec 3<>/dev/tcp/127.0.0.1/3128; cat <&3";
        let bash = Program { argv: vec!["bash".into(), "-c".into(), script.into()], ..shell("") };
        if is_gvisor(&cage) {
            let why = run(bash, open).await.unwrap_err().to_string();
            assert!(why.contains("loopback of `runsc`"), "{why}");
            continue;
        }
        let mut running = start(bash, open).await.unwrap();
        let mut listener = running.listener.take().unwrap();
        let served = tokio::spawn(async move {
            listener.accept().await.unwrap().write_all(b"served").await.unwrap();
        });
        assert_eq!(text(&running.wait().await), "served", "{}", cage.backend);
        served.await.unwrap();
    }
}

/// Decisions rest on what the probe says of a backend; so each thing that it offers can be built, and what it
/// does not offer is refused before anything runs.
#[tokio::test]
async fn what_a_backend_offers_is_what_can_be_built_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let view = |access| View { source: dir.path().into(), at: "/project".into(), access };
    let daemon = Daemon::start();
    let backends: Vec<Backend> =
        Backend::all().into_iter().chain(daemon.as_ref().map(Daemon::backend)).collect();
    for found in probe(&backends).await.into_iter().filter(|found| found.available) {
        let cage = Cage { backend: found.backend.clone(), ..cage() };
        let limits = Limits { memory_max_bytes: None, ..cage.limits };
        for (what, offered, cage) in [
            ("views", found.offers.views, Cage { views: vec![view(Access::ReadOnly)], ..cage.clone() }),
            ("overlays", found.offers.overlays, Cage { views: vec![view(Access::Overlay)], ..cage.clone() }),
            (
                "listener",
                found.offers.listener,
                Cage { network: Network::Listener { port: 3128 }, ..cage.clone() },
            ),
            ("unlimited memory", found.offers.unlimited_memory, Cage { limits, ..cage.clone() }),
        ] {
            match run(shell("true"), cage).await {
                Ok(end) => {
                    assert!(offered && end.outcome == Termination::Exited(0), "{} {what}", found.backend)
                }
                Err(error) => {
                    assert!(
                        !offered && matches!(error, SandboxError::BadCage(_)),
                        "{} {error}",
                        found.backend
                    );
                }
            }
        }
    }
}

/// Case 14.
#[tokio::test]
async fn a_working_directory_that_is_a_descriptor_leads_nowhere() {
    let cages = cages().await;
    for cage in cages.all {
        for n in [3, 5, 7, 8, 9] {
            let program = Program { cwd: Some(format!("/proc/self/fd/{n}").into()), ..shell("pwd; ls ..") };
            let why = run(program, cage.clone()).await.unwrap_err().to_string();
            assert!(why.contains("entering the working directory"), "{}: {why}", cage.backend);
        }
    }
}

/// Not a test of its own: a supervisor that can be killed.
#[tokio::test]
async fn supervisor_of_a_runtime() {
    let Ok(name) = std::env::var("AECL_TEST_BACKEND") else { return };
    let docker =
        std::env::var_os("AECL_TEST_SOCKET").map(|socket| Backend::Docker(Docker { socket: socket.into() }));
    let backend = Backend::all().into_iter().chain(docker).find(|backend| backend.name() == name).unwrap();
    let running = start(shell("sleep 1000 & sleep 1000"), Cage { backend, ..cage() }).await.unwrap();
    println!("@launcher {}", running.launcher_id().unwrap());
    running.wait().await;
}

/// Cases 90 and 91.
#[tokio::test]
async fn a_killed_supervisor_or_launcher_takes_runtime_and_cage_along() {
    let cages = cages().await;
    for cage in cages.all {
        let name = cage.backend.name();
        for whom in ["supervisor", "launcher"] {
            let mut supervisor = tokio::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "supervisor_of_a_runtime", "--nocapture"])
                .env("AECL_TEST_BACKEND", name)
                .envs(cages.daemon.as_ref().map(|daemon| ("AECL_TEST_SOCKET", daemon.socket())))
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(supervisor.stdout.take().unwrap()).lines();
            let launcher: u32 = loop {
                let line = lines.next_line().await.unwrap().unwrap();
                if let Some((_, launcher)) = line.split_once("@launcher ") {
                    break launcher.parse().unwrap();
                }
            };
            let mut family = common::descendants(launcher);
            family.insert(launcher);
            // A container has no runtime in it, and is no child of ours.
            let least = if is_docker(&cage) { 3 } else { 5 };
            assert!(family.len() >= least, "{name}: launcher, init, runtime, our init, programs: {family:?}");
            let groups = common::cgroups_of(supervisor.id().unwrap());
            // Those of a container are the daemon's.
            assert!(!groups.is_empty() || !is_root() || is_docker(&cage));
            let before = Instant::now();
            if whom == "supervisor" {
                supervisor.kill().await.unwrap();
            } else {
                let kill = std::process::Command::new("kill").args(["-KILL", &launcher.to_string()]).status();
                assert!(kill.unwrap().success());
            }
            common::assert_gone(&family).await;
            common::assert_nothing_is_left(&groups).await;
            assert!(before.elapsed() < Duration::from_secs(1), "{name}, {whom}: {:?}", before.elapsed());
        }
    }
}

/// Cages that run to their end, and cages that are given up while they are built: at any moment, and at every
/// point where the supervisor waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runtimes_leave_nothing_behind() {
    if !common::is_alone("runtimes_leave_nothing_behind") {
        return;
    }
    let Cages { all: cages, daemon } = cages().await;
    if let Some(daemon) = &daemon {
        daemon.wait_until_it_has_no_container();
    }
    let before = Count::at_rest().await;
    for cage in &cages {
        let rounds = if is_gvisor(cage) { 3 } else { 15 };
        for round in 0..rounds {
            let end = ended("echo x > /scratch/y; (setsid sleep 1000 &)", cage.clone()).await;
            assert_eq!(end.outcome, Termination::Exited(0), "{}", text(&end));
            let patience = Duration::from_millis(5 * round);
            let _ = tokio::time::timeout(patience, run(shell("sleep 1000"), cage.clone())).await;
        }
        if let (Backend::Docker(_), Some(daemon)) = (&cage.backend, &daemon) {
            // What is given up is the daemon's to remove, which takes it a moment each time.
            daemon.wait_until_it_has_no_container();
            continue;
        }
        let quick = run(shell("echo x"), cage.clone());
        let endless = || run(shell("echo x; sleep 1000"), cage.clone());
        let points = given_up_at_each_point(quick, endless).await;
        assert!(points > 1, "{}: {points}", cage.backend);
    }
    before.assert_is_now().await;
    if let Some(daemon) = &daemon {
        daemon.wait_until_it_has_no_container();
    }
}

/// Case 100.
#[tokio::test]
async fn a_runtime_that_is_missing_or_another_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let fake = |name: &str, script: &str| {
        let path = dir.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    let old = fake("old", "echo 'runc version 1.0.0'");
    let liar = fake("liar", "echo 'I am runc'");
    let fails =
        fake("fails", "echo 'runc version 1.4.0'; [ \"$1\" = --version ] || { echo 'no luck' >&2; exit 1; }");
    let one = |program: &std::path::Path, sha256: Option<&str>| {
        Backend::Runc(Runtime { program: program.into(), sha256: sha256.map(str::to_owned) })
    };
    for (backend, expected) in [
        (Backend::Runc(Runtime::named("no-such-runtime")), "is not installed; `apt-get install runc`"),
        (one("/no/such".as_ref(), None), "`/no/such` is not installed"),
        (one(&old, None), "version 1.0.0 is too old, 1.1.0 is the first that is taken"),
        (one(&liar, None), "is not what `runc` says"),
        (one(&fails, Some("00")), "and 00 is wanted"),
        (one(&fails, None), "no luck"),
    ] {
        let refused = run(shell("echo it ran"), Cage { backend: backend.clone(), ..cage() }).await;
        let why = refused.unwrap_err().to_string();
        assert!(why.contains(expected), "{why}");
        let found = probe(&[backend]).await;
        assert!(!found[0].available && found[0].reason.contains(expected), "{found:?}");
    }
}

#[tokio::test]
async fn contradictions_are_named() {
    let cages = cages().await;
    for cage in cages.all {
        let limits = cage.limits;
        let with = |limits: Limits| Cage { limits, ..cage.clone() };
        for (cage, expected) in [
            (with(Limits { processes_max: 0, ..limits }), "processes_max is 0"),
            (with(Limits { memory_max_bytes: Some(100), ..limits }), "starts nothing"),
            (
                Cage {
                    views: vec![View {
                        source: "/no/such".into(),
                        at: "/x".into(),
                        access: Access::ReadOnly,
                    }],
                    ..cage.clone()
                },
                "showing `/no/such`",
            ),
        ] {
            let why = run(shell("true"), cage).await.unwrap_err().to_string();
            assert!(why.contains(expected), "{why}");
        }
    }
}

#[tokio::test]
async fn output_comes_back_to_the_byte_and_input_ends() {
    let cages = cages().await;
    for cage in cages.all {
        let mut running =
            start(shell("cat; printf 'a\\000\\377\\n'; echo e >&2"), cage.clone()).await.unwrap();
        let mut stdin = running.stdin.take().unwrap();
        stdin.write_all(b"in\n").await.unwrap();
        drop(stdin);
        let end = running.wait().await;
        // Nothing of the runtime's own talk.
        assert_eq!((&end.stdout.bytes[..], &end.stderr.bytes[..]), (&b"in\na\0\xff\n"[..], &b"e\n"[..]));
    }
}
