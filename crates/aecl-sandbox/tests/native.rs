//! The tier `native` by its promises: how programs end, what limits do, what is left behind.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aecl_sandbox::{
    Access, Cage, ChangeKind, Clocks, CollectLimits, Ended, HostUser, Level, Limits, Network, Outcome,
    Program, SandboxError, Tier, View, run, start,
};
use tokio::io::AsyncWriteExt;

const COLLECT: CollectLimits =
    CollectLimits { file_max_bytes: 1 << 20, total_max_bytes: 8 << 20, entries_max: 1000 };

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn cage() -> Cage {
    Cage {
        tier: Tier::Native,
        views: vec![],
        network: Network::None,
        limits: Limits {
            memory_max_bytes: is_root().then_some(128 << 20),
            cpu_max_millicores: None,
            processes_max: 64,
            scratch_max_bytes: 32 << 20,
            scratch_files_max: 1000,
            file_max_bytes: 16 << 20,
            open_files_max: 128,
            output_kept_max_bytes: 1 << 20,
            output_max_bytes: 8 << 20,
        },
        clocks: clocks(Duration::from_secs(20)),
    }
}

fn clocks(call: Duration) -> Clocks {
    Clocks { call, task_left: Duration::from_secs(1200), lifetime_left: Duration::from_secs(3600) }
}

fn shell(script: &str) -> Program {
    let argv = ["sh", "-c", script].map(String::from).to_vec();
    Program { argv, env: BTreeMap::new(), cwd: None }
}

async fn ended(script: &str, cage: Cage) -> Ended {
    run(shell(script), cage).await.unwrap()
}

fn text(ended: &Ended) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&ended.stdout.bytes),
        String::from_utf8_lossy(&ended.stderr.bytes)
    )
}

#[tokio::test]
async fn a_program_runs_as_nobody_of_the_host_in_a_place_of_its_own() {
    let script = "id -u; pwd; hostname; grep -E '^(Cap|NoNew|Seccomp:)' /proc/self/status | tr '\\t\\n' '  '";
    let end = ended(script, cage()).await;
    let none = "0000000000000000";
    let caps: String = ["Inh", "Prm", "Eff", "Bnd", "Amb"].map(|c| format!("Cap{c}: {none} ")).concat();
    assert_eq!(text(&end), format!("1000\n/scratch\ncage\n{caps}NoNewPrivs: 1 Seccomp: 2 "));
    assert_eq!(end.outcome, Outcome::Exited(0));
    match end.held.user {
        HostUser::Separate { uid } => assert!(is_root() && uid > 1000, "{uid}"),
        HostUser::Ours => assert!(!is_root()),
    }
}

#[tokio::test]
async fn each_end_has_its_own_name() {
    assert_eq!(ended("exit 7", cage()).await.outcome, Outcome::Exited(7));
    assert_eq!(ended("kill -TERM $$", cage()).await.outcome, Outcome::Signalled(15));
    let one = Cage { clocks: clocks(Duration::from_millis(300)), ..cage() };
    let before = Instant::now();
    assert_eq!(ended("sleep 60", one).await.outcome, Outcome::TimedOut(Level::Call));
    assert!(before.elapsed() < Duration::from_secs(3), "{:?}", before.elapsed());
    assert_eq!(ended("cat /dev/zero", cage()).await.outcome, Outcome::OutputCap);
    if is_root() {
        let hungry = "x=x; while :; do x=$x$x; done";
        let end = ended(hungry, cage()).await;
        assert_eq!(end.outcome, Outcome::OutOfMemory, "{}", text(&end));
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
    assert_eq!(ended.outcome, Outcome::Killed);
}

#[tokio::test]
async fn a_view_is_seen_and_an_overlay_keeps_what_was_written_apart() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a"), "old").unwrap();
    std::fs::write(dir.path().join("b"), "gone").unwrap();
    for (access, expected) in [(Access::ReadOnly, Outcome::Exited(2)), (Access::Overlay, Outcome::Exited(0))]
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
