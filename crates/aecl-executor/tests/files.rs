//! Changes of files in a real directory.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use aecl_executor::connectors::files::FilesConnector;
use aecl_executor::{Call, CallResult, Connector, DryRun, Reconciled, fake};
use aecl_kernel::base::digest::Digest;
use aecl_kernel::define::connector::ConnectorSpec;
use aecl_kernel::define::connector::files::FilesSpec;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

struct World {
    dir: tempfile::TempDir,
}

fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("src")).unwrap();
    fs::write(dir.path().join("src/main.rs"), "fn main() {}\n").unwrap();
    fs::write(dir.path().join("run.sh"), "echo\n").unwrap();
    fs::set_permissions(dir.path().join("run.sh"), fs::Permissions::from_mode(0o750)).unwrap();
    fs::write(dir.path().join("old"), [0xff, 0]).unwrap();
    World { dir }
}

impl World {
    fn call(&self, changes: &Value) -> Call {
        let mut call = fake::call("apply", &json!({ "changes": changes }).to_string());
        let root = self.dir.path().to_owned();
        call.connector = ConnectorSpec::Files(FilesSpec { root, files_max: 4, bytes_max: 100 });
        call
    }

    fn all(&self) -> BTreeMap<String, (Vec<u8>, u32)> {
        fn add(dir: &Path, root: &Path, out: &mut BTreeMap<String, (Vec<u8>, u32)>) {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                let meta = fs::symlink_metadata(&path).unwrap();
                if meta.is_dir() {
                    out.insert(name, (Vec::new(), 0));
                    add(&path, root, out);
                } else if meta.is_symlink() {
                    out.insert(
                        name,
                        (fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes(), 0),
                    );
                } else {
                    out.insert(name, (fs::read(&path).unwrap(), meta.permissions().mode() & 0o777));
                }
            }
        }
        let mut out = BTreeMap::new();
        add(self.dir.path(), self.dir.path(), &mut out);
        out
    }

    fn digest(&self, path: &str) -> Digest {
        Digest::of(&fs::read(self.dir.path().join(path)).unwrap())
    }

    async fn refused(&self, changes: &Value) -> String {
        let before = self.all();
        let call = self.call(changes);
        let CallResult::Failed { code, message, may_have_acted: false, .. } =
            FilesConnector.perform(&call).await
        else {
            panic!("it was not refused: {changes}");
        };
        assert_eq!(self.all(), before);
        assert!(matches!(FilesConnector.dry_run(&call).await, DryRun::Failed { .. }));
        format!("{code}: {message}")
    }
}

async fn done(call: &Call) -> Value {
    match FilesConnector.perform(call).await {
        CallResult::Done { output, .. } => serde_json::from_slice(&output).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn changes(world: &World) -> Value {
    json!([
        { "path": "src/main.rs", "before": world.digest("src/main.rs"), "after": { "text": "fn main() { run() }\n" } },
        { "path": "a/b/new", "after": { "base64": "/w==" , "executable": true } },
        { "path": "old", "before": world.digest("old") },
        { "path": "run.sh", "before": world.digest("run.sh"), "after": { "text": "echo 2\n" } },
    ])
}

#[tokio::test]
async fn changes_are_shown_then_made_then_taken_back() {
    let world = world();
    let before = world.all();
    let call = world.call(&changes(&world));
    assert_eq!(FilesConnector.reconcile(&call).await, Reconciled::NotDone);
    let DryRun::Would { output, rows } = FilesConnector.dry_run(&call).await else { panic!() };
    let would: Value = serde_json::from_slice(&output).unwrap();
    assert_eq!((rows, world.all()), (Some(4), before.clone()));
    let diff = would["files"][0]["diff"].as_str().unwrap();
    assert!(diff.contains("-fn main() {}\n+fn main() { run() }\n"), "{diff}");
    assert_eq!(would["files"][1]["diff"], "binary, 0 bytes before and 1 bytes after\nit can be run\n");
    assert_eq!(would["files"][2]["what"], "deleted");

    let output = done(&call).await;
    let after = world.all();
    assert_eq!(after["src/main.rs"].0, b"fn main() { run() }\n");
    assert_eq!(after["a/b/new"], (vec![0xff], 0o755));
    assert_eq!(after["run.sh"], (b"echo 2\n".to_vec(), 0o750));
    assert!(!after.contains_key("old"));
    assert!(after.keys().all(|name| !name.contains(".aecl")), "{after:?}");
    assert!(matches!(FilesConnector.reconcile(&call).await, Reconciled::Done { .. }));

    done(&world.call(&output["undo"])).await;
    let mut restored = world.all();
    // Directories that were made stay.
    restored.retain(|name, _| !name.starts_with('a'));
    let mode = |files: &BTreeMap<String, (Vec<u8>, u32)>| files["run.sh"].1;
    assert_eq!((&restored, mode(&restored)), (&before, 0o750));
}

#[tokio::test]
async fn what_somebody_else_has_changed_is_not_written_over() {
    let world = world();
    let all = changes(&world);
    fs::write(world.dir.path().join("old"), "somebody's").unwrap();
    let why = world.refused(&all).await;
    assert!(why.starts_with("files_changed") && why.contains("`old`"), "{why}");
    let why = world.refused(&json!([{ "path": "old", "after": { "text": "mine" } }])).await;
    assert!(why.contains("is there"), "{why}");
    let gone = json!([{ "path": "no", "before": Digest::of(b"x"), "after": { "text": "mine" } }]);
    assert!(world.refused(&gone).await.contains("nothing is there"));
}

#[tokio::test]
async fn nothing_outside_of_the_directory_is_read_or_written() {
    let world = world();
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    let at = |name: &str| world.dir.path().join(name);
    symlink(outside.path(), at("way")).unwrap();
    symlink(&secret, at("link")).unwrap();
    symlink("run.sh", at("inner")).unwrap();
    fs::create_dir(at("hooks")).unwrap();
    symlink("hooks", at("assets")).unwrap();
    for path in
        ["way/secret", "way/new", "link", "inner", "src", "../x", "/etc/passwd", "assets/new", "assets/d/new"]
    {
        let digest = Digest::of(b"secret");
        for before in [json!(null), json!(digest)] {
            let why =
                world.refused(&json!([{ "path": path, "before": before, "after": { "text": "x" } }])).await;
            assert!(!why.contains(&digest.to_string()) || before != json!(null), "{why}");
        }
    }
    let why = world.refused(&json!([{ "path": "assets/pre-commit", "after": { "text": "x" } }])).await;
    assert!(why.starts_with("files_kind") && why.contains("`assets` is a symbolic link"), "{why}");
    assert_eq!(fs::read_dir(at("hooks")).unwrap().count(), 0);
    assert_eq!(fs::read(&secret).unwrap(), b"secret");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn limits_are_kept() {
    let world = world();
    let many: Vec<_> = (0..5).map(|n| json!({ "path": format!("f{n}"), "after": { "text": "" } })).collect();
    assert!(world.refused(&json!(many)).await.contains("more than the 4 allowed"));
    let long = "x".repeat(101);
    assert!(world.refused(&json!([{ "path": "f", "after": { "text": long } }])).await.contains("100 bytes"));
    fs::write(world.dir.path().join("long"), &long).unwrap();
    let why = world.refused(&json!([{ "path": "long", "before": Digest::of(long.as_bytes()) }])).await;
    assert!(why.starts_with("files_too_long"), "{why}");
}

#[tokio::test]
async fn what_is_replaced_is_limited_as_a_whole() {
    let world = world();
    for name in ["x", "y"] {
        fs::write(world.dir.path().join(name), "x".repeat(60)).unwrap();
    }
    let gone = |name: &str| json!({ "path": name, "before": world.digest(name) });
    let call = world.call(&json!([gone("x"), gone("y")]));
    let before = world.all();
    let CallResult::Failed { code, message, .. } = FilesConnector.perform(&call).await else { panic!() };
    assert_eq!((code, world.all()), ("files_too_long", before));
    assert!(message.contains("100 bytes"), "{message}");
}

#[tokio::test]
async fn a_pipe_or_a_device_is_named_and_nothing_waits() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let world = world();
    mknodat(CWD, world.dir.path().join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    // Only root makes devices.
    let zero = rustix::fs::makedev(1, 5);
    let device = mknodat(CWD, world.dir.path().join("zero"), FileType::CharacterDevice, Mode::RUSR, zero);
    let start = std::time::Instant::now();
    for path in ["pipe", "zero"].into_iter().take(1 + usize::from(device.is_ok())) {
        for before in [json!(null), json!(Digest::of(b""))] {
            let call = world.call(&json!([{ "path": path, "before": before, "after": { "text": "x" } }]));
            let CallResult::Failed { code, message, .. } = FilesConnector.perform(&call).await else {
                panic!()
            };
            assert!(code == "files_kind" && message.contains(path), "{code}: {message}");
            assert!(matches!(FilesConnector.reconcile(&call).await, Reconciled::StillUnknown { .. }));
        }
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(5));
}

#[tokio::test]
async fn links_directories_and_permissions_are_changed_and_taken_back() {
    let world = world();
    let at = |name: &str| world.dir.path().join(name);
    symlink("run.sh", at("link")).unwrap();
    fs::create_dir(at("dir")).unwrap();
    let before = world.all();
    let changes = json!([
        { "path": "link", "before": Digest::of(b"run.sh"), "was": "link", "after": { "link": "old" } },
        { "path": "dir", "was": "directory", "after": { "text": "now a file\n", "mode": "0600" } },
        { "path": "old", "before": world.digest("old"), "after": { "directory": true, "mode": "0700" } },
        { "path": "run.sh", "before": world.digest("run.sh"), "after": { "text": "echo\n", "mode": "0700" } },
    ]);
    let DryRun::Would { output, .. } = FilesConnector.dry_run(&world.call(&changes)).await else { panic!() };
    let would: Value = serde_json::from_slice(&output).unwrap();
    assert!(would["files"][0]["diff"].as_str().unwrap().contains("+(a symbolic link to old)"), "{would}");
    assert!(would["files"][3]["diff"].as_str().unwrap().contains("0700, from 0750"), "{would}");
    let output = done(&world.call(&changes)).await;
    let mode = |name: &str| fs::symlink_metadata(at(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(fs::read_link(at("link")).unwrap(), Path::new("old"));
    assert_eq!((mode("dir"), mode("old"), mode("run.sh")), (0o600, 0o700, 0o700));
    assert!(at("old").is_dir() && at("dir").is_file());
    assert!(matches!(FilesConnector.reconcile(&world.call(&changes)).await, Reconciled::Done { .. }));
    done(&world.call(&output["undo"])).await;
    assert_eq!(world.all(), before);
}

/// Writing into a file that has another name would change what nobody was shown.
#[tokio::test]
async fn another_name_of_the_same_file_keeps_its_content() {
    let world = world();
    let other = tempfile::tempdir_in(world.dir.path().parent().unwrap()).unwrap();
    fs::hard_link(world.dir.path().join("run.sh"), other.path().join("twin")).unwrap();
    let changes =
        json!([{ "path": "run.sh", "before": world.digest("run.sh"), "after": { "text": "new\n" } }]);
    done(&world.call(&changes)).await;
    assert_eq!(fs::read_to_string(other.path().join("twin")).unwrap(), "echo\n");
    assert_eq!(fs::read_to_string(world.dir.path().join("run.sh")).unwrap(), "new\n");
}

#[tokio::test]
async fn what_acts_by_itself_is_marked() {
    let world = world();
    let changes = json!([
        { "path": ".git/hooks/pre-commit", "after": { "text": "#!/bin/sh\n", "executable": true } },
        { "path": "way", "after": { "link": "../out" } },
        { "path": "plain", "after": { "text": "" } },
    ]);
    let DryRun::Would { output, .. } = FilesConnector.dry_run(&world.call(&changes)).await else { panic!() };
    let would: Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(would["files"][0]["special"], "git runs what it says");
    assert!(would["files"][0]["marks"].to_string().contains("it can be run"), "{would}");
    assert!(would["files"][1]["special"].as_str().unwrap().contains("leads out"), "{would}");
    assert_eq!(would["files"][2].get("special"), None);
}

/// What root makes or changes in somebody's directory stays theirs.
#[tokio::test]
async fn files_keep_their_owner() {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let world = world();
    if !rustix::process::geteuid().is_root() {
        return;
    }
    for name in ["", "run.sh", "src"] {
        chown(world.dir.path().join(name), Some(4711), Some(4712)).unwrap();
    }
    let changes = json!([
        { "path": "run.sh", "before": world.digest("run.sh"), "after": { "text": "new\n" } },
        { "path": "src/a/b", "after": { "text": "new\n" } },
    ]);
    done(&world.call(&changes)).await;
    for name in ["run.sh", "src/a", "src/a/b"] {
        let about = fs::metadata(world.dir.path().join(name)).unwrap();
        assert_eq!((about.uid(), about.gid()), (4711, 4712), "{name}");
    }
}

#[tokio::test]
async fn a_call_that_is_cancelled_or_late_changes_nothing() {
    let world = world();
    let before = world.all();
    let mut call = world.call(&changes(&world));
    call.cancel.cancel();
    assert!(matches!(
        FilesConnector.perform(&call).await,
        CallResult::Failed { code: "files_cancelled", .. }
    ));
    call = world.call(&changes(&world));
    call.timeout_ms = 0;
    assert!(matches!(FilesConnector.perform(&call).await, CallResult::Failed { code: "files_timeout", .. }));
    assert_eq!(world.all(), before);
}

#[tokio::test]
async fn what_was_interrupted_half_way_is_told_file_by_file() {
    let world = world();
    let call = world.call(&changes(&world));
    fs::write(world.dir.path().join("run.sh"), "echo 2\n").unwrap();
    let Reconciled::StillUnknown { message } = FilesConnector.reconcile(&call).await else { panic!() };
    assert!(message.contains("changed: run.sh") && message.contains("old"), "{message}");
    fs::write(world.dir.path().join("run.sh"), "other\n").unwrap();
    let Reconciled::StillUnknown { message } = FilesConnector.reconcile(&call).await else { panic!() };
    assert!(message.contains("`run.sh` is not as"), "{message}");
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_named() {
    let mut call = fake::call("apply", r#"{"changes":[{"path":"a","after":{"text":""}}]}"#);
    call.connector =
        ConnectorSpec::Files(FilesSpec { root: "/no/such/place".into(), files_max: 4, bytes_max: 100 });
    let CallResult::Failed { code, message, .. } = FilesConnector.perform(&call).await else { panic!() };
    assert_eq!(code, "files_root");
    assert!(message.contains("/no/such/place"), "{message}");
}
