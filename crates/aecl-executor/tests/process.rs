//! Programs in real cages.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use aecl_executor::connectors::files::{FilesConnector, FilesSpec};
use aecl_executor::connectors::process::{ProcessConnector, ProcessSpec};
use aecl_executor::{Call, Connector, ConnectorSpec, DryRun, Effect, Performed, Reconciled, fake};
use aecl_kernel::cage::Tier;
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
    call.tier = Some(Tier::Native);
    call
}

/// Knows what this host can do.
async fn connector() -> ProcessConnector {
    let process = ProcessConnector::default();
    let found = process.find_cages(&[], Some(&["native".to_owned()])).await.unwrap();
    assert!(found.iter().any(|f| f.tier == Tier::Native && f.available), "{found:?}");
    process
}

fn shell() -> Value {
    json!({ "argv": ["sh", "-c", "{line}"] })
}

async fn done(call: &Call) -> Value {
    match connector().await.perform(call).await {
        Performed::Done { output, .. } => serde_json::from_slice(&output).unwrap(),
        other => panic!("{other:?}"),
    }
}

async fn failed(call: &Call) -> (&'static str, String, Option<Value>) {
    match connector().await.perform(call).await {
        Performed::Failed { code, message, output, effect: Effect::None } => {
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
    assert_eq!(paths, ["new/run", "src/a", "src/b", "src/deep/c"]);
    assert_eq!(told["files"], json!([{ "path": "result", "after": { "text": "kept\n" } }]));
    let refused: Vec<_> =
        told["refused"].as_array().unwrap().iter().map(|r| r["path"].as_str().unwrap()).collect();
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert_eq!(fs::read_to_string(dir.path().join("src/a")).unwrap(), "one\n");
    assert!(!dir.path().join("new").exists());

    let mut apply = fake::call("apply", &json!({ "changes": changes }).to_string());
    apply.connector =
        ConnectorSpec::Files(FilesSpec { root: dir.path().into(), files_max: 9, bytes_max: 999 });
    let Performed::Done { .. } = FilesConnector.perform(&apply).await else { panic!() };
    assert_eq!(fs::read_to_string(dir.path().join("src/a")).unwrap(), "one\nmore\n");
    assert!(!dir.path().join("src/b").exists() && !dir.path().join("src/deep/c").exists());
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
    assert_eq!(paths, [("src/a", true), ("src/b", false), ("src/deep/c", false)]);
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
        Performed::Done { .. } => assert!(enforced),
        Performed::Failed { code, message, .. } => {
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
    let is_here =
        |tier: Tier, found: &[aecl_kernel::cage::Found]| found.iter().any(|f| f.available && f.tier >= tier);
    let found = connector().await.find_cages(&[], Some(&["native".to_owned()])).await.unwrap();
    for tier in Tier::ALL {
        let mut call = call(&spec, &json!({}));
        call.tier = Some(tier);
        match connector().await.perform(&call).await {
            Performed::Done { .. } => assert!(is_here(tier, &found), "{tier}"),
            Performed::Failed { code, .. } => {
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
        let Performed::Failed { code: "sandbox_unavailable", .. } = process.perform(&call).await else {
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
    call.instead_of = Some(Tier::Microvm);
    done(&call).await;
    let cage = call.cage.get().unwrap();
    assert!(
        cage.starts_with("native: ")
            && cage.ends_with("; `microvm` was asked for, and the operator accepts less"),
        "{cage}"
    );
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
        Performed::Done { output, .. } => Ok(serde_json::from_slice::<Value>(&output).unwrap()),
        Performed::Failed { code, message, effect: Effect::None, .. } => Err((code, message)),
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
        let why = aecl_executor::Executor::check(&connector).unwrap_err();
        assert!(why.contains(&expected), "{why}");
    }
    let nowhere = connector().await;
    let Performed::Failed { code, .. } = nowhere.perform(&one).await else { panic!() };
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
        Performed::Failed { code: "process_image", message, effect: Effect::None, .. } => {
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
    assert!(matches!(process.perform(&one).await, Performed::Done { .. }));
}
