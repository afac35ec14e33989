//! Programs in virtual machines, by QEMU's own emulation: everything is real but the processor.
//!
//! Without a kernel for them these tests say that they were skipped; `cargo xtask test` always has it. What comes
//! of the attacks in a machine is in `attacks.rs`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use aecl_sandbox::*;
use common::machine::{QEMU, emulated, machine};
use common::{clocks, given_up_at_each_point, is_alone, shell, text};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn cage(backend: Backend) -> Cage {
    let mut cage = Cage { backend, ..common::cage() };
    cage.limits.memory_max_bytes = Some(96 << 20);
    cage.limits.cpu_max_millicores = Some(1_000);
    cage.clocks = clocks(Duration::from_secs(90));
    cage
}

async fn ended(script: &str, machine: Machine) -> Ended {
    run(shell(script), cage(emulated(machine))).await.unwrap()
}

fn collected(ended: &Ended) -> Collected {
    let limits = CollectLimits { file_max_bytes: 1 << 20, total_max_bytes: 2 << 20, entries_max: 50 };
    ended.scratch[0].collect(limits).unwrap()
}

#[tokio::test]
async fn a_program_runs_in_a_machine_of_its_own_and_what_it_leaves_comes_back() {
    let Some(machine) = machine() else { return };
    let script = "id -u; cat /proc/version; echo to error >&2; cat; mkdir dir; echo done > dir/file; \
                  chmod 755 dir/file; ln -s /etc/shadow link; mkfifo pipe; touch \"$(echo -e 'a\\nb')\"; \
                  touch suid; chmod 4755 suid; ln dir/file twin; \
                  dd if=/dev/zero of=hole bs=1 count=1 seek=12000000 2>/dev/null; ls /; exit 7";
    let mut running = start(shell(script), cage(emulated(machine))).await.unwrap();
    running.stdin.as_mut().unwrap().write_all(b"what was said\n").await.unwrap();
    let ended = running.wait().await;
    assert_eq!(ended.outcome, Termination::Exited(7), "{}", text(&ended));
    let out = ended.stdout.for_display();
    let host = fs::read_to_string("/proc/version").unwrap();
    assert!(out.starts_with("1000\nLinux version ") && !out.contains(host.trim()), "{out}");
    assert!(out.contains("what was said\n") && ended.stderr.bytes == b"to error\n", "{out}");
    assert!(out.ends_with("bin\ndev\netc\nlib\nlib64\nproc\nscratch\ntmp\nusr\n"), "{out}");
    assert_eq!(ended.held.backend.tier(), Tier::Process, "emulation satisfies nothing");
    assert_eq!(ended.held.cgroup, Some(CgroupVersion::V2));
    if common::is_root() {
        assert!(matches!(ended.held.user, HostUser::Separate { .. }));
    }
    let left = collected(&ended);
    let changes: Vec<_> = left.changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(changes, ["dir"], "{left:?}");
    let refused: std::collections::BTreeMap<_, _> =
        left.refused.iter().map(|refused| (refused.path.as_str(), refused.why)).collect();
    for (path, why) in [
        ("dir/file", "hard link"),
        ("twin", "hard link"),
        ("link", "symbolic link"),
        ("pipe", "named pipe"),
        ("a\u{fffd}b", "control characters"),
        ("suid", "set-user-ID"),
        ("hole", "larger than what is collected"),
    ] {
        assert!(refused.get(path).is_some_and(|found| found.contains(why)), "{path}: {refused:?}");
    }
}

#[tokio::test]
async fn lack_of_memory_is_told_apart_and_the_host_does_not_feel_it() {
    let Some(machine) = machine() else { return };
    let ended = ended("x=a; while true; do x=$x$x; done", machine).await;
    assert_eq!(ended.outcome, Termination::OutOfMemory, "{}", text(&ended));
}

#[tokio::test]
async fn time_that_runs_out_and_output_without_end_are_told_apart() {
    let Some(machine) = machine() else { return };
    let begun = Instant::now();
    let mut cage = cage(emulated(machine));
    let script = "echo kept > file; trap '' TERM; sleep 1000 & while true; do :; done";
    // As long as a start takes here, and some more.
    let flood = run(shell("yes"), cage.clone()).await.unwrap();
    assert_eq!(flood.outcome, Termination::OutputCap);
    assert!(flood.stdout.is_truncated());
    cage.clocks = clocks(begun.elapsed() * 2 + Duration::from_secs(3));
    let late = run(shell(script), cage).await.unwrap();
    assert_eq!(late.outcome, Termination::TimedOut(Level::Call), "{}", text(&late));
    // The agent ended it, so there was somebody to hand over what was left.
    assert_eq!(collected(&late).changes[0].path, "file");
}

/// A probe really starts a machine and attacks from inside. By emulation everything holds but the tier.
#[tokio::test]
async fn the_self_test_runs_in_a_machine() {
    let Some(machine) = machine() else { return };
    let found = probe(&[emulated(machine)]).await;
    println!("{found:?}");
    assert!(found[0].available, "{}", found[0].reason);
    assert!(found[0].attacks.len() > 15 && found[0].version.contains("QEMU"), "{found:?}");
    assert_eq!(found[0].backend.tier(), Tier::Process);
    let all_but =
        Offers { views: true, overlays: true, listener: true, unlimited_memory: false, host_programs: false };
    assert_eq!(found[0].offers, all_but);
}

/// Reads what a connection says until its end, answers with as much, and closes it.
async fn serve(mut connection: Connection) {
    let (mut said, mut bytes) = (String::new(), 0_usize);
    let mut buffer = vec![0; 4_096];
    loop {
        match connection.read(&mut buffer).await.unwrap() {
            0 => break,
            count => {
                bytes += count;
                said.push_str(&String::from_utf8_lossy(&buffer[..count.min(40)]));
            }
        }
    }
    let answer = if bytes > 1_000 { vec![b'x'; 1_000_000] } else { format!("heard {said}").into_bytes() };
    // Whoever has gone does not hear it.
    let _ = connection.write_all(&answer).await;
    let _ = connection.shutdown().await;
}

/// A listener in a machine is served from here, as one in a cage on the host.
#[tokio::test]
async fn who_accepts_on_the_listener_of_a_machine_serves_its_program() {
    let Some(machine) = machine() else { return };
    // One, many after each other, many at once, much in both directions, one that nobody waits for, and a port that
    // is closed. What waits on standard input meanwhile is read last.
    let script = "nc() { busybox nc 127.0.0.1 $1; }; echo one | nc 3128; \
        for n in 1 2 3 4 5 6 7 8 9 10; do for m in 1 2 3 4 5 6 7 8; do echo $n | nc 3128; done; done | wc -l; \
        mkdir all; for n in 1 2 3 4 5 6 7 8 9 10; do for m in 1 2 3 4 5 6 7 8; do \
        echo $n$m | nc 3128 > all/$n-$m & done; done; wait; cat all/* | wc -l; \
        head -c 1000000 /dev/zero | nc 3128 | wc -c; (sleep 100 | nc 3128) & \
        echo x | nc 80 || echo closed; wc -c";
    let mut cage = cage(emulated(machine));
    cage.network = Network::Listener { port: 3128 };
    cage.limits.processes_max = 400;
    let mut running = start(shell(script), cage).await.unwrap();
    let mut listener = running.listener.take().unwrap();
    let mut stdin = running.stdin.take().unwrap();
    let input = tokio::spawn(async move { stdin.write_all(&vec![b'i'; 300_000]).await });
    let serving = tokio::spawn(async move {
        let mut count = 0;
        while let Ok(connection) = listener.accept().await {
            count += 1;
            tokio::spawn(serve(connection));
            if count == 163 {
                break;
            }
        }
        count
    });
    let ended = running.wait().await;
    assert_eq!(ended.outcome, Termination::Exited(0), "{}", text(&ended));
    let out = ended.stdout.for_display();
    let words: Vec<_> = out.lines().filter(|line| !line.contains("refused")).collect();
    assert_eq!(words, ["heard one", "80", "80", "1000000", "closed", "300000"], "{}", text(&ended));
    input.await.unwrap().unwrap();
    assert_eq!(serving.await.unwrap(), 163);
}

/// Not a test of its own: without the switch for tests.
#[tokio::test]
async fn supervisor() {
    let Some(work) = std::env::var_os("AECL_MACHINE_WORK") else { return };
    let Some(machine) = machine() else { return };
    if work == "refused" {
        let backend = Backend::Qemu(Box::new(Qemu {
            program: QEMU.into(),
            program_sha256: None,
            machine,
            acceleration: Acceleration::Emulation,
        }));
        println!("@{}", run(shell("true"), cage(backend)).await.unwrap_err());
        return;
    }
    let running = start(shell("sleep 1000"), cage(emulated(machine))).await.unwrap();
    println!("@started");
    running.wait().await;
}

fn supervise(work: &str) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "supervisor", "--nocapture"])
        .env("AECL_MACHINE_WORK", work)
        .env_remove("AECL_TEST_TCG")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn emulation_is_refused_without_the_switch_for_tests() {
    if machine().is_none() {
        return;
    }
    let output = supervise("refused").wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("an emulated machine holds nobody"), "{said}");
}

/// Who started this process.
fn parent(pid: u32) -> Option<u32> {
    let about = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    about.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// The monitors of a supervisor.
fn monitors(supervisor: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_its =
        |pid: &u32| std::iter::successors(Some(*pid), |pid| parent(*pid)).any(|pid| pid == supervisor);
    let is_monitor = |pid: &u32| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("qemu"))
    };
    pids.filter(is_monitor).filter(is_its).collect()
}

#[test]
fn a_machine_ends_with_its_supervisor_however_that_ends() {
    use std::io::{BufRead, BufReader};
    if machine().is_none() {
        return;
    }
    let mut supervisor = supervise("run");
    let mut lines = BufReader::new(supervisor.stdout.take().unwrap()).lines();
    while !lines.next().unwrap().unwrap().contains("@started") {}
    let ours = monitors(supervisor.id());
    assert_eq!(ours.len(), 1);
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    let begun = Instant::now();
    let runs = |pid: &u32| Path::new(&format!("/proc/{pid}")).exists();
    while ours.iter().any(runs) {
        assert!(begun.elapsed() < Duration::from_secs(1), "{ours:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whoever asked goes away in turn at every point where it waits: for the monitor, the agent, the cage inside,
/// the end, and what is sent back.
#[tokio::test]
async fn a_machine_given_up_wherever_its_supervisor_waits_leaves_nothing() {
    let name = "a_machine_given_up_wherever_its_supervisor_waits_leaves_nothing";
    let (true, Some(machine)) = (is_alone(name), machine()) else { return };
    let cage = cage(emulated(machine));
    let quick = run(shell("echo x"), cage.clone());
    let endless = || run(shell("echo x; sleep 1000"), cage.clone());
    let points = given_up_at_each_point(quick, endless).await;
    assert!(points > 1, "{points}");
}

/// Here KVM runs no ordinary kernel. Where it does, this is the tier `microvm`; where not, nobody says that it
/// is there.
#[tokio::test]
async fn kvm_holds_or_the_probe_says_why_not() {
    let Some(mut machine) = machine() else { return };
    machine.boot_max_ms = 5_000;
    let qemu = Qemu { program: QEMU.into(), program_sha256: None, machine, acceleration: Acceleration::Kvm };
    let found = probe(&[Backend::Qemu(Box::new(qemu.clone()))]).await;
    println!("{found:?}");
    assert_eq!(found[0].backend.tier(), Tier::Microvm);
    if found[0].available {
        let ended = run(shell("true"), cage(Backend::Qemu(Box::new(qemu)))).await.unwrap();
        assert_eq!(ended.outcome, Termination::Exited(0));
    } else {
        let reason = &found[0].reason;
        assert!(reason.contains("did not start") || reason.contains("`/dev/kvm`"), "{reason}");
        let error = run(shell("true"), cage(Backend::Qemu(Box::new(qemu)))).await.unwrap_err();
        assert!(matches!(error, SandboxError::Unavailable { .. }), "{error}");
    }
}

/// A directory like one that an agent works in, with what hostile hands may put there.
fn work_tree() -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix("aecl-tree").tempdir_in("/tmp").unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("src")).unwrap();
    fs::create_dir(at("gone")).unwrap();
    for (name, text) in [
        ("src/a", "as it was"),
        ("gone/b", "b"),
        ("kept", "kept"),
        ("secret", "of its owner"),
        ("\u{1b}[31m\nodd", "odd"),
    ] {
        fs::write(at(name), text).unwrap();
    }
    fs::set_permissions(at("secret"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::hard_link(at("kept"), at("twin")).unwrap();
    symlink("/etc/shadow", at("link")).unwrap();
    symlink("../../..", at("up")).unwrap();
    assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    drop(UnixListener::bind(at("socket")).unwrap());
    fs::File::create(at("hole")).unwrap().set_len(1 << 40).unwrap();
    if common::is_root() {
        assert!(Command::new("mknod").arg(at("device")).args(["b", "7", "0"]).status().unwrap().success());
    }
    dir
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

/// The same program over the same directory, in a cage on the host and in one in a machine: it sees the same,
/// and the same is left.
#[tokio::test]
async fn a_machine_shows_what_a_cage_shows_and_gives_back_the_same_changes() {
    let Some(machine) = machine() else { return };
    let (tree, other) = (work_tree(), work_tree());
    let file = tree.path().join("src/a");
    let script = "cd /project; cat src/a secret kept /only/file; ls; ls -ln kept | cat; ls -l device pipe link; \
        head -c 1 device; cat link; ls up | head -3; \
        echo changed > src/a; echo new > new; mkdir dir; echo in > dir/in; rm gone/b; \
        echo anew > gone/c; rm kept; ln -s x symlink; mkfifo fifo; echo x > /scratch/x; \
        echo no > /only/file; echo no > /read/kept; id -u; ls -ln /read/secret | cut -c 1-10; pwd";
    let view = |source: &Path, at: &str, access| View { source: source.into(), at: at.into(), access };
    let views = vec![
        view(other.path(), "/read", Access::ReadOnly),
        view(&file, "/only/file", Access::ReadOnly),
        view(tree.path(), "/project", Access::Overlay),
    ];
    let before = names(tree.path());
    // The same words of the same programs.
    let tools = tempfile::Builder::new().prefix("aecl-tools").tempdir_in("/tmp").unwrap();
    fs::copy("/bin/busybox", tools.path().join("busybox")).unwrap();
    for name in ["sh", "cat", "ls", "head", "mkdir", "rm", "ln", "mkfifo", "id", "cut"] {
        symlink("busybox", tools.path().join(name)).unwrap();
    }
    let views = [views, vec![view(tools.path(), "/tools", Access::ReadOnly)]].concat();
    let mut program = shell(script);
    program.env.insert("PATH".into(), "/tools".into());
    let native = Cage { views: views.clone(), ..common::cage() };
    let native = run(program.clone(), native).await.unwrap();
    let begun = Instant::now();
    let mut cage = cage(emulated(machine));
    cage.views = views;
    let there = run(program, cage).await.unwrap();
    println!("{:?} {}", begun.elapsed(), text(&there));
    assert_eq!(text(&there), text(&native));
    assert!(text(&there).starts_with("as it wasof its ownerkeptas it was"), "{}", text(&there));
    assert_eq!((there.outcome, native.outcome), (Termination::Exited(0), Termination::Exited(0)));
    assert!(there.held.owners_mapped);
    let places = |ended: &Ended| ended.scratch.iter().map(|s| s.at().to_owned()).collect::<Vec<_>>();
    assert_eq!(places(&there), [Path::new("/scratch"), Path::new("/project")]);
    assert_eq!(places(&there), places(&native));
    let limits = CollectLimits { file_max_bytes: 1 << 20, total_max_bytes: 2 << 20, entries_max: 50 };
    for (there, native) in there.scratch.iter().zip(&native.scratch) {
        let mut both = [there, native].map(|scratch| scratch.collect(limits).unwrap());
        // A machine says of a link that it is one, and not where it leads, so it cannot be kept.
        for left in &mut both {
            let is_link = |change: &CollectedChange| matches!(change.kind, ChangeKind::Symlink { .. });
            let links: Vec<CollectedChange> = left.changes.extract_if(.., |change| is_link(change)).collect();
            let why = "it is a symbolic link";
            left.refused.extend(links.into_iter().map(|link| RefusedPath { path: link.path, why }));
            left.refused.sort_by(|one, other| one.path.cmp(&other.path));
        }
        assert_eq!(both[0], both[1]);
    }
    let project = there.scratch[1].collect(limits).unwrap();
    let kept = CollectedChange { path: "kept".into(), kind: ChangeKind::Deleted };
    assert!(project.changes.contains(&kept), "{project:?}");
    assert_eq!(names(tree.path()), before, "nothing of the host has changed");
    assert_eq!(fs::read_to_string(file).unwrap(), "as it was");
}

/// Where the machine's kernel cannot do what is offered, less is offered, and the reason names what is missing.
#[tokio::test]
async fn what_the_kernel_of_a_machine_cannot_do_is_not_offered() {
    let Some(mut machine) = machine() else { return };
    machine.modules.retain(|module| !module.path.ends_with("overlay.ko"));
    let found = probe(&[emulated(machine.clone())]).await;
    let reason = &found[0].reason;
    let offers = Offers {
        views: true,
        overlays: false,
        listener: true,
        unlimited_memory: false,
        host_programs: false,
    };
    assert_eq!((found[0].available, found[0].offers), (true, offers), "{reason}");
    assert!(reason.contains("not all that it could") && reason.contains("`overlay`"), "{reason}");
}
