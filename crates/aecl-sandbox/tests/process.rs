//! What the tier `process` really does, tried on real programs.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::time::Duration;

use aecl_sandbox::{Contained, Program, SandboxError, Supervised, spawn};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

const LEASH: Supervised = Supervised { core_max_bytes: 0, open_files_max: None };

async fn shell(script: &str, env: &[(&str, &str)]) -> Contained {
    let env: BTreeMap<String, String> = env.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    let argv = ["/bin/sh", "-c", script].map(String::from).to_vec();
    spawn(Program { argv, env, cwd: None }, LEASH).await.unwrap()
}

async fn all(mut contained: Contained) -> String {
    let mut text = String::new();
    contained.stdout.take().unwrap().read_to_string(&mut text).await.unwrap();
    contained.wait().await.unwrap();
    text
}

#[tokio::test]
async fn environment_is_scrubbed() {
    // Cargo sets CARGO_MANIFEST_DIR for tests: a variable of ours which must not arrive.
    assert!(std::env::var("CARGO_MANIFEST_DIR").is_ok());
    let text = all(shell("env", &[("GIVEN", "yes")]).await).await;
    assert!(text.contains("GIVEN=yes"));
    assert!(text.contains("PATH="));
    assert!(!text.contains("CARGO"), "{text}");
}

#[tokio::test]
async fn core_dumps_are_off_and_the_group_is_its_own() {
    let text = all(shell("ulimit -c; echo $$; ps -o pgid= -p $$ 2>/dev/null || echo $$", &[]).await).await;
    let lines: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(lines[0], "0");
    assert_eq!(lines[1], lines[2]);
}

#[tokio::test]
async fn dropping_kills_grandchildren_too() {
    let mut contained = shell("sleep 1000 & echo $!; wait", &[]).await;
    let mut line = String::new();
    BufReader::new(contained.stdout.take().unwrap()).read_line(&mut line).await.unwrap();
    let proc = format!("/proc/{}/stat", line.trim());
    let alive = || std::fs::read_to_string(&proc).is_ok_and(|s| !s.contains(") Z "));
    assert!(alive());
    drop(contained);
    for _ in 0..100 {
        if !alive() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the grandchild outlived its cage");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_outlives_the_thread_that_asked_for_it() {
    let runtime = tokio::runtime::Handle::current();
    let asking = std::thread::spawn(move || runtime.block_on(shell("read line; echo got $line", &[])));
    let mut contained = tokio::task::spawn_blocking(|| asking.join().unwrap()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    contained.stdin.take().unwrap().write_all(b"it\n").await.unwrap();
    assert_eq!(all(contained).await, "got it\n");
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let program = Program { argv: vec!["/no/such/program".into()], env: BTreeMap::new(), cwd: None };
    let error = spawn(program, LEASH).await.unwrap_err();
    assert!(matches!(error, SandboxError::NotStarted { .. }));
    assert!(error.to_string().contains("`/no/such/program` did not start"));
}

#[test]
fn debug_shows_names_of_variables_only() {
    let env = BTreeMap::from([("API_KEY".to_owned(), "hunter2".to_owned())]);
    let text = format!("{:?}", Program { argv: vec!["x".into()], env, cwd: None });
    assert!(text.contains("API_KEY") && !text.contains("hunter2"));
}

/// Not a test of its own: the parent of the next one, run as a process that can be killed.
#[tokio::test]
async fn parent_of_a_sleeper() {
    if std::env::var_os("AECL_TEST_PARENT").is_some() {
        let contained = shell("exec sleep 1000", &[]).await;
        println!("sleeper {}", contained.id().unwrap());
        std::future::pending::<()>().await;
    }
}

#[tokio::test]
async fn a_program_dies_with_us_even_when_we_are_killed() {
    let mut parent = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "parent_of_a_sleeper", "--nocapture"])
        .env("AECL_TEST_PARENT", "1")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let id = loop {
        let line = lines.next_line().await.unwrap().unwrap();
        if let Some((_, id)) = line.split_once("sleeper ") {
            break id.to_owned();
        }
    };
    let proc = format!("/proc/{id}/stat");
    let alive = || std::fs::read_to_string(&proc).is_ok_and(|s| !s.contains(") Z "));
    assert!(alive());
    parent.kill().await.unwrap();
    for _ in 0..100 {
        if !alive() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the program outlived us");
}
