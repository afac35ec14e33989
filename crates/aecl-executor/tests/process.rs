//! Programs in real cages.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use aecl_executor::connectors::files::FilesConnector;
use aecl_executor::connectors::process::ProcessConnector;
use aecl_executor::{Call, CallResult, Connector, DryRun, Reconciled, fake};
use aecl_kernel::define::connector::ConnectorSpec;
use aecl_kernel::define::connector::files::FilesSpec;
use aecl_kernel::define::connector::process::ProcessSpec;
use aecl_kernel::define::isolation::IsolationTier;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

fn call(spec: &Value, arguments: &Value) -> Call {
    let mut spec = spec.clone();
    // An ordinary user without a cgroup of its own cannot have a limit of memory; that is tested beside the cage.
    spec["limits"] = json!({ "memory_max_mib": null, "output_max_mib": 1, "output_kept_max_kib": 1 });
    let spec: ProcessSpec = serde_json::from_value(spec).unwrap();
    let mut call = fake::call("run", &arguments.to_string());
    call.connector = ConnectorSpec::Process(Box::new(spec));
    call.timeout_ms = 20_000;
    call.tier = Some(IsolationTier::Native);
    call
}

/// Knows what this host can do.
async fn connector() -> ProcessConnector {
    let process = ProcessConnector::default();
    let found = process.find_cages(&[], Some(&["native".to_owned()])).await.unwrap();
    assert!(found.iter().any(|f| f.tier == IsolationTier::Native && f.available), "{found:?}");
    process
}

fn shell() -> Value {
    json!({ "argv": ["sh", "-c", "{line}"] })
}

async fn done(call: &Call) -> Value {
    match connector().await.perform(call).await {
        CallResult::Done { output, .. } => serde_json::from_slice(&output).unwrap(),
        other => panic!("{other:?}"),
    }
}

async fn failed(call: &Call) -> (&'static str, String, Option<Value>) {
    match connector().await.perform(call).await {
        CallResult::Failed { code, message, output, may_have_acted: false } => {
            (code, message, output.map(|output| serde_json::from_slice(&output).unwrap()))
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_program_says_what_it_says_and_the_record_says_where_it_ran() {
    let call = call(&shell(), &json!({ "line": "echo hello; echo oops >&2; printf '\\377'; id -u" }));
    let told = done(&call).await;
    assert_eq!(told["exit_code"], 0);
    assert_eq!(told["stderr"], "oops\n");
    assert_eq!(told["stdout_base64"], "aGVsbG8K/zEwMDAK");
    let cage = call.cage.get().unwrap();
    assert!(cage.starts_with("native: ") && cage.contains("landlock"), "{cage}");
}

#[tokio::test]
async fn nothing_of_the_host_is_there_but_what_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    fs::write(&secret, "canary").unwrap();
    let line = format!("cat {0}; cat /etc/shadow; ls /root /home; env; ls -A /", secret.display());
    let told = done(&call(&shell(), &json!({ "line": line }))).await;
    assert!(!told.to_string().contains("canary"), "{told}");
    assert!(!told["stdout"].as_str().unwrap().contains("root:"), "{told}");
    let shown =
        json!({ "argv": ["cat", "/data/secret"], "views": [{ "source": dir.path(), "at": "/data" }] });
    assert_eq!(done(&call(&shown, &json!({}))).await["stdout"], "canary");
    let written = json!({ "argv": ["sh", "-c", "echo x > /data/new"],
        "views": [{ "source": dir.path(), "at": "/data" }] });
    let (code, _, told) = failed(&call(&written, &json!({}))).await;
    assert_eq!(code, "process_exit");
    assert!(told.unwrap()["stderr"].as_str().unwrap().contains("Read-only"));
}

#[tokio::test]
async fn words_are_words_and_never_options_or_shell() {
    let echo = json!({ "argv": ["printf", "[%s]", "{one}", "{more...}", "x{one}"] });
    let told = done(&call(&echo, &json!({ "one": "a b;id", "more": ["$(id)", "'"] }))).await;
    assert_eq!(told["stdout"], "[a b;id][$(id)]['][xa b;id]");
    for arguments in [
        json!({ "one": "-x", "more": [] }),
        json!({ "one": "a", "more": ["--help"] }),
        json!({ "one": "a\u{0}b", "more": [] }),
        json!({ "one": "a", "more": "b" }),
        json!({ "one": "a", "more": [1] }),
        json!({ "one": "a" }),
        json!({ "one": ["a"], "more": [] }),
    ] {
        let (code, message, _) = failed(&call(&echo, &arguments)).await;
        assert_eq!(code, "process_arguments", "{arguments}: {message}");
    }
    let after = json!({ "argv": ["printf", "--", "[%s]", "{one}"] });
    assert_eq!(done(&call(&after, &json!({ "one": "-x" }))).await["stdout"], "[-x]");
}

#[tokio::test]
async fn input_is_given_and_closed() {
    let cat = json!({ "argv": ["wc", "-c"], "stdin": "{text}" });
    let text = "x".repeat(200_000);
    assert_eq!(done(&call(&cat, &json!({ "text": text }))).await["stdout"], "200000\n");
    let deaf = json!({ "argv": ["true"], "stdin": "{text}" });
    assert_eq!(done(&call(&deaf, &json!({ "text": text }))).await["exit_code"], 0);
    assert_eq!(done(&call(&json!({ "argv": ["cat"] }), &json!({}))).await["stdout"], "");
}

#[tokio::test]
async fn each_end_has_its_name() {
    for (line, code) in [
        ("exit 3", "process_exit"),
        ("kill -9 $$", "process_signal"),
        ("head -c 3000000 /dev/zero", "process_output"),
    ] {
        let (got, message, told) = failed(&call(&shell(), &json!({ "line": line }))).await;
        assert_eq!(got, code, "{message}");
        assert!(told.unwrap()["ended"].is_string());
    }
    let mut late = call(&shell(), &json!({ "line": "echo begun; trap '' TERM; sleep 60 & sleep 60" }));
    late.timeout_ms = 300;
    let start = Instant::now();
    let (code, message, told) = failed(&late).await;
    assert_eq!((code, told.unwrap()["stdout"].as_str()), ("process_timeout", Some("begun\n")));
    assert!(message.contains("deadline of its call"), "{message}");
    assert!(start.elapsed() < Duration::from_secs(10));
    let (code, message, _) = failed(&call(&json!({ "argv": ["no-such-program"] }), &json!({}))).await;
    assert_eq!(code, "process_not_started");
    assert!(message.contains("no-such-program"), "{message}");
    let long = done(&call(&shell(), &json!({ "line": "head -c 5000 /dev/zero | tr '\\0' x" }))).await;
    assert_eq!((long["stdout"].as_str().unwrap().len(), &long["stdout_bytes_written"]), (1024, &json!(5000)));
}

#[tokio::test]
async fn a_call_that_is_cancelled_ends_the_program() {
    let call = call(&shell(), &json!({ "line": "sleep 60" }));
    let (cancel, start) = (call.cancel.clone(), Instant::now());
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        cancel.cancel();
    });
    let (code, _, told) = failed(&call).await;
    assert_eq!((code, told), ("process_cancelled", None));
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(ProcessConnector::default().reconcile(&call).await, Reconciled::NotDone);
}

fn tree(dir: &Path) {
    fs::create_dir_all(dir.join("src/deep")).unwrap();
    for (path, text) in
        [("src/a", "one\n"), ("src/b", "two\n"), ("src/deep/c", "three\n"), ("same", "same\n")]
    {
        fs::write(dir.join(path), text).unwrap();
    }
}

/// What a program does to a working tree comes back as changes; to keep them is an action of its own.
#[tokio::test]
async fn changes_of_a_working_tree_come_back_and_can_be_made() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    let spec = json!({ "argv": ["sh", "-ec", "{line}"], "cwd": "/project",
        "views": [{ "source": dir.path(), "at": "/project", "access": "overlay" }] });
    let line = "echo more >> src/a; rm src/b; rm -r src/deep; echo same > same; mkdir new; echo '#!/bin/sh' > new/run;
        chmod +x new/run; ln -s /etc/passwd link; mkfifo pipe; echo kept > /scratch/result";
    let told = done(&call(&spec, &json!({ "line": line }))).await;
    let changes = &told["changes"]["/project"];
    let paths: Vec<_> = changes.as_array().unwrap().iter().map(|c| c["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["link", "new/run", "src/a", "src/b", "src/deep", "src/deep/c"]);
    assert_eq!(changes[0]["after"], json!({ "link": "/etc/passwd" }));
    assert_eq!(told["special"][0]["path"], "/project/link");
    assert_eq!(told["files"], json!([{ "path": "result", "after": { "text": "kept\n" } }]));
    let refused: Vec<_> =
        told["refused"].as_array().unwrap().iter().map(|r| r["path"].as_str().unwrap()).collect();
    assert_eq!(refused, ["/project/pipe"]);
    assert_eq!(fs::read_to_string(dir.path().join("src/a")).unwrap(), "one\n");
    assert!(!dir.path().join("new").exists());

    let mut apply = fake::call("apply", &json!({ "changes": changes }).to_string());
    apply.connector =
        ConnectorSpec::Files(FilesSpec { root: dir.path().into(), files_max: 9, bytes_max: 999 });
    let CallResult::Done { .. } = FilesConnector.perform(&apply).await else { panic!() };
    assert_eq!(fs::read_to_string(dir.path().join("src/a")).unwrap(), "one\nmore\n");
    assert!(!dir.path().join("src/b").exists() && !dir.path().join("src/deep").exists());
    assert_eq!(fs::read_link(dir.path().join("link")).unwrap(), Path::new("/etc/passwd"));
    let again = done(&call(&spec, &json!({ "line": "./new/run && cat src/a" }))).await;
    assert_eq!((&again["stdout"], &again["changes"]["/project"]), (&json!("one\nmore\n"), &json!([])));
}

/// A directory that is removed and made anew hides what lies below it.
#[tokio::test]
async fn what_lay_in_a_directory_that_was_made_anew_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    let spec = json!({ "argv": ["sh", "-ec", "{line}"], "cwd": "/project",
        "views": [{ "source": dir.path(), "at": "/project", "access": "overlay" }] });
    let line = "rm -r src; mkdir src; echo new > src/a; ls src";
    let told = done(&call(&spec, &json!({ "line": line }))).await;
    let changes = told["changes"]["/project"].as_array().unwrap();
    let paths: Vec<_> =
        changes.iter().map(|c| (c["path"].as_str().unwrap(), c["after"].is_object())).collect();
    assert_eq!(paths, [("src/a", true), ("src/b", false), ("src/deep", false), ("src/deep/c", false)]);
}

fn in_project(dir: &Path, line: &str) -> Call {
    let spec = json!({ "argv": ["sh", "-ec", "{line}"], "cwd": "/project",
        "views": [{ "source": dir, "at": "/project", "access": "overlay" }] });
    call(&spec, &json!({ "line": line }))
}

async fn keep(dir: &Path, changes: &Value) {
    let mut apply = fake::call("apply", &json!({ "changes": changes }).to_string());
    apply.connector = ConnectorSpec::Files(FilesSpec { root: dir.into(), files_max: 99, bytes_max: 9999 });
    let performed = FilesConnector.perform(&apply).await;
    assert!(matches!(performed, CallResult::Done { .. }), "{performed:?}");
}

/// Whatever a tool does to a tree, afterwards the tree is as the tool left it.
#[tokio::test]
async fn modes_links_directories_and_what_became_something_else_are_kept() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    symlink("src/a", dir.path().join("link")).unwrap();
    symlink("src/b", dir.path().join("gone")).unwrap();
    let line = "umask 022; chmod 640 src/a; chmod 700 src/deep; echo key > id; chmod 600 id; mkdir empty; mkdir -m 700 priv;
        echo x > priv/x; rm link; echo file > link; rm gone; rm same; mkdir same; echo in > same/in; rm -r src/deep;
        echo was-dir > src/deep; ln -s src/a new-link; mkdir -p d1/d2; mv src/b d1/d2/b; find . -printf '%p %M %l\\n' | sort";
    let told = done(&in_project(dir.path(), line)).await;
    assert_eq!(told.get("refused"), None, "{told}");
    keep(dir.path(), &told["changes"]["/project"]).await;
    let again = done(&in_project(dir.path(), "find . -printf '%p %M %l\\n' | sort")).await;
    assert_eq!(again["stdout"], told["stdout"]);
    assert_eq!(again["changes"]["/project"], json!([]));
    let mode = |path: &str| fs::metadata(dir.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("id"), mode("src/a"), mode("priv")), (0o600, 0o640, 0o700));
    assert_eq!(fs::read_to_string(dir.path().join("src/deep")).unwrap(), "was-dir\n");
}

/// What a person saves while a program runs is theirs.
#[tokio::test]
async fn what_somebody_else_changed_meanwhile_is_named_and_not_taken() {
    let (dir, sync) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    tree(dir.path());
    fs::set_permissions(sync.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    // A view shows what is in a file; whether a new one appears in it is not promised.
    fs::write(sync.path().join("go"), "").unwrap();
    let mut call = in_project(
        dir.path(),
        "echo x >> src/a; rm src/b; rm -r src/deep; echo y >> same; until [ -s /sync/go ]; do sleep 0.02; done",
    );
    let ConnectorSpec::Process(spec) = &mut call.connector else { panic!() };
    spec.views.push(serde_json::from_value(json!({ "source": sync.path(), "at": "/sync" })).unwrap());
    let cage = call.cage.clone();
    let running = tokio::spawn(async move { done(&call).await });
    let late = Instant::now() + Duration::from_secs(20);
    while cage.get().is_none() {
        assert!(Instant::now() < late && !running.is_finished(), "it did not start");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    fs::write(dir.path().join("src/a"), "the person's\n").unwrap();
    fs::write(dir.path().join("src/b"), "the person's\n").unwrap();
    fs::write(dir.path().join("src/deep/new"), "the person's\n").unwrap();
    fs::write(sync.path().join("go"), "go").unwrap();
    let told = running.await.unwrap();
    let refused: Vec<_> =
        told["refused"].as_array().unwrap().iter().map(|r| r["path"].as_str().unwrap()).collect();
    assert_eq!(refused, ["/project/src/a", "/project/src/b", "/project/src/deep/new"], "{told}");
    assert!(told["refused"][0]["why"].as_str().unwrap().contains("somebody else"), "{told}");
    let paths: Vec<_> = told["changes"]["/project"].as_array().unwrap().iter().map(|c| &c["path"]).collect();
    assert_eq!(paths, ["same", "src/deep/c"]);
}

/// The host's memory, time and pipes are not the program's to spend.
#[tokio::test]
async fn what_is_long_or_no_file_on_the_host_is_named_and_never_read() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    fs::File::create(dir.path().join("big")).unwrap().set_len(3 << 30).unwrap();
    fs::File::create(dir.path().join("huge")).unwrap().set_len(3 << 30).unwrap();
    let fifo = |name: &str| {
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o644));
        rustix::fs::mknodat(rustix::fs::CWD, dir.path().join(name), kind, mode, 0).unwrap();
    };
    fifo("pipe");
    fifo("other");
    let start = Instant::now();
    let line = "rm big; rm huge; : > huge; rm pipe; echo x > pipe; rm other; echo x >> same; : > 'a\\b'";
    let told = done(&in_project(dir.path(), line)).await;
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    let mut refused: Vec<_> = told["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["path"].as_str().unwrap().to_owned(), r["why"].as_str().unwrap().to_owned()))
        .collect();
    refused.sort();
    let names: Vec<_> = refused.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        names,
        ["/project/a\\b", "/project/big", "/project/huge", "/project/other", "/project/pipe"],
        "{told}"
    );
    assert!(refused[1].1.contains("3145728 KiB") && refused[4].1.contains("named pipe"), "{refused:?}");
    assert_eq!(told["changes"]["/project"][0]["path"], "same");
}

/// A view is the directory that was there when the program began, whatever takes its name.
#[tokio::test]
async fn nothing_is_said_of_a_view_whose_directory_was_swapped() {
    let (top, sync) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = top.path().canonicalize().unwrap().join("root");
    fs::create_dir(&root).unwrap();
    tree(&root);
    fs::set_permissions(sync.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    // A view shows what is in a file; whether a new one appears in it is not promised.
    fs::write(sync.path().join("go"), "").unwrap();
    let mut call = in_project(&root, "echo x >> src/a; until [ -s /sync/go ]; do sleep 0.02; done");
    let ConnectorSpec::Process(spec) = &mut call.connector else { panic!() };
    spec.views.push(serde_json::from_value(json!({ "source": sync.path(), "at": "/sync" })).unwrap());
    let cage = call.cage.clone();
    let running = tokio::spawn(async move { done(&call).await });
    let late = Instant::now() + Duration::from_secs(20);
    while cage.get().is_none() {
        assert!(Instant::now() < late && !running.is_finished(), "it did not start");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    fs::rename(&root, top.path().join("away")).unwrap();
    std::os::unix::fs::symlink("/etc", &root).unwrap();
    fs::write(sync.path().join("go"), "go").unwrap();
    let told = running.await.unwrap();
    assert_eq!(told["changes"]["/project"], json!([]), "{told}");
    assert!(told["refused"][0]["why"].as_str().unwrap().contains("replaced or moved"), "{told}");
}

#[tokio::test]
async fn a_dry_run_shows_the_words_and_starts_nothing() {
    let call = call(&shell(), &json!({ "line": "echo x" }));
    let DryRun::Would { output, rows: None } = ProcessConnector::default().dry_run(&call).await else {
        panic!()
    };
    let would: Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(would["argv"], json!(["sh", "-c", "echo x"]));
    assert!(call.cage.get().is_none());
}

#[tokio::test]
async fn a_limit_that_nothing_enforces_is_a_refusal() {
    let mut call = call(&shell(), &json!({ "line": "true" }));
    let ConnectorSpec::Process(spec) = &mut call.connector else { panic!() };
    spec.limits.memory_max_mib = Some(512);
    let enforced = aecl_sandbox::probe(&[aecl_sandbox::Backend::Native]).await[0].enforced.memory;
    match connector().await.perform(&call).await {
        CallResult::Done { .. } => assert!(enforced),
        CallResult::Failed { code, message, .. } => {
            assert!(!enforced, "{message}");
            assert_eq!(code, "sandbox_unenforceable");
            assert!(message.contains("memory"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

/// There is no weaker way out: not for a stronger tier, not before anybody has looked, not without a permit that
/// says how strongly.
#[tokio::test]
async fn nothing_runs_in_less_than_the_permit_asks_for() {
    let dir = tempfile::tempdir().unwrap();
    let spec = json!({ "argv": ["sh", "-c", "echo ran"],
        "views": [{ "source": dir.path(), "at": "/data" }] });
    let is_here = |tier: IsolationTier, found: &[aecl_kernel::define::isolation::BackendReport]| {
        found.iter().any(|f| f.available && f.tier >= tier)
    };
    let found = connector().await.find_cages(&[], Some(&["native".to_owned()])).await.unwrap();
    for tier in IsolationTier::ALL {
        let mut call = call(&spec, &json!({}));
        call.tier = Some(tier);
        match connector().await.perform(&call).await {
            CallResult::Done { .. } => assert!(is_here(tier, &found), "{tier}"),
            CallResult::Failed { code, .. } => {
                assert!(!is_here(tier, &found), "{tier}");
                assert_eq!((code, call.cage.get()), ("sandbox_unavailable", None));
            }
            other => panic!("{other:?}"),
        }
    }
    let mut call = call(&spec, &json!({}));
    for process in [ProcessConnector::default(), {
        let none = ProcessConnector::default();
        assert_eq!(none.find_cages(&[], Some(&[])).await.unwrap(), []);
        none
    }] {
        let CallResult::Failed { code: "sandbox_unavailable", .. } = process.perform(&call).await else {
            panic!()
        };
    }
    call.tier = None;
    let (code, message, _) = failed(&call).await;
    assert_eq!(code, "sandbox_unavailable", "{message}");
    let error = connector().await.find_cages(&[], Some(&["nativ".to_owned()])).await.unwrap_err();
    assert!(error.contains("`nativ`") && error.contains("`native`"), "{error}");
}

/// Each of the three clocks ends a real program, and the outcome says which.
#[tokio::test]
async fn each_of_the_three_clocks_has_an_outcome_of_its_own() {
    for (timeout_ms, task_left_ms, lifetime_max_s, expected) in [
        (300, Some(60_000), 60, "process_timeout"),
        (60_000, Some(300), 60, "process_timeout_task"),
        (60_000, Some(60_000), 1, "process_timeout_lifetime"),
        (300, None, 60, "process_timeout"),
    ] {
        let mut call = call(&shell(), &json!({ "line": "echo started; sleep 60" }));
        let ConnectorSpec::Process(spec) = &mut call.connector else { panic!() };
        spec.limits.lifetime_max_s = lifetime_max_s;
        (call.timeout_ms, call.task_left_ms) = (timeout_ms, task_left_ms);
        let start = Instant::now();
        let (code, message, told) = failed(&call).await;
        assert_eq!(code, expected, "{message}");
        assert_eq!(told.unwrap()["stdout"], "started\n", "what it said before is there");
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}

/// The record says when the operator has accepted less.
#[tokio::test]
async fn a_lowered_tier_stands_with_the_cage_on_record() {
    let mut call = call(&shell(), &json!({ "line": "true" }));
    call.instead_of = Some(IsolationTier::Microvm);
    done(&call).await;
    let cage = call.cage.get().unwrap();
    assert!(
        cage.starts_with("native: ")
            && cage.ends_with("; `microvm` was asked for, and the operator accepts less"),
        "{cage}"
    );
}

/// What was pinned is what runs: a module that cannot be that is refused before anything starts.
#[tokio::test]
async fn a_module_that_is_another_file_does_not_run() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tool.wasm");
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let spec =
        json!({ "argv": ["tool", "{word}"], "wasm": { "module": { "path": path, "sha256": sha256 } } });
    let call = call(&spec, &json!({ "word": "x" }));
    let (code, message, _) = failed(&call).await;
    assert!(code == "wasm_unreadable" && message.contains("tool.wasm"), "{code} {message}");
    fs::write(&path, "abd").unwrap();
    let (code, message, _) = failed(&call).await;
    assert!(code == "wasm_changed" && message.contains("pin the new one"), "{code} {message}");
    assert_eq!(call.cage.get(), None, "nothing was started");
    let DryRun::Would { output, .. } = connector().await.dry_run(&call).await else { panic!() };
    let would: Value = serde_json::from_slice(&output).unwrap();
    assert_eq!((&would["argv"], &would["wasm"]["module"]["sha256"]), (&json!(["tool", "x"]), &json!(sha256)));
}

#[tokio::test]
async fn an_output_that_is_declared_json_is_json_and_keeps_its_numbers() {
    let mut spec = shell();
    spec["stdout"] = json!("json");
    let call = |line: &str| call(&spec, &json!({ "line": line }));
    let answer = connector().await.perform(&call(r#"echo '{"n": 1234567890123456789012}'"#)).await;
    let CallResult::Done { output, .. } = answer else { panic!("{answer:?}") };
    let told = String::from_utf8(output).unwrap();
    assert!(told.starts_with(r#"{"json":{"n": 1234567890123456789012},"ended":"exited with 0""#), "{told}");
    for line in ["echo hello", "true", "echo 1 2", r#"printf '["%02000d"]' 1"#] {
        let (code, message, told) = failed(&call(line)).await;
        assert_eq!((code, &told.unwrap()["exit_code"]), ("process_json", &json!(0)), "{line}: {message}");
    }
    let (code, ..) = failed(&call("echo {}; exit 3")).await;
    assert_eq!(code, "process_exit");
}

/// An image by the tools that people use, of one static program.
fn layout(dir: &Path) -> Option<String> {
    let at = dir.join("layout");
    let image = format!("{}:tools", at.display());
    let umoci = |args: &[&str]| {
        let ran = std::process::Command::new("umoci").args(args).env("HOME", dir).output().ok()?;
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        Some(())
    };
    umoci(&["init", "--layout", &at.display().to_string()])?;
    umoci(&["new", "--image", &image])?;
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists())?;
    umoci(&["insert", "--rootless", "--image", &image, busybox, "/busybox"])?;
    umoci(&["config", "--image", &image, "--config.entrypoint", "/busybox", "--config.cmd", "pwd"])?;
    umoci(&["config", "--image", &image, "--config.env", "OF_THE_IMAGE=yes"])?;
    let index: Value = serde_json::from_slice(&fs::read(at.join("index.json")).unwrap()).unwrap();
    Some(index["manifests"][0]["digest"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_program_of_an_image_runs_and_the_record_names_the_digest() {
    let dir = tempfile::tempdir().unwrap();
    let Some(digest) = layout(dir.path()) else {
        println!("`umoci` or `busybox` is not installed: `apt-get install umoci busybox-static`");
        return;
    };
    let at = dir.path().join("layout");
    let with = |argv: Value, image: Value| call(&json!({ "argv": argv, "image": image }), &json!({}));
    let image = || json!({ "layout": at, "digest": digest });
    let process = connector().await.with_images(&dir.path().join("images"));
    let perform = async |call: &Call| match process.perform(call).await {
        CallResult::Done { output, .. } => Ok(serde_json::from_slice::<Value>(&output).unwrap()),
        CallResult::Failed { code, message, may_have_acted: false, .. } => Err((code, message)),
        other => panic!("{other:?}"),
    };
    let one = with(json!(["/busybox", "sh", "-c", "/busybox env; /busybox ls /"]), image());
    let told = perform(&one).await.unwrap();
    let said = told["stdout"].as_str().unwrap();
    assert!(
        said.contains("OF_THE_IMAGE=yes") && said.ends_with("busybox\ndev\netc\nproc\nscratch\ntmp\n"),
        "{said}"
    );
    assert!(one.cage.get().unwrap().ends_with(&format!(", image {digest}")), "{:?}", one.cage.get());
    // What the image says is run, where the entry says nothing.
    assert_eq!(perform(&with(json!([]), image())).await.unwrap()["stdout"], "/scratch\n");
    let of_the_host = perform(&with(json!(["ls"]), image())).await.unwrap_err();
    assert_eq!(of_the_host.0, "process_not_started");

    let other = format!("sha256:{}", "0".repeat(64));
    let (code, message) =
        perform(&with(json!(["/busybox"]), json!({ "layout": at, "digest": other }))).await.unwrap_err();
    assert_eq!(code, "process_image");
    assert!(message.contains(&format!("it offers `{digest}` (tools)")), "{message}");
    for (image, expected) in [
        (
            json!({ "layout": at }),
            format!("`image` has no `digest`; `{}` offers `{digest}` (tools)", at.display()),
        ),
        (json!({ "layout": at, "digest": "latest" }), "`latest` is no digest".into()),
        (json!({ "layout": "images", "digest": digest }), "say an absolute path".into()),
        (json!({ "layout": dir.path() }), "is no OCI image layout".into()),
    ] {
        let connector = json!({ "kind": "process", "argv": ["/busybox"], "image": image });
        let spec = ConnectorSpec::read(&connector).unwrap().unwrap();
        let why = aecl_executor::Executor::check(&spec).unwrap_err();
        assert!(why.contains(&expected), "{why}");
    }
    let nowhere = connector().await;
    let CallResult::Failed { code, .. } = nowhere.perform(&one).await else { panic!() };
    assert_eq!(code, "process_image");
}

#[tokio::test]
async fn a_call_that_waits_for_its_image_ends_in_time_and_the_next_one_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let Some(digest) = layout(dir.path()) else { return };
    let image = json!({ "layout": dir.path().join("layout"), "digest": digest });
    let mut one = call(&json!({ "argv": ["/busybox", "pwd"], "image": image }), &json!({}));
    let images = dir.path().join("images");
    let process = connector().await.with_images(&images);
    // Somebody else is unpacking.
    fs::create_dir(&images).unwrap();
    fs::set_permissions(&images, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let lock = fs::File::create(images.join("lock")).unwrap();
    lock.lock().unwrap();
    one.timeout_ms = 300;
    let before = Instant::now();
    match process.perform(&one).await {
        CallResult::Failed { code: "process_image", message, may_have_acted: false, .. } => {
            assert!(
                message.contains("still being unpacked") && message.contains("aecl image unpack"),
                "{message}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert!(before.elapsed() < Duration::from_secs(5));
    lock.unlock().unwrap();
    one.timeout_ms = 20_000;
    assert!(matches!(process.perform(&one).await, CallResult::Done { .. }));
}
