//! The golden export: checked in, so that verifiers in other languages have something to agree on, and
//! made anew here, so that a change of the format cannot pass unnoticed.
//!
//! `UPDATE_EXPECT=1 cargo test -p aecl-ledger golden` writes it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use crate::payload::Salts;
use crate::store::{Memory, Store as _};
use crate::verify::{AuditFinding, verify_export};
use crate::{Ledger, export};
use aecl_kernel::record::event::{KillChanged, OutcomeKind};
use aecl_kernel::record::facts::KillScope;
use common::{World, auditor, block_on, signer, waiting};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// A short history with most kinds of entries. Gives a head from its middle.
async fn history(world: &World) -> String {
    let run = world.run("bot").await;
    run.done("pay.send", json!({"amount": 12.5, "to": "bob"})).await;
    run.propose("note.blocked", json!({})).await;
    run.submit(run.proposal("note.read", r#"{"id":1,"id":2}"#)).await.unwrap();
    world.pass(1500);
    let ask = waiting(run.propose("keys.turn", json!({"n": 1})).await).ask.clone();
    world.vote(&ask, "ann", &["ops"], true).await.unwrap();
    world.vote(&ask, "ben", &["ops"], true).await.unwrap();
    let head = world.ledger.head().await.unwrap().checkpoint.unwrap();
    run.done("keys.turn", json!({"n": 1})).await;
    let ask = waiting(run.propose("db.drop", json!({"table": "Kunden – größer"})).await).ask.clone();
    world.pass(3_600_000);
    world.ledger.expire(ask.approval, world.now()).await.unwrap();
    let kill = KillChanged { scope: KillScope::All, by: "ann".into(), reason: "drill".into() };
    world.ledger.kill(kill.clone(), world.now()).await.unwrap();
    world.ledger.lift(kill, world.now()).await.unwrap();
    let other = world.run("narrow").await;
    let lost = other.allowed("note.read", json!({"id": "1"})).await;
    world.conclude(lost.get().id(), OutcomeKind::Unknown).await.unwrap();
    world.resolve(lost.get().id(), OutcomeKind::Failed).await.unwrap();
    other.allowed("note.read", json!({"id": "2"})).await;
    world.ledger.heartbeat(1, world.now()).await.unwrap();
    head
}

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, dir: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(dir, dir, &mut found);
    found
}

/// What somebody might change, and where it must show: a byte at a place in a file.
fn tampered(files: &BTreeMap<String, Vec<u8>>) -> Value {
    let find = |file: &str, text: &str| {
        let bytes = &files[file];
        let at = bytes.windows(text.len()).position(|w| w == text.as_bytes());
        at.unwrap_or_else(|| panic!("`{text}` is not in {file}"))
    };
    let named = |prefix: &str| files.keys().find(|name| name.starts_with(prefix)).unwrap().clone();
    let (entries, hashes) = (named("tile/entries/"), named("tile/0/"));
    let case = |what: &str, file: &str, at: usize, now: u8| json!({"what": what, "file": file, "at": at, "was": files[file][at], "now": now});
    let ruled = find(&entries, "approved");
    json!([
        case("a decision reads otherwise", &entries, ruled, b'o'),
        case("an amount is another one", &entries, find(&entries, "\"held\":\"") + 8, b'9'),
        case("the length of the first entry", &entries, 1, files[&entries][1] ^ 1),
        case("a hash in a tile", &hashes, 32 * 7, files[&hashes][32 * 7] ^ 1),
        case("the number of entries", "checkpoint", find("checkpoint", "\n") + 1, b'1'),
        case("the signature", "checkpoint", files["checkpoint"].len() - 20, b'A'),
    ])
}

#[test]
fn the_golden_export_is_what_this_program_writes() {
    let memory = Memory::new();
    let dir = TempDir::new().unwrap();
    let kept = block_on(async {
        let mut world = World::open(Box::new(Memory::new()));
        world.ledger = Ledger::open_salted(Box::new(memory.reopen()), signer(), Salts::Counted(0)).unwrap();
        history(&world).await
    });
    common::audit_store(&mut memory.reopen());
    let root = dir.path().join("export");
    export(&mut memory.reopen(), &root, true, &mut |_| {}).unwrap();
    let report = verify_export(&root, &auditor(), Some(&kept)).unwrap();
    let text = |value: &Value| serde_json::to_string_pretty(value).unwrap() + "\n";
    let write = |name: &str, content: String| fs::write(dir.path().join(name), content).unwrap();
    write("kept-head", kept);
    write("verifier", format!("{}\n", auditor().key));
    write("origin", format!("{}\n", auditor().origin));
    write("report.json", text(&serde_json::to_value(&report).unwrap()));
    write("tampered.json", text(&tampered(&files(&root))));

    let (now, then) = (files(dir.path()), files(&golden()));
    let then: BTreeMap<_, _> = then.into_iter().filter(|(name, _)| name != "README.md").collect();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        drop(fs::remove_dir_all(golden().join("export")));
        for (name, bytes) in &now {
            let path = golden().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        return;
    }
    for (name, bytes) in &now {
        assert!(
            then.get(name) == Some(bytes),
            "{name} differs: if the format changed on purpose, UPDATE_EXPECT=1"
        );
    }
    assert_eq!(now.len(), then.len());
}

#[test]
fn the_golden_export_verifies_and_its_tampered_forms_do_not() {
    let read = |name: &str| fs::read_to_string(golden().join(name)).unwrap();
    let verify = |dir: &Path| -> Result<_, AuditFinding> {
        let auditor = crate::Auditor::new(read("origin").trim(), read("verifier").trim().parse().unwrap());
        verify_export(dir, &auditor, Some(&read("kept-head")))
    };
    let report = verify(&golden().join("export")).unwrap();
    let expected: Value = serde_json::from_str(&read("report.json")).unwrap();
    assert_eq!(serde_json::to_value(&report).unwrap(), expected);

    let cases: Vec<Value> = serde_json::from_str(&read("tampered.json")).unwrap();
    for case in cases {
        let dir = TempDir::new().unwrap();
        for (name, mut bytes) in files(&golden().join("export")) {
            if case["file"] == name.as_str() {
                let at = case["at"].as_u64().unwrap() as usize;
                assert_eq!(bytes[at], case["was"].as_u64().unwrap() as u8, "{case}");
                bytes[at] = case["now"].as_u64().unwrap() as u8;
            }
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        verify(dir.path()).expect_err(&case.to_string());
    }
    let size = crate::Export::open(&golden().join("export")).unwrap().head().unwrap().size;
    assert!(size > 25, "{size}");
}
