//! The driver of Firecracker against a stand-in that writes down what it is asked and goes wrong where it is
//! told to. What a real kernel does in a machine is in `machine.rs`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use aecl_sandbox::*;
use common::{clocks, is_root, shell};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

/// Who counts what is left must be alone in this process.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

struct StandIn {
    dir: tempfile::TempDir,
    backend: Backend,
}

impl StandIn {
    fn new(fault: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("aecl-stand-in").tempdir_in("/tmp").unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let file = |name: &str, text: &str, mode| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let sha256 = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
            Pinned { path, sha256 }
        };
        let record = dir.path().join("record");
        let head = format!("#!/usr/bin/python3\nFAULT, RECORD = {fault:?}, {record:?}\n");
        let program = file("firecracker", &(head + include_str!("firecracker.py")), 0o755);
        let machine = Machine {
            kernel: file("vmlinux", "a kernel", 0o600),
            modules: vec![file("virtio.ko", "a module", 0o600)],
            root: file("root", "a disk", 0o644),
            root_filesystem: "squashfs".into(),
            boot_max_ms: 4_000,
            shown_max_mib: 8,
            shown_files_max: 100,
        };
        Self {
            backend: Backend::Firecracker(Box::new(Firecracker {
                program: program.path,
                program_sha256: Some(program.sha256),
                machine,
            })),
            dir,
        }
    }

    fn machine(&mut self) -> &mut Machine {
        match &mut self.backend {
            Backend::Firecracker(firecracker) => &mut firecracker.machine,
            _ => panic!(),
        }
    }

    fn cage(&self) -> Cage {
        let mut cage = Cage { backend: self.backend.clone(), ..common::cage() };
        cage.limits.memory_max_bytes = Some(96 << 20);
        cage.limits.cpu_max_millicores = Some(500);
        cage
    }

    fn record(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.dir.path().join("record")).unwrap()).unwrap()
    }

    /// Nothing of it runs, and its sockets are gone.
    async fn assert_gone(&self) {
        let begun = Instant::now();
        let name = self.dir.path().to_str().unwrap().to_owned();
        let runs = || {
            let all = fs::read_dir("/proc").unwrap().flatten();
            let mut lines = all.map(|entry| fs::read(entry.path().join("cmdline")).unwrap_or_default());
            lines.any(|line| String::from_utf8_lossy(&line).contains(&name))
        };
        let mine = format!("aecl-machine-{}-", std::process::id());
        let left = || -> Vec<_> {
            let all = fs::read_dir(std::env::temp_dir()).unwrap().flatten();
            all.filter(|entry| entry.file_name().to_string_lossy().starts_with(&mine)).collect()
        };
        while runs() || !left().is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(2), "it still runs, or left {:?}", left());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn a_machine_is_configured_started_and_talked_to() {
    let _alone = ALONE.lock().await;
    let stand_in = StandIn::new("none");
    let mut running = start(shell("true"), stand_in.cage()).await.unwrap();
    running.stdin.as_mut().unwrap().write_all(b"input").await.unwrap();
    let ended = running.wait().await;
    assert_eq!(ended.outcome, Termination::Exited(5));
    assert_eq!((&ended.stdout.bytes[..], &ended.stderr.bytes[..]), (&b"hello\n"[..], &b"input"[..]));
    let limits = CollectLimits { file_max_bytes: 100, total_max_bytes: 100, entries_max: 10 };
    let left = ended.scratch[0].collect(limits).unwrap();
    let kind = ChangeKind::File { mode: 0o644, bytes: b"done".to_vec() };
    assert_eq!(left.changes, [CollectedChange { path: "result".into(), kind }]);
    assert_eq!(ended.held.backend.tier(), Tier::Microvm);
    stand_in.assert_gone().await;

    let record = stand_in.record();
    let asked: Vec<&Value> = record["asked"].as_array().unwrap().iter().collect();
    let arguments = record["arguments"].as_array().unwrap();
    let place = Path::new(arguments[1].as_str().unwrap()).parent().unwrap().to_str().unwrap();
    let under = |name: &str| format!("{place}/{name}");
    assert_eq!(
        record["arguments"],
        json!(["--api-sock", under("api"), "--log-path", under("log"), "--level", "Error"])
    );
    assert_eq!(record["stdin"], "", "there is nothing to read");
    let put = |path: &str, body: Value| json!(["PUT", path, body]);
    let boot_args = asked[1][2]["boot_args"].as_str().unwrap();
    for word in
        ["8250.nr_uarts=0", "panic=-1", "reboot=k", "pci=off", "aecl.line=vsock", "aecl.root=squashfs"]
    {
        assert!(boot_args.split(' ').any(|found| found == word), "{word}");
    }
    let (kernel, initrd) = ("/proc/self/fd/3", "/proc/self/fd/4");
    let expected = [
        put("/machine-config", json!({"vcpu_count": 1, "mem_size_mib": 160, "smt": false})),
        put(
            "/boot-source",
            json!({"kernel_image_path": kernel, "initrd_path": initrd, "boot_args": boot_args}),
        ),
        put(
            "/drives/root",
            json!({"drive_id": "root", "path_on_host": "/proc/self/fd/5", "is_root_device": false, "is_read_only": true}),
        ),
        put("/vsock", json!({"guest_cid": 3, "uds_path": under("vsock")})),
        put("/actions", json!({"action_type": "InstanceStart"})),
        // Nobody listens inside at first.
        json!("CONNECT 5000\n"),
        json!("CONNECT 5000\n"),
        json!("CONNECT 5000\n"),
    ];
    assert_eq!(asked, expected.iter().collect::<Vec<_>>());
    if is_root() {
        let uid = record["uid"].as_u64().unwrap();
        assert!(uid >= 65_536, "{uid}");
        assert_eq!(record["capabilities"], "0000000000000000");
        assert_eq!(ended.held.user, HostUser::Separate { uid: u32::try_from(uid).unwrap() });
    }
}

/// Wherever it goes wrong before the program runs: an error that says what, in time, and nothing is left.
#[tokio::test]
async fn whatever_goes_wrong_before_the_start_is_an_error_and_leaves_nothing() {
    let _alone = ALONE.lock().await;
    let steps = ["/machine-config", "/boot-source", "/drives/root", "/vsock", "/actions"];
    let mut cases: Vec<(String, &str)> = vec![
        ("missing".into(), "its agent said nothing"),
        ("silent".into(), "its agent said nothing"),
        ("version".into(), "no greeting of this version"),
        ("connect short".into(), "no answer to CONNECT"),
        ("connect long".into(), "no answer to CONNECT"),
        ("exec".into(), "it must be below `/usr`"),
        (format!("nonsense {}", steps[0]), "answers in no known form"),
        (format!("endless {}", steps[1]), "an answer without an end"),
        (format!("hang {}", steps[4]), "its agent said nothing"),
        (format!("die {}", steps[2]), "no such device"),
    ];
    for step in steps {
        cases.push((
            format!("refuse {step}"),
            "was answered with 400: {\"fault_message\": \"no \u{fffd}[31msuch thing\"}",
        ));
        cases.push((format!("hangup {step}"), "gets no answer"));
    }
    for (fault, expected) in cases {
        let mut stand_in = StandIn::new(&fault);
        let begun = Instant::now();
        if expected.contains("said nothing") {
            stand_in.machine().boot_max_ms = 700;
        }
        let error = start(shell("true"), stand_in.cage()).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{fault}: {error}");
        assert!(begun.elapsed() < Duration::from_secs(8), "{fault}: {:?}", begun.elapsed());
        stand_in.assert_gone().await;
    }
}

/// Wherever it goes wrong afterwards: an outcome, in time, and nothing is left.
#[tokio::test]
async fn whatever_goes_wrong_afterwards_is_an_outcome_and_leaves_nothing() {
    let _alone = ALONE.lock().await;
    for (fault, expected) in [
        ("vanish", Termination::Killed),
        ("babble", Termination::Killed),
        ("long", Termination::Killed),
        ("flood", Termination::Killed),
        ("hangs", Termination::TimedOut(Level::Call)),
    ] {
        let stand_in = StandIn::new(fault);
        let mut cage = stand_in.cage();
        cage.clocks = clocks(Duration::from_secs(6));
        let ended = run(shell("true"), cage).await.unwrap();
        assert_eq!(ended.outcome, expected, "{fault}");
        stand_in.assert_gone().await;
    }
}

/// A machine that says of connections what the agent never would is ended.
#[tokio::test]
async fn connections_that_make_no_sense_end_the_machine() {
    let _alone = ALONE.lock().await;
    for (fault, listens) in [
        ("connections unasked", false),
        ("connections number", true),
        ("connections twice", true),
        ("connections data", true),
        ("connections window", true),
        ("connections taken", true),
        ("connections short", true),
        // Nobody reads what it said before, so we have not closed it.
        ("connections reopened", true),
        ("connections shut twice", true),
        ("connections data after shut", true),
    ] {
        let stand_in = StandIn::new(fault);
        let network = if listens { Network::Listener { port: 80 } } else { Network::None };
        let mut running = start(shell("true"), Cage { network, ..stand_in.cage() }).await.unwrap();
        let begun = Instant::now();
        let listener = running.listener.take();
        assert_eq!(listener.is_some(), listens);
        assert_eq!(running.wait().await.outcome, Termination::Killed, "{fault}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{fault}");
        stand_in.assert_gone().await;
    }
}

#[tokio::test]
async fn who_loses_interest_ends_the_machine() {
    let _alone = ALONE.lock().await;
    let stand_in = StandIn::new("hangs");
    let running = start(shell("true"), stand_in.cage()).await.unwrap();
    running.kill();
    assert_eq!(running.wait().await.outcome, Termination::Killed);
    stand_in.assert_gone().await;
    let stand_in = StandIn::new("hangs");
    drop(start(shell("true"), stand_in.cage()).await.unwrap());
    stand_in.assert_gone().await;
}

/// Nothing is started of files that are not the ones that were named.
#[tokio::test]
async fn a_file_that_was_replaced_is_refused() {
    let _alone = ALONE.lock().await;
    for name in ["vmlinux", "virtio.ko", "root", "firecracker"] {
        let stand_in = StandIn::new("none");
        fs::write(stand_in.dir.path().join(name), "another").unwrap();
        let error = start(shell("true"), stand_in.cage()).await.unwrap_err();
        assert!(matches!(error, SandboxError::Unavailable { .. }), "{error:?}");
        let said = error.to_string();
        assert!(said.contains(name) && said.contains("is not the file that was named"), "{said}");
        assert!(!stand_in.dir.path().join("record").exists());
    }
}

#[tokio::test]
async fn what_a_machine_cannot_do_is_refused() {
    let _alone = ALONE.lock().await;
    let stand_in = StandIn::new("none");
    type Change = fn(&mut Cage);
    let cases: [(Change, &str); 3] = [
        (|cage| cage.network = Network::Listener { port: 0 }, "port is 0"),
        (|cage| cage.limits.memory_max_bytes = None, "`memory_max_bytes` must be said"),
        (|cage| cage.limits.scratch_max_bytes = 1 << 40, "scratch space is memory"),
    ];
    for (change, expected) in cases {
        let mut cage = stand_in.cage();
        change(&mut cage);
        let error = start(shell("true"), cage).await.unwrap_err();
        assert!(matches!(error, SandboxError::BadCage(_)) && error.to_string().contains(expected), "{error}");
    }
}

/// Before anything of a machine is there: what is shown is copied in a cage of its own.
#[tokio::test]
async fn what_is_shown_is_a_second_disk_of_a_bounded_size_that_ends_with_the_machine() {
    let _alone = ALONE.lock().await;
    let stand_in = StandIn::new("none");
    let tree = stand_in.dir.path().join("tree");
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("file"), "shown").unwrap();
    let view = |source: &Path| View { source: source.into(), at: "/project".into(), access: Access::Overlay };
    let cage = |source: &Path| Cage { views: vec![view(source)], ..stand_in.cage() };
    let ended = run(shell("true"), cage(&tree)).await.unwrap();
    assert_eq!(ended.outcome, Termination::Exited(5));
    let record = stand_in.record();
    let disk = json!(["PUT", "/drives/shown", {
        "drive_id": "shown", "path_on_host": "/proc/self/fd/6", "is_root_device": false, "is_read_only": true,
    }]);
    let asked = record["asked"].as_array().unwrap();
    assert_eq!(asked[3], disk);
    assert!(asked[1][2]["boot_args"].as_str().unwrap().contains(" aecl.shown=vdb "));
    // The monitor can read it. As somebody else it cannot even try to write.
    assert_eq!(record["shown"], if is_root() { "ext4, read-only" } else { "ext4" });
    let change = |path: &str, kind| CollectedChange { path: path.into(), kind };
    let limits = CollectLimits { file_max_bytes: 100, total_max_bytes: 100, entries_max: 10 };
    let project = ended.scratch[1].collect(limits).unwrap();
    assert_eq!((ended.scratch.len(), ended.scratch[1].at()), (2, Path::new("/project")));
    assert_eq!(
        project.changes,
        [
            change("dir", ChangeKind::Directory { anew: true, mode: 0o755 }),
            change("gone", ChangeKind::Deleted)
        ]
    );
    stand_in.assert_gone().await;

    // More than fits, in bytes and in files; and what no cage shows.
    fs::write(tree.join("large"), vec![1; 30 << 20]).unwrap();
    let many = stand_in.dir.path().join("many");
    fs::create_dir(&many).unwrap();
    (0..200).for_each(|n| fs::write(many.join(n.to_string()), "").unwrap());
    std::os::unix::fs::symlink(&tree, stand_in.dir.path().join("link")).unwrap();
    let link = stand_in.dir.path().join("link");
    fs::remove_file(stand_in.dir.path().join("record")).unwrap();
    for (source, expected) in [
        (tree.as_path(), "more than a machine is shown: 8 MiB in 100 files"),
        (&many, "more than a machine is shown"),
        (&link, "showing"),
        (Path::new("/nowhere/at/all"), "showing `/nowhere/at/all`"),
        (Path::new("/proc/1"), "its kernel's files"),
    ] {
        let error = start(shell("true"), cage(source)).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{}: {error}", source.display());
        assert!(!stand_in.dir.path().join("record").exists(), "a machine was started");
    }
    if is_root() {
        // Somebody else's, and not for everybody: the program could not read it in any cage.
        let foreign = many.join("1");
        fs::set_permissions(&foreign, fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::chown(&foreign, Some(4_242), None).unwrap();
        (2..200).for_each(|n| fs::remove_file(many.join(n.to_string())).unwrap());
        let error = start(shell("true"), cage(&many)).await.unwrap_err().to_string();
        assert!(error.contains("making a disk of what is shown") && error.contains("\"1\""), "{error}");
    }
    // It may not take longer than the program.
    let hurried = Cage { clocks: clocks(Duration::from_millis(5)), ..cage(&many) };
    assert!(start(shell("true"), hurried).await.is_err() && !stand_in.dir.path().join("record").exists());
    stand_in.assert_gone().await;
}

/// The real program, where somebody has one. Its machine needs KVM and a kernel, which `aecl doctor --sandbox`
/// proves; here it has to understand what we ask, up to the kernel that is none.
#[tokio::test]
async fn the_real_firecracker_understands_us() {
    let _alone = ALONE.lock().await;
    let Some(program) = std::env::var_os("AECL_FIRECRACKER") else {
        println!(
            "skipped: AECL_FIRECRACKER does not name the program `firecracker`, which is in no distribution"
        );
        return;
    };
    let mut stand_in = StandIn::new("none");
    if let Backend::Firecracker(firecracker) = &mut stand_in.backend {
        firecracker.program = program.into();
        firecracker.program_sha256 = None;
    }
    let error = start(shell("true"), stand_in.cage()).await.unwrap_err().to_string();
    assert!(error.contains("/actions") || error.contains("/boot-source"), "{error}");
    stand_in.assert_gone().await;
}
