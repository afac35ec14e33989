//! An auditor finds the same with one reader and with many, and of what is wrong the first.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod common;

use aecl_kernel::record::event::OutcomeKind;
use aecl_ledger::store::{Batch, EntryRow, Memory, Store};
use aecl_ledger::{Auditor, export, verify_export, verify_export_with_progress, verify_store};
use aecl_proof::{Checkpoint, Frontier, leaf_hash};
use common::*;
use proptest::prelude::*;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use tempfile::TempDir;

/// Entries of a ledger whose export has several files, the last of which is not full.
static ENTRIES: LazyLock<(Memory, Vec<Vec<u8>>)> = LazyLock::new(|| {
    let memory = Memory::new();
    let world = World::open(Box::new(memory.reopen()));
    block_on(async {
        while world.ledger.read(|store| Ok(store.head()?.size)).await.unwrap() < 1_100 {
            let run = world.run("bot").await;
            for number in 0..8 {
                run.done("note.read", json!({"id": number.to_string()})).await;
                run.propose("note.blocked", json!({})).await;
            }
            let ask = waiting(run.propose("keys.turn", json!({"n": 1})).await).ask.clone();
            world.vote(&ask, "ann", &["ops"], false).await.unwrap();
            let lost = run.allowed("note.read", json!({"id": "1"})).await;
            world.conclude(lost.get().id(), OutcomeKind::Unknown).await.unwrap();
            world.pass(700_000);
            world.ledger.heartbeat(0, world.now()).await.unwrap();
        }
    });
    world.ledger.close();
    let entries = memory.reopen().entries(0, usize::MAX).unwrap();
    (memory, entries.into_iter().map(|(_, bytes)| bytes).collect())
});

fn exported(store: &mut dyn Store, payloads: bool) -> TempDir {
    let dir = scratch();
    export(store, dir.path(), payloads, &mut |_| {}).unwrap();
    dir
}

/// A store with these entries, signed by whoever has the key.
fn signed(entries: &[Vec<u8>]) -> Memory {
    let (mut tree, mut nodes) = (Frontier::new(), Vec::new());
    entries.iter().for_each(|bytes| tree.append(leaf_hash(bytes), &mut nodes));
    let checkpoint = Checkpoint::new(ORIGIN, tree.size(), tree.root()).unwrap().sign(&signer().key).unwrap();
    let row = |bytes: &Vec<u8>| EntryRow { bytes: bytes.as_slice().into(), run: None, action: None };
    let entries = entries.iter().map(row).collect();
    let mut memory = Memory::new();
    memory.commit(&Batch { entries, nodes, checkpoint: Some(checkpoint), ..Batch::default() }).unwrap();
    memory
}

/// What is found with one reader, which many find, too.
fn found(verify: impl Fn(&Auditor) -> String) -> String {
    let by = |readers| verify(&Auditor { readers, ..auditor() });
    let one = by(1);
    for readers in [2, 3, 8] {
        assert_eq!(by(readers), one, "with {readers} readers");
    }
    one
}

fn found_in_files(dir: &Path) -> String {
    found(|auditor| match verify_export(dir, auditor, None) {
        Ok(report) => json!({ "report": report }).to_string(),
        Err(finding) => json!(finding).to_string(),
    })
}

fn found_in_store(store: &Memory) -> String {
    found(|auditor| match verify_store(&mut store.reopen(), auditor, None) {
        Ok(report) => json!({ "report": report }).to_string(),
        Err(finding) => json!(finding).to_string(),
    })
}

/// Which entry it is about.
fn position(found: &str) -> Option<u64> {
    serde_json::from_str::<serde_json::Value>(found).unwrap()["position"].as_u64()
}

#[test]
fn a_whole_ledger_is_told_the_same_by_any_number_of_readers() {
    let (memory, entries) = &*ENTRIES;
    let dir = exported(&mut memory.reopen(), true);
    let told = found_in_files(dir.path());
    assert!(told.contains(&format!("\"entries\":{}", entries.len())), "{told}");
    assert!(told.contains("nothing was recorded for 700 s"), "{told}");
    assert!(found_in_store(memory).contains("\"report\""));
}

#[test]
fn a_verification_says_how_far_it_is() {
    let (memory, entries) = &*ENTRIES;
    let dir = exported(&mut memory.reopen(), false);
    for readers in [1, 2, 8] {
        let auditor = Auditor { readers, ..auditor() };
        let mut seen = Vec::new();
        verify_export_with_progress(dir.path(), &auditor, None, &mut |p| seen.push((p.done, p.total)))
            .unwrap();
        let total = entries.len() as u64;
        let steps = (1..=total.div_ceil(256)).map(|n| ((n * 256).min(total), total));
        assert!(seen.into_iter().eq(steps), "{readers}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    /// Bits of files are flipped, and files are cut or gone.
    #[test]
    fn damaged_files_are_found_alike_by_any_number_of_readers(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..10u8), 1..4)
    ) {
        let dir = exported(&mut ENTRIES.0.reopen(), true);
        let (names, payloads): (Vec<_>, Vec<_>) =
            files(dir.path()).into_iter().partition(|path| path.extension().is_none_or(|e| e != "json"));
        for (which, at, how) in damage {
            let path = which.get(if how == 9 { &payloads } else { &names });
            let Ok(mut bytes) = fs::read(path) else { continue };
            let at = at.index(bytes.len().max(1));
            match how {
                0 => fs::remove_file(path).unwrap(),
                1 => fs::write(path, &bytes[..at]).unwrap(),
                bit => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << (bit % 8);
                    }
                    fs::write(path, bytes).unwrap();
                }
            }
        }
        found_in_files(dir.path());
    }

    /// Entries are changed by whoever does not have the key: the first one is named, or the allow before it whose attempt it
    /// was.
    #[test]
    fn of_changed_entries_the_first_is_named(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..7u8), 1..5)
    ) {
        let dir = exported(&mut ENTRIES.0.reopen(), false);
        let mut entries = ENTRIES.1.clone();
        for (which, at, bit) in &damage {
            let entry = which.index(entries.len());
            let at = at.index(entries[entry].len());
            entries[entry][at] ^= 1 << bit;
        }
        for path in files(&dir.path().join("tile/entries")) {
            // `000`, or the last one with its width.
            let name = path.strip_prefix(dir.path().join("tile/entries")).unwrap().to_str().unwrap();
            let first = name[..3].parse::<usize>().unwrap() * 256;
            let end = entries.len().min(first + 256);
            fs::write(&path, aecl_proof::tile::write_entries(&entries[first..end]).unwrap()).unwrap();
        }
        let first = (0..entries.len()).find(|at| entries[*at] != ENTRIES.1[*at]).map(|at| at as u64);
        let found = position(&found_in_files(dir.path()));
        prop_assert!(found == first || found == first.map(|at| at - 1), "{:?}, not {:?}", found, first);
    }

    /// Entries are changed, moved and dropped by whoever has the key and signs all of it.
    #[test]
    fn a_forged_history_is_found_alike_by_any_number_of_readers(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..10u8), 1..4)
    ) {
        let mut entries = ENTRIES.1.clone();
        for (which, at, how) in damage {
            let entry = which.index(entries.len());
            match how {
                0 => drop(entries.remove(entry)),
                1 => entries.swap(entry, at.index(ENTRIES.1.len() - 3)),
                2 => entries[entry] = entries[at.index(entries.len())].clone(),
                bit => {
                    let at = at.index(entries[entry].len());
                    entries[entry][at] ^= 1 << (bit % 8);
                }
            }
        }
        let mut store = signed(&entries);
        found_in_store(&store);
        let dir = exported(&mut store, false);
        found_in_files(dir.path());
    }
}
