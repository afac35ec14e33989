//! The tier `native` by its promises: how programs end, what limits do, what is left behind.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use aecl_sandbox::{
    Access, Backend, Cage, ChangeKind, CollectLimits, Collected, HostUser, Level, Limits, Listener, Network,
    Program, Runtime, SandboxError, Termination, View, run, start,
};
use common::{as_an_ordinary_user, cage, clocks, ended, is_root, shell, text};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const COLLECT: CollectLimits =
    CollectLimits { file_max_bytes: 1 << 20, total_max_bytes: 8 << 20, entries_max: 1_000 };

#[test]
fn the_cage_is_the_same_for_an_ordinary_user() {
    as_an_ordinary_user("the_cage_is_the_same_for_an_ordinary_user");
}

#[tokio::test]
async fn a_program_runs_as_nobody_of_the_host_in_a_place_of_its_own() {
    let script = "id -u; pwd; hostname; grep -E '^(Cap|NoNew|Seccomp:)' /proc/self/status | tr '\\t\\n' '  '";
    let end = ended(script, cage()).await;
    let none = "0000000000000000";
    let caps: String = ["Inh", "Prm", "Eff", "Bnd", "Amb"].map(|c| format!("Cap{c}: {none} ")).concat();
    assert_eq!(text(&end), format!("1000\n/scratch\ncage\n{caps}NoNewPrivs: 1 Seccomp: 2 "));
    assert_eq!(end.outcome, Termination::Exited(0));
    match end.held.user {
        HostUser::Separate { uid } => assert!(is_root() && uid > 1000, "{uid}"),
        HostUser::Ours => assert!(!is_root()),
    }
}

#[tokio::test]
async fn each_end_has_its_own_name() {
    assert_eq!(ended("exit 7", cage()).await.outcome, Termination::Exited(7));
    assert_eq!(ended("kill -TERM $$", cage()).await.outcome, Termination::Signalled(15));
    let one = Cage { clocks: clocks(Duration::from_millis(300)), ..cage() };
    let before = Instant::now();
    assert_eq!(ended("sleep 60", one).await.outcome, Termination::TimedOut(Level::Call));
    assert!(before.elapsed() < Duration::from_secs(3), "{:?}", before.elapsed());
    assert_eq!(ended("cat /dev/zero", cage()).await.outcome, Termination::OutputCap);
    if is_root() {
        let hungry = "x=x; while :; do x=$x$x; done";
        let end = ended(hungry, cage()).await;
        assert_eq!(end.outcome, Termination::OutOfMemory, "{}", text(&end));
    }
}

#[tokio::test]
async fn what_is_not_there_is_named_and_nothing_has_run() {
    let program = Program { argv: vec!["/no/such".into()], env: BTreeMap::new(), cwd: None };
    let error = run(program, cage()).await.unwrap_err();
    assert!(matches!(error, SandboxError::NotInCage { .. }), "{error}");
}

#[tokio::test]
async fn input_arrives_and_a_running_program_can_be_ended() {
    let mut running = start(shell("cat; sleep 60"), cage()).await.unwrap();
    running.stdin.take().unwrap().write_all(b"hello").await.unwrap();
    running.kill();
    let ended = running.wait().await;
    assert_eq!(ended.outcome, Termination::Killed);
}

/// As a closed pipe would end it: nobody reads what it would say next.
#[tokio::test]
async fn a_program_whose_reader_is_gone_is_ended() {
    let running = start(shell("while :; do echo x; done"), cage()).await.unwrap();
    let mut seen = 0;
    let ended = running
        .watch(|_, _| {
            seen += 1;
            if seen < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .await;
    assert_eq!((ended.outcome, seen), (Termination::Killed, 3));
}

#[tokio::test]
async fn a_view_is_seen_and_an_overlay_keeps_what_was_written_apart() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a"), "old").unwrap();
    std::fs::write(dir.path().join("b"), "gone").unwrap();
    for (access, expected) in
        [(Access::ReadOnly, Termination::Exited(2)), (Access::Overlay, Termination::Exited(0))]
    {
        let view = View { source: dir.path().into(), at: "/project".into(), access };
        let cage = Cage { views: vec![view], ..cage() };
        let end = ended("cat /project/a && cd /project && echo new > a && rm b && echo c > c", cage).await;
        assert_eq!(end.outcome, expected, "{}", text(&end));
        assert!(end.stdout.bytes == b"old");
        assert_eq!(std::fs::read_to_string(dir.path().join("a")).unwrap(), "old");
        if access == Access::Overlay {
            let left = end.scratch[1].collect(COLLECT).unwrap();
            let list: Vec<_> = left.changes.iter().map(|c| (c.path.as_str(), &c.kind)).collect();
            assert_eq!(list.len(), 3);
            assert_eq!(list[1], ("b", &ChangeKind::Deleted));
        }
    }
}

/// A view below `/tmp` lies in space that the program can write. It can write around it, and not to it.
#[tokio::test]
async fn a_view_below_tmp_is_as_firm_as_any_other() {
    let dir = tempfile::tempdir_in("/tmp").unwrap();
    std::fs::write(dir.path().join("a"), "old").unwrap();
    std::fs::write(dir.path().join("file"), "file").unwrap();
    let view =
        |source: &str, at: &str, access| View { source: dir.path().join(source), at: at.into(), access };
    let views = vec![
        view("", "/tmp/deep/er/project", Access::ReadOnly),
        view("", "/tmp/layer", Access::Overlay),
        view("file", "/tmp/single/file", Access::ReadOnly),
    ];
    let script = "cd /tmp/deep/er; cat project/a; for try in 'echo new > project/a' 'touch project/b' 'rm project/a' \
                  'rmdir project' 'mv project other' 'echo new > /tmp/single/file' 'rm /tmp/single/file'; do \
                  sh -c \"$try\" 2>/dev/null && echo done: $try; done; \
                  mv /tmp/deep /tmp/moved; cat /tmp/moved/er/project/a; echo new > /tmp/moved/er/project/a; \
                  mkdir -p /tmp/deep/er/project && echo mine > /tmp/deep/er/project/a; \
                  echo new > /tmp/layer/a; echo end";
    let runtimes = [Backend::Runc(Runtime::named("runc")), Backend::Crun(Runtime::named("crun"))];
    let mut holds = vec![Backend::Native];
    holds.extend(aecl_sandbox::probe(&runtimes).await.into_iter().filter(|f| f.available).map(|f| f.backend));
    for backend in holds {
        let end = ended(script, Cage { backend: backend.clone(), views: views.clone(), ..cage() }).await;
        let said = String::from_utf8_lossy(&end.stdout.bytes).into_owned();
        assert_eq!(said, "oldoldend\n", "{backend}: {}", text(&end));
        assert_eq!(std::fs::read_to_string(dir.path().join("a")).unwrap(), "old");
        let left = end.scratch[1].collect(COLLECT).unwrap();
        let list: Vec<_> = left.changes.iter().map(|c| c.path.as_str()).collect();
        assert_eq!(
            (end.scratch[1].at(), &list[..]),
            (std::path::Path::new("/tmp/layer"), &["a"][..]),
            "{backend}"
        );
    }
}

/// The kernel takes `redirect_dir`, with which a directory of the host's would be renamed, only from root outside of
/// every namespace of users, and a cage is inside of one. This is what is so, and not what is wanted.
#[tokio::test]
async fn a_directory_of_the_host_is_copied_to_be_renamed() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("theirs")).unwrap();
    std::fs::write(dir.path().join("theirs/a"), "a").unwrap();
    let view = View { source: dir.path().into(), at: "/project".into(), access: Access::Overlay };
    let rename = "perl -e 'rename($ARGV[0], $ARGV[1]) or print 0 + $!'";
    let script = format!(
        "cd /project; {rename} theirs other; echo; mkdir ours; {rename} ours new; mv theirs other && cat other/a; ls"
    );
    let end = ended(&script, Cage { views: vec![view], ..cage() }).await;
    assert_eq!(text(&end), format!("{}\nanew\nother\n", rustix::io::Errno::XDEV.raw_os_error()));
}

#[tokio::test]
async fn a_call_sees_no_file_of_the_one_before() {
    let script = "ls -A /scratch /tmp /dev/shm; touch /scratch/a /tmp/b /dev/shm/c";
    let empty = "/dev/shm:\n\n/scratch:\n\n/tmp:\n";
    for _ in 0..2 {
        assert_eq!(text(&ended(script, cage()).await), empty);
    }
}

/// Case 9: what a program leaves to catch whoever collects it.
#[tokio::test]
async fn only_plain_files_are_collected_and_nothing_waits() {
    let script = "mkdir -p sub/dir && echo plain > sub/plain && chmod +x sub/plain && ln -s /etc/passwd link && ln -s \"$(printf 'a\\033b')\" oddlink && \
         mkfifo pipe && echo two > hard && ln hard hard2 && echo s > suid && chmod 4755 suid && \
         truncate -s 12M sparse && : > \"$(printf 'new\\nline')\" && : > \"$(printf 'esc\\033[31m')\" && \
         : > \"$(printf 'not\\377utf8')\"";
    let end = ended(script, cage()).await;
    assert_eq!(end.outcome, Termination::Exited(0), "{}", text(&end));
    let Collected { changes, mut refused } = end.scratch[0].collect(COLLECT).unwrap();
    let taken: Vec<_> = changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(taken, ["link", "sub", "sub/dir", "sub/plain"]);
    assert_eq!(changes[0].kind, ChangeKind::Symlink { target: "/etc/passwd".into() });
    assert_eq!(changes[3].kind, ChangeKind::File { mode: 0o755, bytes: b"plain\n".to_vec() });
    refused.sort_by(|one, other| one.path.cmp(&other.path));
    let refused: Vec<_> = refused.iter().map(|one| format!("{}: {}", one.path, one.why)).collect();
    let odd = "its name has control characters or is no UTF-8";
    let hard = "it is a hard link";
    assert_eq!(
        refused,
        [
            format!("esc\u{fffd}[31m: {odd}"),
            format!("hard: {hard}"),
            format!("hard2: {hard}"),
            format!("new\u{fffd}line: {odd}"),
            format!("not\u{fffd}utf8: {odd}"),
            "oddlink: it is a symbolic link whose target has control characters or is no UTF-8".into(),
            "pipe: it is a named pipe".into(),
            "sparse: it is larger than what is collected of one file".into(),
            "suid: it would run as somebody else (set-user-ID or set-group-ID)".into(),
        ]
    );
    let few = CollectLimits { entries_max: 3, ..COLLECT };
    let Collected { changes, refused } = end.scratch[0].collect(few).unwrap();
    assert!(changes.len() + refused.len() <= 5, "{changes:?} {refused:?}");
}

#[tokio::test]
async fn memory_is_counted_over_all_processes_and_its_lack_is_told() {
    if !is_root() {
        return;
    }
    // No single process is over the limit.
    let script = "for i in 1 2 3 4 5 6 7 8; do sh -c 'x=$(head -c 20000000 /dev/zero | tr \"\\0\" x); sleep 5' & done; wait";
    let end = ended(script, cage()).await;
    assert_eq!(end.outcome, Termination::OutOfMemory, "{}", text(&end));
    // A full disk is no lack of memory.
    let end = ended("head -c 64M /dev/zero | split -b 8M - /tmp/x", cage()).await;
    assert_eq!(end.outcome, Termination::Exited(1), "{}", text(&end));
    assert!(text(&end).contains("No space left"), "{}", text(&end));
}

#[tokio::test]
async fn processor_time_is_shared_as_the_limit_says() {
    if !is_root() {
        return;
    }
    let half = Cage {
        limits: Limits { cpu_max_millicores: Some(500), ..cage().limits },
        clocks: clocks(Duration::from_secs(20)),
        ..cage()
    };
    // Ticks of user and system time of two busy shells within two seconds.
    let script = "(while :; do :; done) & (while :; do :; done) & sleep 2; \
                  cat /proc/[0-9]*/stat | awk '{s += $14 + $15} END {print s}'";
    let end = ended(script, half).await;
    let ticks: u64 = text(&end).trim().parse().unwrap();
    assert!(ticks > 0 && ticks <= 130, "{ticks} ticks of 100 per second");
}

#[tokio::test]
async fn a_flood_is_bounded_on_both_streams_and_unread_input_blocks_nobody() {
    let before = Instant::now();
    for stream in ["", ">&2"] {
        let end = ended(&format!("cat /dev/zero {stream}"), cage()).await;
        assert_eq!(end.outcome, Termination::OutputCap);
        let output = if stream.is_empty() { &end.stdout } else { &end.stderr };
        assert_eq!(output.bytes.len(), 1 << 20);
        assert!(output.is_truncated() && output.written_bytes > 8 << 20);
    }
    let end = ended("head -c 3000000 /dev/zero", cage()).await;
    assert_eq!((end.outcome, end.stdout.written_bytes), (Termination::Exited(0), 3_000_000));
    let mut running = start(shell("exit 3"), cage()).await.unwrap();
    // More than a pipe holds. Nobody reads it, and then nobody is there.
    let _ = running.stdin.take().unwrap().write_all(&vec![0; 1 << 20]).await;
    assert_eq!(running.wait().await.outcome, Termination::Exited(3));
    assert!(before.elapsed() < Duration::from_secs(20), "{:?}", before.elapsed());
}

#[tokio::test]
async fn output_comes_back_to_the_byte() {
    let end = ended("printf 'a\\000\\377\\033[2Jb\\n'", cage()).await;
    assert_eq!(end.stdout.bytes, b"a\0\xff\x1b[2Jb\n");
    assert!(!end.stdout.for_display().contains('\x1b'));
}

#[tokio::test]
async fn a_signal_and_the_32_bit_entry_are_told_apart() {
    assert_eq!(ended("kill -SEGV $$", cage()).await.outcome, Termination::Signalled(11));
    let attacker = env!("CARGO_BIN_EXE_aecl-attacker");
    let copy = tempfile::tempdir().unwrap();
    // Somewhere that an ordinary user may look.
    if fs::copy(attacker, copy.path().join("attacker")).is_err() {
        return;
    }
    let view =
        View { source: copy.path().join("attacker"), at: "/attacker".into(), access: Access::ReadOnly };
    let program = Program { argv: vec!["/attacker".into(), "int80".into()], env: BTreeMap::new(), cwd: None };
    let end = run(program, Cage { views: vec![view], ..cage() }).await.unwrap();
    assert_eq!(end.outcome, Termination::Seccomp);
}

#[tokio::test]
async fn who_accepts_on_the_listener_serves_this_program_and_no_other() {
    let script = "exec 3<>/dev/tcp/127.0.0.1/3128; echo who >&3; cat <&3";
    let bash = |script: &str| Program { argv: vec!["bash".into(), "-c".into(), script.into()], ..shell("") };
    let open = || Cage { network: Network::Listener { port: 3128 }, ..cage() };
    let one = start(bash(script), open()).await.unwrap();
    let mut other = start(bash(script), open()).await.unwrap();
    let serve = |mut listener: Listener, answer: &'static str| {
        tokio::spawn(async move {
            let mut stream = listener.accept().await.unwrap();
            let mut word = [0; 4];
            stream.read_exact(&mut word).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
    };
    let mut one = one;
    let served = [serve(one.listener.take().unwrap(), "one"), serve(other.listener.take().unwrap(), "other")];
    assert_eq!(text(&other.wait().await), "other");
    assert_eq!(text(&one.wait().await), "one");
    for one in served {
        one.await.unwrap();
    }
    // Without one, the port is closed, and nothing else is anywhere.
    let end = run(bash(script), cage()).await.unwrap();
    assert!(text(&end).contains("Connection refused"), "{}", text(&end));
}

#[tokio::test]
async fn a_listener_that_was_closed_leaves_a_closed_port() {
    let script = "for n in 1 2 3 4 5 6 7 8 9; do (exec 3<>/dev/tcp/127.0.0.1/3128) 2>&1; sleep 0.05; done";
    let bash = Program { argv: vec!["bash".into(), "-c".into(), script.into()], ..shell("") };
    let mut one = start(bash, Cage { network: Network::Listener { port: 3128 }, ..cage() }).await.unwrap();
    drop(one.listener.take());
    let end = one.wait().await;
    assert!(text(&end).contains("Connection refused"), "{}", text(&end));
}

#[tokio::test]
async fn thirty_two_cages_start_at_once() {
    let all: Vec<_> = (0..32).map(|n| tokio::spawn(run(shell(&format!("echo {n}")), cage()))).collect();
    for (n, one) in all.into_iter().enumerate() {
        assert_eq!(text(&one.await.unwrap().unwrap()), format!("{n}\n"));
    }
}

#[tokio::test]
async fn views_show_files_that_only_their_owner_may_read() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("private"), "mine").unwrap();
    fs::set_permissions(dir.path().join("private"), fs::Permissions::from_mode(0o600)).unwrap();
    let view = View { source: dir.path().into(), at: "/project".into(), access: Access::ReadOnly };
    let end = ended("cat /project/private", Cage { views: vec![view], ..cage() }).await;
    if end.held.owners_mapped {
        assert_eq!(text(&end), "mine");
    } else {
        assert_eq!(end.outcome, Termination::Exited(1));
    }
}

/// A cage in which nothing works is easy to build.
#[tokio::test]
async fn ordinary_programs_work() {
    let python = "import subprocess, threading, multiprocessing, socket, tempfile\n\
        one, other = socket.socketpair()\n\
        thread = threading.Thread(target=one.send, args=(b'thread',))\n\
        thread.start(); print(other.recv(6).decode()); thread.join()\n\
        print(subprocess.run(['id', '-un'], capture_output=True, text=True).stdout, end='')\n\
        server = socket.create_server(('127.0.0.1', 0))\n\
        socket.create_connection(server.getsockname()); print('own loopback')\n\
        with multiprocessing.Pool(2) as pool: print(pool.map(abs, [-1, -2]))\n";
    let git = "git init -q repo && cd repo && echo a > a && git add a && \
        git -c user.name=a -c user.email=b commit -qm x && git log --format=%s";
    let python = Program { argv: ["python3", "-c", python].map(String::from).to_vec(), ..shell("") };
    let roomy = || {
        let limits = cage().limits;
        Cage {
            limits: Limits { memory_max_bytes: limits.memory_max_bytes.map(|n| 4 * n), ..limits },
            ..cage()
        }
    };
    for (program, expected) in [
        (python, "thread\ncage\nown loopback\n[1, 2]\n"),
        (shell(git), "x\n"),
        (shell("echo a | sort"), "a\n"),
    ] {
        let name = program.argv.join(" ");
        let end = run(program, roomy()).await.unwrap();
        assert_eq!((end.outcome, text(&end).as_str()), (Termination::Exited(0), expected), "{name}");
    }
}
